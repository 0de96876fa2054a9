"""Find the places where a module uses the secrets of the legacy line, with libcst.

A use can be rewritten if its meaning does not depend on the rest of the program: the name is a constant, and the value
is read at once. All other uses are changed by hand, and the reason says why.
"""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Optional, Set, Tuple, Type

import libcst as cst
from libcst import metadata as md

from pytest_flowsecrets.migration.import_lines import (
    CONTEXT,
    ENVIRONMENT,
    LEGACY,
    SECRET,
    TASK,
    bound_name,
    dotted,
    import_prefix,
)

_READS = {SECRET: {"get"}, TASK: {"run", "get"}, ENVIRONMENT: {"run"}}
_NAME_ARGUMENTS = {SECRET: {"name"}, TASK: {"name"}, ENVIRONMENT: {"name", "env_var", "env_var_name"}}
_LOADS = frozenset(f"prefect.blocks.system.Secret.{method}" for method in ("load", "aload"))
_CONTEXTS = frozenset({"prefect.context", "prefect.utilities.context.context"})
WHOLE_CONTEXT = "it may reach the secrets: load the block where the value is needed"
DYNAMIC = "the name is not a constant"
OTHER_USE = "it is not read here: load the block where the value is needed"
AT_IMPORT = "it would be read during import: move it into a function"
ASYNC = "in an async function, write: await Secret.aload(...)"
ARGUMENTS = "it has more arguments than a name"
METHOD = "only reading with [name] has an equivalent: a missing block raises an error"
WRITE = "blocks are not changed this way: use Secret(value=...).save(name, overwrite=True)"
NO_QUOTE = "an f-string around it uses both quotes: assign the value to a name first"
TASK_USE = "it is used as a task: use the value of Secret.load(...).get()"
AMBIGUOUS = "the name is imported from more than one place"
UNUSED = "it is imported, but not used in this file: import it from its new module"


class Use:
    """A use of a legacy secret.

    Args:
        node: the expression.
        kind: one of the keys of ``_READS``, or ``CONTEXT``.

    Attributes:
        inner: the call of the class, which is ``node`` itself or the value on which ``node`` calls ``get``.
        name: the name of the secret or variable, or None if it is not a constant.
        argument: the node of the name, or None.
        reason: why a person has to change it, or ``""``.
        local: the imported name that the expression starts with, or None for a name with dots.
        quote: the quote for a new literal, or ``""`` if an f-string around the use leaves none.
    """

    def __init__(self, node: cst.CSTNode, kind: str) -> None:
        self.node, self.kind, self.inner = node, kind, node
        self.name: Optional[str] = None
        self.argument: Optional[cst.BaseExpression] = None
        self.required = False  # for EnvVarSecret(raise_if_missing=True)
        self.reason = ""
        self.local: Optional[str] = None
        self.quote = '"'


class Finder(cst.CSTVisitor):
    """Collects the uses in a module.

    Args:
        legacy: the kinds of all legacy names.

    Attributes:
        uses: the uses, in the order of the module.
        names: every identifier in the module that is not one of the legacy names.
        blocks: the constant names that the module passes to ``Secret.load`` of Prefect 2 or 3, with their nodes.
    """

    METADATA_DEPENDENCIES = (
        md.QualifiedNameProvider,
        md.ParentNodeProvider,
        md.ScopeProvider,
        md.ExpressionContextProvider,
    )

    def __init__(self, legacy: Mapping[str, str] = LEGACY) -> None:
        super().__init__()
        self._legacy = legacy
        self.uses: List[Use] = []
        self.names: Set[str] = set()
        self.blocks: List[Tuple[str, cst.CSTNode]] = []
        self._seen: Set[int] = set()

    def visit_Import(self, node: cst.Import) -> bool:
        """Skip the names in an import."""
        self.names.update(_bound(alias) for alias in node.names)
        return False

    def visit_ImportFrom(self, node: cst.ImportFrom) -> bool:
        """Skip the names in an import."""
        if isinstance(node.names, cst.ImportStar):
            return False
        prefix = import_prefix(node)
        self.names.update(_bound(alias) for alias in node.names if prefix + dotted(alias.name) not in self._legacy)
        return False

    def visit_Call(self, node: cst.Call) -> None:
        """Recognize ``Secret(name).get()`` and ``Secret(name)``."""
        if id(node) in self._seen:
            return
        function = node.func
        self._add_block(node)
        if isinstance(function, cst.Attribute) and isinstance(function.value, cst.Call):
            kind = self._kind(function.value.func)
            if kind in _READS and function.attr.value in _READS[kind]:
                self._add_call(node, function.value, kind)
                return
        if isinstance(function, cst.Call) and not node.args:  # the task as a function
            kind = self._kind(function.func)
            if kind in {TASK, ENVIRONMENT}:
                self._add_call(node, function, kind)
                return
        kind = self._kind(function)
        if kind in _READS:
            self._add_call(node, node, kind)

    def visit_Subscript(self, node: cst.Subscript) -> None:
        """Recognize ``prefect.context.secrets[name]``."""
        if self._kind(node.value) != CONTEXT:
            return
        use = self._add(node, CONTEXT, node.value)
        element = node.slice[0].slice if len(node.slice) == 1 else None
        if self.get_metadata(md.ExpressionContextProvider, node, None) is not md.ExpressionContext.LOAD:
            use.reason = WRITE
        elif isinstance(element, cst.Index):
            self._read_name(use, element.value)
        else:
            use.reason = DYNAMIC

    def visit_Attribute(self, node: cst.Attribute) -> None:
        """Recognize ``prefect.context.secrets.NAME``, and legacy names that are used in another way."""
        self._seen.add(id(node.attr))
        kind = self._kind(node.value)
        if kind == CONTEXT and id(node.value) not in self._seen:
            use = self._add(node, CONTEXT, node.value)
            called = isinstance(self.get_metadata(md.ParentNodeProvider, node), cst.Call)
            loaded = self.get_metadata(md.ExpressionContextProvider, node, None) is md.ExpressionContext.LOAD
            use.reason = WRITE if not loaded else METHOD if called else use.reason
            use.name = None if use.reason else node.attr.value
            return
        self._add_other(node)

    def visit_Name(self, node: cst.Name) -> None:
        """Recognize legacy names that are used in another way."""
        self._add_other(node)
        if id(node) not in self._seen:
            self.names.add(node.value)

    # -- parts ---------------------------------------------------------------------------------------------------------

    def _kind(self, node: cst.CSTNode) -> str:
        if not isinstance(node, (cst.Name, cst.Attribute)):
            return ""
        kinds = {self._legacy[name] for name in self._imported(node) if name in self._legacy}
        return kinds.pop() if len(kinds) == 1 else ""

    def _imported(self, node: cst.CSTNode) -> List[str]:
        names = self.get_metadata(md.QualifiedNameProvider, node, set())
        return [each.name for each in names if each.source is md.QualifiedNameSource.IMPORT]

    def _add_block(self, node: cst.Call) -> None:
        if isinstance(node.func, (cst.Name, cst.Attribute)) and node.args and not node.args[0].star:
            names = self.get_metadata(md.QualifiedNameProvider, node.func, set())
            text = self._constant(node.args[0].value)
            if text is not None and any(each.name in _LOADS for each in names):
                self.blocks.append((text, node))

    def _add(self, node: cst.CSTNode, kind: str, subject: cst.CSTNode) -> Use:
        use = Use(node, kind)
        use.local = subject.value if isinstance(subject, cst.Name) else None
        use.reason = "" if all(name in self._legacy for name in self._imported(subject)) else AMBIGUOUS
        self.uses.append(use)
        self._seen.update((id(node), id(subject)))
        return use

    def _add_other(self, node: cst.CSTNode) -> None:
        kind = self._kind(node) if id(node) not in self._seen else ""
        if kind:
            self._add(node, kind, node).reason = METHOD if kind == CONTEXT else OTHER_USE
        elif self._reaches_secrets(node):
            self._add(node, CONTEXT, node).reason = WHOLE_CONTEXT

    def _reaches_secrets(self, node: cst.CSTNode) -> bool:
        """Return whether ``prefect.context`` is assigned to a name, or indexed with ``"secrets"``."""
        names = self.get_metadata(md.QualifiedNameProvider, node, set())
        parent: Any = self.get_metadata(md.ParentNodeProvider, node, None)
        if not any(each.name in _CONTEXTS and each.source is md.QualifiedNameSource.IMPORT for each in names):
            return False
        if isinstance(parent, cst.Subscript):
            return any(
                isinstance(each.slice, cst.Index) and _text(each.slice.value) == "secrets" for each in parent.slice
            )
        if isinstance(parent, cst.Attribute) and parent.attr.value == "get":
            call = self.get_metadata(md.ParentNodeProvider, parent)
            return isinstance(call, cst.Call) and any(_text(each.value) == "secrets" for each in call.args)
        return isinstance(parent, (cst.Assign, cst.AnnAssign, cst.NamedExpr)) and parent.value is node

    def _add_call(self, node: cst.Call, inner: cst.Call, kind: str) -> None:
        use = self._add(node, kind, inner.func)
        use.inner = inner
        self._seen.add(id(inner))
        self._read_arguments(use, inner)
        is_read = node is not inner and isinstance(node.func, cst.Attribute)
        if use.reason or (is_read and not node.args):
            return
        if is_read:
            use.reason = ARGUMENTS
        elif kind == SECRET:
            use.reason = OTHER_USE
        elif self._is_task(node):
            use.reason = TASK_USE
        elif self._is_at_import(node):
            use.reason = AT_IMPORT

    def _is_task(self, node: cst.CSTNode) -> bool:
        """Return whether a task is called, or has an attribute read or a method called."""
        parent = self.get_metadata(md.ParentNodeProvider, node, None)
        return (isinstance(parent, cst.Call) and parent.func is node) or isinstance(parent, cst.Attribute)

    def _read_arguments(self, use: Use, call: cst.Call) -> None:
        values: Dict[str, cst.BaseExpression] = {}
        for argument in call.args:
            keyword = argument.keyword.value if argument.keyword is not None else "name"
            key = "name" if keyword in _NAME_ARGUMENTS[use.kind] else keyword
            if argument.star or key in values or key not in {"name", "raise_if_missing"}:
                use.reason = ARGUMENTS
                return
            values[key] = argument.value
        flag = values.get("raise_if_missing")
        is_literal = isinstance(flag, cst.Name) and flag.value in {"True", "False"}
        if "name" not in values or (flag is not None and not (use.kind == ENVIRONMENT and is_literal)):
            use.reason = ARGUMENTS
            return
        use.required = isinstance(flag, cst.Name) and flag.value == "True"
        self._read_name(use, values["name"])

    def _read_name(self, use: Use, argument: cst.BaseExpression) -> None:
        use.argument, use.name = argument, self._constant(argument)
        if use.name is None and use.kind != ENVIRONMENT:  # the name of a variable does not change
            use.reason = DYNAMIC

    def _constant(self, node: cst.BaseExpression) -> Optional[str]:
        """Return the text of a literal, or of a name to which the module assigns a literal once."""
        if isinstance(node, (cst.SimpleString, cst.ConcatenatedString)):
            return _text(node)
        scope = self.get_metadata(md.ScopeProvider, node, None) if isinstance(node, cst.Name) else None
        if scope is None or not isinstance(node, cst.Name):
            return None
        assignments = list(scope[node.value])
        if len(assignments) != 1 or not isinstance(assignments[0], md.Assignment):
            return None
        if not isinstance(assignments[0].scope, md.GlobalScope):
            return None
        return self._assigned_text(assignments[0].node)

    def _assigned_text(self, target: cst.CSTNode) -> Optional[str]:
        statement: Any = self.get_metadata(md.ParentNodeProvider, target, None)
        if isinstance(statement, cst.AssignTarget):
            statement = self.get_metadata(md.ParentNodeProvider, statement)
        line = self.get_metadata(md.ParentNodeProvider, statement, None) if statement is not None else None
        block = self.get_metadata(md.ParentNodeProvider, line, None) if line is not None else None
        if isinstance(statement, (cst.Assign, cst.AnnAssign)) and isinstance(block, cst.Module):
            return _text(statement.value)
        return None

    def _is_at_import(self, node: cst.CSTNode) -> bool:
        """Return whether an expression runs during import: not in the body of a function or of ``with Flow(...)``."""
        child, parent = node, self.get_metadata(md.ParentNodeProvider, node, None)
        while parent is not None:
            if isinstance(parent, (cst.FunctionDef, cst.Lambda)) and parent.body is child:
                return False
            if isinstance(parent, cst.With) and parent.body is child and any(map(self._is_flow, parent.items)):
                return False
            child, parent = parent, self.get_metadata(md.ParentNodeProvider, parent, None)
        return True

    def _is_flow(self, item: cst.WithItem) -> bool:
        """Return whether a context manager can be a flow: a call of a class ``Flow``, or a name."""
        function = item.item.func if isinstance(item.item, cst.Call) else None
        return isinstance(item.item, cst.Name) or dotted(function).rpartition(".")[2].endswith("Flow")

    def _quote(self, node: cst.CSTNode) -> str:
        """Return a quote that no f-string around a node uses, because Python 3.11 rejects the same quote."""
        used = set()
        parent = self._enclosing(node, (cst.FormattedString,))
        while parent is not None:
            used.add(parent.end[0])
            outside = self.get_metadata(md.ParentNodeProvider, parent)
            parent = self._enclosing(outside, (cst.FormattedString,))
        return next((quote for quote in "\"'" if quote not in used), "")

    def _enclosing(self, node: Any, kinds: Tuple[Type[cst.CSTNode], ...]) -> Any:
        """Return the closest node of some kinds around a node, or None."""
        parent: Any = node
        while parent is not None and not isinstance(parent, kinds):
            parent = self.get_metadata(md.ParentNodeProvider, parent, None)
        return parent

    def leave_Module(self, original_node: cst.Module) -> None:  # noqa: ARG002
        """Leave uses in async functions, where ``load`` returns a coroutine, and those that no quote is left for."""
        for use in self.uses:
            use.quote = self._quote(use.node)
            if not use.quote and not use.reason and use.kind != ENVIRONMENT:
                use.reason = NO_QUOTE
            function = self._enclosing(use.node, (cst.FunctionDef, cst.Lambda))
            is_async = isinstance(function, cst.FunctionDef) and function.asynchronous is not None
            if is_async and not use.reason and use.kind != ENVIRONMENT:
                use.reason = ASYNC


def _bound(alias: cst.ImportAlias) -> str:
    return bound_name(alias).partition(".")[0]


def _text(node: Optional[cst.CSTNode]) -> Optional[str]:
    if isinstance(node, (cst.SimpleString, cst.ConcatenatedString)):
        value = node.evaluated_value
        return value if isinstance(value, str) else None
    return None
