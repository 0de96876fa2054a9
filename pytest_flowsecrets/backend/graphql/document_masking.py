"""What a document asks for, and a request without the values that it may rightly hold: those of secret mutations.

Of a document that is no GraphQL nobody could say which part would have been a secret's value. If it speaks of setting
one it is shown by its length; it is kept as it is, as something that was received.
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
    """What an operation is (``query``, ``mutation``, ``subscription``, or empty) and its root fields, no aliases."""

    kind: str
    fields: Tuple[str, ...]


def outline(query: str, name: Optional[str] = None) -> Outline:
    """What the operation ``name`` of a document asks for, or its only one; empty if there is no such operation."""
    kind, fields = root_fields(query, name)
    return Outline(kind, tuple(field.name.value for field in fields))


def root_fields(query: str, name: Optional[str] = None) -> Tuple[str, List[Any]]:
    """Return the kind of an operation and the nodes of its root fields; empty if there is no such operation.

    Args:
        query: the document.
        name: which of its operations, or None for its only one.
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


def _root_fields(node: Any, fragments: Mapping[str, Any], seen: Set[str]) -> Iterator[Any]:
    for selection in node.selection_set.selections:
        if selection.kind == "field":
            yield selection
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


def masked_variables(variables: Any, whole: Container[str] = ()) -> Dict[str, Any]:
    """Variables by type and length. Their names and those of an input's fields are kept; what is below is data.

    Of those in ``whole``, which are a secret's value, the names in them are data, too.
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
    """Document and variables masked; of a document that nobody can read its length, if it would set a secret."""
    if own is not None:
        return masked_document(own.cut_from(query, masks=True)), masked_variables(variables, own.whole)
    if sets_secrets(query):
        return f"<document of length {len(query)}>", {name: _mask(value) for name, value in variables.items()}
    return masked_document(query), masked_variables(variables)


def sets_secrets(query: str) -> bool:
    """Whether a document may set a secret."""
    return _SETS.search(query) is not None


def own_values(query: str) -> Optional[OwnValues]:
    """Where in a document secrets are set; None if they are not, or if nobody can read it."""
    if not sets_secrets(query):
        return None
    from graphql import GraphQLError, parse

    try:
        document = parse(query)
    except (GraphQLError, RecursionError):
        return None
    own = OwnValues()
    own.look(document)
    return own


class OwnValues:
    """Where in a request the values of secret mutations stand; not one that is used at another place too."""

    def __init__(self) -> None:
        self._literals: List[Tuple[int, int]] = []
        self._variables: List[Tuple[int, int, str]] = []  # that stand alone for a value
        self._declared: Set[str] = set()
        self.whole: Set[str] = set()  # variables that are such a value
        self._inputs: Set[str] = set()  # variables whose field `value` is one
        self._elsewhere: Set[str] = set()  # variables that are used for something else as well
        self._defaults: Dict[str, ValueNode] = {}

    def look(self, document: Node) -> None:
        """Find them."""
        self._walk(document)
        for name, default in self._defaults.items():
            if name in self.whole - self._elsewhere:
                self._cut(default)
            elif name in self._inputs - self._elsewhere:
                self._input(default)

    def __contains__(self, position: object) -> bool:
        """Whether a place of the document is within a value; a variable is one if nobody has declared it."""
        within = self._literals + self._unknown()
        return isinstance(position, int) and any(start <= position < end for start, end in within)

    def _unknown(self) -> List[Tuple[int, int]]:
        return [(start, end) for start, end, name in self._variables if name not in self._declared]

    def taken_out(self, query: str, variables: Mapping[str, Any]) -> Tuple[str, Mapping[str, Any]]:
        """Document and variables, with null instead of each value."""
        return self.cut_from(query), self.taken_from(variables)

    def cut_from(self, query: str, *, masks: bool = False) -> str:
        """The document without the values; or with texts left, for `masked_document`, and all other values as null."""
        for start, end in sorted(self._literals + (self._unknown() if masks else []), reverse=True):
            if not (masks and query[start] == '"'):
                query = f"{query[:start]}null{query[end:]}"
        return query

    def taken_from(self, variables: Mapping[str, Any]) -> Mapping[str, Any]:
        """The variables without the values."""
        taken = dict(variables)
        for name in self.whole & set(taken) - self._elsewhere:
            taken[name] = None
        for name in self._inputs & set(taken) - self._elsewhere:
            if isinstance(taken[name], dict) and "value" in taken[name]:
                taken[name] = {**taken[name], "value": None}
        return taken

    def _walk(self, node: Node) -> None:
        if node.kind == "field" and node.name.value in SETTERS:  # type: ignore[attr-defined]
            for argument in node.arguments or ():  # type: ignore[attr-defined]
                self._input(argument.value) if argument.name.value == "input" else self._walk(argument)
        elif node.kind == "variable":
            self._elsewhere.add(node.name.value)  # type: ignore[attr-defined]
        elif node.kind == "variable_definition":
            self._declared.add(node.variable.name.value)  # type: ignore[attr-defined]
            if node.default_value is not None:  # type: ignore[attr-defined]
                self._defaults[node.variable.name.value] = node.default_value  # type: ignore[attr-defined]
        else:
            for child in _children(node):
                self._walk(child)

    def _input(self, node: Any) -> None:
        """The argument ``input`` of a secret mutation."""
        if node.kind == "variable":
            self._inputs.add(node.name.value)
        for field in getattr(node, "fields", None) or ():
            self._cut(field.value) if field.name.value == "value" else self._walk(field)

    def _cut(self, node: Any) -> None:
        """A value, whatever it is made of."""
        if node.kind == "variable":
            self.whole.add(node.name.value)
            self._variables.append((node.loc.start, node.loc.end, node.name.value))
            return
        if node.kind in ("list_value", "object_value"):
            for child in _children(node):
                self._cut_variables(child)
        self._literals.append((node.loc.start, node.loc.end))

    def _cut_variables(self, node: Any) -> None:
        if node.kind == "variable":
            self.whole.add(node.name.value)
        for child in _children(node):
            self._cut_variables(child)


def _children(node: Node) -> Iterator[Node]:
    from graphql import Node as AnyNode

    for key in node.keys:
        child = getattr(node, key, None)
        for one in child if isinstance(child, (list, tuple)) else [child]:
            if isinstance(one, AnyNode) and key != "loc":
                yield one
