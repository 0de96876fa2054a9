"""The forms of a value that no decoder of ``decoders`` turns back into the value.

Escapes (JSON, ``repr``, URLs, HTML, shells) are decoded in the searched text, so they need no forms. Other encodings
have one form for each alignment: base64 three, base32 five, base85 four. An *ordinary* beginning (``https://``, the
header of a PEM key or of a JWT) alone is no leak, so each form states how much of it is ordinary.
"""

from __future__ import annotations

import json
import re
import unicodedata
from base64 import a85encode, b32encode, b64encode, b85encode
from contextlib import suppress
from itertools import chain
from typing import Callable, Dict, Iterator, List, NamedTuple

from pytest_flowsecrets.leaks.formats.sensitive_fields import is_name

SHORTEST_END = 8  # characters at the beginning or end of a value that are a leak
SLICE = 12  # characters in the middle of a value that are a leak
_MARKS = 2  # kinds of punctuation and blanks that occur together in ordinary texts
_HEX_END, _SHORTEST_WINDOW, _SHORTEST_HALF, _WORDS_END = 12, 7, 4, 12
_WORDS = re.compile(r"[\W_]*(?:[A-Z]?[a-z]*[\W_]+)*[A-Z]?[a-z]*")
_LONG = 20_000  # characters; longer values have no base32 and base85 forms
_PLAIN = re.compile(r"[A-Za-z0-9_.~-]+")  # unchanged by every kind of escaping
_TOKEN = re.compile(r"[^\s{}()\[\]\"'<>\\,]+")  # neither a data structure nor a sentence, so each slice identifies it

Encoder = Callable[[str], bytes]


class Form(NamedTuple):
    """One form of one value. The numbers are sizes in bytes of its text.

    Attributes:
        text: the bytes to search for; text is UTF-8, with lone surrogates.
        kind: ``raw``, ``upper case``, ``base64``, ``hex`` and so on.
        head: the ordinary beginning.
        tail: the ordinary end.
        first: the window after the head that identifies the value.
        last: the window before the tail that identifies the value.
        half_first: the part after the head that is a leak next to an ellipsis.
        half_last: the part before the tail that is a leak next to an ellipsis.
        least_first: the part after the head that is a leak without an ellipsis; 0 if only the whole form is a leak.
        least_last: the part before the tail that is a leak without an ellipsis; 0 if only the whole form is a leak.
        slice: any other part that is a leak; 0 if no such part is a leak.
        before: the number of digits before the form that can contain bits of the value.
        after: the number of digits after the form that can contain bits of the value.
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


class _Ends(NamedTuple):
    """The numbers of ``Form``, in characters of the value."""

    head: int
    tail: int
    size: int
    half: int
    least_first: int
    least_last: int


def to_bytes(text: str) -> bytes:
    """Return a text in UTF-8. Lone surrogates are encoded, too."""
    return text.encode("utf-8", "surrogatepass")


def forms_of(value: str, *, head: int = 0, tail: int = 0, whole: bool = False, sliced: bool = True) -> List[Form]:
    """Return the forms of a value that are always searched for, without duplicates. The value itself comes first.

    Args:
        value: any text.
        head: the number of public characters at its beginning.
        tail: the number of public characters at its end.
        whole: whether only the whole value, between head and tail, is a leak.
        sliced: whether slices of its middle are leaks if it is a token.
    """
    ends = _ends(value, head, tail, whole=whole)
    words = _is_words(value) or is_name(value)
    raw = _measured(value, "raw", to_bytes, ends)
    if sliced and not (whole or words):
        raw = raw._replace(slice=_slice_size(value))
    forms = {raw.text: raw}
    for form in chain(_variants(value, words=words or whole), _encoded_forms(value, ends)):
        forms.setdefault(form.text, form)
    return [form._replace(whole=True) for form in forms.values()] if whole else list(forms.values())


def _slice_size(value: str) -> int:
    """Return the size of a slice of a token that is a leak, or 0 if a value is not a token."""
    return SLICE if _TOKEN.fullmatch(value) and "://" not in value else 0


def _encoded_forms(value: str, ends: _Ends) -> Iterator[Form]:
    for encode in _before_encoding(value):
        yield from _base64_forms(value, encode, ends)
        yield from _hex_forms(value, encode, ends)


def rare_forms_of(value: str) -> List[Form]:
    """Return the forms in base32 and base85. They are slow to compute, and few texts can contain one."""
    if len(value) > _LONG:
        return []
    data = raw_bytes(value)
    forms = [*_base32_forms(data)]
    for encode in (b85encode, a85encode):
        forms += _base85_forms(data, encode)
    return [form for form in forms if len(form.text) >= SLICE]


# -- ends --------------------------------------------------------------------------------------------------------------


def _ends(value: str, head: int, tail: int, *, whole: bool) -> _Ends:
    """Return which windows at the ends identify a value, and how much of each end is a leak."""
    if len(value) - head - tail < (1 if whole else SHORTEST_END):
        head = tail = 0
    rest = len(value) - head - tail
    half = min(SHORTEST_END, max(_SHORTEST_HALF, (rest + 1) // 2))
    size = min(rest, max(_SHORTEST_WINDOW, half))
    least = 0, 0
    if whole:
        half = size
    elif size < rest and not value[:head].endswith("://"):
        inner = value[head : len(value) - tail]
        least = (0, 0) if is_name(inner) else (_least(inner[:size], rest), _least(inner[-size:], rest))
    return _Ends(head, tail, size, min(half, size), *least)


def _least(window: str, rest: int) -> int:
    """Return how much of a value is a leak. Words occur in other texts, too, so more of them is needed."""
    return min(rest, max(_WORDS_END, rest // 2)) if _is_words(window) else len(window)


def _is_words(text: str) -> bool:
    marks = {mark for mark in text if not mark.isalnum()}
    return len(marks) <= _MARKS and _WORDS.fullmatch(text) is not None


def _measured(value: str, kind: str, encode: Encoder, ends: _Ends) -> Form:
    """Return the form that ``encode`` creates from a value, character by character."""
    text, size = encode(value), len(value)
    head, tail, window, half, least_first, least_last = ends
    if len(text) == size:
        return Form(text, kind, head, tail, window, window, half, half, least_first, least_last)
    end = size - tail

    def after(count: int) -> int:
        return len(encode(value[head : head + count]))

    def before(count: int) -> int:
        return len(encode(value[end - count : end]))

    windows = after(window), before(window), after(half), before(half)
    frame = len(encode(value[:head])), len(encode(value[end:]))
    return Form(text, kind, *frame, *windows, after(least_first), before(least_last))


# -- variants of the text itself ---------------------------------------------------------------------------------------


def _variants(value: str, *, words: bool) -> Iterator[Form]:
    """Yield other cases, Unicode normal forms and character sets.

    Words in another case are not a leak: ``GITHUB_TOKEN`` does not show the value ``github_token``.
    """
    if not words:
        yield Form(to_bytes(value.upper()), "upper case")
        yield Form(to_bytes(value.lower()), "lower case")
    if value.isascii():
        return
    for name in ("NFC", "NFD", "NFKC", "NFKD"):
        yield Form(to_bytes(unicodedata.normalize(name, value)), "normalized")
    for name in ("latin-1", "cp1252", "cp1251"):
        with suppress(UnicodeError):
            yield Form(value.encode("utf-8").decode(name).encode(), "mojibake")
        with suppress(UnicodeError):
            yield Form(value.encode(name), name)
    for name in ("utf-16-le", "utf-16-be"):
        yield Form(value.encode(name, "surrogatepass"), "utf-16")


# -- encodings of bytes ------------------------------------------------------------------------------------------------


def raw_bytes(text: str) -> bytes:
    """Return the bytes that the operating system or an encoder creates from a text."""
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
    """Return what can happen to a value before it is encoded.

    The value stays unchanged, or it becomes part of a JSON or Python text.
    """
    if _PLAIN.fullmatch(value):
        return [raw_bytes]
    encoders: Dict[bytes, Encoder] = {}
    for encode in (raw_bytes, _json_ascii, _json_unicode, _python_ascii):
        encoders.setdefault(encode(value), encode)
    return list(encoders.values())


def _base64_forms(value: str, encode: Encoder, ends: _Ends) -> Iterator[Form]:
    bare = _measured(value, "base64", encode, ends)
    sizes = [-(-4 * size // 3) for size in bare[2:10]]
    for shift in range(3):
        digits = b64encode(bytes(shift) + bare.text).rstrip(b"=")
        core = digits[-(-8 * shift // 6) : (shift + len(bare.text)) * 8 // 6]
        form = _of_digits(bare._replace(text=core), sizes, SHORTEST_END)
        yield form._replace(before=int(shift > 0), after=int((shift + len(bare.text)) % 3 > 0))


def _hex_forms(value: str, encode: Encoder, ends: _Ends) -> Iterator[Form]:
    bare = _measured(value, "hex", encode, ends)
    sizes = [2 * size for size in bare[2:10]]
    digits = bare.text.hex()
    for text in (digits, digits.upper()):
        yield _of_digits(bare._replace(text=text.encode()), sizes, _HEX_END)


def _of_digits(form: Form, sizes: List[int], most: int) -> Form:
    """Return a form that ``most`` digits identify, or fewer if the end of the value has fewer."""
    head, tail, first, last, half_first, half_last, least_first, least_last = sizes
    rest = len(form.text) - head - tail
    windows = min(first, most, rest), min(last, most, rest)
    halves = min(half_first - 1, windows[0]), min(half_last - 1, windows[1])
    # Digits at the ends belong to two bytes, so words need slightly fewer digits than their size.
    least = [
        window if 0 < minimum <= size else max(window, minimum - 4) if minimum else 0
        for window, minimum, size in zip(windows, (least_first, least_last), (first, last))
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
    """Yield the groups of five digits that contain bits of the value alone. Others can contain bits of other data."""
    for shift in range(4):
        whole = data[-shift % 4 :]
        rest = len(whole) % 4
        core = encode(whole[: len(whole) - rest])
        yield Form(core, "base85", before=5 if shift else 0, after=5 if rest else 0)
