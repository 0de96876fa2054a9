"""The temporary folder of a run is always removed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

from pytest_flowsecrets.isolation.home import run_folder
from pytest_flowsecrets.isolation.home.run_folder import RunFolder, remove_abandoned, remove_tree
from tests.processes import assert_gone, needs_proc

WAITS = """
import signal, time
signal.signal(signal.SIGHUP, signal.SIG_DFL)  # nohup ignores it
from pytest_flowsecrets import isolated_prefect

def wait():
    while True:
        time.sleep(0.01)

with isolated_prefect(secrets={"a.b": "hunter2"}):
    print(flush=True)
    wait()
"""
SIGNALS = pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP], ids=lambda number: number.name)


def start(tmp_path, code=WAITS):
    """Start a program whose temporary files are below ``tmp_path``, and wait until it is isolated."""
    process = subprocess.Popen(
        [sys.executable, "-c", code], env={**os.environ, "TMPDIR": str(tmp_path)}, stdout=subprocess.PIPE
    )
    assert process.stdout.readline() == b"\n"
    return process


def end(process, number):
    with process.stdout:
        process.send_signal(number)
        try:
            assert process.wait(60) == -number
        finally:
            process.kill()


@pytest.mark.slow
@needs_proc
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL], ids=lambda number: number.name)
def test_workers_of_xdist_end_with_their_controller(tmp_path, number):
    """Workers remove their folders, whatever signal ends the controller."""
    pytest.importorskip("xdist")
    temporary, place = tmp_path / "temporary", tmp_path / "place"
    temporary.mkdir()
    place.mkdir()
    (tmp_path / "test_it.py").write_text(
        "import os, time, pytest\n"
        "@pytest.mark.parametrize('number', range(2))\n"
        "@pytest.mark.secrets({'a.b': 'hunter2'})\n"
        "def test_it(number, local_secrets):\n"
        f"    open(os.path.join({str(place)!r}, str(os.getpid())), 'w').close()\n"
        "    time.sleep(60)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-m", "pytest", "-q", "-n", "2", "-p", "no:cacheprovider", "-c", "/dev/null", str(tmp_path)],
        env={**os.environ, "TMPDIR": str(temporary)},
        stdout=subprocess.PIPE,
    )
    for _ in range(3000):
        if len(os.listdir(place)) == 2:
            break
        time.sleep(0.02)
    end(process, number)
    for worker in os.listdir(place):
        assert_gone(int(worker))
    assert [name for name in os.listdir(temporary) if name.startswith("flowsecrets-")] == []


@pytest.mark.slow
@SIGNALS
def test_a_terminated_run_leaves_no_folder(tmp_path, number):
    """SIGTERM and SIGHUP remove the private home, with the secrets in it, and still end the process."""
    process = start(tmp_path)
    assert len(os.listdir(tmp_path)) == 1
    end(process, number)
    assert os.listdir(tmp_path) == []


@pytest.mark.slow
def test_the_next_run_removes_what_a_killed_one_left(tmp_path):
    """The next run removes the folder of a killed run, and keeps that of a running one."""
    running, killed = start(tmp_path), start(tmp_path)
    end(killed, signal.SIGKILL)
    assert len(os.listdir(tmp_path)) == 2
    end(start(tmp_path), signal.SIGTERM)
    assert len(os.listdir(tmp_path)) == 1
    end(running, signal.SIGTERM)
    assert os.listdir(tmp_path) == []


@pytest.mark.slow
def test_a_fork_that_is_terminated_spares_the_folder_of_its_parent(tmp_path):
    """SIGTERM ends a fork, even a new one, without removing the parent's folder."""
    code = WAITS.replace(
        "    print(",
        """    import os
    for _ in range(50):
        child = os.fork()
        if not child:
            wait()
        os.kill(child, signal.SIGTERM)
        assert os.waitpid(child, 0)[1] == signal.SIGTERM
    print(""",
    )
    process = start(tmp_path, code)
    assert len(os.listdir(tmp_path)) == 1
    end(process, signal.SIGTERM)


@pytest.mark.slow
def test_a_program_that_handles_the_signal_keeps_its_handler(tmp_path):
    """A program's own handler stays in place, and an ignored signal stays ignored."""
    code = (
        """
import signal
signal.signal(signal.SIGTERM, signal.SIG_IGN)
"""
        + WAITS
    )
    process = start(tmp_path, code)
    process.send_signal(signal.SIGTERM)
    end(process, signal.SIGHUP)
    assert os.listdir(tmp_path) == []


@pytest.mark.slow
def test_the_first_isolation_may_begin_in_a_thread(tmp_path):
    """An isolation in another thread than the main one sets no handlers, and the next run removes its folder."""
    code = """
import threading
from pytest_flowsecrets import isolated_prefect

def isolated():
    with isolated_prefect(secrets={"TOKEN": "x"}):
        pass

thread = threading.Thread(target=isolated)
thread.start()
thread.join()
"""
    subprocess.run([sys.executable, "-c", code], env={**os.environ, "TMPDIR": str(tmp_path)}, check=True)
    assert os.listdir(tmp_path) == []


@pytest.mark.slow
def test_a_process_ends_with_its_parent(tmp_path):
    """An xdist worker whose controller was killed ends and removes its folder."""
    code = """
import os, sys, time
parent, line = os.getpid(), os.pipe()
if os.fork():
    os.read(line[0], 1)
    os._exit(0)
from pytest_flowsecrets import isolated_prefect
from pytest_flowsecrets.isolation.home.run_folder import end_with_parent
with isolated_prefect(secrets={"a.b": "hunter2"}):
    end_with_parent(0.01)
    os.write(line[1], b"x")
    while True:
        time.sleep(60)
"""
    environ = {**os.environ, "TMPDIR": str(tmp_path)}
    result = subprocess.run([sys.executable, "-c", code], env=environ, stdout=subprocess.PIPE, check=True)
    assert result.stdout == b""  # read to its end, so both processes have ended
    assert os.listdir(tmp_path) == []


def test_folders_that_are_not_abandoned_are_spared(tmp_path, monkeypatch):
    """A folder without a lock, one in use, one of another user, and a file with such a name are kept."""
    monkeypatch.setattr(run_folder.tempfile, "tempdir", str(tmp_path))
    used = RunFolder()
    assert used.path() == used.path()
    (tmp_path / "flowsecrets-unlocked").mkdir()
    (tmp_path / "flowsecrets-file").write_text("")
    before = sorted(os.listdir(tmp_path))
    remove_abandoned(tmp_path)
    assert sorted(os.listdir(tmp_path)) == before
    (tmp_path / "flowsecrets-unlocked" / ".lock").write_text("")
    with monkeypatch.context() as patched:
        patched.setattr(run_folder.os, "getuid", lambda: -1)
        remove_abandoned(tmp_path)
        assert sorted(os.listdir(tmp_path)) == before
    remove_abandoned(tmp_path)
    assert not (tmp_path / "flowsecrets-unlocked").exists()
    used.close()
    used.close()
    assert os.listdir(tmp_path) == ["flowsecrets-file"]


REMOVES = """
import os, sys
from pathlib import Path
from pytest_flowsecrets.isolation.home.run_folder import remove_tree

if os.getuid() == 0:
    os.setuid(65534)  # nobody: root may delete anything
root = Path(sys.argv[1], "root")
folder = root / "a" / "b"
folder.mkdir(parents=True)
(folder / "secret").write_text("hunter2")
(root / "link").symlink_to(sys.argv[1])
for path, mode in ((folder, 0o500), (root / "a", 0), (root, 0o500)):
    path.chmod(mode)
assert remove_tree(root)
assert not root.exists()
"""


def test_folders_that_are_read_only_are_removed(tmp_path):
    """A user without root rights can remove folders that are not writable or not readable."""
    place = tmp_path / "place"
    place.mkdir(mode=0o777)
    place.chmod(0o777)
    for folder in tmp_path.parents:
        if folder.stat().st_uid == os.getuid() and "pytest" in str(folder):
            folder.chmod(0o755)
    tmp_path.chmod(0o755)
    subprocess.run([sys.executable, "-c", REMOVES, str(place)], check=True)
    assert place.stat().st_mode & 0o777 == 0o777  # the target of a link does not change


def test_removing_a_folder_that_is_gone():
    """The removal of a missing folder succeeds."""
    assert remove_tree(run_folder.Path("/nowhere/at/all"))
