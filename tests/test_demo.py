"""``flowsecrets demo`` runs as a user runs it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
from packaging.version import Version

from pytest_flowsecrets.cli import main
from pytest_flowsecrets.commands import demo
from pytest_flowsecrets.errors import PrefectNotInstalled, UnsupportedPrefect, UsageError

VALUES = re.compile(r"from-the-marker|from-config-toml|in-a-thread|in-a-child|=mine\b")


def _has_prefect() -> bool:
    try:
        return bool(metadata.version("prefect"))
    except metadata.PackageNotFoundError:
        return False


needs_prefect = pytest.mark.skipif(not _has_prefect(), reason="the demo runs on the real Prefect: pip install prefect")


def flowsecrets(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", "import sys; from pytest_flowsecrets.cli import main; sys.exit(main())", *arguments],
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def in_a_hostile_shell(tmp_path_factory: pytest.TempPathFactory) -> tuple[subprocess.CompletedProcess[str], Path]:
    """Run ``flowsecrets demo`` in a shell with many settings; return the result and its temporary folder."""
    folder, home = tmp_path_factory.mktemp("temporary"), tmp_path_factory.mktemp("home")
    (home / ".prefect").mkdir()
    (home / ".prefect" / "config.toml").write_text("[context.secrets\nwith this `import prefect` fails\n")
    environ = {
        "HOME": str(home),
        "PREFECT__CONTEXT__SECRETS__GITHUB_ACCESS_TOKEN": "do-not-show",
        "PREFECT__CONTEXT__SECRETS__items": "with this, too",
        "PYTEST_ADDOPTS": "-k nothing",
        "PYTEST_PLUGINS": "nowhere",
        "PYTHONWARNINGS": "error",
    }
    (folder / "pytest.ini").write_text("[pytest]\naddopts = --nonsense\n")
    return flowsecrets("demo", **environ, TMPDIR=str(folder)), folder


@pytest.mark.slow
@needs_prefect
def test_the_demo_passes_and_tells_what_each_test_showed(tmp_path: Path) -> None:
    """The demo prints one line for each test and pytest's last line, no value, and has status 0."""
    result = flowsecrets("demo", "--keep", str(tmp_path / "kept"))
    claims = demo.claims_of(tmp_path / "kept")
    assert (result.returncode, result.stderr) == (0, "")
    assert len(claims) == 7
    for claim in claims.values():
        assert re.search(rf"^   (passed|skipped)  +{re.escape(claim)}", result.stdout, re.MULTILINE)
    assert re.search(r"pytest says: [67] passed", result.stdout)
    assert not VALUES.search(result.stdout)


@needs_prefect
def test_the_demo_passes_whatever_the_shell_carries(in_a_hostile_shell: Any) -> None:
    """Secrets, options, plugins, a broken config and ini files of the user do not affect the demo."""
    result, _ = in_a_hostile_shell
    assert (result.returncode, result.stderr) == (0, "")
    assert "do-not-show" not in result.stdout


@pytest.mark.slow
@needs_prefect
def test_the_demo_shows_the_warning_of_a_changed_value(in_a_hostile_shell: Any) -> None:
    """If Prefect converts 0000 to a number, the warning and its advice are shown."""
    result, _ = in_a_hostile_shell
    changes = Version(metadata.version("prefect")).release >= (0, 11)
    assert ("the test set str, Secret('PIN').get() returns int" in result.stdout) == changes


@pytest.mark.slow
@needs_prefect
def test_the_demo_leaves_nothing_behind(in_a_hostile_shell: Any) -> None:
    """The demo removes its temporary folder."""
    result, folder = in_a_hostile_shell
    assert str(folder) in result.stdout
    assert [file.name for file in folder.iterdir()] == ["pytest.ini"]


@pytest.mark.slow
@needs_prefect
def test_a_failing_demo_says_where_all_that_pytest_said_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A failure has status 1, and the log outlives the temporary folder."""
    project = tmp_path / "project"
    project.mkdir()
    (project / "test_report.py").write_text('def test_it():\n    """It works"""\n    assert 1 == 2\n')
    monkeypatch.setattr(demo, "PROJECT", project)
    for arguments in (["demo"], ["demo", "--keep", str(tmp_path / "kept")]):
        assert main(arguments) == 1
        printed = capsys.readouterr().out
        assert "   failed   It works" in printed
        log = Path(printed.split("The output of pytest is in ")[1].strip())
        assert "assert 1 == 2" in log.read_text("utf-8")
        assert log.stat().st_mode & 0o777 == 0o600 or log.parent == tmp_path / "kept"
        log.unlink()


@needs_prefect
def test_a_folder_that_exists_is_not_written_to(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An existing folder is a usage error with advice, and nothing is written."""
    with pytest.raises(UsageError):
        demo.demo(str(tmp_path))
    assert main(["demo", "--keep", str(tmp_path)]) == 2
    assert "give the name of a new folder" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_without_prefect_the_demo_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without Prefect the error is one line with advice, and status 2."""
    monkeypatch.setattr(demo, "installed_version", lambda: None)
    with pytest.raises(PrefectNotInstalled):
        demo.demo()
    assert main(["demo"]) == 2
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err.splitlines() == [output.err.strip()]
    assert "pip install 'pytest-flowsecrets[prefect]'" in output.err


def test_with_another_prefect_the_demo_says_which_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Prefect 2 and 3 are rejected before anything is written."""
    monkeypatch.setattr(demo, "installed_version", lambda: "2.10.1")
    with pytest.raises(UnsupportedPrefect):
        demo.demo()
