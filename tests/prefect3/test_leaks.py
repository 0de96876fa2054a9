"""Each place where a flow of Prefect 2.20 or 3 can leak, and each form of a secret: a finding, and no trace of the value.

A real pytest runs the flows in ``places/`` with the forms of ``tests/leaks``. ``FLOWSECRETS_TORTURE=all`` runs all forms.
"""

from __future__ import annotations

import ast
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
PLACES = ast.literal_eval(re.search(r"^PLACES = (\{.*?^\})", PROJECT.read_text(), re.DOTALL | re.MULTILINE).group(1))
UNAVAILABLE = set() if IS_TYPED else {"event"}  # Prefect 2.20 sends events to Cloud only


class Run:
    """The findings of a run, and everything that it wrote."""

    def __init__(self, folder):
        sources = [PROJECT, LEGACY / "places" / "conftest.py", LEGACY / "disguises.py"]
        for path in sources:
            shutil.copy(path, folder)
        (folder / "pytest.ini").write_text("[pytest]\n")
        options = ["-rA", "-l", "--junit-xml=junit.xml", "-o", "junit_logging=all"]
        report = ["--flowsecrets-leaks=warn", "--flowsecrets-report=leaks.json"]
        self.output = run_pytest(folder, *options, *report, TORTURE_FORMS=",".join(CHOSEN))
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
