"""Texts in Python code that creates deployments: ``flow.deploy(job_variables={"env": {"TOKEN": "…"}})``.

The code is parsed, not imported. An argument may be a literal, a name that the file assigns once, or a combination of
both. Other values are unknown and yield no text.
"""

from __future__ import annotations

import ast
import re
import warnings
from typing import Dict, Iterator, List, NamedTuple, Optional, Tuple

from pytest_flowsecrets.commands.files.reading import Unreadable

JOB_VARIABLES, PARAMETERS = "job_variables", "parameters"
_ARGUMENTS = {JOB_VARIABLES: JOB_VARIABLES, "infra_overrides": JOB_VARIABLES, PARAMETERS: PARAMETERS}
#: The functions of Prefect that take these arguments, with the asynchronous ones of later releases.
_FUNCTIONS = frozenset(
    name
    for function in ("deploy", "to_deployment", "serve", "run_deployment", "from_flow", "from_entrypoint")
    for name in (function, f"a{function}")
) | {"from_storage", "afrom_storage", "build_from_flow", "bind_flow_to_infrastructure"}
_TEMPLATE = re.compile(r"\{\{\s*(?:\$|prefect\b|blocks\.|variables\.)", re.IGNORECASE)
_UNKNOWN = "x"  # stands for a replacement field of an f-string
_LINE_STARTS = re.compile(r"(?<=\n)|(?<=\r)(?!\n)")
_DEEPEST = 20  # limit for names that refer to names


class PythonText(NamedTuple):
    """A text in an argument.

    Attributes:
        value: the text.
        name: the last key that leads to it, or the name of the argument if there is no key.
        argument: :data:`JOB_VARIABLES` or :data:`PARAMETERS`.
        start: the offset in the file where the literal starts.
        end: the offset after the literal.
        is_formatted: whether it is an f-string, whose replacement fields are unknown.
    """

    value: str
    name: str
    argument: str
    start: int
    end: int
    is_formatted: bool


def has_templates(source: str) -> bool:
    """Return whether a text seems to contain a template of Prefect. Only then is it worth parsing.

    Args:
        source: the text of a file.
    """
    return _TEMPLATE.search(source) is not None


def deployment_texts(source: str, path: str) -> Iterator[PythonText]:
    """Yield the texts in the arguments of the calls that create or run deployments.

    Args:
        source: the text of a Python file.
        path: its name.

    Raises:
        Unreadable: this Python cannot parse it.
    """
    if not has_templates(source):
        return
    tree = _parsed(source, path)
    reader = _Reader(source, tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and _function_name(node.func) in _FUNCTIONS:
            for keyword in node.keywords:
                if keyword.arg in _ARGUMENTS:
                    yield from reader.texts(keyword.value, keyword.arg, _ARGUMENTS[keyword.arg])


def _parsed(source: str, path: str) -> ast.Module:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # unknown escapes
            return ast.parse(source)
    except SyntaxError as error:
        raise Unreadable(path, "not Python that this interpreter can parse", error.lineno, error.offset) from None
    except (ValueError, RecursionError, MemoryError):
        raise Unreadable(path, "not Python that this interpreter can parse") from None


def _function_name(function: ast.expr) -> str:
    if isinstance(function, ast.Attribute):
        return function.attr
    return function.id if isinstance(function, ast.Name) else ""


class _Reader:
    """Reads the values of expressions in one file."""

    def __init__(self, source: str, tree: ast.Module) -> None:
        lines = _LINE_STARTS.split(source)
        self._lines = lines
        self._starts = [0]
        for line in lines:
            self._starts.append(self._starts[-1] + len(line))
        self._assigned: Dict[str, List[ast.expr]] = {}
        for node in ast.walk(tree):
            for name, value in _assignments(node):
                self._assigned.setdefault(name, []).append(value)

    def texts(self, node: Optional[ast.expr], name: str, argument: str, depth: int = 0) -> Iterator[PythonText]:
        """Yield the texts in the value of an expression.

        Args:
            node: the expression.
            name: the key that leads to it.
            argument: the argument that contains it.
            depth: the number of names that led to it.
        """
        text = _text_of(node)
        if node is not None and text is not None:
            start = self._offset(node.lineno, node.col_offset)
            end = self._offset(node.end_lineno or node.lineno, node.end_col_offset or node.col_offset)
            yield PythonText(text, name, argument, start, end, isinstance(node, ast.JoinedStr))
        elif isinstance(node, ast.Name):
            values = self._assigned.get(node.id, [])
            if len(values) == 1 and depth < _DEEPEST:
                yield from self.texts(values[0], name, argument, depth + 1)
        else:
            for key, value in _parts(node):
                yield from self.texts(value, key or name, argument, depth)

    def _offset(self, line: int, column: int) -> int:
        """Return the offset of a position of ``ast``, whose columns count bytes of UTF-8."""
        before = self._lines[line - 1].encode("utf-8", "surrogatepass")[:column]
        return self._starts[line - 1] + len(before.decode("utf-8", "surrogatepass"))


def _assignments(node: ast.AST) -> Iterator[Tuple[str, ast.expr]]:
    targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
    value = getattr(node, "value", None)
    for target in targets:
        if isinstance(target, ast.Name) and value is not None:
            yield target.id, value


def _text_of(node: Optional[ast.expr]) -> Optional[str]:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(_text_of(part) or _UNKNOWN for part in node.values)
    return None


def _parts(node: Optional[ast.expr]) -> Iterator[Tuple[str, ast.expr]]:
    """Yield the subexpressions that become part of the value of an expression, with the key of each, or ``""``."""
    if isinstance(node, ast.Dict):
        for key, value in zip(node.keys, node.values):
            yield _text_of(key) or "", value
    elif isinstance(node, (ast.List, ast.Tuple)):
        yield from (("", each) for each in node.elts)
    elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        yield from (("", each) for each in (node.left, node.right))
    elif isinstance(node, ast.IfExp):
        yield from (("", each) for each in (node.body, node.orelse))
    elif isinstance(node, ast.Call) and _function_name(node.func) == "dict":
        yield from (("", each) for each in node.args)
        yield from ((each.arg or "", each.value) for each in node.keywords)
