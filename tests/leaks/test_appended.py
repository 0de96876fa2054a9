"""Files that a run writes without pytest: those of GitHub Actions, logs, cucumber's JSON and the pages of coverage."""

from __future__ import annotations

import json

import pytest

TOKEN = "k9TzWq4mLrV7"
HEAD = f"import pytest\nTOKEN = '{TOKEN}'\npytestmark = pytest.mark.secrets(TOKEN=TOKEN)\n"


def test_what_a_run_appends(run_tests, pytester, monkeypatch):
    """Text that a run appends to GitHub's files and to logs is masked and reported. Earlier text stays unchanged."""
    written = "GITHUB_STEP_SUMMARY", "GITHUB_ENV", "GITHUB_STATE", "GITHUB_PATH"
    for name in (*written, "GITHUB_OUTPUT"):
        (pytester.path / name.lower()).write_text(f"before {TOKEN}\n")
        monkeypatch.setenv(name, str(pytester.path / name.lower()))
    monkeypatch.setenv("GITHUB_OUTPUT", str(pytester.path / "never written"))
    (pytester.path / "appended.log").write_text(f"before {TOKEN}\n")
    source = (
        HEAD
        + """
import logging, os
def test_github():
    for name in ("GITHUB_STEP_SUMMARY", "GITHUB_ENV", "GITHUB_STATE", "GITHUB_PATH"):
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
            "TOKEN in file $GITHUB_PATH: 1",
            "TOKEN in file $GITHUB_STATE: 1",
            "TOKEN in file $GITHUB_STEP_SUMMARY: 1",
            "TOKEN in file appended.log: 1",
            "TOKEN in file own.log: 1",
        ]
    )
    for name in (*map(str.lower, written), "appended.log"):
        assert (pytester.path / name).read_text() == f"before {TOKEN}\nand [secret TOKEN]\n"
    assert (pytester.path / "own.log").read_text() == "and [secret TOKEN]\n"
    assert (pytester.path / "quiet.log").read_text() == "nothing\n"


@pytest.mark.parametrize(("option", "written"), [("cucumber_json_path", "[secret TOKEN]"), ("cov_report", TOKEN)])
def test_files_of_reporters(run_tests, pytester, option, written):
    """Cucumber's JSON is masked. The HTML pages of coverage are reported but not changed."""
    file = pytester.path / ("htmlcov/page.html" if option == "cov_report" else "cucumber.json")
    value = {"html": None} if option == "cov_report" else "cucumber.json"
    pytester.makeconftest(f"def pytest_configure(config): config.option.{option} = {value!r}\n")
    source = f"{HEAD}\nimport pathlib\ndef test_it():\n    file = pathlib.Path(r'{file}')\n"
    source += "    file.parent.mkdir(exist_ok=True)\n    file.write_text(f'[\"{TOKEN}\"]')\n"
    result = run_tests(source, "--flowsecrets-leaks=fail")
    assert result.ret == 1
    result.stdout.fnmatch_lines([f"TOKEN in file {file.name}: 1"])
    assert written in file.read_text()


def test_a_log_that_is_opened_again(run_tests, pytester):
    """A file that one handler appends to and another one truncates is masked. Earlier text stays unchanged."""
    for name in ("emptied.log", "appended.log"):
        (pytester.path / name).write_text(f"a long text from before the run, {TOKEN}\n")
    source = (
        HEAD
        + """
import logging
def test_it():
    for name, mode in [("emptied.log", "a"), ("emptied.log", "w"), ("appended.log", "a"), ("appended.log", "a")]:
        handler = logging.FileHandler(name, mode)
        handler.emit(logging.makeLogRecord({"msg": TOKEN}))
        handler.close()
"""
    )
    assert run_tests(source, "--flowsecrets-leaks=fail").ret == 1
    assert (pytester.path / "emptied.log").read_text() == "[secret TOKEN]\n"
    text = f"a long text from before the run, {TOKEN}\n" + "[secret TOKEN]\n" * 2
    assert (pytester.path / "appended.log").read_text() == text


def test_rotated_logs(run_tests, pytester):
    """Every file of a log rotation is masked, whatever its final name. Earlier text stays unchanged."""
    source = (
        HEAD
        + """
import logging, logging.handlers, os
def test_it():
    by_size = logging.handlers.RotatingFileHandler("size.log", maxBytes=60, backupCount=3)
    by_time = logging.handlers.TimedRotatingFileHandler("time.log", when="D")
    by_time.namer = lambda name: os.path.join(os.path.dirname(name), "yesterday")
    for number in range(9):
        by_size.emit(logging.makeLogRecord({"msg": f"{number} {TOKEN}"}))
        by_time.emit(logging.makeLogRecord({"msg": f"{number} {TOKEN}"}))
        if number == 3:
            by_time.doRollover()
    other = logging.handlers.RotatingFileHandler("other.log", maxBytes=60, backupCount=1)
    other.emit(logging.makeLogRecord({"msg": f"1 {TOKEN}"}))
    other.doRollover()
    os.mkdir("folder.log")
"""
    )
    (pytester.path / "other.log").write_text(f"before {TOKEN}\n")
    result = run_tests(source, "--flowsecrets-leaks=fail")
    result.assert_outcomes(passed=1)
    assert result.ret == 1
    result.stderr.fnmatch_lines(["TOKEN in file size.log.1: 1", "TOKEN in file yesterday: 1"])
    texts = {
        path.name: path.read_text() for path in pytester.path.glob("*") if path.name[-3:] != ".py" and path.is_file()
    }
    assert {"size.log", "size.log.1", "size.log.2", "time.log", "yesterday", "other.log.1"} <= texts.keys()
    assert texts.pop("other.log.1") == f"before {TOKEN}\n1 [secret TOKEN]\n"
    assert not [name for name, text in texts.items() if TOKEN in text]
    assert sum(text.count("[secret TOKEN]") for name, text in texts.items() if name in ("time.log", "yesterday")) == 9


@pytest.mark.parametrize("when", ["plugin", "import", "configure"])
def test_logs_that_are_opened_before_the_session(run_tests, pytester, when):
    """Logs that an early plugin, ``conftest.py`` or ``pytest_configure`` opens are masked."""
    (pytester.path / "own.log").write_text(f"before {TOKEN}\n")
    opening = "HANDLER = logging.FileHandler('own.log')\nEMPTIED = logging.FileHandler('emptied.log', 'w')\n"
    waiting = "WAITING = logging.FileHandler('waiting.log', delay=True)\n"
    if when == "configure":
        opening = "def pytest_configure():\n    global HANDLER, EMPTIED\n    " + opening.replace("\n", "\n    ") + "\n"
    code = f"import logging\n{opening}{waiting}"
    pytester.makepyfile(early=code) if when == "plugin" else pytester.makepyfile(conftest=code)
    pytester.syspathinsert()
    module = "early" if when == "plugin" else "conftest"
    source = f"{HEAD}import logging, {module}\ndef test_it():\n"
    source += f"    for handler in ({module}.HANDLER, {module}.EMPTIED):\n"
    source += "        handler.emit(logging.makeLogRecord({'msg': TOKEN}))\n"
    result = run_tests(source, "--flowsecrets-leaks=fail", *(["-p", "early"] if when == "plugin" else []))
    result.assert_outcomes(passed=1)
    assert result.ret == 1
    assert (pytester.path / "own.log").read_text() == f"before {TOKEN}\n[secret TOKEN]\n"
    assert (pytester.path / "emptied.log").read_text() == "[secret TOKEN]\n"


def test_what_xdist_workers_append(run_tests, pytester, monkeypatch):
    """Under xdist, the run fails and the report names each secret and file once, however many workers see the file."""
    pytest.importorskip("xdist")
    summary = pytester.path / "summary.md"
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    source = (
        HEAD
        + """
import logging, os
@pytest.mark.parametrize("number", range(4))
def test_it(number):
    with open(os.environ["GITHUB_STEP_SUMMARY"], "a") as file:
        file.write(f"and {TOKEN}\\n")
    handler = logging.FileHandler("own.log")
    handler.emit(logging.makeLogRecord({"msg": TOKEN}))
"""
    )
    arguments = ["-n2", "--flowsecrets-leaks=fail", "--flowsecrets-leak-report=leaks.json"]
    result = run_tests(source, *arguments, plugins=["xdist"])
    result.assert_outcomes(passed=4)
    assert result.ret == 1
    findings = json.loads((pytester.path / "leaks.json").read_text())
    assert sorted(finding["place"] for finding in findings) == ["file $GITHUB_STEP_SUMMARY", "file own.log"]
    assert TOKEN not in summary.read_text() + (pytester.path / "own.log").read_text()
