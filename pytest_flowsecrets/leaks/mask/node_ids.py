"""Ids of tests that hold secrets: reporters see the masked one, the test itself and the command line the real one.

A test is renamed when it is collected, so that everything that is made of its name is masked: progress, reports, the
cache, the folder of ``tmp_path``. While its own code runs it has its real name. Either name selects it.
"""

from __future__ import annotations

import re
from contextlib import contextmanager
from itertools import zip_longest
from typing import Any, Callable, Dict, Iterable, Iterator, List, NamedTuple, Pattern, Sequence, Set, Tuple

from pytest_flowsecrets.leaks.mask.pytest_items import names_in_marks, set_nodeid

_STAND_IN = "\uf8f7"  # a character for private use: no secret is looked for in it
_NUMBER = re.compile(r"[\d.+-]+")
_CHANCE = 10  # characters; a test's id holds a longer number of a secret for a reason
_CONTEXT = 4  # letters; with fewer beside the number, a name could stand in other texts


class Identity(NamedTuple):
    """The real and the masked name and node id of a test."""

    name: str
    nodeid: str
    masked_name: str
    masked_nodeid: str


class MaskedName(str):
    """The masked name of a test, which equals the real name too: pytest compares it with the command line's."""

    __slots__ = ("real",)
    real: str

    def __eq__(self, other: object) -> bool:
        return str.__eq__(self, other) is True or other == self.real

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = str.__hash__


class RealId(str):
    """The real node id of a test, with the hash of the masked one: up to pytest 9 it is the hash of the test."""

    __slots__ = ("_hash",)
    _hash: int

    @classmethod
    def of(cls, nodeid: str, masked: str) -> RealId:
        """Return the real id of a test whose masked id is another."""
        real = cls(nodeid)
        real._hash = hash(masked)
        return real

    def __eq__(self, other: object) -> bool:
        return str.__eq__(self, other) is True

    def __hash__(self) -> int:
        return self._hash


class TestIds:
    """The tests of a run that were renamed, and those that keep a name in which a secret's digits stand by chance."""

    __test__ = False  # it is no test

    def __init__(self) -> None:
        self._identities: Dict[int, Identity] = {}  # by id: pytest 7 hashes a test by its node id
        self._items: List[Any] = []  # kept alive, so that no other test gets the id of one
        self._masked: Dict[str, str] = {}  # node ids by the real ones
        self._collected: Dict[str, str] = {}  # node ids as they were collected, by those that were masked later
        self._taken: Dict[str, int] = {}
        self._kept: Set[str] = set()
        self._keywords: Set[str] = set()  # folders, files and classes of the tests that keep such a name
        self._patterns: Tuple[Pattern[Any], ...] = ()

    def __repr__(self) -> str:
        return f"<TestIds {len(self._masked)} masked>"

    def mask(self, items: Iterable[Any], redact: Callable[[str], str], find: Callable[[str], Sequence[Any]]) -> None:
        """Rename the tests in whose names secrets stand; names stay different from each other.

        Args:
            items: tests, as collected.
            redact: masks a text.
            find: gives what would be masked.
        """
        for item in items:
            matches = find(item.nodeid)
            kept = _kept_segments(item, matches)
            if kept:
                self._kept.update(kept)
                self._keywords.update(part.name for part in item.listchain())
                self._patterns = ()
            elif matches or find(item.name):
                self._rename(item, redact)

    def _rename(self, item: Any, redact: Callable[[str], str]) -> None:
        old = self._identities.get(id(item), Identity(item.name, item.nodeid, "", ""))
        nodeid = redact(item.nodeid)
        count = self._taken[nodeid] = self._taken.get(nodeid, 0) + 1
        suffix = f"-{count}" if count > 1 else ""
        name = MaskedName(redact(item.name) + suffix)
        name.real = old.name
        new = old._replace(masked_name=name, masked_nodeid=nodeid + suffix)
        self._identities[id(item)] = new
        self._items.append(item)
        self._masked[new.nodeid] = new.masked_nodeid
        item.extra_keyword_matches.add(new.name)
        _set_names(item, new.masked_name, new.masked_nodeid)

    def collected_id(self, nodeid: str) -> str:
        """Return the node id that a test had when its collection ended, masked or not, by any of its ids."""
        return self._masked.get(nodeid) or self._collected.get(nodeid, nodeid)

    def remember(self, collected: str, masked: str) -> None:
        """Remember that a report shows another id, as a secret in it was learnt after the collection."""
        self._collected[masked] = collected

    def real_id(self, item: Any) -> str:
        """Return the real node id of a test."""
        return self._identities[id(item)].nodeid if id(item) in self._identities else str(item.nodeid)

    @contextmanager
    def real(self, item: Any) -> Iterator[None]:
        """Give a test its real name, while its own code runs."""
        identity = self._identities.get(id(item))
        if identity is None:
            yield
        else:
            with _named(item, identity.name, RealId.of(identity.nodeid, identity.masked_nodeid)):
                yield

    @contextmanager
    def masked(self, item: Any) -> Iterator[None]:
        """Give a test its masked name, while a fixture of pytest's is set up: ``tmp_path`` names a folder after it."""
        identity = self._identities.get(id(item))
        if identity is None:
            yield
        else:
            with _named(item, identity.masked_name, identity.masked_nodeid):
                yield

    def deselected(self, items: Iterable[Any], prefixes: Sequence[str]) -> List[Any]:
        """Return the renamed tests that ``--deselect`` names by their real ids."""
        return [
            item
            for item in items
            if id(item) in self._identities and self._identities[id(item)].nodeid.startswith(tuple(prefixes))
        ]

    def keeps(self, keyword: Any) -> bool:
        """Return whether a text is the whole name of a folder, file or class of a test that keeps its name."""
        return keyword in self._keywords

    def apart(self, text: Any, redact: Callable[[Any], Any]) -> Any:
        """Mask a text, or bytes, but for the names that tests keep; the same object if there is nothing to mask."""
        if not self._kept:
            return redact(text)
        pattern, stand_in = self._kept_names(text)
        names = pattern.findall(text)
        if not names or stand_in in text:
            return redact(text)
        stripped = pattern.sub(stand_in, text)
        masked = redact(stripped)
        if masked is stripped:
            return text
        pieces = masked.split(stand_in)
        if len(pieces) != len(names) + 1:  # something around a name was masked together with it
            return redact(text)
        return type(text)().join(piece for pair in zip_longest(pieces, names, fillvalue=type(text)()) for piece in pair)

    def _kept_names(self, text: Any) -> Tuple[Pattern[Any], Any]:
        """A pattern of the names that tests keep, and what stands for them, in text or in bytes."""
        if not self._patterns:
            joined = "|".join(re.escape(name) for name in sorted(self._kept, key=len, reverse=True))
            self._patterns = re.compile(joined), re.compile(joined.encode("utf-8", "surrogatepass"))
        of_text, of_bytes = self._patterns
        return (of_text, _STAND_IN) if isinstance(text, str) else (of_bytes, _STAND_IN.encode())


def _kept_segments(item: Any, matches: Sequence[Any]) -> List[str]:
    """Return the segments of a test's id in which digits of secrets stand by chance; none if the id is to be masked.

    It is no chance if the number is long, if it is a secret of the test's own marks, if something else than a number
    stands there, or if a segment is so short that keeping it would show the number elsewhere.
    """
    own = names_in_marks(item)
    for each in matches:
        text = item.nodeid[each.start : each.end]
        if len(text) >= _CHANCE or not _NUMBER.fullmatch(text) or not own.isdisjoint(each.names):
            return []
    segments = [text for start, text in _segments(item) if any(_overlap(start, text, each) for each in matches)]
    if any(_letters(segment) < _CONTEXT for segment in segments):
        return []
    return [variant for segment in segments for variant in _variants(segment)]


def _segments(item: Any) -> Iterator[Tuple[int, str]]:
    """Yield the path, the classes and the name in a test's id, each with its place."""
    place = 0
    parents = item.nodeid[: -len(item.name)] if item.nodeid.endswith(item.name) else item.nodeid
    for text in (*filter(None, parents.split("::")), item.name):
        place = max(item.nodeid.find(text, place), place)
        yield place, text
        place += len(text)


def _overlap(start: int, text: str, match: Any) -> bool:
    return bool(match.start < start + len(text) and start < match.end)


def _variants(segment: str) -> Iterator[str]:
    """Yield how reporters write a segment: as it is; a path also as one of Windows, as a module, and its last part."""
    module = re.sub(r"\.py$", "", segment)
    yield segment
    yield module.replace("/", "\\")
    yield module.replace("/", ".")
    last = module.rpartition("/")[2]
    if _letters(last) >= _CONTEXT:
        yield last


def _letters(text: str) -> int:
    return sum(map(str.isalpha, text))


@contextmanager
def _named(item: Any, name: str, nodeid: str) -> Iterator[None]:
    old = item.name, item.nodeid
    _set_names(item, name, nodeid)
    try:
        yield
    finally:
        _set_names(item, *old)


def _set_names(item: Any, name: str, nodeid: str) -> None:
    item.name = name
    set_nodeid(item, nodeid)
