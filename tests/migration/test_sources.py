"""Python files are found below folders, and replaced in one step."""

from __future__ import annotations

import os
import stat

import pytest

from pytest_flowsecrets.errors import UsageError
from pytest_flowsecrets.migration.sources import replace_file, source_files


def test_files_in_order(tmp_path):
    """Files are listed in the order of their names, without other types, hidden folders and installed packages."""
    names = ("b.py", "a/z.py", "a/x.txt", ".git/x.py", "lib/site-packages/x.py", "a/__pycache__/x.py", "a/x.ipynb")
    for name in (*names, "build/x.py", "env/pyvenv.cfg", "env/x.py"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")
    files = source_files([str(tmp_path)])
    lists = (files.python, files.notebooks, files.skipped)
    relative = [[os.path.relpath(path, tmp_path) for path in paths] for paths in lists]
    assert relative == [["b.py", "a/z.py"], ["a/x.ipynb"], ["build", "env"]]
    assert source_files([str(tmp_path / "a" / "x.txt")]).python == [str(tmp_path / "a" / "x.txt")]
    assert source_files([str(tmp_path / "build")]).python == [str(tmp_path / "build" / "x.py")]
    with pytest.raises(UsageError, match="no such file or folder"):
        source_files([str(tmp_path / "nowhere")])


def test_a_replaced_file_keeps_its_permissions_and_links(tmp_path):
    """The file behind a link is replaced, with its permissions, and no other file is left."""
    path, link = tmp_path / "real.py", tmp_path / "link.py"
    path.write_bytes(b"old")
    path.chmod(0o751)
    link.symlink_to(path)
    replace_file(str(link), b"new")
    assert (path.read_bytes(), stat.S_IMODE(path.stat().st_mode)) == (b"new", 0o751)
    assert link.is_symlink()
    assert sorted(os.listdir(tmp_path)) == ["link.py", "real.py"]


def test_files_that_are_not_replaced(tmp_path):
    """A read-only file and the target of a link outside of the sources stay, and the reason is returned."""
    inside, outside = tmp_path / "src" / "flow.py", tmp_path / "other.py"
    inside.parent.mkdir()
    for path in (inside, outside):
        path.write_bytes(b"old")
    link = inside.parent / "link.py"
    link.symlink_to(outside)
    sources = [str(inside.parent)]
    assert replace_file(str(link), b"new", sources) == "it is a link to a file outside of the sources"
    inside.chmod(0o444)
    assert replace_file(str(inside), b"new", sources) == "it is read-only"
    assert (inside.read_bytes(), outside.read_bytes()) == (b"old", b"old")
    assert replace_file(str(link), b"new", [*sources, str(outside)]) == ""
    assert outside.read_bytes() == b"new"


def test_a_failed_replacement_leaves_the_file(tmp_path):
    """If the new contents cannot be written, the file is as before, and the reason is returned without a value."""
    path = tmp_path / "flow.py"
    path.write_bytes(b"old")
    (tmp_path / f"flow.py.flowsecrets-{os.getpid()}").mkdir()  # in the place of the temporary file
    assert replace_file(str(path), b"new") == "Is a directory"
    assert path.read_bytes() == b"old"
    assert replace_file(str(tmp_path / "nowhere.py"), b"new") == "No such file or directory"
