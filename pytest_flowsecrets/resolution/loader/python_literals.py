"""``ast.literal_eval`` of another version of Python.

From 0.11.0 Prefect types strings with it, so the value of a secret depends on the Python of the flow. The parser of the
running Python reads the text; this module determines what is a literal by the rules of the requested Python.

Up to Python 3.8 brackets may be nested about half as deeply as in later versions (200). A model that runs on 3.8 cannot
read deeper ones for a later Python.
"""

from __future__ import annotations

import ast
import re
import warnings
from typing import Any, Dict, List, Tuple

Python = Tuple[int, int]

# Python's parser may warn about these: unknown escapes, and numbers directly before a word (``1or 2``).
_WARNS = re.compile(r"\\|[0-9.][A-Za-z]")
_SHALLOW = 90
_STRINGS = re.compile(
    r"'''(?:\\.|[^'\\]|'(?!''))*'''|\"\"\"(?:\\.|[^\"\\]|\"(?!\"\"))*\"\"\""
    r"|'(?:\\.|[^'\\])*'|\"(?:\\.|[^\"\\])*\"|#[^\r\n]*",
    re.DOTALL,
)  # and comments
# A text that starts with a letter is a literal only if it starts like one of these.
_WORD = re.compile(r"True|False|None|set\b|[bBuUrR]{1,2}['\"]")


def literal(text: str, python: Python) -> Any:
    """Read a Python literal.

    Args:
        text: any text.
        python: the version of Python to follow.

    Returns:
        The value.

    Raises:
        ValueError: the text is not a literal. Other exceptions of the parser mean the same (SyntaxError, MemoryError,
            RecursionError, TypeError for unhashable keys, UnicodeEncodeError for lone surrogates).
    """
    if text[:1].isalpha() and text[0].isascii() and not _WORD.match(text):
        raise ValueError("a word")
    if python < (3, 9) and _too_deep(text, python):
        raise ValueError("nested too deeply")
    if python >= (3, 10):
        text = text.lstrip(" \t")
    if not _WARNS.search(text):
        return _value(ast.parse(text, mode="eval").body, python)
    with warnings.catch_warnings():  # with pytest's filterwarnings=error these would raise
        warnings.simplefilter("ignore")
        return _value(ast.parse(text, mode="eval").body, python)


def _too_deep(text: str, python: Python) -> bool:
    """Return whether the stack of the old parser overflows. In 3.8 a brace needs a little less room than a bracket."""
    if sum(map(text.count, "([{")) < _SHALLOW:
        return False
    brace, room = (99 / 105, 99.5) if python >= (3, 8) else (1.0, 92.5)
    weights = {"(": 1.0, "[": 1.0, "{": brace}
    still_open: List[float] = []
    depth = deepest = 0.0
    for bracket in re.findall(r"[()\[\]{}]", _STRINGS.sub("", text)):
        if bracket in weights:
            still_open.append(weights[bracket])
            depth += weights[bracket]
            deepest = max(deepest, depth)
        elif still_open:
            depth -= still_open.pop()
    return deepest > room


_COLLECTIONS: Dict[type, type] = {ast.Tuple: tuple, ast.List: list, ast.Set: set}


def _value(node: ast.AST, python: Python) -> Any:
    if isinstance(node, ast.Constant):
        return _constant(node, python)
    if isinstance(node, (ast.Tuple, ast.List, ast.Set)):
        return _COLLECTIONS[type(node)](_value(element, python) for element in node.elts)
    if isinstance(node, ast.Dict):
        return _dict(node, python)
    if isinstance(node, ast.Call) and python >= (3, 9):
        return _empty_set(node)
    return _sum(node, python)


def _constant(node: ast.Constant, python: Python) -> Any:
    if node.value is Ellipsis and python < (3, 8):
        raise ValueError("not a literal before Python 3.8")
    return node.value


def _dict(node: ast.Dict, python: Python) -> Any:
    if any(key is None for key in node.keys):
        raise ValueError("unpacking")
    return {_value(key, python): _value(value, python) for key, value in zip(node.keys, node.values) if key is not None}


def _empty_set(node: ast.Call) -> Any:
    if isinstance(node.func, ast.Name) and node.func.id == "set" and not node.args and not node.keywords:
        return set()
    raise ValueError("a call")


def _sum(node: ast.AST, python: Python) -> Any:
    """Return the sum of a real and an imaginary number. Python 3.6 accepts any sum: ``555-1234`` becomes -679."""
    if not isinstance(node, ast.BinOp) or not isinstance(node.op, (ast.Add, ast.Sub)):
        return _signed(node, python)
    if python < (3, 7):
        left, right = _value(node.left, python), _value(node.right, python)
        usable = all(isinstance(side, (int, float, complex)) for side in (left, right))
    else:
        left, right = _signed(node.left, python), _number(node.right)
        usable = isinstance(left, (int, float)) and isinstance(right, complex)
    if not usable:
        raise ValueError("not a complex number")
    return left + right if isinstance(node.op, ast.Add) else left - right


def _signed(node: ast.AST, python: Python) -> Any:
    if not isinstance(node, ast.UnaryOp) or not isinstance(node.op, (ast.UAdd, ast.USub)):
        return _number(node)
    operand = _signed(node.operand, python) if python < (3, 7) else _number(node.operand)
    return +operand if isinstance(node.op, ast.UAdd) else -operand


def _number(node: ast.AST) -> Any:
    if isinstance(node, ast.Constant) and type(node.value) in (int, float, complex):
        return node.value
    raise ValueError("not a number")
