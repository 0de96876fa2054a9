"""Which texts are searched for because of a secret.

One rule covers all structured secrets:

1. A value without a known format is searched for as it is, and so are its truncated forms.
2. A value with a format is divided into leaves, see ``known_formats.FORMATS``, and these are divided again.
3. Sensitive leaves and their truncated forms are searched for, see ``sensitive_fields.rank``. Public leaves are not.
   Unclear leaves are searched for only if no leaf is sensitive.
4. The value itself is searched for as a whole. Parts of its public frame occur in other values, too.

The structure of a value is computed once, when the first text is searched after the value was registered.
"""

from __future__ import annotations

import re
from typing import Any, Dict, Iterable, Iterator, List, NamedTuple, Sequence, Tuple

from pytest_flowsecrets.leaks.formats import is_common
from pytest_flowsecrets.leaks.formats.encoded_secrets import data_leaves, decoded
from pytest_flowsecrets.leaks.formats.known_formats import FORMATS, Format
from pytest_flowsecrets.leaks.formats.sensitive_fields import (
    SENSITIVE,
    UNCLEAR,
    Leaf,
    is_location,
    public_head,
    public_tail,
    rank,
)

_MAX_DEPTH = 5  # of nested formats
_CORE = 12  # characters that locate a leaf in its value
# The beginnings that all tokens of a service share, and schemes.
_HEAD = re.compile(
    r"github_pat_|sk_(?:live|test)_|pypi-AgEIcHlwaS5vcmcC?|pypi-AgENdGVzdC5weXBpLm9yZwI?|dckr_pat_|sk-proj-|dop_v1_|"
    r"sk-ant-[a-z]+\d+-|glpat-|ATATT3xFfGF0|EAACEdEose0cBA|gAAAAAB|[A-Za-z][A-Za-z0-9+.-]*://|Bearer |Basic "
)


class Part(NamedTuple):
    """A text to search for because of a secret.

    Attributes:
        text: the text.
        head: the number of public characters at its beginning.
        tail: the number of public characters at its end.
        whole: whether only the whole text, between head and tail, is a leak.
    """

    text: str
    head: int = 0
    tail: int = 0
    whole: bool = False


def parts_of(value: str, formats: Sequence[Format] = ()) -> List[Part]:
    """Return the value and every text in it that is a secret by itself, without duplicates.

    Args:
        value: the value of a secret.
        formats: formats from hooks, which take precedence over the built-in ones.
    """
    parts: Dict[str, Part] = {}
    for part in _parts(value, (*formats, *FORMATS), 0):
        parts.setdefault(part.text, part)
    return list(parts.values())


def texts_in_data(data: Any, formats: Sequence[Format] = ()) -> Iterator[str]:
    """Yield the sensitive texts in a mapping or sequence, according to the same rule."""
    for leaf in _sensitive(list(data_leaves(data)), (*formats, *FORMATS), 0):
        yield leaf.text


def _parts(value: str, formats: Sequence[Format], depth: int) -> Iterator[Part]:
    leaves, has_frame = _leaves(value, formats) if depth < _MAX_DEPTH else ([], False)
    inner = [part for leaf in _sensitive(leaves, formats, depth) for part in _parts_of_leaf(leaf, formats, depth)]
    yield _whole(value, inner) if has_frame else opaque(value)
    for part in inner:
        yield _whole(part.text, inner) if part.whole and not part.head else part


def opaque(text: str) -> Part:
    """Return a text without a format as a part.

    The common beginning of all tokens of a service is public. An address is a leak only as a whole.
    """
    if is_location(text):
        return Part(text, whole=True)
    beginning = _HEAD.match(text)
    head = public_head(text)
    return Part(text, max(beginning.end() if beginning else 0, head), public_tail(text) if head else 0)


def _leaves(value: str, formats: Iterable[Format], *, strict: bool = False) -> Tuple[List[Leaf], bool]:
    """Return the leaves of a text, and whether there is a public frame around them."""
    text = value.lstrip("\ufeff")  # a byte order mark
    for each in formats:
        leaves = (
            [leaf for leaf in each.leaves(text) if leaf.text and leaf.text != value] if each.strict >= strict else []
        )
        if leaves:
            return leaves, each.has_frame
    return [], False


def _sensitive(leaves: List[Leaf], formats: Sequence[Format], depth: int) -> List[Leaf]:
    """Return the leaves to search for: the sensitive ones, or else the unclear ones."""
    ranks = [_rank(leaf, formats, depth) if not is_common(leaf.text) else -1 for leaf in leaves]
    highest = SENSITIVE if SENSITIVE in ranks else UNCLEAR
    return [leaf for leaf, each in zip(leaves, ranks) if each == highest]


def _rank(leaf: Leaf, formats: Sequence[Format], depth: int) -> int:
    if leaf.rank is not None:
        return leaf.rank
    own = rank(leaf.text, leaf.name)
    if own == SENSITIVE or depth >= _MAX_DEPTH:
        return own
    inner, _ = _leaves(leaf.text, formats, strict=True)
    return SENSITIVE if any(_rank(each, formats, depth + 1) == SENSITIVE for each in inner) else own


def _parts_of_leaf(leaf: Leaf, formats: Sequence[Format], depth: int) -> Iterator[Part]:
    if leaf.opaque:
        is_bare = not (leaf.whole or leaf.head or leaf.tail)
        yield opaque(leaf.text) if is_bare else Part(leaf.text, leaf.head, leaf.tail, leaf.whole)
        return
    yield from (part for part in _parts(leaf.text, formats, depth + 1) if not is_common(part.text))


def _whole(value: str, inner: List[Part]) -> Part:
    """Return the value as a whole. It is public before the first sensitive text in it and after the last one."""
    plain = decoded(value)
    if plain and not _has_cores(value, inner):
        return _whole_base64(value, plain, inner)
    others = [part for part in inner if part.text != value]
    for parts in ([part for part in others if not part.whole], others):
        head, tail = _frame(value, parts)
        if head + tail < len(value):
            return Part(value, head, tail, whole=True)
    return Part(value, whole=True)


def _has_cores(value: str, inner: List[Part]) -> bool:
    return any(part.text[part.head :][:_CORE] in value for part in inner)


def _whole_base64(value: str, plain: str, inner: List[Part]) -> Part:
    """Return a value in base64 as a whole. Each three characters of the plain text become four digits."""
    size, part = len(value), _whole(plain, [each for each in inner if each.text != plain])
    return Part(value, min(size, -(-4 * part.head // 3)), min(size, -(-4 * part.tail // 3)), whole=True)


def _frame(value: str, parts: List[Part]) -> Tuple[int, int]:
    """Return the sizes of the public beginning and end around some parts of a value."""
    cores = [part.text[part.head : len(part.text) - part.tail] for part in parts]
    begin = next((value.find(core[:_CORE]) for core in cores if core[:_CORE] in value), 0)
    end = next((_end_of(value, core[-_CORE:]) for core in reversed(cores) if core[-_CORE:] in value), 0)
    return begin, len(value) - end


def _end_of(value: str, text: str) -> int:
    return value.rfind(text) + len(text)
