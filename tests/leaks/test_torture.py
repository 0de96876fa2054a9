"""Each place where pytest writes text, and each form of a secret: a run writes no trace of the secret.

A real pytest runs the project in ``places/``. Every byte that it wrote is searched: terminal, JUnit, HTML, JSON, the
report log, the log file, the cache, the names of temporary files. One tox cell runs all forms, the others a few.
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
    r"^def test_(\w+)\((?:secret|fails_in_setup|fails_in_teardown|prints_around)",
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


def _is_installed(module):
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False


class Written:
    """Every byte that a run wrote."""

    def __init__(self, folder, output, inputs=()):
        self.output = output
        files = [path for path in folder.rglob("*") if path.name not in inputs and "__pycache__" not in path.parts]
        names = "\n".join(str(path.relative_to(folder)) for path in files).encode()
        everything = b"\n".join([output, names, *(path.read_bytes() for path in files if path.is_file())])
        # Reporters repeat lines, also in JSON and HTML. No trace contains a line break.
        self._lines = b"\n".join(set(re.split(rb"\n|\\+n", everything)))

    def holds(self, text):
        return text.encode() in self._lines


def run_pytest(folder, *arguments, **environ):
    """Run pytest with this plugin and no other one in a folder, and return its output."""
    # With TOX_ENV_DIR, pytest would put its cache outside of the folder.
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
    loaded = [part for name in REPORTERS if _is_installed(name) for part in ("-p", name, *REPORTERS[name])]
    output = run_pytest(folder, *loaded, *arguments, TORTURE_FORMS=",".join(forms))
    return Written(folder, output, {path.name for path in sources})


ALL_RUNS = {
    "usual": [*USUAL],
    "xdist": ["-p", "xdist", "-n2", *USUAL],
}


RUNS = ALL_RUNS if WHOLE else {"usual": ALL_RUNS["usual"]}


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """Return what a run wrote. Each run happens once."""
    results = {}

    def of(run):
        if run not in results:
            if run == "xdist" and not _is_installed("xdist"):
                pytest.skip("no xdist")
            results[run] = None
            results[run] = run_places(tmp_path_factory.mktemp(run), *RUNS[run])
        assert results[run] is not None, "the run has failed"
        return results[run]

    return of


NOT_SHOWN = {
    ("usual", "fixture_param", "base64_lines"),
    ("xdist", "fixture_param", "base64_lines"),
}  # truncated before it
UNAVAILABLE = set() if _is_installed("_pytest.subtests") or _is_installed("pytest_subtests") else {"subtest"}
# A worker has no terminal, and no JUnit reporter to which fixtures could write.
NOT_IN_WORKERS = {"disabled_capture", "recorded_as_attribute", "recorded_for_the_suite"}


def _is_shown(run, place, form):
    if place in UNAVAILABLE or (run, place, form) in NOT_SHOWN:
        return False
    return run != "xdist" or place not in NOT_IN_WORKERS


@pytest.mark.parametrize("form", CHOSEN)
@pytest.mark.parametrize("place", [*PLACES, "id", "fixture_param"])
@pytest.mark.parametrize("run", RUNS)
def test_no_trace(written, run, place, form):
    """No trace of the secret remains, and the mask shows that the place was reached."""
    traces = [trace for trace in traces_of(place, form) if len(trace) > 5 and written(run).holds(trace)]
    assert not traces, f"{len(traces)} traces"
    if _is_shown(run, place, form):
        assert written(run).holds(f"[secret {name_of(place, form)}]"), "no mask"


def test_an_id_of_a_later_mark(written):
    """An id is masked if only the mark of a later test registers the secret."""
    place = "id_of_a_later_mark"
    assert not [trace for trace in traces_of(place, "raw") if written("usual").holds(trace)]
    assert written("usual").holds(f"test_{place}[[secret {name_of(place, 'raw')}]]")
