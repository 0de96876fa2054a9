"""Random sequences of requests at the fake and at the real server of the installed Prefect have the same answers.

``FLOWSECRETS_STEPS`` sets the number of rules and of transitions; 10,000 of each take 20 minutes. By default there are a
few hundred, always the same ones.
"""

from __future__ import annotations

import itertools
import os
from contextlib import ExitStack, closing
from importlib.metadata import PackageNotFoundError, version

import pytest

pytest.importorskip("hypothesis")

from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from pytest_flowsecrets.backend.prefect_server import PrefectServer
from pytest_flowsecrets.backend.rest import RestApi

from .machine import STATES, Requests, Transitions
from .pair import DifferenceError, Pair

try:
    INSTALLED = version("prefect")
except PackageNotFoundError:
    INSTALLED = "none"
STEPS = int(os.environ.get("FLOWSECRETS_STEPS", "0"))
QUICK_STEPS, QUICK_TRANSITIONS, STEPS_OF_AN_EXAMPLE = 240, 37, 30
needs_server = pytest.mark.skipif(
    not INSTALLED.startswith(("2.20.", "3.")), reason=f"Prefect {INSTALLED} has no server that runs here"
)


@pytest.fixture(scope="module")
def server(request):
    """The real server, without rows of its own."""
    template = request.config.cache.mkdir("flowsecrets") / f"prefect-{INSTALLED}.db"
    with PrefectServer(template=template) as server:
        yield server
        server.check()


@pytest.mark.slow
@needs_server
def test_the_fake_answers_like_the_real_server(server):
    """No sequence of requests shows a difference between the fake and the real server."""
    with ExitStack() as apis:

        class Machine(Requests):
            legacy = INSTALLED.startswith("2.")

            @staticmethod
            def urls():
                apis.close()
                server.reset()
                return apis.enter_context(RestApi(INSTALLED)).new_view().url, server.url

        chosen = settings(
            max_examples=(STEPS or QUICK_STEPS) // STEPS_OF_AN_EXAMPLE,
            stateful_step_count=STEPS_OF_AN_EXAMPLE,
            deadline=None,
            database=None,
            derandomize=not STEPS,
            suppress_health_check=list(HealthCheck),
        )
        run_state_machine_as_test(Machine, settings=chosen)
    assert Requests.requests >= (STEPS or QUICK_STEPS) // 2


@pytest.mark.slow
@needs_server
@pytest.mark.parametrize("kind", ["flow_runs", "task_runs"])
def test_each_state_follows_each_other_state_as_on_the_real_server(server, kind):
    """The verdict on a proposed state, the state, the times and the policy of the run are those of the real server."""
    server.reset()
    with RestApi(INSTALLED) as api, closing(Pair([api.new_view().url, server.url])) as pair:
        transitions = Transitions(pair, kind)
        cases = list(itertools.product(transitions.runs, STATES, STATES, [False, True]))
        for run, first, second, force in cases[:: max(1, len(cases) // (STEPS or QUICK_TRANSITIONS))]:
            transitions.check(run, first, second, force)


@pytest.mark.parametrize(
    ("method", "path", "body", "message"),
    [
        ("GET", "/variables/name/nope", None, None),
        ("GET", "/admin/version", None, "fake: "),
        ("POST", "/flows/", {"name": "f"}, "is missing at"),
        ("POST", "/csrf-token", None, None),
    ],
    ids=["equal errors", "other body", "other fields", "equal statuses"],
)
def test_a_pair_reports_differences(method, path, body, message):
    """A pair of fakes of two releases reports an answer in which they differ, and no other."""
    with RestApi("3.9.1") as newest, RestApi("3.0.11") as oldest:
        pair = Pair([newest.new_view().url, oldest.new_view().url])
        try:
            if message is None:
                pair.ask(method, path, body)
            else:
                with pytest.raises(DifferenceError, match=message):
                    pair.ask(method, path, body)
        finally:
            pair.close()
