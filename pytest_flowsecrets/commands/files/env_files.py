"""Variables out of ``.env`` files and shell scripts, each with its line and column."""

from __future__ import annotations

import re
import shlex
from functools import partial
from typing import TYPE_CHECKING, Iterator, List, Match, NamedTuple, Optional, Tuple

from pytest_flowsecrets.commands.files.owners import AGENT, OPTION, Owner, agent_in, concerns_prefect
from pytest_flowsecrets.resolution.line_syntax import env_line

if TYPE_CHECKING:
    from pytest_flowsecrets.resolution.layers import Notation

_ENV_LINE = re.compile(
    r"[ \t]*(?:export[ \t]+)?(?P<name>[A-Za-z_][\w.\-]*)[ \t]*=[ \t]*"
    r"(?:(?P<quoted>'[^']*'|\"(?:\\.|[^\"\\])*\")[ \t\r]*(?:#[^\n]*)?(?=\n|\Z)|(?P<bare>[^\n]*))",
    re.ASCII | re.DOTALL,
)
ASSIGNMENT = re.compile(r"(?:--env=|-e=?)?([A-Za-z_]\w*)=(.*)", re.ASCII | re.DOTALL)
_HERE_DOCUMENT = re.compile(r"<<-?\s*['\"\\]?(\w+)")
# Up to where a comment starts, or a quote that this line does not close.
_CODE = re.compile(r"(?:'[^']*'|\"(?:\\.|[^\"\\])*\"|\\.|(?<=[^\s;|&()])#|[^'\"\\#])*", re.DOTALL)
_LONGEST_QUOTE = 200
_EXPORTS = ("export", "declare", "typeset")
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t"}  # in double quotes, as python-dotenv and Docker Compose read them


class Problem(NamedTuple):
    """What is wrong with how a variable is written, whatever its value.

    Attributes:
        rule: ``FS050``.
        message: what happens.
        advice: what to write.
        severity: ``error`` or ``warning``.
    """

    rule: str
    message: str
    advice: str
    severity: str = "error"


class Item(NamedTuple):
    """A variable as it is written.

    Attributes:
        name: its name.
        value: its value, or None where the text does not tell.
        line: 1-based.
        column: 1-based.
        problem: what is wrong with how it is written.
        owner: whose environment it belongs to.
        stored: a datum of a Secret or a ConfigMap, which containers may take under another name.
        notation: how the file writes another value for it; None for an assignment of a shell.
        escaped: a dollar in it was escaped for Docker Compose or Kubernetes.
        lines: first and last line of all that belongs to it, where a comment about it may stand.
    """

    name: str
    value: Optional[str]
    line: int
    column: int
    problem: Optional[Problem] = None
    owner: Owner = Owner()
    stored: bool = False
    escaped: bool = False
    notation: Optional[Notation] = None
    lines: Optional[Tuple[int, int]] = None


def env_items(text: str) -> Iterator[Item]:
    """Read a ``.env`` file: quotes go, and escapes in double ones, ``export`` is allowed, comments need a blank before.

    Args:
        text: the file's text.
    """
    at, number, prefect = 0, 1, concerns_prefect(text)
    while at < len(text):
        found = _ENV_LINE.match(text, at)
        end = text.find("\n", found.end() if found else at) + 1 or len(text)
        if found is not None:  # else a comment, or nothing that anyone reads
            lines = number, number + found.group().count("\n")
            owner = Owner(prefect=prefect)
            name, column = found.group("name"), found.start("name") - at + 1
            yield Item(
                name, _env_value(found), number, column, owner=owner, lines=lines, notation=partial(env_line, name)
            )
        number += text.count("\n", at, end)
        at = end


def _env_value(found: Match[str]) -> str:
    quoted = found.group("quoted")
    if quoted is None:
        return re.split(r"(?:^|\s+)#", found.group("bare"), maxsplit=1)[0].strip()
    if quoted.startswith("'"):
        return quoted[1:-1]
    return re.sub(r'\\(["\\nrt])', lambda escape: _ESCAPES.get(escape.group(1), escape.group(1)), quoted[1:-1])


def shell_items(text: str) -> Iterator[Item]:
    """Read assignments and ``--env`` options out of a script, and out of what it writes as here-documents.

    Args:
        text: the script.
    """
    of_script, prefect = agent_in(text), concerns_prefect(text)
    for number, line in _logical_lines(text):
        words = _words(line)
        kind = agent_in(" ".join(words)) if "agent" in words else ""
        exported = of_script if words[:1] and words[0] in _EXPORTS else kind
        owner = Owner(AGENT if exported else "", exported, prefect=prefect)
        at = 0
        for word in words:
            if kind and word == "agent":
                owner = Owner(OPTION, kind, prefect=True, elsewhere=True)
            found = ASSIGNMENT.fullmatch(word)
            if found:
                at = max(line.find(found.group(1) + "=", at), 0)
                value = None if _expanded_by_shell(line, at, *found.groups()) else found.group(2)
                lines_before = line.count("\n", 0, at)
                column = at - (line.rfind("\n", 0, at) + 1) + 1
                lines = number, number + line.count("\n")
                yield Item(found.group(1), value, number + lines_before, column, owner=owner, lines=lines)
                at += len(found.group(1))


def _words(line: str) -> List[str]:
    code = _CODE.match(line)
    lexer = shlex.shlex(line[: code.end()] if code else "", posix=True, punctuation_chars=True)
    lexer.whitespace_split, lexer.commenters = True, ""
    return list(lexer)


def _logical_lines(text: str) -> Iterator[Tuple[int, str]]:
    """Lines as the shell sees them, with the number of the first: continued ones, and quotes over several, are one."""
    lines, at, here = text.split("\n"), 0, ""
    while at < len(lines):
        last = at + 1 if here else _end_of(lines, at)
        line = "\n".join(lines[at:last])
        yield at + 1, line
        if here:
            here = "" if line.strip() == here else here
        else:
            found = _HERE_DOCUMENT.search(line)
            here = found.group(1) if found else ""
        at = last


def _end_of(lines: List[str], first: int) -> int:
    """The line after the last that belongs to the one at ``first``."""
    last = first + 1
    while last < len(lines) and lines[last - 1].endswith("\\"):
        last += 1
    for end in range(last, min(last + _LONGEST_QUOTE, len(lines) + 1)):
        line = "\n".join(lines[first:end])
        code = _CODE.match(line)
        if code is None or line[code.end() : code.end() + 1] not in ("'", '"', "\\"):
            return end
    return last


def _expanded_by_shell(line: str, at: int, name: str, value: str) -> bool:
    """Whether the shell puts something in here, so that the text does not tell the value."""
    quoted = line[at - 1 : at] == "'" or line[at + len(name) + 1 :].startswith("'")
    return not quoted and ("$" in value or "`" in value)
