"""Comments ``# flowsecrets: ignore[FS021]``, which silence findings, and the finding that one silences nothing."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Callable, Iterator, List, Optional, Set, Tuple

from pytest_flowsecrets.findings.model import Edit, Finding
from pytest_flowsecrets.findings.rules import RULES, finding_of
from pytest_flowsecrets.resolution.layers import Origin

if TYPE_CHECKING:
    from typing import Match

_COMMENT = re.compile(r"#\s*flowsecrets:\s*ignore(?P<list>\[(?P<ids>[A-Z0-9, ]*)\])?")
UNUSED = "FS090"


class Comment:
    """A comment that silences findings.

    Attributes:
        line: its 1-based line.
        column: its 1-based column.
        ids: the ids of the rules; empty for all rules.
        used: the ids that it has silenced.
        alone: whether the line contains nothing else, so that the comment refers to the next line.
        span: its offsets in the text.
    """

    def __init__(self, match: Match[str], line: int, offset: int) -> None:
        self.line, self.column = line, match.start() + 1
        self.ids: List[str] = [name for name in re.split(r"[ ,]+", match.group("ids") or "") if name]
        self.is_for_all = match.group("list") is None
        self.used: Set[str] = set()
        self.alone = match.string.lstrip().startswith("#")
        self.span = (offset + match.start(), offset + match.end())

    def silences(self, rule: str) -> bool:
        """Return whether the comment silences a rule.

        Args:
            rule: the id of the rule.
        """
        return self.is_for_all or rule in self.ids


class Suppressions:
    """The comments of a file.

    Args:
        text: the text of the file.
        path: the name of the file.
    """

    def __init__(self, text: str, path: str) -> None:
        self.text, self.path = text, path
        self.comments = list(_comments(text))

    def keeps(self, finding: Finding) -> bool:
        """Return whether no comment in one of the lines of a finding, or alone in the line above, silences it.

        Args:
            finding: a finding in the file.
        """
        number = finding.origin.line or 0
        first, last = finding.origin.lines or (number, number)
        near = [each for each in self.comments if first <= each.line <= last or (each.alone and each.line == first - 1)]
        silencing = [each for each in near if each.silences(finding.id)]
        for comment in silencing:
            comment.used.add(finding.id)
        return not silencing

    def unused(self, is_enabled: Callable[[str], bool]) -> Iterator[Finding]:
        """Yield a finding for each comment that silences nothing.

        Args:
            is_enabled: whether a rule is enabled. A comment for a rule that is not enabled is not reported.
        """
        for comment in self.comments:
            origin = Origin("env", self.path, comment.line, comment.column)
            unused = [each for each in comment.ids if each not in comment.used]
            if comment.is_for_all and not comment.used:
                finding = finding_of(UNUSED, "", origin, "the comment silences nothing", "remove it", versions="")
            elif [each for each in unused if each not in RULES or is_enabled(each)]:
                names = ", ".join(f"{each} (no such rule)" if each not in RULES else each for each in unused)
                message = f"the comment silences nothing: {names}"
                finding = finding_of(UNUSED, "", origin, message, "remove it, or correct the id", versions="")
            else:
                continue
            yield replace(finding, edits=self._edits(comment, unused))

    def _edits(self, comment: Comment, unused: List[str]) -> Tuple[Edit, ...]:
        start, end = comment.span
        kept = [each for each in comment.ids if each not in unused]
        if kept:
            return (Edit(start, end, f"# flowsecrets: ignore[{', '.join(kept)}]"),)
        line_end = self.text.find("\n", end)
        rest = self.text[end : line_end if line_end >= 0 else len(self.text)].rstrip("\r")
        if rest.strip():
            return ()  # the comment says more, for example why
        line_start = self.text.rfind("\n", 0, start) + 1
        if not self.text[line_start:start].strip():
            return (Edit(line_start, line_end + 1 if line_end >= 0 else len(self.text), ""),)
        before = self.text[line_start:start].rstrip()
        return (Edit(line_start + len(before), end + len(rest), ""),)


def _comments(text: str) -> Iterator[Comment]:
    offset = 0
    for number, line in enumerate(text.split("\n"), 1):
        match: Optional[Match[str]] = _COMMENT.search(line)
        if match:
            yield Comment(match, number, offset)
        offset += len(line) + 1
