"""Ids that hold secrets: the test has its real name, reports show a masked one, and either selects it."""

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
    """In fixtures, in the body, in the environment; by the command line, by --deselect, in JUnit's file."""
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
    """A number that is a secret of one test leaves the ids of the others as they are, on the terminal and in files."""
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


@pytest.mark.parametrize("what", ["isinstance(sys.stdout, io.TextIOBase)", "isinstance(sys.stderr.buffer, io.IOBase)"])
def test_streams_with_nothing_captured(run_tests, what):
    """With ``-s`` they are what ``io`` calls streams."""
    run_tests(f"import io, sys\ndef test_it(): assert {what}\n", "-s").assert_outcomes(passed=1)
