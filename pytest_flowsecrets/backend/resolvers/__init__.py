"""One small function for each field that is no table: ``resolvers/<what it is about>.py``.

A resolver is called after the operation was validated, under the store's lock; what a mutation changed is undone if it
raises. It gets a `Call` and the arguments, an ``input`` as one mapping, all in the spelling with underscores::

    @mutation
    def set_secret(call: Call, given: Mapping[str, Any]) -> Any: ...

    @query
    def secret_value(call: Call, *, name: str) -> Any: ...
"""

from __future__ import annotations

from importlib import import_module
from typing import Any, Callable, Dict, Tuple

Resolver = Callable[..., Any]
SUCCESS = {"success": True}
_MODULES: Tuple[str, ...] = ("agents", "artifacts", "cloud", "flow_runs", "flow_settings", "flows", "info", "keys")
_MODULES += ("logs", "projects", "secrets", "task_runs")
_KIND = "_kind"


def query(function: Resolver) -> Resolver:
    """Mark the resolver of a field of ``Query``; its name is the field's."""
    setattr(function, _KIND, "query")
    return function


def mutation(function: Resolver) -> Resolver:
    """Mark the resolver of a field of ``Mutation``; its name is the field's."""
    setattr(function, _KIND, "mutation")
    return function


def load() -> Tuple[Dict[str, Resolver], Dict[str, Resolver]]:
    """Return all resolvers of queries, and all of mutations.

    They are collected from the modules each time. A registry that modules fill at import would stay empty where this
    package is imported anew and its modules are not, as after a test with pyfakefs.
    """
    modules = [import_module(f"{__name__}.{name}") for name in _MODULES]
    functions = [function for module in modules for function in vars(module).values() if hasattr(function, _KIND)]
    queries, mutations = (
        {function.__name__: function for function in functions if getattr(function, _KIND) == kind}
        for kind in ("query", "mutation")
    )
    return queries, mutations
