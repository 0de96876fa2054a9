"""Requests taken apart."""

from __future__ import annotations

import base64
import gzip
import json
import zlib

import pytest

from pytest_flowsecrets.backend.request_text import texts_in
from tests.compat import needs_prefect

V = "ghp_secret"


def found(body, headers=None, path="/p"):
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
    """Names and texts of the body, JSON and compressed flows inside them, and what is no JSON as it is."""
    assert found(body) == places


def test_deep():
    """What is nested too deeply to go on is looked at as text."""
    value = V
    for _ in range(80):
        value = [value]
    assert len(found({"a": value})) == 1


@pytest.mark.parametrize("value", [42, -1.5, True])
def test_other_values(value):
    """Numbers and booleans are looked at as JSON; null is nothing."""
    texts = dict(texts_in("/p", {}, json.dumps({"a": value, "b": None}).encode()))
    assert texts["a"] == json.dumps(value)
    assert "b" not in texts


def test_path_and_headers():
    """They can leak, too; but the key in Authorization is no secret of a flow."""
    headers = {"authorization": f"Bearer {V}", "x-note": V}
    assert found(b"", headers, f"/{V}") == ["path", "header x-note"]


@needs_prefect
def test_flows_as_prefect_compresses_them():
    """By its own function, from 0.5 to 1.4."""
    from prefect.utilities.graphql import compress

    assert found({"serialized_flow": compress({"tasks": [{"name": V}]})})[-1] == "serialized_flow.tasks[0].name"
