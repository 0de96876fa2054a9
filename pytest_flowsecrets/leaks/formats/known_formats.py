"""The formats of structured secrets, as a table: how each is recognized, and what stands in it.

A format's function returns the leaves of a text, or nothing if the text does not have this format. The first format
that returns leaves is taken, so stricter ones come first. Each function is linear in the length of its text.
"""

from __future__ import annotations

import re
from typing import Callable, Iterable, Iterator, List, NamedTuple, Tuple

from pytest_flowsecrets.leaks.formats.command_lines import command_leaves
from pytest_flowsecrets.leaks.formats.encoded_secrets import (
    base64_leaves,
    json_leaves,
    jwt_leaves,
    parsed,
    pem_leaves,
    pkcs12_leaves,
)
from pytest_flowsecrets.leaks.formats.sensitive_fields import (
    PUBLIC,
    SENSITIVE,
    UNCLEAR,
    Leaf,
    is_random,
    names_a_secret,
    rank,
)

_LINE = 12  # characters; a shorter line is in other texts by chance


class Format(NamedTuple):
    """A format of structured secrets.

    Attributes:
        name: what the documentation calls it.
        source: the section of the standard or the documentation that defines it.
        leaves: returns what stands in a text of this format; nothing for any other text.
        has_frame: whether something public stands around the leaves.
        strict: whether no text has this format by chance, so that it says something of a text that is not known to be
            a secret.
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


# -- URLs --------------------------------------------------------------------------------------------------------------

_URL = re.compile(r"(?:jdbc:)?[A-Za-z][A-Za-z0-9+.-]*://([^/?#\s;]*)([^?#\s;]*)(?:\?([^#\s]*))?(?:#(\S*))?")
# A password with an unquoted slash, question mark, number sign, semicolon or blank; no port, and no path with an @.
_UNQUOTED = re.compile(
    r"(?:jdbc:)?[A-Za-z][A-Za-z0-9+.-]*://([^/?#@:\s;]*:(?!\d{1,5}(?:[/?#;,\s]|\Z))[^@\n]*(?:@[^@\n]*)*?)"
    r"@[\w.:,\[\]-]+(?:/[^?#\s]*)?(?:\?([^#\s]*))?(?:#\S*)?"
)
_ORACLE = re.compile(r"jdbc:oracle:\w+:([^/\s]+)/([^@\s]+)@\S+")
_TARGET = 12  # characters of a path that is specific
_USER = 12  # characters of a token that stands where a user name does


def _url(text: str) -> Iterator[Leaf]:
    """User information, random segments of the path, sensitive query values; path and query as clients log them."""
    text = text.strip()
    url = _URL.fullmatch(text)
    if not url or "@" not in url.group(1):
        unquoted = _UNQUOTED.fullmatch(text)
        if unquoted:
            yield from _quoted_for_urls(unquoted.group(1).partition(":")[2])
            yield from _query_values(unquoted.group(2) or "")
            return
    if not url:
        oracle = _ORACLE.fullmatch(text)
        if oracle:
            yield Leaf(oracle.group(2), "password")
        return
    authority, path, query, fragment = (part or "" for part in url.groups())
    yield from _user_info(authority.rpartition("@")[0])
    parts = [*_segments(path), *_query_values(query), *_query_values(fragment)]
    yield from parts
    target = f"{path}?{query}" if query else path
    if any(leaf.rank == SENSITIVE for leaf in parts) or (len(target) >= _TARGET and target.count("/") > 1):
        is_sensitive = any(leaf.rank == SENSITIVE for leaf in parts)
        yield Leaf(target, rank=SENSITIVE if is_sensitive else UNCLEAR, whole=True, opaque=True)
    else:
        yield Leaf(text, rank=PUBLIC)


def _user_info(text: str) -> Iterator[Leaf]:
    user, colon, password = text.partition(":")
    if len(user) >= _USER and (not password or is_random(user)):
        yield from _quoted_for_urls(user)
    if colon:
        yield from _quoted_for_urls(password)


def _quoted_for_urls(text: str) -> Iterator[Leaf]:
    from urllib.parse import unquote

    plain = unquote(text)
    yield Leaf(plain, rank=SENSITIVE, opaque=True)
    if plain != text:  # as it is quoted here; its cuts are cuts of the plain text
        yield Leaf(text, rank=SENSITIVE, whole=True, opaque=True)


def _segments(path: str) -> Iterator[Leaf]:
    for segment in path.split("/"):
        if is_random(segment):
            yield from _quoted_for_urls(segment)


def _query_values(query: str) -> Iterator[Leaf]:
    for pair in query.split("&"):
        name, _, value = pair.partition("=")
        if names_a_secret(name) or rank(value, name) == SENSITIVE:
            yield from _quoted_for_urls(value)


_URL_BEGINS = re.compile(r"(?<=[,;\s])(?=(?:jdbc:)?[A-Za-z][A-Za-z0-9+.-]{0,30}://)")


def _urls(text: str) -> Iterator[Leaf]:
    """Several URLs, with commas, semicolons or blanks between them, or one in a longer text, such as a command."""
    pieces = _URL_BEGINS.split(text.strip())
    for piece in pieces if len(pieces) > 1 else ():
        for url in piece.rstrip(",;").split()[:1]:
            yield from (leaf for leaf in _url(url) if leaf.rank == SENSITIVE)


# -- names and values --------------------------------------------------------------------------------------------------

_VALUE = r"""("(?:[^"\\]|\\.|"")*"|'(?:[^'\\]|\\.|'')*'|\{{(?:[^}}]|\}}\}})*\}}|[^{separator}]*)"""
_PAIRS = {
    separator: re.compile(
        rf"(?:\A\??|[{separator}])\s*([A-Za-z_][\w .-]{{0,63}}?)\s*=\s*{_VALUE.format(separator=separator)}"
    )
    for separator in (";", "&", ",", r"\s")
}
_MANY = 3  # pairs that make a connection string even if none of their names is known


def _connection_string(text: str) -> Iterator[Leaf]:
    """``Name=value`` with semicolons (ODBC, ADO.NET, Azure), ampersands (SAS), commas (Redis) or blanks (libpq)."""
    if "=" not in text or "\n" in text:
        return
    pairs_by = {separator: pattern.findall(text) for separator, pattern in _PAIRS.items()}
    good = (each for each, pairs in pairs_by.items() if len(pairs) > 1 and _has_secret(pairs))
    separator = next(good, max(pairs_by, key=lambda each: len(pairs_by[each])))
    pairs = pairs_by[separator]
    if len(pairs) < _MANY and not _has_secret(pairs):
        return
    for name, value in pairs:
        if separator == "&" and "%" in value and rank(value, name) == SENSITIVE:
            yield from _quoted_for_urls(value)
        else:
            yield from _quoted_value(value, name)


def _has_secret(pairs: Iterable[Tuple[str, str]]) -> bool:
    return any(names_a_secret(name) for name, _ in pairs)


_DOUBLED = {"''": "'", '""': '"', "{}": "}"}  # by the quotes: the character that stands twice inside them


def _quoted_value(value: str, name: str) -> Iterator[Leaf]:
    """A value without its quotes; also as it is written between them, if a quote in it is doubled."""
    value = value.strip()
    quote = _DOUBLED.get(value[:1] + value[-1:]) if len(value) > 1 else None
    inner = value[1:-1] if quote else value
    plain = inner.replace(quote * 2, quote) if quote else value
    yield Leaf(plain, name)
    if plain != inner:
        yield Leaf(inner, name, whole=True, opaque=True)


_ASSIGNMENT = re.compile(r"\s*(?:-\s+)?(?:export\s+|set\s+)?[\"']?([\w./@:-]{1,200}?)[\"']?\s*[:=]\s*(.*)")
_NETRC = re.compile(r"\b(login|password|account)\s+(\S+)")
_QUOTED = re.compile(r"""("(?:[^"\\]|\\.)*"|'(?:[^']|'')*'),?(?:\s*[#;].*)?""")
_COMMENT = re.compile(r"\s[#;]")
_FLOW = re.compile(r"\{(.*)\}", re.DOTALL)
_FLOW_PAIR = re.compile(
    r"""(?:\A|[,{])\s*["']?([\w.@-]{1,100})["']?\s*:\s+("(?:[^"\\]|\\.)*"|'(?:[^']|'')*'|[^,{}\s][^,{}]*)"""
)
_PGPASS = re.compile(r"[^:#\s]*:(?:\d+|\*):[^:]*:[^:]*:(.+)")


def _assignments(text: str) -> Iterator[Leaf]:
    """A file with names and values: ``.env``, INI, YAML, ``.npmrc``, ``.netrc``, ``.pgpass``; or one line of it."""
    lines = _split(text)
    leaves = [leaf for line in lines for leaf in _line_leaves(line)]
    named = sum(bool(leaf.name) for leaf in leaves)
    if (len(lines) > 1 and 2 * named >= len(leaves)) or any(names_a_secret(leaf.name) for leaf in leaves):
        yield from leaves


def _lines(text: str) -> Iterator[Leaf]:
    """Lines that are long enough to be known by themselves."""
    lines = _split(text)
    for line in lines if len(lines) > 1 else ():
        if len(line) >= _LINE and not line.startswith("-----"):
            yield Leaf(line)


def _split(text: str) -> List[str]:
    """Lines at real line breaks, or at escaped ones if there are no others."""
    text = text.strip()
    return [line.strip() for line in text.split("\n" if "\n" in text else "\\n")]


def _line_leaves(line: str) -> Iterator[Leaf]:
    if not line or line[0] in "#;[" or line.startswith("-----"):
        return
    command = list(command_leaves(line))
    pgpass, assignment = _PGPASS.fullmatch(line), _ASSIGNMENT.fullmatch(line)
    if pgpass:
        yield Leaf(pgpass.group(1), "password")
    elif command:
        yield from command
    elif assignment and not assignment.group(2).startswith("//"):
        yield from _assigned(*assignment.groups())
    elif _NETRC.search(line):
        for name, value in _NETRC.findall(line):
            yield Leaf(value, name)
    elif len(line) >= _LINE:
        yield Leaf(line)


def _assigned(name: str, value: str) -> Iterator[Leaf]:
    """The value of one name, without a comment behind it, or the values in a flow mapping of YAML."""
    quoted = _QUOTED.fullmatch(value)
    bare = quoted.group(1) if quoted else _COMMENT.split(value, 1)[0].rstrip()
    inner = list(_flow(bare))
    yield from inner or _quoted_value(bare, name)
    if not (inner or quoted) and bare != value:
        yield Leaf(value, name, whole=True, opaque=True)  # in other formats there are no comments


def _flow(text: str) -> Iterator[Leaf]:
    """The values in a flow mapping of YAML, each by its key."""
    mapping = _FLOW.fullmatch(text.strip())
    for name, value in _FLOW_PAIR.findall(mapping.group(1)) if mapping else ():
        yield from _quoted_value(value, name)


_ADDRESS = re.compile(r"@(?:tcp|unix)\(")
_ACCOUNT = re.compile(r"[A-Za-z][\w.@+-]{2,63}:(\S{8,})")


def _account(text: str) -> Iterator[Leaf]:
    """``user:password``, as in RFC 7617; with an address behind it, as Go's driver for MySQL has it."""
    pair = _ACCOUNT.fullmatch(text)
    if pair and not pair.group(1).startswith("//"):
        yield Leaf(_ADDRESS.split(pair.group(1))[0], rank=SENSITIVE, opaque=True)


_XML = re.compile(
    r"""<([\w:.-]{1,100})(?:\s[^<>]*)?>(?:<!\[CDATA\[(.{0,4000}?)\]\]>|([^<>]+))</|"""
    r"""\b([\w:.-]{1,100})\s{0,9}=\s{0,9}(?:"([^"<>]*)"|'([^'<>]*)')""",
    re.DOTALL,
)


def _xml(text: str) -> Iterator[Leaf]:
    """The texts of elements and the values of attributes, each by its name."""
    from html import unescape

    for element, literal, content, attribute, *values in _XML.findall(text) if text.lstrip()[:1] == "<" else ():
        yield Leaf(literal or unescape(content or "".join(values)).strip(), element or attribute)


# -- cookies -----------------------------------------------------------------------------------------------------------

_COOKIES = re.compile(
    r"((?:Set-)?Cookie:\s*)?([!#-+\w.^`|~-]+=[^\s;,]*(?:;[!#-+\w.^`|~ -]+(?:=[^;]*)?)*);?", re.IGNORECASE
)
_SESSION = re.compile(r"sess(?:ion)?(?:_?id)?\Z|(?:\A|[_.])sid\Z|[cx]srf|remember_?me|jwt|auth\Z", re.IGNORECASE)
_ATTRIBUTES = frozenset({"path", "domain", "expires", "max-age", "samesite", "secure", "httponly", "partitioned"})


def _cookies(text: str) -> Iterator[Leaf]:
    """The values of cookies, in a header or as one text that names a session; not the attributes of ``Set-Cookie``."""
    header = _COOKIES.fullmatch(text.strip())
    pairs = [pair.strip().partition("=") for pair in header.group(2).split(";")] if header else []
    cookies = [(name, value) for name, _, value in pairs if name.lower() not in _ATTRIBUTES]
    if header and (header.group(1) or (len(pairs) > 1 and any(_SESSION.search(name) for name, _ in cookies))):
        for name, value in cookies:
            yield Leaf(value.strip('"'), name, rank=SENSITIVE if _SESSION.search(name) else None)


_SEPARATORS = (",", ";")
_ITEM = re.compile(r"[\w.+/=~:@!-]{6,}")


def _list(text: str) -> Iterator[Leaf]:
    """Items with commas or semicolons between them."""
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
    Format("YAML flow mapping", "YAML 1.2 section 7.4.2", _flow),
    Format("XML", "XML 1.0 sections 3.1 and 2.4", _xml),
    Format("authorization header", "RFC 9110 section 11.4", _authorization),
    Format("command line", "POSIX.1-2017 Utility Conventions 12.1", command_leaves),
    Format("text with URLs", "RFC 3986 appendix C", _urls),
    Format("URL", "RFC 3986 section 3; JDBC 4.3 section 9.4", _url),
    Format("cookies", "RFC 6265 sections 4.1 and 4.2", _cookies),
    Format("connection string", "MS-ODBCSTR section 2.1; libpq 34.1.1; Azure SAS", _connection_string),
    Format("names and values", "INI, .env, YAML, .npmrc, .netrc, .pgpass", _assignments),
    Format("lines", "POSIX.1-2017 3.206", _lines, has_frame=False, strict=False),
    Format("base64", "RFC 4648 sections 4 and 5", base64_leaves, strict=False),
    Format("user and password", "RFC 7617 section 2", _account, strict=False),
    Format("list", "commas or semicolons between items", _list, has_frame=False, strict=False),
)
