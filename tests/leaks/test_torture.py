"""Each place where pytest writes text and each form of a secret: nothing that a run has written holds a trace of it.

The project in ``places/`` is run by a real pytest; every byte it wrote is searched: terminal, JUnit, HTML, JSON, the
report log, the log file, the cache, the names of temporary files. A cell of tox runs all forms, the others a few.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from .disguises import FEW, FORMS, name_of, traces_of

pytestmark = pytest.mark.slow

HERE = Path(__file__).parent
WHOLE = os.environ.get("FLOWSECRETS_TORTURE") == "all"
CHOSEN = list(FORMS) if WHOLE else FEW
PLACES = re.findall(
    r"^def test_(\w+)\((?:told|fails_in_setup|fails_in_teardown|prints_around)",
    (HERE / "places" / "test_places.py").read_text(),
    re.MULTILINE,
)
REPORTERS = {
    "pytest_html.plugin": ["-p", "pytest_metadata.plugin", "--html=report.html", "--self-contained-html"],
    "pytest_jsonreport.plugin": ["-p", "pytest_metadata.plugin", "--json-report", "--json-report-file=report.json"],
    "pytest_reportlog.plugin": ["--report-log=log.json"],
    "pytest_subtests.plugin": [],
    "allure_pytest.plugin": ["--alluredir=allure"],
}
USUAL = [
    "-v",
    "-rA",
    "-l",
    "--durations=0",
    "-vv",
    "--setup-show",
    "--junit-xml=junit.xml",
    "--log-file=log.txt",
    "-o",
    "junit_logging=all",
    "-o",
    "junit_family=legacy",
]


def _there(module):
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False


class Written:
    """What a run wrote, every byte of it."""

    def __init__(self, folder, output, inputs=()):
        self.output = output
        files = [path for path in folder.rglob("*") if path.name not in inputs and "__pycache__" not in path.parts]
        names = "\n".join(str(path.relative_to(folder)) for path in files).encode()
        everything = b"\n".join([output, names, *(path.read_bytes() for path in files if path.is_file())])
        # Reporters write the same lines again and again, in JSON and HTML too; no trace holds a line break.
        self._lines = b"\n".join(set(re.split(rb"\n|\\+n", everything)))

    def holds(self, text):
        return text.encode() in self._lines


def run_pytest(folder, *arguments, **environ):
    """The output of a real pytest with the plugin and no other, in a folder."""
    # Of TOX_ENV_DIR pytest makes the place of its cache, which then stands where nobody looks.
    inherited = {name: text for name, text in os.environ.items() if not name.startswith(("PREFECT", "PYTEST", "TOX_"))}
    ours = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONDONTWRITEBYTECODE": "1", "COLUMNS": "80"}
    return subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-p",
            "pytest_flowsecrets.plugin",
            f"--basetemp={folder / 'temporary'}",
            *arguments,
        ],
        cwd=folder,
        env={**inherited, **ours, **environ},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
        timeout=600,
    ).stdout


def run_places(folder, *arguments, forms=tuple(CHOSEN)):
    sources = [*(HERE / "places").glob("*.py"), HERE / "disguises.py"]
    for path in sources:
        shutil.copy(path, folder)
    (folder / "pytest.ini").write_text("[pytest]\n")
    loaded = [part for name in REPORTERS if _there(name) for part in ("-p", name, *REPORTERS[name])]
    output = run_pytest(folder, *loaded, *arguments, TORTURE_FORMS=",".join(forms))
    return Written(folder, output, {path.name for path in sources})


ALL_RUNS = {
    "usual": [*USUAL],
    "xdist": ["-p", "xdist", "-n2", *USUAL],
}


RUNS = ALL_RUNS if WHOLE else {"usual": ALL_RUNS["usual"]}


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """What the runs wrote, each run once."""
    done = {}

    def of(run):
        if run not in done:
            if run == "xdist" and not _there("xdist"):
                pytest.skip("no xdist")
            done[run] = None
            done[run] = run_places(tmp_path_factory.mktemp(run), *RUNS[run])
        assert done[run] is not None, "the run has failed"
        return done[run]

    return of


NOT_SHOWN = {("usual", "fixture_param", "base64_lines"), ("xdist", "fixture_param", "base64_lines")}  # cut before it
NOT_THERE = set() if _there("_pytest.subtests") or _there("pytest_subtests") else {"subtest"}
# In a worker there is no terminal, and no JUnit that fixtures could tell something.
NOT_IN_WORKERS = {"disabled_capture", "recorded_as_attribute", "recorded_for_the_suite"}


def _is_shown(run, place, form):
    if place in NOT_THERE or (run, place, form) in NOT_SHOWN:
        return False
    return run != "xdist" or place not in NOT_IN_WORKERS


@pytest.mark.parametrize("form", CHOSEN)
@pytest.mark.parametrize("place", [*PLACES, "id", "fixture_param"])
@pytest.mark.parametrize("run", RUNS)
def test_no_trace(written, run, place, form):
    """And the mask stands where it did, so the place was reached."""
    found = [trace for trace in traces_of(place, form) if len(trace) > 5 and written(run).holds(trace)]
    assert not found, f"{len(found)} traces"
    if _is_shown(run, place, form):
        assert written(run).holds(f"[secret {name_of(place, form)}]"), "no mask"


def test_an_id_of_a_later_mark(written):
    """The mark of a later test makes a secret known after the id was made of it."""
    place = "id_of_a_later_mark"
    assert not [trace for trace in traces_of(place, "raw") if written("usual").holds(trace)]
    assert written("usual").holds(f"test_{place}[[secret {name_of(place, 'raw')}]]")
