"""The lookup of ``Secret(name).get()`` in the table of secrets, by release."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Mapping, Optional

from pytest_flowsecrets.resolution.layers import Failure, Table, object_name, type_name

if TYPE_CHECKING:
    from pytest_flowsecrets.resolution.dialects import Lookup
    from pytest_flowsecrets.resolution.loader.python_literals import Python

BUILDING = "Secrets should only be retrieved during a Flow run, not while building a Flow."
_ABSENT = object()


@dataclass(frozen=True, repr=False)
class Outcome:
    """The result of ``Secret(name).get()``.

    Attributes:
        kind: ``value``, ``error``, or ``cloud`` if Prefect asks its backend, which this model does not know.
        value: the value, for ``value``.
        error: the error, for ``error``.
        stored: the value before ``json.loads``, for ``value``.
    """

    kind: str
    value: Any = None
    error: Optional[Failure] = None
    stored: Any = None

    def __repr__(self) -> str:
        if self.error is not None:
            return f"<Outcome {self.error!r}>"
        return f"<Outcome {self.kind} {type_name(self.value)}>" if self.kind == "value" else "<Outcome cloud>"


@dataclass(frozen=True)
class Flags:
    """The settings that determine where Prefect looks.

    Attributes:
        use_local: the value of ``cloud.use_local_secrets`` as ``Secret`` sees it, or the error of reading it.
        backend: the value of ``backend``.
        building: whether a flow is being built in this thread.
    """

    use_local: Any = True
    backend: Any = "cloud"
    building: bool = False


def get(name: str, context: Mapping[Any, Any], lookup: Lookup, flags: Flags, python: Python) -> Outcome:
    """Return the result of ``Secret(name).get()``.

    Args:
        name: the name that the flow passes to ``Secret``.
        context: ``prefect.context``.
        lookup: the rules.
        flags: the settings that determine where to look.
        python: the version of Python, on which the text of one error depends.
    """
    if lookup.guarded and flags.building:
        return _error("ValueError", BUILDING)
    if not lookup.context_first and flags.use_local is not True:
        return _from_backend(flags)
    secrets = context.get("secrets", {})
    return _table_error(secrets, lookup, python) or _from_table(name, secrets, lookup, flags)


def _table_error(secrets: Any, lookup: Lookup, python: Python) -> Optional[Outcome]:
    """Return the error if ``Secret`` cannot read a table; None if it can."""
    if not isinstance(secrets, dict):
        return _not_a_table(secrets, lookup, python)
    if not lookup.subscript and isinstance(secrets, Table) and "get" in secrets:
        return _error("TypeError", f"'{object_name(secrets['get'])}' object is not callable")
    return None


def _from_table(name: str, secrets: Mapping[Any, Any], lookup: Lookup, flags: Flags) -> Outcome:
    value = secrets.get(name, _ABSENT)
    if value is _ABSENT:
        return _missing(name, lookup, flags)
    return decode_json(value) if lookup.decodes else Outcome("value", value, stored=value)


def decode_json(value: Any) -> Outcome:
    """Decode a value as JSON if it is JSON.

    Args:
        value: the value in the context.
    """
    try:
        return Outcome("value", json.loads(value), stored=value)
    except (json.JSONDecodeError, TypeError):
        return Outcome("value", value, stored=value)
    except (ValueError, RecursionError) as error:
        return Outcome(
            "error", error=Failure(type(error).__name__, str(error), reveals=isinstance(error, UnicodeError))
        )


def _missing(name: str, lookup: Lookup, flags: Flags) -> Outcome:
    local = lookup.server_is_local and flags.backend != "cloud"
    if lookup.context_first and not local and (flags.use_local is False or isinstance(flags.use_local, Failure)):
        return _from_backend(flags)
    if lookup.missing is None:
        return Outcome("value")
    return _error("ValueError", lookup.missing.format(name))


def _from_backend(flags: Flags) -> Outcome:
    return Outcome("error", error=flags.use_local) if isinstance(flags.use_local, Failure) else Outcome("cloud")


def _not_a_table(secrets: Any, lookup: Lookup, python: Python) -> Outcome:
    if not lookup.subscript:
        return _error("AttributeError", f"'{object_name(secrets)}' object has no attribute 'get'")
    if isinstance(secrets, str):
        wording = "string indices must be integers" + (", not 'str'" if python >= (3, 11) else "")
    elif isinstance(secrets, bytes):
        wording = "byte indices must be integers or slices, not str"
    elif isinstance(secrets, (list, tuple)):
        wording = f"{'list' if isinstance(secrets, list) else 'tuple'} indices must be integers or slices, not str"
    else:
        wording = f"'{object_name(secrets)}' object is not subscriptable"
    return _error("TypeError", wording)


def _error(kind: str, message: str) -> Outcome:
    return Outcome("error", error=Failure(kind, message))
