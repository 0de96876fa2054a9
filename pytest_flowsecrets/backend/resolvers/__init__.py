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
_MODULES: Tuple[str, ...] = ("agents", "artifacts", "cloud", "flow_runs", "flow_settings", "flows", "keys")
_MODULES += ("logs", "plain", "projects", "secrets", "task_runs")
_QUERIES: Dict[str, Resolver] = {}
_MUTATIONS: Dict[str, Resolver] = {}


def query(function: Resolver) -> Resolver:
    """Register the resolver of a field of ``Query``; its name is the field's."""
    _QUERIES[function.__name__] = function
    return function


def mutation(function: Resolver) -> Resolver:
    """Register the resolver of a field of ``Mutation``; its name is the field's."""
    _MUTATIONS[function.__name__] = function
    return function


def load() -> Tuple[Dict[str, Resolver], Dict[str, Resolver]]:
    """All resolvers of queries, and all of mutations."""
    for name in _MODULES:
        import_module(f"{__name__}.{name}")
    return _QUERIES, _MUTATIONS
