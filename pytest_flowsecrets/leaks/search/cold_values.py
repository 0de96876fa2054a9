"""Values that are found by sorted arrays, so that a run with thousands of secrets needs little memory.

The tables of the index need 15 to 40 kB for a value. If there are more than ``MOST_HOT`` values, the older ones become
*cold*: their windows are kept as sorted numbers, in less than 2 kB. If a text contains a window of a cold value, the
index adds the value to its tables again before it searches the text, so the results are the same.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from heapq import merge
from itertools import groupby
from typing import TYPE_CHECKING, Dict, Iterable, Iterator, Sequence, Set, Tuple

from pytest_flowsecrets.leaks.search.skeletons import anchors_of

if TYPE_CHECKING:
    from pytest_flowsecrets.leaks.formats.secret_parts import Part
    from pytest_flowsecrets.leaks.search.encodings import Form
    from pytest_flowsecrets.leaks.search.skeleton_tables import Table

MOST_HOT = 1_000  # values in the tables of the index before older ones become cold
_MOST_SHARED = 8  # values with the same window; if more values share one, they stay in the tables
_WORD, _WINDOW, _PAIR = 4, 7, 8  # as in skeleton_tables
_CHUNK = 1 << 14  # bytes, a multiple of the word
_BESIDE = 4  # bytes of a truncated value that are looked up next to an ellipsis

ColdParts = Dict[int, Tuple["Part", bool]]  # by number of the value: the part, and whether its slices are leaks
Truncated = Dict[bytes, Tuple["Form", int]]


class _Numbers:
    """A sorted multimap of 64-bit numbers to values, 12 bytes for each pair."""

    def __init__(self) -> None:
        self._keys, self._values = array("Q"), array("I")

    def add(self, pairs: Iterable[Tuple[int, int]]) -> None:
        """Add pairs of a number and a value, without duplicates."""
        keys, values = array("Q"), array("I")
        for (key, value), _ in groupby(merge(zip(self._keys, self._values), sorted({*pairs}))):
            keys.append(key)
            values.append(value)
        self._keys, self._values = keys, values

    def of(self, key: int) -> Sequence[int]:
        """Return the values with a number."""
        at = bisect_left(self._keys, key)
        if at == len(self._keys) or self._keys[at] != key:
            return ()
        return self._values[at : bisect_right(self._keys, key, at)]


class _ColdTable:
    """The windows of cold values in one alphabet.

    Args:
        table: the table of the index for the same forms.
    """

    def __init__(self, table: Table) -> None:
        self._table = table
        self._anchors = array("I")
        self._last = -1  # the highest anchor
        self._windows = _Numbers()

    def shared(self) -> Set[int]:
        """Return the values in the table that must stay there."""
        return self._table.short_values().union(
            *(
                values
                for window, values in self._table.windows()
                if len(values) + len(self._windows.of(_number(window))) > _MOST_SHARED
            )
        )

    def take(self, values: Set[int]) -> None:
        """Move the windows of some values from the table to the arrays."""
        removed = self._table.remove(values)
        self._windows.add((_number(window), value) for window, value in removed)
        anchors = sorted({*anchors_of(window for window, _ in removed)})
        self._anchors = array("I", (anchor for anchor, _ in groupby(merge(self._anchors, anchors))))
        self._last = self._anchors[-1] if self._anchors else -1

    def values_in(self, data: bytes) -> Iterator[int]:
        """Yield the values of which a window can occur in some bytes."""
        anchors, last = self._anchors, self._last
        if not anchors:
            return
        text = data.translate(None, self._table.alphabet.dropped)
        for start in range(0, len(text) - _WORD + 1, _CHUNK):
            words = array("I", text[start : start + (min(_CHUNK, len(text) - start) & -_WORD)])
            present = {word for word in {*words} if word <= last and anchors[bisect_left(anchors, word)] == word}
            if present:
                places = (start + number * _WORD for number, word in enumerate(words) if word in present)
                for at in places:
                    yield from self._values_at(text, at)

    def _values_at(self, text: bytes, at: int) -> Iterator[int]:
        for start in range(max(0, at + _WORD - _WINDOW), at + 1):
            yield from self._windows.of(_number(text[start : start + _WINDOW]))
        yield from self._windows.of(_number(text[at : at + _PAIR]))


def _number(window: bytes) -> int:
    return int.from_bytes(window, "little")


def keep_first(forms: Truncated, part: bytes, form: Tuple[Form, int]) -> None:
    """Add a truncated form unless a value that was registered earlier has the same one."""
    if part not in forms or form[1] < forms[part][1]:
        forms[part] = form


def divided(forms: Truncated, values: Set[int]) -> Tuple[Truncated, Truncated]:
    """Return the truncated forms of all other values, and those of some values."""
    of_values = {part: form for part, form in forms.items() if form[1] in values}
    return {part: form for part, form in forms.items() if part not in of_values}, of_values


class ColdValues:
    """The cold values of an index.

    Args:
        tables: the tables of the index.
        rare_tables: its tables of rare forms.
    """

    def __init__(self, tables: Iterable[Table], rare_tables: Iterable[Table]) -> None:
        self._parts: ColdParts = {}
        self._tables = [_ColdTable(table) for table in tables]
        self._rare_tables = [_ColdTable(table) for table in rare_tables]
        self._before, self._after = _Numbers(), _Numbers()  # what truncated values begin and end with

    def __len__(self) -> int:
        return len(self._parts)

    def freezable(self, values: Iterable[int]) -> Set[int]:
        """Return the values that can become cold. Those that share a window with many others, or are short, cannot."""
        return {*values}.difference(*(table.shared() for table in (*self._tables, *self._rare_tables)))

    def add(self, parts: ColdParts, before: Truncated, after: Truncated) -> None:
        """Move values from the tables of the index to the arrays.

        Args:
            parts: the values, by their numbers.
            before: their truncated forms before an ellipsis.
            after: their truncated forms after an ellipsis.
        """
        values = {*parts}
        for table in (*self._tables, *self._rare_tables):
            table.take(values)
        self._before.add((_number(part[:_BESIDE]), value) for part, (_, value) in before.items())
        self._after.add((_number(part[-_BESIDE:]), value) for part, (_, value) in after.items())
        self._parts.update(parts)

    def take(self, data: bytes, *, rare: bool) -> ColdParts:
        """Remove and return the values of which a window occurs in some bytes.

        Args:
            data: any bytes.
            rare: whether they can contain a rare form.
        """
        if not self._parts:
            return {}
        tables = [*self._tables, *(self._rare_tables if rare else ())]
        return self._removed(value for table in tables for value in table.values_in(data))

    def take_beside(self, data: bytes, start: int, end: int, sizes: Iterable[int]) -> ColdParts:
        """Remove and return the values of which a truncated form of one of some sizes can be next to an ellipsis."""
        if not self._parts:
            return {}
        found: Set[int] = set()
        for size in sizes:
            if size <= start:
                found.update(self._before.of(_number(data[start - size : start - size + _BESIDE])))
            found.update(self._after.of(_number(data[end + size - _BESIDE : end + size])))
        return self._removed(found)

    def _removed(self, values: Iterable[int]) -> ColdParts:
        return {value: self._parts.pop(value) for value in sorted({*values}) if value in self._parts}
