"""Interpolation of the values of variables by Docker Compose and Kubernetes, before the process sees them.

Docker Compose (its page "Interpolation") reads ``$NAME`` and ``${NAME}`` from the shell or ``.env``; a variable that is
not set is empty. It supports ``${NAME:-default}``, ``${NAME-default}``, ``${NAME:?error}``, ``${NAME?error}``,
``${NAME:+text}`` and ``${NAME+text}``, which may be nested. ``$$`` is a dollar; any other dollar is an error.

Kubernetes (``expansion.Expand`` of the kubelet) replaces ``$(NAME)`` with the value of a variable above, or keeps it if
there is none. ``$$`` is a dollar.
"""

from __future__ import annotations

import re
from typing import List, Mapping, NamedTuple, Optional

from pytest_flowsecrets.commands.files.env_files import Problem

UNKNOWN = "unknown"  # stands for a value that the file does not contain: a plain token, to which no rule applies

_COMPOSE_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_OPERATOR = re.compile(r":?[-?+]")
_KUBERNETES = re.compile(r"\$(?:\((?P<name>[^)]*)\)|(?P<dollar>\$))")


class Interpolated(NamedTuple):
    """A value after interpolation.

    Attributes:
        value: the text that the process gets, or None if the file does not contain it.
        problem: a problem with the way in which it is written, or None.
    """

    value: Optional[str]
    problem: Optional[Problem] = None


def compose(text: str, known: Mapping[str, Optional[str]]) -> Interpolated:  # noqa: ARG001 (same parameters as below)
    """Interpolate a value as Docker Compose does, with the defaults of variables.

    Args:
        text: the value in the Compose file.
        known: the variables above it, which Compose ignores.

    Returns:
        The text that the container gets. ``UNKNOWN`` stands for a variable without a default. The value is None if the
        text is only such a variable.
    """
    reader = _ComposeReader(text)
    try:
        value = reader.read("")
    except ValueError:
        message = "Docker Compose rejects this $, which does not start ${NAME}: it cannot load the file"
        return Interpolated(None, Problem("FS055", message, "write $$ for each $ of the secret"))
    if reader.bare and not reader.whole:
        message = (
            "Docker Compose replaces $name with the variable of that name before Prefect sees it, or with nothing if "
            "the variable is not set"
        )
        advice = "write $$ for each $ of the secret, or ${name} for a variable"
        return Interpolated(value, Problem("FS054", message, advice))
    if reader.whole and not value and reader.with_default:
        return Interpolated(None, _empty_default(reader.with_default))
    return Interpolated(None if value == UNKNOWN and reader.whole else value)


def _empty_default(names: List[str]) -> Problem:
    message = f"if {' and '.join(names)} is not set, the secret is empty: a flow gets '' and no error"
    return Problem("FS038", message, f"write ${{{names[0]}:?}} or a default")


class _ComposeReader:
    """Reader of a value in a Compose file.

    Attributes:
        bare: whether there is a ``$NAME`` without braces.
        whole: whether the text is only one reference.
        with_default: the names of ``${NAME:-default}``.
    """

    def __init__(self, text: str) -> None:
        self.text, self.at = text, 0
        self.bare = self.whole = False
        self.with_default: List[str] = []

    def read(self, end: str) -> str:
        """Read up to a closing brace, or to the end of the text."""
        parts: List[str] = []
        start = self.at
        while self.at < len(self.text) and (not end or self.text[self.at] != end):
            parts.append(self._reference() if self.text[self.at] == "$" else self.text[self.at])
            self.at += 1
        if end and self.at == len(self.text):
            raise ValueError
        self.whole = not end and start == 0 and len(parts) == 1
        return "".join(parts)

    def _reference(self) -> str:
        """Read a reference that starts at a dollar, up to its last character."""
        next_character = self.text[self.at + 1 : self.at + 2]
        if next_character == "$":
            self.at += 1
            return "$"
        in_braces = next_character == "{"
        name = _COMPOSE_NAME.match(self.text, self.at + 1 + in_braces)
        if name is None:
            raise ValueError
        self.at = name.end()
        if in_braces:
            return self._braces(name.group())
        self.at -= 1
        self.bare = True
        return UNKNOWN

    def _braces(self, name: str) -> str:
        """Read a reference in braces after its name."""
        operator = _OPERATOR.match(self.text, self.at)
        if operator is None:
            if self.read("}"):
                raise ValueError
            return UNKNOWN
        self.at = operator.end()
        kind = operator.group()[-1]
        if kind == "-":
            self.with_default.append(name)
        operand = self.read("}")
        return UNKNOWN if kind == "?" else operand


def kubernetes(text: str, known: Mapping[str, Optional[str]]) -> Interpolated:
    """Expand a value as the kubelet does.

    Args:
        text: the value in the manifest.
        known: the variables above it in the same container. The value is None if the manifest does not contain it.

    Returns:
        The text that the container gets.
    """
    has_dollars = False

    def expand(match: re.Match[str]) -> str:
        nonlocal has_dollars
        if match.group("dollar"):
            has_dollars = True
            return "$"
        name = match.group("name")
        return (UNKNOWN if known[name] is None else str(known[name])) if name in known else match.group()

    value = _KUBERNETES.sub(expand, text)
    if has_dollars:
        message = "Kubernetes replaces $$ with $ before Prefect sees it"
        return Interpolated(value, Problem("FS054", message, "write $$$$ for $$"))
    is_reference = _KUBERNETES.fullmatch(text)
    return Interpolated(None if is_reference and value == UNKNOWN else value)
