"""Root fields of documents, masks, and the removal of values that set secrets."""

from __future__ import annotations

import pytest

from pytest_flowsecrets.backend.graphql.document_masking import (
    masked_document,
    masked_variables,
    outline,
    own_values,
    shown,
)

V = "ghp_secret"


@pytest.mark.parametrize(
    ("query", "name", "result"),
    [
        ("{ hello }", None, ("query", ("hello",))),
        ("mutation { x: set_secret(input: {}) { success } hello }", None, ("mutation", ("set_secret", "hello"))),
        ("subscription { hello }", None, ("subscription", ("hello",))),
        ("query A { a } mutation B { b }", "B", ("mutation", ("b",))),
        ("query A { a } mutation B { b }", None, ("", ())),
        ("query A { a }", "B", ("", ())),
        ("fragment F on Query { a }", None, ("", ())),
        ("{ ...F ...F ...G } fragment F on Query { a ... on Query { b ...F } }", None, ("query", ("a", "b"))),
        ("{", None, ("", ())),
        ("{a" * 5_000, None, ("", ())),
    ],
)
def test_outline(query, name, result):
    """``outline`` returns kind and root fields of the selected operation, or nothing if it does not exist."""
    assert tuple(outline(query, name)) == result


@pytest.mark.parametrize(
    ("query", "masked"),
    [
        ('{ a(b: "ghp_secret") }', '{ a(b: "<str of length 10>") }'),
        ('{ a(b: "") c(d: "\\"x\\\\") }', '{ a(b: "<str of length 0>") c(d: "<str of length 5>") }'),
        ('{ a(b: """ghp "x" \\""" secret""") }', '{ a(b: "<str of length 19>") }'),
        ('{ a(b: """ghp', '{ a(b: "<str of length 0>"'),
        ('{ a(b: "ghp', '{ a(b: "<str of length 2>"'),
        (
            "{ a(b: 12, c: -1.5e3, d: true, e: RED, f: $g1) { x2 } }",
            "{ a(b: 0, c: 0, d: true, e: RED, f: $g1) { x2 } }",
        ),
        ("{ a } # ghp_secret\n{", "{ a } #\n{"),
        ("{ a(b: [12, 34]) }", "{ a(b: [0, 0]) }"),
    ],
)
def test_masked_document(query, masked):
    """Texts are masked by length, numbers as 0, and comments entirely, also in truncated documents."""
    assert masked_document(query) == masked


def test_masked_variables():
    """Variables are masked by type and length; names of variables and of input fields are kept."""
    variables = {
        "text": V,
        "none": None,
        "flag": True,
        "number": 42,
        "list": [V],
        "input": {"name": "n", "value": {V: V}, "logs": [{"message": V}], "n": 1.5},
    }
    assert masked_variables(variables) == {
        "text": "<str of length 10>",
        "none": None,
        "flag": "<bool>",
        "number": "<int>",
        "list": "<list of length 1>",
        "input": {
            "name": "<str of length 1>",
            "value": "<dict of length 1>",
            "logs": "<list of length 1>",
            "n": "<float>",
        },
    }
    assert masked_variables(None) == {}


BY_INPUT = "mutation($input: set_secret_input!) { set_secret(input: $input) { success } }"
# (document, variables) and the result
OWN = [
    ((BY_INPUT, {"input": {"name": "n", "value": V}}), (BY_INPUT, {"input": {"name": "n", "value": None}})),
    (
        ('mutation { set_secret(input: {name: "n", value: "ghp_secret"}) { success } }', {}),
        ('mutation { set_secret(input: {name: "n", value: null}) { success } }', {}),
    ),
    (
        ("mutation { x: setSecret(input: {value: {a: [$v, 1]}}) { success } }", {"v": V, "w": V}),
        ("mutation { x: setSecret(input: {value: null}) { success } }", {"v": None, "w": V}),
    ),
    (
        ("mutation($v: JSON) { ...F } fragment F on Mutation { set_secret(input: {value: $v}) { success } }", {"v": V}),
        (
            "mutation($v: JSON) { ...F } fragment F on Mutation { set_secret(input: {value: $v}) { success } }",
            {"v": None},
        ),
    ),
    (
        (f'mutation($v: JSON = "{V}") {{ set_secret(input: {{value: $v}}) {{ success }} }}', {}),
        ("mutation($v: JSON = null) { set_secret(input: {value: $v}) { success } }", {}),
    ),
    (
        ('mutation($v: JSON, $n: String = "n") { set_secret(input: {name: $n, value: $v}) { success } }', {"v": V}),
        ('mutation($v: JSON, $n: String = "n") { set_secret(input: {name: $n, value: $v}) { success } }', {"v": None}),
    ),
    (
        (f'mutation($i: I = {{name: "n", value: "{V}"}}) {{ set_secret(input: $i) {{ success }} }}', {}),
        ('mutation($i: I = {name: "n", value: null}) { set_secret(input: $i) { success } }', {}),
    ),
]
# What is at another place too, or is no secret mutation, stays.
KEPT = [
    ("mutation($v: JSON) { set_secret(input: {name: $v, value: $v}) { success } }", {"v": V}),
    ("mutation($v: JSON) { set_secret(input: {value: $v}) { success } create_project(name: $v) { id } }", {"v": V}),
    ("mutation($i: I) { set_secret(input: $i) { success } other(input: $i) { id } }", {"i": {"value": V}}),
    ("mutation($i: I) { set_secret(input: $i) { success } }", {"i": V}),
    ("mutation($i: I) { set_secret(input: $i) { success } }", {"i": {"name": V}}),
    ("mutation($i: I) { set_secret(other: $i) { success } }", {"i": {"value": V}}),
    ("mutation($i: I) { write_run_logs(input: $i) { success } }", {"i": {"value": V}}),
    ("mutation { set_secret(input: {value: ", {"i": {"value": V}}),
    ("{a" * 5_000 + " set_secret", {"i": {"value": V}}),
]


def without_own_values(query, variables):
    own = own_values(query)
    return own.remove_from(query, variables) if own else (query, variables)


@pytest.mark.parametrize(("operation", "remaining"), OWN)
def test_without_own_values(operation, remaining):
    """Values of secret mutations become null in literals, variables, defaults and parts of them."""
    assert without_own_values(*operation) == remaining
    assert operation[1] == {} or V in str(operation[1])  # the arguments are not modified


@pytest.mark.parametrize(("query", "variables"), KEPT)
def test_what_stays(query, variables):
    """Other values are not removed, because that would hide a leak."""
    assert without_own_values(query, variables) == (query, variables)


@pytest.mark.parametrize(
    ("operation", "masked"),
    [
        (
            ('mutation { set_secret(input: {name: "n", value: ghp_secret}) { success } }', {}),
            ('mutation { set_secret(input: {name: "<str of length 1>", value: null}) { success } }', {}),
        ),
        (
            ("mutation { set_secret(input: {value: {ghp_secret: [1, $ghp_secret]}}) { success } }", {"ghp_secret": 1}),
            ("mutation { set_secret(input: {value: null}) { success } }", {"ghp_secret": "<int>"}),
        ),
        (
            ("mutation { set_secret(input: {value: $ghp_secret}) { success } }", {}),
            ("mutation { set_secret(input: {value: null}) { success } }", {}),
        ),
        (
            ("mutation($v: JSON) { set_secret(input: {value: $v}) { success } }", {"v": {V: 1}, "w": {"a": 1}}),
            (
                "mutation($v: JSON) { set_secret(input: {value: $v}) { success } }",
                {"v": "<dict of length 1>", "w": {"a": "<int>"}},
            ),
        ),
        (
            ("mutation { set_secret(input: {value: ghp_secret", {"v": {V: V}}),
            ("<document of length 47>", {"v": "<dict of length 1>"}),
        ),
        (
            ("{ project(name: RED) { id } }", {"v": {"a": V}}),
            ("{ project(name: RED) { id } }", {"v": {"a": "<str of length 10>"}}),
        ),
    ],
)
def test_what_is_shown(operation, masked):
    """Names are shown, except names inside the value of a secret."""
    query, variables = operation
    assert shown(query, variables, own_values(query)) == masked
