"""The five options of "How to set Secrets (e.g. GITHUB_ACCESS_TOKEN) on Server?", each with its own snippet.

https://discourse.prefect.io/t/how-to-set-secrets-e-g-github-access-token-on-server/70

Each test checks the environment that the real agents create against a fake Prefect Server, and the findings of
``flowsecrets check`` for the snippet.
"""

from __future__ import annotations

import os

import pytest

from pytest_flowsecrets.cli import main
from tests.compat import VERSION, needs_prefect
from tests.routes.conftest import needs_kubernetes

pytest.importorskip("yaml")
NAME = "GITHUB_ACCESS_TOKEN"
VARIABLE = f"PREFECT__CONTEXT__SECRETS__{NAME}"
has_runs = pytest.mark.skipif(VERSION is None or VERSION < (0, 15), reason="real flow runs are for Prefect 0.15.0 on")


@pytest.fixture
def check(tmp_path, capsys):
    """Return a function that returns the ids of the findings of ``flowsecrets check`` for a text."""

    def check(name, text):
        path = tmp_path / name
        path.write_text(text)
        main(["check", "--prefect-version", "1.4.1", str(path)])
        return [line.split(": ")[2].split(" ")[0] for line in capsys.readouterr().out.splitlines()]

    return check


@pytest.fixture
def flow():
    """Return a flow that succeeds if the secret, and the token for GitHub storage, have the expected values."""
    import prefect
    from prefect.client import Secret

    @prefect.task
    def secret():
        return Secret(NAME).get()

    @prefect.task
    def token_of_storage():
        return prefect.context.get("secrets", {}).get(NAME) or os.getenv(NAME) or "none"

    @prefect.task
    def compare(secret, token):
        assert (secret, token) == ("your_token", "your_token")

    with prefect.Flow("report") as flow:
        compare(secret(), token_of_storage())
    return flow


CONFIG = f'[context.secrets]\n{NAME} = "your_token"\n'


@pytest.mark.slow
@has_runs
def test_1_config_toml(prefect_server, prefect_home, flow, check):
    """A config.toml works for flow runs of a LocalAgent, which share the home directory, and for no other agent."""
    prefect_home.write_config(CONFIG)
    assert prefect_server.run(flow).state.is_successful()
    assert check("config.toml", CONFIG) == []


AGENT = f"prefect agent local start --env {VARIABLE}=xxx\n"


@pytest.mark.slow
@has_runs
def test_2_environment_variable_set_on_agent_startup(prefect_server, flow, check):
    """``--env`` works: the agent passes the variable on."""
    run = prefect_server.run(flow, agent_env={VARIABLE: "your_token"})
    assert run.state.is_successful()
    assert run.environment.origin(VARIABLE) == "agent"
    assert check("start.sh", AGENT) == []


AGENT_YAML = """\
spec:
  containers:
  - args:
    - prefect agent kubernetes start
    command:
    - /bin/bash
    - -c
    env:
    - name: PREFECT__CLOUD__USE_LOCAL_SECRETS
      value: true
    - name: PREFECT__CONTEXT__SECRETS__GITHUB_ACCESS_TOKEN
      value: xxx
    - name: PREFECT__CLOUD__AGENT__AUTH_TOKEN
      value: ''
    - name: PREFECT__CLOUD__API
      value: "http://some_ip:4200/graphql" # paste your GraphQL Server endpoint here
    - name: PREFECT__BACKEND
      value: server
"""


@needs_kubernetes
def test_2_the_yaml_of_a_kubernetes_agent(flow_environment, local_secrets, check):
    """The manifest fails: Kubernetes rejects ``value: true``, and in quotes it sets secrets of the *agent*, not the flow run.

    The agent does not pass on its own environment. ``PREFECT__CLOUD__AGENT__ENV_VARS`` is the variable for ``--env``.
    """
    assert check("agent.yaml", AGENT_YAML) == ["FS050", "FS053", "FS060"]
    local_secrets.setenv(NAME, "your_token")  # the pod of the agent
    env = flow_environment("kubernetes")
    assert VARIABLE not in env
    assert env["PREFECT__CLOUD__USE_LOCAL_SECRETS"] == "false"
    assert env["PREFECT__CLOUD__AUTH_TOKEN"] == ""
    assert flow_environment("kubernetes", agent_env={VARIABLE: "your_token"})[VARIABLE] == "your_token"


@pytest.mark.slow
@has_runs
def test_3_environment_variable_set_in_the_execution_environment(prefect_server, local_secrets, flow, check):
    """Only a LocalAgent passes on its whole environment."""
    local_secrets.setenv(NAME, "your_token")
    run = prefect_server.run(flow)
    assert run.state.is_successful()
    assert VARIABLE in run.environment.leaked
    assert check("start.sh", f"export {VARIABLE}=xxx\n") == []


@pytest.mark.slow
@has_runs
def test_4_environment_variable_set_in_the_run_config(prefect_server, flow):
    """``env`` of a run config overrides ``--env`` of the agent, but the API receives the value."""
    from prefect.run_configs import UniversalRun

    flow.run_config = UniversalRun(env={VARIABLE: "your_token"})
    run = prefect_server.run(flow, agent_env={VARIABLE: "of the agent"})
    assert run.state.is_successful()
    assert run.environment.origin(VARIABLE) == "run_config"
    assert any(
        "your_token" in str(row["run_config"])
        for row in prefect_server.world.store.linked("flow_run", "state", "Success")
    )


TEMPLATE = """\
apiVersion: batch/v1
kind: Job
spec:
  template:
    spec:
      containers:
      - name: flow
        env:
        - name: GITHUB_ACCESS_TOKEN
          valueFrom:
            secretKeyRef:
              name: {name}
              key: GITHUB_ACCESS_TOKEN
"""


@has_runs
@needs_kubernetes
def test_5_environment_variable_in_the_job_template(prefect_server, cluster_secrets, flow, tmp_path, check):
    """The snippet sets only the token for GitHub storage; with the prefix it also sets the secret."""
    cluster_secrets["prefect-secrets"] = {NAME: "your_token"}
    assert check("upper.yaml", TEMPLATE.format(name="Prefect_Secrets")) == ["FS052", "FS051"]
    job = tmp_path / "job.yaml"
    job.write_text(TEMPLATE.format(name="prefect-secrets"))
    assert check("job.yaml", job.read_text()) == ["FS052"]
    more = {"agent": "kubernetes", "job_template": job, "cluster_secrets": cluster_secrets}
    run = prefect_server.run(flow, **more)
    states = {slug: state.is_successful() for slug, state in run.task_states.items()}
    assert states == {"secret-1": False, "token_of_storage-1": True, "compare-1": False}
    job.write_text(job.read_text().replace(f"name: {NAME}\n", f"name: {VARIABLE}\n"))
    assert check("job.yaml", job.read_text()) == []
    assert prefect_server.run(flow, **more).state.is_successful()


@needs_kubernetes
def test_5_is_dropped_silently_where_the_agent_sets_the_name_too(flow_environment, cluster_secrets):
    """If ``--env`` sets the same name, its value overrides the Kubernetes Secret."""
    import yaml

    template = yaml.safe_load(TEMPLATE.format(name="prefect-secrets"))
    env = flow_environment("kubernetes", job_template=template, agent_env={NAME: "of the agent"})
    assert env[NAME] == "of the agent"
    assert [lost.entry.detail for lost in env.dropped] == [f"secretKeyRef prefect-secrets/{NAME}"]


@needs_prefect
@pytest.mark.secrets({NAME: "your_token"})
@pytest.mark.secret_routes("config_file", "agent", "env", "run_config", "job_template")
def test_all_five_as_routes(secret_route, local_secrets):
    """A test with `secret_routes` passes for each of the five options."""
    name = NAME if secret_route == "config_file" or VERSION >= (0, 6, 7) else NAME.lower()
    assert local_secrets[name] == "your_token"
