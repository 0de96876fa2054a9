"""SARIF 2.1.0, the format in which code scanners report: one log for findings and for leaks."""

from __future__ import annotations

import os
from typing import Any, Dict, List, Optional


def log(tool: str, rules: List[Dict[str, Any]], results: List[Dict[str, Any]], **properties: Any) -> Dict[str, Any]:
    """Return a log with one run.

    Args:
        tool: the name of the tool.
        rules: descriptions of the rules, each with an ``id``.
        results: what was found, see ``result``.
        **properties: further data of the run.
    """
    run: Dict[str, Any] = {"tool": {"driver": {"name": tool, "rules": rules}}, "results": results}
    if properties:
        run["properties"] = properties
    return {"$schema": "https://json.schemastore.org/sarif-2.1.0.json", "version": "2.1.0", "runs": [run]}


def result(rule: str, level: str, message: str, location: Optional[Dict[str, Any]] = None) -> Dict[str, Any]:
    """Return one result.

    Args:
        rule: the id of its rule.
        level: ``error``, ``warning`` or ``note``.
        message: what was found, without a value.
        location: where, see ``location``; None if nowhere.
    """
    found: Dict[str, Any] = {"ruleId": rule, "level": level, "message": {"text": message}}
    if location is not None:
        found["locations"] = [location]
    return found


def location(path: str, line: Optional[int] = None, column: Optional[int] = None) -> Dict[str, Any]:
    """Return a place in a file.

    Args:
        path: of the file; its bytes are kept where they are not UTF-8.
        line: counted from 1; None for the whole file.
        column: counted from 1.
    """
    from urllib.parse import quote

    place: Dict[str, Any] = {"artifactLocation": {"uri": quote(os.fsencode(path))}}
    if line is not None:
        place["region"] = {"startLine": line, "startColumn": column or 1}
    return {"physicalLocation": place}
