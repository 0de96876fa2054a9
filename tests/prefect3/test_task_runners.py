"""Secrets in tasks that run in threads, in processes and on a Dask cluster."""

from __future__ import annotations

import os

import pytest
from prefect import flow, task, task_runners
from prefect.blocks.system import Secret

from pytest_flowsecrets.versions import installed_version

NUMBERS = [1, 2, 3]


@task
def read(number):
    return number, Secret.load("token").get(), os.getpid()


@flow
def report():
    return [future.result() for future in [read.submit(number) for number in NUMBERS]]


@flow
def report_mapped():
    return [future.result() for future in read.map(NUMBERS)]


def runner(name):
    """Return a task runner, or skip the test if this Prefect has none of this name."""
    if name == "DaskTaskRunner":
        dask = pytest.importorskip("prefect_dask", reason="it needs prefect-dask")
        return dask.DaskTaskRunner(cluster_kwargs={"n_workers": 1, "threads_per_worker": 2, "dashboard_address": None})
    if not hasattr(task_runners, name):
        pytest.skip(f"Prefect {installed_version()} has no {name}")
    return getattr(task_runners, name)()


@pytest.mark.slow
@pytest.mark.secrets(TOKEN="hidden-token")
@pytest.mark.parametrize("kind", [report, report_mapped], ids=["submit", "map"])
@pytest.mark.parametrize(
    ("name", "other_process"),
    [
        ("ConcurrentTaskRunner", False),
        ("ThreadPoolTaskRunner", False),
        ("ProcessPoolTaskRunner", True),
        ("DaskTaskRunner", True),
    ],
)
def test_tasks_read_the_secret_of_the_test(prefect_server, name, other_process, kind):
    """Each task reads the secret of the test, wherever it runs, and the API has its run."""
    results = kind.with_options(task_runner=runner(name))()
    assert sorted(result[:2] for result in results) == [(number, "hidden-token") for number in NUMBERS]
    assert (os.getpid() not in {result[2] for result in results}) == other_process
    assert [run["state_type"] for run in prefect_server.task_runs] == ["COMPLETED"] * len(NUMBERS)
    prefect_server.assert_never_received("TOKEN")
