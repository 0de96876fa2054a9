"""Recognize secrets in clear text in a file, by the names and forms that rule FS077 knows."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Iterator, Optional

from pytest_flowsecrets.commands.linter.templates import is_secret_name, is_template

if TYPE_CHECKING:
    from pytest_flowsecrets.leaks.formats.urls import UrlPart

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
_PLACEHOLDER = re.compile(r"\$?\{\{.*?\}\}|\$\{[^}]*\}|\{[\w.]*\}|<[^<>]*>|%[A-Za-z_]\w*%")
_KNOWN_TOKEN = re.compile(
    r"(?:gh[oprsu]_|github_pat_|gl(?:pat|dt|cbt)-|xox[abeprs]-|hf_|npm_|pypi-|sk-|pn[ub]_)[\w-]{16,}", re.IGNORECASE
)
# In other URLs, the user names a container, a key or a person.
_HTTP = re.compile(r"(?:\w+\+)?https?://", re.IGNORECASE)
_SENTRY = re.compile(r"https?://[0-9a-f]{32}@[^?#]*/\d+/?", re.IGNORECASE)  # public: clients in browsers contain it
# URLs whose path is a secret. Many programs receive webhooks below `/hooks/` or `/webhook/`, such as Prefect Cloud,
# Mattermost and n8n.
_WEBHOOK = re.compile(
    r"\w+://(?:[^/]+/(?:web)?hooks?/|[^/]+/(?:file/)?bot\d+:|hooks\.(?:slack|zapier)\.com/|[\w.-]+\.webhook\.office\.com/"
    r"|outlook\.office(?:365)?\.com/webhook|(?:\w+\.)?discord(?:app)?\.com/api/(?:v\d+/)?webhooks/|maker\.ifttt\.com/"
    r"|hook\.(?:\w+\.)?(?:make|integromat)\.com/|events\.pagerduty\.com/integration/|hc-ping\.com/"
    r"|open\.(?:feishu\.cn|larksuite\.com)/open-apis/bot/)",
    re.IGNORECASE,
)
_WEBHOOK_NAME = re.compile(r"web[_-]?hooks?(?:[_-]?(?:ur[il]|address|endpoint))?\Z", re.IGNORECASE)
_FILE = re.compile(r".*\.\w{1,5}")
_POSITION = re.compile(r"page|next|continuation|cursor|sync|skip|resum", re.IGNORECASE)  # such as `page_token`
# Values of queries that are examples, and keys that services publish.
_EXAMPLE = re.compile(
    r"(?:(?:my|test|demo|dummy|sample|fake|foo|abc|token|key|secret|password)[_-]?)+\d{0,6}|.*example.*|pk[._].+",
    re.IGNORECASE,
)
_REASONS = {
    "user": "a URL with a token",
    "password": "a URL with a token",
    "path": "a URL with a secret path",
    "query": "a URL with a secret in its query",
}


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

    Most URLs with random parts are public, such as those of documents, commits and images. A part is a secret if it is
    a token of a known format, a random user name, the path of a webhook, or a query value with the name of a secret.

    Args:
        name: the key of the text.
        value: the text.
    """
    if "://" not in value:
        return None
    return next((part for url in _URL.findall(_PLACEHOLDER.sub("$", value)) for part in _parts(name, url)), None)


def _parts(name: str, url: str) -> Iterator[str]:
    from pytest_flowsecrets.leaks.formats.urls import sensitive_parts

    for part in sensitive_parts(url):
        if not is_stand_in(part.text) and (_KNOWN_TOKEN.fullmatch(part.text) or _is_secret(part, name, url)):
            yield _REASONS[part.kind]


def _is_secret(part: UrlPart, name: str, url: str) -> bool:
    from pytest_flowsecrets.leaks.formats.sensitive_fields import is_random, names_a_secret

    if part.kind == "user":
        return is_random(part.text) and _HTTP.match(url) is not None and not _SENTRY.fullmatch(url)
    if part.kind == "query":
        if _POSITION.search(part.name) or _EXAMPLE.fullmatch(part.text):
            return False
        is_named = part.name == "key" or names_a_secret(part.name)
        return is_secret_name(part.name) or (is_named and is_random(part.text))
    if part.kind == "path" and not _FILE.fullmatch(part.text) and not _has_gap(url):
        return bool(_WEBHOOK.match(url) or _WEBHOOK_NAME.search(name) or names_a_secret(name))
    return False


def _has_gap(url: str) -> bool:
    """Return whether a segment of the path stands in for another, so that the rest of the path is no secret."""
    path = url.partition("?")[0].partition("://")[2]
    return any(is_stand_in(segment) for segment in path.split("/") if segment and not segment.isdigit())
