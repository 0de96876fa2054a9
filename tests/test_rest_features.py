"""What exists on Prefect 2.20 and 3 only is one clear error on Prefect 0.5.5 to 1.4.1, and without Prefect."""

from __future__ import annotations

import pytest

from pytest_flowsecrets import FakeCloud, FakeServer, UsageError, flow_environment
from pytest_flowsecrets.routes import validate_routes


def test_the_variables_marker_is_one_clear_error(run_tests):
    """The error names the marker and what is installed, and other tests run."""
    result = run_tests(
        """
import pytest

@pytest.mark.variables(region="eu")
def test_it(): pass

def test_other(local_secrets): pass
"""
    )
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["*the variables marker needs Prefect 2.20 or 3, and *refect * installed"])
    assert "Traceback" not in result.stdout.str()


@pytest.mark.parametrize("kind", [FakeCloud, FakeServer])
@pytest.mark.parametrize("name", ["blocks", "flow_runs", "task_runs", "logs", "events", "write_only"])
def test_parts_of_the_rest_api_are_one_clear_error(kind, name):
    """The error names the class and the attribute."""
    with pytest.raises(UsageError, match=rf"{kind.__name__}.{name} needs Prefect 2\.20 or 3"):
        getattr(kind(), name)


@pytest.mark.parametrize("kind", [FakeCloud, FakeServer])
def test_other_names_do_not_exist(kind):
    """A misspelled attribute is an AttributeError, as for any class."""
    with pytest.raises(AttributeError, match="has no attribute 'secretz'"):
        kind().secretz


@pytest.mark.parametrize(
    ("name", "instead"),
    [("block", "cloud"), ("job_variables:block", "run_config"), ("pull_step", "env"), ("variable", "config_file")],
)
def test_routes_of_the_rest_line_are_one_clear_error(name, instead):
    """The error names the route, the line that has it, and the route to use."""
    with pytest.raises(UsageError, match=f"^'{name}' is a route of Prefect 2.20 and 3, .*installed: use '{instead}'"):
        validate_routes([name])


def test_arguments_for_workers_are_one_clear_error():
    """``flow_environment`` has other arguments for agents than for workers."""
    with pytest.raises(UsageError, match=r"job_variables is for Prefect 2.20 and 3: use run_config"):
        flow_environment(job_variables={})
    with pytest.raises(TypeError, match="nope"):
        flow_environment(nope=1)
