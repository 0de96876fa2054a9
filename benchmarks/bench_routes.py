"""How fast routes and flow runs are: a table in Markdown, each figure beside its peer in the same run.

    python benchmarks/bench_routes.py

Where the extra ``agents`` is not installed the agents of Kubernetes and ECS are left out.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
import warnings
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from xml.etree import ElementTree as ET

warnings.simplefilter("ignore")

from pytest_flowsecrets import FakeCloud, flow_environment, isolated_prefect  # noqa: E402

AGENTS = [
    name for name, needs in (("local", "prefect"), ("docker", "docker"), ("kubernetes", "kubernetes"), ("ecs", "boto3"))
    if find_spec(needs)
]  # fmt: skip
TEST = """
import pytest
from prefect.client import Secret

@pytest.mark.secrets(token="x")
@pytest.mark.secret_routes({routes})
def test_it():
    assert Secret("token").get() == "x"
"""


def timed(function, count):
    """The median of milliseconds that a call takes."""
    times = []
    for _ in range(count):
        begin = time.perf_counter()
        function()
        times.append((time.perf_counter() - begin) * 1000)
    return median(times)


def environments():
    """One environment by each real agent, warm."""
    with isolated_prefect():
        for agent in AGENTS:
            flow_environment(agent)
            yield f"`flow_environment({agent!r})`", timed(lambda agent=agent: flow_environment(agent), 30), "50 ms"


def routes():
    """A pytest run of a test over one route and over all of them."""
    with tempfile.TemporaryDirectory() as folder:
        times = {}
        for name, given in (("one", '"env"'), ("all", '"all"')):
            path = Path(folder) / f"test_{name}.py"
            path.write_text(TEST.format(routes=given), "utf-8")
            command = [sys.executable, "-m", "pytest", "-q", "-p", "pytest_flowsecrets.plugin", str(path)]
            env = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
            times[name] = timed(
                lambda command=command, env=env: subprocess.run(command, env=env, check=True, capture_output=True), 5
            )
        yield "pytest, a test over one route", times["one"], ""
        yield "pytest, the same over all seven", times["all"], f"{times['one'] + 600:.0f} ms: 0.6 s more"


def warm_routes():
    """The same in one session, after a first test over all of them; and what that one has to import."""
    with tempfile.TemporaryDirectory() as folder:
        path, report = Path(folder) / "test_warm.py", Path(folder) / "report.xml"
        tests = [("first", '"all"'), *[("one", '"env"'), ("all", '"all"')] * 5]
        text = "".join(
            TEST.format(routes=given).replace("test_it", f"test_{number}_{name}")
            for number, (name, given) in enumerate(tests)
        )
        path.write_text(text, "utf-8")
        command = [sys.executable, "-m", "pytest", "-q", "-p", "pytest_flowsecrets.plugin", f"--junit-xml={report}"]
        env = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
        subprocess.run([*command, str(path)], env=env, check=True, capture_output=True)
        times = {}
        for case in ET.parse(report).iter("testcase"):
            test = case.get("name").partition("[")[0]
            times[test] = times.get(test, 0) + float(case.get("time")) * 1000
        one, every = (median(time for test, time in times.items() if test.endswith(name)) for name in ("one", "all"))
        yield "in one session: the first test over all seven", times["test_0_first"], ""
        yield "a further test over one route", one, ""
        yield "a further test over all seven", every, f"{one + 600:.0f} ms: 0.6 s more"
    if "kubernetes" in AGENTS:
        code = "import prefect, time; t = time.perf_counter(); from kubernetes.client import BatchV1Api, CoreV1Api; "
        code += "print(time.perf_counter() - t)"
        done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=True, stdout=subprocess.PIPE)
        yield "what its agent imports of `kubernetes` after `import prefect`", float(done.stdout) * 1000, ""


def runs():
    """A real flow run, its bare process, and one in this process."""
    from prefect import Flow, task

    @task
    def nothing():
        pass

    with Flow("nothing") as flow:
        nothing()
    with FakeCloud() as cloud:
        cloud.run(flow)
        whole, bare = [], []
        for _ in range(5):
            run = cloud.run(flow)
            whole.append(run.timings["total"] * 1000)
            bare.append(execute(cloud, run))
        yield "a process of `prefect execute flow-run` alone", median(bare), ""
        yield "`run(flow)`, from registration to the last log", median(whole), f"{median(bare) * 1.4:.0f} ms: 1.4 times"
        begin = time.perf_counter()
        with cloud.agent() as agent:
            yield "`agent()`, until it has registered", (time.perf_counter() - begin) * 1000, ""
            whole = [cloud.run(flow, agent=agent).timings["total"] * 1000 for _ in range(5)]
            yield "`run(flow, agent=…)` by that agent", median(whole), f"{median(bare) * 1.4:.0f} ms: 1.4 times"
        cloud.run(flow, in_process=True)
        yield "`run(flow, in_process=True)`", timed(lambda: cloud.run(flow, in_process=True), 10), "150 ms"


def execute(cloud, run):
    """The same flow, run by hand in an environment like that of the agent: milliseconds."""
    client = cloud.client
    flow_id = cloud.world.store.get("flow_run", run.id)["flow_id"]
    run_id = client.create_flow_run(flow_id=flow_id)
    env = {**run.environment, "PREFECT__CONTEXT__FLOW_RUN_ID": run_id}
    command = [sys.executable, "-m", "prefect", "execute", "flow-run"]
    begin = time.perf_counter()
    subprocess.run(command, env=env, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return (time.perf_counter() - begin) * 1000


if __name__ == "__main__":
    print("| routes and flow runs | median | limit |\n| --- | ---: | ---: |")
    for measure in (environments, routes, warm_routes, runs):
        for name, value, limit in measure():
            print(f"| {name} | {value:,.1f} ms | {limit} |", flush=True)
