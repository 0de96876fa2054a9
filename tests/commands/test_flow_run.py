"""``flowsecrets explain --agent``."""

from __future__ import annotations

import json
import os
from importlib import metadata

import pytest

from pytest_flowsecrets import versions
from tests.compat import VERSION
from tests.routes.conftest import agents, can_run

S = "PREFECT__CONTEXT__SECRETS__"
JOB = """\
spec:
  template:
    spec:
      containers:
      - name: flow
        env:
        - {name: PREFECT__CONTEXT__SECRETS__TOKEN, valueFrom: {secretKeyRef: {name: github, key: token}}}
        - {name: PREFECT__CONTEXT__SECRETS__OTHER, valueFrom: {secretKeyRef: {name: github, key: token}}}
"""
SECRET = "kind: Secret\nmetadata: {name: github}\nstringData: {token: hunter2}\n"
MODEL = ("--prefect-version", "1.4.1" if VERSION != (1, 4, 1) else "0.15.13")


def test_what_a_job_gets(run, write):
    """Origins, what was dropped silently, what was forced, then the secrets; no value."""
    pytest.importorskip("yaml")
    done = run(
        "explain", "--agent", "kubernetes", *MODEL, "--job-template", write("job.yaml", JOB),
        "--cluster-secrets", write("secret.yaml", SECRET), "--agent-env", f"{S}TOKEN=agents", "--run-env", "MINE=run",
    )  # fmt: skip
    assert done.code == 1
    assert "by the model)" in done.out
    assert "PREFECT__CLOUD__USE_LOCAL_SECRETS: str of length 5 #" in done.out
    assert ", what the agent forces" in done.out
    assert f"lost    {S}TOKEN of the template: secretKeyRef github/token: dropped silently by agent --env" in done.out
    assert "OTHER (Prefect" in done.out
    assert "hunter2" not in done.out


def test_without_the_cluster(run, write):
    """What a Secret holds is known only there."""
    pytest.importorskip("yaml")
    done = run("explain", "--agent", "kubernetes", *MODEL, "--job-template", write("job.yaml", JOB))
    assert done.code == 0
    assert f"{S}TOKEN: known only where the flow runs, the template: secretKeyRef github/token" in done.out


def test_named_secrets_and_the_host(run, monkeypatch):
    """A LocalAgent hands on its whole environment; what does not concern Prefect is counted only."""
    monkeypatch.setenv(f"{S}TOKEN", "of the host")
    done = run("explain", "--agent", "local", *MODEL, "--run-env", f"{S}MINE=0000", "MINE")
    assert done.code == 1
    assert f"{S}TOKEN: str of length 11 #" in done.out
    assert "more variables of the agent's own environment" in done.out
    assert "FS021" in done.out
    assert "TOKEN (Prefect" not in done.out


@pytest.mark.parametrize("agent", agents())
def test_with_prefect_it_is_the_same(run, write, monkeypatch, agent):
    """The real agent and the model tell the same, of every agent."""
    if VERSION < (0, 14):
        pytest.skip("this Prefect has no UniversalRun")
    host = ("--env-file", write("host.env", f"{S}HOST=x\nOTHER=y\nPYTHONPATH=/own\n"))
    given = ("--agent-env", f"{S}A=1", "--agent-env", "BOTH=a", "--run-env", "BOTH=$(OTHER)", "--run-env", f"{S}B=0000")
    template = ("--job-template", write("job.yaml", JOB)) if agent == "kubernetes" else ()
    asked = ("explain", "--agent", agent, *host, *given, *template, "--json", "--show-values")
    by_agent = run(*asked)
    monkeypatch.setattr(versions, "installed_version", lambda: None)
    by_model = run(*asked, "--prefect-version", metadata.version("prefect"))
    assert (by_agent.code, by_agent.err) == (by_model.code, by_model.err)
    told = [comparable(done.out) for done in (by_agent, by_model)]
    assert told[0].pop("by") == "agent"
    assert told[1].pop("by") == "model"
    assert told[0] == told[1]


def comparable(out):
    """Without fingerprints, which are random, and in one order."""
    told = json.loads(out, object_hook=lambda table: {key: table[key] for key in table if key != "fingerprint"})
    for part in ("variables", "lost"):
        told[part] = sorted(told[part], key=lambda entry: (entry["name"], entry["origin"]))
    return told


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--agent", "nomad"), "'nomad' is no agent: choose one of local, docker, kubernetes, ecs"),
        (("--run-env", "A=1"), "--run-env needs --agent"),
        (("--agent", "local", "--run-env", "hunter2"), "--run-env: write NAME=value"),
        (
            ("--agent", "local", "--job-template", "job.yaml"),
            "a job template is for the kubernetes agent, not for the local",
        ),
        (("--agent", "kubernetes", "--job-template", "gone.yaml"), "gone.yaml: no such file or directory"),
        (
            ("--agent", "local", "--prefect-version", "0.9.0"),
            "the local agent of Prefect 0.9.0 is not known here: use ",
        ),
    ],
)
def test_wrong_arguments(run, arguments, told):
    """One line, exit 2, no value."""
    pytest.importorskip("yaml")
    done = run("explain", *arguments)
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith(f"flowsecrets: {told}")
    assert "hunter2" not in done.err


def test_a_pod_that_could_not_start(run, write):
    """Its own failure is the answer."""
    pytest.importorskip("yaml")
    other = write("secret.yaml", SECRET.replace("token", "other"))
    done = run(
        "explain", "--agent", "kubernetes", *MODEL, "--job-template", write("job.yaml", JOB), "--cluster-secrets", other
    )
    assert done.code == 2
    assert "couldn't find key token in Secret default/github" in done.err


def test_the_real_agent_here(run):
    """Where it can run, it is the one that is asked."""
    if not can_run("local"):
        pytest.skip("the real LocalAgent cannot run here")
    assert "by the real agent)" in run("explain", "--agent", "local").out


SERVER = 'backend = "server"\n'
CONFIG = f"""\
[context.secrets]
TOKEN = "of the file"
[cloud]
api_key = "hunter2"
[cloud.agent]
labels = ["a"]
[cloud.agent.env_vars]
{S}MINE = "of the configuration"
"""


@pytest.mark.parametrize("agent", ["local", "docker", "kubernetes", "ecs"])
def test_an_agent_of_prefect_server(run, write, agent):
    """It passes its backend on, so a missing secret fails and no Cloud is asked."""
    done = run("explain", "GONE", "--agent", agent, *MODEL, "--backend", write("backend.toml", SERVER), "--show-values")
    assert done.code == 1
    assert "PREFECT__BACKEND: str of length 6" in done.out
    assert "'server'" in done.out
    assert "Prefect Cloud API" not in done.out
    assert 'Local Secret "GONE" was not found' in done.out
    by_variable = run(
        "explain", "GONE", "--agent", agent, *MODEL, "--env-file", write("x.env", "PREFECT__BACKEND=server")
    )
    assert 'Local Secret "GONE" was not found' in by_variable.out


@pytest.mark.parametrize("files", ["of the machine", "of the options"])
@pytest.mark.parametrize("agent", ["local", "docker"])
def test_config_files(run, write, agent, files):
    """A flow run of a LocalAgent reads them itself; a container does not, and every agent takes its own settings."""
    config = write(".prefect/config.toml" if files == "of the machine" else "mine.toml", CONFIG)
    options = ("--config", config) if files == "of the options" else ()
    done = run("explain", "TOKEN", "MINE", "--agent", agent, *MODEL, *options, "--show-values", "--json")
    told = json.loads(done.out)
    secrets = {secret["name"]: secret for secret in told["flow"]["secrets"]}
    assert ("of the file" in json.dumps(secrets["TOKEN"])) == (agent == "local")
    assert "of the configuration" in json.dumps(secrets["MINE"])
    variables = {variable["name"]: variable for variable in told["variables"]}
    assert variables[f"{S}MINE"]["from"] == "cloud.agent.env_vars of the agent's configuration"
    assert variables["PREFECT__CLOUD__API_KEY"]["value"] == "'hunter2'"


def test_a_config_file_that_the_flow_run_is_pointed_to(run, write):
    """``PREFECT__USER_CONFIG_PATH`` of a run config counts in the flow run, not in the agent."""
    write(".prefect/config.toml", "[context.secrets]\nTOKEN = 'of the machine'\n")
    other = write("other.toml", "[context.secrets]\nTOKEN = 'of the other'\n")
    asked = ("explain", "TOKEN", "--agent", "local", *MODEL, "--show-values", "--run-env")
    assert "'of the other'" in run(*asked, f"PREFECT__USER_CONFIG_PATH={other}").out
    assert "'of the machine'" in run(*asked, "OTHER=x").out
    assert "TOKEN" not in run(*asked[:1], *asked[2:], "PREFECT__USER_CONFIG_PATH=gone.toml").out


@pytest.mark.parametrize("form", [MODEL, ()], ids=["model", "installed"])
def test_the_home_of_a_flow_run(run, write, form):
    """A LocalAgent passes ``HOME`` of the run config on, so the flow reads the files of that home."""
    if not form and (not can_run("local") or VERSION < (0, 13, 12)):
        pytest.skip("the real local agent cannot run here, or this Prefect has no run configs")
    write(".prefect/config.toml", "[context.secrets]\nTOKEN = 'of the machine'\n")
    write("other/.prefect/config.toml", "[context.secrets]\nTOKEN = 'of the other home'\n")
    asked = ("explain", "TOKEN", "--agent", "local", *form, "--show-values", "--run-env")
    assert "'of the machine'" in run(*asked, "OTHER=x").out
    assert "'of the other home'" in run(*asked, "HOME=other").out
    assert "of the machine" not in run(*asked, "HOME=/nonexist").out


def test_all_versions(run):
    """Each release whose agent of this kind is known, in text and in JSON."""
    done = run("explain", "--agent", "docker", "--all-versions", "--json", "--env-file", os.devnull)
    assert [one["prefect_version"] for one in json.loads(done.out)] == ["1.4.1"]
    done = run("explain", "X", "--agent", "local", "--all-versions", "--env-file", os.devnull)
    versions = [
        line.partition("(Prefect ")[2].partition(",")[0] for line in done.out.splitlines() if "flow run" in line
    ]
    assert versions[0] == "0.10.7"
    assert versions[-1] == "1.4.1"
    assert run("explain", "--agent", "nomad", "--all-versions").code == 2


@pytest.mark.parametrize("agent", agents())
def test_a_configured_agent_is_the_same_in_the_model(run, write, monkeypatch, agent):
    """Backend, labels, key and variables of the configuration, by the real agent and by the model."""
    if VERSION < (0, 15):
        pytest.skip("this Prefect has no API keys")
    files = ("--config", write("mine.toml", CONFIG), "--backend", write("backend.toml", SERVER))
    asked = ("explain", "--agent", agent, *files, "--json", "--show-values")
    monkeypatch.setenv("PREFECT__SERVER__PORT", "4201")
    by_agent = run(*asked)
    monkeypatch.setattr(versions, "installed_version", lambda: None)
    by_model = run(*asked, "--prefect-version", metadata.version("prefect"))
    assert (by_agent.code, by_agent.err) == (by_model.code, by_model.err)
    told = [comparable(done.out) for done in (by_agent, by_model)]
    assert (told[0].pop("by"), told[1].pop("by")) == ("agent", "model")
    assert told[0] == told[1]


@pytest.mark.parametrize(
    ("agent", "lines", "reason"),
    [
        ("local", "[context.secrets]\nitems = 'x'\n", "the local agent cannot start: import prefect fails: ValueError"),
        (
            "local",
            "[cloud.agent.env_vars]\nA = '5'\n",
            "the local agent cannot start the flow run: 'A' is a int: write",
        ),
        (
            "ecs",
            "[cloud.agent.env_vars.A]\nB = 'x'\n",
            "the ecs agent cannot start the flow run: 'A' is a table: write",
        ),
        (
            "docker",
            "[cloud.agent]\nenv_vars = '{\"A\": null}'\n",
            "the docker agent cannot start a flow run: cloud.agent.env_vars is a str, not a table",
        ),
    ],
)
def test_a_configuration_with_which_no_flow_run_starts(run, write, agent, lines, reason):
    """One line, exit 2, no value."""
    done = run("explain", "--agent", agent, *MODEL, "--config", write("mine.toml", lines))
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith(f"flowsecrets: {reason}")


def test_what_a_docker_agent_arrives_with(run, write):
    """Docker turns what is not text into text, and a secret of the agent's own environment does not arrive."""
    config = write("mine.toml", "[cloud.agent.env_vars]\nA = '5'\n")
    host = write("host.env", f"{S}HOST=hunter2\n")
    done = run("explain", "HOST", "--agent", "docker", *MODEL, "--config", config, "--env-file", host, "--show-values")
    assert "A: str of length 1" in done.out
    assert f"note    {S}HOST of the agent's own environment: the docker agent does not pass it on" in done.out
    assert "asked of the Prefect Cloud API" in done.out


@pytest.mark.parametrize(
    ("version", "labels", "shown"),
    [("0.10.7", "\"['a']\"", "['a', "), ("0.10.7", "'nonsense'", "['"), ("0.13.14", "['b']", "['b', ")],
)
def test_labels_of_the_configuration(run, write, version, labels, shown):
    """Up to 0.11.1 the agent evaluates a text."""
    if version == metadata.version("prefect") if VERSION else False:
        pytest.skip("here the real agent is asked")
    config = write("mine.toml", f"[cloud]\nauth_token = 'old'\n[cloud.agent]\nlabels = {labels}\n")
    done = run("explain", "--agent", "local", "--prefect-version", version, "--config", config, "--show-values")
    line = next(line for line in done.out.splitlines() if "AGENT__LABELS" in line)
    assert f'"{shown}' in line
    assert "PREFECT__CLOUD__AUTH_TOKEN: str of length 3" in done.out
