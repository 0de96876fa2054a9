"""Ids that contain secrets: a test has its real name, reports show a masked one, and either name selects the test."""

from __future__ import annotations

import pytest

TOKEN = "k9TzWq4mLrV7"
SOURCE = f"""
import os, pytest
TOKEN = "{TOKEN[:8]}" + "{TOKEN[8:]}"

@pytest.fixture
def own(request):
    before = request.node.name, os.environ["PYTEST_CURRENT_TEST"]
    yield before
    assert TOKEN in request.node.nodeid
    assert TOKEN in os.environ["PYTEST_CURRENT_TEST"]

@pytest.mark.secrets(TOKEN=TOKEN)
@pytest.mark.parametrize("value", [TOKEN, TOKEN + "/2"])
def test_real(value, own, request, tmp_path, record_xml_attribute):
    assert f"test_real[{{value}}]" == str(request.node.name) == str(own[0])
    assert request.node.nodeid.endswith(f"::test_real[{{value}}]")
    assert os.environ["PYTEST_CURRENT_TEST"] == request.node.nodeid + " (call)"
    assert own[1] == request.node.nodeid + " (setup)"
    assert TOKEN not in str(tmp_path)
    record_xml_attribute("assertions", 7)

def test_other(): pass
"""


def test_names_and_selection(run_tests, pytester):
    """A test sees its real name, reports show the masked one, and either name works on the command line."""
    result = run_tests(SOURCE, "-v", "-W", "ignore", "--junit-xml=junit.xml", "-o", "junit_family=xunit1")
    result.assert_outcomes(passed=3)
    result.stdout.no_fnmatch_line(f"*{TOKEN}*")
    written = (pytester.path / "junit.xml").read_text()
    assert TOKEN not in written
    assert written.count("<testcase") == 3
    assert written.count('assertions="7"') == 2
    module = "test_names_and_selection.py"
    run_tests(None, f"{module}::test_real[{TOKEN}]", "-W", "ignore").assert_outcomes(passed=1)
    run_tests(None, f"{module}::test_real[[secret TOKEN]]", "-W", "ignore").assert_outcomes(passed=1)
    result = run_tests(None, f"--deselect={module}::test_real[{TOKEN}", "--deselect=nothing", "-W", "ignore")
    result.assert_outcomes(passed=1, deselected=2)
    result = run_tests(None, f"--deselect={module}::test_real[{TOKEN}/2]", "-W", "ignore")
    result.assert_outcomes(passed=2, deselected=1)


def test_digits(run_tests, pytester):
    """A number that is a secret of one test is not masked in the ids of others, on the terminal or in files."""
    source = """
import pytest
@pytest.mark.secrets(PIN="123456")
@pytest.mark.parametrize("value", [123456])
def test_own(value): pass

@pytest.mark.parametrize("value", [123456, 81234569, "plain"])
def test_other(value, request):
    assert str(value) in request.node.name
    print("it is", 123456)
    assert value == 123456
"""
    result = run_tests(source, "-v", "-rP", "--junit-xml=junit.xml")
    result.assert_outcomes(passed=2, failed=2)
    result.stdout.fnmatch_lines(
        [
            "*::test_own[[][[]secret PIN[]][]] PASSED*",
            "*::test_other[[]123456[]] PASSED*",
            "*::test_other[[]81234569[]] FAILED*",
            "it is [[]secret PIN[]]",
        ]
    )
    written = (pytester.path / "junit.xml").read_text()
    assert 'name="test_other[123456]"' in written
    assert 'name="test_own[[secret PIN]]"' in written
    run_tests(None, "test_digits.py::test_other[123456]").assert_outcomes(passed=1)


ITEMS = """
import pytest

def pytest_collect_file(file_path, parent):
    if file_path.suffix == ".numbers":
        return Numbers.from_parent(parent, path=file_path)

class Numbers(pytest.File):
    def collect(self):
        yield Number.from_parent(self, name=self.path.read_text())

class Number(pytest.Item):
    def runtest(self):
        pass
"""


@pytest.mark.parametrize("name", ["9182736", "t9182736"])
def test_an_item_whose_name_is_a_number(run_tests, pytester, name):
    """If the name of an item is almost only a secret number, the number is masked in ids and in all other texts."""
    pytester.makeconftest(ITEMS)
    (pytester.path / "some.numbers").write_text(name)
    source = """
import pytest
@pytest.mark.secrets(PIN="9182736")
def test_it(): print("it is 9182736, not9182736")
"""
    result = run_tests(source, "-v", "-rP", "--junit-xml=junit.xml")
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(["it is [[]secret PIN[]], not[[]secret PIN[]]"])
    assert "9182736" not in result.stdout.str() + (pytester.path / "junit.xml").read_text()


def test_a_number_in_a_path(run_tests, pytester):
    """A folder, module or class whose name contains a secret number by chance keeps its name and fails no test."""
    (pytester.path / "t123456").mkdir()
    text = "class TestPart123456:\n    def test_a(self): pass\n    def test_b(self): assert not 'equal'\n"
    (pytester.path / "t123456" / "test_123456.py").write_text(text)
    source = """
import pytest
@pytest.mark.secrets(PIN="123456")
def test_it(): assert True
"""
    arguments = ["-v", "--flowsecrets-leaks=fail", "--junit-xml=junit.xml", "--flowsecrets-leak-report=leaks.json"]
    result = run_tests(source, *arguments)
    result.assert_outcomes(passed=2, failed=1)
    result.stdout.fnmatch_lines(
        [
            "t123456/test_123456.py::TestPart123456::test_a PASSED*",
            "t123456?test_123456.py:3: AssertionError",
            "FAILED t123456/test_123456.py::TestPart123456::test_b*",
        ]
    )
    assert (pytester.path / "leaks.json").read_text() == "[]\n"
    assert 'classname="t123456.test_123456.TestPart123456"' in (pytester.path / "junit.xml").read_text()


def test_a_long_number(run_tests, pytester, monkeypatch):
    """A number that is too long to occur by chance is masked in ids."""
    monkeypatch.setenv("CARD_NUMBER", "4929123456781234")
    source = """
import pytest
@pytest.mark.parametrize("value", [4929123456781234, "4929123456781234", 20240131])
def test_it(value, request):
    assert str(value) in request.node.name
"""
    result = run_tests(source, "-v", "--junit-xml=junit.xml", ini="[pytest]\nflowsecrets_secret_env_vars = CARD_*\n")
    result.assert_outcomes(passed=3)
    result.stdout.fnmatch_lines(["*::test_it[[][[]secret CARD_NUMBER[]]*", "*::test_it[[]20240131[]]*"])
    assert "4929123456781234" not in result.stdout.str() + (pytester.path / "junit.xml").read_text()


@pytest.mark.parametrize("what", ["isinstance(sys.stdout, io.TextIOBase)", "isinstance(sys.stderr.buffer, io.IOBase)"])
def test_streams_with_nothing_captured(run_tests, what):
    """With ``-s``, the standard streams are instances of the base classes in ``io``."""
    run_tests(f"import io, sys\ndef test_it(): assert {what}\n", "-s").assert_outcomes(passed=1)
