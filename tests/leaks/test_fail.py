"""Mode ``fail``: no leak ends with exit status 0 or without a message, and no result is hidden."""

from __future__ import annotations

import json

import pytest

TOKEN = "k9TzWq4mLrV7"
HEAD = f"import pytest\nTOKEN = '{TOKEN[:8]}' + '{TOKEN[8:]}'\npytestmark = pytest.mark.secrets(TOKEN=TOKEN)\n"
LATE = {
    "suite property": "def test_it(record_testsuite_property): record_testsuite_property('a', TOKEN)\n",
    "cache": "def test_it(request): request.config.cache.set('our/token', TOKEN)\n",
    "exit": "def test_it(capsys):\n    with capsys.disabled():\n        print(TOKEN)\n    pytest.exit('done', returncode=0)\n",
    "exit reason": "def test_it(): pytest.exit(TOKEN, returncode=0)\n",
    "allure": "import pathlib\ndef test_it():\n    pathlib.Path('allure').mkdir()\n"
    "    pathlib.Path('allure', 'a-attachment.txt').write_text(TOKEN)\n",
}
HOOKS = {
    "unconfigure": "def pytest_unconfigure(): print(TOKEN)\n",
    "sessionfinish": "def pytest_sessionfinish(): print(TOKEN)\n",
    "last sessionfinish": "@pytest.hookimpl(trylast=True)\ndef pytest_sessionfinish():\n"
    "    print(TOKEN)\n    pytest.exit('done', returncode=0)\n",
    "summary": "@pytest.hookimpl(trylast=True)\ndef pytest_terminal_summary(terminalreporter): terminalreporter.line(TOKEN)\n",
    "subtests' report": "@pytest.hookimpl(tryfirst=True)\ndef pytest_runtest_logreport(report): report.more = TOKEN\n",
}


@pytest.mark.parametrize("how", [*LATE, *HOOKS])
def test_late_leaks(run_tests, pytester, how):
    """A leak after the last test sets the exit status to 1. The terminal names the secret and never shows the value."""
    if how in HOOKS:
        pytester.makeconftest(HEAD.replace("pytestmark", "MARK") + HOOKS[how])
    pytester.makepyfile(allure_double=ALLURE_DOUBLE)
    pytester.syspathinsert()
    source = HEAD + LATE.get(how, "def test_it(): pass\n")
    plugins = ["allure_double"] if how == "allure" else []
    result = run_tests(source, "--flowsecrets-leaks=fail", "--junit-xml=junit.xml", plugins=plugins)
    assert result.ret == 1
    shown = result.stdout.str() + result.stderr.str()
    assert "TOKEN in " in shown
    assert "The run fails: flowsecrets_leaks is fail." in shown
    assert TOKEN not in shown


@pytest.mark.parametrize("hook", ["runtest_makereport(item)", "make_collect_report(collector)"])
def test_hooks_that_raise(run_tests, pytester, monkeypatch, hook):
    """The error of another plugin's hook ends the run as an internal error, whose message is masked."""
    monkeypatch.setenv("PREFECT__CONTEXT__SECRETS__TOKEN", TOKEN)
    pytester.makeconftest(
        f"{HEAD.replace('pytestmark', 'MARK')}def pytest_{hook}: raise RuntimeError(f'no {{TOKEN}}')\n"
    )
    result = run_tests(HEAD + "def test_it(): pass\n", "--flowsecrets-leaks=fail")
    assert result.ret == pytest.ExitCode.INTERNAL_ERROR
    shown = result.stdout.str() + result.stderr.str()
    assert "RuntimeError: no [secret TOKEN]" in shown
    assert TOKEN not in shown


ALLURE_DOUBLE = (
    "def pytest_addoption(parser): parser.addoption('--alluredir', dest='allure_report_dir', default='allure')\n"
)


@pytest.mark.parametrize("plugins", [["xdist"], []], ids=["xdist", "no terminal"])
def test_late_leaks_elsewhere(run_tests, pytester, plugins):
    """A late leak in an xdist worker, or without a terminal reporter, fails the run and is reported."""
    if plugins:
        pytest.importorskip("xdist")
        in_worker = "def pytest_sessionfinish(session):\n    if hasattr(session.config, 'workerinput'): print(TOKEN)\n"
        pytester.makeconftest(HEAD.replace("pytestmark", "MARK") + in_worker)
    arguments = ["-n1"] if plugins else ["-p", "no:terminal", "--junit-xml=junit.xml"]
    source = HEAD + ("def test_it(): pass\n" if plugins else LATE["suite property"])
    result = run_tests(source, "--flowsecrets-leaks=fail", *arguments, plugins=plugins)
    assert result.ret == 1
    assert "TOKEN in " in result.stdout.str() + result.stderr.str()
    assert TOKEN not in result.stdout.str() + result.stderr.str()


def test_leaking_ids(run_tests):
    """A test with a secret in its id runs and keeps its own result. Deselected, it does not fail the run."""
    source = (
        HEAD
        + """
@pytest.mark.parametrize("value", [TOKEN])
def test_fails(value): assert not "the body runs"
@pytest.mark.parametrize("value", [TOKEN])
def test_passes(value): pass
def test_other(): pass
"""
    )
    result = run_tests(source, "--flowsecrets-leaks=fail")
    result.assert_outcomes(failed=2, passed=1)
    result.stdout.fnmatch_lines(["*assert not 'the body runs'", "*Leaked secrets*", "secret TOKEN, raw, in id:"])
    result = run_tests(None, "--flowsecrets-leaks=fail", "-k", "other")
    result.assert_outcomes(passed=1, deselected=2)
    assert result.ret == 0


def test_a_report_that_cannot_be_written(run_tests, pytester):
    """If the report file cannot be written, the run fails with one line that says so."""
    (pytester.path / "folder.sarif").mkdir()
    result = run_tests(
        HEAD + "def test_it(): pass\n", "--flowsecrets-leaks=fail", "--flowsecrets-leak-report=folder.sarif"
    )
    assert result.ret == 1
    result.stderr.fnmatch_lines(["--flowsecrets-leak-report: cannot write the report: *"])


def test_output_of_an_interrupted_test(run_tests, pytester):
    """After an interrupt or an internal error, captured output that pytest writes itself is masked."""
    result = run_tests(HEAD + "def test_it():\n    print('it is', TOKEN)\n    raise KeyboardInterrupt\n")
    assert result.ret == 2
    assert TOKEN not in result.stdout.str() + result.stderr.str()
    pytester.makeconftest(HEAD.replace("pytestmark", "MARK") + "def pytest_runtest_logstart():\n    1 / 0\n")
    result = run_tests(None)
    assert result.ret == 3
    assert TOKEN not in result.stdout.str() + result.stderr.str()


def test_report_file_contains_no_value(run_tests, pytester):
    """The report file masks the id of a test whose secret is registered while the test runs."""
    source = f"""
import pytest
@pytest.mark.parametrize("value", ["{TOKEN}"])
def test_it(value, secret_leaks):
    secret_leaks.add(value, "LATE")
    print(value)
    assert secret_leaks.found
    assert value not in repr(secret_leaks)
"""
    run_tests(source, "--flowsecrets-leak-report=leaks.sarif").assert_outcomes(passed=1)
    written = (pytester.path / "leaks.sarif").read_text() + (pytester.path / "leaks.json").read_text()
    assert TOKEN not in written
    assert {finding["place"] for finding in json.loads((pytester.path / "leaks.json").read_text())} >= {"id"}
