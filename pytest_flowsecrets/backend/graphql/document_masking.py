"""The root fields of a document, masks for its literals and variables, and removal of values that set secrets.

In a document that is not valid GraphQL, the value of a secret cannot be located. If such a document mentions a secret
mutation, only its length is shown. Its text is stored unchanged, like any other text that the API received.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Container, Dict, Iterator, List, Mapping, NamedTuple, Optional, Set, Tuple

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
    """The kind of an operation (``query``, ``mutation``, ``subscription`` or empty) and the names of its fields."""

    kind: str
    fields: Tuple[str, ...]


def outline(query: str, name: Optional[str] = None) -> Outline:
    """Return kind and root fields of an operation: see ``root_fields``."""
    kind, fields = root_fields(query, name)
    return Outline(kind, tuple(field.name.value for field in fields))


def root_fields(query: str, name: Optional[str] = None) -> Tuple[str, List[Any]]:
    """Return the kind of an operation and the nodes of its root fields; both are empty if it does not exist.

    Args:
        query: the document.
        name: the name of the operation, or None if the document has only one.
    """
    from graphql import GraphQLError, parse
    from graphql.utilities import get_operation_ast

    try:
        document = parse(query, no_location=True)
    except (GraphQLError, RecursionError):
        return "", []
    operation = get_operation_ast(document, name)
    if operation is None:
        return "", []
    fragments = {node.name.value: node for node in document.definitions if node.kind == "fragment_definition"}  # type: ignore[attr-defined]
    return operation.operation.value, list(_root_fields(operation, fragments, set()))


def _root_fields(node: Any, fragments: Mapping[str, Any], visited: Set[str]) -> Iterator[Any]:
    for selection in node.selection_set.selections:
        if selection.kind == "field":
            yield selection
        elif selection.kind == "inline_fragment":
            yield from _root_fields(selection, fragments, visited)
        elif selection.name.value in fragments and selection.name.value not in visited:
            visited.add(selection.name.value)
            yield from _root_fields(fragments[selection.name.value], fragments, visited)


# -- masks -------------------------------------------------------------------------------------------------------------


def masked_document(query: str) -> str:
    """Mask the literals of a document: replace texts by their length, and numbers and comments entirely."""
    return _LITERAL.sub(_mask_of_literal, query)


def _mask_of_literal(match: re.Match[str]) -> str:
    quotes = {"block": 3, "text": 1}.get(str(match.lastgroup))
    if quotes is not None:
        return f'"<str of length {max(0, len(match.group()) - 2 * quotes)}>"'
    return "#" if match.lastgroup == "comment" else "0"


def masked_variables(variables: Any, whole: Container[str] = ()) -> Dict[str, Any]:
    """Replace the values of variables by type and length. Keep the names of variables and of an input's fields.

    Variables in ``whole`` are values of secrets: the names inside them are data too, and are masked.
    """
    if not isinstance(variables, Mapping):
        return {}
    return {
        name: {key: _mask(inner) for key, inner in value.items()}
        if isinstance(value, dict) and name not in whole
        else _mask(value)
        for name, value in variables.items()
    }


def _mask(value: Any) -> Optional[str]:
    if value is None:
        return None
    kind = type(value).__name__
    return f"<{kind} of length {len(value)}>" if isinstance(value, (str, list, dict)) else f"<{kind}>"


# -- secret mutations --------------------------------------------------------------------------------------------------


def shown(query: str, variables: Mapping[str, Any], own: Optional[OwnValues]) -> Tuple[str, Dict[str, Any]]:
    """Return the masked document and variables; only the length of an invalid document that may set a secret."""
    if own is not None:
        return masked_document(own.remove_from_document(query, for_mask=True)), masked_variables(variables, own.whole)
    if sets_secrets(query):
        return f"<document of length {len(query)}>", {name: _mask(value) for name, value in variables.items()}
    return masked_document(query), masked_variables(variables)


def sets_secrets(query: str) -> bool:
    """Return whether a document may set a secret."""
    return _SETS.search(query) is not None


def own_values(query: str) -> Optional[OwnValues]:
    """Locate the values of secret mutations; None if the document has none or is not valid."""
    if not sets_secrets(query):
        return None
    from graphql import GraphQLError, parse

    try:
        document = parse(query)
    except (GraphQLError, RecursionError):
        return None
    return OwnValues(document)


class OwnValues:
    """The positions of the values of secret mutations in a document, except values that are also used elsewhere.

    Attributes:
        whole: the variables that are such a value.
    """

    def __init__(self, document: Node) -> None:
        self._literals: List[Tuple[int, int]] = []
        self._variables: List[Tuple[int, int, str]] = []  # variables that are a whole value, with their position
        self._declared: Set[str] = set()
        self.whole: Set[str] = set()
        self._inputs: Set[str] = set()  # variables that are an input with a field `value`
        self._elsewhere: Set[str] = set()  # variables that are also used for something else
        self._defaults: Dict[str, ValueNode] = {}
        self._visit(document)
        for name, default in self._defaults.items():
            if name in self.whole - self._elsewhere:
                self._add_value(default)
            elif name in self._inputs - self._elsewhere:
                self._visit_input(default)

    def __contains__(self, position: object) -> bool:
        """Return whether a position is inside a value. An undeclared variable counts as a value."""
        ranges = self._literals + self._undeclared()
        return isinstance(position, int) and any(start <= position < end for start, end in ranges)

    def _undeclared(self) -> List[Tuple[int, int]]:
        return [(start, end) for start, end, name in self._variables if name not in self._declared]

    def remove_from(self, query: str, variables: Mapping[str, Any]) -> Tuple[str, Mapping[str, Any]]:
        """Replace each value in document and variables by null."""
        return self.remove_from_document(query), self.remove_from_variables(variables)

    def remove_from_document(self, query: str, *, for_mask: bool = False) -> str:
        """Replace each value in the document by null.

        Args:
            query: the document.
            for_mask: keep text literals, which ``masked_document`` masks, and remove undeclared variables.
        """
        for start, end in sorted(self._literals + (self._undeclared() if for_mask else []), reverse=True):
            if not (for_mask and query[start] == '"'):
                query = f"{query[:start]}null{query[end:]}"
        return query

    def remove_from_variables(self, variables: Mapping[str, Any]) -> Mapping[str, Any]:
        """Replace each value in the variables by null."""
        result = dict(variables)
        for name in self.whole & set(result) - self._elsewhere:
            result[name] = None
        for name in self._inputs & set(result) - self._elsewhere:
            if isinstance(result[name], dict) and "value" in result[name]:
                result[name] = {**result[name], "value": None}
        return result

    def _visit(self, node: Any) -> None:
        if node.kind == "field" and node.name.value in SETTERS:
            self._visit_mutation(node)
        elif node.kind == "variable":
            self._elsewhere.add(node.name.value)
        elif node.kind == "variable_definition":
            self._declared.add(node.variable.name.value)
            if node.default_value is not None:
                self._defaults[node.variable.name.value] = node.default_value
        else:
            for child in _children(node):
                self._visit(child)

    def _visit_mutation(self, node: Any) -> None:
        for argument in node.arguments or ():
            if argument.name.value == "input":
                self._visit_input(argument.value)
            else:
                self._visit(argument)

    def _visit_input(self, node: Any) -> None:
        if node.kind == "variable":
            self._inputs.add(node.name.value)
        for field in getattr(node, "fields", None) or ():
            if field.name.value == "value":
                self._add_value(field.value)
            else:
                self._visit(field)

    def _add_value(self, node: Any) -> None:
        """Record a value: a variable, or a literal that may contain variables."""
        if node.kind == "variable":
            self.whole.add(node.name.value)
            self._variables.append((node.loc.start, node.loc.end, node.name.value))
            return
        if node.kind in ("list_value", "object_value"):
            for child in _children(node):
                self._add_variables(child)
        self._literals.append((node.loc.start, node.loc.end))

    def _add_variables(self, node: Any) -> None:
        if node.kind == "variable":
            self.whole.add(node.name.value)
        for child in _children(node):
            self._add_variables(child)


def _children(node: Node) -> Iterator[Node]:
    from graphql import Node as AnyNode

    for key in node.keys:
        child = getattr(node, key, None)
        for candidate in child if isinstance(child, (list, tuple)) else [child]:
            if isinstance(candidate, AnyNode) and key != "loc":
                yield candidate
