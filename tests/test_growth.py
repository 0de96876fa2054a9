"""Memory: no object of a finished test stays reachable."""

from __future__ import annotations

import pytest

from tests.compat import VERSION, needs_prefect

pytestmark = needs_prefect
since_server = pytest.mark.skipif((VERSION or ()) < (0, 10), reason="Prefect Server came with 0.10.0")

# Counts the objects of this package's classes after the 20th and after the 40th test.
COUNTING = """
import gc
from collections import Counter

import pytest

done, counts = [], []


@pytest.hookimpl(hookwrapper=True, tryfirst=True)
def pytest_runtest_protocol(item):
    yield
    done.append(item.nodeid)
    if len(done) in (20, 40):
        gc.collect()
        names = (vars(kind).get("__module__") for kind in map(type, gc.get_objects()))
        counts.append(Counter(name for name in names if str(name).startswith("pytest_flowsecrets")))


def pytest_sessionfinish():
    before, after = counts
    assert before, "no object of the package was counted"
    print("\\nGROWTH", sorted((after - before).items()))
"""


@pytest.mark.parametrize(
    ("fixture", "body"),
    [
        ("prefect_cloud", "pass"),
        ("prefect_cloud", "prefect_cloud.secrets['TOKEN'] = 'one-value-for-all'; prefect_cloud.client"),
        pytest.param("prefect_server", "prefect_server.client", marks=since_server),
        ("local_secrets", "local_secrets['TOKEN'] = 'one-value-for-all'; print('nothing')"),
    ],
)
def test_a_finished_test_leaves_nothing(run_tests, pytester, fixture, body):
    """After 40 tests there are as many objects of this package as after 20."""
    pytester.makeconftest(COUNTING)
    source = f"import pytest\n\n@pytest.mark.parametrize('n', range(40))\ndef test_it({fixture}, n):\n    {body}\n"
    result = run_tests(source, "-s")
    result.assert_outcomes(passed=40)
    result.stdout.fnmatch_lines(["*GROWTH []"])
