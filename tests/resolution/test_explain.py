"""Explanations contain the origin, the overridden values and the steps."""

from __future__ import annotations

import json

import pytest

from pytest_flowsecrets.findings.engine import findings
from pytest_flowsecrets.findings.explain import explain
from pytest_flowsecrets.resolution.display import Mask
from pytest_flowsecrets.resolution.layers import Environment
from pytest_flowsecrets.resolution.resolve import resolve
from pytest_flowsecrets.resolution.toml_reader import read_layer

S = "PREFECT__CONTEXT__SECRETS__"
MASK = Mask(key=b"k")
CONFIG = read_layer("[context.secrets]\nA = '$V'\nT = {x = '1', y = 'z'}\nJ = '{\"a\": true}'\n", place="c.toml")


def explained(name, environ=(), version="1.4.1", layers=(CONFIG,)):
    return explain(resolve(layers, {"V": "12", **dict(environ)}, version), name)


def test_steps():
    """The steps contain each change, in order."""
    steps = [step.what for step in explained("A", {S + "A": "$V"}, "0.13.14").steps]
    assert steps == [
        f"written in env {S}A",
        "the variable's name becomes the key context.secrets.A",
        "variables and ~ expanded",
        "typed",
        "Secret('A').get() returns it",
    ]


def test_origin_and_losers():
    """The explanation contains the place of the effective value and those that it overrides."""
    one = explained("A", {S + "A": "x"})
    assert [str(origin) for origin in one.origins] == [f"{S}A"]
    assert [str(origin) for origin in one.losers] == ["c.toml:2:1"]


def test_table():
    """The explanation of a table contains all places of its parts."""
    one = explained("T", {S + "T__w": "w"})
    assert [origin.place for origin in one.origins] == ["c.toml", "c.toml", f"{S}T__w"]
    assert one.steps[-1].value == {"x": 1, "y": "z", "w": "w"}


def test_decoding_is_a_step():
    """The decoding of ``Secret.get`` is the last step."""
    assert explained("J").steps[-1].what == "Secret('J').get() decodes it as JSON"


def test_failures():
    """The last step of a missing secret or a failed import is the error."""
    assert explained("nope").steps[-1].failure.type == "ValueError"
    assert explained("A", {S + "items": "x"}).steps[-1].what == "import prefect fails"


def test_cloud():
    """The text says that Prefect asks the Cloud API."""
    assert "Cloud API" in explained("nope", {"PREFECT__CLOUD__USE_LOCAL_SECRETS": "false"}).text(MASK)


def test_dropped_with_its_table():
    """A secret that a variable for the whole table drops is in the list of overridden values."""
    one = explained("A", {"PREFECT__CONTEXT__SECRETS": "{'A': 'j'}"})
    assert [origin.place for origin in one.origins] == ["PREFECT__CONTEXT__SECRETS"]
    assert [origin.place for origin in one.losers] == ["c.toml"]
    assert [step.what for step in one.steps[-2:]] == ["its entry 'A'", "Secret('A').get() returns it"]
    one = explained("A", {"PREFECT__CONTEXT__SECRETS": "{'A': 'j'}", S + "A": "e"})
    assert [origin.place for origin in one.losers] == [S + "A", "c.toml"]


def test_context():
    """A table in the context is the origin of its secrets."""
    one = explain(resolve([CONFIG], {}, "1.4.1", context={"A": 1}), "A")
    assert [origin.kind for origin in (*one.origins, *one.losers)] == ["context", "user"]


def test_masking():
    """Values are hidden in text and JSON, and fingerprints are equal only for equal values and the same key."""
    one = explained("A", {S + "A": "hunter2", "W": "hunter2"})
    assert "hunter2" not in one.text(MASK) + json.dumps(one.as_dict(MASK)) + repr(one) + repr(one.steps[0])
    assert MASK.fingerprint("hunter2") == Mask(key=b"k").fingerprint("hunter2") != Mask().fingerprint("hunter2")
    assert "str of length 7" in one.text(MASK)


def test_environment_hides_values():
    """The repr of an `Environment` hides its values."""
    assert "hunter2" not in repr(Environment({"A": "hunter2"}))


def test_values_on_request():
    """Values are shown only with `show_values`."""
    one = explained("A", {S + "A": "hunter2"})
    assert "'hunter2'" in one.text(Mask(show_values=True))
    assert one.as_dict(Mask(show_values=True))["result"]["value"] == "'hunter2'"


def test_findings_of_that_secret_only():
    """Findings about other secrets are omitted."""
    assert {finding.name for finding in explained("T").findings} == {"T.x"}


hypothesis = pytest.importorskip("hypothesis")
from pytest_flowsecrets import strategies as fs  # noqa: E402


@pytest.mark.slow
@hypothesis.given(
    written=fs.layers(), version=hypothesis.strategies.sampled_from(["0.5.0", "0.6.5", "0.10.7", "0.13.14", "1.4.1"])
)
def test_last_step_is_the_value(written, version):
    """For any configuration the last step is the result of `get`, and nothing raises."""
    texts = {"user": written.config_toml, "backend": written.backend_toml}
    layers = [read_layer(text, kind, kind) for kind, text in texts.items() if text is not None]
    resolution = resolve(layers, written.environ, version)
    for name in [*resolution.names, "A", "missing"]:
        one = explain(resolution, name)
        outcome = resolution.get(name)
        assert one.steps[-1].failure == outcome.error
        assert repr(one.steps[-1].value) == repr(outcome.value)
        assert one.text(MASK)
        json.dumps(one.as_dict(MASK))
        if outcome.kind == "value" and name in resolution.names:
            assert one.origins


@pytest.mark.slow
@hypothesis.given(
    before=fs.env_texts(),
    after=fs.env_texts(),
    version=hypothesis.strategies.sampled_from(["0.5.0", "0.6.5", "0.10.7", "0.13.14", "1.4.1"]),
    where=hypothesis.strategies.sampled_from(["variable", "string", "bare"]),
)
def test_nothing_leaks(before, after, version, where):
    """No explanation and no finding contains the text, even if it is invalid."""
    text = f"{before}hunter2value{after}"
    if where == "variable":
        resolution = resolve([], {S + "A": text}, version)
    else:
        spelled = fs.toml_string(text) if where == "string" else text
        resolution = resolve([read_layer(f"[context.secrets]\nA = {spelled}", place="f")], {}, version)
    explained = [explain(resolution, name) for name in ("A", "a", *resolution.names)]
    shown = [one.text(MASK) + json.dumps(one.as_dict(MASK)) for one in explained]
    assert "hunter2value" not in repr(resolution) + repr(findings(resolution)) + "".join(shown)
