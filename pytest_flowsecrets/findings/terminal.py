"""The text output of findings: one line each, or with an excerpt, in colors and as wide as the terminal.

An excerpt shows only what is known to be no value: keys where a line or a table starts one, section headers, templates
of Prefect, ignore comments, and the name in the finding. ``…`` stands for everything else. So no value is shown,
whatever the file contains.
"""

from __future__ import annotations

import os
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Iterator, List, Mapping, NamedTuple, Sequence, Tuple

from pytest_flowsecrets.resolution.display import one_line

if TYPE_CHECKING:
    from pytest_flowsecrets.findings.model import Finding

_COLORS = {"error": "31", "warning": "33", "note": "36"}
_BOLD, _BLUE = "1", "34"
_NARROWEST = 40
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


class Style:
    """The style of a text output.

    Args:
        color: whether to use colors.
        width: the width in characters to which text is wrapped, or 0 not to wrap.
    """

    def __init__(self, *, color: bool = False, width: int = 0) -> None:
        self.color, self.width = color, width and max(width, _NARROWEST)

    def paint(self, text: str, *codes: str) -> str:
        """Return a text in a color, if colors are used.

        Args:
            text: the text.
            *codes: parameters of the escape sequence "Select Graphic Rendition".
        """
        return f"\x1b[{';'.join(codes)}m{text}\x1b[0m" if self.color else text

    def wrap(self, text: str, indent: str) -> str:
        """Return a text wrapped to the width, with an indentation in front of all lines but the first.

        Args:
            text: one line.
            indent: the indentation.
        """
        if not self.width:
            return text
        import textwrap

        lines = textwrap.wrap(text, self.width, subsequent_indent=indent, break_on_hyphens=False)
        return "\n".join(lines) or text


def style_of(stream: Any, choice: str = "auto") -> Style:
    """Return the style for a stream. See https://no-color.org and https://force-color.org.

    Args:
        stream: the stream that is written to.
        choice: ``always``, ``never`` or ``auto``: the variables ``NO_COLOR`` and ``FORCE_COLOR`` decide, else whether
            the stream is a terminal.
    """
    terminal = is_terminal(stream)
    color = choice == "always"
    if choice == "auto" and not os.environ.get("NO_COLOR"):
        color = bool(os.environ.get("FORCE_COLOR")) or (terminal and os.environ.get("TERM") != "dumb")
    return Style(color=color, width=_columns() if terminal else 0)


def _columns() -> int:
    import shutil

    return shutil.get_terminal_size().columns


def is_terminal(stream: Any) -> bool:
    """Return whether a stream is a terminal.

    Args:
        stream: any stream.
    """
    return bool(getattr(stream, "isatty", lambda: False)())


def concise(finding: Finding, style: Style = Style()) -> str:  # noqa: B008 (not changed)
    """Return a finding as one line, in the format of compilers, which editors and CI systems read.

    Args:
        finding: the finding.
        style: the style. The line is not wrapped.
    """
    place = style.paint(one_line(str(finding.origin)), _BOLD)
    severity = style.paint(finding.severity, _COLORS[finding.severity])
    return f"{place}: {severity}: {style.paint(finding.id, _BOLD)} {one_line(finding.description)}"


def full(finding: Finding, lines: Sequence[str], style: Style) -> str:
    """Return a finding with an excerpt of the file, in which values are hidden.

    Args:
        finding: the finding.
        lines: the lines of the file.
        style: the style.
    """
    head = f"{finding.severity}[{finding.id}]"
    text = one_line(f"{head}: {replace(finding, advice='').description}")
    message = style.wrap(text, "  ")
    painted = style.paint(head, _COLORS[finding.severity], _BOLD) + message[len(head) :]
    parts = [painted, *_source_lines(finding, lines, style)]
    if finding.advice:
        parts.append(style.wrap(one_line(f"  = help: {finding.advice}"), "          "))
    return "\n".join(parts) + "\n"


def _source_lines(finding: Finding, lines: Sequence[str], style: Style) -> List[str]:
    origin = finding.origin
    number = origin.line or 0
    gutter = " " * len(str(number or ""))
    arrow, bar = style.paint("-->", _BLUE), style.paint("|", _BLUE)
    place = [f"{gutter}{arrow} {one_line(str(origin))}"]
    if not 0 < number <= len(lines):
        return place
    part = excerpt(lines[number - 1], origin.column or 1, finding.name)
    room = style.width - len(gutter) - 3 if style.width else len(part.text)
    shift = max(0, min(part.start, part.end - room))
    text = one_line(part.text[shift : shift + room])
    marks = style.paint("^" * min(part.end - part.start, room), _COLORS[finding.severity], _BOLD)
    source = f"{style.paint(str(number), _BLUE)} {bar} {text}"
    return [*place, f"{gutter} {bar}", source, f"{gutter} {bar} {' ' * (part.start - shift)}{marks}"]


def summary(findings: Sequence[Finding], counts: Mapping[str, int], style: Style) -> str:
    """Return the last line of an output: what was checked, and how many findings there are.

    Args:
        findings: the findings.
        counts: ``files``, and optionally ``fixed``, ``suppressed``, ``unreadable`` and ``templates``.
        style: the style.
    """
    by_severity = [(name, sum(each.severity == name for each in findings)) for name in _COLORS]
    words = [style.paint(_count(number, name), _COLORS[name]) for name, number in by_severity if number]
    result = f"{', '.join(words) or style.paint('no findings', '32')} in {_count(counts['files'], 'file')}"
    fixable = sum(bool(each.edits) for each in findings)
    more = [f"{counts[name]} {name}" for name in ("fixed", "suppressed", "unreadable") if counts.get(name)]
    more += [f"{_count(counts['templates'], 'template')} skipped"] if counts.get("templates") else []
    more += [f"{fixable} fixable with --fix"] if fixable else []
    return f"{result} ({', '.join(more)})" if more else result


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


# -- excerpts of files -------------------------------------------------------------------------------------------------


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
