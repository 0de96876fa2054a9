"""Flows for real agents. The processes of flow runs import this module."""

from __future__ import annotations

import datetime as dt
import os
import time

import prefect
from prefect import Flow, Parameter, task
from prefect.run_configs import LocalRun
from prefect.storage import Module
from prefect.tasks.secrets import PrefectSecret


@task
def check(secret, x):
    """Log the length of the secret, and whether the variable of the run config exists."""
    prefect.context.logger.info("%d letters, %s", len(secret), os.environ.get("FROM_RUN_CONFIG"))
    return x


@task
def double(number):
    return 2 * number


@task(task_run_name="sum of {numbers}")
def total(numbers):
    return sum(numbers)


@task(max_retries=1, retry_delay=dt.timedelta(seconds=0))
def flaky():
    if prefect.context.task_run_count == 1:
        raise ValueError("the first time")


@task
def endless():
    while True:
        time.sleep(0.05)


def stored(flow):
    flow.storage, flow.run_config = Module("tests.agent_flows"), LocalRun(env={"FROM_RUN_CONFIG": "yes"})
    return flow


with Flow("short") as short:
    check(PrefectSecret("MY_SECRET"), Parameter("x", default=1))
    total(double.map([1, 2, 3]))
    flaky()
with Flow("long") as long:
    endless()
stored(short)
stored(long)
