"""``flowsecrets explain`` shows the value that a flow gets, and its source."""

from __future__ import annotations

import json

import pytest

S = "PREFECT__CONTEXT__SECRETS__"
V = ("--prefect-version", "1.4.1")
CONFIG = "[context.secrets]\nA = 'hunter2'\nB = '0000'\n"


def test_given_files(run, write):
    """`explain` reads only the files in the arguments, and masks values."""
    write("b.toml", "[context.secrets]\nA = 'backend'\n")
    done = run("explain", *V, "--config", write("c.toml", CONFIG), "--backend", "b.toml", "A")
    assert done.code == 0
    assert "from      backend b.toml:2:1" in done.out
    assert "overrides user c.toml:2:1" in done.out
    assert "hunter2" not in done.out


def test_findings_count(run, write):
    """Without names `explain` shows all secrets, and findings give exit status 1."""
    done = run("explain", *V, "--config", write("c.toml", CONFIG))
    assert done.code == 1
    assert "FS021" in done.out


def test_this_machine(run, write, monkeypatch):
    """Without files `explain` reads the config.toml of the home, the variables, and the variables for paths."""
    write(".prefect/config.toml", CONFIG)
    monkeypatch.setenv(S + "C", "from-env")
    assert "C (Prefect 1.4.1): str of length 8" in run("explain", *V, "C").out
    assert run("explain", *V, "A").code == 0
    monkeypatch.setenv("PREFECT__USER_CONFIG_PATH", "/nowhere")
    assert 'Local Secret "A" was not found' in run("explain", *V, "A").out
    monkeypatch.setenv("PREFECT__USER_CONFIG_PATH", "~/other.toml")
    write("other.toml", "[context.secrets]\nD = 'ddd'\n")
    assert run("explain", *V, "D").code == 0


def test_env_file(run, write, monkeypatch):
    """`--env-file` replaces the environment of the process."""
    monkeypatch.setenv(S + "A", "mine")
    done = run("explain", *V, "--env-file", write("x.env", f"{S}B=bbbb\n"), "A", "B")
    assert 'Local Secret "A" was not found' in done.out
    assert "B (Prefect 1.4.1): str of length 4" in done.out


def test_env_file_places(run, write):
    """Origins, steps, findings and import failures show the position in the .env file."""
    write("x.env", f"# c\nexport {S}A=0000\n{S}B=x\n{S}B=true\n")
    done = run("explain", *V, "--env-file", "x.env", "A")
    assert f"from      env x.env:2:8 {S}A\n" in done.out
    assert f"step      written in env x.env:2:8 {S}A: str of length 4" in done.out
    assert f"FS021     x.env:2:8 {S}A: all zeros" in done.out
    (explanation,) = json.loads(run("explain", *V, "--json", "--env-file", "x.env", "B").out)
    place = {"layer": "env", "place": f"{S}B", "file": "x.env", "line": 4, "column": 1}
    assert explanation["secrets"][0]["origins"] == [place]
    (finding,) = explanation["secrets"][0]["findings"]
    assert {**place, "id": "FS024", "severity": "warning", "versions": "0.5.0-1.4.1"}.items() <= finding.items()
    done = run("explain", *V, "--env-file", write("y.env", f"V=$W\nW=5\n{S}A=$V\n"))
    assert f"object has no attribute 'upper' (y.env:3:1 {S}A)" in done.out


def test_meant_names(run, write):
    """A secret that is missing because of a misspelled variable has the finding about that variable."""
    write("x.env", f"{S}A__B=x\nPREFECT__CONTEXT__Secrets__C=x\n{S}D=x\n")
    assert "FS006" in run("explain", *V, "--env-file", "x.env", "A__B").out
    assert "FS007" in run("explain", *V, "--env-file", "x.env", "C").out
    old = run("explain", "--prefect-version", "0.6.6", "--env-file", "x.env", "D").out
    assert "Secret('d') finds it, Secret('D') does not" in old
    assert "FS006" not in old


def test_all_versions(run, write):
    """`--all-versions` prints one line for each span of releases."""
    done = run("explain", "--all-versions", "--config", write("c.toml", CONFIG), "B")
    lines = done.out.splitlines()
    assert len(lines) == 16
    assert "str of length 4" in lines[0]
    assert "int" in lines[-1]


def test_json(run, write):
    """The JSON is valid and masked; `--show-values` includes the values."""
    write("c.toml", CONFIG)
    (plain,) = json.loads(run("explain", *V, "--json", "--config", "c.toml", "A").out)
    (shown,) = json.loads(run("explain", *V, "--json", "--show-values", "--config", "c.toml", "A").out)
    assert plain["secrets"][0]["result"]["length"] == 7
    assert "value" not in plain["secrets"][0]["result"]
    assert shown["secrets"][0]["result"]["value"] == "'hunter2'"


def test_import_fails(run, write):
    """`explain` reports a configuration that Prefect cannot load, without a value."""
    done = run("explain", *V, "--config", write("c.toml", "[context.secrets]\nA = hunter2\n"))
    assert done.code == 1
    assert "import prefect fails: TomlDecodeError" in done.out
    assert "hunter2" not in done.out


def test_tables_have_the_findings_of_their_parts(run, write):
    """The explanation of a table includes findings about its parts, and the source of a failure."""
    done = run("explain", *V, "--config", write("c.toml", "[context.secrets.db]\npin = '0000'\n"), "db")
    assert "FS021" in done.out
    done = run("explain", *V, "--env-file", write("x.env", f"V=$W\nW=5\n{S}A=$V\n"), "A")
    assert f"AttributeError: 'int' object has no attribute 'upper' (x.env:3:1 {S}A)" in done.out


def test_nothing(run, write):
    """`explain` reports that there are no secrets."""
    assert run("explain", *V, "--config", write("c.toml", "")) == (0, "Prefect 1.4.1: no secrets\n", "")


@pytest.mark.parametrize("text", ["[cloud]\napi_key=x=5\n", "[cloud.agent.env_vars]\nA=5\n"])
def test_keys_that_are_no_secrets(run, write, text):
    """A finding about a key of another table does not list a secret of that name."""
    done = run("explain", *V, "--config", write("config.toml", text))
    assert (done.code, done.out) == (0, "Prefect 1.4.1: no secrets\n")


def test_a_cloud_secret_has_no_value(run, write):
    """Text and JSON describe no value for a secret that Cloud returns."""
    path = write("config.toml", "[cloud]\nuse_local_secrets = false\n")
    lines = run("explain", *V, "--config", path, "A").out.splitlines()
    assert lines[1] == "  step      Secret('A').get() asks the Prefect Cloud API"
    (secret,) = json.loads(run("explain", *V, "--config", path, "--json", "A").out)[0]["secrets"]
    assert secret["steps"] == [{"what": "Secret('A').get() asks the Prefect Cloud API"}]


def test_python_version(run, write):
    """`--python-version` determines what is a literal."""
    write("c.toml", "[context.secrets]\nA = ' 5x'\nB = 'set()'\n")
    assert "str" in run("explain", *V, "--python-version", "3.8", "--config", "c.toml", "B").out
    assert "set" in run("explain", *V, "--python-version", "3.9", "--config", "c.toml", "B").out


def test_missing_file(run):
    """A missing file is an error."""
    assert run("explain", "--config", "no.toml") == (2, "", "flowsecrets: no.toml: no such file or directory\n")


def test_other_homes(run, write):
    """``~user`` is looked up on this machine."""
    import pwd

    write("c.toml", "[context.secrets]\nA = '~root'\nB = '~nosuchuser9'\n")
    out = run("explain", *V, "--show-values", "--config", "c.toml").out
    assert pwd.getpwnam("root").pw_dir in out
    assert "~nosuchuser9" in out


def test_a_path_that_names_no_file(run, write, monkeypatch):
    """A missing config file in the environment is an error about every secret, but not if the options name files."""
    monkeypatch.setenv("PREFECT__USER_CONFIG_PATH", "/nowhere/config.toml")
    monkeypatch.setenv(S + "A", "abcdefgh")
    done = run("explain", *V, "A")
    assert (done.code, "FS017     PREFECT__USER_CONFIG_PATH: " in done.out) == (1, True)
    assert "FS017" not in run("explain", *V, "--config", write("c.toml", CONFIG), "A").out
