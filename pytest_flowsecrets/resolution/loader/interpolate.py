"""Conversion of strings to values: expansion, typing and ``${references}``.

What is odd: expansion repeats until nothing changes, for up to ten rounds. A string that needs two rounds or more is
typed during expansion, and then typing it again crashes if it comes from a *variable*. ``${a.b}`` of the configuration
is replaced after ``${NAME}`` of the environment, and removed if it names nothing. Nothing can be escaped.
"""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Dict, Iterable, List, Mapping, Optional, Tuple

from pytest_flowsecrets.resolution.layers import Failure, PrefectLoadError, Slot, type_name
from pytest_flowsecrets.resolution.loader.python_literals import Python, literal

if TYPE_CHECKING:
    from pytest_flowsecrets.resolution.dialects import Dialect

Key = Tuple[str, ...]

ROUNDS = 10
LONGEST = 2**24  # a string that grows beyond this length fills the memory in the real Prefect
DECODED, TYPED, TYPED_AGAIN = "backslash escapes decoded", "typed", "typed again"
EXPANDED, EXPANDED_TYPED = "variables and ~ expanded", "variables and ~ expanded, and typed on the way"
TAKEN, FILLED = "taken from the configuration: ", "filled in from the configuration: "
NO_KEY = "${...} is not a key"
REFERENCE = re.compile(r"\${(.[^${}]*)}")
_WHOLE_REFERENCE = re.compile(  # not ``${NAME:-default}`` and similar shell syntax, which Prefect does not support
    r"\$(?:[A-Za-z_]\w*|\{(?!\s)(?:[^{}\n:?+=]|\$\{[^{}\n]*\})+(?<!\s)\})", re.ASCII
)
_VARIABLE = re.compile(r"\$(\w+|\{[^}]*\})", re.ASCII)


@dataclass(frozen=True)
class LoadContext:
    """The rules and the environment for expanding and typing strings.

    Attributes:
        environ: the whole environment.
        home: the home directory of the user, for ``~`` if ``HOME`` is not set.
        users: the home directories of other users, for ``~name``.
        python: the version of Python.
        dialect: the rules.
    """

    dialect: Dialect
    environ: Mapping[str, str]
    home: str = "~"
    users: Mapping[str, str] = field(default_factory=dict)
    python: Python = (3, 8)


def is_reference(text: str) -> bool:
    """Return whether a text is only a reference: ``$NAME``, ``${NAME}`` or ``${a.b}``, as in Prefect's documentation.

    Args:
        text: the text as written.
    """
    return _WHOLE_REFERENCE.fullmatch(text) is not None


def decode_escapes(text: str) -> str:
    """Decode the value of a variable as Prefect does up to 0.13.14: UTF-8 bytes as backslash escapes and Latin-1.

    Args:
        text: the value of the variable.

    Raises:
        PrefectLoadError: ``import prefect`` fails because of an invalid escape, or text that is not UTF-8.
    """
    if "\\" not in text and text.isascii():
        return text
    try:
        with warnings.catch_warnings():  # an unknown escape warns
            warnings.simplefilter("ignore")
            return text.encode().decode("unicode_escape")
    except UnicodeError as error:
        raise PrefectLoadError(Failure(type(error).__name__, str(error), reveals=True)) from None


def expand(text: str, context: LoadContext) -> str:
    """Expand ``$NAME``, ``${NAME}`` and a leading ``~`` once, as ``os.path`` does on POSIX.

    Args:
        text: any text.
        context: the environment and the home directories.

    Raises:
        PrefectLoadError: the operating system does not accept the name of a variable or user, such as a lone
            surrogate.
    """
    if "$" in text:
        text = _VARIABLE.sub(lambda match: context.environ.get(_name_in(match.group(1)), match.group(0)), text)
    return _expand_home(text, context) if text.startswith("~") else text


def interpolate(value: Any, context: LoadContext) -> Tuple[Any, bool]:
    """Expand a value until nothing changes (``interpolate_env_vars`` of every release).

    Args:
        value: any value. Only strings are expanded.
        context: the environment and the home directories.

    Returns:
        The value, or None if ten rounds are not enough, and whether the value is typed.
    """
    if not isinstance(value, str) or ("$" not in value and not value.startswith("~")):
        return value, False
    for count in range(ROUNDS):
        expanded = expand(value, context)
        if expanded == value:
            return (string_to_type(value, context), True) if count > 1 else (value, False)
        if len(expanded) > LONGEST:
            break
        value = expanded
    return None, True


def string_to_type(value: Any, context: LoadContext) -> Any:
    """Convert a string to the value that it looks like.

    Args:
        value: a string. Any value without ``.upper()`` makes Prefect crash.
        context: the rules.

    Raises:
        PrefectLoadError: the value is already typed.
    """
    if isinstance(value, bytes):
        return value  # has .upper(), but is not a literal
    if not isinstance(value, str):
        raise PrefectLoadError(Failure("AttributeError", f"'{type_name(value)}' object has no attribute 'upper'"))
    if len(value) in (4, 5) and value.upper() in ("TRUE", "FALSE"):
        return value.upper() == "TRUE"
    if context.dialect.typing == "round_trip":
        return _same_number(value)
    try:
        return literal(value, context.python)
    except Exception:  # noqa: BLE001 (as Prefect does)
        return value


def read_variable(slot: Slot, context: LoadContext) -> None:
    """Decode, expand and type the value of a variable before it enters the configuration.

    Args:
        slot: the value of the variable, changed in place.
        context: the rules and the environment.

    Raises:
        PrefectLoadError: ``import prefect`` fails.
    """
    try:
        if context.dialect.unicode_escape:
            _step(slot, DECODED, decode_escapes(slot.value))
        value, typed = interpolate(slot.value, context)
        _step(slot, EXPANDED_TYPED if typed else EXPANDED, value)
        _step(slot, TYPED, string_to_type(slot.value, context))
    except PrefectLoadError as error:
        raise _located(error, slot) from None


def expand_and_type(slot: Slot, context: LoadContext) -> None:
    """Expand a string of the merged configuration and, from 0.11.2, type it.

    Args:
        slot: a value of the configuration, changed in place.
        context: the rules and the environment.

    Raises:
        PrefectLoadError: ``import prefect`` fails.
    """
    try:
        value, typed = interpolate(slot.value, context)
    except PrefectLoadError as error:
        raise _located(error, slot) from None
    _step(slot, EXPANDED_TYPED if typed else EXPANDED, value)
    if context.dialect.types_files and isinstance(slot.value, str):
        _step(slot, TYPED_AGAIN if slot.kind == "env" else TYPED, string_to_type(slot.value, context))


def substitute(flat: Dict[Key, Slot], *, backwards: bool = False, only: Optional[Key] = None) -> None:
    """Replace ``${a.b}`` with the values of other keys, in place, in at most ten rounds.

    Prefect iterates over a ``set`` of keys, whose order depends on PYTHONHASHSEED. The order matters only if references
    form a circle (or a chain of more than ten keys).

    Args:
        flat: the flat configuration.
        backwards: iterate in the opposite order, to find out whether the order matters.
        only: change only this key.
    """
    candidates = list(flat) if only is None else [only]
    pending = [key for key in candidates if isinstance(flat[key].value, str) and "${" in flat[key].value]
    if backwards:
        pending.reverse()
    for _ in range(ROUNDS):
        pending = [key for key in pending if _substitute_one(flat[key], flat)]


def has_references(slots: Iterable[Slot]) -> List[Slot]:
    """Return the values that refer to other keys.

    Args:
        slots: values of the flat configuration.
    """
    return [slot for slot in slots if isinstance(slot.value, str) and REFERENCE.search(slot.value)]


def _substitute_one(slot: Slot, flat: Dict[Tuple[str, ...], Slot]) -> bool:
    match = REFERENCE.search(slot.value) if isinstance(slot.value, str) else None
    if match is None:
        return False
    target = flat.get(tuple(match.group(1).split(".")))
    value = "" if target is None else target.value
    label = match.group(0) if target is not None else NO_KEY  # an unknown key may be part of a password
    if slot.value == match.group(0):
        slot.record_step(f"{TAKEN}{label}", value)
        return True
    if len(slot.value) > LONGEST:
        return False
    slot.record_step(f"{FILLED}{label}", slot.value.replace(match.group(0), str(value), 1))
    return True


def _located(error: PrefectLoadError, slot: Slot) -> PrefectLoadError:
    """Return an error with the place where the value is written."""
    failure = error.failure
    return PrefectLoadError(Failure(failure.type, failure.message, str(slot.origin), failure.reveals))


def _step(slot: Slot, what: str, value: Any) -> None:
    if value is not slot.value and (type(value) is not type(slot.value) or value != slot.value):
        slot.record_step(what, value)


def _name_in(reference: str) -> str:
    name = reference[1:-1] if reference.startswith("{") else reference
    _check_encoding(name)
    return name


def _check_encoding(name: str) -> None:
    """Reject a name that ``os.environ`` and ``pwd`` cannot encode in UTF-8, with ``surrogateescape``, on POSIX."""
    try:
        name.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError as error:
        raise PrefectLoadError(Failure("UnicodeEncodeError", str(error), reveals=True)) from None


def _expand_home(text: str, context: LoadContext) -> str:
    name, slash, rest = text[1:].partition("/")
    _check_encoding(name)
    if "\0" in name:
        raise PrefectLoadError(Failure("ValueError", "embedded null byte"))
    home = context.users.get(name) if name else context.environ.get("HOME", context.home)
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
