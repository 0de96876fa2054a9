"""Validation of ``tasks.defaults``, which Prefect converts to numbers and durations during import.

Before 0.6.4 it happens before Prefect checks the names of keys, later after that (``process_task_defaults`` in
``src/prefect/configuration.py``).
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Dict

from pytest_flowsecrets.resolution.layers import Failure, PrefectLoadError, Slot, Table, object_name
from pytest_flowsecrets.resolution.loader.nest import not_callable

if TYPE_CHECKING:
    from pytest_flowsecrets.resolution.dialects import Dialect
    from pytest_flowsecrets.resolution.loader.nest import Key

TASKS, DEFAULTS = ("tasks",), ("tasks", "defaults")


def check_task_defaults(config: Table, flat: Dict[Key, Slot], dialect: Dialect) -> None:
    """Check the defaults of tasks.

    Args:
        config: the configuration.
        flat: the same configuration by keys, to locate an invalid value.
        dialect: the rules.

    Raises:
        PrefectLoadError: one of the tables is not a table, a key hides a method (without python-box), or a number of
            seconds is larger than a duration can be.
    """
    defaults = _in_box(config, flat) if dialect.box else _in_dotdict(config, flat)
    if not isinstance(defaults, Table):
        _fail(flat, DEFAULTS, "AttributeError", f"'{object_name(defaults)}' object has no attribute 'setdefault'")
    if not dialect.box:
        _check_methods(defaults, DEFAULTS, flat, "setdefault", "get")
    for name in ("retry_delay",) if dialect.at_least("0.13.19") else ("retry_delay", "timeout"):
        seconds = defaults.get(name, False)
        try:
            timedelta(seconds=seconds if isinstance(seconds, int) else 0)
        except OverflowError as error:
            _fail(flat, (*DEFAULTS, name), "OverflowError", str(error))


def _in_box(config: Table, flat: Dict[Key, Slot]) -> Any:
    tasks = config.get("tasks", Table())
    if not isinstance(tasks, Table):
        _fail(flat, TASKS, "AttributeError", f"'{object_name(tasks)}' object has no attribute 'setdefault'")
    return tasks.get("defaults", Table())


def _in_dotdict(config: Table, flat: Dict[Key, Slot]) -> Any:
    _check_methods(config, (), flat, "setdefault_nested", "setdefault")
    tasks = config.get("tasks", Table())
    if isinstance(tasks, Table):
        return tasks.get("defaults", Table())
    message = f"argument of type '{object_name(tasks)}' is not iterable"
    if isinstance(tasks, str):
        message = "'str' object does not support item assignment"
        if "defaults" in tasks:
            message = "string indices must be integers"
    elif isinstance(tasks, list):
        message = "list indices must be integers or slices, not str"
    return _fail(flat, TASKS, "TypeError", message)


def _check_methods(table: Table, key: Key, flat: Dict[Key, Slot], *methods: str) -> None:
    for method in methods:
        if method in table:
            raise PrefectLoadError(not_callable(table[method], flat.get((*key, method))))


def _fail(flat: Dict[Key, Slot], key: Key, kind: str, message: str) -> Any:
    slot = flat.get(key)
    raise PrefectLoadError(Failure(kind, message, str(slot.origin) if slot else ""))
