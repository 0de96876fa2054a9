"""Write the HTML report: one file with its styles and its script, which needs no network."""

from __future__ import annotations

import base64
import hashlib
import re
from pathlib import Path
from typing import Any, Dict, Iterable, List, Mapping, Sequence

from pytest_flowsecrets.errors import UsageError

FOLDER = Path(__file__).parent
LAYERS = {
    "env": "variable",
    "user": "user config",
    "backend": "backend config",
    "packaged": "Prefect's default",
    "context": "context",
    "block": "block",
}
_SECRET_REQUEST = re.compile(r"secret|block_documents", re.IGNORECASE)
CLOUD = "Prefect Cloud"
MISSING = "missing"


def write_page(path: str, tests: Sequence[Mapping[str, Any]], leaks: Sequence[Mapping[str, Any]]) -> None:
    """Write the report.

    Args:
        path: the file, which is replaced if it exists.
        tests: the records of a ``Collector``.
        leaks: the leaks, as in the JSON report.

    Raises:
        OSError: the file cannot be written.
    """
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(render(tests, leaks), "utf-8")


def require_jinja() -> None:
    """Check that Jinja2 is installed.

    Raises:
        UsageError: it is not.
    """
    from importlib.util import find_spec

    if find_spec("jinja2") is None:
        raise UsageError("--flowsecrets-html needs Jinja2: pip install 'pytest-flowsecrets[html]'")


def render(tests: Sequence[Mapping[str, Any]], leaks: Sequence[Mapping[str, Any]]) -> str:
    """Return the page as text. The arguments are those of ``write_page``."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    style, script = ((FOLDER / name).read_text("utf-8") for name in ("page.css", "page.js"))
    environment = Environment(
        loader=FileSystemLoader(str(FOLDER)),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["value"] = describe_value
    environment.filters["breakable"] = _breakable
    shown = [_with_links(test, leaks, anchor) for test, anchor in zip(tests, _anchors(test["id"] for test in tests))]
    return environment.get_template("page.html.j2").render(
        tests=shown,
        leaks=[{**leak, "anchor": _anchor_of(leak["test"], shown)} for leak in leaks],
        matrix=_matrix(shown),
        style=style,
        script=script,
        policy=f"default-src 'none'; style-src '{_digest(style)}'; script-src '{_digest(script)}'",
    )


def _breakable(text: str) -> Any:
    """Return a node id as HTML in which a line may end after each part of the name."""
    from markupsafe import Markup, escape

    return Markup(re.sub(r"::|[/_\[]", r"\g<0><wbr>", str(escape(text))))  # noqa: S704 - the text is escaped


def _digest(text: str) -> str:
    """Return the hash of an inline style or script for the content security policy."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def describe_value(shown: Mapping[str, Any]) -> str:
    """Return the description of a masked value in a few words: type, length and fingerprint."""
    length = f" of length {shown['length']}" if "length" in shown else ""
    return f"{shown['type']}{length} #{shown['fingerprint']}"


def _anchors(ids: Iterable[str]) -> List[str]:
    """Return an id for each test that a link can name: letters and digits of its node id, made unique."""
    anchors: List[str] = []
    seen: Dict[str, int] = {}
    for nodeid in ids:
        slug = re.sub(r"[^\w.]+", "-", nodeid).strip("-") or "test"
        seen[slug] = seen.get(slug, 0) + 1
        anchors.append(slug if seen[slug] == 1 else f"{slug}-{seen[slug]}")
    return anchors


def _anchor_of(nodeid: str, tests: Sequence[Mapping[str, Any]]) -> str:
    return next((test["anchor"] for test in tests if test["id"] == nodeid), "")


def _with_links(test: Mapping[str, Any], leaks: Sequence[Mapping[str, Any]], anchor: str) -> Dict[str, Any]:
    """Return the record of a test with its leaks, and the source of each secret."""
    secrets = [{**secret, "source": source_of(secret)} for secret in test["secrets"]]
    known = {secret["name"] for secret in secrets}
    in_api = [event["subject"] for event in test["events"] if event["action"] != "request"]
    only_in_api = [name for name in dict.fromkeys(in_api) if name not in known]
    return {
        **test,
        "anchor": anchor,
        "secrets": secrets,
        "only_in_api": only_in_api,
        "events": [{**event, "about_secrets": _is_about_secrets(event)} for event in test["events"]],
        "leaks": [leak for leak in leaks if leak["test"] == test["id"]],
    }


def _is_about_secrets(event: Mapping[str, Any]) -> bool:
    """Return whether an event concerns a secret: it is not a request, or a request for secrets or block documents."""
    return event["action"] != "request" or bool(_SECRET_REQUEST.search(event["subject"]))


def source_of(secret: Mapping[str, Any]) -> str:
    """Return where the value of a secret comes from, in one or two words."""
    if "error" in secret or secret["result"]["kind"] == "error":
        return MISSING
    if secret["result"]["kind"] == "cloud":
        return CLOUD
    layers = [origin["layer"] for origin in secret["origins"]]
    return LAYERS.get(layers[0], layers[0]) if layers else "context"


def _matrix(tests: Sequence[Mapping[str, Any]]) -> Dict[str, Any]:
    """Return the secrets, and for each test (all of its routes together) the links to its routes or sources."""
    rows: Dict[str, Dict[str, Any]] = {}
    names: Dict[str, None] = {}
    for test in tests:
        row = rows.setdefault(test["group"], {"title": test["group"], "cells": {}, "tests": []})
        row["tests"].append(test["anchor"])
        sources = [(secret["name"], secret["source"]) for secret in test["secrets"]]
        for name, source in [*sources, *((name, CLOUD) for name in test["only_in_api"])]:
            names.setdefault(name)
            route = test["route"].replace("_", " ")
            chip = {"label": route or source, "source": source, "anchor": test["anchor"], "outcome": test["outcome"]}
            row["cells"].setdefault(name, []).append(chip)
    return {"names": list(names), "rows": list(rows.values())}
