"""Each place where a flow of Prefect 2.20 or 3 can leak, and each form of a secret: a finding, and no trace of the value.

A real pytest runs the flows in ``places/`` with the forms of ``tests/leaks``. ``FLOWSECRETS_TORTURE=all`` runs all forms.
"""

from __future__ import annotations

import ast
import importlib.util
import json
import re
import shutil
from pathlib import Path

import pytest

from tests.leaks.disguises import name_of, traces_of
from tests.leaks.test_torture import CHOSEN, Written, run_pytest
from tests.prefect3.compat import IS_TYPED

HERE = Path(__file__).parent
LEGACY = HERE.parent / "leaks"
PROJECT = HERE / "places" / "test_places.py"
OTHERS = [HERE / "places" / name for name in ("test_known.py", "test_ordinary.py")]
PLACES = ast.literal_eval(re.search(r"^PLACES = (\{.*?^\})", PROJECT.read_text(), re.DOTALL | re.MULTILINE).group(1))
HAS_CLI = importlib.util.find_spec("prefect.cli") is not None  # prefect-client has neither commands nor workers
UNAVAILABLE = set() if IS_TYPED else {"event"}  # Prefect 2.20 sends events to Cloud only


class Run:
    """The findings of a run, and everything that it wrote."""

    def __init__(self, folder):
        sources = [PROJECT, *OTHERS, LEGACY / "places" / "conftest.py", LEGACY / "disguises.py"]
        for path in sources:
            shutil.copy(path, folder)
        (folder / "pytest.ini").write_text("[pytest]\n")
        options = ["-rA", "-l", "--junit-xml=junit.xml", "-o", "junit_logging=all"]
        report = ["--flowsecrets-leaks=warn", "--flowsecrets-leak-report=leaks.json"]
        environ = {"TORTURE_FORMS": ",".join(CHOSEN), "TORTURE_CLI": "1" if HAS_CLI else ""}
        self.output = run_pytest(folder, *options, *report, **environ)
        self.written = Written(folder, self.output, {path.name for path in sources})
        self.findings = json.loads((folder / "leaks.json").read_text())

    def places_of(self, name):
        names = {name, name.lower().replace("_", "-")}  # the marker's, and the block's
        return {finding["place"] for finding in self.findings if finding["name"] in names}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return Run(tmp_path_factory.mktemp("places"))


@pytest.mark.slow
@pytest.mark.parametrize("form", CHOSEN)
@pytest.mark.parametrize("place", [place for place in PLACES if place not in UNAVAILABLE])
def test_no_trace(run, place, form):
    """The report names each place that the value reached, with the test, and the run wrote no trace of the value."""
    traces = [trace for trace in traces_of(place, form) if len(trace) > 5 and run.written.holds(trace)]
    assert not traces, f"{len(traces)} traces"
    found = run.places_of(name_of(place, form))
    missing = [expected for expected in PLACES[place] if not any(where.startswith(expected) for where in found)]
    assert not missing, sorted(found)


@pytest.mark.slow
def test_tests_of_the_project_pass(run):
    """Each test of the project passes or is skipped, so that the others of this module check what they are to check."""
    summary = run.output.decode(errors="replace").strip().splitlines()[-1]
    assert "passed" in summary
    assert not re.search("failed|error", summary), summary


@pytest.mark.slow
def test_known_secrets_are_masked_and_public_values_are_not(run):
    """Secret fields, replaced values and credentials are masked, wherever they were set. Public fields are not."""
    printed = set(re.findall(r"(?:hidden|public)-\w+", OTHERS[0].read_text()))
    shown = {text for text in printed if run.written.holds(text)}
    assert shown == {text for text in printed if text.startswith("public-")}
    assert run.written.holds("[secret PREFECT_API_KEY]")


@pytest.mark.slow
def test_ordinary_flows_have_no_findings(run):
    """Flows that use secrets without leaking them have no findings; ``prefect deploy``, ``config view`` and a worker have."""
    found = {
        (finding["test"].partition("::")[2], finding["place"])
        for finding in run.findings
        if finding["test"].startswith("test_ordinary.py")
    }
    settings = {("test_shows_settings", "captured stdout")} if HAS_CLI else set()
    job_variables = "api deployment job_variables.env.TOKEN of 'daily'"
    deployed = {("test_deploys_a_project", job_variables)} if HAS_CLI and IS_TYPED else set()
    inherited = {("test_runs_in_a_child_process", "environment INHERITED_TOKEN of a flow run")} if HAS_CLI else set()
    assert found == settings | deployed | inherited
    advice = {finding["advice"] for finding in run.findings if finding["place"] == job_variables}
    assert not IS_TYPED or all("prefect deploy resolves templates" in text for text in advice)


LEAKING = """
import pytest
from prefect import flow
from prefect.blocks.system import Secret

pytestmark = pytest.mark.secrets(TOKEN="tok4vQm8Zr2LxW9sKd7")

@flow
def takes(token):
    return len(token)

def test_leaks():
    takes(Secret.load("token").get())

def test_leaks_in_the_cloud(prefect_cloud):
    takes(Secret.load("token").get())

@pytest.mark.allow_leaks("TOKEN", where="api flow run parameters")
def test_may_leak():
    takes(Secret.load("token").get())

def test_asserts(secret_leaks):
    secret_leaks.assert_none()
    takes(Secret.load("token").get())
    with pytest.raises(AssertionError, match="pass the block's name instead of the value"):
        secret_leaks.assert_none()

def test_uses_it():
    assert takes("public") == 6
    assert len(Secret.load("token").get()) == 19
"""


@pytest.mark.parametrize("mode", ["fail", "warn"])
def test_modes(run_tests, mode):
    """A leak is found when the API closes. Mode ``fail`` fails the test, with the place and the advice."""
    result = run_tests(LEAKING, f"--flowsecrets-leaks={mode}", "-p", "no:randomly", "-W", "ignore")
    shown = result.stdout.str()
    assert "tok4vQm8Zr2LxW9sKd7" not in shown
    if mode == "warn":
        result.assert_outcomes(passed=5)
        assert re.search(r"(?i)token in api flow run parameters\.token: 3", shown)
    else:
        result.assert_outcomes(passed=4, failed=1, errors=2)
        assert shown.count("pass the block's name instead of the value and load the block where its value is used") >= 2
