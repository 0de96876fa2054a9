"""Find registered values in texts of any size: their names, forms and positions."""

from __future__ import annotations

import json
import threading
from typing import Any, Callable, Dict, Iterable, Iterator, List, Mapping, NamedTuple, Tuple, Union

from pytest_flowsecrets.leaks.formats.secret_parts import Part, parts_of
from pytest_flowsecrets.leaks.registry import registry
from pytest_flowsecrets.leaks.search.compressed import begins, payload
from pytest_flowsecrets.leaks.search.encodings import Form, to_bytes
from pytest_flowsecrets.leaks.search.extensions import forms_by_encoders
from pytest_flowsecrets.leaks.search.index import Index
from pytest_flowsecrets.leaks.search.skeletons import is_continuation
from pytest_flowsecrets.operating_system import register_at_fork

_PIECE = 1 << 19  # characters that are searched at once
_SHORT = 1 << 13  # characters
_BEFORE = 64  # characters that a piece shares with the previous one
_OVERLAP = 1 << 14  # characters that a piece shares with the next one, for wrapped values; more if values are long

# Held while an index is used. Code of hooks runs without it, because that code can wait for another thread that prints.
_lock = threading.RLock()


def _renew_lock() -> None:
    """Replace the lock in a forked child, in which the thread that held it does not run."""
    global _lock  # noqa: PLW0603 - the child has its own
    _lock = threading.RLock()


register_at_fork(after_in_child=_renew_lock)


class Match(NamedTuple):
    """A secret in a text.

    Attributes:
        start: the first character.
        end: the character after the last one.
        names: the names of the secret.
        form: the form, such as ``base64`` or ``raw, truncated``.
    """

    start: int
    end: int
    names: Tuple[str, ...]
    form: str

    @property
    def is_truncated(self) -> bool:
        """Whether only a part of the value is there."""
        return ", truncated" in self.form


class Finder:
    """Searches for values. Any thread can search while another one adds values.

    Args:
        values: texts with the names of their secrets.
    """

    def __init__(self, values: Mapping[str, Tuple[str, ...]]) -> None:
        self._index = Index()
        self._numbers: Dict[str, int] = {}
        self._names: List[Tuple[str, ...]] = []
        self.update(values)

    def __repr__(self) -> str:
        return f"<Finder of {len(self._names)} values>"

    def update(self, values: Mapping[str, Tuple[str, ...]]) -> None:
        """Search for more values, including the secrets inside structured ones, or change names."""
        for value, names in values.items():
            parts = [
                (part, () if part.text in self._numbers else [*forms_by_encoders(part.text)])
                for part in parts_of(value, registry.formats)
            ]
            with _lock:
                number = self._numbers.get(value)
                if number is not None:
                    self._names[number] = tuple(dict.fromkeys([*names, *self._names[number]]))
                for part, encoded in parts:
                    self._add(part, encoded, names, sliced=part.text == value)

    def _add(self, part: Part, encoded: Iterable[Form], names: Tuple[str, ...], *, sliced: bool) -> None:
        """Add a part. Only slices of whole values are leaks, because a part can contain public text in its middle."""
        number = self._numbers.get(part.text)
        if number is None:
            number = len(self._names)
            self._names.append(names)
            self._index.add(part, number, encoded, sliced=sliced)
            self._numbers[part.text] = number  # last: after an interruption, the next call adds the part again
        else:
            self._names[number] = tuple(dict.fromkeys([*self._names[number], *names]))

    def find(self, text: str) -> List[Match]:
        """Return every secret in a text, ordered by position, the longest first."""
        return [] if self.is_clean(text) else [*self.each(text)]

    def is_clean(self, text: str) -> bool:
        """Return whether a quick check shows that a short text contains no value, which is the usual case."""
        if len(text) >= _SHORT:
            return False
        data = to_bytes(text)
        with _lock:
            return self._index.passes(data) and not begins(data, binary=False)

    def each(self, text: Union[str, bytes]) -> Iterator[Match]:
        """Yield every secret in a text or in bytes while a large one is searched piece by piece.

        Positions are counted in characters or bytes.
        A piece includes enough of the following text that a value that begins in it is found as a whole.
        """
        ahead = _OVERLAP + 2 * self._index.longest
        for start in range(0, len(text), _PIECE) if self._names else ():
            low = max(0, start - _BEFORE)
            with _lock:
                matches = self._in_piece(text, low, text[low : start + _PIECE + ahead])
                inside = [match for match in matches if start <= match.start < start + _PIECE]
            yield from sorted(inside, key=lambda match: (match.start, -match.end))

    def is_foreign(self, text: str) -> bool:
        """Return whether no character of a text occurs in a form of any value, or between parts of a broken one."""
        return self._index.letters.isdisjoint(to_bytes(text))

    def is_near(self, text: str, places: Iterable[Tuple[int, int]]) -> bool:
        """Return whether a secret begins or ends near one of some spans."""
        margin = _BEFORE
        return any(self.find(text[max(0, start - margin) : end + margin]) for start, end in places)

    def _in_piece(self, text: Union[str, bytes], low: int, piece: Union[str, bytes]) -> Iterator[Match]:
        data = to_bytes(piece) if isinstance(piece, str) else piece
        hits, packed = self._index.find(data), sorted(begins(data, binary=not isinstance(piece, str)))
        characters: Dict[int, int] = {}  # positions in characters by positions in bytes, if they differ
        if len(data) != len(piece):
            hits = [hit._replace(start=_begin(data, hit.start), end=_end(data, hit.end)) for hit in hits]
            characters = _characters(data, [*(place for hit in hits for place in hit[:2]), *packed])
        for hit in hits:
            first, last = (low + characters.get(place, place) for place in hit[:2])
            yield Match(first, last, self._names[hit.value], hit.form)
        yield from self._in_payloads(text, [low + characters.get(place, place) for place in packed])

    def _in_payloads(self, text: Union[str, bytes], starts: Iterable[int]) -> Iterator[Match]:
        position = 0
        for start in starts:
            if start < position:
                continue  # inside the previous payload
            position, content = payload(text, start) or (start, b"")
            for number in self._index.values_in(content):
                yield Match(start, position, self._names[number], "compressed")


def _begin(data: bytes, place: int) -> int:
    """Return the first byte of the character at a position."""
    while _is_inside(data, place):
        place -= 1
    return place


def _end(data: bytes, place: int) -> int:
    """Return the first position at or after another one at which a character begins."""
    while _is_inside(data, place):
        place += 1
    return place


def _is_inside(data: bytes, place: int) -> bool:
    return place > 0 and is_continuation(data, place)


def _characters(data: bytes, places: Iterable[int]) -> Dict[int, int]:
    """Return the number of characters before each of some positions in UTF-8."""
    counts, position, characters = {}, 0, 0
    for place in sorted({*places}):
        characters += len(data[position:place].decode("utf-8", "surrogatepass"))
        counts[place], position = characters, place
    return counts


# -- the value of a secret in requests to an API -----------------------------------------------------------------------

_SHORTEST_VALUE = 6  # characters; a shorter value occurs in any text, so it must be the whole text
_LONG = 20_000  # characters; of a longer value, only the forms of a whole text in JSON are searched for
_LEAF = 8  # characters; a shorter text in a table or list is not a secret by itself


def forms_of(value: Any) -> List[str]:
    """Return the texts to search for, without duplicates: the value, as text or JSON, and the texts in it."""
    return list(dict.fromkeys(_texts(value)))


def finder(texts: List[str]) -> Callable[[str], bool]:
    """Return a function that checks whether a text contains one of some values, whole and in any form.

    A short value must be the whole text. Truncated values are ignored: no client truncates values, and ``set_secret``
    would be a truncated ``my_secret``.
    """
    short = {text for text in texts if len(text) < _SHORTEST_VALUE}
    long = Finder({text: ("",) for text in texts if _SHORTEST_VALUE <= len(text) <= _LONG})
    huge = [form for text in texts if len(text) > _LONG for form in _plain_forms(text)]

    def finds(text: str) -> bool:
        return text in short or _has_whole(long, text) or any(form in text for form in huge)

    return finds


def _has_whole(values: Finder, text: str) -> bool:
    return any(not match.is_truncated for match in values.find(text))


def _plain_forms(text: str) -> List[str]:
    return [text, json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1]]


def any_of(finders: List[Callable[[str], bool]]) -> Callable[[str], bool]:
    """Return a function that checks whether one of several functions finds something in a text."""
    return lambda text: any(finds(text) for finds in finders)


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
        return
    for separators in ((", ", ": "), (",", ":")):
        yield json.dumps(value, separators=separators)
        yield json.dumps(value, separators=separators, ensure_ascii=False)
    yield repr(value)
    yield from (leaf for leaf in _leaves(value) if len(leaf) >= _LEAF)


def _leaves(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, (dict, list)):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _leaves(inner)
