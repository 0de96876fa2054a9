"""The same operations of the real client at the real server and at the fake have the same outcomes.

``record.py`` recorded the real server of each version; here the installed Prefect runs the operations at the fake.
``FLOWSECRETS_OPERATIONS=all`` runs those that take seconds, too: flows with pauses, workers, the command line.
"""

from __future__ import annotations

import json
import os
from importlib.metadata import PackageNotFoundError, version

import pytest

from pytest_flowsecrets.backend.rest import RestApi

from .record import RECORDINGS, outcomes_at, recorded

try:
    INSTALLED = version("prefect")
except PackageNotFoundError:
    INSTALLED = "none"
EXPECTED = recorded(INSTALLED)
# Operations that take more than a second on the fake, most of them because the client sleeps or starts processes.
SLOW = ("cli_", "flow_", "task_", "worker_", "runner_", "concurrency_", "tag_limit_in", "states_h", "runtime_", "rate_")
KEPT = ("flow_with_task_and_secret", "flow_rows", "flow_logs", "task_cached", "flow_run_", "task_run_trans")


def is_quick(name):
    """Return whether an operation runs by default."""
    return name.startswith(KEPT) or not name.startswith(SLOW)


NAMES = [name for name in sorted(EXPECTED) if os.environ.get("FLOWSECRETS_OPERATIONS") == "all" or is_quick(name)]


@pytest.fixture(scope="module")
def outcomes():
    """Run all chosen operations in one child process."""
    with RestApi(INSTALLED) as api:
        return outcomes_at(api.new_view().url, NAMES)


@pytest.mark.skipif(not EXPECTED, reason=f"the real server of Prefect {INSTALLED} was not recorded")
@pytest.mark.parametrize("name", NAMES)
def test_the_fake_behaves_like_the_real_server(outcomes, name):
    """The normalized value or error text of an operation is the same at the fake and at the real server."""
    assert outcomes[name] == EXPECTED[name]


def test_every_outcome_is_recorded_for_a_version():
    """The recordings hold each operation once per version, and at least 150 operations."""
    merged = json.loads(RECORDINGS.read_text("utf-8"))
    for known in merged.values():
        versions = [each for outcome in known for each in outcome["versions"]]
        assert len(versions) == len(set(versions))
    assert len(merged) >= 150
