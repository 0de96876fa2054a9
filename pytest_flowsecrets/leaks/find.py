"""Finding the known values in texts of any size: what they are called, in which form they stand, and where."""

from __future__ import annotations

from typing import Dict, Iterable, Iterator, List, Mapping, NamedTuple, Tuple, Union

from pytest_flowsecrets.leaks.forms import to_bytes
from pytest_flowsecrets.leaks.index import Hit, Index
from pytest_flowsecrets.leaks.payloads import payloads

_PIECE = 1 << 18  # characters read at once
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
        """Look for more values, or by more names."""
        for value, names in values.items():
            if value in self._numbers:
                self._names[self._numbers[value]] = names
            else:
                self._numbers[value] = len(self._names)
                self._names.append(names)
                self._index.add(value)

    def find(self, text: str) -> List[Match]:
        """Every known secret in a text, in order; of two at one place the longer one comes first."""
        if not self._names:
            return []
        found = [*self._in_pieces(text), *self._compressed(text)]
        return sorted(found, key=lambda match: (match.start, -match.end))

    def find_in_bytes(self, data: bytes) -> List[Match]:
        """The same for bytes, whatever they are; places are counted in bytes."""
        found = [*self._in_pieces(data), *self._compressed(data.decode("latin-1"))]
        return sorted(found, key=lambda match: (match.start, -match.end))

    def is_near(self, text: str, places: Iterable[Tuple[int, int]]) -> bool:
        """Whether a secret begins or ends at one of some places, given by beginning and end."""
        margin = self._index.widest + _BEFORE
        return any(self.find(text[max(0, start - margin) : end + margin]) for start, end in places)

    def _in_pieces(self, text: Union[str, bytes]) -> Iterator[Match]:
        """A piece sees so much of what follows that a value which begins in it ends in sight."""
        ahead = _OVERLAP + 2 * self._index.longest
        for start in range(0, len(text), _PIECE):
            low = max(0, start - _BEFORE)
            piece = text[low : start + _PIECE + ahead]
            data = to_bytes(piece) if isinstance(piece, str) else piece
            hits = self._index.find(data)
            at = _places(data, hits) if hits and len(data) != len(piece) else None
            for hit in hits:
                first, last = (at[hit.start], at[hit.end]) if at else (hit.start, hit.end)
                if start <= low + first < start + _PIECE:
                    form = f"{hit.kind}, {hit.note}" if hit.note else hit.kind
                    yield Match(low + first, low + last, self._names[hit.value], form)

    def _compressed(self, text: str) -> Iterator[Match]:
        for start, end, content in payloads(text):
            for number in sorted({hit.value for hit in self._index.find(content)}):
                yield Match(start, end, self._names[number], "compressed")


def _places(data: bytes, hits: Iterable[Hit]) -> Dict[int, int]:
    """The number of characters before each place in UTF-8 at which a hit begins or ends."""
    places, done, characters = {}, 0, 0
    for place in sorted({place for hit in hits for place in (hit.start, hit.end)}):
        characters += len(data[done:place].decode("utf-8", "surrogatepass"))
        places[place], done = characters, place
    return places
