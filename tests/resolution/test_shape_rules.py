"""Rules about names and structure: each has a configuration that triggers it and one that does not."""

from __future__ import annotations

import pytest

from pytest_flowsecrets.findings.engine import findings
from pytest_flowsecrets.resolution.resolve import resolve
from pytest_flowsecrets.resolution.toml_reader import read_layer

S = "PREFECT__CONTEXT__SECRETS__"
T = "[context.secrets]\n"

# rule, (TOML, environment) that trigger it, (TOML, environment) that do not, release
EXAMPLES = [
    ("FS005", (T + "items = 'x'", {}), (T + "ITEMS = 'x'", {}), "1.4.1"),
    ("FS005", ("", {S + "ITEMS": "x"}), ("", {S + "ITEM": "x"}), "0.6.6"),
    ("FS005", (T + "A = \"{'keys': 1}\"", {}), (T + "A = \"{'KEYS': 1}\"", {}), "1.4.1"),
    ("FS006", ("", {S + "A__B": "x"}), (T + "A__B = 'x'", {}), "1.4.1"),
    ("FS007", ("", {"PREFECT__CONTEXT__Secrets__A": "x"}), ("", {S + "A": "x"}), "1.4.1"),
    ("FS007", ("", {"PREFECT__SECRETS__A": "x"}), ("", {"PREFECT__CLOUD__API": "x"}), "1.4.1"),
    ("FS007", ("", {"PREFECT_CONTEXT__SECRETS__A": "x"}), ("", {"PREFECT_HOME": "x"}), "1.4.1"),
    ("FS007", ("", {"PREFECT__CONTEXT_SECRETS__A": "x"}), ("", {"PREFECT__Context__Secrets": "{}"}), "1.4.1"),
    ("FS008", ("", {S + "A": "x"}), ("", {S + "a": "x"}), "0.6.6"),
    ("FS009", ("", {"PREFECT__CONTEXT__SECRETS": "{}"}), ("", {S + "A": "x"}), "1.4.1"),
    ("FS009", ("", {"PREFECT__Context": "{}"}), (T, {}), "1.4.1"),
    ("FS010", (T + "a.b = 'x'", {}), (T + "'a.b' = 'x'\nI = {k = 'x'}\n[context.secrets.db]\nk = 'x'", {}), "1.4.1"),
    ("FS011", ("[Context.secrets]\nA = 'x'", {}), (T + "A = 'x'\n[Other.secrets]\nB = 'x'", {}), "1.4.1"),
    ("FS012", ("", {S + "A": "x", S + "a": "x"}), ("", {S + "A": "x", S + "b": "x"}), "0.6.6"),
    (
        "FS013",
        (T + "A = 'a${context.secrets.A2}'\nA2 = 'b${context.secrets.A}'", {}),
        (T + "A = '${context.secrets.B}'", {}),
        "1.4.1",
    ),
    ("FS014", (T + "A = 'x'", {S + "A": "y"}), (T + "a = 'x'", {S + "A": "y"}), "0.6.6"),
    ("FS015", ("[context]\nsecrets = 'x'", {}), (T + "secrets = 'x'", {}), "1.4.1"),
    ("FS015", ("context = 'x'", {}), ("context = {}", {}), "1.4.1"),
    ("FS015", ("[context]\nget = 'x'", {}), ("[context]\ngot = 'x'", {}), "0.5.5"),
    ("FS015", ("", {S + "__".join("A" * 2000): "x"}), ("", {S + "A": "x"}), "1.4.1"),
    ("FS015", ("", {S + "A": "x", S + "A__B": "x"}), ("", {S + "A__C": "x", S + "A__B": "x"}), "1.4.1"),
]


def found_in(configuration, version):
    toml, environ = configuration
    resolution = resolve([read_layer(toml, place="f.toml")], environ, version)
    return [finding.id for finding in findings(resolution)]


@pytest.mark.parametrize(("rule", "bad", "good", "version"), EXAMPLES)
def test_examples(rule, bad, good, version):
    """A rule applies to its own case and not to a similar harmless one."""
    assert rule in found_in(bad, version)
    assert rule not in found_in(good, version)


def test_nothing_to_say():
    """An ordinary configuration has no findings."""
    ordinary = (
        T + "TOKEN = 'ghp_abcdefgh'\nPORT = 5432\nON = true\n[cloud]\napi = 'x'",
        {S + "OTHER": "s3cr3t-token", "HOME": "/h"},
    )
    assert found_in(ordinary, "1.4.1") == []


def test_places():
    """A finding about a file has line and column, and one about a variable has its name."""
    resolution = resolve([read_layer(T + "\nitems = 'x'", place="f.toml")], {S + "keys": "x"}, "1.4.1")
    assert [str(finding.origin) for finding in findings(resolution)] == ["f.toml:3:1", S + "keys"]
    assert findings(resolution)[0].versions == "0.6.0-1.4.1"


def test_the_table_of_an_agent_is_named_as_in_its_place():
    """The advice for `cloud.agent.env_vars` names the key in a file, and the variable in the environment."""
    environ = {"PREFECT__CLOUD__AGENT__ENV_VARS": "x", S + "TOKEN": "ghp_abcdefgh"}
    layer = read_layer("[cloud.agent]\nenv_vars = 'x'\n", place="f.toml")
    in_file, in_variable = findings(resolve([layer], environ, "1.4.1"))
    assert (in_file.id, in_variable.id) == ("FS061", "FS061")
    assert ": env_vars = '{" in in_file.advice
    assert ": PREFECT__CLOUD__AGENT__ENV_VARS = '{" in in_variable.advice


@pytest.mark.parametrize(
    ("toml", "environ", "place", "versions"),
    [
        ("[context]\nsecrets = 'x'", {}, "f.toml:2:1", "0.5.0-1.4.1"),
        ("a = 1\ncontext = 'x'", {}, "f.toml:2:1", "0.14.5-1.4.1"),
        ("", {S + "A": "x", S + "A__B": "x"}, S + "A__B", "0.5.0-0.6.6, 0.15.0-1.4.1"),
        ("items = 'x'\n[context]\nconfig = 'x'", {}, "f.toml:1:1", "0.6.0-1.4.1"),
    ],
)
def test_nothing_works(toml, environ, place, versions):
    """A configuration that breaks all secrets is one error, with its place and its releases."""
    results = findings(resolve([read_layer(toml, place="f.toml")], environ, "1.4.1"))
    errors = [finding for finding in results if finding.severity == "error"]
    assert [(str(finding.origin), finding.versions) for finding in errors] == [(place, versions)]


@pytest.mark.parametrize(
    ("rule", "toml", "environ", "version", "versions"),
    [
        ("FS005", T + "items = 'x'", {}, "1.4.1", "0.6.0-1.4.1"),
        ("FS006", "", {S + "A__B": "x"}, "1.4.1", "0.5.0-1.4.1"),
        ("FS007", "", {"PREFECT__CONTEXT__Secrets__A": "x"}, "1.4.1", "0.15.0-1.4.1"),
        ("FS008", "", {S + "A": "x"}, "0.6.6", "0.5.0-0.6.6"),
        ("FS011", "[Context.secrets]\nA = 'x'", {}, "1.4.1", "0.6.0-1.4.1"),
        ("FS011", "[Context.Secrets]\nA = 'x'", {}, "1.4.1", "0.5.0-1.4.1"),
        ("FS012", "", {S + "a": "x", S + "A": "x"}, "0.6.6", "0.5.0-0.6.6"),
        ("FS012", "", {S + "A": "x", "PREFECT__Context__secrets__A": "x"}, "0.14.0", "0.5.0-0.14.22"),
        ("FS014", T + "A = 'x'", {S + "A": "y"}, "0.6.6", "0.5.0-0.6.6"),
        ("FS016", "[cloud]\nuse_local_secrets = 'yes'", {}, "0.6.3", "0.5.0-0.6.7"),
    ],
)
def test_versions(rule, toml, environ, version, versions):
    """`versions` contains the affected releases."""
    results = findings(resolve([read_layer(toml, place="f.toml")], environ, version))
    assert {finding.versions for finding in results if finding.id == rule} == {versions}
