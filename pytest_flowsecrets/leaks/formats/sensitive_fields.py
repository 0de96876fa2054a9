"""Which parts of a structured secret are sensitive, and which are public: by name, by looks, by what tokens share."""

from __future__ import annotations

import re
from typing import NamedTuple, Optional

PUBLIC, UNCLEAR, SENSITIVE = range(3)

_LEAST = 8  # letters and digits of a part that can look random
_VARIETY = 6  # different characters of a random text; with fewer it is a placeholder
_WORD_SHARE = 0.6  # of the letters and digits; with more in words a part does not look random
_PHRASE = 4  # words of a passphrase, the least that diceware recommends

_SECRET_NAME = re.compile(
    r"password|passphrase|passwd|passwort|passcode|passkey|pswd?\Z|mnemonic|connectionstring\Z|sessionid\Z|bearer\Z|"
    r"(?:user|db|admin|root|my|smtp|ftp|ldap)pass\Z|[cx]srf|pwd\Z|secret|token\Z|credentials?\Z|cookie\Z|signature\Z|authorization\Z|"
    r"(?:api|access|account|private|signing|encryption|shared|master|client|primary|secondary|storage|webhook)key"
    r"(?:data|value|base64)?\Z"
)
_OTHER_KEYS = frozenset({"public", "primary", "foreign", "partition", "sort", "cache", "object", "index", "lookup"})
_SECRET_WORD = frozenset(
    {"pass", "pwd", "sig", "auth", "pat", "pin", "pw", "sas", "otp", "totp", "jwt"}
)  # as the last word of a name
# Names that hold one of the words above and yet name something public, and what public frames are made of.
_PUBLIC_NAME = re.compile(
    r"(?:uri|url|type|endpoint|name|policy|expir\w*|lifetime|ttl|issuer|audience|scopes?|version|algorithm|kind|email|"
    r"host|hostname|server|address|region|location|zone|domain|database|driver|schema|catalog|description|title|mode|"
    r"format|charset|encoding|timeout|provider)\Z|"
    r"\A(?:alg|typ|kty|crv|use|iss|sub|aud|iat|nbf|exp|azp|user|username|uid|login|account|port|db|dbname|protocol|tcp|"
    r"data ?source|project|project_?id|namespace|role|roles|env|environment|stage|owner|group|org|organization|team|"
    r"channel|s[vsrpet]|srt|spr|encrypt|trustservercertificate|pooling|ssl\w*|suffix|endpointsuffix|path|file|"
    r"machine|comment|note|label|tag|tags|locale|language|currency|status|service)\Z"
)
_ADDRESS = re.compile(
    r"[a-z][a-z0-9+.-]*:[^\s]*|[\w.+-]+@[\w-]+(?:\.[\w-]+)+|[\w-]+(?:\.[\w-]+)+(?::\d+)?(?:/[\w./-]*)?|[./~][\w./ -]*|"
    r"[\d.,:+-]+",
    re.IGNORECASE,
)
DATE = re.compile(r"\d{4}-?\d\d-?\d\d(?:[T ]?[\d:.]*)?(?:Z|[+-]\d\d:?\d\d)?")
_TOKENS = re.compile(r"[A-Za-z0-9]+")
WORD = re.compile(
    r"(?:[A-Z]?[a-z]+|[A-Z]+)(?:[A-Z][a-z]{2,}|[A-Z]{2,}\b|[A-Z]{2,}(?=\d))*\d{0,4}[a-z]?|"
    r"[a-z]{2,}\d{1,2}[a-z]{1,5}|v\d+[a-z]*\d*|\d+[a-z]{0,2}|[A-Za-z]\d+"
)
_LONGEST_WORD = 20
_HEX = re.compile(r"[0-9a-fA-F]{16,}|[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


class Leaf(NamedTuple):
    """A part of a structured text.

    Attributes:
        text: what it means, without quotes and escapes.
        name: the name that it has in the text.
        rank: ``SENSITIVE``, ``UNCLEAR`` or ``PUBLIC`` where the format knows it; else its name and look decide.
        head: number of public characters at its beginning.
        tail: number of public characters at its end.
        whole: whether a part of it is no leak.
        opaque: whether it is not divided any further.
    """

    text: str
    name: str = ""
    rank: Optional[int] = None
    head: int = 0
    tail: int = 0
    whole: bool = False
    opaque: bool = False


def rank(text: str, name: str = "") -> int:
    """Return ``PUBLIC``, ``UNCLEAR`` or ``SENSITIVE`` for one part of a value.

    Args:
        text: the part.
        name: the name that it has in the value, such as a JSON key; empty if it has none.
    """
    if names_a_secret(name):
        return SENSITIVE
    if _PUBLIC_NAME.search(_normal(name)):
        return PUBLIC
    if is_random(text) and not _is_dotted_name(text):
        return SENSITIVE
    if _ADDRESS.fullmatch(text) or DATE.fullmatch(text):
        return PUBLIC
    return SENSITIVE if len(text.replace("-", " ").split()) >= _PHRASE and not name else UNCLEAR


def names_a_secret(name: str) -> bool:
    """Whether the name of a part says that it is secret: ``password``, ``AccountKey``, ``_authToken``."""
    normal = _normal(name)
    if not normal or _PUBLIC_NAME.search(normal):
        return False
    others, _, last = normal.rpartition("_")
    if last == "key" and others:
        return others.rpartition("_")[2] not in _OTHER_KEYS
    return last in _SECRET_WORD or _SECRET_NAME.search(normal.replace("_", "")) is not None


def _normal(name: str) -> str:
    """A name in lower case, its words apart: ``AccountKey`` and ``account-key`` become ``account_key``."""
    return re.sub(r"[^a-z0-9]+", "_", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()).strip("_")


def _is_dotted_name(text: str) -> bool:
    """Whether a text is the name of a host, a package or a file, which has words at its end."""
    last = text.rpartition(".")[2].partition("/")[0]
    return "." in text and "/" not in text.partition(".")[0] and 1 < len(last) < _LEAST and last.isalpha()


def is_random(text: str) -> bool:
    """Whether a text looks like a token: most of its letters and digits are in no words."""
    if DATE.fullmatch(text) or len({*text}) < _VARIETY:
        return False
    if _HEX.fullmatch(text):
        return any(char.isalpha() for char in text) and any(char.isdigit() for char in text)
    tokens = [token for token in _TOKENS.findall(text) if not token.isdigit()]
    total = sum(map(len, tokens))
    words = sum(len(token) for token in tokens if len(token) <= _LONGEST_WORD and WORD.fullmatch(token))
    return total >= _LEAST and words < _WORD_SHARE * total


# What is public in a token without a format: what all tokens of its service begin and end with, and locations.
#
# The beginning of a token is public up to the last separator that follows words or numbers, with a few characters
# more. If it encodes binary data, the readable header of the data is public too.

_SHORTEST_SECRET = 32  # characters that are left of a token without its public beginning; a shorter one has none
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
    head = at + max(more, _header(text[at:]) if rest >= _SHORTEST_SECRET else 0)
    return head if len(text) - head >= _SHORTEST_SECRET else 0


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
    return len(tail.group()) if tail and tail.start() >= _SHORTEST_SECRET and not is_random(tail.group(1)) else 0


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
