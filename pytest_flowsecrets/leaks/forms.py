"""The forms that a value can take on its way into a log, a report or a request.

Every form but base64 is made character by character, so a part of the value gives a part of the form. That is why a
cut value is found by the form's two ends, and why the places of an *ordinary* beginning (``https://``, the header of a
PEM key) are known in each form: such a beginning alone is no leak.
"""

from __future__ import annotations

import re
from base64 import b64encode
from functools import lru_cache
from typing import Callable, Dict, Iterator, List, NamedTuple, Tuple
from urllib.parse import quote, quote_plus

Encoder = Callable[[str], str]

CUT = 8  # characters: so much of a value's beginning or end is a leak of it
_MARKS = 2  # of punctuation and blanks that stand together in usual texts
_HEX_CUT, _SHORTEST_CUT, _SHORTEST_HALF, _WORDS_CUT = 12, 7, 4, 12
_WORDS = re.compile(r"[\W_]*(?:[A-Z]?[a-z]*[\W_]+)*[A-Z]?[a-z]*")
_LONG = 20_000  # characters; of a longer value only the usual forms are made
_PLAIN = re.compile(r"[A-Za-z0-9_.~-]+")  # the same in every form that escapes


class Form(NamedTuple):
    """One form of one value. The numbers are bytes of its text.

    Attributes:
        text: what stands in a text, as UTF-8 (lone surrogates passed).
        kind: ``raw``, ``escaped``, ``html``, ``url``, ``shell``, ``base64`` or ``hex``.
        head: so much at the beginning is ordinary.
        tail: so much at the end is ordinary.
        first: so much after the head says which value it is.
        last: so much before the tail does.
        half_first: so much after the head is a leak beside an ellipsis.
        half_last: so much before the tail is one.
        least_first: so much after the head is a leak without an ellipsis; 0 if only the whole form is.
        least_last: so much before the tail is one.
        before: so many digits before it say something of the value too.
        after: so many digits after it do.
        nested: whether it was escaped twice.
        whole: whether only the whole form, between head and tail, is a leak.
    """

    text: bytes
    kind: str
    head: int
    tail: int
    first: int
    last: int
    half_first: int
    half_last: int
    least_first: int
    least_last: int
    before: int = 0
    after: int = 0
    nested: bool = False
    whole: bool = False


class _Cuts(NamedTuple):
    """What ``Form`` tells, in characters of the value."""

    head: int
    tail: int
    size: int
    half: int
    least_first: int
    least_last: int


def to_bytes(text: str) -> bytes:
    """UTF-8, whatever is in the text."""
    return text.encode("utf-8", "surrogatepass")


def forms_of(value: str, *, head: int = 0, tail: int = 0, whole: bool = False) -> List[Form]:
    """Every form of a value, each text once.

    Args:
        value: any text.
        head: number of characters at its beginning that are public.
        tail: number of characters at its end that are public.
        whole: whether only the whole value, between head and tail, is a leak.
    """
    cuts = _cuts(value, head, tail, whole=whole)
    found: Dict[bytes, Form] = {}
    once = _escaped(value)
    for pieces, kind in once.items():
        form = _of_pieces([to_bytes(piece) for piece in pieces], kind, cuts)
        found.setdefault(form.text, form)
    for pieces, kind in () if whole else _escaped_twice(once, value).items():  # the leaves are known by themselves
        form = _of_pieces([to_bytes(piece) for piece in pieces], kind, cuts)
        found.setdefault(form.text, form._replace(nested=True))
    encoded = _before_encoding(value)
    for form in [*_base64_forms(encoded, cuts), *_hex_forms(encoded, cuts)]:
        found.setdefault(form.text, form)
    return [form._replace(whole=whole) for form in found.values()]


def _cuts(value: str, head: int, tail: int, *, whole: bool) -> _Cuts:
    """Where a value begins and ends to say something, and how much of it is a leak."""
    if len(value) - head - tail < (1 if whole else CUT):
        head = tail = 0
    rest = len(value) - head - tail
    half = min(CUT, max(_SHORTEST_HALF, (rest + 1) // 2))
    size = min(rest, max(_SHORTEST_CUT, half))
    least = 0, 0
    if whole:
        half = size
    elif size < rest and not value[:head].endswith("://"):
        inner = value[head : len(value) - tail]
        least = (_least(inner[:size], rest), _least(inner[-size:], rest))
    return _Cuts(head, tail, size, min(half, size), *least)


def _least(window: str, rest: int) -> int:
    """Of plain words, which stand in other texts too, it has to be more."""
    marks = {mark for mark in window if not mark.isalnum()}
    words = len(marks) <= _MARKS and _WORDS.fullmatch(window)
    return min(rest, max(_WORDS_CUT, rest // 2)) if words else len(window)


def _of_pieces(pieces: List[bytes], kind: str, cuts: _Cuts) -> Form:
    """A form of which each piece stands for a character of the value."""

    def size(start: int, stop: int) -> int:
        return sum(map(len, pieces[start:stop]))

    begin, end = cuts.head, len(pieces) - cuts.tail
    ends = size(0, begin), size(end, len(pieces))
    windows = size(begin, begin + cuts.size), size(end - cuts.size, end)
    halves = size(begin, begin + cuts.half), size(end - cuts.half, end)
    least = size(begin, begin + cuts.least_first), size(end - cuts.least_last, end)
    return Form(b"".join(pieces), kind, *ends, *windows, *halves, *least)


# -- escapes, each made character by character -------------------------------------------------------------------------


def _escaped(value: str) -> Dict[Tuple[str, ...], str]:
    """The pieces of each form that escapes, with its kind."""
    found: Dict[Tuple[str, ...], str] = {tuple(value): "raw"}
    if _PLAIN.fullmatch(value):
        return found
    for kind, encode in [*_escapes(), *_markups()]:
        found.setdefault(tuple(map(encode, value)), kind)
    json_text = tuple(map(_json_ascii, value))
    for encode in _URLS:
        for pieces in (tuple(value), json_text):
            quoted = tuple(map(encode, pieces))
            found.setdefault(quoted, "url")
            found.setdefault(tuple(map(_lower, quoted)), "url")
    for encode in _SHELLS:
        found.setdefault(tuple(map(encode, value)), "shell")
    return found


def _escaped_twice(once: Dict[Tuple[str, ...], str], value: str) -> Dict[Tuple[str, ...], str]:
    """What is escaped once more: JSON in JSON, a repr in a report in HTML."""
    inner = [pieces for pieces, kind in once.items() if kind == "escaped" and len(value) < _LONG]
    return {tuple(map(encode, pieces)): kind for pieces in inner for kind, encode in [*_escapes(), *_markups()]}


def _quoting(base: Encoder, quotes: str) -> Encoder:
    """Escape as ``base``, which leaves both quotes alone, and those of ``quotes`` with a backslash."""

    def escape(text: str) -> str:
        return "".join(("\\" + char if char in quotes else char) if char in "'\"" else base(char) for char in text)

    return lru_cache(maxsize=2048)(escape)


def _json_ascii(text: str) -> str:
    import json

    return json.dumps(text)[1:-1]


def _json_unicode(text: str) -> str:
    import json

    return json.dumps(text, ensure_ascii=False)[1:-1]


def _bytes_repr(char: str) -> str:
    return repr(_raw_bytes(char))[2:-1]


@lru_cache(maxsize=1)
def _escapes() -> List[Tuple[str, Encoder]]:
    """Repr and ascii of text and of bytes with any quotes around, and JSON."""
    bases: List[Encoder] = [lambda char: repr(char)[1:-1], lambda char: ascii(char)[1:-1], _bytes_repr]
    found = [_quoting(base, quotes) for base in bases for quotes in ("", "'", '"')]
    found += [_json_ascii, _json_unicode, lambda text: _json_ascii(text).replace("/", "\\/")]
    return [("escaped", encode) for encode in found]


def _entities(**named: str) -> Encoder:
    table = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", **named})
    return lambda text: text.translate(table)


_xml = _entities(**{'"': "&quot;"})


def _numeric(text: str) -> str:
    """As an XML writer for ASCII: ``&#233;``, line breaks of attributes too."""
    escaped = _xml(text).encode("ascii", "xmlcharrefreplace").decode()
    return escaped.replace("\n", "&#10;").replace("\r", "&#13;").replace("\t", "&#09;")


@lru_cache(maxsize=1)
def _markups() -> List[Tuple[str, Encoder]]:
    """HTML and XML, with any of the names for quotes."""
    double, single = {'"': "&quot;"}, {"'": "&#x27;"}
    names: List[Dict[str, str]] = [{}, double, {**double, **single}, {**double, "'": "&apos;"}]
    names.append({'"': "&#34;", "'": "&#39;"})
    return [("html", encode) for encode in [*(_entities(**each) for each in names), _numeric]]


def _lower(text: str) -> str:
    return re.sub("%[0-9A-F]{2}", lambda found: found.group().lower(), text) if "%" in text else text


_URLS: Tuple[Encoder, ...] = (
    lambda text: quote(_raw_bytes(text)),
    lambda text: quote(_raw_bytes(text), safe=""),
    lambda text: quote_plus(_raw_bytes(text)),
    lambda text: quote(_raw_bytes(text), safe="!#$%&'()*+,/:;=?@[]~"),  # as requests makes a URL valid
    lambda text: quote(_raw_bytes(text), safe="!'()*~"),  # as encodeURIComponent of JavaScript
)

_SHELLS: Tuple[Encoder, ...] = (
    lambda text: text.replace("'", "'\"'\"'"),  # shlex.quote
    lambda text: text.replace("'", "'\\''"),
    lambda text: re.sub(r'([\\"$`])', r"\\\1", text),  # inside double quotes
    lambda text: re.sub(r"([^A-Za-z0-9_./:@%+=,-])", r"\\\1", text),  # printf %q
)


# -- encodings of bytes ------------------------------------------------------------------------------------------------


def _raw_bytes(text: str) -> bytes:
    """The bytes that the operating system or an encoder makes of a text."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return to_bytes(text)


def _before_encoding(value: str) -> List[List[bytes]]:
    """What may have happened to a value before it was encoded: nothing, or it became part of a JSON or Python text."""
    if _PLAIN.fullmatch(value):
        return [[*map(str.encode, value)]]
    encoders = [_same, _json_ascii, _json_unicode, _escapes()[1][1]]
    return [[_raw_bytes(encode(char)) for char in value] for encode in encoders]


def _same(text: str) -> str:
    return text


def _base64_forms(encoded: List[List[bytes]], cuts: _Cuts) -> Iterator[Form]:
    for pieces in encoded:
        bare = _of_pieces(pieces, "base64", cuts)
        sizes = [-(-4 * size // 3) for size in bare[2:10]]
        for shift in range(3):
            core = _core(bare.text, shift)
            for text in (core, core.replace(b"+", b"-").replace(b"/", b"_")):
                form = _of_digits(bare._replace(text=text), sizes, CUT)
                yield form._replace(before=int(shift > 0), after=int((shift + len(bare.text)) % 3 > 0))


def _core(data: bytes, shift: int) -> bytes:
    """The digits that are the same whatever stands around ``data``, ``shift`` bytes after a multiple of three."""
    digits = b64encode(bytes(shift) + data).rstrip(b"=")
    return digits[-(-8 * shift // 6) : (shift + len(data)) * 8 // 6]


def _hex_forms(encoded: List[List[bytes]], cuts: _Cuts) -> Iterator[Form]:
    for pieces in encoded:
        bare = _of_pieces([piece.hex().encode() for piece in pieces], "hex", cuts)
        for text in (bare.text, bare.text.upper()):
            yield _of_digits(bare._replace(text=text), list(bare[2:10]), _HEX_CUT)


def _of_digits(form: Form, sizes: List[int], most: int) -> Form:
    """A form of which ``most`` digits are enough to know it, and no more of them than the cut value gives."""
    head, tail, first, last, half_first, half_last, least_first, least_last = sizes
    rest = len(form.text) - head - tail
    windows = min(first, most, rest), min(last, most, rest)
    halves = min(half_first - 1, windows[0]), min(half_last - 1, windows[1])
    # Of what is no words the window is enough, and of words a little less, as digits at the ends belong to two bytes.
    least = [
        window if 0 < given <= size else max(window, given - 4) if given else 0
        for window, given, size in zip(windows, (least_first, least_last), (first, last))
    ]
    return form._replace(
        first=windows[0],
        last=windows[1],
        half_first=halves[0],
        half_last=halves[1],
        least_first=least[0],
        least_last=least[1],
        head=head,
        tail=tail,
    )
