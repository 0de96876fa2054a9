"""Nothing of a flow run is left: neither its group, nor those who left it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

from pytest_flowsecrets import FakeServer, FlowRunTimeout
from pytest_flowsecrets.backend import remains
from pytest_flowsecrets.backend.processes import Processes
from tests.compat import VERSION
from tests.processes import assert_gone, needs_proc
from tests.routes.conftest import needs_kubernetes

has_runs = pytest.mark.skipif(VERSION is None or VERSION < (0, 15), reason="real flow runs are for Prefect 0.15.0 on")
SLEEP = "import time; time.sleep(60)"
AWAY = f"""
import os, subprocess, sys, time
more = {{"env": {{}}}} if sys.argv[2] == "by parent" else {{}}
child = subprocess.Popen([sys.executable, "-c", {SLEEP!r}], start_new_session=True, **more)
open(sys.argv[1] + "_", "w").write(str(child.pid))
os.rename(sys.argv[1] + "_", sys.argv[1])
time.sleep(60 if sys.argv[2] == "by parent" else 0)
"""


def pid_in(path):
    """What a child has written there."""
    for _ in range(500):
        if path.exists():
            return int(path.read_text())
        time.sleep(0.02)
    raise AssertionError


@needs_proc
@pytest.mark.parametrize("known", ["by parent", "by environment"])
def test_a_child_in_a_session_of_its_own(tmp_path, known):
    """Is found by its parent, which still runs, or by the environment that it has of the flow run."""
    processes, place = Processes(), tmp_path / "pid"
    env = {**os.environ, remains.FLOW_RUN_ID: f"run {tmp_path}"}
    process = processes.start([sys.executable, "-c", AWAY, str(place), known], env=env)
    child = pid_in(place)
    if known == "by environment":
        assert processes.wait(f"run {tmp_path}", 60) == 0
    else:
        with pytest.raises(subprocess.TimeoutExpired):
            processes.wait(f"run {tmp_path}", 0.1)
        assert process.returncode == -signal.SIGKILL
    assert_gone(child)


def test_without_proc(monkeypatch, tmp_path):
    """The group is ended all the same."""
    monkeypatch.setattr(remains, "_PROC", str(tmp_path / "none"))
    with subprocess.Popen([sys.executable, "-c", SLEEP], start_new_session=True) as process:
        remains.end(process.pid, "run")
        assert process.wait() == -signal.SIGKILL


def test_what_is_no_process_is_passed_over(monkeypatch, tmp_path):
    """And who cannot be looked at, too; nobody else is ended."""
    (tmp_path / "self").mkdir()
    (tmp_path / "17").mkdir()
    monkeypatch.setattr(remains, "_PROC", str(tmp_path))
    assert remains._found(1, "run") == set()


@needs_proc
@needs_kubernetes  # once for each Prefect is enough
@has_runs
@pytest.mark.parametrize("by", ["agent", "process"])
def test_a_task_that_starts_one(tmp_path, by):
    """Of a real flow run that is stopped, by an agent of this process or of its own."""
    import prefect

    place = str(tmp_path / "pid")

    @prefect.task
    def hang():
        child = subprocess.Popen([sys.executable, "-c", SLEEP], start_new_session=True)
        with open(place + "_", "w") as file:
            file.write(str(child.pid))
        os.rename(place + "_", place)
        time.sleep(60)

    with prefect.Flow("leaves") as flow:
        hang()
    with FakeServer() as server:
        agent = server.agent() if by == "process" else "local"
        with pytest.raises(FlowRunTimeout):
            server.run(flow, agent=agent, timeout=12)
        assert_gone(pid_in(tmp_path / "pid"))


INTERRUPTED = """
import os, sys, time
import prefect
from pytest_flowsecrets import FakeServer

place, by = sys.argv[1:]

@prefect.task
def hang():
    with open(place + "_", "w") as file:
        file.write(str(os.getpid()))
    os.rename(place + "_", place)
    time.sleep(60)

with prefect.Flow("hangs") as flow:
    hang()
with FakeServer() as server:
    agent = server.agent() if by == "process" else "local"
    print(agent.pid if by == "process" else 0, flush=True)
    server.run(flow, agent=agent, timeout=60)
"""


@needs_proc
@needs_kubernetes  # once for each Prefect is enough
@has_runs
@pytest.mark.parametrize("by", ["agent", "process"])
def test_ctrl_c(tmp_path, by):
    """Ends the flow run, its agent and all that they have started."""
    process = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", INTERRUPTED, str(tmp_path / "pid"), by],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    agent = int(process.stdout.readline())
    run = pid_in(tmp_path / "pid")
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=60)
    assert process.returncode != 0
    assert "KeyboardInterrupt" in told
    for pid in (run, agent):
        assert_gone(pid)
