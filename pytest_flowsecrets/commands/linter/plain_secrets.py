"""Recognize secrets in clear text in a file, by the names and forms that rule FS077 knows."""

from __future__ import annotations

import re
from typing import Iterator, Optional

from pytest_flowsecrets.commands.linter.templates import is_secret_name, is_template

_URL_WITH_PASSWORD = re.compile(r"(?<![\w+.-])[A-Za-z][\w+.-]*://[^\s/@{}$<]*:[^\s/@{}$<]+@")
_API_KEY = re.compile(r"\bpn[ub]_[A-Za-z0-9]{20,}")
# Texts that stand in for a secret, and names of secrets, such as `sandbox_password` in a secret manager.
_STAND_IN = re.compile(
    r"<.*>|\*+|x+|\.\.\.|change[_-]?me|none|null|true|false|unknown|\d?|12345(?:67?8?9?0?)?"
    r"|(?:your|insert)[_ -].*|.*[_ -]here"
    r"|(?=.*(?:password|passwd|token|key|secret))[a-z]+(?:[_-][a-z]+)+",
    re.IGNORECASE,
)
_URL = re.compile(r"(?<![\w+.-])[A-Za-z][\w+.-]{0,30}://[^\s'\"`]+")
_PLACEHOLDER = re.compile(r"\$?\{\{.*?\}\}|\$\{[^}]*\}|<[^<>]*>|%\w+%")
_HOOK = re.compile(r"hook", re.IGNORECASE)
_TOKEN = 20  # minimum length of a random segment that is a secret; in a webhook, shorter segments are secrets, too
# Random segments that are public: file names, digests, numbers and resources in hexadecimal digits, and what follows a
# word for a document or a revision.
_PUBLIC = re.compile(r".*\..*|(?:[a-z]{1,8}-)?[0-9a-f-]+", re.IGNORECASE)
_IDENTIFIED = re.compile(r"/(?:d|folders|commit|tree|blob|raw)/[^/?#]+")


def secret_in(name: str, value: str) -> Optional[str]:
    """Return what makes a text a secret in clear text, or None.

    Args:
        name: the key of the text.
        value: the text.
    """
    if _API_KEY.search(value):
        return "an API key of Prefect Cloud"
    if _URL_WITH_PASSWORD.search(value) and "://user:password@" not in value:
        return "a URL with a password"
    if is_secret_name(name) and not is_stand_in(value):
        return "a secret"
    return token_in_url(name, value)


def is_stand_in(value: str) -> bool:
    """Return whether a text is a template, stands in for a secret, or names one.

    Args:
        value: the text.
    """
    return is_template(value) or _STAND_IN.fullmatch(value) is not None


def token_in_url(name: str, value: str) -> Optional[str]:
    """Return which part of a URL in a text is a secret, or None.

    The parts are those of :func:`~pytest_flowsecrets.leaks.formats.urls.sensitive_parts`. In a file, the URL may also
    be public, so random texts that are common in public URLs are ignored.

    Args:
        name: the key of the text.
        value: the text.
    """
    if "://" not in value:
        return None
    return next((part for url in _URL.findall(_PLACEHOLDER.sub("$", value)) for part in _parts(name, url)), None)


def _parts(name: str, url: str) -> Iterator[str]:
    from pytest_flowsecrets.leaks.formats.sensitive_fields import is_random, names_a_secret
    from pytest_flowsecrets.leaks.formats.urls import sensitive_parts

    is_hook = _HOOK.search(name + url) is not None
    path = url.partition("?")[0].partition("://")[2]
    has_gap = any(is_stand_in(segment) for segment in path.split("/") if segment and not segment.isdigit())
    for part in sensitive_parts(url):
        text = part.text
        if is_stand_in(text):
            continue
        if part.kind == "user" and is_random(text):
            yield "a URL with a token"
        elif part.kind == "query" and names_a_secret(part.name):
            yield "a URL with a secret in its query"
        elif part.kind == "path" and not has_gap and _is_secret_segment(text, path, is_hook=is_hook):
            yield "a URL with a secret path"


def _is_secret_segment(text: str, path: str, *, is_hook: bool) -> bool:
    if any(match.endswith(f"/{text}") for match in _IDENTIFIED.findall(path)):
        return False
    return is_hook or (len(text) >= _TOKEN and not _PUBLIC.fullmatch(text))
