"""Which files and functions of the package take part in three journeys; docs/architecture.md shows the figures.

    python benchmarks/journeys.py          # a table in Markdown
    python benchmarks/journeys.py --trace  # each function in the order of its first call

Each journey runs once before it is recorded, so that what happens only once in a session does not count.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from pathlib import Path

import pytest

import pytest_flowsecrets

PACKAGE = os.path.dirname(pytest_flowsecrets.__file__) + os.sep
TESTS = """
import pytest
from prefect.client import Secret


@pytest.mark.parametrize("turn", ["first", "recorded"])
@pytest.mark.secrets(TOKEN="ghp_abcDEF0123456789xyz")
def test_marker(turn):
    assert Secret("TOKEN").get() == "ghp_abcDEF0123456789xyz"


@pytest.mark.parametrize("turn", ["first", "recorded"])
def test_request(turn, prefect_cloud, journey):
    prefect_cloud.secrets["TOKEN"] = "ghp_abcDEF0123456789xyz"
    with prefect_cloud.flow_run():
        with journey("request", turn):
            assert Secret("TOKEN").get() == "ghp_abcDEF0123456789xyz"


@pytest.mark.parametrize("turn", ["first", "recorded"])
@pytest.mark.secrets(TOKEN="ghp_abcDEF0123456789xyz")
def test_print(turn):
    print("the token is ghp_abcDEF0123456789xyz")
"""
TITLES = {
    "marker": "a marker until `Secret.get` returns",
    "request": "an HTTP request for `secret_value` until its answer",
    "print": "a printed line until its mask",
}


class Journey:
    """Counts the calls of the package's functions in all threads; a context manager."""

    def __init__(self, name, turn) -> None:
        self.name, self.recorded = name, turn == "recorded"
        self.calls = Counter()

    def _count(self, frame, event, _):
        code = frame.f_code
        if event == "call" and code.co_filename.startswith(PACKAGE):
            self.calls[code.co_filename[len(PACKAGE) :], code.co_name] += 1

    def __enter__(self):
        threading.setprofile(self._count)
        sys.setprofile(self._count)
        return self

    def __exit__(self, *_):
        sys.setprofile(None)
        threading.setprofile(None)
        if self.recorded:
            with open(os.environ["JOURNEYS"], "a", encoding="utf-8") as file:
                print(json.dumps([self.name, [[*key, count] for key, count in self.calls.items()]]), file=file)


@pytest.fixture
def journey():
    """Record what happens in a with block."""
    return Journey


def _begin(item, name):
    item.journey = Journey(name, item.callspec.params["turn"])
    item.journey.__enter__()


@pytest.hookimpl(hookwrapper=True, tryfirst=True)
def pytest_runtest_setup(item):
    """Record a marked test from here."""
    if item.originalname == "test_marker":
        _begin(item, "marker")
    yield


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_call(item):
    """Record a marked test to here, and what happens to the output of a test that prints from here."""
    yield
    if item.originalname == "test_marker":
        item.journey.__exit__()
    elif item.originalname == "test_print":
        _begin(item, "print")


@pytest.hookimpl(hookwrapper=True, tryfirst=True)
def pytest_runtest_teardown(item):
    """Record it to here: the report of the call has been made and passed on."""
    if item.originalname == "test_print":
        item.journey.__exit__()
    yield


def main() -> None:
    """Run the tests of the three journeys and print what they recorded."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trace", action="store_true", help="print each function, too")
    parser.add_argument("--json", action="store_true", help="print each function as JSON, for docs/architecture.py")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "test_journeys.py").write_text(TESTS, "utf-8")
        record = Path(folder, "journeys.jsonl")
        paths = os.pathsep.join([os.path.dirname(__file__), os.environ.get("PYTHONPATH", "")])
        subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-p", "journeys", "-p", "no:randomly", "-p", "no:asyncio", folder],
            env={**os.environ, "JOURNEYS": str(record), "PYTHONPATH": paths},
            check=True,
            stdout=subprocess.DEVNULL,
        )
        journeys = [json.loads(line) for line in record.read_text("utf-8").splitlines()]
    if options.json:
        print(json.dumps(journeys))
        return
    print("| journey | files | functions | calls |\n|---|---:|---:|---:|")
    for name, calls in journeys:
        files = {file for file, _, _ in calls}
        print(f"| {TITLES[name]} | {len(files)} | {len(calls)} | {sum(count for *_, count in calls)} |")
    for name, calls in journeys if options.trace else ():
        print(f"\n{TITLES[name]}:")
        for file, function, count in calls:
            print(f"  {file}:{function} {count}")


if __name__ == "__main__":
    main()
