"""One function for each root field that is not a table: ``resolvers/<subject>.py``.

A resolver runs under the store's lock, after the operation has been validated. If a mutation raises, its changes are
rolled back. A query gets a ``RequestContext`` and its arguments. A mutation gets the context and the fields of its
``input`` as one mapping. All names have underscores::

    @mutation
    def set_secret(context: RequestContext, inputs: Mapping[str, Any]) -> Any: ...

    @query
    def secret_value(context: RequestContext, *, name: str) -> Any: ...
"""

from __future__ import annotations

from importlib import import_module
from typing import Any, Callable, Dict, Tuple

Resolver = Callable[..., Any]
SUCCESS = {"success": True}
_MODULES: Tuple[str, ...] = ("cloud", "flow_runs", "flows", "secrets", "task_runs")
_KIND = "_kind"


def query(function: Resolver) -> Resolver:
    """Mark a function as the resolver of the ``Query`` field with the same name."""
    setattr(function, _KIND, "query")
    return function


def mutation(function: Resolver) -> Resolver:
    """Mark a function as the resolver of the ``Mutation`` field with the same name."""
    setattr(function, _KIND, "mutation")
    return function


def load() -> Tuple[Dict[str, Resolver], Dict[str, Resolver]]:
    """Return all resolvers of queries and all resolvers of mutations.

    They are collected from the modules on every call. A registry that modules fill at import would stay empty if this
    package is imported again and its modules are not, which happens after a test with pyfakefs.
    """
    modules = [import_module(f"{__name__}.{name}") for name in _MODULES]
    functions = [function for module in modules for function in vars(module).values() if hasattr(function, _KIND)]
    queries, mutations = (
        {function.__name__: function for function in functions if getattr(function, _KIND) == kind}
        for kind in ("query", "mutation")
    )
    return queries, mutations
