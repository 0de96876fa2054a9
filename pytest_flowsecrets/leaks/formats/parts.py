"""Which texts are looked for when a secret is known: one rule for all structured secrets.

1. A value that has no known format is looked for as it is, and so are its cuts.
2. A value that has a format is divided into its leaves, see ``formats.FORMATS``, and these again.
3. Sensitive leaves are looked for, see ``sensitive.rank``, and their cuts. Public leaves are not. Unclear leaves are
   looked for where no leaf is sensitive.
4. The value itself is looked for as a whole: its cuts are made of its public frame, which other values have too.

The structure of a value is computed once, when the first text is looked through after the value became known.
"""

from __future__ import annotations

import re
from typing import Any, Dict, Iterable, Iterator, List, NamedTuple, Sequence, Tuple

from pytest_flowsecrets.leaks.common_words import is_common
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

_DEEPEST = 5  # formats inside each other
_CORE = 12  # characters by which a leaf is found in its value
# What all tokens of a service begin with; of a scheme, nothing after it is known here.
_HEAD = re.compile(
    r"github_pat_|sk_(?:live|test)_|pypi-AgEIcHlwaS5vcmcC?|pypi-AgENdGVzdC5weXBpLm9yZwI?|dckr_pat_|sk-proj-|dop_v1_|"
    r"sk-ant-[a-z]+\d+-|glpat-|ATATT3xFfGF0|EAACEdEose0cBA|gAAAAAB|[A-Za-z][A-Za-z0-9+.-]*://|Bearer |Basic "
)


class Part(NamedTuple):
    """A text that is looked for because of a known value.

    Attributes:
        text: the text.
        head: number of characters at its beginning that are public.
        tail: number of characters at its end that are public.
        whole: whether only the whole text, between head and tail, is a leak.
    """

    text: str
    head: int = 0
    tail: int = 0
    whole: bool = False


def parts_of(value: str, formats: Sequence[Format] = ()) -> List[Part]:
    """Return the value itself and every text in it that is a secret by itself; each text once.

    Args:
        value: of a secret.
        formats: those of users, which come before our own.
    """
    parts: Dict[str, Part] = {}
    for part in _parts(value, (*formats, *FORMATS), 0):
        parts.setdefault(part.text, part)
    return list(parts.values())


def texts_in_data(data: Any, formats: Sequence[Format] = ()) -> Iterator[str]:
    """The sensitive texts in mappings and sequences that are a secret's value, as the same rule finds them."""
    for leaf in _sensitive(list(data_leaves(data)), (*formats, *FORMATS), 0):
        yield leaf.text


def _parts(value: str, formats: Sequence[Format], depth: int) -> Iterator[Part]:
    leaves, has_frame = _leaves(value, formats) if depth < _DEEPEST else ([], False)
    inner = [part for leaf in _sensitive(leaves, formats, depth) for part in _parts_of_leaf(leaf, formats, depth)]
    yield _whole(value, inner) if has_frame else opaque(value)
    for part in inner:
        yield _whole(part.text, inner) if part.whole and not part.head else part


def opaque(text: str) -> Part:
    """A text without a format; what all tokens of its service begin with is public, and a part of an address too."""
    if is_location(text):
        return Part(text, whole=True)
    beginning = _HEAD.match(text)
    head = public_head(text)
    return Part(text, max(beginning.end() if beginning else 0, head), public_tail(text) if head else 0)


def _leaves(value: str, formats: Iterable[Format], *, strict: bool = False) -> Tuple[List[Leaf], bool]:
    """What stands in a text, and whether there is a public frame around it."""
    text = value.lstrip("\ufeff")  # a byte order mark
    for each in formats:
        leaves = (
            [leaf for leaf in each.leaves(text) if leaf.text and leaf.text != value] if each.strict >= strict else []
        )
        if leaves:
            return leaves, each.has_frame
    return [], False


def _sensitive(leaves: List[Leaf], formats: Sequence[Format], depth: int) -> List[Leaf]:
    """The leaves that are looked for: the sensitive ones, or else the unclear ones."""
    ranks = [_rank(leaf, formats, depth) if not is_common(leaf.text) else -1 for leaf in leaves]
    wanted = SENSITIVE if SENSITIVE in ranks else UNCLEAR
    return [leaf for leaf, each in zip(leaves, ranks) if each == wanted]


def _rank(leaf: Leaf, formats: Sequence[Format], depth: int) -> int:
    if leaf.rank is not None:
        return leaf.rank
    own = rank(leaf.text, leaf.name)
    if own == SENSITIVE or depth >= _DEEPEST:
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
    """The value as a whole: public up to the first sensitive text in it, and after the last."""
    plain = decoded(value)
    if plain and not any(part.text[part.head :][:_CORE] in value for part in inner):
        # In base64 each three characters become four digits.
        size, part = len(value), _whole(plain, [each for each in inner if each.text != plain])
        return Part(value, min(size, -(-4 * part.head // 3)), min(size, -(-4 * part.tail // 3)), whole=True)
    others = [part for part in inner if part.text != value]
    for parts in ([part for part in others if not part.whole], others):
        cores = [part.text[part.head : len(part.text) - part.tail] for part in parts]
        begin = next((value.find(core[:_CORE]) for core in cores if core[:_CORE] in value), 0)
        end = next((_end_of(value, core[-_CORE:]) for core in reversed(cores) if core[-_CORE:] in value), 0)
        if begin < end:
            return Part(value, begin, len(value) - end, whole=True)
    return Part(value, whole=True)


def _end_of(value: str, text: str) -> int:
    return value.rfind(text) + len(text)
