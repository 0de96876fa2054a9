"""The package works without what Windows does not have; the tests take it away from a process on this system."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.compat import needs_prefect

pytestmark = pytest.mark.skipif(os.name == "nt", reason="takes away what Windows does not have")

# A lock of `msvcrt` is of a range of bytes, like that of `lockf`.
TAKE_AWAY = """
import fcntl, os, signal, socket, subprocess, sys, tempfile, types  # those that look for Windows come first

def locking(descriptor, mode, length, lockf=fcntl.lockf, exclusive=fcntl.LOCK_EX, at_once=fcntl.LOCK_NB):
    lockf(descriptor, exclusive | (at_once if mode == msvcrt.LK_NBLCK else 0), length)

sys.modules["msvcrt"] = msvcrt = types.ModuleType("msvcrt")
msvcrt.LK_LOCK, msvcrt.LK_NBLCK, msvcrt.locking = 1, 2, locking
sys.modules["fcntl"] = sys.modules["pwd"] = None
for module, names in ((os, "register_at_fork getuid O_NOFOLLOW"), (signal, "pthread_sigmask pthread_kill SIGHUP")):
    for name in names.split():
        delattr(module, name)
"""
FOLDERS = """
import tempfile
from pathlib import Path
from pytest_flowsecrets.isolation.home.run_folder import RunFolder, remove_abandoned

temporary = Path(tempfile.gettempdir())
folder = RunFolder()
path = folder.path()
other = os.fork()
if not other:
    remove_abandoned(temporary)  # another process: it has no lock
    os._exit(0)
os.waitpid(other, 0)
print((path / ".lock").exists())
(temporary / "flowsecrets-dead").mkdir()
(temporary / "flowsecrets-dead" / ".lock").touch()
remove_abandoned(temporary)
folder.close()
print(sorted(each.name for each in temporary.iterdir()))
"""
FLOW = """
from pytest_flowsecrets import isolated_prefect
from pytest_flowsecrets.isolation.prefect1.paths import UserHomes

with isolated_prefect(secrets={"TOKEN": "x"}):
    from prefect.client import Secret
    print(Secret("TOKEN").get())
print("somebody" in UserHomes())
"""
INTERRUPTED = """
import time
from pytest_flowsecrets.operating_system import has_parent, terminate_main_thread
print(has_parent(os.getppid()), has_parent(os.getpid()))
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell makes background processes ignore it
try:
    terminate_main_thread(0)
    for _ in range(3000):  # a lock or a longer sleep would not be interrupted
        time.sleep(0.01)
except KeyboardInterrupt:
    print("interrupted")
"""
REFUSED = """
from pytest_flowsecrets import UsageError
from pytest_flowsecrets.backend.prefect_server import PrefectServer
from pytest_flowsecrets.backend.runs.agent_process import AgentProcess
from pytest_flowsecrets.backend.runs.process_tree import Processes

for call in (PrefectServer().start, lambda: AgentProcess({}, [], []), lambda: Processes().start([], env={})):
    try:
        call()
    except UsageError as error:
        print(error)
"""


def run(code, tmp_path, first=""):
    """Run a program, after the first lines without what Windows lacks, and return the lines that it prints."""
    (tmp_path / "temporary").mkdir()
    environ = {**os.environ, "TMPDIR": str(tmp_path / "temporary")}
    done = subprocess.run(
        [sys.executable, "-c", first + TAKE_AWAY + code],
        env=environ,
        stdout=subprocess.PIPE,
        encoding="utf-8",
        check=True,
        timeout=60,
    )
    return done.stdout.splitlines()


def test_folders_are_locked_and_removed(tmp_path):
    """A folder in use is left to its process, and that of a dead process is removed."""
    assert run(FOLDERS, tmp_path) == ["True", "[]"]


@needs_prefect
def test_a_secret_reaches_the_real_prefect(tmp_path):
    """An isolation works, and leaves no file."""
    assert run(FLOW, tmp_path, first="import prefect") == ["x", "False"]
    assert list((tmp_path / "temporary").glob("flowsecrets-*")) == []


def test_the_end_of_the_parent(tmp_path):
    """The main thread is interrupted, and a parent that has another id has ended."""
    assert run(INTERRUPTED, tmp_path) == ["True False", "interrupted"]


def test_what_needs_inherited_descriptors_is_refused(tmp_path):
    """What starts a supervised process says in one line what to use instead."""
    assert run(REFUSED, tmp_path) == [
        "the real server of Prefect works on Linux and macOS only: use the fake API",
        "an agent process works on Linux and macOS only: run the flow with in_process=True",
        "a process for each flow run works on Linux and macOS only: pass in_process=True",
    ]
