"""A flow run leaves no processes: neither in its process group nor descendants that left it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from pytest_flowsecrets import FakeServer, FlowRunTimeout
from pytest_flowsecrets.backend.runs import process_tree as processes_module
from pytest_flowsecrets.backend.runs import supervisor
from pytest_flowsecrets.backend.runs.process_tree import Processes, SupervisedProcess
from pytest_flowsecrets.names import FLOW_RUN_ID
from tests.compat import VERSION
from tests.processes import assert_gone, assert_group_is_gone, needs_proc
from tests.routes.conftest import needs_kubernetes

has_runs = pytest.mark.skipif(VERSION is None or VERSION < (0, 15), reason="real flow runs are for Prefect 0.15.0 on")
SLEEP = "import time; time.sleep(60)"
AWAY = f"""
import os, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", {SLEEP!r}], start_new_session=True, env={{}})
open(sys.argv[1] + "_", "w").write(str(child.pid))
os.rename(sys.argv[1] + "_", sys.argv[1])
time.sleep(int(sys.argv[2]))
"""


def pids_in(path):
    """Wait for the process ids that a child writes to a file."""
    for _ in range(1500):
        if path.exists():
            return [int(number) for number in path.read_text().split()]
        time.sleep(0.02)
    raise AssertionError


def pid_in(path):
    return pids_in(path)[0]


@contextmanager
def process_with(pid):
    """Start a process with a certain id; the kernel counts on from ``ns_last_pid``."""
    for _ in range(50):
        try:
            Path("/proc/sys/kernel/ns_last_pid").write_text(str(pid - 1))
        except OSError as error:
            pytest.skip(f"numbers of processes cannot be chosen here: {error}")
        with subprocess.Popen([sys.executable, "-c", SLEEP], start_new_session=True) as process:
            try:
                if process.pid == pid:
                    yield process
                    return
            finally:
                process.kill()
    raise AssertionError(pid)


@needs_proc
@pytest.mark.parametrize("seconds", [0, 60])
def test_a_child_in_a_session_of_its_own_with_an_empty_environment(tmp_path, seconds):
    """A child that left its session and cleared its environment ends with the run, which succeeds or is killed."""
    processes, place = Processes(), tmp_path / "pid"
    process = processes.start(
        [sys.executable, "-c", AWAY, str(place), str(seconds)], env={**os.environ, FLOW_RUN_ID: "run"}
    )
    child = pid_in(place)
    if seconds:
        with pytest.raises(subprocess.TimeoutExpired):
            processes.wait("run", 0.1)
        assert process.returncode == -signal.SIGKILL
    else:
        assert processes.wait("run", 60) == 0
    assert_gone(child)


@pytest.mark.parametrize("status", [0, 3, -signal.SIGTERM, -signal.SIGKILL])
def test_a_supervised_process_exits_as_its_command_does(status):
    """The supervisor exits with the status or signal of the command."""
    code = f"import os, sys; os.kill(os.getpid(), {-status}) if {status} < 0 else sys.exit({status})"
    process = SupervisedProcess([sys.executable, "-c", code], env=dict(os.environ))
    assert process.wait(60) == status
    assert process.end() == process.end() == status


def test_orphans_are_adopted_on_linux_only(monkeypatch):
    """Other systems have no call with which a process adopts the orphans of its descendants."""
    monkeypatch.setattr(supervisor.sys, "platform", "darwin")
    assert supervisor.adopt_orphans() is False


def test_descendants_that_have_ended_are_collected():
    """Children that have ended, and those that still run, are gone afterwards, and none is left as a zombie."""
    code = f"""
import os, subprocess, sys
from pytest_flowsecrets.backend.runs.supervisor import end_descendants
ended = subprocess.Popen([sys.executable, "-c", ""])
os.waitid(os.P_PID, ended.pid, os.WEXITED | os.WNOWAIT)
subprocess.Popen([sys.executable, "-c", {SLEEP!r}])
end_descendants()
try:
    os.waitpid(-1, os.WNOHANG)
except ChildProcessError:
    print("no children")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)
    assert done.stdout == "no children\n", done.stderr


def test_a_supervised_process_is_terminated_through_its_supervisor():
    """SIGTERM reaches the command; SIGINT and SIGHUP, of a terminal that is closed, do not end the supervisor."""
    code = (
        "import signal, sys; signal.signal(signal.SIGTERM, lambda *_: sys.exit(7)); print(flush=True); signal.pause()"
    )
    process = SupervisedProcess([sys.executable, "-c", code], env=dict(os.environ), stdout=subprocess.PIPE)
    with process.stdout as out:
        assert out.readline() == b"\n"
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGHUP)
        process.terminate()
        assert process.wait(60) == 7
    assert process.end() == 7


def test_a_supervisor_that_does_not_answer_is_killed_with_its_group(monkeypatch):
    """A stopped supervisor cannot end its command, so the process group is killed."""
    monkeypatch.setattr(processes_module, "_END_SECONDS", 0.2)
    code = "print(flush=True); import time; time.sleep(60)"
    process = SupervisedProcess([sys.executable, "-c", code], env=dict(os.environ), stdout=subprocess.PIPE)
    with process.stdout as out:
        assert out.readline() == b"\n"
        process.send_signal(signal.SIGSTOP)
        assert process.end() == -signal.SIGKILL
    assert_group_is_gone(process.pid)


def test_a_start_that_fails_leaves_no_descriptor_open():
    """If the start fails, the error of Popen is raised and the pipe is closed."""
    before = os.listdir("/dev/fd")
    with pytest.raises(FileNotFoundError):
        SupervisedProcess(["true"], env={}, cwd="/nowhere")
    assert len(os.listdir("/dev/fd")) == len(before)


UNADOPTED = """
import os, sys
from pytest_flowsecrets.backend.runs import supervisor
supervisor.adopt_orphans = lambda: False
supervisor.main(os.pipe()[0], sys.argv[1:])
"""
LEAVES_AN_ORPHAN = f"""
import subprocess, sys
print(subprocess.Popen([sys.executable, "-c", {SLEEP!r}], stdout=subprocess.DEVNULL).pid)
"""


@needs_proc
def test_orphans_of_the_process_group_end_where_none_are_adopted():
    """Where the system lets no process adopt orphans, those of the process group are killed."""
    command = [sys.executable, "-c", UNADOPTED, sys.executable, "-c", LEAVES_AN_ORPHAN]
    result = subprocess.run(command, stdout=subprocess.PIPE, start_new_session=True, check=True)
    assert_gone(int(result.stdout))


@pytest.mark.parametrize("end", [os.close, lambda line: os.write(line, b"x")], ids=["closed", "written"])
def test_the_command_ends_with_its_pipe(end):
    """The supervisor kills the command when its pipe is closed or written to."""
    reading, writing = os.pipe()
    with subprocess.Popen([sys.executable, "-c", SLEEP]) as process:
        end(writing)
        supervisor.end_with_pipe(reading, process)
        assert process.wait(60) == -signal.SIGKILL
    os.close(reading)


@needs_proc
@needs_kubernetes  # once for each Prefect is enough
@has_runs
@pytest.mark.parametrize("by", ["agent", "process"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGKILL], ids=lambda number: number.name)
def test_a_killed_test_run_leaves_no_process(tmp_path, by, number):
    """A cancelled CI job sends SIGTERM or SIGHUP, then SIGKILL: flow run, agent and grandchildren end."""
    process = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", INTERRUPTED, str(tmp_path / "pid"), by],
        stdout=subprocess.PIPE,
        text=True,
    )
    with process.stdout as out:
        agent = int(out.readline())
        run, child = pids_in(tmp_path / "pid")
        process.send_signal(number)
        assert process.wait(60) == -number
    for pid in (run, child, agent):
        assert_gone(pid)


@needs_proc
@needs_kubernetes
@has_runs
def test_closing_an_agent_spares_whoever_has_an_old_number():
    """Closing an agent does not kill an unrelated process that has reused the id of a run."""
    import prefect

    @prefect.task
    def number():
        prefect.context.logger.info("number %d", os.getppid())  # of the supervisor, which led the group
        return 1

    with prefect.Flow("ends") as flow:
        number()
    with FakeServer() as server:
        agent = server.agent()
        run = server.run(flow, agent=agent)
        (line,) = [log.message for log in run.logs if log.message.startswith("number ")]
        with process_with(int(line.split()[1])) as other:
            agent.close()
            assert other.poll() is None


@needs_proc
@needs_kubernetes  # once for each Prefect is enough
@has_runs
@pytest.mark.parametrize("by", ["agent", "process"])
def test_a_task_that_starts_one(tmp_path, by):
    """A process that a task starts ends with the run, with an agent in this process or its own."""
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
import os, signal, subprocess, sys, time
signal.signal(signal.SIGHUP, signal.SIG_DFL)  # nohup ignores it
import prefect
from pytest_flowsecrets import FakeServer

place, by = sys.argv[1:]

@prefect.task
def hang():
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], start_new_session=True, env={})
    with open(place + "_", "w") as file:
        file.write(f"{os.getpid()} {child.pid}")
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
    """Ctrl-C ends the flow run, its agent and everything that they have started."""
    process = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", INTERRUPTED, str(tmp_path / "pid"), by],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    agent = int(process.stdout.readline())
    run, child = pids_in(tmp_path / "pid")
    process.send_signal(signal.SIGINT)
    _, messages = process.communicate(timeout=60)
    assert process.returncode != 0
    assert "KeyboardInterrupt" in messages
    for pid in (run, child, agent):
        assert_gone(pid)
