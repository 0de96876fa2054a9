"""The modes, the registered secrets, the marker, the fixture and the report file."""

from __future__ import annotations

import json

import pytest

from pytest_flowsecrets.leaks import findings
from pytest_flowsecrets.leaks.mask.finding_log import Record
from pytest_flowsecrets.leaks.mask.redactor import Masked

TOKEN = "ghp_abcDEF0123456789xyzQRS"
LEAKING = f"""
import pytest
pytestmark = pytest.mark.secrets(TOKEN="{TOKEN}")
def test_it(): print("the token is", "{TOKEN}")
def test_quiet(): pass
"""


@pytest.fixture(autouse=True)
def no_other_secrets(monkeypatch):
    monkeypatch.setenv("PREFECT__CONTEXT__SECRETS__", "")
    monkeypatch.delenv("PREFECT__CONTEXT__SECRETS__")


def test_mask(run_tests):
    """The default mode masks values and reports nothing."""
    result = run_tests(LEAKING, "-rP")
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(
        ["*leaks=mask (default)*", "flowsecrets: 1 secret known", "the token is [[]secret TOKEN[]]"]
    )
    result.stdout.no_fnmatch_line("*leaked secrets*")
    result.stdout.no_fnmatch_line(f"*{TOKEN}*")


def test_warn(run_tests):
    """Mode ``warn`` masks values and counts leaks at the end."""
    result = run_tests(LEAKING, "--flowsecrets-leaks=warn")
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(["*leaked secrets*", "TOKEN in captured stdout: 1"])


def test_fail(run_tests):
    """Mode ``fail`` fails the leaking test with a fix, and passes the other one."""
    result = run_tests(LEAKING, ini="[pytest]\nflowsecrets_leaks = fail")
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(
        [
            "1 secret leak:",
            "secret TOKEN, raw, in captured stdout:",
            "    the token is [[]secret TOKEN[]]",
            "    fix: do not print*",
        ]
    )
    result.stdout.no_fnmatch_line(f"*{TOKEN}*")


def test_fail_outside_of_tests(run_tests, monkeypatch):
    """A leak outside of tests fails the run."""
    monkeypatch.setenv("PREFECT__CONTEXT__SECRETS__TOKEN", TOKEN)
    source = f"print('{TOKEN}')\ndef test_it(): pass\n"
    result = run_tests(source, "--flowsecrets-leaks=fail", "-s")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["TOKEN in live output: 1"])
    assert result.ret == 1


def test_fail_in_setup_and_on_xfail(run_tests):
    """A leak in the setup fails the test, whose body runs. A leak in an expected failure fails the test."""
    source = f"""
import pytest
pytestmark = pytest.mark.secrets(TOKEN="{TOKEN}")
@pytest.fixture
def prints(): print("{TOKEN}")
@pytest.fixture
def prints_and_skips(prints): pytest.skip("no reason")
@pytest.fixture
def prints_later(): yield print("{TOKEN}")
def test_setup(prints): assert not "the body runs"
def test_skipped(prints_and_skips): pass
def test_teardown(prints_later): pass
@pytest.mark.xfail(reason="{TOKEN}")
def test_expected(): assert 0
"""
    result = run_tests(source, "--flowsecrets-leaks=fail")
    result.assert_outcomes(failed=3, errors=1)
    result.stdout.fnmatch_lines(["*assert not 'the body runs'", "*Leaked secrets*", "*in captured stdout:"])


def test_off(run_tests):
    """Mode ``off`` masks nothing, and the fixture fails with a message."""
    result = run_tests(LEAKING + "def test_fixture(secret_leaks): pass\n", "--flowsecrets-leaks=off", "-rP")
    result.assert_outcomes(passed=2, errors=1)
    result.stdout.fnmatch_lines(["*secret_leaks is not available with*", f"the token is {TOKEN}"])


def test_a_wrong_mode(run_tests):
    """An unknown mode is a usage error."""
    run_tests(LEAKING, "--flowsecrets-leaks=some").stderr.fnmatch_lines(
        ["ERROR: --flowsecrets-leaks: 'some' is not one of*"]
    )


def test_allowed_findings():
    """The record keeps allowed findings with their test, and apart from those that reports show."""
    record = Record()
    record.allowed["test"] = [("TOKEN", ("stdout",))]
    for place in ("captured stdout", "failure"):
        record.add([Masked(("TOKEN",), "raw", 0)], "[secret TOKEN]", place, "test", "test")
    assert [(leak.place, leak.allowed) for leak in record.findings_of("test")] == [
        ("captured stdout", True),
        ("failure", False),
    ]
    assert [leak.place for leak in record.findings] == ["failure"]


def test_a_value_that_is_not_allowed_beside_one_that_is():
    """Both are found, although their first name, form and place are the same."""
    record = Record()
    record.allowed["test"] = [("OLD", ())]
    for names in (("TOKEN", "OLD"), ("TOKEN",)):
        record.add([Masked(names, "raw", 0)], "[secret TOKEN]", "captured stdout", "test", "test")
    assert [leak.allowed for leak in record.findings_of("test")] == [True, False]
    assert [leak.names for leak in record.findings] == [("TOKEN",)]


def test_allowed(run_tests, pytester):
    """``allow_leaks`` allows a leak by name, by place, or in general. The value is still masked."""
    source = f"""
import pytest, sys
pytestmark = pytest.mark.secrets(TOKEN="{TOKEN}")
@pytest.mark.allow_leaks("TOKEN")
def test_name(): print("{TOKEN}")
@pytest.mark.allow_leaks("TOKEN", where="stdout")
def test_place(): print("{TOKEN}")
@pytest.mark.allow_leaks("TOKEN", where=["stderr", "log"])
def test_other_place(): print("{TOKEN}")
@pytest.mark.allow_leaks("OTHER")
def test_other_name(): print("{TOKEN}")
@pytest.mark.allow_leaks
def test_all(): print("{TOKEN}")
@pytest.mark.allow_leaks("TOKEN", where="stdout")
def test_found(secret_leaks):
    print("{TOKEN}")
    assert [(leak.name, leak.place, leak.allowed) for leak in secret_leaks.found] == [("TOKEN", "captured stdout", True)]
    secret_leaks.assert_none()
@pytest.mark.allow_leaks("TOKEN", where="stdout")
def test_both(secret_leaks):
    print("{TOKEN}")
    assert [leak.allowed for leak in secret_leaks.search("{TOKEN}")] == [False]
    assert sorted(leak.allowed for leak in secret_leaks.found) == [False, True]
"""
    result = run_tests(source, "--flowsecrets-leaks=fail", "--flowsecrets-leak-report=a.sarif", "--strict-markers")
    result.assert_outcomes(passed=4, failed=3)
    report = json.loads((pytester.path / "a.json").read_text())
    assert sorted(each["place"] for each in report) == ["captured stdout", "captured stdout", "searched"]
    result.stdout.no_fnmatch_line(f"*{TOKEN}*")


@pytest.mark.parametrize("arguments", [[], ["-p", "xdist", "-n1"], ["-p", "no:terminal"]], ids=" ".join)
def test_report(run_tests, pytester, arguments):
    """The report option writes SARIF and JSON without a value, also under xdist and without a terminal reporter."""
    if "xdist" in arguments:
        pytest.importorskip("xdist")
    run_tests(LEAKING, "--flowsecrets-leak-report=out/leaks.sarif", "--flowsecrets-leaks=warn", *arguments)
    sarif = json.loads((pytester.path / "out" / "leaks.sarif").read_text())
    (finding,) = json.loads((pytester.path / "out" / "leaks.json").read_text())
    assert finding["name"] == "TOKEN"
    assert finding["form"] == "raw"
    assert finding["place"] == "captured stdout"
    assert finding["test"].endswith("::test_it")
    assert finding["excerpt"] == "the token is [secret TOKEN]"
    (result,) = sarif["runs"][0]["results"]
    assert sarif["version"] == "2.1.0"
    assert result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"].endswith(".py")


def test_report_includes_files(run_tests, pytester):
    """The report includes leaks in files that are searched after the session. SARIF gives the test file as a URI."""
    source = f"""
import pytest
@pytest.mark.secrets(TOKEN="{TOKEN}")
def test_it(record_testsuite_property): record_testsuite_property("a", "{TOKEN}"); print("{TOKEN}")
"""
    run_tests(source, "--junit-xml=junit.xml", "--flowsecrets-leak-report=leaks.sarif")
    written = json.loads((pytester.path / "leaks.json").read_text())
    assert {finding["place"] for finding in written} == {"captured stdout", "file junit.xml"}
    odd = findings.Leak("A", "raw", "failure", "my tests/test_[a].py::test_it", "", ("A",))
    (result,) = findings.as_sarif([odd])["runs"][0]["results"]
    uri = result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
    assert uri == "my%20tests/test_%5Ba%5D.py"


def test_files_of_the_user_are_not_changed(run_tests, pytester):
    """Other files in the folder of pytest's cache are not changed."""
    source = f"""
import pathlib, pytest
@pytest.mark.secrets(TOKEN="{TOKEN}")
def test_it(request):
    pathlib.Path("mine.txt").write_text("{TOKEN}")
    request.config.cache.set("our/token", "{TOKEN}")
"""
    run_tests(source, "-o", "cache_dir=.")
    assert (pytester.path / "mine.txt").read_text() == TOKEN
    assert (pytester.path / "v" / "our" / "token").read_text() == '"[secret TOKEN]"'


def test_report_named_json(run_tests, pytester):
    """With a ``.json`` path, the SARIF file is next to it."""
    run_tests(LEAKING, "--flowsecrets-leak-report=leaks.json")
    assert json.loads((pytester.path / "leaks.json").read_text())[0]["name"] == "TOKEN"
    assert json.loads((pytester.path / "leaks.sarif").read_text())["version"] == "2.1.0"


def test_variable_that_a_test_sets(run_tests):
    """A secret in a variable is masked, although the variable no longer exists when the test is reported."""
    source = f"""
def test_it(monkeypatch):
    monkeypatch.setenv("PREFECT__CONTEXT__SECRETS__TOKEN", "{TOKEN}")
    print("{TOKEN}")
    assert "{TOKEN}" == 1
"""
    result = run_tests(source)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["E*assert '[[]secret TOKEN[]]' == 1", "[[]secret TOKEN[]]"])
    result.stdout.no_fnmatch_line(f"*{TOKEN}*")


def test_variables_of_the_ini_file(run_tests, monkeypatch):
    """Variables that ``flowsecrets_secret_env_vars`` names, also by globs, are secrets, except short and common values."""
    for name, value in {
        "CI_TOKEN": "tok-aaaaaa-111",
        "DEPLOY_KEY": "key-bbbbbb-222",
        "OTHER": "other-cccc-333",
        "B_TOKEN": "abc",
        "C_TOKEN": "localhost",
    }.items():
        monkeypatch.setenv(name, value)
    source = "import os\ndef test_it():\n    for name in ('CI_TOKEN', 'DEPLOY_KEY', 'OTHER', 'B_TOKEN', 'C_TOKEN'): print(os.environ[name])\n"
    result = run_tests(source, "-rP", ini="[pytest]\nflowsecrets_secret_env_vars = *_TOKEN DEPLOY_KEY\n")
    result.stdout.fnmatch_lines(
        [
            "flowsecrets: 2 secrets known",
            "[[]secret CI_TOKEN[]]",
            "[[]secret DEPLOY_KEY[]]",
            "other-cccc-333",
            "abc",
            "localhost",
        ]
    )


def test_variables_of_prefect(run_tests, monkeypatch):
    """Prefect's variables are secrets, even if tests cannot see them."""
    monkeypatch.setenv("PREFECT__CONTEXT__SECRETS__TOKEN", TOKEN)
    result = run_tests(f"def test_it(): print('{TOKEN}')", "-rP")
    result.stdout.fnmatch_lines(["[[]secret TOKEN[]]"])


def test_secrets_of_fixtures(run_tests):
    """All secrets that a test sets are masked, including parts of structured values."""
    source = """
def test_it(local_secrets, prefect_home, secret_leaks):
    local_secrets["ONE"] = {"user": {"password": "part-of-a-dict"}}
    local_secrets.setenv("TWO", "by-a-variable")
    local_secrets.write_config("[context.secrets]\\nTHREE = 'by-a-config-file'\\n[cloud]\\nauth_token = 'by-the-cloud-section'")
    secret_leaks.add("by-hand")
    secret_leaks.add("xy", name="SHORT")
    print("part-of-a-dict by-a-variable by-a-config-file by-the-cloud-section by-hand xy")
    assert {finding.name for finding in secret_leaks.found} == {"ONE", "TWO", "THREE", "cloud auth_token", "added 1", "SHORT"}
"""
    result = run_tests(source, "-rP")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(
        [
            "[[]secret ONE[]] [[]secret TWO[]] [[]secret THREE[]] [[]secret cloud auth_token[]] [[]secret added 1[]] [[]secret SHORT[]]"
        ]
    )


def test_the_fixture(run_tests):
    """The fixture finds leaks in captured output, logs and watched files, shows no value, and keeps output captured."""
    source = f"""
import logging, pytest, sys
pytestmark = pytest.mark.secrets(TOKEN="{TOKEN}")
def test_none(secret_leaks):
    print("nothing")
    secret_leaks.assert_none()
    assert secret_leaks.found == []
    assert "{TOKEN}" not in repr(secret_leaks)
def test_captured(secret_leaks):
    print("{TOKEN}"); print("{TOKEN}", file=sys.stderr); logging.warning("{TOKEN}")
    assert [finding.place for finding in secret_leaks.found] == ["captured stdout", "captured stderr", "captured log"]
    with pytest.raises(AssertionError, match="^3 secret leaks:\\nsecret TOKEN, raw, in captured stdout"):
        secret_leaks.assert_none()
def test_watched(secret_leaks, tmp_path):
    secret_leaks.watch(tmp_path)
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "file.bin").write_bytes(b"\\xff" + b"{TOKEN}".hex().encode())
    (leak,) = secret_leaks.found
    assert (leak.name, leak.form, leak.place) == ("TOKEN", "hex", "file file.bin")
    assert str(leak).startswith("TOKEN (hex) in file file.bin: ")
def test_still_captured(secret_leaks, capfd):
    print("{TOKEN}")
    secret_leaks.found
    assert capfd.readouterr().out == "{TOKEN}\\n"
def test_output_stays(secret_leaks):
    print("before")
    secret_leaks.assert_none()
    print("after")
    assert 0
def test_strings_stay(local_secrets):
    assert type(local_secrets["TOKEN"]) is str
    assert local_secrets["TOKEN"] == "{TOKEN}"
    assert "{TOKEN}" not in repr(local_secrets)
"""
    result = run_tests(source)
    result.assert_outcomes(passed=5, failed=1)
    result.stdout.fnmatch_lines(["before", "after"])


def test_search_in_objects(run_tests):
    """``search`` finds secrets in data, exceptions and objects, with their places."""
    source = f"""
import pytest
pytestmark = pytest.mark.secrets(TOKEN="{TOKEN}")
class State:
    def __init__(self): self.message, self.number, self.again = "failed with {TOKEN}", 1, self
def test_it(secret_leaks):
    assert [leak.place for leak in secret_leaks.search({{"env": [b"{TOKEN}"], "{TOKEN}": 1}})] == ["searched env", "searched"]
    assert [leak.place for leak in secret_leaks.search(State())] == ["searched State message"]
    error = RuntimeError("outer"); error.__cause__ = ValueError("{TOKEN}")
    (leak,) = secret_leaks.search(error, "result")
    assert leak.place == "result"
    assert secret_leaks.search(State, "class") == secret_leaks.search(None) == []
"""
    run_tests(source).assert_outcomes(passed=1)


def test_reports_that_raise(run_tests, pytester):
    """Objects of other plugins in reports that raise errors or refuse copies do not fail the run."""
    pytester.makeconftest(
        """
import pytest
class Repr:
    def toterminal(self, tw): raise RuntimeError("no")
    def __str__(self): raise RuntimeError("no")
class Frozen:
    __slots__ = ("text",)
    def toterminal(self, tw): tw.line(self.text)
    def __str__(self): return self.text
@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    report = outcome.get_result()
    if report.when == "call":
        report.extra_data = {1: [item.own, {"deep": (item.own,)}]} if hasattr(item, "own") else None
        if item.name == "test_raises": report.longrepr = Repr()
        if item.name == "test_slots":
            report.longrepr = Frozen(); report.longrepr.text = TOKEN
"""
        f"\nTOKEN = '{TOKEN}'\n"
    )
    source = f"""
import pytest
pytestmark = pytest.mark.secrets(TOKEN="{TOKEN}")
def test_raises(): assert 0
def test_slots(request): assert 0
def test_data(request):
    request.node.own = "{TOKEN}"
"""
    result = run_tests(source, "-rA")
    result.assert_outcomes(passed=1, failed=2)
    result.stdout.fnmatch_lines(["*[[]withheld: it could not be masked[]]*", "[[]secret TOKEN[]]"])
    result.stdout.no_fnmatch_line(f"*{TOKEN}*")


def test_names_can_still_be_selected(run_tests):
    """A masked test is selected by its printed id, by ``-k`` with the value, and by ``--lf``, also under xdist."""
    source = f"""
import pytest
@pytest.mark.parametrize("x", ["{TOKEN}", "{TOKEN}", "other"])
@pytest.mark.secrets(TOKEN="{TOKEN}")
def test_it(x): assert x == "other"
"""
    first = run_tests(source, "-v", "-p", "cacheprovider")
    first.assert_outcomes(passed=1, failed=2)
    ids = [line.split(" FAILED")[0] for line in first.outlines if " FAILED" in line]
    assert len(set(ids)) == 2
    assert all("[secret TOKEN]" in name for name in ids)
    run_tests(None, ids[0]).assert_outcomes(failed=1)
    run_tests(None, "--lf").assert_outcomes(failed=2)
    run_tests(None, "-k", TOKEN).assert_outcomes(failed=2, deselected=1)
    pytest.importorskip("xdist")
    run_tests(None, "-p", "xdist", "-n2").assert_outcomes(passed=1, failed=2)


def test_imports_without_secrets(run_tests):
    """A run without secrets does not import the modules of search and masking."""
    source = "import sys\ndef test_it():\n    assert [name for name in sys.modules if name.startswith(('pytest_flowsecrets.leaks.search', 'pytest_flowsecrets.leaks.mask.redactor', 'pytest_flowsecrets.leaks.mask.reports', 'pytest_flowsecrets.leaks.mask.masked_copies', 'pytest_flowsecrets.leaks.secret_leaks'))] == []\n"
    run_tests(source).assert_outcomes(passed=1)


def test_only_what_reporters_write_is_rewritten(run_tests, pytester):
    """Sources and other files of the user that contain the value are not changed."""
    (pytester.path / "notes.txt").write_text(TOKEN)
    run_tests(LEAKING, "--junit-xml=junit.xml", "-o", "log_file=", "-p", "cacheprovider").assert_outcomes(passed=2)
    assert (pytester.path / "notes.txt").read_text() == TOKEN
    assert [TOKEN in path.read_text() for path in pytester.path.glob("test_*.py")] == [True]


def test_nothing_captured_and_no_log(run_tests):
    """With ``-s`` and without pytest's logging, the fixture finds leaks in live output and files."""
    result = run_tests(
        f"""
def test_it(secret_leaks, tmp_path):
    secret_leaks.add("{TOKEN}")
    secret_leaks.assert_none()
    print("{TOKEN}")
    (tmp_path / "x").write_text("{TOKEN}")
    secret_leaks.watch(tmp_path)
    assert sorted(leak.place for leak in secret_leaks.found) == ["file x", "live output"]
""",
        "-s",
        "-p",
        "no:logging",
        "--flowsecrets-leaks=warn",
    )
    result.assert_outcomes(passed=1)
    result.stdout.no_fnmatch_line(f"*{TOKEN}*")


def test_fail_with_another_failure(run_tests):
    """A test that fails for another reason has a section with its leaks."""
    source = f'{LEAKING}\ndef test_both():\n    print("{TOKEN}")\n    assert 0\n'
    result = run_tests(source, "--flowsecrets-leaks=fail", "-k", "both")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*assert 0", "*Leaked secrets*", "secret TOKEN, raw, in captured stdout:"])


def test_a_reason_to_stop(run_tests):
    """A secret in the reason for stopping the session is masked."""
    source = f'{LEAKING}\ndef test_stop(request): request.session.shouldstop = "for {TOKEN}"\ndef test_more(): pass\n'
    result = run_tests(source, "-k", "stop or more")
    result.stdout.fnmatch_lines(["*for [[]secret TOKEN[]] !*"])
    result.stdout.no_fnmatch_line(f"*{TOKEN}*")


def test_an_example_of_hypothesis_is_not_kept(run_tests, pytester):
    """An example with a secret in Hypothesis' database is deleted, because its encoding cannot be masked."""
    folder = pytester.path / ".hypothesis" / "examples" / "one"
    folder.mkdir(parents=True)
    written = f'import pathlib\ndef test_write(): pathlib.Path(r"{folder}", "x").write_bytes(b"{TOKEN}")\n'
    run_tests(f"{LEAKING}\n{written}").assert_outcomes(passed=3)
    assert not (folder / "x").exists()
