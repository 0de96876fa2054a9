"""Variables in Dockerfiles, Makefiles, units of systemd and configurations of supervisord, with line and column.

A value that the program expands is unknown here. Sources: "Dockerfile reference" of Docker; "Communicating Variables to
a Sub-make" of GNU make; systemd.exec(5) and systemd.syntax(7); "Configuration File" of Supervisor.
"""

from __future__ import annotations

import re
from typing import Callable, Dict, Iterator, List, NamedTuple, Optional, Pattern

from pytest_flowsecrets.commands.files.env_files import Item, owner_of, shell_items

_NAME = r"[A-Za-z_]\w*"
_DOCKER = re.compile(r"\s*(?P<word>ENV|ARG)\s+(?P<rest>.*)", re.IGNORECASE | re.DOTALL | re.ASCII)
_DOCKER_RUN = re.compile(r"\s*(?P<word>RUN|CMD|ENTRYPOINT)\s+(?P<rest>.*)", re.IGNORECASE | re.DOTALL)
_OLD_DOCKER = re.compile(rf"(?P<name>{_NAME})\s+(?P<value>.*)", re.DOTALL | re.ASCII)
_MAKE = re.compile(
    rf"(?P<export>\s*(?:override\s+)?export\s+)?(?P<name>{_NAME})\s*(?P<sign>[:?+!]{{0,3}}=)\s*(?P<value>.*)",
    re.DOTALL | re.ASCII,
)
_SYSTEMD = re.compile(r"\s*(?:Environment)\s*=\s*(?P<rest>.*)", re.DOTALL)
_SUPERVISOR = re.compile(r"\s*environment\s*=\s*(?P<rest>.*)", re.DOTALL)
# A word: NAME=value with parts in quotes, or the whole in quotes, as systemd allows.
_PAIR = re.compile(
    rf"(?P<outer>[\"']?)(?P<name>{_NAME})=(?P<value>(?:\"(?:\\.|[^\"\\])*\"|'(?:\\.|[^'\\])*'|\\.|[^\s\"'\\])*)",
    re.DOTALL | re.ASCII,
)
# The same for supervisord, where commas separate the pairs.
_SUPERVISOR_PAIR = re.compile(_PAIR.pattern.replace(r"[^\s\"'\\]", r"[^\s,\"'\\]"), re.DOTALL | re.ASCII)
_ESCAPES = {"n": "\n", "t": "\t", "s": " "}


class _Line(NamedTuple):
    """A logical line, whose continuations are joined by their newlines."""

    number: int
    text: str


def docker_items(text: str) -> Iterator[Item]:
    """Read the instructions ``ENV`` and ``ARG`` of a Dockerfile, and the commands of its other instructions.

    Args:
        text: the text of the file.
    """
    for line in _lines(text, comment="#"):
        match = _DOCKER.fullmatch(line.text)
        command = _DOCKER_RUN.fullmatch(line.text)
        if match:
            at = match.start("rest")
            old = _OLD_DOCKER.fullmatch(match.group("rest"))
            if old and match.group("word").upper() == "ENV" and "=" not in old.group("name"):
                yield _item(line, at, old.group("name"), _docker_value(old.group("value")), text)
            else:
                yield from _pairs(line, at, text, _docker_value)
        elif command:
            yield from _script(line, command.start("rest"))


def make_items(text: str) -> Iterator[Item]:
    """Read the assignments of a Makefile, and those in its recipes.

    Args:
        text: the text of the file.
    """
    for line in _lines(text, comment="#"):
        match = _MAKE.fullmatch(line.text)
        if line.text.startswith("\t"):
            yield from _script(line, 1)
        elif match and match.group("sign") != "!=":
            value = match.group("value").split(" #")[0].rstrip()
            known = None if re.search(r"\$[^$]", value.replace("$$", "")) else value.replace("$$", "$")
            yield _item(line, match.start("name"), match.group("name"), known, text)


def systemd_items(text: str) -> Iterator[Item]:
    """Read ``Environment=`` of a unit of systemd.

    Args:
        text: the text of the file.
    """
    for line in _lines(text, comment="#"):
        match = _SYSTEMD.fullmatch(line.text)
        if match:
            yield from _pairs(line, match.start("rest"), text, _systemd_value)


def supervisor_items(text: str) -> Iterator[Item]:
    """Read ``environment=`` of a configuration of supervisord, which may go on in indented lines.

    Args:
        text: the text of the file.
    """
    for line in _lines(text, comment=";", indented=True):
        match = _SUPERVISOR.fullmatch(line.text)
        if match:
            yield from _pairs(line, match.start("rest"), text, _supervisor_value, _SUPERVISOR_PAIR)


def _pairs(
    line: _Line, at: int, text: str, value_of: Callable[[str], Optional[str]], pattern: Pattern[str] = _PAIR
) -> Iterator[Item]:
    end = at
    while True:
        match = pattern.search(line.text, end)
        if match is None:
            return
        outer = match.group("outer")
        closing = _closing(line.text, match.end(), outer) if outer else match.end()
        written = f"{outer}{line.text[match.start('value') : closing]}"
        yield _item(line, match.start("name"), match.group("name"), value_of(written), text)
        end = max(closing, match.end())


def _closing(text: str, at: int, quote: str) -> int:
    end = text.find(quote, at)
    return end + 1 if end >= 0 else len(text)


def _item(line: _Line, at: int, name: str, value: Optional[str], text: str) -> Item:
    before = line.text[:at]
    number = line.number + before.count("\n")
    last = line.number + line.text.count("\n")
    column = at - (before.rfind("\n") + 1) + 1
    owner = owner_of(text)._replace(elsewhere=True)
    return Item(name, value, number, column, owner=owner, lines=(line.number, last), notation=_no_notation)


def _no_notation(_: str) -> None:
    """Return no line to paste, because each program has quotes of its own."""


def _script(line: _Line, at: int) -> Iterator[Item]:
    for item in shell_items(line.text[at:]):
        column = item.column + (at if item.line == 1 else 0)
        number = item.line + line.number - 1
        yield item._replace(line=number, column=column, lines=(number, number), notation=_no_notation)


def _lines(text: str, *, comment: str, indented: bool = False) -> Iterator[_Line]:
    """Yield the logical lines without comments: a backslash at the end joins lines, or the indentation of the next."""
    parts: List[str] = []
    first = 1
    for number, line in enumerate(text.split("\n"), 1):
        goes_on = bool(parts) and (parts[-1].endswith("\\") or (indented and line[:1].isspace() and line.strip() != ""))
        if parts and not goes_on:
            yield _Line(first, "\n".join(parts))
            parts = []
        if line.lstrip().startswith(comment):
            line = ""  # noqa: PLW2901 (keeps the numbers of lines)
        if not parts:
            first = number
        parts.append(line)
    yield _Line(first, "\n".join(parts))


def _docker_value(written: str) -> Optional[str]:
    return None if re.search(r"(?<!\\)\$", written) else _unquoted(written.strip(), escapes={})


def _systemd_value(written: str) -> Optional[str]:
    return None if re.search(r"%(?!%)", written.replace("%%", "")) else _unquoted(written, escapes=_ESCAPES)


def _supervisor_value(written: str) -> Optional[str]:
    return None if "%(" in written else _unquoted(written, escapes={}).replace("%%", "%")


def _unquoted(text: str, *, escapes: Dict[str, str]) -> str:
    """Return a text without its quotes and backslashes, as a shell reads it."""
    result, quote, at = "", "", 0
    while at < len(text):
        character = text[at]
        if character == "\\" and quote != "'" and at + 1 < len(text):
            at += 1
            result += "" if text[at] == "\n" else escapes.get(text[at], text[at])
        elif character in "'\"" and (not quote or character == quote):
            quote = "" if quote else character
        else:
            result += character
        at += 1
    return result


READERS: Dict[str, Callable[[str], Iterator[Item]]] = {
    "dockerfile": docker_items,
    "makefile": make_items,
    "systemd": systemd_items,
    "supervisor": supervisor_items,
}
