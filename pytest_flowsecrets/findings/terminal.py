"""The text output of findings: one line each, or with an excerpt, in colors and as wide as the terminal."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING, Any, List, Mapping, Sequence

from pytest_flowsecrets.findings.excerpts import excerpt
from pytest_flowsecrets.resolution.display import one_line

if TYPE_CHECKING:
    from pytest_flowsecrets.findings.model import Finding

_COLORS = {"error": "31", "warning": "33", "note": "36"}
_BOLD, _BLUE = "1", "34"
_NARROWEST = 40


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
    parts = [painted, *_excerpt(finding, lines, style)]
    if finding.advice:
        parts.append(style.wrap(one_line(f"  = help: {finding.advice}"), "          "))
    return "\n".join(parts) + "\n"


def _excerpt(finding: Finding, lines: Sequence[str], style: Style) -> List[str]:
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
