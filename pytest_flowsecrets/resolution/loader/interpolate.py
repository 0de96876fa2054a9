"""Text into value: expansion, typing, ``${references}``.

What is odd: expansion goes on until nothing changes, up to ten rounds, and a text that took two rounds or more is typed
there already, after which typing a *variable's* value again crashes. ``${a.b}`` of the configuration comes after
``${NAME}`` of the environment, and what is left of it is removed. Nothing can be escaped.
"""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Dict, Iterable, List, Mapping, Optional, Tuple

from pytest_flowsecrets.resolution.layers import Failure, Refused, Slot, type_name
from pytest_flowsecrets.resolution.loader.python_literals import Python, literal

if TYPE_CHECKING:
    from pytest_flowsecrets.resolution.dialects import Dialect

Key = Tuple[str, ...]

ROUNDS = 10
LONGEST = 2**24  # a text that grows beyond this would fill the memory of the real Prefect
DECODED, TYPED, TYPED_AGAIN = "backslash escapes decoded", "typed", "typed again"
EXPANDED, EXPANDED_TYPED = "variables and ~ expanded", "variables and ~ expanded, and typed on the way"
TAKEN, FILLED = "taken from the configuration: ", "filled in from the configuration: "
NO_KEY = "${...} is no key"
REFERENCE = re.compile(r"\${(.[^${}]*)}")
_WHOLE_REFERENCE = re.compile(  # without ``${NAME:-default}`` and the like of shells, which Prefect does not know
    r"\$(?:[A-Za-z_]\w*|\{(?!\s)(?:[^{}\n:?+=]|\$\{[^{}\n]*\})+(?<!\s)\})", re.ASCII
)
_VARIABLE = re.compile(r"\$(\w+|\{[^}]*\})", re.ASCII)


@dataclass(frozen=True)
class Surroundings:
    """What expansion looks at.

    Attributes:
        environ: the whole environment.
        home: home of the user, for ``~`` where ``HOME`` is not set.
        users: homes of other users, for ``~name``.
        python: version of Python.
        dialect: the rules.
    """

    dialect: Dialect
    environ: Mapping[str, str]
    home: str = "~"
    users: Mapping[str, str] = field(default_factory=dict)
    python: Python = (3, 8)


def is_reference(text: str) -> bool:
    """Tell whether a text is nothing but ``$NAME``, ``${NAME}`` or ``${a.b}``, as Prefect's documentation writes them.

    Args:
        text: a text as it is written.
    """
    return _WHOLE_REFERENCE.fullmatch(text) is not None


def decode_escapes(text: str) -> str:
    """Do to a variable's value what Prefect did up to 0.13.14: decode UTF-8 bytes as backslash escapes and Latin-1.

    Args:
        text: the variable's value.

    Raises:
        Refused: a broken escape, or text that is no UTF-8, makes ``import prefect`` fail.
    """
    if "\\" not in text and text.isascii():
        return text
    try:
        with warnings.catch_warnings():  # an unknown escape warns
            warnings.simplefilter("ignore")
            return text.encode().decode("unicode_escape")
    except UnicodeError as error:
        raise Refused(Failure(type(error).__name__, str(error), reveals=True)) from None


def expand(text: str, around: Surroundings) -> str:
    """Expand ``$NAME``, ``${NAME}`` and a leading ``~`` once, as ``os.path`` does on POSIX.

    Args:
        text: any text.
        around: the environment and the homes.

    Raises:
        Refused: the name of a variable or user is one that the operating system cannot be asked for, such as a lone
            surrogate.
    """
    if "$" in text:
        text = _VARIABLE.sub(lambda match: around.environ.get(_name_in(match.group(1)), match.group(0)), text)
    return _expand_home(text, around) if text.startswith("~") else text


def interpolate(value: Any, around: Surroundings) -> Tuple[Any, bool]:
    """Expand until nothing changes (``interpolate_env_vars`` of every release).

    Args:
        value: any value; only text is expanded.
        around: the environment and the homes.

    Returns:
        The value (None if ten rounds did not suffice), and whether it was typed on the way.
    """
    if not isinstance(value, str) or ("$" not in value and not value.startswith("~")):
        return value, False
    for count in range(ROUNDS):
        expanded = expand(value, around)
        if expanded == value:
            return (string_to_type(value, around), True) if count > 1 else (value, False)
        if len(expanded) > LONGEST:
            break
        value = expanded
    return None, True


def string_to_type(value: Any, around: Surroundings) -> Any:
    """Turn text into the value that it looks like.

    Args:
        value: text; anything without ``.upper()`` makes Prefect crash.
        around: the rules.

    Raises:
        Refused: the value had been typed before.
    """
    if isinstance(value, bytes):
        return value  # has .upper(), and is no literal
    if not isinstance(value, str):
        raise Refused(Failure("AttributeError", f"'{type_name(value)}' object has no attribute 'upper'"))
    if len(value) in (4, 5) and value.upper() in ("TRUE", "FALSE"):
        return value.upper() == "TRUE"
    if around.dialect.typing == "round_trip":
        return _same_number(value)
    try:
        return literal(value, around.python)
    except Exception:  # noqa: BLE001 (as Prefect does)
        return value


def read_variable(slot: Slot, around: Surroundings) -> None:
    """Do to a variable's value what is done before it enters the configuration: decode, expand, type.

    Args:
        slot: the variable's value, changed in place.
        around: the rules and the environment.

    Raises:
        Refused: ``import prefect`` fails.
    """
    try:
        if around.dialect.unicode_escape:
            _step(slot, DECODED, decode_escapes(slot.value))
        value, typed = interpolate(slot.value, around)
        _step(slot, EXPANDED_TYPED if typed else EXPANDED, value)
        _step(slot, TYPED, string_to_type(slot.value, around))
    except Refused as refused:
        raise _located(refused, slot) from None


def settle(slot: Slot, around: Surroundings) -> None:
    """Do to a text of the merged configuration what is done to all: expand it, and from 0.11.2 type it.

    Args:
        slot: a value of the configuration, changed in place.
        around: the rules and the environment.

    Raises:
        Refused: ``import prefect`` fails.
    """
    try:
        value, typed = interpolate(slot.value, around)
    except Refused as refused:
        raise _located(refused, slot) from None
    _step(slot, EXPANDED_TYPED if typed else EXPANDED, value)
    if around.dialect.types_files and isinstance(slot.value, str):
        _step(slot, TYPED_AGAIN if slot.kind == "env" else TYPED, string_to_type(slot.value, around))


def substitute(flat: Dict[Key, Slot], *, backwards: bool = False, only: Optional[Key] = None) -> None:
    """Replace ``${a.b}`` by the values of other keys, in place, at most ten rounds.

    Prefect walks over a ``set`` of keys, whose order follows PYTHONHASHSEED. It matters only where references run in a
    circle (or through more than ten keys).

    Args:
        flat: the flat configuration.
        backwards: walk in the opposite order, to find out whether the order matters.
        only: change this key alone.
    """
    waiting = list(flat) if only is None else [only]
    waiting = [key for key in waiting if isinstance(flat[key].value, str) and "${" in flat[key].value]
    if backwards:
        waiting.reverse()
    for _ in range(ROUNDS):
        waiting = [key for key in waiting if _substitute_one(flat[key], flat)]


def has_references(slots: Iterable[Slot]) -> List[Slot]:
    """Pick the values that refer to other keys.

    Args:
        slots: values of the flat configuration.
    """
    return [slot for slot in slots if isinstance(slot.value, str) and REFERENCE.search(slot.value)]


def _substitute_one(slot: Slot, flat: Dict[Tuple[str, ...], Slot]) -> bool:
    match = REFERENCE.search(slot.value) if isinstance(slot.value, str) else None
    if match is None:
        return False
    target = flat.get(tuple(match.group(1).split(".")))
    found = "" if target is None else target.value
    shown = match.group(0) if target is not None else NO_KEY  # else it may be a part of a password
    if slot.value == match.group(0):
        slot.become(f"{TAKEN}{shown}", found)
    else:
        if len(slot.value) > LONGEST:
            return False
        filled = slot.value.replace(match.group(0), str(found), 1)
        slot.become(f"{FILLED}{shown}", filled)
    return True


def _located(refused: Refused, slot: Slot) -> Refused:
    """Add to a failure where the value was written."""
    failure = refused.failure
    return Refused(Failure(failure.type, failure.message, str(slot.origin), failure.reveals))


def _step(slot: Slot, what: str, value: Any) -> None:
    if value is not slot.value and (type(value) is not type(slot.value) or value != slot.value):
        slot.become(what, value)


def _name_in(reference: str) -> str:
    name = reference[1:-1] if reference.startswith("{") else reference
    _check_encoding(name)
    return name


def _check_encoding(name: str) -> None:
    """Refuse a name as ``os.environ`` and ``pwd`` do on POSIX, which encode it in UTF-8 (surrogates of bytes pass)."""
    try:
        name.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError as error:
        raise Refused(Failure("UnicodeEncodeError", str(error), reveals=True)) from None


def _expand_home(text: str, around: Surroundings) -> str:
    name, slash, rest = text[1:].partition("/")
    _check_encoding(name)
    if "\0" in name:
        raise Refused(Failure("ValueError", "embedded null byte"))
    home = around.users.get(name) if name else around.environ.get("HOME", around.home)
    return text if home is None else (home.rstrip("/") + slash + rest) or "/"


def _same_number(text: str) -> Any:
    for kind in (int, float):
        try:
            number = kind(text)
            if str(number) == text:
                return number
        except ValueError:  # noqa: PERF203 (two rounds)
            continue
    return text
