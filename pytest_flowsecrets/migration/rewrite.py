"""Rewrite a module that uses legacy secrets. Everything else in it stays, byte for byte."""

from __future__ import annotations

from itertools import chain, count
from typing import Collection, Dict, List, Mapping, Optional, Sequence, Set, Tuple, Union

import libcst as cst
from libcst import metadata as md

from pytest_flowsecrets.migration.legacy_uses import (
    CONTEXT,
    ENVIRONMENT,
    LEGACY,
    UNUSED,
    Finder,
    Use,
    bound_name,
    dotted,
)
from pytest_flowsecrets.migration.mask_code import diff, masked_expression
from pytest_flowsecrets.migration.model import CodeChange

NO_NAME = "the new name is not decided: choose one with --rename"
DECODED = "Secret.get() decodes the value as JSON, and prefect.context.secrets does not"
NO_IMPORT = "no module-level import of Prefect on a line of its own shows where to import the new names"
NO_MODULE = "Prefect 3 does not have this module: remove the import"
_MODULES = frozenset(name.rpartition(".")[0] for name in LEGACY if "secrets." in name)
_Line = cst.SimpleStatementLine


class SourceModule:
    """A module with its uses of legacy secrets.

    Args:
        path: the file.
        source: its contents.

    Raises:
        libcst.ParserSyntaxError: the contents are not valid Python.
    """

    def __init__(self, path: str, source: bytes) -> None:
        self.path, self._source = path, source
        self._wrapper = md.MetadataWrapper(cst.parse_module(source))
        self._finder = Finder()
        self._wrapper.visit(self._finder)
        self._positions = self._wrapper.resolve(md.PositionProvider)
        self._statements = _import_statements(self._wrapper.module)

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
        imports = _Imports(self._statements, rewritten, kept, local, has_os=self._has_os())
        module = self._wrapper.module.visit(_Rewriter(nodes, imports)) if rewritten else self._wrapper.module
        return module.bytes, sorted(changes, key=lambda change: (change.line, change.column))

    def diff(self, new: bytes, names: Mapping[str, str]) -> List[str]:
        """Return the lines of a unified diff, in which the names of secrets are the only literals.

        Args:
            new: the new contents.
            names: the new names of the secrets.
        """
        return diff(self.path, self._source, new, self._shown(names))

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
            has_place = any(bound_name(alias) == use.local for each in self._statements for alias in each.legacy)
        return "" if has_place else NO_IMPORT

    def _local_name(self, kept: Collection[str]) -> str:
        taken = self._finder.names | set(kept) | {bound_name(alias) for _, alias in self._unused_imports()}
        numbered = (f"SecretBlock{number}" for number in count(2))
        return next(name for name in chain(("Secret", "SecretBlock"), numbered) if name not in taken)

    def _has_os(self) -> bool:
        return "import os" in [self._wrapper.module.code_for_node(each.node) for each in self._statements]

    def _unused_imports(self) -> List[Tuple[_Line, cst.ImportAlias]]:
        used = {use.local for use in self._finder.uses}
        legacy = [(each.line, alias) for each in self._statements for alias in each.legacy]
        return [(line, alias) for line, alias in legacy if bound_name(alias) not in used]

    def _import(self, line: _Line, name: str, reason: str) -> CodeChange:
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


# -- imports -----------------------------------------------------------------------------------------------------------


class _Statement:
    """An import statement alone on its line."""

    def __init__(self, line: _Line, node: Union[cst.Import, cst.ImportFrom], *, is_top: bool) -> None:
        self.line, self.node, self.is_top = line, node, is_top
        self.legacy: List[cst.ImportAlias] = []
        prefix = f"{dotted(node.module)}." if isinstance(node, cst.ImportFrom) else ""
        aliases = [] if isinstance(node.names, cst.ImportStar) else node.names
        names = [f"{prefix}{dotted(alias.name)}" for alias in aliases]
        self.modules = [name for name in names if name in _MODULES]  # imported modules that are gone
        if prefix:
            self.legacy = [alias for alias, name in zip(aliases, names) if name in LEGACY]
        if isinstance(node.names, cst.ImportStar) and prefix[:-1] in {*_MODULES, "prefect.client"}:
            self.modules.append(f"{prefix}*")

    @property
    def is_prefect(self) -> bool:
        """Whether the statement imports from Prefect."""
        if isinstance(self.node, cst.ImportFrom):
            return dotted(self.node.module).partition(".")[0] == "prefect" and not self.node.relative
        return any(dotted(alias.name).partition(".")[0] == "prefect" for alias in self.node.names)


class _Collector(cst.CSTVisitor):
    def __init__(self, module: cst.Module) -> None:
        self.top = set(map(id, module.body))
        self.statements: List[_Statement] = []

    def visit_SimpleStatementLine(self, node: _Line) -> None:
        statement = node.body[0]
        if len(node.body) == 1 and isinstance(statement, (cst.Import, cst.ImportFrom)):
            self.statements.append(_Statement(node, statement, is_top=id(node) in self.top))


def _import_statements(module: cst.Module) -> List[_Statement]:
    collector = _Collector(module)
    module.visit(collector)
    return collector.statements


class _Imports:
    """The import lines that replace each line with a legacy import, or follow it."""

    def __init__(
        self, statements: Sequence[_Statement], uses: Sequence[Use], kept: Set[str], local: str, *, has_os: bool
    ) -> None:
        alias = "Secret" if local == "Secret" else f"Secret as {local}"
        lines = {ENVIRONMENT: "" if has_os else "import os"}
        block = f"from prefect.blocks.system import {alias}"
        self.removed: Dict[int, List[cst.ImportAlias]] = {}
        self.added: Dict[int, List[str]] = {}
        used: Dict[Optional[str], Set[str]] = {}
        for use in uses:
            key = None if use.kind == CONTEXT else use.local
            used.setdefault(key, set()).add(lines.get(use.kind, block))
        emitted: Set[str] = set()
        for statement in statements:
            self._plan(statement, used, kept, emitted)
        self._add_at_top([each for each in statements if each.is_top], used.get(None, set()) - emitted)

    def _plan(
        self, statement: _Statement, used: Mapping[Optional[str], Set[str]], kept: Set[str], emitted: Set[str]
    ) -> None:
        rewritten = [alias for alias in statement.legacy if bound_name(alias) in used]
        self.removed[id(statement.line)] = [alias for alias in rewritten if bound_name(alias) not in kept]
        needed = {line for alias in rewritten for line in used[bound_name(alias)] if line}
        self.added[id(statement.line)] = sorted(needed - emitted if statement.is_top else needed)
        if statement.is_top:
            emitted |= needed

    def _add_at_top(self, statements: Sequence[_Statement], lines: Set[str]) -> None:
        place = next((each for each in statements if each.is_prefect), statements[0] if statements else None)
        if place is not None:
            self.added[id(place.line)] = sorted({*self.added[id(place.line)], *filter(None, lines)})

    def edit(self, original: _Line, updated: _Line) -> Union[_Line, cst.FlattenSentinel[_Line], cst.RemovalSentinel]:
        """Return the lines for an import line."""
        removed, added = self.removed.get(id(original), []), self.added.get(id(original), [])
        new = [_parse_line(line) for line in added]
        remaining = _without(original, updated, removed) if removed else updated
        lines = ([] if remaining is None else [remaining]) + new
        if not lines:
            return cst.RemoveFromParent()
        first = lines[0].with_changes(leading_lines=updated.leading_lines)
        if remaining is None:
            first = first.with_changes(trailing_whitespace=updated.trailing_whitespace)
        return cst.FlattenSentinel([first, *lines[1:]])


def _without(original: _Line, updated: _Line, removed: Sequence[cst.ImportAlias]) -> Optional[_Line]:
    before, node = original.body[0], updated.body[0]
    assert isinstance(before, cst.ImportFrom)  # noqa: S101 - for the type checker
    assert isinstance(node, cst.ImportFrom)  # noqa: S101 - for the type checker
    assert not isinstance(before.names, cst.ImportStar)  # noqa: S101 - for the type checker
    assert not isinstance(node.names, cst.ImportStar)  # noqa: S101 - for the type checker
    names = [new for old, new in zip(before.names, node.names) if all(old is not each for each in removed)]
    if not names:
        return None
    if node.lpar is None:
        names[-1] = names[-1].with_changes(comma=cst.MaybeSentinel.DEFAULT)
    elif names[-1] is not node.names[-1]:
        names[-1] = _indented_like(names[-1], node.names[-1])
    return updated.with_changes(body=[node.with_changes(names=names)])


def _indented_like(alias: cst.ImportAlias, last: cst.ImportAlias) -> cst.ImportAlias:
    """Return a name whose closing parenthesis is indented as behind the last one; comments stay."""
    space, closing = (getattr(each.comma, "whitespace_after", None) for each in (alias, last))
    if not isinstance(space, cst.ParenthesizedWhitespace):
        return alias.with_changes(comma=last.comma)
    if not isinstance(closing, cst.ParenthesizedWhitespace):
        return alias
    space = space.with_changes(indent=closing.indent, last_line=closing.last_line)
    return alias.with_changes(comma=cst.Comma(whitespace_after=space))


def _parse_line(text: str) -> _Line:
    line = cst.parse_statement(text)
    assert isinstance(line, _Line)  # noqa: S101 - for the type checker
    return line


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
    def __init__(self, nodes: Mapping[int, cst.BaseExpression], imports: _Imports) -> None:
        super().__init__(nodes)
        self._imports = imports

    def leave_SimpleStatementLine(
        self, original_node: _Line, updated_node: _Line
    ) -> Union[_Line, cst.FlattenSentinel[_Line], cst.RemovalSentinel]:
        return self._imports.edit(original_node, updated_node)
