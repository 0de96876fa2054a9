"""Rewrite a module that uses legacy secrets. Everything else in it stays, byte for byte."""

from __future__ import annotations

from itertools import chain, count
from typing import Collection, Dict, List, Mapping, Optional, Set, Tuple, Union

import libcst as cst
from libcst import metadata as md

from pytest_flowsecrets.migration.import_lines import (
    CONTEXT,
    ENVIRONMENT,
    LEGACY,
    Imports,
    Line,
    bound_name,
    dotted,
    existing_block,
    import_statements,
)
from pytest_flowsecrets.migration.legacy_uses import UNUSED, Finder, Use
from pytest_flowsecrets.migration.model import CodeChange

MARK = "•••"
NO_NAME = "the new name is not decided: choose one with --rename"
DECODED = "Secret.get() decodes the value as JSON, and prefect.context.secrets does not"
NO_IMPORT = "no module-level import of Prefect on a line of its own shows where to import the new names"
NO_MODULE = "Prefect 3 does not have this module: remove the import"


class SourceModule:
    """A module with its uses of legacy secrets.

    Args:
        path: the file.
        source: its contents.
        others: the kinds of legacy names that the module imports from other modules of the same tree.

    Raises:
        libcst.ParserSyntaxError: the contents are not valid Python.
    """

    def __init__(self, path: str, source: bytes, others: Optional[Mapping[str, str]] = None) -> None:
        self.path, self.source = path, source
        legacy = {**LEGACY, **(others or {})}
        self._wrapper = md.MetadataWrapper(cst.parse_module(source), unsafe_skip_copy=True)  # no node occurs twice
        self._finder = Finder(legacy)
        self._wrapper.visit(self._finder)
        self._positions = self._wrapper.resolve(md.PositionProvider)
        self._statements = import_statements(self._wrapper.module, legacy)

    @property
    def exports(self) -> Dict[str, str]:
        """The kinds of the legacy names that other modules can import from this one."""
        return {bound_name(alias): kind for each in self._statements if each.is_top for alias, kind in each.legacy}

    @property
    def secrets(self) -> List[Tuple[str, str]]:
        """The names of the secrets that the module uses, each with ``file:line``."""
        uses = [use for use in self._finder.uses if use.name is not None and use.kind != ENVIRONMENT]
        return [(str(use.name), f"{self.path}:{self._positions[use.node].start.line}") for use in uses]

    @property
    def blocks(self) -> List[Tuple[str, str]]:
        """The names of the Secret blocks that the module loads, each with ``file:line``."""
        return [(name, f"{self.path}:{self._positions[node].start.line}") for name, node in self._finder.blocks]

    def rewrite(self, names: Mapping[str, str], decoded: Collection[str] = ()) -> Tuple[bytes, List[CodeChange]]:
        """Return the new contents and all changes, including those to make by hand.

        Args:
            names: the new names of the secrets; ``""`` for one that is not decided.
            decoded: the secrets that ``prefect.context.secrets`` and ``Secret.get`` return in different forms.
        """
        reasons = {id(use): use.reason or self._reason(use, names, decoded) for use in self._finder.uses}
        rewritten = [use for use in self._finder.uses if not reasons[id(use)]]
        kept = {use.local for use in self._finder.uses if reasons[id(use)] and use.local}
        local = self._local_name(kept)
        nodes: Dict[int, cst.BaseExpression] = {}
        for use in reversed(rewritten):  # a use in the argument of another one comes after it
            nodes[id(use.node)] = _new_node(use, names.get(use.name or "", ""), local, nodes)
        shown = self._shown(names)
        changes = [self._change(use, reasons[id(use)], nodes, shown) for use in self._finder.uses]
        changes += [self._import(line, dotted(alias.name), UNUSED) for line, alias in self._unused_imports()]
        changes += [self._import(each.line, name, NO_MODULE) for each in self._statements for name in each.modules]
        pairs = [(use.kind, use.local) for use in rewritten]
        imports = Imports(self._statements, pairs, kept, local, has_os=self._has_os())
        module = self._wrapper.module.visit(_Rewriter(nodes, imports)) if rewritten else self._wrapper.module
        return module.bytes, sorted(changes, key=lambda change: (change.line, change.column))

    def diff(self, new: bytes, names: Mapping[str, str]) -> List[str]:
        """Return the lines of a unified diff, in which the names of secrets are the only literals.

        Args:
            new: the new contents.
            names: the new names of the secrets.
        """
        return diff(self.path, self.source, new, self._shown(names))

    def _shown(self, names: Mapping[str, str]) -> Set[str]:
        old = {use.name for use in self._finder.uses if use.name is not None}
        return old | {names.get(name, "") for name in old}

    def _reason(self, use: Use, names: Mapping[str, str], decoded: Collection[str]) -> str:
        if use.kind != ENVIRONMENT and not names.get(use.name or ""):
            return NO_NAME
        if use.kind == CONTEXT and use.name in decoded:
            return DECODED
        if use.local is None:
            has_place = any(each.is_top for each in self._statements)
        else:
            has_place = any(bound_name(alias) == use.local for each in self._statements for alias, _ in each.legacy)
        return "" if has_place else NO_IMPORT

    def _local_name(self, kept: Collection[str]) -> str:
        existing = existing_block(self._statements)
        if existing and existing not in kept:
            return existing
        taken = self._finder.names | set(kept) | {bound_name(alias) for _, alias in self._unused_imports()}
        numbered = (f"SecretBlock{number}" for number in count(2))
        return next(name for name in chain(("Secret", "SecretBlock"), numbered) if name not in taken)

    def _has_os(self) -> bool:
        return "import os" in [self._wrapper.module.code_for_node(each.node) for each in self._statements]

    def _unused_imports(self) -> List[Tuple[Line, cst.ImportAlias]]:
        used = {use.local for use in self._finder.uses}
        legacy = [(each.line, alias) for each in self._statements for alias, _ in each.legacy]
        return [(line, alias) for line, alias in legacy if bound_name(alias) not in used]

    def _import(self, line: Line, name: str, reason: str) -> CodeChange:
        start = self._positions[line].start
        return CodeChange(self.path, start.line, start.column + 1, f"import of {name}", reason=reason)

    def _change(
        self, use: Use, reason: str, nodes: Mapping[int, cst.BaseExpression], shown: Collection[str]
    ) -> CodeChange:
        start, name = self._positions[use.node].start, use.name if use.kind != ENVIRONMENT else None
        place = self.path, start.line, start.column + 1
        if reason:  # the rest of the expression may contain a value
            return CodeChange(*place, use.kind + (f" {use.name!r}" if use.name is not None else ""), "", reason, name)
        old, new = (masked_expression(node, shown) for node in (use.node, nodes[id(use.node)]))
        return CodeChange(*place, old, new, "", name)


# -- expressions -------------------------------------------------------------------------------------------------------


def _new_node(use: Use, name: str, local: str, nodes: Mapping[int, cst.BaseExpression]) -> cst.BaseExpression:
    if use.kind == ENVIRONMENT:
        return _variable(use, nodes)
    load = cst.Attribute(cst.Name(local), cst.Name("load"))
    literal = _literal(name, use)
    if use.kind == CONTEXT:
        return _read(cst.Call(load, [cst.Arg(literal)]), use.node)
    assert isinstance(use.inner, cst.Call)  # noqa: S101 - for the type checker
    argument = use.inner.args[0].with_changes(value=literal, keyword=None, equal=cst.MaybeSentinel.DEFAULT)
    inner = use.inner.with_changes(func=load, args=[argument])
    assert isinstance(use.node, cst.Call)  # noqa: S101 - for the type checker
    if not isinstance(use.node.func, cst.Attribute) or use.node is use.inner:  # a task stands for its value
        return _read(inner.with_changes(lpar=[], rpar=[]), use.node)
    return use.node.with_changes(func=use.node.func.with_changes(value=inner, attr=cst.Name("get")))


def _read(block: cst.Call, replaced: cst.CSTNode) -> cst.Call:
    parentheses = {key: getattr(replaced, key) for key in ("lpar", "rpar")}
    return cst.Call(cst.Attribute(block, cst.Name("get")), [], **parentheses)


def _variable(use: Use, nodes: Mapping[int, cst.BaseExpression]) -> cst.BaseExpression:
    assert use.argument is not None  # noqa: S101 - for the type checker
    argument = use.argument.visit(_Expressions(nodes))
    assert isinstance(argument, cst.BaseExpression)  # noqa: S101 - for the type checker
    environ = cst.Attribute(cst.Name("os"), cst.Name("environ"))
    parentheses = {key: getattr(use.node, key) for key in ("lpar", "rpar")}
    if use.required:
        return cst.Subscript(environ, [cst.SubscriptElement(cst.Index(argument))], **parentheses)
    return cst.Call(cst.Attribute(environ, cst.Name("get")), [cst.Arg(argument)], **parentheses)


def _literal(name: str, use: Use) -> cst.SimpleString:
    quote = use.argument.quote if isinstance(use.argument, cst.SimpleString) else use.quote
    return cst.SimpleString(f"{quote}{name}{quote}")


class _Expressions(cst.CSTTransformer):
    def __init__(self, nodes: Mapping[int, cst.BaseExpression]) -> None:
        super().__init__()
        self._nodes = nodes

    def leave_Call(self, original_node: cst.Call, updated_node: cst.Call) -> cst.BaseExpression:
        return self._nodes.get(id(original_node), updated_node)

    def leave_Subscript(self, original_node: cst.Subscript, updated_node: cst.Subscript) -> cst.BaseExpression:
        return self._nodes.get(id(original_node), updated_node)

    def leave_Attribute(self, original_node: cst.Attribute, updated_node: cst.Attribute) -> cst.BaseExpression:
        return self._nodes.get(id(original_node), updated_node)


class _Rewriter(_Expressions):
    def __init__(self, nodes: Mapping[int, cst.BaseExpression], imports: Imports) -> None:
        super().__init__(nodes)
        self._imports = imports

    def leave_SimpleStatementLine(
        self, original_node: Line, updated_node: Line
    ) -> Union[Line, cst.FlattenSentinel[Line], cst.RemovalSentinel]:
        return self._imports.edit(original_node, updated_node)


# -- output: code without its literals and comments, because each of them may contain a value --------------------------


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
