"""What the real legacy Prefect gives a flow is what the plan stores, or the plan says what differs.

``tests/prefect3/test_migrate.py`` continues from the same recordings: the client of Prefect 3 stores and reads the
values.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from functools import lru_cache

import pytest

from pytest_flowsecrets.migration.model import BLOCK
from pytest_flowsecrets.migration.plan import make_plan
from pytest_flowsecrets.migration.values import decode
from pytest_flowsecrets.resolution.resolve import Machine, resolve
from pytest_flowsecrets.resolution.toml_reader import read_layer
from tests.compat import VERSION
from tests.migration import project
from tests.migration.record import HOME, VERSIONS, answers, is_plain, is_same, read

CASES = read()
RUN_PROJECT = """
import json
import prefect
from flow import report

with prefect.Flow("project") as flow:
    result = prefect.task(report)()
print("result", json.dumps([flow.run().result[result].result, prefect.context.bucket]))
"""
INSTALLED = ".".join(map(str, VERSION or ()))


def plan_for(case, version):
    """Return the plan for a recorded configuration under a release."""
    layers = [read_layer(case["toml"].encode(), "user", "config.toml")]
    return make_plan(resolve(layers, case["environ"], version, machine=Machine(HOME)), 3)


@lru_cache(maxsize=None)
def plans(version):
    """Return the recorded configurations with their plans under a release."""
    return [(case, plan_for(case, version)) for case in CASES]


def test_there_are_100_configurations():
    """Each configuration has an answer of each of the three releases, and most secrets can be migrated."""
    assert [sorted(case["answers"]) for case in CASES] == [sorted(VERSIONS)] * 100
    items = [item for version in VERSIONS for _, plan in plans(version) for item in plan.items]
    assert sum(item.ready and not item.changes for item in items) > len(items) / 2 > 500


@pytest.mark.skipif(INSTALLED not in VERSIONS, reason=f"recorded with {', '.join(VERSIONS)}")
@pytest.mark.skipif(
    INSTALLED == "1.4.1" and sys.version_info < (3, 10),
    reason="recorded with Python 3.12; from 3.10 on, Python reads literals with leading spaces",
)
def test_the_recorded_answers_are_those_of_the_real_prefect(real):
    """The installed Prefect gives the flow the recorded values."""
    assert [answers(real, case) for case in CASES] == [case["answers"][INSTALLED] for case in CASES]


@pytest.mark.parametrize("version", VERSIONS)
def test_the_plan_stores_what_the_legacy_flow_got(version):
    """Each value comes back unchanged, or the plan describes the change; no change is described without one."""
    for case, plan in plans(version):
        items = {item.old: item for item in plan.items if item.kind == BLOCK}
        answered = case["answers"][version]
        assert items.keys() == answered.keys()
        for name, recorded in answered.items():
            item = items[name]
            unchanged = item.stored is not None and is_same(recorded, decode(item.stored.data))
            assert unchanged == (item.stored is not None and not item.changes), (case["toml"], name)
            assert is_plain(recorded) or item.changes or item.problem


@pytest.mark.slow
@pytest.mark.skipif(INSTALLED != project.VERSION, reason=f"the project runs on Prefect {project.VERSION}")
def test_the_flow_of_the_project_on_the_real_prefect(tmp_path):
    """The flow of the project gets the values that its migrated flow gets on the real server of Prefect 3."""
    (tmp_path / ".prefect").mkdir()
    (tmp_path / ".prefect" / "config.toml").write_text(project.CONFIG)
    (tmp_path / "flow.py").write_text(project.FLOW)
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    environ = {**kept, "HOME": str(tmp_path), "PYTHONPATH": str(tmp_path)}
    command = [sys.executable, "-c", RUN_PROJECT]
    done = subprocess.run(command, env=environ, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    line = next(line for line in done.stdout.splitlines() if line.startswith("result "))
    assert json.loads(line[7:]) == [project.REPORT, "the-bucket"]
