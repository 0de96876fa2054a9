"""From the flat configuration to Prefect's ``Config``, its validation and ``prefect.context``.

What is odd: tables are rebuilt in the order in which keys came to stand in the flat configuration, so that a value
written where a table already stands drops that table, and a key below a plain value makes ``import prefect`` fail. In
the dialects without python-box a key hides the method of the same name from Prefect's own code.
"""

from __future__ import annotations

from collections.abc import MutableMapping
from itertools import takewhile
from typing import TYPE_CHECKING, Any, Dict, FrozenSet, List, Optional, Tuple, Type

from pytest_flowsecrets.resolution.layers import Failure, Items, PlainBox, Refused, Slot, Table, object_name

if TYPE_CHECKING:
    from pytest_flowsecrets.resolution.dialects import Dialect

Key = Tuple[str, ...]

_DEEPEST = 900  # Python's own limit is 1,000 calls, of which an import takes some
_REMEMBERS = 5  # from this python-box on, a list of lists knows the class of the dicts in it


def build(flat: Dict[Key, Slot], dialect: Dialect, box: str) -> Tuple[Table, List[Slot]]:
    """Nest the flat configuration.

    Args:
        flat: keys with their values, in order.
        dialect: the rules.
        box: version of python-box, or ``""``.

    Returns:
        The configuration, and the values that a later one dropped together with their table.

    Raises:
        Refused: a key lies below a value that is no table, or so deep that Prefect's own recursion ends.
    """
    root, lost = Table(), []
    for key, slot in flat.items():
        if len(key) > _DEEPEST:
            raise Refused(Failure("RecursionError", "maximum recursion depth exceeded", str(slot.origin)))
        node: Any = root
        for part in key[:-1]:
            node = _descend(node, part, slot, dialect)
        if isinstance(node, Table) and isinstance(node.get(key[-1]), Table):
            lost += _drop(flat, slot)
        _assign(node, key[-1], stored(slot.value, box), slot)
    return root, lost


def stored(value: Any, box: str) -> Any:
    """Turn a value into what python-box keeps: dicts become tables and lists box lists, inside lists too.

    Args:
        value: any value.
        box: version of python-box; without one (``""``) values stay as they are.
    """
    if not box:
        return value
    forgets = int(box.partition(".")[0]) < _REMEMBERS
    return _boxed(value, Table, PlainBox if forgets else Table)


def _boxed(value: Any, kind: Type[Table], inner: Type[Table]) -> Any:
    if isinstance(value, dict):
        return kind((key, _boxed(item, kind, inner)) for key, item in value.items())
    if isinstance(value, list):
        return Items(_boxed(item, inner if isinstance(item, list) else kind, inner) for item in value)
    return value


def validate(config: Table, dialect: Dialect, forbidden: FrozenSet[str]) -> None:
    """Check the names of all keys, as ``validate_config`` does.

    Args:
        config: the configuration.
        dialect: the rules.
        forbidden: names that no key may have.

    Raises:
        Refused: a name is not allowed.
    """
    if dialect.lower_only:
        _check_lower(config)
    if dialect.forbids_names:
        _check_names(config, forbidden, dialect)


def context_of(config: Table, dialect: Dialect) -> Dict[Any, Any]:
    """Give what ``prefect.context`` takes over from the configuration.

    Args:
        config: the configuration.
        dialect: the rules.

    Raises:
        Refused: ``context`` is no table, or holds a name that ``Context`` refuses.
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


def _descend(node: Any, part: str, slot: Slot, dialect: Dialect) -> Any:
    if not isinstance(node, Table):
        message = f"'{object_name(node)}' object has no attribute 'setdefault'"
        raise Refused(Failure("AttributeError", message, str(slot.origin)))
    if not dialect.box and "setdefault" in node:
        raise Refused(not_callable(node["setdefault"], slot))
    return node.setdefault(part, Table())


def _assign(node: Any, name: str, value: Any, slot: Slot) -> None:
    if isinstance(node, Table):
        node[name] = value
        return
    message = f"'{object_name(node)}' object does not support item assignment"
    if isinstance(node, list):
        message = "list indices must be integers or slices, not str"
    raise Refused(Failure("TypeError", message, str(slot.origin)))


def _drop(flat: Dict[Key, Slot], winner: Slot) -> List[Slot]:
    before = takewhile(lambda slot: slot is not winner, flat.values())
    return [slot for slot in before if slot.key[: len(winner.key)] == winner.key]


def _check_lower(table: Table) -> None:
    for key, value in _entries(table, box=False):
        if key != key.lower():
            raise Refused(Failure("ValueError", f'Config keys must be lowercase: "{key}"'))
        if isinstance(value, Table) and key != "context":
            _check_lower(value)


def _check_names(table: Table, forbidden: FrozenSet[str], dialect: Dialect) -> None:
    for key, value in _entries(table, box=dialect.box):
        if key in forbidden:
            raise Refused(Failure("ValueError", f'Invalid config key: "{key}"'))
        if isinstance(value, Table):
            _check_names(value, forbidden, dialect)


def _entries(table: Table, *, box: bool) -> Any:
    if not box and "items" in table:  # a DotDict's key hides the method that Prefect calls here
        raise Refused(not_callable(table["items"]))
    return table.items()


def not_callable(value: Any, slot: Optional[Slot] = None) -> Failure:
    """The error where a key of a table without python-box hides a method that Prefect calls.

    Args:
        value: what the key holds.
        slot: where that was written, as far as known.
    """
    return Failure("TypeError", f"'{object_name(value)}' object is not callable", str(slot.origin) if slot else "")


def _take(context: Dict[Any, Any], key: Any, value: Any, dialect: Dialect) -> None:
    if not dialect.at_least("0.6.1") and isinstance(key, str) and hasattr(MutableMapping, key):
        raise Refused(Failure("ValueError", f'Invalid key: "{key}"'))
    context[key] = value


def _update_pairs(context: Dict[Any, Any], pairs: Any) -> None:
    for key, value in pairs:  # no comprehension: dict() words its errors in another way
        context[key] = value  # noqa: PERF403


def _attempt(action: Any, *arguments: Any) -> None:
    try:
        action(*arguments)
    except (TypeError, ValueError, AttributeError) as error:
        raise Refused(Failure(type(error).__name__, str(error))) from None


def _check_config(context: Dict[Any, Any], dialect: Dialect) -> None:
    """From 0.6.4 a ``[context.config]`` is merged into the context's own copy of the configuration."""
    config = context.get("config", {})
    if dialect.at_least("0.6.4") and not isinstance(config, dict):
        raise Refused(Failure("AttributeError", f"'{object_name(config)}' object has no attribute 'items'"))
