"""Which parts of a structured secret are sensitive, and which are public.

A leaf of a structured secret gets a rank. Leaves with the name of a secret and leaves that look random are
``SENSITIVE``. Names of users, hosts, regions and types, addresses and dates are ``PUBLIC``. Everything else is
``UNCLEAR``, which matters only if no leaf of the value is sensitive.
"""

from __future__ import annotations

import re
from typing import NamedTuple, Optional

PUBLIC, UNCLEAR, SENSITIVE = range(3)

_LEAST = 8  # letters and digits of a part that can look random
_VARIETY = 6  # different characters; a text with fewer is a placeholder
_WORD_SHARE = 0.6  # of the letters and digits; a part with more of them in words does not look random
_PHRASE = 4  # words of a passphrase; diceware recommends at least as many

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
# Names that contain one of the words above but are public, and the names in public frames.
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
        text: the part without quotes and escapes.
        name: its name in the text.
        rank: ``SENSITIVE``, ``UNCLEAR`` or ``PUBLIC`` if the format determines it; otherwise its name and look do.
        head: the number of public characters at its beginning.
        tail: the number of public characters at its end.
        whole: whether only the whole part is a leak.
        opaque: whether the part is not divided further.
    """

    text: str
    name: str = ""
    rank: Optional[int] = None
    head: int = 0
    tail: int = 0
    whole: bool = False
    opaque: bool = False


def rank(text: str, name: str = "") -> int:
    """Return ``PUBLIC``, ``UNCLEAR`` or ``SENSITIVE`` for a part of a value.

    Args:
        text: the part.
        name: its name in the value, such as a JSON key, or an empty string.
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
    """Return whether a name is that of a secret: ``password``, ``AccountKey``, ``_authToken``."""
    normal = _normal(name)
    if not normal or _PUBLIC_NAME.search(normal):
        return False
    others, _, last = normal.rpartition("_")
    if last == "key" and others:
        return others.rpartition("_")[2] not in _OTHER_KEYS
    return last in _SECRET_WORD or _SECRET_NAME.search(normal.replace("_", "")) is not None


def _normal(name: str) -> str:
    """Return a name in snake case: ``AccountKey`` and ``account-key`` become ``account_key``."""
    return re.sub(r"[^a-z0-9]+", "_", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()).strip("_")


def _is_dotted_name(text: str) -> bool:
    """Return whether a text is the name of a host, a package or a file, which ends with a word."""
    last = text.rpartition(".")[2].partition("/")[0]
    return "." in text and "/" not in text.partition(".")[0] and 1 < len(last) < _LEAST and last.isalpha()


def is_random(text: str) -> bool:
    """Return whether a text looks like a token: most of its letters and digits are not in words."""
    if DATE.fullmatch(text) or len({*text}) < _VARIETY:
        return False
    if _HEX.fullmatch(text):
        return any(map(str.isalpha, text)) and any(map(str.isdigit, text))
    tokens = [token for token in _TOKENS.findall(text) if not token.isdigit()]
    total = sum(map(len, tokens))
    return total >= _LEAST and sum(map(len, filter(_is_word, tokens))) < _WORD_SHARE * total


def _is_word(token: str) -> bool:
    return len(token) <= _LONGEST_WORD and WORD.fullmatch(token) is not None


# -- public parts ------------------------------------------------------------------------------------------------------
#
# The common beginning and end of all tokens of a service are public, and so are locations. The beginning of a token is
# public up to the last separator that follows words or numbers, and a few characters further. If the token encodes
# binary data, the readable header of the data is public, too.

_SHORTEST_SECRET = 32  # characters of a token after its public beginning; a shorter token has no public beginning
_LONG, _MORE = 48, 4  # characters of a long token, and public characters after its last separator
_FIELD = re.compile(r"[$\[]?([A-Za-z0-9]{1,12})(?:[._$:=,\[ /-]+)")
_KIND = re.compile(r"[a-z]+\d+")  # ed25519
_DIGITS = re.compile(r"[A-Za-z0-9+/_-]+")
_HEADER = 4  # bytes; a shorter header occurs by chance
_LONGEST = 400  # digits of a header
_ASCII = 0x80
_TAIL = re.compile(r"[ ,;|]([A-Za-z0-9@.:_-]{1,64}\]?)\Z")

_NUMBERS = r"\d{1,3}(?:\.\d{1,3}){3}(?::\d+)?(?:/\d+)?|(?:[0-9a-fA-F]{0,4}:){2,7}[0-9a-fA-F]{0,4}(?:%\w+|/\d+)?"
_PLACE = re.compile(rf"{_NUMBERS}|[\w.+-]+@[\w-]+(?:\.[\w-]+)+|[\w@+~ -]*(?:[/\\:.][\w@+~ -]*)+")
# Words that name something, such as `test-secret-value`. With another end they name something else.
_NAME = re.compile(r"(?:[A-Z]?[a-z]+|[A-Z]+|\d{1,4})(?:[-_](?:[A-Z]?[a-z]+|[A-Z]+|\d{1,4}))+")
_PIECE = re.compile(r"[A-Z]?[a-z]+(?:[A-Z][a-z]+)*\d{0,4}|[A-Z]+\d{0,4}|\d{1,12}[A-Za-z]{0,3}|[a-z]+\d{1,4}[a-z]+")


def public_head(text: str) -> int:
    """Return the number of characters at the beginning that all tokens of the service share."""
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
    """Return the number of base64 digits that encode text and small numbers before the first other byte."""
    from base64 import urlsafe_b64decode

    digits = _DIGITS.match(text)
    bare = digits.group()[:_LONGEST] if digits else ""
    bare = bare[: len(bare) & -4]
    data = urlsafe_b64decode(bare.translate({ord("+"): "-", ord("/"): "_"}))
    size = next((place for place, byte in enumerate(data) if byte >= _ASCII), 0)
    is_binary = any(byte < ord(" ") for byte in data[:size])
    return -(-4 * size // 3) if size >= _HEADER and is_binary else 0


def public_tail(text: str) -> int:
    """Return the number of characters at the end of a token that are a comment or a type."""
    tail = _TAIL.search(text)
    return len(tail.group()) if tail and tail.start() >= _SHORTEST_SECRET and not is_random(tail.group(1)) else 0


def is_location(text: str) -> bool:
    """Return whether a text is an address, a date, a path or a resource name, which is a leak only as a whole."""
    if DATE.fullmatch(text):
        return True
    pieces = [piece for piece in re.split(r"[^A-Za-z0-9]+", text) if piece]
    is_plain = re.fullmatch(_NUMBERS, text) or all(map(_PIECE.fullmatch, pieces))
    return bool(len(pieces) > 1 and is_plain and _PLACE.fullmatch(text))


def is_name(text: str) -> bool:
    """Return whether a text consists of a few words, or of descriptive words, joined by hyphens or underscores."""
    if not _NAME.fullmatch(text) or (text.isupper() and "_" not in text):
        return False
    words = [word for word in re.split("[-_]", text) if word.isalpha()]
    return len(words) < _PHRASE or rank("", text) != UNCLEAR
