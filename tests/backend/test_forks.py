"""Forks while a thread of the parent's server imports modules or holds a lock."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

FORKS = """
import os, signal, sys, threading, time
from pytest_flowsecrets import FakeCloud
from tests.backend.graphql import as_user

reached = threading.Event()

class Slow:
    def find_spec(self, name, path=None, target=None):
        if name == sys.argv[1]:
            reached.set()
            time.sleep(0.5)

sys.meta_path.insert(0, Slow())
with FakeCloud() as cloud:
    first = threading.Thread(target=as_user, args=(cloud, "{ secret_names }"))
    first.start()
    assert reached.wait(30)
    child = os.fork()
    if not child:
        signal.alarm(30)
        with FakeCloud({"A": 1}) as own:
            print(as_user(own, "{ secret_names }"), flush=True)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    first.join()
    print(as_user(cloud, "{ secret_names }"))
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    "module",
    [
        "graphql",
        "graphql.language.lexer",
        "pytest_flowsecrets.backend.graphql.execution",
        "pytest_flowsecrets.backend.resolvers.flows",
    ],
)
def test_a_fork_during_the_first_request(module):
    """The APIs of both parent and child answer after a fork during the first request."""
    command = [sys.executable, "-W", "ignore", "-c", FORKS, module]
    root = Path(__file__).parent.parent.parent
    process = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=120, check=False)
    assert (process.returncode, process.stdout) == (0, "{'secret_names': ['A']}\n{'secret_names': []}\n"), (
        process.stderr
    )


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_fork_while_documents_are_looked_up():
    """A child can use the cache although a thread of its parent held the lock."""
    pytest.importorskip("graphql")
    from pytest_flowsecrets.backend.graphql import execution

    with execution.documents.lock:
        child = os.fork()
        if not child:
            os._exit(0 if execution.documents.lock.acquire(blocking=False) else 1)
    assert os.waitpid(child, 0)[1] == 0
