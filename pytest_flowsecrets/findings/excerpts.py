"""Excerpts of files for a terminal. They show names and structure; ``…`` stands for everything else, such as values.

Only what is known to be no value is shown: keys where a line or a table starts one, section headers, templates of
Prefect, ignore comments, and the name in the finding. So no value is shown, whatever the file contains.
"""

from __future__ import annotations

import re
from typing import Iterator, List, NamedTuple, Tuple

HIDDEN = "…"
_KEY = r"[A-Za-z_][\w.\-]*"
# A key at the start of a line, after indentation, items of lists, and words that precede an assignment.
_LINE_KEY = re.compile(
    rf"\s*(?:-\s+)*(?:(?:export|ENV|ARG)\s+|Environment=|(?:-e|--env)[ =])?(?P<quote>[\"']?){_KEY}(?P=quote)"
    r"(?P<sign>\s*[:?+]?=\s*|\s*:(?:\s+|$))",
    re.ASCII,
)
_ITEMS = re.compile(r"^\s*(?:-\s+)*")
_HEADER = re.compile(rf"\s*\[\[?\s*{_KEY}(?:\s*\.\s*{_KEY})*\s*\]\]?(?=\s*(?:#|$))", re.ASCII)
# In a table of one line: a key after a bracket or a comma. A quoted text is passed over as a whole.
_FLOW_KEY = re.compile(rf"[\[{{,]\s*{_KEY}\s*:\s+|\"(?:\\.|[^\"\\])*(?:\"|$)|'[^']*(?:'|$)", re.ASCII)
_ANYWHERE = (
    re.compile(r"\{\{\s*(?:prefect(?:\.[A-Za-z_][\w\-]*)+|\$\w+)\s*\}\}", re.ASCII),
    re.compile(r"#\s*flowsecrets:\s*ignore(?:\[[A-Z0-9, ]*\])?"),
)


class Excerpt(NamedTuple):
    """A line of a file without its values.

    Attributes:
        text: the text to show.
        start: the offset in the text at which the finding starts.
        end: the offset after the part to mark.
    """

    text: str
    start: int
    end: int


def excerpt(line: str, column: int, name: str = "") -> Excerpt:
    """Return a line without its values.

    Args:
        line: the line of the file.
        column: the 1-based column of the finding.
        name: the secret, variable or key of the finding, which its message names, too.
    """
    line = line.rstrip().replace("\t", " ")
    at = min(max(column - 1, 0), max(len(line) - 1, 0))
    text, start, end = "", 0, 1
    for first, last, is_shown in _parts(line, name):
        if first <= at < last:
            start = len(text) + (at - first if is_shown else 0)
            end = start + (_word_length(line[at:last]) if is_shown else len(_hidden(line[first:last])))
        text += line[first:last] if is_shown else _hidden(line[first:last])
    return Excerpt(text, start, end)


def _hidden(text: str) -> str:
    if text in ("'", '"'):
        return text
    quote = text[0] if text[0] in "'\"" and len(text) > 1 and text[-1] == text[0] else ""
    return f"{quote}{HIDDEN}{quote}"


def _word_length(text: str) -> int:
    word = re.match(r"\{\{.*?\}\}|[\w.\-]+|\S", text)
    return word.end() if word else 1


def _parts(line: str, name: str) -> Iterator[Tuple[int, int, bool]]:
    """Yield the parts of a line: from, to, and whether it is shown."""
    at = 0
    for first, last in sorted(_shown(line, name)):
        if first > at:
            yield at, first, line[at:first].isspace()
        if last > at:
            yield max(first, at), last, True
        at = max(at, last)
    if at < len(line):
        yield at, len(line), False


def _shown(line: str, name: str) -> List[Tuple[int, int]]:
    """Return the spans that are shown, which may overlap."""
    spans = [match.span() for pattern in _ANYWHERE for match in pattern.finditer(line)]
    start = _HEADER.match(line) or _LINE_KEY.match(line)
    at = start.end() if start else len(line) - len(_ITEMS.sub("", line, 1))
    spans.append((0, at))
    if line[at : at + 1] in ("{", "["):
        spans.append((at, at + 1))
        spans += [match.span() for match in _FLOW_KEY.finditer(line, at) if match.group()[0] not in "'\""]
    if name:
        pattern = re.compile(rf"(?<![\w.\-]){re.escape(name)}(?![\w.\-])")
        spans += [match.span() for match in pattern.finditer(line)]
    return spans
