"""``flowsecrets rule``: explains the rules of ``flowsecrets check``."""

from __future__ import annotations

import difflib
import json
import sys
from typing import Any, Dict, Iterator

from pytest_flowsecrets.errors import UsageError
from pytest_flowsecrets.findings.rules import GROUPS, LEAK, RULES
from pytest_flowsecrets.findings.terminal import Style, style_of


def run(arguments: Any) -> int:
    """Print rules.

    Args:
        arguments: parsed arguments.

    Raises:
        UsageError: there is no such rule.
    """
    names = [_named(each) for each in arguments.names]
    if not names and not arguments.all:
        raise UsageError("name a rule, such as FS021, or add --all")
    names = names or list(RULES)
    if arguments.json:
        print(json.dumps([_as_dict(name) for name in names], indent=2))
        return 0
    style = style_of(sys.stdout)
    for line in _table(style) if arguments.all else _sections(names, style):
        print(line)
    return 0


def _named(text: str) -> str:
    name = text if text == LEAK else text.upper()
    if name not in RULES:
        near = difflib.get_close_matches(name, RULES, 1)
        raise UsageError(f"no rule {text}{f': {near[0]}?' if near else ''}; `flowsecrets rule --all` lists the rules")
    return name


def _as_dict(name: str) -> Dict[str, str]:
    rule, group = RULES[name], _group_of(name)
    return {"id": name, "name": rule.name, "severity": rule.severity, "group": group, **_texts(name)}


def _texts(name: str) -> Dict[str, str]:
    return {"title": RULES[name].title, "explanation": RULES[name].explanation}


def _group_of(name: str) -> str:
    return next(group for group, rules in GROUPS.items() if name in rules)


def _table(style: Style) -> Iterator[str]:
    for group, rules in GROUPS.items():
        yield style.paint(group, "1")
        for name, rule in rules.items():
            yield f"  {name:<11} {rule.severity:<7}  {rule.title}"


def _sections(names: Any, style: Style) -> Iterator[str]:
    for name in names:
        rule = RULES[name]
        yield style.paint(f"{name}: {rule.title}", "1")
        yield f"{rule.severity}, {_group_of(name)}"
        yield ""
        yield style.wrap(rule.explanation, "")
        if name != LEAK:
            yield ""
            yield f"To silence it in one place: # flowsecrets: ignore[{name}]"
        yield ""
