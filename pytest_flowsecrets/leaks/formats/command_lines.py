"""Secrets in command lines: values of options, accounts of HTTP clients, variables before the command."""

from __future__ import annotations

import re
from typing import Callable, Iterator, List, Optional, Tuple

from pytest_flowsecrets.leaks.formats.sensitive_fields import SENSITIVE, Leaf, names_a_secret

_LONGEST = 20_000  # characters of a command line
_ASSIGNMENT = re.compile(r"(?:-{1,2})?([A-Za-z_][\w.-]*)=(.+)", re.DOTALL)
_ACCOUNT_OPTIONS = frozenset({"-u", "-U", "--user", "--proxy-user"})  # curl(1), as user:password
_HEADER_OPTIONS = frozenset({"-H", "--header"})
_HEADER = re.compile(r"([\w-]+):\s*(?:(?:Bearer|Basic|Token)\s+)?(\S+)", re.IGNORECASE)
_URL_ACCOUNT = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://([^/?#@:\s]*):?([^/?#\s]*)@\S+")
# Short options for a password: docker-login(1), mysql(1), sshpass(1), redis-cli. In docker-run(1) `-p` is a port.
_PASSWORD_OPTIONS = {
    "-p": re.compile(r"(?:\S*/)?(?:(?:docker|podman|helm registry) login|mysql|mariadb|sshpass|mongo)"),
    "-a": re.compile(r"(?:\S*/)?redis-cli"),
}


def command_leaves(text: str) -> Iterator[Leaf]:
    """Yield the secrets in a command line that has an option."""
    words = _words(text) if " -" in text else []
    command = " ".join(word for word in words if not _ASSIGNMENT.fullmatch(word))
    for word, after in zip(words, [*words[1:], ""]) if command else ():
        yield from _word_leaves(command, word, after)


def _words(text: str) -> List[str]:
    import shlex

    line = text.strip().replace("\\\n", " ")
    try:
        return shlex.split(line) if len(line) <= _LONGEST and "\n" not in line else []
    except ValueError:
        return []


def _word_leaves(command: str, word: str, after: str) -> Iterator[Leaf]:
    """Yield the secret in a word, or in the word after it if the first one is an option."""
    results = (rule(command, word, after) for rule in _RULES)
    secret = next((result for result in results if result is not None), "")
    if secret:
        yield Leaf(secret, "password", rank=SENSITIVE)


# Each rule returns the secret, an empty string if there is none, or None if the rule does not apply to the word.


def _in_assignment(_command: str, word: str, _after: str) -> Optional[str]:
    assignment = _ASSIGNMENT.fullmatch(word)
    if not assignment:
        return None
    return assignment.group(2) if names_a_secret(assignment.group(1)) else ""


def _in_url(_command: str, word: str, _after: str) -> Optional[str]:
    account = _URL_ACCOUNT.fullmatch(word)
    return account.group(2) or account.group(1) if account else None


def _after_account_option(_command: str, word: str, after: str) -> Optional[str]:
    return after.partition(":")[2] if word in _ACCOUNT_OPTIONS else None


def _after_header_option(_command: str, word: str, after: str) -> Optional[str]:
    if word not in _HEADER_OPTIONS:
        return None
    header = _HEADER.fullmatch(after)
    return header.group(2) if header and names_a_secret(header.group(1)) else ""


def _with_short_option(command: str, word: str, after: str) -> Optional[str]:
    pattern = _PASSWORD_OPTIONS.get(word[:2])
    return word[2:] or after if pattern and pattern.match(command) else None


def _after_long_option(_command: str, word: str, after: str) -> Optional[str]:
    return after if word.startswith("--") and names_a_secret(word) and not after.startswith("-") else None


_RULES: Tuple[Callable[[str, str, str], Optional[str]], ...] = (
    _in_assignment,
    _in_url,
    _after_account_option,
    _after_header_option,
    _with_short_option,
    _after_long_option,
)
