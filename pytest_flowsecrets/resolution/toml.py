"""TOML text -> :class:`~pytest_flowsecrets.resolution.layers.Layer`, with lines and columns.

Three parsers, each for what it is good at. ``toml`` 0.10.2 is the one that every Prefect of this line uses, so its
reading, with its errors, is what a flow gets; it is handed in by the caller where it is installed (any Prefect brings
it). ``tomli`` says whether a text is TOML 1.0, and where it is not. ``tomlkit`` is asked for positions only. Where the
first two disagree, that is a finding (:func:`differences`); without the first, tomli's reading stands in for it.
"""

from __future__ import annotations

import math
import re
from functools import lru_cache
from typing import Any, Callable, Dict, Iterator, List, Mapping, NamedTuple, Optional, Tuple, Union

from pytest_flowsecrets.resolution.layers import Failure, Layer
from pytest_flowsecrets.resolution.positions import Position, positions_of

Parser = Callable[[str], Mapping[str, Any]]
Key = Tuple[str, ...]

DEEPEST = 200
_STRING = re.compile(r"\"(?:\\.|[^\"\\\n])*\"|'[^'\n]*'")


class SyntaxFault(NamedTuple):
    """Why a text is no TOML 1.0, and where."""

    line: Optional[int]
    column: Optional[int]
    reason: str


class Difference(NamedTuple):
    """A key that Prefect's parser reads in another way than TOML 1.0 says; ``only`` names the reader that knows it."""

    key: Key
    only: str


def read_layer(
    source: Union[str, bytes], kind: str = "user", place: str = "", legacy: Optional[Parser] = None
) -> Layer:
    """Read one file's text the way Prefect would.

    Args:
        source: the file's bytes, or its text.
        kind: ``user``, ``backend`` or ``defaults``.
        place: the file's name, for messages.
        legacy: ``toml.loads`` where it is installed.

    Returns:
        A layer; where Prefect's parser would fail, its ``failure`` says how, and its data is empty.
    """
    try:
        text = decode(source)
    except UnicodeDecodeError as error:
        return Layer(kind, {}, place, Failure("UnicodeDecodeError", str(error), place))
    try:
        refuse_deep(text)
        data = (legacy or _standard)(text)
    except Exception as error:  # noqa: BLE001 (toml 0.10.2 also raises IndexError, TypeError and others)
        kind_of_error = type(error).__name__.replace("TOMLDecodeError", "TomlDecodeError")
        return Layer(kind, {}, place, Failure(kind_of_error, str(error), place, reveals=True))
    return Layer(kind, data, place, find=lru_cache(maxsize=None)(_finder(text)))


def decode(source: Union[str, bytes]) -> str:
    """Turn a file's bytes into text as Prefect's parser opens it: UTF-8 only, line ends translated.

    Args:
        source: bytes, or text that is kept but for its line ends.

    Raises:
        UnicodeDecodeError: no UTF-8.
    """
    text = source if isinstance(source, str) else source.decode("utf-8")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def syntax_fault(text: str) -> Optional[SyntaxFault]:
    """Check a text against TOML 1.0.

    Args:
        text: the file's text.

    Returns:
        The first fault, or None. The reason never holds a part of the text.
    """
    try:
        _standard(text)
    except RecursionError:
        return SyntaxFault(None, None, "nested too deeply")
    except ValueError as error:
        found = re.search(r"\(at line (\d+), column (\d+)\)", str(error))
        reason = _without_values(str(error))
        return SyntaxFault(int(found.group(1)), int(found.group(2)), reason) if found else _at_end(text, reason)
    return None


def differences(text: str, legacy: Parser) -> List[Difference]:
    """Compare Prefect's reading of a text with TOML 1.0's.

    Args:
        text: valid TOML 1.0.
        legacy: ``toml.loads``.

    Returns:
        The keys that differ; one difference with an empty key where Prefect's parser fails altogether.
    """
    standard = dict(_leaves(_standard(text)))
    try:
        actual = dict(_leaves(legacy(text)))
    except Exception:  # noqa: BLE001 (whatever it raises, Prefect does not start)
        return [Difference((), "standard")]
    missing = [
        Difference(key, "standard") for key, value in standard.items() if not _same(value, actual.get(key, _NONE))
    ]
    return missing + [Difference(key, "legacy") for key in actual if key not in standard]


_NONE = object()


def _standard(text: str) -> Mapping[str, Any]:
    import tomli

    refuse_deep(text)
    return tomli.loads(text)


def refuse_deep(text: str) -> None:
    """Refuse what would end the process: tomli's compiled form, or on Python 3.8 any parser, runs out of stack.

    Args:
        text: TOML.

    Raises:
        RecursionError: brackets are nested beyond any use.
    """
    if _depth(text) > DEEPEST:
        raise RecursionError("nested too deeply")


def _depth(text: str) -> int:
    """How deeply brackets are nested outside of strings; cheap where there are few."""
    if text.count("[") + text.count("{") <= DEEPEST:
        return 0
    depth = deepest = 0
    for bracket in re.findall(r"[\[\]{}]", _STRING.sub("", text)):
        depth += 1 if bracket in "[{" else -1
        deepest = max(deepest, depth)
    return deepest


def _finder(text: str) -> Callable[[Key], Optional[Position]]:
    found: Dict[Key, Position] = {}

    def find(key: Key) -> Optional[Position]:
        if not found:
            found.update(positions_of(text))
        return found.get(key)

    return find


def _without_values(message: str) -> str:
    message = re.sub(r"\s*\(at .*\)$", "", message)
    return re.sub(r"(?:'|\").*(?:'|\")", "a character", message)


def _at_end(text: str, reason: str) -> SyntaxFault:
    lines = text.split("\n")
    return SyntaxFault(len(lines), len(lines[-1]) + 1, reason)


def _leaves(tables: Mapping[str, Any], parent: Key = ()) -> Iterator[Tuple[Key, Any]]:
    for name, value in tables.items():
        if isinstance(value, dict):
            yield from _leaves(value, (*parent, name))
        else:
            yield (*parent, name), value


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, float) and isinstance(other, float) and math.isnan(one):
        return math.isnan(other)
    return bool(type(one) is type(other) and one == other)
