"""``tasks.defaults``, of which Prefect makes numbers and durations as it is imported: what it refuses of them.

Before 0.6.4 this comes before the names of keys are checked, from then on behind it (``process_task_defaults`` in
``src/prefect/configuration.py``).
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Dict

from pytest_flowsecrets.resolution.layers import Failure, Refused, Slot, Table, object_name
from pytest_flowsecrets.resolution.loader.nest import not_callable

if TYPE_CHECKING:
    from pytest_flowsecrets.resolution.dialects import Dialect
    from pytest_flowsecrets.resolution.loader.nest import Key

TASKS, DEFAULTS = ("tasks",), ("tasks", "defaults")


def check_task_defaults(config: Table, flat: Dict[Key, Slot], dialect: Dialect) -> None:
    """Go through the defaults of tasks.

    Args:
        config: the configuration.
        flat: the same by keys, to say where a refused value was written.
        dialect: the rules.

    Raises:
        Refused: one of the tables is none, a key hides a method (without python-box), or a number of seconds is larger
            than a duration can be.
    """
    defaults = _in_box(config, flat) if dialect.box else _in_dotdict(config, flat)
    if not isinstance(defaults, Table):
        _refuse(flat, DEFAULTS, "AttributeError", f"'{object_name(defaults)}' object has no attribute 'setdefault'")
    if not dialect.box:
        _check_methods(defaults, DEFAULTS, flat, "setdefault", "get")
    for name in ("retry_delay",) if dialect.at_least("0.13.19") else ("retry_delay", "timeout"):
        seconds = defaults.get(name, False)
        try:
            timedelta(seconds=seconds if isinstance(seconds, int) else 0)
        except OverflowError as error:
            _refuse(flat, (*DEFAULTS, name), "OverflowError", str(error))


def _in_box(config: Table, flat: Dict[Key, Slot]) -> Any:
    tasks = config.get("tasks", Table())
    if not isinstance(tasks, Table):
        _refuse(flat, TASKS, "AttributeError", f"'{object_name(tasks)}' object has no attribute 'setdefault'")
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
    return _refuse(flat, TASKS, "TypeError", message)


def _check_methods(table: Table, key: Key, flat: Dict[Key, Slot], *methods: str) -> None:
    for method in methods:
        if method in table:
            raise Refused(not_callable(table[method], flat.get((*key, method))))


def _refuse(flat: Dict[Key, Slot], key: Key, kind: str, message: str) -> Any:
    slot = flat.get(key)
    raise Refused(Failure(kind, message, str(slot.origin) if slot else ""))
