"""The forms of a value that no decoder of ``decoders`` turns back into the value itself.

Escapes (JSON, ``repr``, URLs, HTML, shells) are decoded in the text that is searched, so they need no form here. The
other encodings have one form for each alignment: base64 three, base32 five, base85 four. An *ordinary* beginning
(``https://``, the header of a PEM key or of a JWT) alone is no leak, so each form says how much of it is ordinary.
"""

from __future__ import annotations

import json
import re
import unicodedata
from base64 import a85encode, b32encode, b64encode, b85encode
from contextlib import suppress
from typing import Callable, Dict, Iterator, List, NamedTuple, Tuple

from pytest_flowsecrets.leaks.formats.sensitive_fields import is_name

CUT = 8  # characters: so much of a value's beginning or end is a leak of it
SLICE = 12  # characters: so much of its middle is
_MARKS = 2  # kinds of punctuation and blanks that stand together in ordinary texts
_HEX_CUT, _SHORTEST_CUT, _SHORTEST_HALF, _WORDS_CUT = 12, 7, 4, 12
_WORDS = re.compile(r"[\W_]*(?:[A-Z]?[a-z]*[\W_]+)*[A-Z]?[a-z]*")
_LONG = 20_000  # characters; a longer value has no base32 and base85 forms
_PLAIN = re.compile(r"[A-Za-z0-9_.~-]+")  # the same in every text that escapes
_TOKEN = re.compile(r"[^\s{}()\[\]\"'<>\\,]+")  # no data structure and no sentence, so each slice of it is its own

Encoder = Callable[[str], bytes]


class Form(NamedTuple):
    """One form of one value. The numbers are bytes of its text.

    Attributes:
        text: the bytes to look for; text is UTF-8, with lone surrogates.
        kind: ``raw``, ``upper case``, ``base64``, ``hex`` and so on.
        head: size of the ordinary beginning.
        tail: size of the ordinary end.
        first: size of the window after the head that identifies the value.
        last: size of the window before the tail that identifies it.
        half_first: size after the head that is a leak beside an ellipsis.
        half_last: size before the tail that is one.
        least_first: size after the head that is a leak without an ellipsis; 0 if only the whole form is.
        least_last: size before the tail that is one.
        slice: size of any other part that is one; 0 if none is.
        before: how many digits before it can hold some bits of the value too.
        after: how many digits after it can.
        whole: whether only the whole form, between head and tail, is a leak.
    """

    text: bytes
    kind: str
    head: int = 0
    tail: int = 0
    first: int = 0
    last: int = 0
    half_first: int = 0
    half_last: int = 0
    least_first: int = 0
    least_last: int = 0
    slice: int = 0
    before: int = 0
    after: int = 0
    whole: bool = False


class _Cuts(NamedTuple):
    """The numbers of ``Form``, in characters of the value."""

    head: int
    tail: int
    size: int
    half: int
    least_first: int
    least_last: int


def to_bytes(text: str) -> bytes:
    """Return the text in UTF-8; lone surrogates pass."""
    return text.encode("utf-8", "surrogatepass")


def forms_of(value: str, *, head: int = 0, tail: int = 0, whole: bool = False, sliced: bool = True) -> List[Form]:
    """Return the forms of a value that are always looked for, each text once; the value itself comes first.

    Args:
        value: any text.
        head: number of characters at its beginning that are public.
        tail: number of characters at its end that are public.
        whole: whether only the whole value, between head and tail, is a leak.
        sliced: whether slices of its middle are leaks, if it is a token.
    """
    cuts = _cuts(value, head, tail, whole=whole)
    raw = _measured(value, "raw", to_bytes, cuts)
    words = _is_words(value) or is_name(value)
    if sliced and not (whole or words) and _TOKEN.fullmatch(value) and "://" not in value:
        raw = raw._replace(slice=SLICE)
    forms = {raw.text: raw}
    for kind, text in _spellings(value, words=words or whole):
        forms.setdefault(text, Form(text, kind))
    for encode in _before_encoding(value):
        for form in [*_base64_forms(value, encode, cuts), *_hex_forms(value, encode, cuts)]:
            forms.setdefault(form.text, form)
    return [form._replace(whole=True) for form in forms.values()] if whole else list(forms.values())


def rare_forms_of(value: str) -> List[Form]:
    """Return the forms in base32 and base85. They take long to make and few texts can hold one."""
    if len(value) > _LONG:
        return []
    data = raw_bytes(value)
    forms = [*_base32_forms(data)]
    for encode in (b85encode, a85encode):
        forms += _base85_forms(data, encode)
    return [form for form in forms if len(form.text) >= SLICE]


# -- cuts --------------------------------------------------------------------------------------------------------------


def _cuts(value: str, head: int, tail: int, *, whole: bool) -> _Cuts:
    """Return where a value begins and ends to identify itself, and how much of it is a leak."""
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
        least = (0, 0) if is_name(inner) else (_least(inner[:size], rest), _least(inner[-size:], rest))
    return _Cuts(head, tail, size, min(half, size), *least)


def _least(window: str, rest: int) -> int:
    """Return how much of a value is a leak. Words stand in other texts too, so more of them has to be there."""
    return min(rest, max(_WORDS_CUT, rest // 2)) if _is_words(window) else len(window)


def _is_words(text: str) -> bool:
    marks = {mark for mark in text if not mark.isalnum()}
    return len(marks) <= _MARKS and _WORDS.fullmatch(text) is not None


def _measured(value: str, kind: str, encode: Encoder, cuts: _Cuts) -> Form:
    """Return the form that ``encode`` makes of a value, character by character."""
    text, size = encode(value), len(value)
    head, tail, window, half, least_first, least_last = cuts
    if len(text) == size:
        return Form(text, kind, head, tail, window, window, half, half, least_first, least_last)
    end = size - tail

    def after(count: int) -> int:
        return len(encode(value[head : head + count]))

    def before(count: int) -> int:
        return len(encode(value[end - count : end]))

    windows = after(window), before(window), after(half), before(half)
    ends = len(encode(value[:head])), len(encode(value[end:]))
    return Form(text, kind, *ends, *windows, after(least_first), before(least_last))


# -- spellings of the text itself --------------------------------------------------------------------------------------


def _spellings(value: str, *, words: bool) -> Iterator[Tuple[str, bytes]]:
    """Yield other cases, Unicode normal forms and character sets.

    Words in another case are ordinary: ``GITHUB_TOKEN`` is no leak of the value ``github_token``.
    """
    if not words:
        yield "upper case", to_bytes(value.upper())
        yield "lower case", to_bytes(value.lower())
    if value.isascii():
        return
    for name in ("NFC", "NFD", "NFKC", "NFKD"):
        yield "normalized", to_bytes(unicodedata.normalize(name, value))
    for name in ("latin-1", "cp1252", "cp1251"):
        with suppress(UnicodeError):
            yield "mojibake", value.encode("utf-8").decode(name).encode()
        with suppress(UnicodeError):
            yield name, value.encode(name)
    for name in ("utf-16-le", "utf-16-be"):
        yield "utf-16", value.encode(name, "surrogatepass")


# -- encodings of bytes ------------------------------------------------------------------------------------------------


def raw_bytes(text: str) -> bytes:
    """Return the bytes that the operating system or an encoder makes of a text."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return to_bytes(text)


def _json_ascii(text: str) -> bytes:
    return json.dumps(text)[1:-1].encode()


def _json_unicode(text: str) -> bytes:
    return to_bytes(json.dumps(text, ensure_ascii=False)[1:-1])


def _python_ascii(text: str) -> bytes:
    return text.encode("unicode_escape")


def _before_encoding(value: str) -> List[Encoder]:
    """Return what can happen to a value before it is encoded: nothing, or it becomes part of a JSON or Python text."""
    if _PLAIN.fullmatch(value):
        return [raw_bytes]
    encoders: Dict[bytes, Encoder] = {}
    for encode in (raw_bytes, _json_ascii, _json_unicode, _python_ascii):
        encoders.setdefault(encode(value), encode)
    return list(encoders.values())


def _base64_forms(value: str, encode: Encoder, cuts: _Cuts) -> Iterator[Form]:
    bare = _measured(value, "base64", encode, cuts)
    sizes = [-(-4 * size // 3) for size in bare[2:10]]
    for shift in range(3):
        digits = b64encode(bytes(shift) + bare.text).rstrip(b"=")
        core = digits[-(-8 * shift // 6) : (shift + len(bare.text)) * 8 // 6]
        form = _of_digits(bare._replace(text=core), sizes, CUT)
        yield form._replace(before=int(shift > 0), after=int((shift + len(bare.text)) % 3 > 0))


def _hex_forms(value: str, encode: Encoder, cuts: _Cuts) -> Iterator[Form]:
    bare = _measured(value, "hex", encode, cuts)
    sizes = [2 * size for size in bare[2:10]]
    digits = bare.text.hex()
    for text in (digits, digits.upper()):
        yield _of_digits(bare._replace(text=text.encode()), sizes, _HEX_CUT)


def _of_digits(form: Form, sizes: List[int], most: int) -> Form:
    """Return a form that ``most`` digits identify, or fewer if the cut value has fewer."""
    head, tail, first, last, half_first, half_last, least_first, least_last = sizes
    rest = len(form.text) - head - tail
    windows = min(first, most, rest), min(last, most, rest)
    halves = min(half_first - 1, windows[0]), min(half_last - 1, windows[1])
    # Digits at the ends belong to two bytes, so words need a little less than their size.
    least = [
        window if 0 < asked <= size else max(window, asked - 4) if asked else 0
        for window, asked, size in zip(windows, (least_first, least_last), (first, last))
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


def _base32_forms(data: bytes) -> Iterator[Form]:
    for shift in range(5):
        digits = b32encode(bytes(shift) + data).rstrip(b"=")
        core = digits[-(-8 * shift // 5) : (shift + len(data)) * 8 // 5]
        yield Form(core, "base32", before=int(shift > 0), after=int((shift + len(data)) % 5 > 0))


def _base85_forms(data: bytes, encode: Callable[[bytes], bytes]) -> Iterator[Form]:
    """Yield the groups of five digits that belong to the value alone; those at its ends can belong to others too."""
    for shift in range(4):
        whole = data[-shift % 4 :]
        rest = len(whole) % 4
        core = encode(whole[: len(whole) - rest])
        yield Form(core, "base85", before=5 if shift else 0, after=5 if rest else 0)
