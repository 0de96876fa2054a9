"""A variable that a file sets, the owner of its environment, and the readers of ``.env`` files and shell scripts."""

from __future__ import annotations

import io
import re
import shlex
from functools import partial
from typing import TYPE_CHECKING, Iterator, List, NamedTuple, Optional, Tuple

from pytest_flowsecrets.resolution.line_syntax import env_line

if TYPE_CHECKING:
    from pytest_flowsecrets.findings.model import Edit
    from pytest_flowsecrets.resolution.layers import Notation

#: Agents that do not pass on their own environment to flow runs. Only a LocalAgent passes on all of it.
CONTAINER_AGENTS = ("docker", "kubernetes", "ecs", "fargate", "vertex")
OPTION, AGENT, FLOW_RUN = "option", "agent", "flow run"
_BETWEEN = r"""['"]?[\s,\[\]\\]+(?:-[ \t]+)?['"]?"""  # between the words of a command, or in a list of YAML or JSON
# `prefect agent docker start` and `prefect agent start docker` (up to 0.13), also as a list of words.
_COMMAND = re.compile(rf"\bprefect{_BETWEEN}agent\b(?P<rest>(?:{_BETWEEN}[\w./:=$-]+){{0,8}})")
_COMMENT = re.compile(r"(?m)(?:^|(?<=\s))#.*$")
ASSIGNMENT = re.compile(r"(?:--env=|-e=?)?([A-Za-z_]\w*)=(.*)", re.ASCII | re.DOTALL)
_HERE_DOCUMENT = re.compile(r"<<-?\s*['\"\\]?(\w+)")
# Everything before a comment, or before a quote that the line does not close.
_CODE = re.compile(r"(?:'[^']*'|\"(?:\\.|[^\"\\])*\"|\\.|(?<=[^\s;|&()])#|[^'\"\\#])*", re.DOTALL)
_LONGEST_QUOTE = 200
_EXPORTS = ("export", "declare", "typeset")
# A line that python-dotenv cannot read, such as one with an unclosed quote. `docker run --env-file` reads it as it is.
_RAW_LINE = re.compile(r"\s*(?:export[ \t]+)?([A-Za-z_][\w.\-]*)[ \t]*=[ \t]*(.*?)\s*", re.ASCII)


class Owner(NamedTuple):
    """The owner of an environment.

    Attributes:
        role: ``option`` (``--env`` of an agent), ``agent`` (its own environment), ``flow run`` (a template of flow
            runs), or empty.
        agent: the kind of the agent, or empty.
        prefect: whether the environment is related to Prefect.
        elsewhere: whether the environment is for another machine, such as a container, with other files.
    """

    role: str = ""
    agent: str = ""
    prefect: bool = False
    elsewhere: bool = False


class Problem(NamedTuple):
    """A problem with the way in which a variable is written, independent of its value.

    Attributes:
        rule: the id of the rule, such as ``FS050``.
        message: what happens.
        advice: what to write.
        edits: the changes of the file that fix it, if they are certain.
    """

    rule: str
    message: str
    advice: str
    edits: Tuple[Edit, ...] = ()


class Item(NamedTuple):
    """A variable as it is written in a file.

    Attributes:
        name: the name.
        value: the value, or None if the file does not contain it.
        line: the 1-based line.
        column: the 1-based column.
        problem: a problem with the way in which it is written, or None.
        owner: the owner of the environment.
        in_object: whether it is an entry of a Secret or ConfigMap, which containers may use under another name.
        escaped: whether a dollar in it is escaped for Docker Compose or Kubernetes.
        notation: the function that writes another value in the file; None for an assignment of a shell.
        lines: the first and the last line of the variable, on which a comment can refer to it.
    """

    name: str
    value: Optional[str]
    line: int
    column: int
    problem: Optional[Problem] = None
    owner: Owner = Owner()
    in_object: bool = False
    escaped: bool = False
    notation: Optional[Notation] = None
    lines: Optional[Tuple[int, int]] = None


# -- the owner of an environment: an agent, its --env, a flow run, or something else -----------------------------------


def owner_of(text: str) -> Owner:
    """Return the owner of the environment in a text that may start an agent.

    Args:
        text: a script, or the part of a YAML file with the environment.
    """
    kind = agent_in(text)
    return Owner(AGENT if kind else "", kind, prefect=concerns_prefect(text))


def agent_in(text: str) -> str:
    """Return the kind of the first agent that a text starts or installs, or an empty string.

    Args:
        text: a script, a command, or a part of a YAML file.
    """
    command = _COMMAND.search(_COMMENT.sub("", text))
    if command is None:
        return ""
    words = re.findall(r"\w+", command.group("rest"))
    return next((word for word in words if word in CONTAINER_AGENTS), "local")


def concerns_prefect(text: str) -> bool:
    """Return whether a text is related to Prefect, which means that it contains the name.

    Args:
        text: any text.
    """
    return "prefect" in text.lower()


# -- .env files and shell scripts --------------------------------------------------------------------------------------


def env_items(text: str) -> Iterator[Item]:
    """Read a ``.env`` file as python-dotenv does. References such as ``${NAME}`` stay as written: rules report them.

    Args:
        text: the text of the file.
    """
    owner = Owner(prefect=concerns_prefect(text))
    number = 1
    for source, name, value in _bindings(text):
        statement = source.lstrip()
        before = source[: len(source) - len(statement)]  # empty lines and the indentation
        line = number + before.count("\n")
        number += source.count("\n")
        if name is not None and value is not None:  # otherwise a comment, or text that no tool reads
            column = len(before) - before.rfind("\n") + statement.index(name)
            last = line + statement.rstrip("\r\n").count("\n")
            notation = partial(env_line, name)
            yield Item(name, value, line, column, owner=owner, lines=(line, last), notation=notation)


def _bindings(text: str) -> Iterator[Tuple[str, Optional[str], Optional[str]]]:
    """Yield each statement as python-dotenv reads it, with its name and its value if it has them.

    For an unclosed quote, python-dotenv also skips the lines up to the next quote. Here they are statements of their
    own, because other tools read them.
    """
    from dotenv.parser import parse_stream

    streams = [parse_stream(io.StringIO(text))]
    while streams:
        binding = next(streams[-1], None)
        if binding is None:
            streams.pop()
            continue
        source, name, value = binding.original.string, binding.key, binding.value
        if binding.error:
            line_end = source.find("\n", len(source) - len(source.lstrip())) + 1 or len(source)
            streams.append(parse_stream(io.StringIO(source[line_end:])))
            source = source[:line_end]
            raw = _RAW_LINE.fullmatch(source)
            name, value = raw.groups() if raw else (None, None)
        yield source, name, value


def shell_items(text: str) -> Iterator[Item]:
    """Read the assignments and ``--env`` options in a script, including those in here-documents.

    Args:
        text: the script.
    """
    script_owner = owner_of(text)
    for number, line in _logical_lines(text):
        at = 0
        for word, owner in _owned_words(_words(line), script_owner):
            assignment = ASSIGNMENT.fullmatch(word)
            if assignment:
                name = assignment.group(1)
                at = max(line.find(f"{name}=", at), 0)
                value = None if _expanded_by_shell(line, at, *assignment.groups()) else assignment.group(2)
                yield _item_at(line, at, number, name, value)._replace(owner=owner)
                at += len(name)


def _owned_words(words: List[str], script_owner: Owner) -> Iterator[Tuple[str, Owner]]:
    """Yield the words of a line, each with the owner of an assignment in its place."""
    kind = agent_in(" ".join(words)) if "agent" in words else ""
    is_export = bool(words) and words[0] in _EXPORTS
    agent = script_owner.agent if is_export else kind
    owner = Owner(AGENT if agent else "", agent, prefect=script_owner.prefect)
    for word in words:
        if kind and word == "agent":  # the options of the command follow
            owner = Owner(OPTION, kind, prefect=True, elsewhere=True)
        yield word, owner


def _item_at(line: str, at: int, number: int, name: str, value: Optional[str]) -> Item:
    """Return the item at an offset of a logical line that starts in the line ``number``."""
    column = at - (line.rfind("\n", 0, at) + 1) + 1
    return Item(name, value, number + line.count("\n", 0, at), column, lines=(number, number + line.count("\n")))


def _words(line: str) -> List[str]:
    code = _CODE.match(line)
    lexer = shlex.shlex(line[: code.end()] if code else "", posix=True, punctuation_chars=True)
    lexer.whitespace_split, lexer.commenters = True, ""
    return list(lexer)


def _logical_lines(text: str) -> Iterator[Tuple[int, str]]:
    """Yield the lines of a shell, with their first line number: continuations and multi-line quotes are joined."""
    lines, at, delimiter = text.split("\n"), 0, ""
    while at < len(lines):
        end = at + 1 if delimiter else _end_of(lines, at)
        line = "\n".join(lines[at:end])
        yield at + 1, line
        if delimiter:
            delimiter = "" if line.strip() == delimiter else delimiter
        else:
            here_document = _HERE_DOCUMENT.search(line)
            delimiter = here_document.group(1) if here_document else ""
        at = end


def _end_of(lines: List[str], first: int) -> int:
    """Return the index after the last line that belongs to the logical line at ``first``."""
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
    """Return whether the shell expands the value, so that the text does not contain it."""
    quoted = line[at - 1 : at] == "'" or line[at + len(name) + 1 :].startswith("'")
    return not quoted and ("$" in value or "`" in value)
