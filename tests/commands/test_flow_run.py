"""``flowsecrets explain --agent`` shows the environment of a flow run and its secrets."""

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
    """`explain` shows origins, lost and forced variables, and then the secrets, without a value."""
    pytest.importorskip("yaml")
    done = run(
        "explain", "--agent", "kubernetes", *MODEL, "--job-template", write("job.yaml", JOB),
        "--cluster-secrets", write("secret.yaml", SECRET), "--agent-env", f"{S}TOKEN=agents", "--run-env", "MINE=run",
    )  # fmt: skip
    assert done.code == 1
    assert "by the model)" in done.out
    assert "PREFECT__CLOUD__USE_LOCAL_SECRETS: str of length 5 #" in done.out
    assert ", forced by the agent" in done.out
    assert f"lost    {S}TOKEN of the template: secretKeyRef github/token: dropped silently by agent --env" in done.out
    assert "OTHER (Prefect" in done.out
    assert "hunter2" not in done.out


def test_without_the_cluster(run, write):
    """Without ``--cluster-secrets`` the content of a Kubernetes Secret is unknown."""
    pytest.importorskip("yaml")
    done = run("explain", "--agent", "kubernetes", *MODEL, "--job-template", write("job.yaml", JOB))
    assert done.code == 0
    assert f"{S}TOKEN: known only where the flow runs, the template: secretKeyRef github/token" in done.out


def test_named_secrets_and_the_host(run, monkeypatch):
    """A LocalAgent passes on its whole environment; variables that do not concern Prefect are only counted."""
    monkeypatch.setenv(f"{S}TOKEN", "of the host")
    done = run("explain", "--agent", "local", *MODEL, "--run-env", f"{S}MINE=0000", "MINE")
    assert done.code == 1
    assert f"{S}TOKEN: str of length 11 #" in done.out
    assert "more variables of the agent's own environment" in done.out
    assert "FS021" in done.out
    assert "TOKEN (Prefect" not in done.out


@pytest.mark.parametrize("agent", agents())
def test_with_prefect_it_is_the_same(run, write, monkeypatch, agent):
    """The real agent and the model give the same result, for every agent."""
    if VERSION < (0, 14):
        pytest.skip("this Prefect has no UniversalRun")
    host = ("--env-file", write("host.env", f"{S}HOST=x\nOTHER=y\nPYTHONPATH=/own\n"))
    options = (
        "--agent-env",
        f"{S}A=1",
        "--agent-env",
        "BOTH=a",
        "--run-env",
        "BOTH=$(OTHER)",
        "--run-env",
        f"{S}B=0000",
    )
    template = ("--job-template", write("job.yaml", JOB)) if agent == "kubernetes" else ()
    command = ("explain", "--agent", agent, *host, *options, *template, "--json", "--show-values")
    by_agent = run(*command)
    monkeypatch.setattr(versions, "installed_version", lambda: None)
    by_model = run(*command, "--prefect-version", metadata.version("prefect"))
    assert (by_agent.code, by_agent.err) == (by_model.code, by_model.err)
    results = [comparable(done.out) for done in (by_agent, by_model)]
    assert results[0].pop("by") == "agent"
    assert results[1].pop("by") == "model"
    assert results[0] == results[1]


def comparable(out):
    """Return a result without its random fingerprints, and in a fixed order."""
    result = json.loads(out, object_hook=lambda table: {key: table[key] for key in table if key != "fingerprint"})
    for part in ("variables", "lost"):
        result[part] = sorted(result[part], key=lambda entry: (entry["name"], entry["origin"]))
    return result


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--agent", "nomad"), "'nomad' is not an agent: choose one of local, docker, kubernetes, ecs"),
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
def test_wrong_arguments(run, arguments, message):
    """A wrong argument is one line and exit status 2, without a value."""
    pytest.importorskip("yaml")
    done = run("explain", *arguments)
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith(f"flowsecrets: {message}")
    assert "hunter2" not in done.err


def test_a_pod_that_could_not_start(run, write):
    """If the pod cannot start, the result is the error of Kubernetes."""
    pytest.importorskip("yaml")
    other = write("secret.yaml", SECRET.replace("token", "other"))
    done = run(
        "explain", "--agent", "kubernetes", *MODEL, "--job-template", write("job.yaml", JOB), "--cluster-secrets", other
    )
    assert done.code == 2
    assert "couldn't find key token in Secret default/github" in done.err


def test_the_real_agent_here(run):
    """The real agent is used if it can run."""
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
    """An agent of Prefect Server passes on its backend, so a missing secret fails and Cloud is not command."""
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
    """A flow run of a LocalAgent reads the config files; a container does not; every agent reads its own settings."""
    config = write(".prefect/config.toml" if files == "of the machine" else "mine.toml", CONFIG)
    options = ("--config", config) if files == "of the options" else ()
    done = run("explain", "TOKEN", "MINE", "--agent", agent, *MODEL, *options, "--show-values", "--json")
    result = json.loads(done.out)
    secrets = {secret["name"]: secret for secret in result["flow"]["secrets"]}
    assert ("of the file" in json.dumps(secrets["TOKEN"])) == (agent == "local")
    assert "of the configuration" in json.dumps(secrets["MINE"])
    variables = {variable["name"]: variable for variable in result["variables"]}
    assert variables[f"{S}MINE"]["from"] == "cloud.agent.env_vars of the agent's configuration"
    assert variables["PREFECT__CLOUD__API_KEY"]["value"] == "'hunter2'"


def test_a_config_file_that_the_flow_run_is_pointed_to(run, write):
    """``PREFECT__USER_CONFIG_PATH`` in a run config applies to the flow run, not to the agent."""
    write(".prefect/config.toml", "[context.secrets]\nTOKEN = 'of the machine'\n")
    other = write("other.toml", "[context.secrets]\nTOKEN = 'of the other'\n")
    command = ("explain", "TOKEN", "--agent", "local", *MODEL, "--show-values", "--run-env")
    assert "'of the other'" in run(*command, f"PREFECT__USER_CONFIG_PATH={other}").out
    assert "'of the machine'" in run(*command, "OTHER=x").out
    assert "TOKEN" not in run(*command[:1], *command[2:], "PREFECT__USER_CONFIG_PATH=gone.toml").out


@pytest.mark.parametrize("form", [MODEL, ()], ids=["model", "installed"])
def test_the_home_of_a_flow_run(run, write, form):
    """A LocalAgent passes on ``HOME`` of the run config, so the flow reads the files of that home."""
    if not form and (not can_run("local") or VERSION < (0, 13, 12)):
        pytest.skip("the real local agent cannot run here, or this Prefect has no run configs")
    write(".prefect/config.toml", "[context.secrets]\nTOKEN = 'of the machine'\n")
    write("other/.prefect/config.toml", "[context.secrets]\nTOKEN = 'of the other home'\n")
    command = ("explain", "TOKEN", "--agent", "local", *form, "--show-values", "--run-env")
    assert "'of the machine'" in run(*command, "OTHER=x").out
    assert "'of the other home'" in run(*command, "HOME=other").out
    assert "of the machine" not in run(*command, "HOME=/nonexist").out


def test_all_versions(run):
    """`--all-versions` shows each release with a known agent of this kind, as text and as JSON."""
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
    """The real agent and the model agree on configured backend, labels, key and variables."""
    if VERSION < (0, 15):
        pytest.skip("this Prefect has no API keys")
    files = ("--config", write("mine.toml", CONFIG), "--backend", write("backend.toml", SERVER))
    command = ("explain", "--agent", agent, *files, "--json", "--show-values")
    monkeypatch.setenv("PREFECT__SERVER__PORT", "4201")
    by_agent = run(*command)
    monkeypatch.setattr(versions, "installed_version", lambda: None)
    by_model = run(*command, "--prefect-version", metadata.version("prefect"))
    assert (by_agent.code, by_agent.err) == (by_model.code, by_model.err)
    results = [comparable(done.out) for done in (by_agent, by_model)]
    assert (results[0].pop("by"), results[1].pop("by")) == ("agent", "model")
    assert results[0] == results[1]


@pytest.mark.parametrize(
    ("agent", "lines", "reason"),
    [
        ("local", "[context.secrets]\nitems = 'x'\n", "the local agent cannot start: import prefect fails: ValueError"),
        (
            "local",
            "[cloud.agent.env_vars]\nA = '5'\n",
            "the local agent cannot start the flow run: 'A' is an int: write",
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
    """A configuration that prevents flow runs is one line and exit status 2, without a value."""
    done = run("explain", "--agent", agent, *MODEL, "--config", write("mine.toml", lines))
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith(f"flowsecrets: {reason}")


def test_what_a_docker_agent_arrives_with(run, write):
    """Docker converts values to strings, and does not pass on secrets of the agent's own environment."""
    config = write("mine.toml", "[cloud.agent.env_vars]\nA = '5'\n")
    host = write("host.env", f"{S}HOST=hunter2\n")
    done = run("explain", "HOST", "--agent", "docker", *MODEL, "--config", config, "--env-file", host, "--show-values")
    assert "A: str of length 1" in done.out
    assert f"note    {S}HOST of the agent's own environment: the docker agent does not pass it on" in done.out
    assert "requested from the Prefect Cloud API" in done.out


@pytest.mark.parametrize(
    ("version", "labels", "shown"),
    [("0.10.7", "\"['a']\"", "['a', "), ("0.10.7", "'nonsense'", "['"), ("0.13.14", "['b']", "['b', ")],
)
def test_labels_of_the_configuration(run, write, version, labels, shown):
    """Up to 0.11.1 the agent evaluates labels that are a string."""
    if version == metadata.version("prefect") if VERSION else False:
        pytest.skip("here the real agent is command")
    config = write("mine.toml", f"[cloud]\nauth_token = 'old'\n[cloud.agent]\nlabels = {labels}\n")
    done = run("explain", "--agent", "local", "--prefect-version", version, "--config", config, "--show-values")
    line = next(line for line in done.out.splitlines() if "AGENT__LABELS" in line)
    assert f'"{shown}' in line
    assert "PREFECT__CLOUD__AUTH_TOKEN: str of length 3" in done.out
