"""Children of the start method ``forkserver``, whose server keeps the environment of its own start."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from multiprocessing.forkserver import _forkserver

import pytest

from pytest_flowsecrets import isolated_prefect

NAME = "PREFECT__CONTEXT__SECRETS__t"


@pytest.fixture
def children():
    """Start children by the server. Each returns its home, the variable of the secret and the server's process id."""
    context = multiprocessing.get_context("forkserver")
    pools = []

    def child():
        pools.append(context.Pool(1))
        return query(pools[-1])

    child.pools = pools
    yield child
    for pool in pools:
        pool.terminate()
        pool.join()


def query(pool):
    return pool.apply(os.getenv, ["HOME"]), pool.apply(os.getenv, [NAME]), pool.apply(os.getppid)


def ended(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().split(")")[1].split()[0] == "Z"
    except FileNotFoundError:
        return True


@pytest.mark.slow
def test_children_have_the_environment_of_the_isolation(children):
    """Children see the isolation even if a server is older, and that server works again afterwards."""
    home, _, outer = children()
    with isolated_prefect() as secrets:
        secrets.setenv("t", "x")
        inside = children()
        assert (inside[0], inside[1]) == (os.environ["HOME"], "x")
        assert inside[0] != home
        with isolated_prefect():
            assert children()[1] is None
        assert children()[1:] == inside[1:]
    assert children() == (home, None, outer)


@pytest.mark.slow
def test_changes_count_for_the_next_child(children):
    """The next child sees a change, and running children continue."""
    with isolated_prefect() as secrets:
        secrets.setenv("t", "one")
        first = children()
        secrets.setenv("t", "two")
        second = children()
        assert (first[1], second[1]) == ("one", "two")
        assert query(children.pools[0]) == first
    assert query(children.pools[0]) == first
    assert query(children.pools[1]) == second


def test_a_server_ends_with_its_isolation_and_its_children(children):
    """A server ends after its isolation and its children, and nothing waits for it."""
    with isolated_prefect():
        _, _, server = children()
        assert _forkserver._forkserver_pid == server
    assert _forkserver._forkserver_pid != server
    assert not ended(server)
    children.pools[0].terminate()
    children.pools[0].join()
    until = time.monotonic() + 20
    while not ended(server) and time.monotonic() < until:
        time.sleep(0.01)
    assert ended(server)


def test_a_fork_leaves_the_isolation_of_its_parent(children):
    """A fork can exit the isolation of its parent, although the server is not its own child."""
    with isolated_prefect() as secrets:
        _, _, server = children()
        code = os.fork()
        if code == 0:  # pragma: no cover - in the child
            status = 1
            try:
                secrets.setenv("t", "changed")
                status = 0
            finally:
                os._exit(status)
        assert os.waitpid(code, 0)[1] == 0
        assert children()[2] == server


def test_a_server_that_somebody_ended():
    """The isolation exits without an error if the test has ended the server."""
    with isolated_prefect():
        child = multiprocessing.get_context("forkserver").Process(target=int)
        child.start()
        child.join()
        server = _forkserver._forkserver_pid
        os.kill(server, signal.SIGKILL)
        os.waitpid(server, 0)
    assert _forkserver._forkserver_pid != server


def test_no_session_pays_for_it():
    """The guard does not import multiprocessing."""
    code = (
        "import sys\nbefore = set(sys.modules)\nfrom pytest_flowsecrets.isolation.guards import ForkServers\n"
        "servers = ForkServers(); servers.enter(); servers.renew(); servers.exit()\n"
        "assert 'multiprocessing.forkserver' not in set(sys.modules) - before"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
