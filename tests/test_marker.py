"""``@pytest.mark.secrets``: its places, its precedence, and errors in its arguments."""

from __future__ import annotations

import pytest

from tests.compat import VERSION, needs_prefect

ASK = "from prefect.client import Secret\nimport pytest, unittest\n"


@needs_prefect
def test_functions_classes_and_modules_the_closest_winning(run_tests):
    """The closest mark wins, name by name, and no fixture is needed."""
    result = run_tests(
        ASK
        + """
pytestmark = [pytest.mark.secrets(A="module", B="module", C="module")]

def test_module():
    assert [Secret(n).get() for n in "ABC"] == ["module"] * 3

@pytest.mark.secrets(A="class", B="class")
class TestClass:
    def test_class(self):
        assert [Secret(n).get() for n in "ABC"] == ["class", "class", "module"]

    @pytest.mark.secrets(A="outer")
    @pytest.mark.secrets(A="function")
    def test_function(self):
        assert [Secret(n).get() for n in "ABC"] == ["function", "class", "module"]

@pytest.mark.secrets(A="derived")
class TestDerived(TestClass):
    test_class = None

    def test_derived(self):
        assert [Secret(n).get() for n in "ABC"] == ["derived", "class", "module"]
"""
    )
    result.assert_outcomes(passed=5)


@needs_prefect
def test_parameters(run_tests):
    """A mark of a parameter set is closer than that of the function."""
    result = run_tests(
        ASK
        + """
@pytest.mark.secrets(A="function", B="b")
@pytest.mark.parametrize("expected", [
    "function",
    pytest.param("parameter", marks=pytest.mark.secrets(A="parameter")),
    pytest.param("second", marks=[pytest.mark.secrets(A="first"), pytest.mark.secrets(A="second")]),
])
def test_it(expected):
    assert Secret("A").get() == expected
    assert Secret("B").get() == "b"

@pytest.mark.parametrize("name", ["A", pytest.param("B", marks=pytest.mark.secrets(B="b"))])
def test_marked_in_part(name):
    if name == "B":
        assert Secret("B").get() == "b"
    else:
        with pytest.raises(ValueError):
            Secret("B").get()
"""
    )
    result.assert_outcomes(passed=5)


@needs_prefect
def test_any_name_by_a_mapping(run_tests):
    """A mapping works alone and together with keywords, which take precedence."""
    result = run_tests(
        ASK
        + """
@pytest.mark.secrets({"my secret": 42, "A": "mapping", "mapping": "m"}, A="keyword")
def test_it(local_secrets):
    assert Secret("my secret").get() == 42
    assert Secret("A").get() == "keyword"
    assert Secret("mapping").get() == "m"
    assert len(local_secrets) == 3
"""
    )
    result.assert_outcomes(passed=1)


@needs_prefect
def test_testcase_classes(run_tests):
    """The mark works on unittest.TestCase with setUp."""
    result = run_tests(
        ASK
        + """
@pytest.mark.secrets(A="class")
class Test(unittest.TestCase):
    def setUp(self):
        self.token = Secret("A").get()

    def test_it(self):
        self.assertEqual(self.token, "class")

    @pytest.mark.secrets(A="method")
    def test_method(self):
        self.assertEqual(self.token, "method")
"""
    )
    result.assert_outcomes(passed=2)


@needs_prefect
def test_fixtures_of_the_user_run_inside(run_tests):
    """Function-scoped fixtures run inside the isolation, and those of wider scope outside."""
    result = run_tests(
        ASK
        + """
import os

@pytest.fixture(scope="module", autouse=True)
def declared():
    with pytest.raises(ValueError):
        Secret("A").get()
    os.environ["PREFECT__CONTEXT__SECRETS__declared"] = "by the module"
    yield
    assert os.environ.pop("PREFECT__CONTEXT__SECRETS__declared") == "by the module"

@pytest.fixture(autouse=True)
def inside(monkeypatch):
    assert Secret("A").get() == "mark"
    yield
    assert Secret("A").get() == "mark"

@pytest.mark.secrets(A="mark")
def test_first(monkeypatch):
    monkeypatch.setenv("PREFECT__CONTEXT__SECRETS__declared", "changed in the test")
    assert Secret("declared").get() == "by the module"

@pytest.mark.secrets(A="mark")
def test_second():
    assert Secret("declared").get() == "by the module"
""",
        "-p",
        "no:randomly",
    )
    result.assert_outcomes(passed=2)


def test_unmarked_tests_get_nothing(run_tests):
    """A test without the mark is not isolated."""
    result = run_tests(
        """
import pytest

@pytest.mark.secrets(A="mark")
def test_marked(request):
    assert "flowsecrets_isolation" in request.fixturenames

def test_unmarked(request):
    assert "flowsecrets_isolation" not in request.fixturenames
"""
    )
    result.assert_outcomes(passed=2)


WRONG = {
    "'hunter2'": "mapping of names to values, not str",
    "{'a': 'hunter2'}, {'b': 'hunter2'}": "2 arguments",
    "{1: 'hunter2'}": "name of a secret must be text, not int",
    "A=b'hunter2'": "'A'.*not bytes",
    "A={'k': object()}": "'A'.*not dict",
    "['hunter2']": "not list",
}


def test_wrong_arguments_fail_their_own_tests(run_tests):
    """The error names the test, the fault and the correct form, and no value; other tests run."""
    marks = [f"@pytest.mark.secrets({arguments})\ndef test_{number}(): pass" for number, arguments in enumerate(WRONG)]
    result = run_tests("\n".join(["import pytest", *marks, "def test_right(): pass"]))
    result.assert_outcomes(passed=1, errors=len(WRONG))
    for number, message in enumerate(WRONG.values()):
        result.stdout.re_match_lines([rf".*::test_{number}: .*{message}.*; write @pytest\.mark\.secrets\(.*"])
    assert "hunter2" not in result.stdout.str() + result.stderr.str()


def test_the_mark_is_registered(run_tests):
    """``--markers`` lists the mark, and ``--strict-markers`` accepts it."""
    result = run_tests(
        "import pytest\n@pytest.mark.secrets(A='a')\ndef test_a(): pass\n", "--strict-markers", "--collect-only"
    )
    assert result.ret == 0
    run_tests(None, "--markers").stdout.fnmatch_lines(["@pytest.mark.secrets(mapping=None, /, ?*values): *"])


@needs_prefect
@pytest.mark.skipif(VERSION is not None and VERSION < (0, 11, 0), reason="nothing is typed before 0.11.0")
def test_a_changed_value_warns_once_and_shows_it_nowhere(run_tests):
    """One warning is issued, and the summary shows no value."""
    result = run_tests(
        """
import pytest

@pytest.mark.secrets(PIN="000000", FINE="x")
def test_pin(local_secrets):
    assert local_secrets["PIN"] == 0
    local_secrets["PIN"] = "000000"
"""
    )
    result.assert_outcomes(passed=1, warnings=1)
    result.stdout.fnmatch_lines(["*SecretChangedWarning: Secret 'PIN' *set str*returns int*set it to exact(value)*"])
    assert "000000" not in result.stdout.str()


@needs_prefect
@pytest.mark.skipif(VERSION is not None and VERSION < (0, 11, 0), reason="nothing is typed before 0.11.0")
def test_a_changed_value_can_be_made_an_error(run_tests):
    """With ``-W error`` the test fails before it runs, and everything is restored."""
    result = run_tests(
        ASK
        + """
@pytest.mark.secrets(PIN="0000", A="a")
def test_a_pin(): pass

def test_b_after():
    for name in ("PIN", "A"):
        with pytest.raises(ValueError):
            Secret(name).get()
""",
        "-W",
        "error::pytest_flowsecrets.SecretChangedWarning",
        "-p",
        "no:randomly",
    )
    result.assert_outcomes(passed=1, errors=1)


@needs_prefect
@pytest.mark.skipif(VERSION is not None and VERSION < (0, 6, 0), reason="0.5 takes every name")
def test_a_secret_that_prefect_refuses_is_an_error_of_that_test_only(run_tests):
    """One line names the test and the secret, and other tests run."""
    result = run_tests(
        """
import pytest

@pytest.mark.secrets(items="hunter2")
def test_bad(): pass

@pytest.mark.secrets(A="a")
def test_good(local_secrets):
    assert dict(local_secrets) == {"A": "a"}
"""
    )
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.re_match_lines([r".*::test_bad: Prefect .* cannot load its configuration with secret 'items': .*"])
    assert "Traceback" not in result.stdout.str()


@needs_prefect
def test_a_doctest_can_be_isolated_with_all(run_tests, pytester):
    """``--flowsecrets-isolation=all`` isolates doctests."""
    pytester.makepyfile(
        documented='''
def f():
    """
    >>> import os
    >>> sorted(n for n in os.environ if n == "PREFECT__CONTEXT__SECRETS__AMBIENT")
    []
    """
'''
    )
    import os

    os.environ["PREFECT__CONTEXT__SECRETS__AMBIENT"] = "x"
    try:
        source = """
import os

def test_plain(): assert "PREFECT__CONTEXT__SECRETS__AMBIENT" not in os.environ
"""
        result = run_tests(source, "--doctest-modules", "--flowsecrets-isolation=all")
        result.assert_outcomes(passed=2)
        run_tests(None, "--doctest-modules").assert_outcomes(failed=2)
    finally:
        del os.environ["PREFECT__CONTEXT__SECRETS__AMBIENT"]
