"""Private home directories: written whole or not at all, used again, never left behind."""

from __future__ import annotations

import os
import stat
import subprocess
import sys

import pytest

from pytest_flowsecrets.isolation import home
from pytest_flowsecrets.isolation.home import HomePool, write_private


def test_a_write_that_fails_leaves_the_former_file(tmp_path, monkeypatch):
    """And no temporary one."""
    target = tmp_path / "config.toml"
    write_private(target, "former")

    def fails(*arguments):
        raise OSError("disk full")

    monkeypatch.setattr(os, "replace", fails)
    with pytest.raises(OSError, match="disk full"):
        write_private(target, "new")
    assert target.read_text() == "former"
    assert os.listdir(tmp_path) == ["config.toml"]


def test_a_home_is_private_and_empty(monkeypatch):
    """Mode 0700, with an empty ``.prefect``."""
    pool = HomePool()
    root = pool.acquire()
    assert stat.S_IMODE(root.stat().st_mode) == 0o700
    assert os.listdir(root) == [".prefect"]
    pool.close()
    assert not root.exists()


def test_a_home_is_used_again_when_it_is_clean_or_could_be_cleaned():
    """The same path, so that what Prefect loads is the same."""
    pool = HomePool()
    root = pool.acquire()
    assert pool.acquire() != root
    pool.release(root)
    assert pool.acquire() == root
    write_private(root / ".prefect" / "config.toml", "x")
    (root / "left").mkdir()
    pool.release(root)
    assert pool.acquire() == root
    assert os.listdir(root) == [".prefect"]
    assert os.listdir(root / ".prefect") == []
    pool.close()


def test_a_home_that_cannot_be_cleaned_is_not_used_again(monkeypatch):
    """Something in it is being written."""
    pool = HomePool()
    root = pool.acquire()
    (root / "left").mkdir()
    with monkeypatch.context() as patched:
        patched.setattr(home.shutil, "rmtree", lambda *arguments, **options: None)
        pool.release(root)
    assert pool.acquire() != root
    pool.close()
    assert not root.exists()


def test_a_home_that_somebody_removed_is_not_used_again():
    """A test may delete what it likes."""
    pool = HomePool()
    root = pool.acquire()
    pool.release(root)
    (root / ".prefect").rmdir()
    assert pool.acquire() != root
    pool.close()


def test_a_home_that_was_removed_inside_is_made_again():
    """Releasing must not fail."""
    pool = HomePool()
    root = pool.acquire()
    (root / ".prefect").rmdir()
    root.rmdir()
    pool.release(root)
    assert os.listdir(pool.acquire()) == [".prefect"]
    pool.close()


def test_in_a_fork_nothing_of_the_parents_is_touched(monkeypatch):
    """And its own homes are removed at once: it may end without a chance to clean up."""
    pool = HomePool()
    of_parent = pool.acquire()
    monkeypatch.setattr(home.os, "getpid", lambda: -1)
    pool.release(of_parent)
    pool.close()
    assert of_parent.exists()
    own = pool.acquire()
    assert own != of_parent
    pool.release(own)
    assert not own.exists()
    monkeypatch.undo()
    of_parent.joinpath(".prefect").rmdir()
    of_parent.rmdir()


def test_a_fork_has_its_own_homes_and_leaves_the_parents(tmp_path):
    """``os.fork`` in a test (a LocalDaskExecutor of processes forks too)."""
    code = """
import os, sys
from pytest_flowsecrets.isolation.home import homes
root = homes.acquire()
child = os.fork()
if child == 0:
    homes.release(root)
    own = homes.acquire()
    assert own != root
    homes.release(own)
    assert not own.exists()
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
assert os.listdir(root) == [".prefect"], os.listdir(root)
assert len(os.listdir(os.environ["TMPDIR"])) == 1, os.listdir(os.environ["TMPDIR"])
"""
    subprocess.run([sys.executable, "-c", code], check=True, env={**os.environ, "TMPDIR": str(tmp_path)})
    assert os.listdir(tmp_path) == []
