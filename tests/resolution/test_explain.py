"""Explanations: origin, losers, steps."""

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
    """Each change is a step, in order."""
    steps = [step.what for step in explained("A", {S + "A": "$V"}, "0.13.14").steps]
    assert steps == [
        f"written in env {S}A",
        "the variable's name becomes the key context.secrets.A",
        "variables and ~ expanded",
        "typed",
        "Secret('A').get() returns it",
    ]


def test_origin_and_losers():
    """The winner's place and those that it beat are told."""
    one = explained("A", {S + "A": "x"})
    assert [str(origin) for origin in one.origins] == [f"{S}A"]
    assert [str(origin) for origin in one.losers] == ["c.toml:2:1"]


def test_table():
    """A table's parts come from several places, and are all told."""
    one = explained("T", {S + "T__w": "w"})
    assert [origin.place for origin in one.origins] == ["c.toml", "c.toml", f"{S}T__w"]
    assert one.steps[-1].value == {"x": 1, "y": "z", "w": "w"}


def test_decoding_is_a_step():
    """What ``Secret.get`` does comes last."""
    assert explained("J").steps[-1].what == "Secret('J').get() decodes it as JSON"


def test_failures():
    """A missing secret, and an import that fails, end the steps."""
    assert explained("nope").steps[-1].failure.type == "ValueError"
    assert explained("A", {S + "items": "x"}).steps[-1].what == "import prefect fails"


def test_cloud():
    """Where Prefect asks its API, that is said."""
    assert "Cloud API" in explained("nope", {"PREFECT__CLOUD__USE_LOCAL_SECRETS": "false"}).text(MASK)


def test_dropped_with_its_table():
    """A secret that a whole-table variable dropped is among the losers of what is left."""
    one = explained("A", {"PREFECT__CONTEXT__SECRETS": "{'A': 'j'}"})
    assert [origin.place for origin in one.origins] == ["PREFECT__CONTEXT__SECRETS"]
    assert [origin.place for origin in one.losers] == ["c.toml"]
    assert [step.what for step in one.steps[-2:]] == ["its entry 'A'", "Secret('A').get() returns it"]
    one = explained("A", {"PREFECT__CONTEXT__SECRETS": "{'A': 'j'}", S + "A": "e"})
    assert [origin.place for origin in one.losers] == [S + "A", "c.toml"]


def test_context():
    """A table in the context is the origin then."""
    one = explain(resolve([CONFIG], {}, "1.4.1", context={"A": 1}), "A")
    assert [origin.kind for origin in (*one.origins, *one.losers)] == ["context", "user"]


def test_masking():
    """Values are hidden in text and JSON, equal ones have equal fingerprints, and another key gives others."""
    one = explained("A", {S + "A": "hunter2", "W": "hunter2"})
    assert "hunter2" not in one.text(MASK) + json.dumps(one.as_dict(MASK)) + repr(one) + repr(one.steps[0])
    assert MASK.fingerprint("hunter2") == Mask(key=b"k").fingerprint("hunter2") != Mask().fingerprint("hunter2")
    assert "str of length 7" in one.text(MASK)


def test_environment_hides_values():
    """Variables out of files are not shown, either."""
    assert "hunter2" not in repr(Environment({"A": "hunter2"}))


def test_values_on_request():
    """They are shown only when asked for."""
    one = explained("A", {S + "A": "hunter2"})
    assert "'hunter2'" in one.text(Mask(show_values=True))
    assert one.as_dict(Mask(show_values=True))["result"]["value"] == "'hunter2'"


def test_findings_of_that_secret_only():
    """Findings about other secrets stay out."""
    assert {finding.name for finding in explained("T").findings} == {"T.x"}


hypothesis = pytest.importorskip("hypothesis")
from pytest_flowsecrets import strategies as fs  # noqa: E402


@pytest.mark.slow
@hypothesis.given(
    written=fs.layers(), version=hypothesis.strategies.sampled_from(["0.5.0", "0.6.5", "0.10.7", "0.13.14", "1.4.1"])
)
def test_last_step_is_the_value(written, version):
    """For any configuration the last step is what the flow gets, and nothing raises."""
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
    """Whatever the text, and however broken, neither an explanation nor a finding holds it."""
    text = f"{before}hunter2value{after}"
    if where == "variable":
        resolution = resolve([], {S + "A": text}, version)
    else:
        spelled = fs.toml_string(text) if where == "string" else text
        resolution = resolve([read_layer(f"[context.secrets]\nA = {spelled}", place="f")], {}, version)
    explained = [explain(resolution, name) for name in ("A", "a", *resolution.names)]
    shown = [one.text(MASK) + json.dumps(one.as_dict(MASK)) for one in explained]
    assert "hunter2value" not in repr(resolution) + repr(findings(resolution)) + "".join(shown)
