"""The legacy names of secrets, the import statements that bring them in, and the lines that replace these."""

from __future__ import annotations

from typing import Dict, List, Mapping, Optional, Sequence, Set, Tuple, Union

import libcst as cst

SECRET, TASK, ENVIRONMENT, CONTEXT = "Secret", "PrefectSecret", "EnvVarSecret", "prefect.context.secrets"
LEGACY: Dict[str, str] = {
    "prefect.client.Secret": SECRET,
    "prefect.client.secrets.Secret": SECRET,
    **{f"prefect.tasks.secrets.{place}{name}": TASK for place in ("", "base.") for name in ("Secret", "PrefectSecret")},
    "prefect.tasks.secrets.EnvVarSecret": ENVIRONMENT,
    "prefect.tasks.secrets.env_var.EnvVarSecret": ENVIRONMENT,
    "prefect.context.secrets": CONTEXT,
    "prefect.utilities.context.context.secrets": CONTEXT,
}
Line = cst.SimpleStatementLine
_BLOCK = "prefect.blocks.system.Secret"
_MODULES = frozenset(name.rpartition(".")[0] for name in LEGACY if "secrets." in name)


def dotted(node: Optional[cst.CSTNode]) -> str:
    """Return a name with dots as text, or ``""`` for a relative import.

    Args:
        node: a Name, an Attribute of names, or None.
    """
    if isinstance(node, cst.Name):
        return node.value
    return f"{dotted(node.value)}.{node.attr.value}" if isinstance(node, cst.Attribute) else ""


def import_prefix(node: cst.ImportFrom) -> str:
    """Return what stands before the names of a ``from`` import: ``"prefect.client."``, or ``".."`` for ``from ..``.

    Args:
        node: the statement.
    """
    module = dotted(node.module)
    return "." * len(node.relative) + (f"{module}." if module else "")


def bound_name(alias: cst.ImportAlias) -> str:
    """Return the local name that an import binds.

    Args:
        alias: a part of an import.
    """
    name = alias.asname.name if alias.asname is not None else alias.name
    return dotted(name)


class Statement:
    """An import statement alone on its line.

    Args:
        line: the line.
        node: the statement.
        legacy: the kinds of all legacy names.
        is_top: whether the line is at the level of the module.

    Attributes:
        legacy: the parts that import legacy names, with their kinds.
        modules: the modules of the legacy line that the statement imports, and that are gone.
        block: the local name of the Secret block of Prefect 2 or 3, if the statement imports it, else ``""``.
    """

    def __init__(
        self, line: Line, node: Union[cst.Import, cst.ImportFrom], legacy: Mapping[str, str], *, is_top: bool
    ) -> None:
        self.line, self.node, self.is_top = line, node, is_top
        prefix = import_prefix(node) if isinstance(node, cst.ImportFrom) else ""
        aliases = [] if isinstance(node.names, cst.ImportStar) else node.names
        names = [f"{prefix}{dotted(alias.name)}" for alias in aliases]
        self.modules = [name for name in names if name in _MODULES]
        pairs = list(zip(aliases, names)) if prefix else []
        self.legacy = [(alias, legacy[name]) for alias, name in pairs if name in legacy]
        self.block = next((bound_name(alias) for alias, name in pairs if name == _BLOCK), "")
        if isinstance(node.names, cst.ImportStar) and prefix[:-1] in {*_MODULES, "prefect.client"}:
            self.modules.append(f"{prefix}*")

    @property
    def is_prefect(self) -> bool:
        """Whether the statement imports from Prefect."""
        if isinstance(self.node, cst.ImportFrom):
            return dotted(self.node.module).partition(".")[0] == "prefect" and not self.node.relative
        return any(dotted(alias.name).partition(".")[0] == "prefect" for alias in self.node.names)


class _Collector(cst.CSTVisitor):
    def __init__(self, module: cst.Module, legacy: Mapping[str, str]) -> None:
        super().__init__()
        self._legacy = legacy
        self.top = set(map(id, module.body))
        self.statements: List[Statement] = []

    def visit_SimpleStatementLine(self, node: Line) -> None:
        statement = node.body[0]
        if len(node.body) == 1 and isinstance(statement, (cst.Import, cst.ImportFrom)):
            self.statements.append(Statement(node, statement, self._legacy, is_top=id(node) in self.top))


def import_statements(module: cst.Module, legacy: Mapping[str, str]) -> List[Statement]:
    """Return the import statements of a module that stand alone on their lines.

    Args:
        module: the module.
        legacy: the kinds of all legacy names.
    """
    collector = _Collector(module, legacy)
    module.visit(collector)
    return collector.statements


def existing_block(statements: Sequence[Statement]) -> str:
    """Return the local name of the Secret block of Prefect 2 or 3 in a module, or ``""``.

    Args:
        statements: the import statements of the module.
    """
    return next((each.block for each in statements if each.is_top and each.block), "")


def _import_of(local: str) -> str:
    return "from prefect.blocks.system import Secret" + ("" if local == "Secret" else f" as {local}")


class Imports:
    """The import lines that replace each line with a legacy import, or follow it.

    Args:
        statements: the import statements of the module.
        uses: the kind of each use that is rewritten, and the imported name that it starts with.
        kept: the local names that are still needed.
        local: the local name of the new class.
        has_os: whether the module imports ``os``.
    """

    def __init__(
        self,
        statements: Sequence[Statement],
        uses: Sequence[Tuple[str, Optional[str]]],
        kept: Set[str],
        local: str,
        *,
        has_os: bool,
    ) -> None:
        lines = {ENVIRONMENT: "" if has_os else "import os"}
        block = "" if local == existing_block(statements) else _import_of(local)
        self.removed: Dict[int, List[cst.ImportAlias]] = {}
        self.added: Dict[int, List[str]] = {}
        used: Dict[Optional[str], Set[str]] = {}
        for kind, name in uses:
            used.setdefault(None if kind == CONTEXT else name, set()).add(lines.get(kind, block))
        emitted: Set[str] = set()
        for statement in statements:
            self._plan(statement, used, kept, emitted)
        self._add_at_top([each for each in statements if each.is_top], used.get(None, set()) - emitted)

    def _plan(
        self, statement: Statement, used: Mapping[Optional[str], Set[str]], kept: Set[str], emitted: Set[str]
    ) -> None:
        rewritten = [alias for alias, _ in statement.legacy if bound_name(alias) in used]
        self.removed[id(statement.line)] = [alias for alias in rewritten if bound_name(alias) not in kept]
        needed = {line for alias in rewritten for line in used[bound_name(alias)] if line}
        self.added[id(statement.line)] = sorted(needed - emitted if statement.is_top else needed)
        if statement.is_top:
            emitted |= needed

    def _add_at_top(self, statements: Sequence[Statement], lines: Set[str]) -> None:
        place = next((each for each in statements if each.is_prefect), statements[0] if statements else None)
        if place is not None:
            self.added[id(place.line)] = sorted({*self.added[id(place.line)], *filter(None, lines)})

    def edit(self, original: Line, updated: Line) -> Union[Line, cst.FlattenSentinel[Line], cst.RemovalSentinel]:
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


def _without(original: Line, updated: Line, removed: Sequence[cst.ImportAlias]) -> Optional[Line]:
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


def _parse_line(text: str) -> Line:
    line = cst.parse_statement(text)
    assert isinstance(line, Line)  # noqa: S101 - for the type checker
    return line
