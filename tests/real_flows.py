"""Flows that the installed Prefect, of any version, registers with a fake API."""

from __future__ import annotations

from inspect import signature

import pytest

from tests.compat import VERSION


def two_tasks(name="f", **arguments):
    """Return a flow with ``add(x)`` and ``show(…)``, and a parameter x with the default 1."""
    from prefect import Flow, Parameter, task

    @task
    def add(x):
        return x + 1

    @task
    def show(x):
        return x

    with Flow(name, **arguments) as flow:
        show(add(Parameter("x", default=1)))
    return stored(flow)


def stored(flow):
    """Give a flow a storage that needs no file, if the version has one."""
    if VERSION >= (0, 14):
        from prefect.run_configs import UniversalRun
        from prefect.storage import Module

        flow.storage, flow.run_config = Module("tests.real_flows"), UniversalRun(labels=["here"])
    elif VERSION >= (0, 6, 5):
        from prefect.environments.storage import Local

        flow.storage = Local()
        flow.storage.add_flow(flow)
    return flow


def register(client, flow, project="p", **arguments):
    """Register a flow with the method of the installed version, and return its id."""
    method = client.register if hasattr(client, "register") else client.deploy
    known = signature(method).parameters
    given = {"build": False, "no_url": True, **arguments}
    return method(flow, project_name=project, **{name: value for name, value in given.items() if name in known})


def _can_register():
    if VERSION is None:
        return False
    from importlib import metadata

    return VERSION >= (0, 6) or metadata.version("marshmallow").startswith("3.0.0rc")


registers = pytest.mark.skipif(not _can_register(), reason="Prefect 0.5 writes flows with marshmallow 3.0.0rc6 only")
