"""What Docker Compose and Kubernetes fill into a variable's value before the process sees it.

Docker Compose (its page "Interpolation"): ``$NAME`` and ``${NAME}`` from the shell or ``.env``, empty where the name is
not set; ``${NAME:-default}``, ``${NAME-default}``, ``${NAME:?error}``, ``${NAME?error}``, ``${NAME:+text}`` and
``${NAME+text}``, which may nest; ``$$`` is a dollar; any other dollar is refused. Kubernetes (``expansion.Expand`` of
the kubelet): ``$(NAME)`` of a variable above, else left as it is; ``$$`` is a dollar.
"""

from __future__ import annotations

import re
from typing import List, Mapping, NamedTuple, Optional

from pytest_flowsecrets.commands.files.env_files import Problem

UNKNOWN = "unknown"  # in the place of a value that the file does not say: a plain token, to which no rule applies

_COMPOSE_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_OPERATOR = re.compile(r":?[-?+]")
_KUBERNETES = re.compile(r"\$(?:\((?P<name>[^)]*)\)|(?P<dollar>\$))")


class Filled(NamedTuple):
    """A value after interpolation.

    Attributes:
        value: the text that the process gets, or None where the file does not say it.
        problem: what is wrong with how it is written, or None.
    """

    value: Optional[str]
    problem: Optional[Problem] = None


def compose(text: str, known: Mapping[str, Optional[str]]) -> Filled:  # noqa: ARG001 (both take the same)
    """Interpolate a value as Docker Compose does, with defaults in the place of variables.

    Args:
        text: the value in the Compose file.
        known: the variables above it, which Compose does not look at.

    Returns:
        The text that the container gets. ``UNKNOWN`` stands for a variable without a default; a text that is nothing
        but such a variable gives None.
    """
    reader = _Compose(text)
    try:
        value = reader.read("")
    except ValueError:
        message = "Docker Compose refuses this $, which starts no ${NAME}: it cannot load the file"
        return Filled(None, Problem("FS055", message, "write $$ for each $ of the secret"))
    if reader.bare and not reader.whole:
        message = (
            "Docker Compose replaces $name by the variable of that name before Prefect sees it: nothing where it is "
            "not set"
        )
        advice = "write $$ for each $ of the secret, or ${name} for a variable"
        return Filled(value, Problem("FS054", message, advice, "warning"))
    if reader.whole and not value and reader.defaulted:
        unset = " and ".join(reader.defaulted)
        message = f"where {unset} is not set, the secret is empty: a flow gets '', and no error"
        return Filled(None, Problem("FS038", message, f"write ${{{reader.defaulted[0]}:?}} or a default", "warning"))
    return Filled(None if value == UNKNOWN and reader.whole else value)


class _Compose:
    def __init__(self, text: str) -> None:
        self.text, self.at = text, 0
        self.bare = self.whole = False
        self.defaulted: List[str] = []  # names of ${NAME:-default}

    def read(self, end: str) -> str:
        """Read up to a closing brace, or to the end of the text."""
        parts: List[str] = []
        start = self.at
        while self.at < len(self.text) and (not end or self.text[self.at] != end):
            parts.append(self.dollar() if self.text[self.at] == "$" else self.text[self.at])
            self.at += 1
        if end and self.at == len(self.text):
            raise ValueError
        self.whole = not end and start == 0 and len(parts) == 1
        return "".join(parts)

    def dollar(self) -> str:
        """Read what a dollar starts; leave the place at its last character."""
        following = self.text[self.at + 1 : self.at + 2]
        if following == "$":
            self.at += 1
            return "$"
        braced = following == "{"
        name = _COMPOSE_NAME.match(self.text, self.at + 1 + braced)
        if name is None:
            raise ValueError
        self.at = name.end()
        if not braced:
            self.at -= 1
            self.bare = True
            return UNKNOWN
        operator = _OPERATOR.match(self.text, self.at)
        self.at = operator.end() if operator else self.at
        if operator is not None and operator.group()[-1] == "-":
            self.defaulted.append(name.group())
        inner = self.read("}")
        if operator is None and inner:
            raise ValueError
        return UNKNOWN if operator is None or operator.group()[-1] == "?" else inner


def kubernetes(text: str, known: Mapping[str, Optional[str]]) -> Filled:
    """Expand a value as the kubelet does.

    Args:
        text: the value in the manifest.
        known: the variables above it in the same container, with None for a value that the manifest does not say.

    Returns:
        The text that the container gets.
    """
    dollars = False

    def fill(match: re.Match[str]) -> str:
        nonlocal dollars
        if match.group("dollar"):
            dollars = True
            return "$"
        name = match.group("name")
        return (UNKNOWN if known[name] is None else str(known[name])) if name in known else match.group()

    value = _KUBERNETES.sub(fill, text)
    if dollars:
        message = "Kubernetes makes one $ of $$ before Prefect sees it"
        return Filled(value, Problem("FS054", message, "write $$$$ for $$", "warning"))
    whole = _KUBERNETES.fullmatch(text)
    return Filled(None if whole and value == UNKNOWN else value)
