"""``FlowEnvironment`` maps names to values, and describes their origins."""

from __future__ import annotations

import pytest

from pytest_flowsecrets import FlowEnvironment, UsageError, flow_environment
from pytest_flowsecrets.agents import model, rules
from pytest_flowsecrets.agents.model import AgentInputs
from pytest_flowsecrets.agents.rules import Facts
from pytest_flowsecrets.agents.variable_origins import ORIGINS, Entry, merge_entries
from pytest_flowsecrets.resolution.display import Mask
from tests.compat import VERSION

ENV = FlowEnvironment(
    "local",
    "1.4.1",
    [
        Entry("PATH", "hush", "host"),
        Entry("PREFECT__X", "hush", "host"),
        Entry("A", "hush", "agent"),
        Entry("B", "hush", "forced"),
        Entry("C", None, "template", {"secretKeyRef": {}}, "secretKeyRef github/token"),
    ],
    merge_entries([Entry("A", "lost", "template", {"fieldRef": {}}, "fieldRef x"), Entry("A", "hush", "agent")])[1],
    ["a note"],
)


def test_a_mapping():
    """The mapping contains known values; unknown ones are listed separately."""
    assert dict(ENV) == {"PATH": "hush", "PREFECT__X": "hush", "A": "hush", "B": "hush"}
    assert len(ENV) == 4
    assert (ENV.forced, ENV.leaked, ENV.unresolved) == (("B",), ("PATH", "PREFECT__X"), ("C",))
    assert [(lost.entry.value, lost.winner.value) for lost in ENV.dropped] == [("lost", "hush")]
    with pytest.raises(KeyError):
        ENV.origin("GONE")


def test_no_value_is_shown():
    """Reprs and explanations hide values unless the mask shows them."""
    texts = [repr(ENV), repr(ENV.variables["A"]), repr(ENV.lost), ENV.explain(), repr(AgentInputs({"A": "hush"}))]
    assert "hush" not in "".join(texts)
    assert "lost'" not in "".join(texts)
    assert "'hush'" in ENV.explain(Mask(show_values=True))


def test_the_explanation():
    """Variables that do not concern Prefect are counted, and named variables are shown alone."""
    lines = ENV.explain().splitlines()
    assert lines[0] == "flow run of a local agent (Prefect 1.4.1, by the model)"
    assert "  and 1 more variables of the agent's own environment" in lines
    assert "  lost    A of the template: fieldRef x: dropped silently by agent --env" in lines
    assert lines[-1] == "  note    a note"
    named = ENV.explain(names=["PATH"]).splitlines()
    assert [line.split(":")[0] for line in named[1:-1]] == ["  PATH"]


def test_origins_are_in_order():
    """Each origin overrides those before it in the model of an agent."""
    places = {"host": "host", "agent": "agent_env", "run_config": "run_env"}
    for weak, strong in zip(ORIGINS, ORIGINS[1:]):
        if weak in places and strong in places:
            inputs = AgentInputs(**{places[weak]: {"A": "1"}, places[strong]: {"A": "2"}})
            assert model.model_environment("local", "1.4.1", inputs)["A"] == "2"


def test_logs_switched_off():
    """If the agent turns off logs, nothing turns them on; from 1.4.0 a flow run can turn them off."""
    name = "PREFECT__CLOUD__SEND_FLOW_RUN_LOGS"
    off = AgentInputs(agent_env={name: "true"}, facts=Facts(log_to_cloud=False))
    assert model.model_environment("docker", "1.4.1", off)[name] == "false"
    by_run = AgentInputs(run_env={name: "false"})
    assert [model.model_environment("docker", version, by_run)[name] for version in ("1.3.1", "1.4.0")] == [
        "true",
        "false",
    ]


@pytest.mark.parametrize(
    ("version", "api"),
    [("0.15.9", "http://host.docker.internal:4200"), ("0.15.10", "of the run"), ("1.4.1", "of the run")],
)
def test_the_address_of_docker(version, api):
    """The API address of a container replaces ``localhost``; from 0.15.10 a run config can override it."""
    inputs = AgentInputs(run_env={"PREFECT__CLOUD__API": "of the run"}, facts=Facts(api="http://localhost:4200"))
    assert model.model_environment("docker", version, inputs)["PREFECT__CLOUD__API"] == api


def test_a_key_and_its_tenant():
    """An agent without a key removes the key of the user, or, for a container, sets it to an empty string."""
    name = "PREFECT__CLOUD__API_KEY"
    agent_env = {name: "of the user"}
    assert name not in model.model_environment("local", "1.4.1", AgentInputs(agent_env=agent_env))
    assert model.model_environment("docker", "1.4.1", AgentInputs(agent_env=agent_env))[name] == ""
    facts = Facts(api_key="k", tenant_id="t")
    env = model.model_environment("local", "1.4.1", AgentInputs(agent_env=agent_env, facts=facts))
    assert (env[name], env["PREFECT__CLOUD__TENANT_ID"]) == ("k", "t")
    assert "'k'" not in repr(facts)


@pytest.mark.parametrize(
    ("agent", "version", "message"),
    [
        ("nomad", "1.4.1", "'nomad' is not an agent: choose one of local, docker, kubernetes, ecs"),
        ("docker", "0.14.22", "the docker agent of Prefect 0.14.22 is not known here: use 0.15.0 or later"),
    ],
)
def test_agents_that_the_model_does_not_know(agent, version, message):
    """An unknown agent or release is one line."""
    with pytest.raises(UsageError, match=f"^{message}$"):
        rules.require_known(agent, version)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"agent": "nomad"}, "'nomad' is not an agent: choose one of "),
        ({"agent_env": {"A": 424242}}, "agent_env: 'A' is an int, but a variable must be a string: put it in quotes"),
        ({"agent_env": ["A"]}, "agent_env must be a mapping of names to strings, not list"),
        ({"run_config": {"A": None}}, "run_config: 'A' is a NoneType, but a variable must be a string"),
        ({"agent_env": {"A=B": "424242"}}, "agent_env: 'A=B' cannot be set: "),
        ({"agent_env": {"A": "424242\0"}}, "agent_env: 'A' cannot be set: "),
        ({"agent_env": {"": "424242"}}, "agent_env: '' cannot be set: "),
        ({"run_config": 5}, "without this version of Prefect, run_config must be a mapping of variables"),
        ({"job_template": {}}, "a job template is for the kubernetes agent, not for the local agent"),
        ({"task_definition": {}}, "a task definition is for the ecs agent, not for the local agent"),
        ({"agent": "kubernetes", "job_template": []}, "a job template must be a mapping or the path of a YAML file"),
        ({"agent": "kubernetes", "job_template": {}}, "Kubernetes rejects the job: its first container is missing"),
        ({"agent": "ecs", "task_definition": {"containerDefinitions": None}}, "the task definition: containerDef"),
    ],
)
def test_wrong_arguments(arguments, message):
    """A wrong argument of the model is one line without a value."""
    version = "1.4.0" if VERSION != (1, 4, 0) else "1.4.1"
    with pytest.raises(UsageError) as caught:
        flow_environment(**arguments, prefect_version=version)
    assert str(caught.value).startswith(message)
    assert "424242" not in str(caught.value)
