"""What is public in a token without a format: what all tokens of its service begin and end with, and locations.

The beginning of a token is public up to the last separator that follows words or numbers, with a few characters more.
If it encodes binary data, the readable header of the data is public too.
"""

from __future__ import annotations

import re

from pytest_flowsecrets.leaks.formats.sensitive_fields import DATE, UNCLEAR, WORD, is_random, rank

_LEAST = 32  # characters that are left of a token without its public beginning; a shorter one has none
_LONG, _MORE = 48, 4  # characters of a long token, and how many behind its last separator are public
_FIELD = re.compile(r"[$\[]?([A-Za-z0-9]{1,12})(?:[._$:=,\[ /-]+)")
_KIND = re.compile(r"[a-z]+\d+")  # ed25519
_DIGITS = re.compile(r"[A-Za-z0-9+/_-]+")
_HEADER = 4  # bytes; a shorter header is one by chance
_LONGEST = 400  # digits of a header
_ASCII = 0x80
_TAIL = re.compile(r"[ ,;|]([A-Za-z0-9@.:_-]{1,64}\]?)\Z")

_NUMBERS = r"\d{1,3}(?:\.\d{1,3}){3}(?::\d+)?(?:/\d+)?|(?:[0-9a-fA-F]{0,4}:){2,7}[0-9a-fA-F]{0,4}(?:%\w+|/\d+)?"
_PLACE = re.compile(rf"{_NUMBERS}|[\w.+-]+@[\w-]+(?:\.[\w-]+)+|[\w@+~ -]*(?:[/\\:.][\w@+~ -]*)+")
# Words that name something, such as `test-secret-value`: the same words with another end name something else.
_NAME = re.compile(r"(?:[A-Z]?[a-z]+|[A-Z]+|\d{1,4})(?:[-_](?:[A-Z]?[a-z]+|[A-Z]+|\d{1,4}))+")
_PHRASE = 4  # words of a passphrase, whose parts are leaks
_PIECE = re.compile(r"[A-Z]?[a-z]+(?:[A-Z][a-z]+)*\d{0,4}|[A-Z]+\d{0,4}|\d{1,12}[A-Za-z]{0,3}|[a-z]+\d{1,4}[a-z]+")


def public_head(text: str) -> int:
    """Return how many characters at the beginning of a token are the same in other tokens of its service."""
    at = 0
    field = _FIELD.match(text)
    while field and _is_public(field.group(1)):
        at = field.end()
        field = _FIELD.match(text, at)
    rest = len(text) - at
    more = _MORE if at and rest >= _LONG else 0
    head = at + max(more, _header(text[at:]) if rest >= _LEAST else 0)
    return head if len(text) - head >= _LEAST else 0


def _is_public(field: str) -> bool:
    return field.isdigit() or bool(WORD.fullmatch(field) or _KIND.fullmatch(field))


def _header(text: str) -> int:
    """The number of digits in base64 that encode text and small numbers before the first other byte."""
    from base64 import urlsafe_b64decode

    digits = _DIGITS.match(text)
    bare = digits.group()[:_LONGEST] if digits else ""
    bare = bare[: len(bare) & -4]
    data = urlsafe_b64decode(bare.translate({ord("+"): "-", ord("/"): "_"}))
    size = next((place for place, byte in enumerate(data) if byte >= _ASCII), 0)
    is_binary = any(byte < ord(" ") for byte in data[:size])
    return -(-4 * size // 3) if size >= _HEADER and is_binary else 0


def public_tail(text: str) -> int:
    """Return how many characters at the end of a token are a comment or a type."""
    tail = _TAIL.search(text)
    return len(tail.group()) if tail and tail.start() >= _LEAST and not is_random(tail.group(1)) else 0


def is_location(text: str) -> bool:
    """Return whether a text is an address, a date, a path or the name of a resource: only the whole of it is a leak."""
    if DATE.fullmatch(text):
        return True
    pieces = [piece for piece in re.split(r"[^A-Za-z0-9]+", text) if piece]
    is_plain = re.fullmatch(_NUMBERS, text) or all(map(_PIECE.fullmatch, pieces))
    return bool(len(pieces) > 1 and is_plain and _PLACE.fullmatch(text))


def is_name(text: str) -> bool:
    """Return whether a text is a few words, or words that say what they are, joined by hyphens or underscores."""
    if not _NAME.fullmatch(text) or (text.isupper() and "_" not in text):
        return False
    words = [word for word in re.split("[-_]", text) if word.isalpha()]
    return len(words) < _PHRASE or rank("", text) != UNCLEAR
