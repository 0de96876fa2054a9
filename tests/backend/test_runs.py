"""Real flow runs, with the real client, agent and process, and in this process with the real CloudFlowRunner."""

from __future__ import annotations

import importlib.util
import os
import re
import signal
import subprocess
import sys

import pytest

from pytest_flowsecrets import (
    AgentFailed,
    CreateContainerConfigError,
    FakeCloud,
    FakeServer,
    FlowRunTimeout,
    RouteUnavailable,
    UsageError,
)
from pytest_flowsecrets.backend.runs.process_tree import Processes
from tests.compat import VERSION, needs_prefect
from tests.processes import assert_group_is_gone, needs_proc
from tests.routes.conftest import needs_kubernetes

S = "PREFECT__CONTEXT__SECRETS__"
has_runs = pytest.mark.skipif(VERSION is None or VERSION < (0, 15), reason="real flow runs are for Prefect 0.15.0 on")


@pytest.fixture
def flow():
    """Return a flow that reads the secret named by its parameter, logs, and returns its length."""
    import prefect
    from prefect.client import Secret

    @prefect.task
    def read(name):
        prefect.context.logger.info("reading")
        return len(Secret(name).get())

    @prefect.task
    def double(number):
        return number * 2

    with prefect.Flow("lengths") as flow:
        double.map([read(prefect.Parameter("name", default="TOKEN"))])
    return flow


@pytest.fixture
def hanging():
    """Start a child process and sleep."""
    import prefect

    @prefect.task
    def hang():
        subprocess.run([sys.executable, "-c", "import time; time.sleep(60)"], check=True)

    with prefect.Flow("hanging") as flow:
        hang()
    return flow


@pytest.mark.slow
@has_runs
def test_a_flow_of_a_module_that_a_process_could_not_import(tmp_path, monkeypatch):
    """Modules that a process cannot import (import mode importlib) are pickled by value."""
    source = tmp_path / "away_from_here.py"
    source.write_text(
        "import prefect\n\n\ndef one():\n    return 1\n\n\n@prefect.task\ndef use():\n    return one()\n\n\n"
        "with prefect.Flow('away') as flow:\n    use()\n"
    )
    spec = importlib.util.spec_from_file_location("away_from_here", source)
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "away_from_here", module)
    spec.loader.exec_module(module)
    with FakeServer() as server:
        assert server.run(module.flow).state.is_successful()


@pytest.mark.slow
@has_runs
def test_a_real_run_on_cloud(flow):
    """A run on Cloud has states, logs, exit status, environment and timings."""
    with FakeCloud({"TOKEN": "hunter2"}) as cloud:
        run = cloud.run(flow, parameters={"name": "TOKEN"}, agent_env={"MINE": "of the agent"})
        received = [request for request in cloud.requests if "secret_value" in request.fields]
        cloud.assert_never_received("TOKEN")
    assert run.state.is_successful()
    assert {slug: type(state).__name__ for slug, state in run.task_states.items()} == {
        "name": "Success",
        "read-1": "Success",
        "List-1": "Success",
        "double-1": "Mapped",
        "double-1[0]": "Success",
    }
    messages = [line.message for line in run.logs]
    assert messages[0].startswith("Submitted for execution: PID: ")
    assert "reading" in messages
    assert messages[-1] == "Flow run SUCCESS: all reference tasks succeeded"
    assert run.exit_status == 0
    assert run.environment.origin("MINE") == "agent"
    assert run.environment["PREFECT__CLOUD__USE_LOCAL_SECRETS"] == "false"
    assert run.environment.origin("PREFECT__CLOUD__API_KEY") == "forced"
    assert len(received) == 1
    assert set(run.timings) == {"register", "deploy", "process", "total"}
    assert "hunter2" not in repr(run) + repr(run.environment) + run.environment.explain()
    assert repr(run).startswith("<FlowRun Success {'")
    assert repr(run).endswith("}, exit status 0>")


@pytest.mark.slow
@has_runs
def test_a_real_run_on_server(flow):
    """Secrets of the run config reach a run on Server; for others, no API is queried."""
    with FakeServer() as server:
        inputs = server.run(flow, run_config={f"{S}TOKEN": "x"})
        missing = server.run(flow)
        assert {request.fields for request in server.requests if "secret_value" in request.fields} == set()
    assert inputs.state.is_successful()
    assert missing.state.is_failed()
    assert 'Local Secret "TOKEN" was not found' in missing.task_states["read-1"].message
    assert (inputs.exit_status, missing.exit_status) == (0, 0)


@pytest.mark.slow
@has_runs
def test_in_this_process(flow):
    """A run in this process uses no pickle, sees patches of the test, and has complete logs."""
    observations = []
    flow.get_tasks(name="double")[0].run = lambda number: observations.append(number)
    with FakeCloud({"TOKEN": "hunter2"}) as cloud:
        for _ in range(2):
            run = cloud.run(flow, in_process=True, run_config={"MINE": "x"})
            assert run.state.is_successful()
            assert [line.message for line in run.logs][-1] == "Flow run SUCCESS: all reference tasks succeeded"
        other = cloud.run(flow, in_process=True, context={"secrets": {"TOKEN": "of the run"}})
        assert "MINE" not in os.environ
    assert observations == [7, 7, 10]
    assert other.state.is_successful()
    assert (run.exit_status, run.environment["MINE"]) == (None, "x")
    assert set(run.timings) == {"register", "process", "total"}


@pytest.mark.parametrize("in_process", [True, pytest.param(False, marks=pytest.mark.slow)])
@has_runs
def test_a_state_handler_reads_a_secret(flow, in_process):
    """A run has the states that an agent sets, so that a handler may read secrets before the run is Running."""
    from prefect.client import Secret

    def handler(flow, before, after):
        return after if Secret("WEBHOOK").get() == "https://hooks.example/T0" else None

    flow.state_handlers = [handler]
    with FakeCloud({"TOKEN": "hunter2", "WEBHOOK": "https://hooks.example/T0"}) as cloud:
        run = cloud.run(flow, in_process=in_process)
        states = [
            (state["state"], state["message"])
            for state in cloud.world.store.linked("flow_run_state", "flow_run_id", run.id)
        ]
    assert run.state.is_successful(), run.state.message
    assert states == [
        ("Scheduled", "Flow run scheduled."),
        ("Submitted", "Submitted for execution"),
        ("Running", "Running flow."),
        ("Success", "All reference tasks succeeded."),
    ]


@pytest.mark.parametrize("in_process", [True, pytest.param(False, marks=pytest.mark.slow)])
@has_runs
def test_the_secrets_of_a_storage(in_process):
    """A run has the secrets of its storage in the context, and fails like ``execute flow-run`` without one of them."""
    import prefect

    @prefect.task
    def read():
        return prefect.context.secrets["AWS_CREDENTIALS"]["ACCESS_KEY"], prefect.context.secrets["OWN"]

    with prefect.Flow("uploads") as flow:
        prefect.task(lambda values: values == ("AKIA1", "mine") or 1 / 0, name="check")(read())
    flow.storage = prefect.storage.GitHub("me/flows", path="flow.py", secrets=["AWS_CREDENTIALS", "OWN"])
    with FakeCloud({"AWS_CREDENTIALS": {"ACCESS_KEY": "AKIA1"}, "OWN": "of Cloud"}) as cloud:
        cloud.local_secrets["OWN"] = "mine"
        run = cloud.run(flow, in_process=in_process, storage="local")
        assert run.state.is_successful(), run.state.message
        assert dict(prefect.context.secrets) == {"OWN": "mine"}
        cloud.secrets.delete("AWS_CREDENTIALS")
        run = cloud.run(flow, in_process=in_process, storage="local")
    assert re.match("Failed to load and execute .*The secret AWS_CREDENTIALS was not found", run.state.message)
    assert ("ERROR", "execute flow-run", run.state.message) in run.logs
    assert run.task_states["read-1"].is_pending()
    assert not [name for name in sys.modules if name.startswith("pytest_flowsecrets_flow_")]


@has_runs
def test_an_error_outside_of_the_flow(flow):
    """A run in this process raises the error if it cannot report it to the API."""
    from prefect.exceptions import ClientError

    with FakeCloud({"TOKEN": "hunter2"}) as cloud:
        cloud.faults.graphql_error("of the test", on="flow_run")
        with pytest.raises(ClientError, match="of the test"):
            cloud.run(flow, in_process=True)


@pytest.mark.slow
@has_runs
@pytest.mark.parametrize("of_the_flow", [True, False])
@pytest.mark.parametrize("kind", ["KubernetesRun", "DockerRun"])
def test_in_this_process_there_is_no_container(flow, kind, of_the_flow):
    """A run in this process rejects a container's run config in one line, before registration."""
    import prefect

    run_config = getattr(prefect.run_configs, kind)()
    options = {} if of_the_flow else {"run_config": run_config}
    flow.run_config = run_config if of_the_flow else None
    with FakeCloud({"TOKEN": "hunter2"}) as cloud:
        with pytest.raises(
            UsageError, match=f"^in_process=True runs the flow like a LocalAgent, which does not support {kind}"
        ):
            cloud.run(flow, in_process=True, **options)
        assert not cloud.requests
        assert cloud.run(flow, in_process=True, run_config={"MINE": "x"}).state.is_successful()


@has_runs
@needs_proc
@needs_kubernetes
def test_a_flow_run_that_hangs_is_ended(hanging):
    """A run that exceeds its timeout is killed with its children; the error has its state without values."""
    with FakeServer() as server, pytest.raises(FlowRunTimeout) as caught:
        server.run(hanging, timeout=20)
    assert str(caught.value).startswith(
        "the flow run was stopped after 20 s; its state is Running, its tasks: hang-1 Running; "
    )
    assert caught.value.run.task_states["hang-1"].is_running()
    assert any("Starting" in line.message or "Submitted" in line.message for line in caught.value.run.logs)
    assert_group_is_gone(int(caught.value.run.logs[0].message.rpartition(" ")[2]))  # Submitted for execution: PID: 42


@pytest.mark.slow
@has_runs
def test_a_flow_that_cannot_be_loaded():
    """A flow that cannot be loaded fails together with its process, as in production."""
    from prefect import Flow
    from prefect.storage import Module

    flow = Flow("gone", storage=Module("no_such_module_anywhere"))
    with FakeServer() as server:
        run = server.run(flow)
    assert run.state.is_failed()
    assert "no_such_module_anywhere" in run.state.message
    assert run.exit_status == 1


@has_runs
@needs_kubernetes
def test_a_flow_of_a_module_that_only_this_process_has(tmp_path):
    """A module that only this process can import is pickled by value."""
    from importlib.util import module_from_spec, spec_from_file_location

    path = tmp_path / "somewhere.py"
    path.write_text(
        "from prefect import Flow, task\n\nHELPER = 41\n\n@task\ndef one_more():\n    assert HELPER + 1 == 42\n\n"
        "with Flow('somewhere') as flow:\n    one_more()\n"
    )
    spec = spec_from_file_location("only_in_this_process", path)
    module = sys.modules[spec.name] = module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
        with FakeServer() as server:
            run = server.run(module.flow)
    finally:
        del sys.modules[spec.name]
    assert run.state.is_successful(), run.state.message


@has_runs
def test_an_agent_that_cannot_start(flow):
    """An agent whose key is not valid raises AgentFailed in one line, without waiting."""
    with FakeCloud() as cloud:
        cloud.tenant.revoke(cloud.tenant.runner_key)
        with pytest.raises(AgentFailed, match=r"^the local agent cannot start: \w+; check the API's faults and "):
            cloud.run(flow)


@needs_prefect
def test_what_is_asked_wrongly():
    """Each invalid argument is rejected in one line."""
    with FakeCloud() as cloud:
        with pytest.raises(UsageError, match=r"^run\(\) takes a Prefect flow, not a str$"):
            cloud.run("flow", in_process=True)
        if VERSION < (0, 15):
            with pytest.raises(RouteUnavailable):
                cloud.run("flow")
            return
        from prefect import Flow
        from prefect.run_configs import DockerRun, LocalRun

        flow = Flow("empty")
        with pytest.raises(UsageError, match=r"^run\(\) supports the agents local, kubernetes; for docker use "):
            cloud.run(flow, agent="docker")
        with pytest.raises(UsageError, match=r"^'nomad' is not an agent: choose one of "):
            cloud.run(flow, agent="nomad")
        with pytest.raises(UsageError, match=r"^a DockerRun is for another agent: the local agent needs "):
            cloud.run(flow, run_config=DockerRun())
        with pytest.raises(UsageError, match=r"^job_template requires the kubernetes agent, not the local agent$"):
            cloud.run(flow, job_template={})
        for inputs, messages in (
            ({"agent_env": {"A": 424242}}, "agent_env: 'A' is an int, but a variable must be a string"),
            ({"run_config": {"A": 424242}}, "run_config: 'A' is an int, but a variable must be a string"),
            ({"parameters": ["424242"]}, "parameters must be a mapping of names to values, not a list"),
            ({"context": {"a": object()}}, "context: a value is not JSON"),
            (
                {"agent": "kubernetes", "in_process": True},
                "a run in_process does not use the kubernetes agent: omit one",
            ),
            ({"timeout": "424242"}, "timeout must be a number of seconds, not a str"),
            *[
                ({"timeout": wrong}, "timeout must be a number of seconds from 0 to ")
                for wrong in (0, float("nan"), 10**400)
            ],
            ({"cluster_secrets": {"a": "424242"}}, "cluster_secrets must be a ClusterSecrets, not a dict"),
            ({"agent": ["424242"]}, "agent must be one of local, docker, kubernetes, ecs, not a list"),
            ({"run_config": LocalRun(working_dir="nowhere")}, "the working_dir of the run config does not exist: "),
        ):
            with pytest.raises(UsageError) as caught:
                cloud.run(flow, **inputs)
            assert str(caught.value).startswith(messages)
            assert "424242" not in str(caught.value)


@has_runs
def test_an_agent_that_cannot_deploy(flow):
    """If the agent cannot deploy, the error has the reason without a value, and no process starts."""
    from prefect.run_configs import LocalRun

    with FakeCloud() as cloud:
        with pytest.raises(
            UsageError, match=r"^the local agent cannot deploy the flow run: env A: the value is an int, but"
        ):
            cloud.run(flow, run_config=LocalRun(env={"A": 424242}))
        cloud.faults.graphql_error("No.", on="get_runs_in_queue")
        with pytest.raises(
            AgentFailed, match=r"^the local agent cannot start: the API did not assign the flow run to it; check"
        ):
            cloud.run(flow)


@pytest.mark.slow
@has_runs
def test_labels_of_the_configuration(flow, monkeypatch):
    """The agent ignores the labels of the configuration, and takes its own runs."""
    monkeypatch.setenv("PREFECT__CLOUD__AGENT__LABELS", "['elsewhere']")
    with FakeServer() as server:
        run = server.run(flow, run_config={f"{S}TOKEN": "x"})
    assert run.state.is_successful()
    assert run.environment["PREFECT__CLOUD__AGENT__LABELS"] == "[]"


@has_runs
@needs_kubernetes
def test_a_job_template_beside_a_run_config(flow):
    """A job template is added to a copy of the run config, which keeps its other settings."""
    from prefect.run_configs import KubernetesRun, LocalRun

    template = {"spec": {"template": {"spec": {"containers": [{"name": "flow", "env": []}]}}}}
    more = {"agent": "kubernetes", "job_template": template}
    inputs = KubernetesRun(image="mine:1", env={f"{S}TOKEN": "x"})
    with FakeServer() as server:
        with pytest.raises(UsageError, match=r"^a LocalRun is for another agent: the kubernetes agent needs "):
            server.run(flow, run_config=LocalRun(), **more)
        with pytest.raises(UsageError, match=r"^the job template: spec\.template\.spec\.containers\[0\]\.env is a "):
            wrong = {"spec": {"template": {"spec": {"containers": [{"name": "flow", "env": {}}]}}}}
            server.run(flow, agent="kubernetes", job_template=wrong)
        run = server.run(flow, run_config=inputs, **more)
    assert run.environment["PREFECT__CONTEXT__IMAGE"] == "mine:1"
    assert inputs.job_template is None


@has_runs
@needs_kubernetes
def test_a_real_run_on_kubernetes(flow, cluster_secrets, tmp_path):
    """The command of the job gets exactly the pod's environment, nothing of the agent or the test."""
    os.environ[f"{S}TOKEN"] = "of the test's process"
    try:
        job = tmp_path / "job.yaml"
        job.write_text(
            "spec: {template: {spec: {containers: [{name: flow, env: [{name: PREFECT__CONTEXT__SECRETS__OTHER, "
            "valueFrom: {secretKeyRef: {name: github, key: token}}}]}]}}}\n"
        )
        with FakeServer() as server:
            with pytest.raises(CreateContainerConfigError, match='secret "github" not found'):
                server.run(flow, agent="kubernetes", job_template=job, cluster_secrets=cluster_secrets)
            cluster_secrets["github"] = {"token": "x"}
            more = {"agent": "kubernetes", "job_template": job, "cluster_secrets": cluster_secrets}
            run = server.run(flow, parameters={"name": "OTHER"}, run_config={"MINE": "y"}, **more)
            hidden = server.run(flow, **more)
    finally:
        del os.environ[f"{S}TOKEN"]
    assert run.state.is_successful()
    assert (run.exit_status, run.environment["MINE"]) == (0, "y")
    assert run.environment.origin(f"{S}OTHER") == "template"
    assert hidden.state.is_failed()


@pytest.mark.slow
@needs_proc
def test_after_ctrl_c_nothing_is_left():
    """After Ctrl-C, neither the process nor its children are left."""
    processes = Processes()
    code = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'import time; time.sleep(60)'])"
    process = processes.start([sys.executable, "-c", code], env=dict(os.environ), run_id="run")

    def interrupt(*_):
        raise KeyboardInterrupt

    former = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, 0.5)
    try:
        with pytest.raises(KeyboardInterrupt):
            processes.wait("run", 60)
    finally:
        signal.signal(signal.SIGALRM, former)
    assert_group_is_gone(process.pid)


def test_what_is_left_is_ended_at_the_end():
    """Leaving the API ends running processes; waiting for a run without a process returns."""
    processes = Processes()
    process = processes.start([sys.executable, "-c", "import time; time.sleep(60)"], env=dict(os.environ), run_id="run")
    assert processes.wait("another", 1) is None
    assert processes.environ("another") is None
    processes.close()
    assert process.returncode == -signal.SIGKILL


@has_runs
@needs_kubernetes  # once for each Prefect is enough, and so in the tests marked like this below and above
def test_workers_of_xdist_share_nothing(run_tests):
    """Each xdist worker has its own API and tenant."""
    pytest.importorskip("xdist")
    result = run_tests(
        """
import prefect
import pytest
from prefect.client import Secret
from pytest_flowsecrets import FakeCloud


@prefect.task
def read():
    return Secret("TOKEN").get()


@pytest.mark.parametrize("number", range(8))
def test_it(number, prefect_cloud):
    prefect_cloud.secrets.set("TOKEN", f"of {number}")
    with prefect.Flow("f") as flow:
        read()
    run = prefect_cloud.run(flow, in_process=number < 7)
    assert run.state.is_successful(), run.state
    assert len(prefect_cloud.world.store.linked("flow_run", "flow_id", prefect_cloud.world.store.get("flow_run", run.id)["flow_id"])) == 1
""",
        "-n",
        "4",
        plugins=["xdist"],
    )
    result.assert_outcomes(passed=8)
