"""Secrets in URLs: passwords, tokens in the path, and sensitive query values."""

from __future__ import annotations

import re
from typing import Iterator, List, NamedTuple

from pytest_flowsecrets.leaks.formats.sensitive_fields import (
    PUBLIC,
    SENSITIVE,
    UNCLEAR,
    Leaf,
    is_random,
    names_a_secret,
    rank,
)

_URL = re.compile(r"(?:jdbc:)?[A-Za-z][A-Za-z0-9+.-]*://([^/?#\s;]*)([^?#\s;]*)(?:\?([^#\s]*))?(?:#(\S*))?")
# A password with an unquoted slash, question mark, number sign, semicolon or blank; not a port or a path with an @.
_UNQUOTED = re.compile(
    r"(?:jdbc:)?[A-Za-z][A-Za-z0-9+.-]*://([^/?#@:\s;]*:(?!\d{1,5}(?:[/?#;,\s]|\Z))[^@\n]*(?:@[^@\n]*)*?)"
    r"@[\w.:,\[\]-]+(?:/[^?#\s]*)?(?:\?([^#\s]*))?(?:#\S*)?"
)
_ORACLE = re.compile(r"jdbc:oracle:\w+:([^/\s]+)/([^@\s]+)@\S+")
_TARGET = 12  # characters of a path that identifies a URL
_USER = 12  # characters of a token in the place of a user name


def url_leaves(text: str) -> Iterator[Leaf]:
    """Yield user information, random segments of the path, sensitive query values, and the target as clients log it."""
    text = text.strip()
    url = _URL.fullmatch(text)
    unquoted = _UNQUOTED.fullmatch(text) if not url or "@" not in url.group(1) else None
    if unquoted:
        yield from quoted_leaves(unquoted.group(1).partition(":")[2])
        for part in _parts_of("", "", unquoted.group(2) or "", ""):
            yield from quoted_leaves(part.text)
    elif url:
        yield from _leaves_of(text, *(part or "" for part in url.groups()))
    else:
        yield from _oracle_url(text)


class UrlPart(NamedTuple):
    """A sensitive part of a URL.

    Attributes:
        kind: ``user``, ``password``, ``path`` or ``query``.
        text: the part, as it is written in the URL.
        name: its name in the query or the fragment.
    """

    kind: str
    text: str
    name: str = ""


def sensitive_parts(url: str) -> List[UrlPart]:
    """Return the sensitive parts of a URL (RFC 3986 section 3), or nothing if the text is not a URL.

    Args:
        url: the URL. A password in it is percent-encoded.
    """
    match = _URL.fullmatch(url.strip())
    return list(_parts_of(*(part or "" for part in match.groups()))) if match else []


def _parts_of(authority: str, path: str, query: str, fragment: str) -> Iterator[UrlPart]:
    yield from _user_info(authority.rpartition("@")[0])
    yield from (UrlPart("path", segment) for segment in path.split("/") if is_random(segment))
    for pair in [*query.split("&"), *fragment.split("&")]:
        name, _, value = pair.partition("=")
        if names_a_secret(name) or rank(value, name) == SENSITIVE:
            yield UrlPart("query", value, name)


def _leaves_of(text: str, authority: str, path: str, query: str, fragment: str) -> Iterator[Leaf]:
    parts = list(_parts_of(authority, path, query, fragment))
    for part in parts:
        yield from quoted_leaves(part.text)
    is_sensitive = any(part.kind in ("path", "query") for part in parts)
    target = f"{path}?{query}" if query else path
    if is_sensitive or (len(target) >= _TARGET and target.count("/") > 1):
        yield Leaf(target, rank=SENSITIVE if is_sensitive else UNCLEAR, whole=True, opaque=True)
    else:
        yield Leaf(text, rank=PUBLIC)


def _oracle_url(text: str) -> Iterator[Leaf]:
    oracle = _ORACLE.fullmatch(text)
    if oracle:
        yield Leaf(oracle.group(2), "password")


def _user_info(text: str) -> Iterator[UrlPart]:
    user, colon, password = text.partition(":")
    if len(user) >= _USER and (not password or is_random(user)):
        yield UrlPart("user", user)
    if colon:
        yield UrlPart("password", password)


def quoted_leaves(text: str) -> Iterator[Leaf]:
    """Yield a percent-encoded text, decoded and encoded."""
    from urllib.parse import unquote

    plain = unquote(text)
    yield Leaf(plain, rank=SENSITIVE, opaque=True)
    if plain != text:  # also as quoted here; parts of it are parts of the plain text
        yield Leaf(text, rank=SENSITIVE, whole=True, opaque=True)


_URL_BEGINS = re.compile(r"(?<=[,;\s])(?=(?:jdbc:)?[A-Za-z][A-Za-z0-9+.-]{0,30}://)")


def urls_leaves(text: str) -> Iterator[Leaf]:
    """Yield the secrets in several URLs, separated by commas, semicolons or blanks, or in one URL in a longer text."""
    pieces = _URL_BEGINS.split(text.strip())
    for piece in pieces if len(pieces) > 1 else ():
        for url in piece.rstrip(",;").split()[:1]:
            yield from (leaf for leaf in url_leaves(url) if leaf.rank == SENSITIVE)
