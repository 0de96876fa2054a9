"""The model of the agents agrees with the real agents, and errors of the real agents are one line."""

from __future__ import annotations

import ast
import logging
import os
import socket
from contextlib import nullcontext
from importlib import import_module, metadata

import pytest

from pytest_flowsecrets import ClusterSecrets, RouteUnavailable, UsageError, flow_environment, isolated_prefect
from pytest_flowsecrets.agents import agent_errors, model, real_agents, rules
from pytest_flowsecrets.agents.model import AgentInputs
from pytest_flowsecrets.agents.rules import Facts
from tests.compat import VERSION, needs_prefect
from tests.routes import conftest as here

SECRET = "PREFECT__CONTEXT__SECRETS__TOKEN"
FLAG = "PREFECT__CLOUD__USE_LOCAL_SECRETS"
AGENT_ENV = {SECRET: "of the agent", "BOTH": "of the agent", FLAG: "true", "PREFECT__BACKEND": "server"}
RUN_ENV = {"BOTH": "of the run config", "PREFECT__CLOUD__API_KEY": "x", "PREFECT__CONTEXT__FLOW_ID": "x"}
JOB_ENV = [
    {"name": "ONLY_HERE", "value": "1 $(BOTH) $$"},
    {"name": "FROM_SECRET", "valueFrom": {"secretKeyRef": {"name": "github", "key": "token"}}},
    {"name": SECRET, "valueFrom": {"secretKeyRef": {"name": "github", "key": "token"}}},
    {"name": "BOTH", "value": "of the template"},
]
JOB = {"spec": {"template": {"spec": {"containers": [{"name": "flow", "env": JOB_ENV}]}}}}
TASK = {
    "containerDefinitions": [
        {"name": "sidecar", "environment": [{"name": "NOT_HERE", "value": "1"}]},
        {
            "name": "flow",
            "environment": [{"name": "ONLY_HERE", "value": "1"}, {"name": "BOTH", "value": "of the template"}],
            "secrets": [{"name": "FROM_SSM", "valueFrom": "arn:aws:ssm:token"}],
        },
    ]
}


@pytest.fixture
def cluster():
    secrets = ClusterSecrets()
    secrets["github"] = {"token": "of the cluster"}
    return secrets


def template_of(agent):
    return {"kubernetes": {"job_template": JOB}, "ecs": {"task_definition": TASK}}.get(agent, {})


def facts(env):
    """Return the facts that the agent knows, from outside of the agent."""
    import prefect

    version = metadata.version("prefect")
    if VERSION < rules.RUN_CONFIGS:  # there ``--env`` can say other labels
        env = flow_environment("local")
    labels = ast.literal_eval(env["PREFECT__CLOUD__AGENT__LABELS"])
    return Facts(
        api=prefect.config.cloud.api,
        agent_labels=tuple(labels),
        image=f"prefecthq/prefect:{version}",
        folder=os.getcwd(),
        level=prefect.config.logging.level,
    )


def assert_equal(env, agent, inputs, cluster=None):
    """Compare values, origins and lost variables; for Kubernetes also the order, on which ``$(NAME)`` depends."""
    expected = model.model_environment(agent, metadata.version("prefect"), inputs, cluster)
    assert env.real
    assert not expected.real
    assert dict(env) == dict(expected)
    origins = {name: str(entry) for name, entry in env.variables.items()}
    assert origins == {name: str(entry) for name, entry in expected.variables.items()}
    assert sorted(map(lost_names, env.lost)) == sorted(map(lost_names, expected.lost))
    assert env.notes == expected.notes
    if agent == "kubernetes":
        assert of_users(env) == of_users(expected)


def of_users(env):
    return [name for name, entry in env.variables.items() if entry.origin in ("agent", "run_config", "template")]


def lost_names(lost):
    return lost.entry.name, str(lost.entry), str(lost.winner)


@pytest.mark.parametrize("with_template", [False, True], ids=["plain", "template"])
@pytest.mark.parametrize("run_env", [None, RUN_ENV], ids=["no-run-config", "run-config"])
@pytest.mark.parametrize("agent", here.agents())
def test_the_model_is_the_real_agent(agent, run_env, with_template, cluster):
    """The model agrees with each real agent, with and without a run config and a template."""
    if run_env and VERSION < rules.RUN_CONFIGS:
        pytest.skip("this Prefect has no run configs")
    arguments = template_of(agent) if with_template else {}
    with isolated_prefect():
        if run_env and VERSION < rules.UNIVERSAL:
            run_config = import_module("prefect.run_configs").LocalRun(env=run_env)
        else:
            run_config = run_env
        env = flow_environment(agent, run_config=run_config, agent_env=AGENT_ENV, cluster_secrets=cluster, **arguments)
        template = next(iter(arguments.values()), {})
        inputs = AgentInputs(dict(os.environ), AGENT_ENV, run_env or {}, template, facts=facts(env))
        assert_equal(env, agent, inputs, cluster)


@pytest.mark.parametrize("agent", here.agents())
def test_who_wins(agent, cluster):
    """The order is template, agent --env, run_config.env, forced; a LocalAgent passes on its whole environment."""
    if VERSION < rules.UNIVERSAL:
        pytest.skip("this Prefect has no UniversalRun")
    with isolated_prefect() as secrets:
        secrets.setenv("HOST", "of the host")
        env = flow_environment(
            agent, run_config=RUN_ENV, agent_env=AGENT_ENV, cluster_secrets=cluster, **template_of(agent)
        )
    assert (env[SECRET], env.origin(SECRET)) == ("of the agent", "agent")
    assert (env["BOTH"], env.origin("BOTH")) == ("of the run config", "run_config")
    assert (env[FLAG], env.origin(FLAG)) == ("false", "forced")
    assert env["PREFECT__CONTEXT__FLOW_ID"] == rules.Facts().flow_id
    assert {FLAG, "PREFECT__BACKEND", "PREFECT__CONTEXT__FLOW_RUN_ID"} <= set(env.forced)
    host = "PREFECT__CONTEXT__SECRETS__HOST"
    assert (host in env) == (host in env.leaked) == (agent == "local")
    if agent in ("kubernetes", "ecs"):
        assert (env["ONLY_HERE"], env.origin("ONLY_HERE")) == (
            "1 of the run config $" if agent == "kubernetes" else "1",
            "template",
        )
    if agent == "kubernetes":
        assert env["FROM_SECRET"] == "of the cluster"
        assert [(lost.entry.name, lost.winner.origin) for lost in env.dropped] == [(SECRET, "agent")]
    if agent == "ecs":
        assert env.unresolved == ("FROM_SSM",)
        assert "NOT_HERE" not in env


@pytest.mark.slow
@needs_prefect
@here.needs_local
@pytest.mark.parametrize("agent", here.agents())
def test_with_anything_that_anyone_could_write(agent, cluster):
    """The model agrees with the real agents on generated variables, including forced names and dollars."""
    hypothesis = pytest.importorskip("hypothesis")
    from hypothesis import strategies as st

    names = st.sampled_from([SECRET, "A", "B", FLAG, *(rule.name for rule in rules.FORCED), "PYTHONPATH"])
    names |= st.from_regex(r"[A-Z_][A-Z0-9_]{0,8}", fullmatch=True)
    texts = st.text(st.sampled_from("aé$(){}AB \n'\"\\"), max_size=8)
    maps = st.dictionaries(names, texts, max_size=4)
    values = texts.map(lambda text: {"value": text})
    values |= st.just({"valueFrom": {"secretKeyRef": {"name": "github", "key": "token"}}})
    values |= st.just({"valueFrom": {"secretKeyRef": {"name": "github", "key": "gone", "optional": True}}})
    entries = st.lists(st.builds(lambda name, value: {"name": name, **value}, names, values), max_size=4)

    @hypothesis.settings(max_examples=25)
    @hypothesis.given(agent_env=maps, run_env=maps, env=entries)
    def check(agent_env, run_env, env):
        arguments = {}
        if agent == "kubernetes":
            arguments = {
                "job_template": {"spec": {"template": {"spec": {"containers": [{"name": "flow", "env": env}]}}}}
            }
        elif agent == "ecs":
            plain = {each["name"]: each for each in env if "value" in each}
            arguments = {
                "task_definition": {"containerDefinitions": [{"name": "flow", "environment": [*plain.values()]}]}
            }
        if VERSION < rules.UNIVERSAL:
            run_env = {}
        env = flow_environment(
            agent, run_config=run_env or None, agent_env=agent_env, cluster_secrets=cluster, **arguments
        )
        template = next(iter(arguments.values()), {})
        inputs = AgentInputs(dict(os.environ), agent_env, run_env, template, facts=facts(env))
        assert_equal(env, agent, inputs, cluster)

    with isolated_prefect():
        check()


@here.needs_ecs
def test_overrides_of_ecs():
    """``run_task_kwargs`` overrides the task definition, and the agent overrides both."""
    from prefect.run_configs import ECSRun

    override = [{"name": "ONLY_HERE", "value": "2"}, {"name": "BOTH", "value": "of the overrides"}]
    kwargs = {"overrides": {"containerOverrides": [{"name": "flow", "environment": override}]}}
    run_config = ECSRun(task_definition=TASK, run_task_kwargs=kwargs, env={"BOTH": "of the run config"})
    env = flow_environment("ecs", run_config=run_config)
    assert (env["ONLY_HERE"], env.origin("ONLY_HERE")) == ("2", "overrides")
    assert env["BOTH"] == "of the run config"
    assert [lost.entry.origin for lost in env.lost if lost.entry.name == "BOTH"] == ["template", "overrides"]


@here.needs_ecs
def test_ecs_refuses_a_name_in_both():
    """ECS rejects a name in ``environment`` and ``secrets``; the error contains only the name."""
    container = {
        "name": "flow",
        "environment": [{"name": "A", "value": "hush"}],
        "secrets": [{"name": "A", "valueFrom": "arn"}],
    }
    with pytest.raises(
        UsageError, match=r"the ecs agent cannot deploy the flow run: The secret name must be unique"
    ) as caught:
        flow_environment("ecs", task_definition={"containerDefinitions": [container]})
    assert "hush" not in str(caught.value)


@here.needs_ecs
def test_ecs_takes_text_only():
    """ECS rejects a value that is not a string, and the error does not contain the request."""
    from prefect.run_configs import ECSRun

    with pytest.raises(UsageError, match=r"^the ecs agent cannot deploy the flow run: env A: the value is an int, but"):
        flow_environment("ecs", run_config=ECSRun(env={"A": 424242}))


@here.needs_ecs
def test_a_task_definition_that_only_aws_has():
    """A task definition with an ARN is not registered, and a note says that its content is unknown."""
    from prefect.run_configs import ECSRun

    run_config = ECSRun(task_definition_arn="arn:aws:ecs:eu-west-1:000000000000:task-definition/mine:1", env={"A": "x"})
    env = flow_environment("ecs", run_config=run_config, task_definition={"containerDefinitions": []})
    assert (env["A"], env.origin("A")) == ("x", "run_config")
    assert env.notes == ("the content of the task definition with this ARN is known only in AWS",)


@here.needs_ecs
@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"containerOverrides": ["hush"]}, "overrides.containerOverrides[0] is a str, but must be a mapping"),
        (["hush"], "overrides is a list, but must be a mapping"),
    ],
)
def test_overrides_of_another_shape(overrides, message):
    """Overrides with a wrong structure are one line without a value."""
    from prefect.run_configs import ECSRun

    with pytest.raises(UsageError) as caught:
        flow_environment("ecs", run_config=ECSRun(run_task_kwargs={"overrides": overrides}))
    assert str(caught.value) == f"run_task_kwargs: {message}"


@here.needs_local
def test_a_process_takes_text_only():
    """A LocalAgent fails if its own run config contains a number."""
    if VERSION < rules.RUN_CONFIGS:
        pytest.skip("this Prefect has no run configs")
    from prefect.run_configs import LocalRun

    with pytest.raises(
        UsageError, match=r"^the local agent cannot start the flow run: 'A' is an int: write text in quotes$"
    ):
        flow_environment("local", run_config=LocalRun(env={"A": 424242}))


@here.needs_kubernetes
def test_kubernetes_refuses_numbers_in_a_run_config_of_its_own():
    """Kubernetes rejects numbers in the template of a KubernetesRun."""
    from prefect.run_configs import KubernetesRun

    job = {"spec": {"template": {"spec": {"containers": [{"name": "flow", "env": [{"name": "A", "value": 424242}]}]}}}}
    with pytest.raises(UsageError, match=r"env A: the value is an int") as caught:
        flow_environment("kubernetes", run_config=KubernetesRun(job_template=job))
    assert "424242" not in str(caught.value)


@here.needs_docker
@pytest.mark.parametrize("value", [5, True, 1.5, None, {"a": 1}, ["x"]])
def test_docker_makes_text_of_what_is_not(value):
    """Docker converts values to strings with the origin run config, and None removes the variable of the image."""
    from prefect.run_configs import DockerRun

    env = flow_environment("docker", run_config=DockerRun(env={SECRET: value}))
    assert env.origin(SECRET) == "run_config"
    assert SECRET not in env.forced + env.unresolved
    if value is not None:
        assert env[SECRET] == str(value)
    else:
        assert f"{SECRET}: not set, run_config.env: None, with which Docker removes the variable" in env.explain()
        with pytest.raises(KeyError, match="None, with which Docker removes the variable"):
            env[SECRET]


@here.needs_kubernetes
@pytest.mark.parametrize("value", [5, True, {"a": 1}])
def test_kubernetes_names_what_is_not_text(value):
    """The error names variables that are not strings; None is an empty string."""
    from prefect.run_configs import KubernetesRun

    with pytest.raises(UsageError, match=f"^the kubernetes agent cannot deploy the flow run: .*env {SECRET}"):
        flow_environment("kubernetes", run_config=KubernetesRun(env={SECRET: value}))
    env = flow_environment("kubernetes", run_config=KubernetesRun(env={SECRET: None}))
    assert (env[SECRET], env.origin(SECRET)) == ("", "run_config")


@pytest.mark.parametrize("agent", here.agents())
def test_the_environment_of_the_agent_configures_it(agent):
    """``PREFECT__`` variables of ``host_env`` configure the real agent and the model; those of the test do not."""
    version = "1.4.1" if VERSION != (1, 4, 1) else "0.15.13"
    host = {"PREFECT__BACKEND": "server", "PREFECT__CLOUD__API_KEY": "x", SECRET: "y"}
    with isolated_prefect() as secrets:
        secrets.setenv("OTHER", "z")
        for env in (
            flow_environment(agent, host_env=host),
            flow_environment(agent, host_env=host, prefect_version=version),
        ):
            if env.version >= "0.15":
                assert env["PREFECT__BACKEND"] == "server"
            assert (SECRET in env) == (agent == "local")
            assert bool(env.notes) == (agent != "local")
            assert "PREFECT__CONTEXT__SECRETS__OTHER" not in env
        assert secrets["OTHER"] == "z"


@pytest.mark.parametrize(
    ("version", "refused"), [("0.10.7", True), ("0.13.14", True), ("0.14.9", True), ("0.14.10", False)]
)
def test_the_option_env_of_old_releases(version, refused):
    """Up to 0.14.9 a ``=`` in a value of ``--env`` is an error, because the command splits at each ``=``."""
    env = {"A": "x=y", "B": "z"}
    if not refused:
        assert flow_environment("local", agent_env=env, prefect_version=version)["A"] == "x=y"
        return
    with pytest.raises(
        UsageError, match=f"^--env A: `prefect agent … start` of Prefect {version} fails with a ValueError"
    ):
        flow_environment("local", agent_env=env, prefect_version=version)
    assert flow_environment("local", agent_env={"B": "z"}, prefect_version=version)["B"] == "z"


@here.needs_local
@pytest.mark.parametrize("text", ["x", "x=y", "x=y=z"])
def test_the_real_command_with_an_equals_sign(text):
    """The installed command reads ``--env`` of ``start`` and ``install`` in the same way."""
    from click.testing import CliRunner
    from prefect.cli import cli

    command = ["agent", "local", "install"] if VERSION >= (0, 13) else ["agent", "install", "local"]
    done = CliRunner().invoke(cli, [*command, "--env", f"A={text}"])
    refused = rules.refused_options(metadata.version("prefect"), {"A": text})
    assert isinstance(done.exception, ValueError) == bool(refused)
    assert done.exit_code == len(refused)


@pytest.mark.parametrize("inside", [True, False])
def test_the_model_hides_what_an_isolation_hides(inside, monkeypatch):
    """Outside of a test the model ignores the developer's own variables and files."""
    version = "1.4.1" if VERSION != (1, 4, 1) else "0.15.13"
    with isolated_prefect() if inside else nullcontext():
        monkeypatch.setenv("PREFECT__BACKEND", "server")
        env = flow_environment("local", prefect_version=version)
        assert (env["PREFECT__BACKEND"] == "server") == inside


@here.needs_kubernetes
def test_kubernetes_refuses_names():
    """The stub server rejects the names in a job that the API server rejects."""
    with pytest.raises(
        UsageError, match=r"^the kubernetes agent cannot deploy the flow run: env: 'é' is not a valid variable name"
    ):
        flow_environment("kubernetes", agent_env={"é": "hush"})


@here.needs_kubernetes
def test_templates_of_run_configs(tmp_path, cluster):
    """A template can be a mapping or a path, and the argument is used if the run config has none."""
    from prefect.run_configs import KubernetesRun

    path = tmp_path / "job.yaml"
    path.write_text(
        "spec: {template: {spec: {containers: [{name: flow, env: [{name: ONLY_HERE, value: of the file}]}]}}}\n"
    )
    by_path = flow_environment("kubernetes", run_config=KubernetesRun(job_template_path=str(path)))
    assert by_path["ONLY_HERE"] == "of the file"
    run_config = KubernetesRun(env={"BOTH": "of the run config"})
    besides = flow_environment("kubernetes", run_config=run_config, job_template=JOB, cluster_secrets=cluster)
    assert besides["ONLY_HERE"] == "1 of the run config $"
    assert run_config.job_template is None  # of the caller


@here.needs_kubernetes
def test_a_job_template_beside_a_universal_run():
    """A job template beside a UniversalRun is used like the agent's own template."""
    from prefect.run_configs import UniversalRun

    job = {"spec": {"template": {"spec": {"containers": [{"name": "flow", "env": [{"name": "A", "value": "x"}]}]}}}}
    env = flow_environment("kubernetes", run_config=UniversalRun(env={"B": "y"}), job_template=job)
    assert (env["A"], env.origin("A"), env["B"], env.origin("B")) == ("x", "template", "y", "run_config")


@here.needs_local
def test_a_working_folder_comes_first_in_the_path(tmp_path, monkeypatch):
    """The ``working_dir`` of a LocalRun comes before the agent's own PYTHONPATH."""
    if VERSION < rules.RUN_CONFIGS:
        pytest.skip("this Prefect has no run configs")
    from prefect.run_configs import LocalRun

    monkeypatch.setenv("PYTHONPATH", "/own")
    env = flow_environment("local", run_config=LocalRun(working_dir=str(tmp_path)))
    assert env["PYTHONPATH"] == f"{tmp_path}{os.pathsep}/own"
    assert env.origin("PYTHONPATH") == "default"
    assert [str(lost.entry) for lost in env.lost] == ["the agent's own environment"]


@pytest.mark.parametrize("agent", here.agents())
def test_nothing_is_left_behind(agent):
    """Variables, log handlers, state of clients and threads are the same afterwards."""
    import threading

    flow_environment(agent)  # what is imported once is imported now
    boto3 = import_module("boto3") if agent == "ecs" else None
    configuration = import_module("kubernetes.client").Configuration if agent == "kubernetes" else None
    before = dict(os.environ), list(logging.getLogger("flowsecrets").handlers), threading.active_count()
    session = boto3.DEFAULT_SESSION if boto3 else None
    default = configuration._default if configuration else None
    flow_environment(agent, agent_env={"A": "x"})
    assert before == (dict(os.environ), logging.getLogger("flowsecrets").handlers, threading.active_count())
    assert session is (boto3.DEFAULT_SESSION if boto3 else None)
    assert default is (configuration._default if configuration else None)


@pytest.mark.parametrize("agent", here.agents())
def test_no_other_address_is_asked(agent, monkeypatch):
    """The agents send no request to another address, not even through a proxy."""
    for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy"):
        monkeypatch.setenv(name, "http://192.0.2.1:1")
    real = socket.socket.connect
    addresses = []
    monkeypatch.setattr(socket.socket, "connect", lambda this, to: (addresses.append(to[0]), real(this, to))[1])
    flow_environment(agent)
    assert set(addresses) <= {"127.0.0.1"}
    assert bool(addresses) == (agent != "local")


@here.needs_local
@pytest.mark.parametrize(
    ("agent", "kind"),
    [("local", "DockerRun"), ("docker", "KubernetesRun"), ("kubernetes", "ECSRun"), ("ecs", "LocalRun")],
)
def test_a_run_config_of_another_agent(agent, kind):
    """The error about a run config of another agent names the accepted ones."""
    if VERSION < rules.RUN_CONFIGS:
        pytest.skip("this Prefect has no run configs")
    if not here.can_run(agent):
        pytest.skip(f"the real {agent} agent cannot run here")
    run_config = getattr(import_module("prefect.run_configs"), kind)()
    with pytest.raises(
        UsageError, match=rf"^an? {kind} is for another agent: the {agent} agent needs .*Run or UniversalRun$"
    ):
        flow_environment(agent, run_config=run_config)
    with pytest.raises(
        UsageError, match=r"^a run config must be a mapping of variables or one of prefect.run_configs, not a list$"
    ):
        flow_environment(agent, run_config=[])


@needs_prefect
def test_what_an_old_prefect_lacks():
    """One line says that agents need 0.10, run configs 0.13.12 and UniversalRun 0.14."""
    version = metadata.version("prefect")
    if rules.OLDEST["local"] > VERSION:
        with pytest.raises(
            RouteUnavailable, match=rf"^the local agent needs Prefect 0.10.0 or later, but {version} is"
        ):
            flow_environment("local")
    elif VERSION < rules.RUN_CONFIGS:
        with pytest.raises(RouteUnavailable, match=r"has no run configs: they were added in 0.13.12$"):
            flow_environment("local", run_config={"A": "x"})
    elif VERSION < rules.UNIVERSAL:
        with pytest.raises(RouteUnavailable, match=r"has no UniversalRun: it was added in 0.14.0$"):
            real_agents.run_config_of("local", {"A": "x"}, {}, version=version)
        assert flow_environment("local", run_config={"A": "x"})["A"] == "x"


@pytest.mark.parametrize(("agent", "package"), [("kubernetes", "kubernetes"), ("ecs", "boto3"), ("docker", "docker")])
def test_a_missing_package(monkeypatch, agent, package):
    """The error about a missing package says what to install."""
    monkeypatch.setattr(real_agents, "find_spec", lambda name: None)
    with pytest.raises(
        RouteUnavailable, match=rf"^the {agent} agent needs {package}, .*pytest-flowsecrets\[agents\]'$"
    ):
        real_agents.require(agent, "1.4.1")


def test_an_old_boto3_would_ask_amazon(monkeypatch):
    """The ECS agent needs a boto3 that supports AWS_ENDPOINT_URL."""
    monkeypatch.setattr(real_agents, "find_spec", lambda name: name)
    monkeypatch.setattr(metadata, "version", lambda name: "1.27.9")
    with pytest.raises(RouteUnavailable, match=r"^the ecs agent needs boto3>=1.28, which is not installed here"):
        real_agents.require("ecs", "1.4.1")
    monkeypatch.setattr(metadata, "version", lambda name: "1.28.0")
    real_agents.require("ecs", "1.4.1")


def test_other_errors_of_an_agent_are_told_by_their_type():
    """Other errors are described by type, without a value; our own errors are not changed."""
    with pytest.raises(UsageError) as caught, agent_errors.one_line_errors("local"):
        int("hunter2")
    assert str(caught.value) == "the local agent cannot deploy the flow run: ValueError"
    with pytest.raises(RouteUnavailable), agent_errors.one_line_errors("local"):
        raise RouteUnavailable("it is")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"agent": ["424242"]}, "agent must be one of local, docker, kubernetes, ecs, not a list"),
        ({"agent": "nomad"}, "'nomad' is not an agent: choose one of local, docker, kubernetes, ecs"),
        ({"prefect_version": 424242}, "prefect_version must be a string such as '1.4.1', not an int"),
        ({"prefect_version": "2.0"}, "'2.0' is not a Prefect version from 0.5.0 to 1.4.1, "),
        ({"cluster_secrets": {"a": {"b": "424242"}}}, "cluster_secrets must be a ClusterSecrets, not a dict"),
        (
            {"agent": "kubernetes", "job_template": "s3://a/b.yaml"},
            "s3://a/b.yaml: only files on this machine can be read",
        ),
        (
            {"agent": "kubernetes", "job_template": 424242},
            "a job template must be a mapping or the path of a YAML file, not an int",
        ),
        (
            {"agent": "ecs", "task_definition": {1: "424242"}},
            "the task definition has a key that is an int, not a string",
        ),
        ({"host_env": [424242]}, "host_env must be a mapping of names to strings, not list"),
    ],
)
def test_arguments_of_another_kind(arguments, message):
    """A wrong argument is one line without a value, with Prefect and without."""
    with pytest.raises(UsageError) as caught:
        flow_environment(**arguments)
    assert str(caught.value).startswith(message)
    assert "424242" not in str(caught.value)


@here.needs_kubernetes
def test_run_configs_that_no_agent_can_take(tmp_path):
    """A missing or remote path, and a value that cannot be sent, are errors before any request."""
    from prefect.run_configs import DockerRun, ECSRun, KubernetesRun, LocalRun

    job = tmp_path / "job.yaml"
    job.write_text("spec: {template: {spec: {containers: [{name: flow, env: [{name: A, value: x}]}]}}}")
    for agent, run_config, message in (
        ("local", LocalRun(working_dir="nowhere"), "the working_dir of the run config does not exist: "),
        ("kubernetes", KubernetesRun(job_template_path="s3://a/b.yaml"), "s3://a/b.yaml: only files on this machine"),
        ("kubernetes", KubernetesRun(job_template_path="agent:///no.yaml"), "/no.yaml: no such file or directory"),
        ("ecs", ECSRun(task_definition_path="gs://a/b.yaml"), "gs://a/b.yaml: only files on this machine can be read"),
        (
            "docker",
            DockerRun(ports=["hunter2"]),
            "this DockerRun cannot be sent: ValueError: check the types of its values",
        ),
    ):
        if here.can_run(agent):
            with pytest.raises(UsageError) as caught:
                flow_environment(agent, run_config=run_config)
            assert str(caught.value).startswith(message)
            assert "hunter2" not in str(caught.value)
    env = flow_environment("kubernetes", run_config=KubernetesRun(job_template_path=f"agent://{job}"))
    assert (env["A"], env.origin("A")) == ("x", "template")


def test_a_parameter_of_the_wrong_type():
    """An error of boto3 about a parameter quotes the value, so the reason does not repeat it."""
    exceptions = pytest.importorskip("botocore.exceptions")
    error = exceptions.ParamValidationError(report="Invalid type for parameter x, value: hunter2")
    assert agent_errors.describe_error(error) == "a value is not a string"
