"""``flowsecrets explain --agent``."""

from __future__ import annotations

import json
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
