"""Texts in Python code that creates deployments: ``flow.deploy(job_variables={"env": {"TOKEN": "…"}})``.

The code is parsed, not imported. An argument may be a literal, a name that its scope assigns once, or a combination of
both. Other values are unknown and yield no text.
"""

from __future__ import annotations

import ast
import re
import warnings
from collections import deque
from typing import Deque, Dict, Iterable, Iterator, List, NamedTuple, Optional, Tuple

from pytest_flowsecrets.commands.files.reading import Unreadable

JOB_VARIABLES, PARAMETERS = "job_variables", "parameters"
_ARGUMENTS = {JOB_VARIABLES: JOB_VARIABLES, "infra_overrides": JOB_VARIABLES, PARAMETERS: PARAMETERS}
#: The functions of Prefect that take these arguments, with the asynchronous ones of later releases.
_FUNCTIONS = frozenset(
    name
    for function in ("deploy", "to_deployment", "serve", "run_deployment", "from_flow", "from_entrypoint")
    for name in (function, f"a{function}")
) | {"from_storage", "afrom_storage", "build_from_flow", "bind_flow_to_infrastructure"}
# Arguments that only functions of Prefect have. `parameters` is common elsewhere.
_OWN_ARGUMENTS = {JOB_VARIABLES, "infra_overrides", "work_pool_name"}
_KIND = "__prefect_kind"  # in parameters, the key of a value that Prefect renders itself
#: The pattern of a text that seems to contain a template of Prefect, in any case.
TEMPLATE = r"\{\{\s*(?:\$|prefect\b|blocks\.|variables\.)"
_TEMPLATE = re.compile(TEMPLATE, re.IGNORECASE)
#: Stands for a replacement field of an f-string, whose value is not in the file.
UNKNOWN = "\0"
_SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)
_LINE_STARTS = re.compile(r"(?<=\n)|(?<=\r)(?!\n)")
_DEEPEST = 20  # limit for names that refer to names


class PythonText(NamedTuple):
    """A text in an argument.

    Attributes:
        value: the text, with :data:`UNKNOWN` for each replacement field.
        name: the last key that leads to it, or the name of the argument if there is no key.
        argument: :data:`JOB_VARIABLES` or :data:`PARAMETERS`.
        start: the offset in the file where the literal starts.
        end: the offset after the literal.
    """

    value: str
    name: str
    argument: str
    start: int
    end: int


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
    reader = _Reader(source, _parsed(source, path))
    for call in reader.calls():
        for keyword in call.keywords:
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


class _Scope:
    """The names that a module, a class or a function binds, with the values that it assigns.

    Args:
        outer: the scope around it.
        is_class: whether it is a class, whose names are unknown in its methods.
    """

    def __init__(self, outer: Optional[_Scope] = None, *, is_class: bool = False) -> None:
        self._outer, self._is_class = outer, is_class
        self._values: Dict[str, List[Optional[ast.expr]]] = {}

    def bind(self, name: str, value: Optional[ast.expr] = None, *, everywhere: bool = False) -> None:
        """Record that a name gets a value, or an unknown one, also in the scopes around this one if ``everywhere``."""
        self._values.setdefault(name, []).append(value)
        if everywhere and self._outer is not None:
            self._outer.bind(name, value, everywhere=True)

    def value(self, name: str, *, is_inner: bool = False) -> Optional[ast.expr]:
        """Return the value of a name in this scope or those around it, or None if it is unknown or not the only one.

        Args:
            name: the name.
            is_inner: whether a function in this scope reads it.
        """
        if name in self._values and not (is_inner and self._is_class):
            values = self._values[name]
            return values[0] if len(values) == 1 else None
        return self._outer.value(name, is_inner=True) if self._outer is not None else None


class _Reader:
    """Reads the values of expressions in one file."""

    def __init__(self, source: str, tree: ast.Module) -> None:
        lines = _LINE_STARTS.split(source)
        self._source, self._lines = source, lines
        self._starts = [0]
        for line in lines:
            self._starts.append(self._starts[-1] + len(line))
        self._calls: List[ast.Call] = []
        self._scopes: Dict[ast.AST, _Scope] = {}  # of the names that are read
        self._imports_prefect = False
        self._read(tree)

    def _read(self, tree: ast.Module) -> None:
        nodes: Deque[Tuple[ast.AST, _Scope]] = deque([(tree, _Scope())])
        assigned: Dict[ast.AST, ast.expr] = {}
        while nodes:
            node, scope = nodes.popleft()
            assigned.update(_assignments(node))
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
                self._scopes[node] = scope
            elif isinstance(node, ast.Name):
                scope.bind(node.id, assigned.get(node))
            elif isinstance(node, ast.Call) and _function_name(node.func) in _FUNCTIONS:
                self._calls.append(node)
            for name in _other_names(node):
                scope.bind(name, everywhere=isinstance(node, (ast.Global, ast.Nonlocal)))
            self._imports_prefect = self._imports_prefect or _imports_prefect(node)
            inner = _Scope(scope, is_class=isinstance(node, ast.ClassDef)) if isinstance(node, _SCOPES) else scope
            nodes.extend((child, inner) for child in _children(node))

    def calls(self) -> Iterator[ast.Call]:
        """Yield the calls of functions that create or run deployments of Prefect."""
        for call in self._calls:
            names = {keyword.arg for keyword in call.keywords}
            if self._imports_prefect or names & _OWN_ARGUMENTS or "prefect" in self._source[slice(*self._span(call))]:
                yield call

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
            yield PythonText(text, name, argument, *self._span(node))
        elif isinstance(node, ast.Name):
            value = self._scopes[node].value(node.id)
            if depth < _DEEPEST:
                yield from self.texts(value, name, argument, depth + 1)
        else:
            for key, value in _parts(node):
                yield from self.texts(value, key or name, argument, depth)

    def _span(self, node: ast.expr) -> Tuple[int, int]:
        end = self._offset(node.end_lineno or node.lineno, node.end_col_offset or node.col_offset)
        return self._offset(node.lineno, node.col_offset), end

    def _offset(self, line: int, column: int) -> int:
        """Return the offset of a position of ``ast``, whose columns count bytes of UTF-8."""
        before = self._lines[line - 1].encode("utf-8", "surrogatepass")[:column]
        return self._starts[line - 1] + len(before.decode("utf-8", "surrogatepass"))


def _imports_prefect(node: ast.AST) -> bool:
    names = [each.name for each in node.names] if isinstance(node, ast.Import) else []
    if isinstance(node, ast.ImportFrom) and not node.level:
        names.append(node.module or "")
    return any(name.startswith("prefect") for name in names)


def _assignments(node: ast.AST) -> Iterator[Tuple[ast.AST, ast.expr]]:
    """Yield the targets of a node, with the value that each gets."""
    if isinstance(node, (ast.Assign, ast.AnnAssign, ast.NamedExpr)) and node.value is not None:
        for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
            yield target, node.value


def _other_names(node: ast.AST) -> List[str]:
    """Return the names that a node binds, except names that are nodes themselves."""
    if isinstance(node, ast.arg):
        return [node.arg]
    if isinstance(node, ast.alias):
        return [node.asname or node.name.partition(".")[0]]
    if isinstance(node, (ast.Global, ast.Nonlocal)):
        return node.names
    name = getattr(node, "name", None)  # of functions, classes, exceptions and patterns
    return [name] if isinstance(name, str) else []


def _children(node: ast.AST) -> Iterable[ast.AST]:
    if isinstance(node, ast.AugAssign):  # the new value contains the old one
        return [node.value]
    if isinstance(node, ast.AnnAssign) and node.value is None:
        return []
    return ast.iter_child_nodes(node)


def _text_of(node: Optional[ast.expr]) -> Optional[str]:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(_text_of(part) or UNKNOWN for part in node.values)
    return None


def _parts(node: Optional[ast.expr]) -> Iterator[Tuple[str, ast.expr]]:
    """Yield the subexpressions that become part of the value of an expression, with the key of each, or ``""``."""
    if isinstance(node, ast.Dict) and _KIND not in map(_text_of, node.keys):
        for key, value in zip(node.keys, node.values):
            yield _text_of(key) or "", value
    elif isinstance(node, (ast.List, ast.Tuple)):
        yield from (("", each) for each in node.elts)
    elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        yield from (("", each) for each in (node.left, node.right))
    elif isinstance(node, ast.IfExp):
        yield from (("", each) for each in (node.body, node.orelse))
    elif (
        isinstance(node, ast.Call)
        and _function_name(node.func) == "dict"
        and _KIND not in [each.arg for each in node.keywords]
    ):
        yield from (("", each) for each in node.args)
        yield from ((each.arg or "", each.value) for each in node.keywords)
