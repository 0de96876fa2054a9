"""The formats of structured secrets, as a table: how a format is recognized, and which parts a text of it has.

The function of a format returns the leaves of a text, or nothing if the text does not have the format. The first format
that returns leaves applies, so stricter ones come first. Each function takes linear time.
"""

from __future__ import annotations

import re
from itertools import starmap
from typing import Callable, Iterable, Iterator, NamedTuple, Tuple

from pytest_flowsecrets.leaks.formats.encoded_secrets import (
    base64_leaves,
    json_leaves,
    jwt_leaves,
    parsed,
    pem_leaves,
    pkcs12_leaves,
)
from pytest_flowsecrets.leaks.formats.name_value_pairs import (
    LINE,
    assignment_leaves,
    command_leaves,
    connection_leaves,
    flow_leaves,
    split_lines,
)
from pytest_flowsecrets.leaks.formats.sensitive_fields import (
    SENSITIVE,
    Leaf,
)
from pytest_flowsecrets.leaks.formats.urls import url_leaves, urls_leaves


class Format(NamedTuple):
    """A format of structured secrets.

    Attributes:
        name: the name in the documentation.
        source: the section of the standard or documentation that defines it.
        leaves: returns the leaves of a text, or nothing if the text does not have the format.
        has_frame: whether there is something public around the leaves.
        strict: whether no text has this format by chance, so that it can classify a text that may not be a secret.
    """

    name: str
    source: str
    leaves: Callable[[str], Iterable[Leaf]]
    has_frame: bool = True
    strict: bool = True


# -- quotes and authorization headers ----------------------------------------------------------------------------------

_AUTHORIZATION = re.compile(
    r"(?:(?:Proxy-)?Authorization:\s*)?(?:Bearer|Basic|Token|ApiKey|DSN|Digest)\s+(\S+)", re.IGNORECASE
)
_QUOTES = "'\"`"
_SHORTEST_QUOTED = 4


def _quoted(text: str) -> Iterator[Leaf]:
    inner = text.strip()
    if len(inner) >= _SHORTEST_QUOTED and inner[0] in _QUOTES and inner[-1] == inner[0]:
        plain = parsed(inner) if inner[0] != "`" else None
        content = plain if isinstance(plain, str) else inner[1:-1]
        yield Leaf(content, rank=SENSITIVE)


def _authorization(text: str) -> Iterator[Leaf]:
    header = _AUTHORIZATION.fullmatch(text.strip())
    if header:
        yield Leaf(header.group(1), rank=SENSITIVE)


# -- XML ---------------------------------------------------------------------------------------------------------------

_XML = re.compile(
    r"""<([\w:.-]{1,100})(?:\s[^<>]*)?>(?:<!\[CDATA\[(.{0,4000}?)\]\]>|([^<>]+))</|"""
    r"""\b([\w:.-]{1,100})\s{0,9}=\s{0,9}(?:"([^"<>]*)"|'([^'<>]*)')""",
    re.DOTALL,
)


def _xml(text: str) -> Iterator[Leaf]:
    """Yield the texts of elements and the values of attributes, with their names."""
    from html import unescape

    for element, literal, content, attribute, *values in _XML.findall(text) if text.lstrip()[:1] == "<" else ():
        yield Leaf(literal or unescape(content or "".join(values)).strip(), element or attribute)


# -- lines and accounts ------------------------------------------------------------------------------------------------


def _lines(text: str) -> Iterator[Leaf]:
    """Yield the lines that are long enough to identify the value."""
    lines = split_lines(text)
    for line in lines if len(lines) > 1 else ():
        if len(line) >= LINE and not line.startswith("-----"):
            yield Leaf(line)


_ADDRESS = re.compile(r"@(?:tcp|unix)\(")
_ACCOUNT = re.compile(r"[A-Za-z][\w.@+-]{2,63}:(\S{8,})")


def _account(text: str) -> Iterator[Leaf]:
    """Yield the password in ``user:password`` (RFC 7617), without the address that Go's driver for MySQL appends."""
    pair = _ACCOUNT.fullmatch(text)
    if pair and not pair.group(1).startswith("//"):
        yield Leaf(_ADDRESS.split(pair.group(1))[0], rank=SENSITIVE, opaque=True)


# -- cookies -----------------------------------------------------------------------------------------------------------

_COOKIES = re.compile(
    r"((?:Set-)?Cookie:\s*)?([!#-+\w.^`|~-]+=[^\s;,]*(?:;[!#-+\w.^`|~ -]+(?:=[^;]*)?)*);?", re.IGNORECASE
)
_SESSION = re.compile(r"sess(?:ion)?(?:_?id)?\Z|(?:\A|[_.])sid\Z|[cx]srf|remember_?me|jwt|auth\Z", re.IGNORECASE)
_ATTRIBUTES = frozenset({"path", "domain", "expires", "max-age", "samesite", "secure", "httponly", "partitioned"})


def _cookies(text: str) -> Iterator[Leaf]:
    """Yield the values of cookies, in a header or in a text that names a session.

    Attributes of ``Set-Cookie`` are not included.
    """
    header = _COOKIES.fullmatch(text.strip())
    if not header:
        return
    pairs = [pair.strip().partition("=") for pair in header.group(2).split(";")]
    cookies = [(name, value) for name, _, value in pairs if name.lower() not in _ATTRIBUTES]
    if header.group(1) or (len(pairs) > 1 and any(_SESSION.search(name) for name, _ in cookies)):
        yield from starmap(_cookie, cookies)


def _cookie(name: str, value: str) -> Leaf:
    return Leaf(value.strip('"'), name, rank=SENSITIVE if _SESSION.search(name) else None)


_SEPARATORS = (",", ";")
_ITEM = re.compile(r"[\w.+/=~:@!-]{6,}")


def _list(text: str) -> Iterator[Leaf]:
    """Yield the items of a list that is separated by commas or semicolons."""
    for separator in _SEPARATORS:
        items = [item.strip() for item in text.strip().strip(separator).split(separator)]
        if len(items) > 1 and all(map(_ITEM.fullmatch, items)):
            for item in items:
                yield Leaf(item)
            return


FORMATS: Tuple[Format, ...] = (
    Format("quoted value", "POSIX.1-2017 Shell 2.2, RFC 8259 section 7", _quoted),
    Format("PEM", "RFC 7468 section 2", pem_leaves),
    Format("PKCS #12 in base64", "RFC 7292 section 4", pkcs12_leaves),
    Format("JWT", "RFC 7515 section 3.1, RFC 7516 section 3.1", jwt_leaves),
    Format("JSON or Python literal", "RFC 8259; Python reference, ast.literal_eval", json_leaves),
    Format("YAML flow mapping", "YAML 1.2 section 7.4.2", flow_leaves),
    Format("XML", "XML 1.0 sections 3.1 and 2.4", _xml),
    Format("authorization header", "RFC 9110 section 11.4", _authorization),
    Format("command line", "POSIX.1-2017 Utility Conventions 12.1", command_leaves),
    Format("text with URLs", "RFC 3986 appendix C", urls_leaves),
    Format("URL", "RFC 3986 section 3; JDBC 4.3 section 9.4", url_leaves),
    Format("cookies", "RFC 6265 sections 4.1 and 4.2", _cookies),
    Format("connection string", "MS-ODBCSTR section 2.1; libpq 34.1.1; Azure SAS", connection_leaves),
    Format("names and values", "INI, .env, YAML, .npmrc, .netrc, .pgpass", assignment_leaves),
    Format("lines", "POSIX.1-2017 3.206", _lines, has_frame=False, strict=False),
    Format("base64", "RFC 4648 sections 4 and 5", base64_leaves, strict=False),
    Format("user and password", "RFC 7617 section 2", _account, strict=False),
    Format("list", "commas or semicolons between items", _list, has_frame=False, strict=False),
)
