"""The texts of requests."""

from __future__ import annotations

import base64
import gzip
import json
import zlib

import pytest

from pytest_flowsecrets.backend.messages import texts_in
from tests.compat import needs_prefect

V = "ghp_secret"


def result(body, headers=None, path="/p"):
    body = body if isinstance(body, bytes) else json.dumps(body).encode()
    return [where for where, text in texts_in(path, headers or {}, body) if V in text]


def packed(value, pack=gzip.compress):
    return base64.b64encode(pack(json.dumps(value).encode())).decode()


@pytest.mark.parametrize(
    ("body", "places"),
    [
        ({"query": f"{{ a(b: {V}) }}"}, ["query"]),
        ({"variables": {"input": {"logs": [{"message": "x"}, {"message": V}]}}}, ["variables.input.logs[1].message"]),
        ({"variables": json.dumps({"input": {"name": V}})}, ["variables", "variables.input.name"]),
        (
            {"variables": json.dumps({"input": {"flow": packed({"env": {"A": V}})}})},
            ["variables.input.flow"] * 1 + ["variables.input.flow.env.A"],
        ),
        ({"flow": packed([V], zlib.compress)}, ["flow", "flow[0]"]),
        ({"flow": packed(packed({"a": V}))}, ["flow", "flow.a"]),
        ({"a": {V: 1}}, ["a name in a"]),
        ({V: 1}, ["a name in the body"]),
        ({"a": "H4sInonsense" + V}, ["a"]),
        ({"a": "{" + V}, ["a"]),
        (b"{" + V.encode(), ["body"]),
        (b"\xff" + V.encode(), ["body"]),
        (b"[" * 100_000 + V.encode(), ["body"]),
        (V.encode(), ["body"]),
        (b"", []),
    ],
)
def test_places(body, places):
    """``texts_in`` yields all texts of a body, of nested JSON and of compressed flows, and invalid JSON unchanged."""
    assert result(body) == places


def test_deep():
    """A value that is nested too deeply is yielded as JSON text."""
    value = V
    for _ in range(80):
        value = [value]
    assert len(result({"a": value})) == 1


@pytest.mark.parametrize("value", [42, -1.5, True])
def test_other_values(value):
    """Numbers and booleans are yielded as JSON; null is omitted."""
    texts = dict(texts_in("/p", {}, json.dumps({"a": value, "b": None}).encode()))
    assert texts["a"] == json.dumps(value)
    assert "b" not in texts


def test_path_and_headers():
    """Path and headers are included, except the key in ``Authorization``."""
    headers = {"authorization": f"Bearer {V}", "x-note": V}
    assert result(b"", headers, f"/{V}") == ["path", "header x-note"]


@needs_prefect
def test_flows_as_prefect_compresses_them():
    """Flows compressed by Prefect's own function are decompressed."""
    from prefect.utilities.graphql import compress

    assert result({"serialized_flow": compress({"tasks": [{"name": V}]})})[-1] == "serialized_flow.tasks[0].name"
