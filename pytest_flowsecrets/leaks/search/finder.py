"""Finding the known values in texts of any size: what they are called, in which form they stand, and where."""

from __future__ import annotations

import json
from typing import Any, Callable, Dict, Iterable, Iterator, List, Mapping, NamedTuple, Tuple, Union

from pytest_flowsecrets.leaks.formats.parts import Part, parts_of
from pytest_flowsecrets.leaks.registry import registry
from pytest_flowsecrets.leaks.search.compressed import begins, payload
from pytest_flowsecrets.leaks.search.encodings import to_bytes
from pytest_flowsecrets.leaks.search.index import Index

_PIECE = 1 << 19  # characters read at once
_SHORT = 1 << 13  # characters
_BEFORE = 64  # characters read again, to see what a piece begins with
_OVERLAP = 1 << 14  # characters read ahead at least, for values that are broken over lines


class Match(NamedTuple):
    """A known secret in a text.

    Attributes:
        start: the first character.
        end: the one behind the last.
        names: what the secret is called.
        form: the form, such as ``base64`` or ``raw, cut``.
    """

    start: int
    end: int
    names: Tuple[str, ...]
    form: str


class Finder:
    """Looks for values.

    Args:
        values: texts, each with its names.
    """

    def __init__(self, values: Mapping[str, Tuple[str, ...]]) -> None:
        self._index = Index()
        self._numbers: Dict[str, int] = {}
        self._names: List[Tuple[str, ...]] = []
        self.update(values)

    def __repr__(self) -> str:
        return f"<Finder of {len(self._names)} values>"

    def update(self, values: Mapping[str, Tuple[str, ...]]) -> None:
        """Look for more values and for the secrets inside structured ones, or by more names."""
        for value, names in values.items():
            number = self._numbers.get(value)
            if number is not None:
                self._names[number] = tuple(dict.fromkeys([*names, *self._names[number]]))
            for part in parts_of(value, registry.formats):
                self._add(part, names, sliced=part.text == value)

    def _add(self, part: Part, names: Tuple[str, ...], *, sliced: bool) -> None:
        """Look for a part. Slices are looked for in whole values only: a part can hold public text in its middle."""
        number = self._numbers.get(part.text)
        if number is None:
            self._numbers[part.text] = len(self._names)
            self._names.append(names)
            self._index.add(part, sliced=sliced)
        else:
            self._names[number] = tuple(dict.fromkeys([*self._names[number], *names]))

    def find(self, text: str) -> List[Match]:
        """Every known secret in a text, in order; of two at one place the longer one comes first."""
        return [] if self.is_clean(text) else [*self.each(text)]

    def is_clean(self, text: str) -> bool:
        """Return whether a glance shows that a text holds no value. Most short ones are so."""
        if len(text) >= _SHORT:
            return False
        data = to_bytes(text)
        return self._index.passes(data) and not begins(data, binary=False)

    def find_in_bytes(self, data: bytes) -> List[Match]:
        """The same for bytes, whatever they are; places are counted in bytes."""
        return [*self.each(data)]

    def each(self, text: Union[str, bytes]) -> Iterator[Match]:
        """The same, one by one, as a large text is looked through.

        A piece of it sees so much of what follows that a value which begins in it ends in sight.
        """
        ahead = _OVERLAP + 2 * self._index.longest
        for start in range(0, len(text), _PIECE) if self._names else ():
            low = max(0, start - _BEFORE)
            found = self._in_piece(text, low, text[low : start + _PIECE + ahead])
            inside = [match for match in found if start <= match.start < start + _PIECE]
            yield from sorted(inside, key=lambda match: (match.start, -match.end))

    def is_foreign(self, text: str) -> bool:
        """Whether no character of a text is in any form of any value, nor between the parts of a broken one."""
        return self._index.letters.isdisjoint(to_bytes(text))

    def is_near(self, text: str, places: Iterable[Tuple[int, int]]) -> bool:
        """Whether a secret begins or ends at one of some places, given by beginning and end."""
        margin = _BEFORE
        return any(self.find(text[max(0, start - margin) : end + margin]) for start, end in places)

    def _in_piece(self, text: Union[str, bytes], low: int, piece: Union[str, bytes]) -> Iterator[Match]:
        data = to_bytes(piece) if isinstance(piece, str) else piece
        hits, packed = self._index.find(data), begins(data, binary=not isinstance(piece, str))
        if isinstance(piece, str) and len(data) != len(piece):
            hits = [hit._replace(start=_begin(data, hit.start), end=_end(data, hit.end)) for hit in hits]
        places = [*(place for hit in hits for place in hit[:2]), *packed]
        at = _characters(data, places) if places and len(data) != len(piece) else None
        for hit in hits:
            first, last = (at[hit.start], at[hit.end]) if at else (hit.start, hit.end)
            form = f"{hit.kind}, {hit.note}" if hit.note else hit.kind
            yield Match(low + first, low + last, self._names[hit.value], form)
        done = 0
        for place in sorted(packed):
            start = low + (at[place] if at else place)
            if start < done:
                continue  # inside another
            end, content = payload(text, start) or (start, b"")
            done = end
            for number in self._index.values_in(content):
                yield Match(start, end, self._names[number], "compressed")


def _begin(data: bytes, place: int) -> int:
    """Return where the character begins in which a place is."""
    while _is_inside(data, place):
        place -= 1
    return place


def _end(data: bytes, place: int) -> int:
    """Return where the character ends in which a place is."""
    while _is_inside(data, place):
        place += 1
    return place


def _is_inside(data: bytes, place: int) -> bool:
    return 0 < place < len(data) and data[place] & 0xC0 == 0x80  # noqa: PLR2004 - a byte that goes on in UTF-8


def _characters(data: bytes, places: Iterable[int]) -> Dict[int, int]:
    """The number of characters before each of some places in UTF-8."""
    found, done, characters = {}, 0, 0
    for place in sorted({*places}):
        characters += len(data[done:place].decode("utf-8", "surrogatepass"))
        found[place], done = characters, place
    return found


# The forms in which a secret's value is looked for in what an API was sent.

_SHORTEST_VALUE = 6  # characters; what is shorter stands in any text, so it has to be the whole text
_LONG = 20_000  # characters; of what is longer, only the forms that a whole text has in JSON are looked for
_LEAF = 8  # characters; a shorter text within a table or list is no secret by itself


def forms_of(value: Any) -> List[str]:
    """The texts to look for, each once: the value as it is, or as JSON, and the texts inside it."""
    return list(dict.fromkeys(_texts(value)))


def finder(texts: List[str]) -> Callable[[str], bool]:
    """Whether a text holds one of them whole, in any of the forms of ``leaks``; a short one has to be the whole text.

    Nothing on the way to an API cuts values; `set_secret` would be a cut `my_secret`.
    """
    short = {text for text in texts if len(text) < _SHORTEST_VALUE}
    long = Finder({text: ("",) for text in texts if _SHORTEST_VALUE <= len(text) <= _LONG})
    huge = [form for text in texts if len(text) > _LONG for form in _plain_forms(text)]
    return lambda text: (
        text in short or any("cut" not in match.form for match in long.find(text)) or any(form in text for form in huge)
    )


def _plain_forms(text: str) -> List[str]:
    return [text, json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1]]


def any_of(finders: List[Callable[[str], bool]]) -> Callable[[str], bool]:
    """Whether one of several finds something in a text."""
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
