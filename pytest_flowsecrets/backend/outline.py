"""What a document asks for, and a request without the values that it may rightly hold: those of secret mutations."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Dict, Iterator, List, Mapping, NamedTuple, Optional, Set, Tuple

if TYPE_CHECKING:
    from graphql import Node, ValueNode

SETTERS = ("set_secret", "setSecret")  # from 0.10 on, and up to 0.9
_SETS = re.compile(r"\bset_?secret\b", re.IGNORECASE)
_LITERAL = re.compile(
    r'''(?P<block>"""(?:\\"""|.)*?(?:"""|$))|(?P<text>"(?:\\.|[^"\\\n])*"?)|(?P<comment>#[^\n]*)'''
    r"""|(?P<number>(?<![\w$])-?\d[\w.+-]*)""",
    re.DOTALL,
)


class Outline(NamedTuple):
    """What an operation is (``query``, ``mutation``, ``subscription``, or empty) and its root fields, no aliases."""

    kind: str
    fields: Tuple[str, ...]


def outline(query: str, name: Optional[str] = None) -> Outline:
    """What the operation ``name`` of a document asks for, or its only one; empty if there is no such operation."""
    from graphql import GraphQLError, parse
    from graphql.utilities import get_operation_ast

    try:
        document = parse(query, no_location=True)
    except (GraphQLError, RecursionError):
        return Outline("", ())
    operation = get_operation_ast(document, name)
    if operation is None:
        return Outline("", ())
    fragments = {node.name.value: node for node in document.definitions if node.kind == "fragment_definition"}  # type: ignore[attr-defined]
    return Outline(operation.operation.value, tuple(_root_fields(operation, fragments, set())))


def _root_fields(node: Any, fragments: Mapping[str, Any], seen: Set[str]) -> Iterator[str]:
    for selection in node.selection_set.selections:
        if selection.kind == "field":
            yield selection.name.value
        elif selection.kind == "inline_fragment":
            yield from _root_fields(selection, fragments, seen)
        elif selection.name.value in fragments and selection.name.value not in seen:
            seen.add(selection.name.value)
            yield from _root_fields(fragments[selection.name.value], fragments, seen)


# -- masks -------------------------------------------------------------------------------------------------------------


def masked_document(query: str) -> str:
    """A document without its literals: texts by their length, numbers and comments not at all."""
    return _LITERAL.sub(_mask_of_literal, query)


def _mask_of_literal(found: re.Match[str]) -> str:
    quotes = {"block": 3, "text": 1}.get(str(found.lastgroup))
    if quotes is not None:
        return f'"<str of length {max(0, len(found.group()) - 2 * quotes)}>"'
    return "#" if found.lastgroup == "comment" else "0"


def masked_variables(variables: Any) -> Dict[str, Any]:
    """Variables by type and length. Their names and those of an input's fields are kept; what is below is data."""
    if not isinstance(variables, Mapping):
        return {}
    return {
        name: {key: _mask(inner) for key, inner in value.items()} if isinstance(value, dict) else _mask(value)
        for name, value in variables.items()
    }


def _mask(value: Any) -> Optional[str]:
    if value is None:
        return None
    kind = type(value).__name__
    return f"<{kind} of length {len(value)}>" if isinstance(value, (str, list, dict)) else f"<{kind}>"


# -- secret mutations --------------------------------------------------------------------------------------------------


def without_own_values(query: str, variables: Mapping[str, Any]) -> Tuple[str, Mapping[str, Any]]:
    """Document and variables, with null instead of each value that a ``set_secret`` is given.

    A value that is used at another place too stays there. What is no GraphQL is given back as it is: nobody could say
    which part of it would have been a secret's value.
    """
    if not _SETS.search(query):
        return query, variables
    from graphql import GraphQLError, parse

    try:
        document = parse(query)
    except (GraphQLError, RecursionError):
        return query, variables
    own = _OwnValues()
    own.look(document)
    return own.cut_from(query), own.taken_from(variables)


class _OwnValues:
    """Where in a request the values of secret mutations stand."""

    def __init__(self) -> None:
        self._literals: List[Tuple[int, int]] = []
        self._whole: Set[str] = set()  # variables that are such a value
        self._inputs: Set[str] = set()  # variables whose field `value` is one
        self._elsewhere: Set[str] = set()  # variables that are used for something else as well
        self._defaults: Dict[str, ValueNode] = {}

    def look(self, document: Node) -> None:
        self._walk(document)
        for name, default in self._defaults.items():
            if name in self._whole - self._elsewhere:
                self._cut(default)
            elif name in self._inputs - self._elsewhere:
                self._input(default)

    def cut_from(self, query: str) -> str:
        for start, end in sorted(self._literals, reverse=True):
            query = f"{query[:start]}null{query[end:]}"
        return query

    def taken_from(self, variables: Mapping[str, Any]) -> Mapping[str, Any]:
        taken = dict(variables)
        for name in self._whole & set(taken) - self._elsewhere:
            taken[name] = None
        for name in self._inputs & set(taken) - self._elsewhere:
            if isinstance(taken[name], dict) and "value" in taken[name]:
                taken[name] = {**taken[name], "value": None}
        return taken

    def _walk(self, node: Node) -> None:
        if node.kind == "field" and node.name.value in SETTERS:  # type: ignore[attr-defined]
            for argument in node.arguments:  # type: ignore[attr-defined]
                self._input(argument.value) if argument.name.value == "input" else self._walk(argument)
        elif node.kind == "variable":
            self._elsewhere.add(node.name.value)  # type: ignore[attr-defined]
        elif node.kind == "variable_definition":
            if node.default_value is not None:  # type: ignore[attr-defined]
                self._defaults[node.variable.name.value] = node.default_value  # type: ignore[attr-defined]
        else:
            for child in _children(node):
                self._walk(child)

    def _input(self, node: Any) -> None:
        """The argument ``input`` of a secret mutation."""
        if node.kind == "variable":
            self._inputs.add(node.name.value)
        for field in getattr(node, "fields", ()):
            self._cut(field.value) if field.name.value == "value" else self._walk(field)

    def _cut(self, node: Any) -> None:
        """A value, whatever it is made of."""
        if node.kind == "variable":
            self._whole.add(node.name.value)
            return
        if node.kind in ("list_value", "object_value"):
            for child in _children(node):
                self._cut_variables(child)
        self._literals.append((node.loc.start, node.loc.end))

    def _cut_variables(self, node: Any) -> None:
        if node.kind == "variable":
            self._whole.add(node.name.value)
        for child in _children(node):
            self._cut_variables(child)


def _children(node: Node) -> Iterator[Node]:
    from graphql import Node as AnyNode

    for key in node.keys:
        child = getattr(node, key, None)
        for one in child if isinstance(child, (list, tuple)) else [child]:
            if isinstance(one, AnyNode) and key != "loc":
                yield one
