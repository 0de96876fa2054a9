"""A mapping of variables with origins, and the words for it."""

from __future__ import annotations

import pytest

from pytest_flowsecrets import FlowEnvironment, UsageError, flow_environment
from pytest_flowsecrets.agents import model, rules
from pytest_flowsecrets.agents.environment import ORIGINS, Entry, merged
from pytest_flowsecrets.agents.model import Written
from pytest_flowsecrets.agents.rules import Facts
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
    merged([Entry("A", "lost", "template", {"fieldRef": {}}, "fieldRef x"), Entry("A", "hush", "agent")])[1],
    ["a note"],
)


def test_a_mapping():
    """Of what is known; the rest is listed."""
    assert dict(ENV) == {"PATH": "hush", "PREFECT__X": "hush", "A": "hush", "B": "hush"}
    assert len(ENV) == 4
    assert (ENV.forced, ENV.leaked, ENV.unresolved) == (("B",), ("PATH", "PREFECT__X"), ("C",))
    assert [(lost.entry.value, lost.winner.value) for lost in ENV.dropped] == [("lost", "hush")]
    with pytest.raises(KeyError):
        ENV.origin("GONE")


def test_no_value_is_shown():
    """Neither by a repr nor by an explanation, unless it is asked for."""
    told = [repr(ENV), repr(ENV.variables["A"]), repr(ENV.lost), ENV.explain(), repr(Written({"A": "hush"}))]
    assert "hush" not in "".join(told)
    assert "lost'" not in "".join(told)
    assert "'hush'" in ENV.explain(Mask(show_values=True))


def test_the_explanation():
    """What does not concern Prefect is counted; named ones are shown alone."""
    lines = ENV.explain().splitlines()
    assert lines[0] == "flow run of a local agent (Prefect 1.4.1, by the model)"
    assert "  and 1 more variables of the agent's own environment" in lines
    assert "  lost    A of the template: fieldRef x: dropped silently by agent --env" in lines
    assert lines[-1] == "  note    a note"
    named = ENV.explain(names=["PATH"]).splitlines()
    assert [line.split(":")[0] for line in named[1:-1]] == ["  PATH"]


def test_origins_are_in_order():
    """Each beats those before it, in the model of an agent that has it."""
    places = {"host": "host", "agent": "agent_env", "run_config": "run_env"}
    for weak, strong in zip(ORIGINS, ORIGINS[1:]):
        if weak in places and strong in places:
            written = Written(**{places[weak]: {"A": "1"}, places[strong]: {"A": "2"}})
            assert model.modelled("local", "1.4.1", written)["A"] == "2"


def test_logs_switched_off():
    """By the agent: then nobody can switch them on; by a flow run, from 1.4.0 on."""
    name = "PREFECT__CLOUD__SEND_FLOW_RUN_LOGS"
    off = Written(agent_env={name: "true"}, facts=Facts(log_to_cloud=False))
    assert model.modelled("docker", "1.4.1", off)[name] == "false"
    by_run = Written(run_env={name: "false"})
    assert [model.modelled("docker", version, by_run)[name] for version in ("1.3.1", "1.4.0")] == ["true", "false"]


@pytest.mark.parametrize(
    ("version", "api"),
    [("0.15.9", "http://host.docker.internal:4200"), ("0.15.10", "of the run"), ("1.4.1", "of the run")],
)
def test_the_address_of_docker(version, api):
    """``localhost`` is another host there; from 0.15.10 on a run config can say better."""
    written = Written(run_env={"PREFECT__CLOUD__API": "of the run"}, facts=Facts(api="http://localhost:4200"))
    assert model.modelled("docker", version, written)["PREFECT__CLOUD__API"] == api


def test_a_key_and_its_tenant():
    """A LocalAgent without a key takes away what others say; a container gets an empty text."""
    name = "PREFECT__CLOUD__API_KEY"
    given = {name: "of the user"}
    assert name not in model.modelled("local", "1.4.1", Written(agent_env=given))
    assert model.modelled("docker", "1.4.1", Written(agent_env=given))[name] == ""
    facts = Facts(api_key="k", tenant_id="t")
    env = model.modelled("local", "1.4.1", Written(agent_env=given, facts=facts))
    assert (env[name], env["PREFECT__CLOUD__TENANT_ID"]) == ("k", "t")
    assert "'k'" not in repr(facts)


@pytest.mark.parametrize(
    ("agent", "version", "told"),
    [
        ("nomad", "1.4.1", "'nomad' is no agent: choose one of local, docker, kubernetes, ecs"),
        ("docker", "0.14.22", "the docker agent of Prefect 0.14.22 is not known here: use 0.15.0 or later"),
    ],
)
def test_agents_that_the_model_does_not_know(agent, version, told):
    """One line."""
    with pytest.raises(UsageError, match=f"^{told}$"):
        rules.require_known(agent, version)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"agent": "nomad"}, "'nomad' is no agent: choose one of "),
        ({"agent_env": {"A": 424242}}, "agent_env: 'A' is a int, and a variable is text: put it in quotes"),
        ({"agent_env": ["A"]}, "agent_env is a mapping of names to texts, not list"),
        ({"run_config": {"A": None}}, "run_config: 'A' is a NoneType, and a variable is text"),
        ({"agent_env": {"A=B": "424242"}}, "agent_env: 'A=B' cannot be set: "),
        ({"agent_env": {"A": "424242\0"}}, "agent_env: 'A' cannot be set: "),
        ({"agent_env": {"": "424242"}}, "agent_env: '' cannot be set: "),
        ({"run_config": 5}, "without this Prefect a run config is given as a mapping of its variables"),
        ({"job_template": {}}, "a job template is for the kubernetes agent, not for the local agent"),
        ({"task_definition": {}}, "a task definition is for the ecs agent, not for the local agent"),
        ({"agent": "kubernetes", "job_template": []}, "a job template is a mapping or the path of a YAML file"),
        ({"agent": "kubernetes", "job_template": {}}, "Kubernetes refuses the job: its first container is missing"),
        ({"agent": "ecs", "task_definition": {"containerDefinitions": None}}, "the task definition: containerDef"),
    ],
)
def test_wrong_arguments(given, told):
    """One line each, without a value; here of the model."""
    version = "1.4.0" if VERSION != (1, 4, 0) else "1.4.1"
    with pytest.raises(UsageError) as caught:
        flow_environment(**given, prefect_version=version)
    assert str(caught.value).startswith(told)
    assert "424242" not in str(caught.value)
