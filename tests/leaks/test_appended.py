"""Files that a run writes past pytest: GitHub's, own log files, cucumber's JSON, the pages of coverage."""

from __future__ import annotations

import pytest

TOKEN = "k9TzWq4mLrV7"
HEAD = f"import pytest\nTOKEN = '{TOKEN}'\npytestmark = pytest.mark.secrets(TOKEN=TOKEN)\n"


def test_what_a_run_appends(run_tests, pytester, monkeypatch):
    """Masked and reported; what stood there before the run stays."""
    for name in ("GITHUB_STEP_SUMMARY", "GITHUB_OUTPUT", "GITHUB_ENV"):
        (pytester.path / name.lower()).write_text(f"before {TOKEN}\n")
        monkeypatch.setenv(name, str(pytester.path / name.lower()))
    monkeypatch.setenv("GITHUB_OUTPUT", str(pytester.path / "never written"))
    (pytester.path / "appended.log").write_text(f"before {TOKEN}\n")
    source = (
        HEAD
        + """
import logging, os
def test_github():
    for name in ("GITHUB_STEP_SUMMARY", "GITHUB_ENV"):
        with open(os.environ[name], "a") as file:
            file.write(f"and {TOKEN}\\n")
def test_handlers():
    for name, mode in (("own.log", "w"), ("appended.log", "a"), ("quiet.log", "w")):
        logger = logging.getLogger(name)
        logger.addHandler(logging.FileHandler(name, mode))
        logger.error("nothing" if name == "quiet.log" else f"and {TOKEN}")
"""
    )
    result = run_tests(source, "--flowsecrets-leaks=fail", "-p", "no:logging")
    assert result.ret == 1
    result.stderr.fnmatch_lines(
        [
            "TOKEN in file $GITHUB_ENV: 1",
            "TOKEN in file $GITHUB_STEP_SUMMARY: 1",
            "TOKEN in file appended.log: 1",
            "TOKEN in file own.log: 1",
        ]
    )
    for name in ("github_step_summary", "github_env", "appended.log"):
        assert (pytester.path / name).read_text() == f"before {TOKEN}\nand [secret TOKEN]\n"
    assert (pytester.path / "own.log").read_text() == "and [secret TOKEN]\n"
    assert (pytester.path / "quiet.log").read_text() == "nothing\n"


@pytest.mark.parametrize(("option", "written"), [("cucumber_json_path", "[secret TOKEN]"), ("cov_report", TOKEN)])
def test_files_of_reporters(run_tests, pytester, option, written):
    """Cucumber's JSON is masked; the pages of coverage are left, and reported."""
    file = pytester.path / ("htmlcov/page.html" if option == "cov_report" else "cucumber.json")
    value = {"html": None} if option == "cov_report" else "cucumber.json"
    pytester.makeconftest(f"def pytest_configure(config): config.option.{option} = {value!r}\n")
    source = f"{HEAD}\nimport pathlib\ndef test_it():\n    file = pathlib.Path(r'{file}')\n"
    source += "    file.parent.mkdir(exist_ok=True)\n    file.write_text(f'[\"{TOKEN}\"]')\n"
    result = run_tests(source, "--flowsecrets-leaks=fail")
    assert result.ret == 1
    result.stdout.fnmatch_lines([f"TOKEN in file {file.name}: 1"])
    assert written in file.read_text()
