"""Which leaves of a structured secret are sensitive: by the name of a leaf, or because it looks random.

A leaf gets a rank. Leaves whose names say that they are secret, and leaves that look random, are ``SENSITIVE``. Names
of users, hosts, regions and types, addresses and dates are ``PUBLIC``. Everything else is ``UNCLEAR``: it counts only
where nothing in the value is sensitive.
"""

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
