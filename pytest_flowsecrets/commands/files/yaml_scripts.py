"""Variables in the commands of YAML files: ``args:``, ``command:``, ``entrypoint:``, ``run: |``, ``script:``."""

from __future__ import annotations

from typing import Any, Iterator, List, Tuple

from pytest_flowsecrets.commands.files.env_files import (
    ASSIGNMENT,
    OPTION,
    Item,
    Owner,
    agent_in,
    concerns_prefect,
    shell_items,
)

KEYS = ("args", "command", "entrypoint", "run", "script", "before_script", "after_script")
_OPTIONS = ("--env", "-e")


def script_items(value: Any, text: str) -> Iterator[Item]:
    """Read the variables that a command sets.

    Args:
        value: the node of the command: a text, or a list of words or of scripts.
        text: the text of the whole file.
    """
    lines = text.split("\n")
    if value.id == "scalar":
        yield from _items_in_script(value, lines)
    elif value.id == "sequence":
        yield from _items_in_list([node for node in value.value if node.id == "scalar"], lines)


def _items_in_list(words: List[Any], lines: List[str]) -> Iterator[Item]:
    command = " ".join(node.value for node in words)
    previous = ""
    for node in words:
        assignment = ASSIGNMENT.fullmatch(node.value)
        if assignment is None or (_is_script(node) and previous not in _OPTIONS):
            yield from _items_in_script(node, lines)
        else:
            is_option = previous in _OPTIONS or node.value.startswith(_OPTIONS)
            kind = agent_in(command) if is_option else ""
            owner = Owner(OPTION if kind else "", kind, prefect=concerns_prefect(command), elsewhere=True)
            yield _word_item(node, *assignment.groups())._replace(owner=owner)
        previous = node.value


def _word_item(node: Any, name: str, text: str) -> Item:
    line, column = node.start_mark.line + 1, node.start_mark.column + 1 + bool(node.style)
    return Item(name, None if "$" in text else text, line, column, lines=(line, line))


def _is_script(node: Any) -> bool:
    return node.style == "|" or " " in node.value.partition("=")[0]


def _items_in_script(node: Any, lines: List[str]) -> Iterator[Item]:
    """Read a script and move its items to their positions in the file."""
    first, indent = _start_of_script(node, lines)
    move = _moved_in_block if node.style == "|" else _moved_in_text
    for item in shell_items(node.value):
        moved = move(item, first, indent)
        value = None if item.value is not None and "${{" in item.value else item.value
        yield moved._replace(value=value, owner=item.owner._replace(elsewhere=True), notation=None)


def _start_of_script(node: Any, lines: List[str]) -> Tuple[int, int]:
    """Return the 0-based line in which the text of a script starts, and its indentation."""
    if node.style not in ("|", ">"):
        return node.start_mark.line, node.start_mark.column + bool(node.style)
    first = node.start_mark.line + 1
    line = lines[first] if first < len(lines) else ""
    return first, len(line) - len(line.lstrip())


def _moved_in_block(item: Item, first: int, indent: int) -> Item:
    """Move an item of a block, which keeps its lines."""
    start, end = item.lines or (item.line, item.line)
    return item._replace(line=first + item.line, column=item.column + indent, lines=(start + first, end + first))


def _moved_in_text(item: Item, first: int, indent: int) -> Item:
    """Move an item of any other text, of which YAML joins the lines: only the first line is known."""
    start, end = item.lines or (item.line, item.line)
    column = item.column + (indent if item.line == 1 else 0)
    return item._replace(line=first + 1, column=column, lines=(first + 1, end - start + first + 1))
