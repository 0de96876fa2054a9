"""Show code without its literals and comments, because each of them may contain a value."""

from __future__ import annotations

from typing import Collection, List, Union

import libcst as cst

MARK = "•••"


class _Literals(cst.CSTTransformer):
    """Replaces literals and comments with a mark, and numbers with ``...``. The lines keep their numbers.

    Args:
        names: texts that are shown, such as the names of secrets.
    """

    def __init__(self, names: Collection[str]) -> None:
        super().__init__()
        self._names = names

    def leave_SimpleString(self, original_node: cst.SimpleString, updated_node: cst.SimpleString) -> cst.SimpleString:
        if original_node.evaluated_value in self._names:
            return updated_node
        quote, breaks = original_node.quote, "\n" * original_node.value.count("\n")
        return updated_node.with_changes(value=f"{original_node.prefix}{quote}{MARK}{breaks}{quote}")

    def leave_FormattedStringText(
        self, original_node: cst.FormattedStringText, updated_node: cst.FormattedStringText
    ) -> cst.FormattedStringText:
        return updated_node.with_changes(value=MARK + "\n" * original_node.value.count("\n"))

    def leave_Integer(self, original_node: cst.Integer, updated_node: cst.Integer) -> cst.Ellipsis:  # noqa: ARG002
        return _number(original_node)

    def leave_Float(self, original_node: cst.Float, updated_node: cst.Float) -> cst.Ellipsis:  # noqa: ARG002
        return _number(original_node)

    def leave_Imaginary(self, original_node: cst.Imaginary, updated_node: cst.Imaginary) -> cst.Ellipsis:  # noqa: ARG002
        return _number(original_node)

    def leave_Comment(self, original_node: cst.Comment, updated_node: cst.Comment) -> cst.Comment:  # noqa: ARG002
        return updated_node.with_changes(value=f"# {MARK}")


def _number(node: Union[cst.Integer, cst.Float, cst.Imaginary]) -> cst.Ellipsis:
    return cst.Ellipsis(lpar=node.lpar, rpar=node.rpar)


def masked_expression(node: cst.CSTNode, names: Collection[str]) -> str:
    """Return the code of an expression on one line, without literals and comments.

    Args:
        node: the expression.
        names: texts that are shown, such as the names of secrets.
    """
    shown = node.visit(_Literals(names))
    return " ".join(cst.Module([]).code_for_node(shown).split()) if isinstance(shown, cst.CSTNode) else MARK


def diff(path: str, old: bytes, new: bytes, names: Collection[str] = ()) -> List[str]:
    """Return the lines of a unified diff, without literals and comments.

    Args:
        path: the file, for the header.
        old: the old contents.
        new: the new contents.
        names: texts that are shown, such as the names of secrets.
    """
    from difflib import unified_diff

    before, after = (cst.parse_module(source).visit(_Literals(names)).code.splitlines() for source in (old, new))
    return list(unified_diff(before, after, f"a/{path}", f"b/{path}", lineterm=""))
