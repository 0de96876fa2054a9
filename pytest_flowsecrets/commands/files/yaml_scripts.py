"""Variables out of commands in YAML: ``args:``, ``command:``, ``entrypoint:``, ``run: |``, ``script:``."""

from __future__ import annotations

from typing import Any, Iterator, List

from pytest_flowsecrets.commands.files.env_files import ASSIGNMENT, Item, shell_items
from pytest_flowsecrets.commands.files.owners import OPTION, Owner, agent_in, concerns_prefect

KEYS = ("args", "command", "entrypoint", "run", "script", "before_script", "after_script")
_OPTIONS = ("--env", "-e")


def script_items(value: Any, text: str) -> Iterator[Item]:
    """Read the variables that a command sets.

    Args:
        value: the node of the command: a text, or a list of words or of scripts.
        text: the whole file.
    """
    lines = text.split("\n")
    if value.id == "scalar":
        yield from _in_script(value, lines)
        return
    words = [node for node in value.value if node.id == "scalar"] if value.id == "sequence" else []
    whole = " ".join(node.value for node in words)
    previous = ""
    for node in words:
        assignment = ASSIGNMENT.fullmatch(node.value)
        if assignment is None or (_is_script(node) and previous not in _OPTIONS):
            yield from _in_script(node, lines)
        else:
            is_option = previous in _OPTIONS or node.value.startswith(_OPTIONS)
            kind = agent_in(whole) if is_option else ""
            value_known = None if "$" in assignment.group(2) else assignment.group(2)
            owner = Owner(OPTION if kind else "", kind, prefect=concerns_prefect(whole), elsewhere=True)
            line, column = node.start_mark.line + 1, node.start_mark.column + 1 + bool(node.style)
            yield Item(assignment.group(1), value_known, line, column, owner=owner, lines=(line, line))
        previous = node.value


def _is_script(node: Any) -> bool:
    return node.style == "|" or " " in node.value.partition("=")[0]


def _in_script(node: Any, lines: List[str]) -> Iterator[Item]:
    """Read a script, and move its items to where they stand in the file."""
    first, indent = node.start_mark.line, node.start_mark.column + bool(node.style)
    if node.style in ("|", ">"):
        first += 1
        following = lines[first] if first < len(lines) else ""
        indent = len(following) - len(following.lstrip())
    for item in shell_items(node.value):
        within = item.line - 1 if node.style == "|" else 0  # the lines of other texts are joined
        column = item.column + (indent if within or node.style == "|" or item.line == 1 else 0)
        start, end = item.lines or (item.line, item.line)
        shift = first if node.style == "|" else first - start + 1
        known = None if item.value is not None and "${{" in item.value else item.value
        owner, place = item.owner._replace(elsewhere=True), (start + shift, end + shift)
        moved = item._replace(line=first + within + 1, column=column, lines=place, notation=None)
        yield moved._replace(value=known, owner=owner)
