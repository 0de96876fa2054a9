"""Private home directories: written atomically, reused, and always removed."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import tempfile

import pytest

from pytest_flowsecrets.isolation.home import private_home, run_folder
from pytest_flowsecrets.isolation.home.private_home import HomePool, write_private


def test_a_write_that_fails_leaves_the_former_file(tmp_path, monkeypatch):
    """A failed write leaves the previous file and no temporary file."""
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
    """A home has mode 0700 and an empty ``.prefect``."""
    pool = HomePool()
    root = pool.acquire()
    assert stat.S_IMODE(root.stat().st_mode) == 0o700
    assert os.listdir(root) == [".prefect"]
    pool.close()
    assert not root.exists()


def test_a_home_is_used_again_when_it_is_clean_or_could_be_cleaned():
    """A home that is or can be cleaned is reused, because the same path gives the same configuration."""
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
    """A home that cannot be removed is not reused, and a warning names its path."""
    pool = HomePool()
    root = pool.acquire()
    (root / "left").mkdir()
    (root / "left" / "file").write_text("x")
    with monkeypatch.context() as patched:
        patched.setattr(run_folder.shutil, "rmtree", lambda *arguments, **options: None)
        with pytest.warns(UserWarning, match=f"private home {root} may hold secrets and cannot be removed"):
            pool.release(root)
    assert pool.acquire() != root
    pool.close()
    assert not root.exists()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork, to become another user")
def test_a_home_with_a_read_only_folder_is_removed(tmp_path, monkeypatch):
    """A user without root rights can remove a home with a read-only folder."""
    tmp_path.chmod(0o777)
    for folder in list(tmp_path.parents)[:-2]:
        folder.chmod(folder.stat().st_mode | 0o055)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    child = os.fork()
    if child == 0:
        status = 1
        try:
            if os.getuid() == 0:
                os.setgid(65534)
                os.setuid(65534)
            pool = HomePool()
            root = pool.acquire()
            (root / "deep" / "deeper").mkdir(parents=True)
            write_private(root / "deep" / "deeper" / "secret", "x")
            (root / "deep" / "deeper").chmod(0o500)
            (root / "deep").chmod(0o000)
            pool.release(root)
            assert pool.acquire() == root
            (root / ".prefect" / "read-only").mkdir(mode=0o500)
            pool.close()
            status = len(os.listdir(tmp_path))
        finally:
            os._exit(status)
    assert os.waitpid(child, 0)[1] == 0
    assert os.listdir(tmp_path) == []


def test_a_file_is_written_where_its_folder_was_deleted(tmp_path):
    """The deleted folder is created again, and folder and file are readable only by the owner."""
    target = tmp_path / "gone" / ".prefect" / "config.toml"
    write_private(target, "x")
    assert target.read_text() == "x"
    assert stat.S_IMODE(target.parent.stat().st_mode) == 0o700


def test_a_home_that_somebody_removed_is_not_used_again():
    """A home that a test has deleted is not reused."""
    pool = HomePool()
    root = pool.acquire()
    pool.release(root)
    (root / ".prefect").rmdir()
    assert pool.acquire() != root
    pool.close()


def test_a_home_that_was_removed_inside_is_made_again():
    """A home whose ``.prefect`` was deleted can be released, and is complete again."""
    pool = HomePool()
    root = pool.acquire()
    (root / ".prefect").rmdir()
    root.rmdir()
    pool.release(root)
    assert os.listdir(pool.acquire()) == [".prefect"]
    pool.close()


def test_in_a_fork_nothing_of_the_parents_is_touched(monkeypatch):
    """A fork does not touch the homes of its parent, and removes its own ones immediately."""
    pool = HomePool()
    of_parent = pool.acquire()
    monkeypatch.setattr(private_home.os, "getpid", lambda: -1)
    pool.release(of_parent)
    pool.close()
    assert of_parent.exists()
    own, nested = pool.acquire(), pool.acquire()
    assert own != of_parent
    pool.release(nested)
    assert own.exists()
    pool.release(own)
    assert not own.parent.exists()
    monkeypatch.undo()
    run_folder.remove_tree(of_parent.parent)


def test_a_fork_has_its_own_homes_and_leaves_the_parents(tmp_path):
    """A test that calls ``os.fork`` keeps its home, as with a LocalDaskExecutor of processes."""
    code = """
import os, sys
from pytest_flowsecrets.isolation.home.private_home import homes
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
