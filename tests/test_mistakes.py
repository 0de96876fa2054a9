"""The mistakes of ``mistakes``: each gets one clear message, without frames of this package, in one shared run."""

from __future__ import annotations

import json
import re
from importlib.metadata import version
from pathlib import Path

import pytest

from pytest_flowsecrets.versions import uses_rest_api
from tests.compat import VERSION, needs_prefect
from tests.mistakes import MISTAKES

LINE = "rest" if uses_rest_api() else "legacy"
PYTEST = tuple(map(int, version("pytest").split(".")[:2]))
MAX_LINES = 6
HELPER = {
    "legacy": "from prefect.client import Secret\ndef read(name):\n    return Secret(name).get()\n",
    "rest": "from prefect.blocks.system import Secret\n"
    "def read(name):\n    return Secret.load(name.lower().replace('_', '-')).get()\n",
}
RECORDER = '''
"""Write the text of each failed report, and each warning, to a file."""

import json
import os

texts = {}


def add(nodeid, text):
    texts.setdefault(nodeid.split("/")[0], []).append(text)


def pytest_runtest_logreport(report):
    if report.failed:
        add(report.nodeid, "\\n---\\n".join([report.longreprtext, *map(": ".join, report.sections)]))


def pytest_collectreport(report):
    if report.failed:
        add(report.nodeid, "\\n---\\n".join([report.longreprtext, *map(": ".join, report.sections)]))


def pytest_warning_recorded(warning_message, nodeid):
    add(nodeid or warning_message.category.__name__, f"{warning_message.category.__name__}: {warning_message.message}")


def pytest_unconfigure():
    with open(os.environ["TEXTS"], "w", encoding="utf-8") as file:
        json.dump(texts, file)
'''


def applies(mistake):
    """Return whether the installed Prefect and pytest have the feature of a mistake."""
    if mistake.line not in ("both", LINE):
        return False
    return mistake.pytest_since <= PYTEST and (LINE == "rest" or mistake.since <= VERSION)


APPLICABLE = [mistake for mistake in MISTAKES if VERSION is not None and applies(mistake)]


@pytest.fixture(scope="module")
def texts(tmp_path_factory):
    """Run every mistake, those of one kind of run together, and return the texts that a user reads."""
    import os
    import subprocess
    import sys

    results = {}
    for kind in dict.fromkeys(mistake.run for mistake in APPLICABLE):
        folder = tmp_path_factory.mktemp("mistakes")
        for mistake in (each for each in APPLICABLE if each.run == kind):
            own = folder / mistake.name
            own.mkdir()
            (own / f"test_{mistake.name}.py").write_text(f"import pytest\nfrom reading import *\n{mistake.source}")
            for name, text in mistake.files:
                (own / name).write_text(text)
        (folder / "reading.py").write_text(HELPER[LINE])
        (folder / "recorder.py").write_text(RECORDER)
        strict = "markers =\naddopts = --strict-markers\nflowsecrets_leak = fail\nflowsecrets_leaks = fail"
        ini = {"main": "", "strict": strict}.get(kind, kind)
        (folder / "pytest.ini").write_text(f"[pytest]\npythonpath = .\n{ini}\n")
        names = ("pytest_flowsecrets.plugin", "_hypothesis_pytestplugin", "recorder", "no:cacheprovider")
        plugins = [part for name in names for part in ("-p", name)]
        done = subprocess.run(
            [sys.executable, "-m", "pytest", *plugins, "--continue-on-collection-errors", "-q"],
            cwd=folder,
            env={
                **os.environ,
                "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
                "PREFECT__CONTEXT__SECRETS__CI_TOKEN": "VALUE-OF-CI",
                "PYTHONPATH": str(folder),
                "TEXTS": str(folder / "texts.json"),
            },
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        results[kind] = done, json.loads((folder / "texts.json").read_text()) if kind in ("main", "strict") else {}
    return results


@pytest.mark.slow
@needs_prefect
@pytest.mark.parametrize("mistake", APPLICABLE, ids=lambda mistake: mistake.name)
def test_a_mistake_gets_one_clear_message(texts, mistake):
    """The message says what is wrong and the next step, in at most six lines, without a value or a frame of ours."""
    done, by_folder = texts[mistake.run]
    own = by_folder.get(mistake.name, []) if by_folder else [done.stderr]
    message = "\n---\n".join(own or by_folder.get("PytestConfigWarning", []))
    for hint in mistake.hints:
        assert re.search(hint, message), f"{message}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
    assert bool(own) != mistake.passes
    ours = "ScopeMismatch" not in message and [
        line for line in message.splitlines() if "pytest_flowsecrets" in line and re.search(r"\.py:\d+", line)
    ]
    assert not ours
    assert "VALUE-OF-CI" not in done.stdout + done.stderr
    for section in re.findall(r"^-+ flowsecrets -+\n(.*?)(?:\n---|\Z)", message, re.MULTILINE | re.DOTALL):
        assert section.count("\n") < MAX_LINES
    own_error = re.search(r"^E +pytest_flowsecrets\.errors(?:.*\n)(?:E .*\n)*", message, re.MULTILINE)
    assert own_error is None or own_error.group().count("\n") <= MAX_LINES


def test_the_troubleshooting_page_covers_every_mistake():
    """The page quotes the symptom of each mistake."""
    page = (Path(__file__).parent.parent / "docs" / "how-to" / "troubleshooting.md").read_text("utf-8")
    assert [mistake.symptom for mistake in MISTAKES if mistake.symptom not in page] == []
