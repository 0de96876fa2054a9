"""Step 6 of Prefect's own loader: the nested ``Config``, its validation and ``prefect.context``.

What is odd: tables are rebuilt in the order of the keys in the flat configuration. A value in the place of an existing
table therefore drops that table, and a key below a plain value makes ``import prefect`` fail. In the dialects without
python-box, a key hides the method of the same name from Prefect's own code.
"""

from __future__ import annotations

from collections.abc import MutableMapping
from datetime import timedelta
from itertools import takewhile
from typing import TYPE_CHECKING, Any, Dict, FrozenSet, List, Optional, Tuple, Type

from pytest_flowsecrets.resolution.layers import Failure, Items, PlainBox, PrefectLoadError, Slot, Table, object_name

if TYPE_CHECKING:
    from pytest_flowsecrets.resolution.dialects import Dialect

Key = Tuple[str, ...]

_DEEPEST = 900  # the limit of Python is 1,000 calls, some of which the import needs
_TASKS, _DEFAULTS = ("tasks",), ("tasks", "defaults")
_KEEPS_CLASS = 5  # from this python-box on, a list of lists keeps the class of the dicts in it


def build(flat: Dict[Key, Slot], dialect: Dialect, box: str) -> Tuple[Table, List[Slot]]:
    """Nest the flat configuration.

    Args:
        flat: keys with their values, in order.
        dialect: the rules.
        box: the version of python-box, or ``""``.

    Returns:
        The configuration, and the values that disappear because a later value replaces their table.

    Raises:
        PrefectLoadError: a key is below a value that is not a table, or too deep for Prefect's own recursion.
    """
    root, dropped = Table(), []
    for key, slot in flat.items():
        if len(key) > _DEEPEST:
            raise PrefectLoadError(Failure("RecursionError", "maximum recursion depth exceeded", str(slot.origin)))
        node: Any = root
        for part in key[:-1]:
            node = _descend(node, part, slot, dialect)
        if isinstance(node, Table) and isinstance(node.get(key[-1]), Table):
            dropped += _drop(flat, slot)
        _assign(node, key[-1], box_value(slot.value, box), slot)
    return root, dropped


def box_value(value: Any, box: str) -> Any:
    """Convert a value as python-box does: dicts become tables and lists become box lists, inside lists too.

    Args:
        value: any value.
        box: the version of python-box. Without python-box (``""``) values do not change.
    """
    if not box:
        return value
    keeps_class = int(box.partition(".")[0]) >= _KEEPS_CLASS
    return _box(value, Table, Table if keeps_class else PlainBox)


def _box(value: Any, kind: Type[Table], inner: Type[Table]) -> Any:
    if isinstance(value, dict):
        return kind((key, _box(item, kind, inner)) for key, item in value.items())
    if isinstance(value, list):
        return Items(_box(item, inner if isinstance(item, list) else kind, inner) for item in value)
    return value


def validate(config: Table, dialect: Dialect, forbidden: FrozenSet[str]) -> None:
    """Check the names of all keys, as ``validate_config`` does.

    Args:
        config: the configuration.
        dialect: the rules.
        forbidden: the names that no key may have.

    Raises:
        PrefectLoadError: a name is not allowed.
    """
    if dialect.lower_only:
        _check_lower(config)
    if dialect.forbids_names:
        _check_names(config, forbidden, dialect)


def context_of(config: Table, dialect: Dialect) -> Dict[Any, Any]:
    """Return what ``prefect.context`` copies from the configuration.

    Args:
        config: the configuration.
        dialect: the rules.

    Raises:
        PrefectLoadError: ``context`` is not a table, or contains a name that ``Context`` rejects.
    """
    value = config.get("context", {})
    context: Dict[Any, Any] = {}
    if dialect.at_least("0.14.2"):
        _attempt(context.update, value)
    elif isinstance(value, dict):
        for key in value:
            _take(context, key, value[key], dialect)
    else:
        _attempt(_update_pairs, context, value)
    _check_config(context, dialect)
    return context


def check_task_defaults(config: Table, flat: Dict[Key, Slot], dialect: Dialect) -> None:
    """Check ``tasks.defaults``, which Prefect converts to numbers and durations (``process_task_defaults``).

    Before 0.6.4 Prefect does this before it checks the names of keys, later after that.

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
        _fail(flat, _DEFAULTS, "AttributeError", f"'{object_name(defaults)}' object has no attribute 'setdefault'")
    if not dialect.box:
        _check_methods(defaults, _DEFAULTS, flat, "setdefault", "get")
    for name in ("retry_delay",) if dialect.at_least("0.13.19") else ("retry_delay", "timeout"):
        seconds = defaults.get(name, False)
        try:
            timedelta(seconds=seconds if isinstance(seconds, int) else 0)
        except OverflowError as error:
            _fail(flat, (*_DEFAULTS, name), "OverflowError", str(error))


def _descend(node: Any, part: str, slot: Slot, dialect: Dialect) -> Any:
    if not isinstance(node, Table):
        message = f"'{object_name(node)}' object has no attribute 'setdefault'"
        raise PrefectLoadError(Failure("AttributeError", message, str(slot.origin)))
    if not dialect.box and "setdefault" in node:
        raise PrefectLoadError(_not_callable(node["setdefault"], slot))
    return node.setdefault(part, Table())


def _assign(node: Any, name: str, value: Any, slot: Slot) -> None:
    if isinstance(node, Table):
        node[name] = value
        return
    message = f"'{object_name(node)}' object does not support item assignment"
    if isinstance(node, list):
        message = "list indices must be integers or slices, not str"
    raise PrefectLoadError(Failure("TypeError", message, str(slot.origin)))


def _drop(flat: Dict[Key, Slot], winner: Slot) -> List[Slot]:
    before = takewhile(lambda slot: slot is not winner, flat.values())
    return [slot for slot in before if slot.key[: len(winner.key)] == winner.key]


def _check_lower(table: Table) -> None:
    for key, value in _entries(table, box=False):
        if key != key.lower():
            raise PrefectLoadError(Failure("ValueError", f'Config keys must be lowercase: "{key}"'))
        if isinstance(value, Table) and key != "context":
            _check_lower(value)


def _check_names(table: Table, forbidden: FrozenSet[str], dialect: Dialect) -> None:
    for key, value in _entries(table, box=dialect.box):
        if key in forbidden:
            raise PrefectLoadError(Failure("ValueError", f'Invalid config key: "{key}"'))
        if isinstance(value, Table):
            _check_names(value, forbidden, dialect)


def _entries(table: Table, *, box: bool) -> Any:
    if not box and "items" in table:  # a DotDict's key hides the method that Prefect calls here
        raise PrefectLoadError(_not_callable(table["items"]))
    return table.items()


def _not_callable(value: Any, slot: Optional[Slot] = None) -> Failure:
    """Return the error for a key, in a table without python-box, that hides a method that Prefect calls.

    Args:
        value: the value of the key.
        slot: the slot of the value, if it is known.
    """
    return Failure("TypeError", f"'{object_name(value)}' object is not callable", str(slot.origin) if slot else "")


def _take(context: Dict[Any, Any], key: Any, value: Any, dialect: Dialect) -> None:
    if not dialect.at_least("0.6.1") and isinstance(key, str) and hasattr(MutableMapping, key):
        raise PrefectLoadError(Failure("ValueError", f'Invalid key: "{key}"'))
    context[key] = value


def _update_pairs(context: Dict[Any, Any], pairs: Any) -> None:
    for key, value in pairs:  # not a comprehension: dict() has other error messages
        context[key] = value  # noqa: PERF403


def _attempt(action: Any, *arguments: Any) -> None:
    try:
        action(*arguments)
    except (TypeError, ValueError, AttributeError) as error:
        raise PrefectLoadError(Failure(type(error).__name__, str(error))) from None


def _check_config(context: Dict[Any, Any], dialect: Dialect) -> None:
    """From 0.6.4 a ``[context.config]`` is merged into the context's own copy of the configuration."""
    config = context.get("config", {})
    if dialect.at_least("0.6.4") and not isinstance(config, dict):
        raise PrefectLoadError(Failure("AttributeError", f"'{object_name(config)}' object has no attribute 'items'"))


def _in_box(config: Table, flat: Dict[Key, Slot]) -> Any:
    tasks = config.get("tasks", Table())
    if not isinstance(tasks, Table):
        _fail(flat, _TASKS, "AttributeError", f"'{object_name(tasks)}' object has no attribute 'setdefault'")
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
    return _fail(flat, _TASKS, "TypeError", message)


def _check_methods(table: Table, key: Key, flat: Dict[Key, Slot], *methods: str) -> None:
    for method in methods:
        if method in table:
            raise PrefectLoadError(_not_callable(table[method], flat.get((*key, method))))


def _fail(flat: Dict[Key, Slot], key: Key, kind: str, message: str) -> Any:
    slot = flat.get(key)
    raise PrefectLoadError(Failure(kind, message, str(slot.origin) if slot else ""))
