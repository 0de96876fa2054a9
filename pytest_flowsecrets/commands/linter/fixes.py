"""Fixes of files: only changes that certainly give what the author means, and only of the bytes concerned.

A fixed file is checked again. A change that does not remove its finding, or that leads to a new one, is not made.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Callable, Dict, Iterable, Iterator, List, Sequence, Tuple

from pytest_flowsecrets.findings.model import Edit, Finding
from pytest_flowsecrets.findings.terminal import excerpt
from pytest_flowsecrets.names import SECRETS_PREFIX

_HEADER = re.compile(r"(?im)^[ \t]*\[[ \t]*(context[ \t]*\.[ \t]*secrets)[ \t]*\]")
_BARE_VALUE = re.compile(r"(?P<key>\s*[\w-]+\s*=\s*)(?P<value>[A-Za-z_][\w./:@+-]*)(?P<rest>\s*)", re.ASCII)
_BOM = "\ufeff"


def with_edits(finding: Finding, text: str) -> Finding:
    """Return a finding with the edits that fix it, if there are any.

    Args:
        finding: a finding.
        text: the text of the file.
    """
    fixer = _FIXERS.get(finding.id)
    return finding if finding.edits or fixer is None else replace(finding, edits=tuple(fixer(finding, text)))


def _remove_mark(_: Finding, text: str) -> Iterator[Edit]:
    if text.startswith(_BOM):
        yield Edit(0, len(_BOM), "")


def _lower_header(finding: Finding, text: str) -> Iterator[Edit]:
    before = "".join(text.splitlines(keepends=True)[: finding.origin.line or 0])
    headers = [each for each in _HEADER.finditer(before) if each.group(1) != each.group(1).lower()]
    if headers:
        yield Edit(*headers[-1].span(1), headers[-1].group(1).lower())


def _correct_prefix(finding: Finding, text: str) -> Iterator[Edit]:
    at = _offset(finding, text)
    written = text[at : at + len(SECRETS_PREFIX)]
    if written != SECRETS_PREFIX and written.upper() == SECRETS_PREFIX:
        yield Edit(at, at + len(SECRETS_PREFIX), SECRETS_PREFIX)


def _quote_value(finding: Finding, text: str) -> Iterator[Edit]:
    number = finding.origin.line or 1
    lines = text.split("\n")
    match = _BARE_VALUE.fullmatch(lines[number - 1])
    if match and match.group("value") not in ("true", "false", "inf", "nan"):
        start = sum(len(line) + 1 for line in lines[: number - 1])
        first, last = match.span("value")
        yield Edit(start + first, start + first, "'")
        yield Edit(start + last, start + last, "'")


def _offset(finding: Finding, text: str) -> int:
    lines = text.split("\n")
    number = finding.origin.line or 1
    return sum(len(line) + 1 for line in lines[: number - 1]) + (finding.origin.column or 1) - 1


_FIXERS: Dict[str, Callable[[Finding, str], Iterable[Edit]]] = {
    "FS001": _quote_value,
    "FS003": _remove_mark,
    "FS007": _correct_prefix,
    "FS011": _lower_header,
}
Check = Callable[[str], Sequence[Finding]]


def fixed_text(text: str, findings: Sequence[Finding], check: Check) -> Tuple[str, int]:
    """Return a text with the fixes of its findings, and the number of fixed findings.

    Args:
        text: the text.
        findings: its findings.
        check: the function that checks a text.
    """
    results, fixed = list(findings), 0
    done = True
    while done:
        done = False
        for finding in [each for each in results if each.edits]:
            changed = apply_edits(text, finding.edits)
            after = list(check(changed))
            if _is_better(results, after):
                text, fixed, done = changed, fixed + len(results) - len(after), True
                results = after
                break
    return text, fixed


def _is_better(before: Sequence[Finding], after: Sequence[Finding]) -> bool:
    """Return whether findings have gone and none has come, except those of a file that Prefect can read again."""
    if any(each.id in ("FS001", "FS003") for each in before):
        return not any(each.id in ("FS001", "FS003") for each in after) or len(after) < len(before)
    known = {(each.id, each.name.lower()) for each in before}
    return len(after) < len(before) and all((each.id, each.name.lower()) in known for each in after)


def apply_edits(text: str, edits: Iterable[Edit]) -> str:
    """Return a text after edits.

    Args:
        text: the text.
        edits: edits that do not overlap.
    """
    for edit in sorted(edits, reverse=True):
        text = text[: edit.start] + edit.text + text[edit.end :]
    return text


def diff(path: str, before: str, after: str, *, show_values: bool) -> List[str]:
    """Return the lines of a unified diff.

    Args:
        path: the file.
        before: its text.
        after: its new text.
        show_values: whether the lines show values; otherwise the diff is for reading only.
    """
    import difflib

    old, new = before.splitlines(), after.splitlines()
    lines = list(difflib.unified_diff(old, new, f"a/{path}", f"b/{path}", n=0, lineterm=""))
    if show_values:
        return lines
    return [line if number < 2 or line.startswith("@@") else _masked(line) for number, line in enumerate(lines)]  # noqa: PLR2004


def _masked(line: str) -> str:
    return line[0] + excerpt(line[1:].lstrip(_BOM), 1).text
