"""Secrets in command lines: values of options, accounts of HTTP clients, variables before the command."""

from __future__ import annotations

import re
from typing import Iterator, List

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
    """Return the secrets in a command line that has an option."""
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
    """The secret in one word, or in the next one, whose meaning this one says."""
    assignment, header, account = _ASSIGNMENT.fullmatch(word), _HEADER.fullmatch(after), _URL_ACCOUNT.fullmatch(word)
    short = _PASSWORD_OPTIONS.get(word[:2])
    secret = ""
    if assignment:
        secret = assignment.group(2) if names_a_secret(assignment.group(1)) else ""
    elif account:
        secret = account.group(2) or account.group(1)
    elif word in _ACCOUNT_OPTIONS:
        secret = after.partition(":")[2]
    elif word in _HEADER_OPTIONS:
        secret = header.group(2) if header and names_a_secret(header.group(1)) else ""
    elif short and short.match(command):
        secret = word[2:] or after
    elif word.startswith("--") and names_a_secret(word) and not after.startswith("-"):
        secret = after
    if secret:
        yield Leaf(secret, "password", rank=SENSITIVE)
