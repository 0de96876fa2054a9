"""SARIF 2.1.0, the report format of code scanners: the same log for findings and for leaks."""

from __future__ import annotations

import os
from typing import Any, Dict, List, Optional


def log(tool: str, rules: List[Dict[str, Any]], results: List[Dict[str, Any]], **properties: Any) -> Dict[str, Any]:
    """Return a log with one run.

    Args:
        tool: the name of the tool.
        rules: descriptions of the rules, each with an ``id``.
        results: the results, see ``result``.
        **properties: more data of the run.
    """
    run: Dict[str, Any] = {"tool": {"driver": {"name": tool, "rules": rules}}, "results": results}
    if properties:
        run["properties"] = properties
    return {"$schema": "https://json.schemastore.org/sarif-2.1.0.json", "version": "2.1.0", "runs": [run]}


def result(rule: str, level: str, message: str, location: Optional[Dict[str, Any]] = None) -> Dict[str, Any]:
    """Return a result.

    Args:
        rule: the id of the rule.
        level: ``error``, ``warning`` or ``note``.
        message: a description of the problem, without a value.
        location: the place, see ``location``, or None.
    """
    data: Dict[str, Any] = {"ruleId": rule, "level": level, "message": {"text": message}}
    if location is not None:
        data["locations"] = [location]
    return data


def location(path: str, line: Optional[int] = None, column: Optional[int] = None) -> Dict[str, Any]:
    """Return a place in a file.

    Args:
        path: the path of the file. Bytes that are not UTF-8 are kept.
        line: the 1-based line, or None for the whole file.
        column: the 1-based column.
    """
    from urllib.parse import quote

    place: Dict[str, Any] = {"artifactLocation": {"uri": quote(os.fsencode(path))}}
    if line is not None:
        place["region"] = {"startLine": line, "startColumn": column or 1}
    return {"physicalLocation": place}
