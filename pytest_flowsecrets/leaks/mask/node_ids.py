"""Ids of tests that contain secrets: reporters see a masked id, the test itself and the command line the real one.

A test is renamed at collection, which masks everything that is derived from its name: progress, reports, the cache, the
folder of ``tmp_path``. While the test's own code runs, it has its real name. Either name selects the test.
"""

from __future__ import annotations

import re
from contextlib import contextmanager
from itertools import zip_longest
from typing import Any, Callable, Dict, Iterable, Iterator, List, NamedTuple, Pattern, Sequence, Set, Tuple

_PLACEHOLDER = "\uf8f7"  # a private-use character, which no secret contains
_NUMBER = re.compile(r"[\d.+-]+")
_LONGEST_CHANCE = 10  # characters; a longer number does not occur in an id by chance
_CONTEXT = 4  # letters; a name with fewer letters around the number can occur in other texts


class Identity(NamedTuple):
    """The real and the masked name and node id of a test."""

    name: str
    nodeid: str
    masked_name: str
    masked_nodeid: str


class MaskedName(str):
    """The masked name of a test. It also equals the real name, which pytest compares with the command line."""

    __slots__ = ("real",)
    real: str

    def __eq__(self, other: object) -> bool:
        return str.__eq__(self, other) is True or other == self.real

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = str.__hash__


class RealId(str):
    """The real node id of a test, with the hash of the masked id.

    Until pytest 9, a test has the hash of its node id, which must not change while the test runs.
    """

    __slots__ = ("_hash",)
    _hash: int

    @classmethod
    def of(cls, nodeid: str, masked: str) -> RealId:
        """Return the real id of a test with the hash of the masked one."""
        real = cls(nodeid)
        real._hash = hash(masked)
        return real

    def __eq__(self, other: object) -> bool:
        return str.__eq__(self, other) is True

    def __hash__(self) -> int:
        return self._hash


class TestIds:
    """The renamed tests of a run, and the tests that keep a name in which digits of a secret occur by chance."""

    __test__ = False  # not a test class

    def __init__(self) -> None:
        self._identities: Dict[int, Identity] = {}  # by id(), because pytest 7 hashes a test by its node id
        self._items: List[Any] = []  # kept alive, so that no id() is reused
        self._masked: Dict[str, str] = {}  # masked node ids by real ones
        self._collected: Dict[str, str] = {}  # node ids from collection by those that were masked later
        self._counts: Dict[str, int] = {}
        self._kept: Set[str] = set()
        self._keywords: Set[str] = set()  # names of folders, files and classes of such tests
        self._patterns: Tuple[Pattern[Any], ...] = ()

    def __repr__(self) -> str:
        return f"<TestIds {len(self._masked)} masked>"

    def __bool__(self) -> bool:
        """Return whether a test has a masked name."""
        return bool(self._identities)

    def mask(
        self,
        items: Iterable[Any],
        redact: Callable[[str], str],
        find: Callable[[str], Sequence[Any]],
        names_in_marks: Callable[[Any], Set[str]],
    ) -> None:
        """Rename the tests whose names contain secrets. The new names are unique.

        Args:
            items: collected tests.
            redact: masks a text.
            find: returns the matches in a text.
            names_in_marks: returns the names of the secrets in a test's markers.
        """
        for item in items:
            matches = find(item.nodeid)
            segments = _kept_segments(item, matches, names_in_marks(item)) if matches else []
            if segments:
                self._kept.update(segments)
                self._keywords.update(part.name for part in item.listchain())
                self._patterns = ()
            elif matches or find(item.name):
                self._rename(item, redact)

    def keep_path(self, path: str, matches: Sequence[Any]) -> None:
        """Keep the path of a collected file or folder that contains digits of secrets only by chance.

        Its report comes before the tests that are collected from it, and possibly after the secret is registered.
        """
        if matches and _letters(path) >= _CONTEXT and all(_is_chance(path[each.start : each.end]) for each in matches):
            self._kept.update(_variants(path))
            self._keywords.add(path)
            self._patterns = ()

    def _rename(self, item: Any, redact: Callable[[str], str]) -> None:
        old = self._identities.get(id(item), Identity(item.name, item.nodeid, "", ""))
        nodeid = redact(item.nodeid)
        count = self._counts[nodeid] = self._counts.get(nodeid, 0) + 1
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
        """Return the node id that a test had at the end of collection, given any of its ids."""
        return self._masked.get(nodeid) or self._collected.get(nodeid, nodeid)

    def remember(self, collected: str, masked: str) -> None:
        """Note that a report shows another id, because a secret in the id was registered after collection."""
        self._collected[masked] = collected

    def real_id(self, item: Any) -> str:
        """Return the real node id of a test."""
        return self._identities[id(item)].nodeid if id(item) in self._identities else str(item.nodeid)

    @contextmanager
    def real(self, item: Any) -> Iterator[None]:
        """Give a test its real name inside a block, in which its own code runs."""
        identity = self._identities.get(id(item))
        if identity is None:
            yield
        else:
            with _named(item, identity.name, RealId.of(identity.nodeid, identity.masked_nodeid)):
                yield

    @contextmanager
    def masked(self, item: Any) -> Iterator[None]:
        """Give a test its masked name inside a block, in which pytest sets up a fixture such as ``tmp_path``."""
        identity = self._identities.get(id(item))
        if identity is None:
            yield
        else:
            with _named(item, identity.masked_name, identity.masked_nodeid):
                yield

    def deselected(self, items: Iterable[Any], prefixes: Sequence[str]) -> List[Any]:
        """Return the renamed tests whose real ids ``--deselect`` matches."""
        return [
            item
            for item in items
            if id(item) in self._identities and self._identities[id(item)].nodeid.startswith(tuple(prefixes))
        ]

    def keeps(self, keyword: Any) -> bool:
        """Return whether a text is the name of a folder, file or class that is not masked."""
        return keyword in self._keywords

    def apart(self, text: Any, redact: Callable[[Any], Any]) -> Any:
        """Mask a text, or bytes, except for the names that tests keep. If nothing is masked, return the same object."""
        if not self._kept:
            return redact(text)
        pattern, placeholder = self._kept_names(text)
        names = pattern.findall(text)
        if not names or placeholder in text:
            return redact(text)
        stripped = pattern.sub(placeholder, text)
        masked = redact(stripped)
        if masked is stripped:
            return text
        pieces = masked.split(placeholder)
        if len(pieces) != len(names) + 1:  # a mask covers a name and its surroundings
            return redact(text)
        return type(text)().join(piece for pair in zip_longest(pieces, names, fillvalue=type(text)()) for piece in pair)

    def _kept_names(self, text: Any) -> Tuple[Pattern[Any], Any]:
        """Return a pattern of the names that tests keep, and their placeholder, as text or bytes."""
        if not self._patterns:
            joined = "|".join(re.escape(name) for name in sorted(self._kept, key=len, reverse=True))
            self._patterns = re.compile(joined), re.compile(joined.encode("utf-8", "surrogatepass"))
        of_text, of_bytes = self._patterns
        return (of_text, _PLACEHOLDER) if isinstance(text, str) else (of_bytes, _PLACEHOLDER.encode())


def _kept_segments(item: Any, matches: Sequence[Any], own: Set[str]) -> List[str]:
    """Return the segments of a test's id in which digits of secrets occur by chance, or none if the id must be masked.

    A segment that is too short is not kept, because keeping it would show the number elsewhere.
    """
    if not _all_by_chance(item, matches, own):
        return []
    segments = [text for start, text in _segments(item) if any(_overlap(start, text, each) for each in matches)]
    if any(_letters(segment) < _CONTEXT for segment in segments):
        return []
    return [variant for segment in segments for variant in _variants(segment)]


def _all_by_chance(item: Any, matches: Iterable[Any], own: Set[str]) -> bool:
    """Return whether all matches in a test's id are short numbers, none of them a secret of the test's own markers."""
    return all(own.isdisjoint(each.names) and _is_chance(item.nodeid[each.start : each.end]) for each in matches)


def _is_chance(text: str) -> bool:
    """Return whether a text is a number that is short enough to occur in an id by chance."""
    return len(text) < _LONGEST_CHANCE and _NUMBER.fullmatch(text) is not None


def _segments(item: Any) -> Iterator[Tuple[int, str]]:
    """Yield the path, the classes and the name in a test's id, each with its position."""
    place = 0
    parents = item.nodeid[: -len(item.name)] if item.nodeid.endswith(item.name) else item.nodeid
    for text in (*filter(None, parents.split("::")), item.name):
        place = max(item.nodeid.find(text, place), place)
        yield place, text
        place += len(text)


def _overlap(start: int, text: str, match: Any) -> bool:
    return bool(match.start < start + len(text) and start < match.end)


def _variants(segment: str) -> Iterator[str]:
    """Yield the spellings of a segment in reports.

    A path also appears with backslashes, as a module, and as its last part.
    """
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


def set_nodeid(owner: Any, nodeid: str) -> None:
    """Set the node id of a test or a report. No public API does this in all supported versions of pytest."""
    if hasattr(owner, "_id"):  # a structure since pytest 9.1
        owner._id = type(owner._id).parse(nodeid)  # noqa: SLF001
    elif hasattr(owner, "_nodeid"):
        owner._nodeid = nodeid  # noqa: SLF001
    else:
        owner.nodeid = nodeid


def without_parameters(nodeid: str, note: str) -> str:
    """Return the id of a test with a note instead of its parameters."""
    function, bracket, _ = nodeid.partition("[")
    return f"{function}[{note}]" if bracket else nodeid
