"""Flow runs in this process: the real ``prefect execute flow-run`` runs the flow object of the test.

That command loads the secrets of the flow's storage, loads the flow from the storage and runs it with the real
CloudFlowRunner. The storage is Prefect's ``Module``, with a module that holds the flow object, so nothing is pickled.
"""

from __future__ import annotations

import sys
from contextlib import contextmanager
from types import ModuleType
from typing import TYPE_CHECKING, Any, Iterator, Mapping, Optional, Sequence
from uuid import uuid4

from pytest_flowsecrets.errors import RouteUnavailable
from pytest_flowsecrets.names import FLOW_ID, FLOW_RUN_ID, PREFIX

if TYPE_CHECKING:
    from pytest_flowsecrets.agents.variable_origins import FlowEnvironment
    from pytest_flowsecrets.backend.runs.flow_run import Api

# A thread sends the heartbeats of a run in this process. A child process would continue after this one is killed.
_HEARTBEAT = {f"{PREFIX}CLOUD__HEARTBEAT_MODE": "thread"}


def storage_in_process(flow: Any) -> Any:
    """Return a storage with a new module name, and with the secrets and labels of the flow's own storage.

    Raises:
        RouteUnavailable: the installed Prefect is older than 0.14.7, which brought ``Module``.
    """
    try:
        from prefect.storage import Module
    except ImportError:
        raise RouteUnavailable("runs in this process require Prefect 0.14.7 or later") from None

    own = flow.storage
    options = {} if own is None else {"secrets": list(own.secrets), "labels": list(own.labels)}
    storage = Module(f"pytest_flowsecrets_flow_{uuid4().hex}", **options)
    storage.add_flow(flow)
    return storage


def run_in_process(
    api: Api, flow: Any, storage: Any, run: Any, agent_env: Optional[Mapping[str, str]]
) -> FlowEnvironment:
    """Run a flow in the environment that a LocalAgent sets, and send its logs at the end.

    Args:
        api: the API of the flow run.
        flow: the flow.
        storage: the result of ``storage_in_process`` with which the flow is registered.
        run: the flow run in the form that agents receive, with its ids and its run config.
        agent_env: the variables of the agent's ``--env``.

    Returns:
        The environment of the flow run, with origins.
    """
    from prefect.utilities.logging import LOG_MANAGER

    from pytest_flowsecrets.agents.agent_environment import agent_environment

    with api.isolation.overlay(api.agent_variables()):
        env = agent_environment("local", run_config=run.run_config, agent_env=agent_env)
        _mark_as_submitted(run.id)
        ids = {FLOW_RUN_ID: run.id, FLOW_ID: run.flow.id}
        with api.isolation.overlay({**_HEARTBEAT, **env, **ids}):
            try:
                with _importable(storage.module, flow), _secrets_restored(storage.secrets):
                    _execute(api, run.id)
            finally:
                LOG_MANAGER.stop()
                LOG_MANAGER._stopped.clear()  # noqa: SLF001 - otherwise it would never send logs again
    return env


def _mark_as_submitted(run_id: str) -> None:
    """Set the state Submitted, as an agent does before it deploys a flow run. The run may read secrets from now on."""
    from prefect import Client
    from prefect.engine.state import Submitted

    client = Client()
    info = client.get_flow_run_info(run_id)
    state = Submitted(message="Submitted for execution", state=info.state)
    client.set_flow_run_state(flow_run_id=run_id, version=info.version, state=state)


def _execute(api: Api, run_id: str) -> None:
    """Run the command ``prefect execute flow-run``, which reads the id of the flow run from the context."""
    from prefect.cli.execute import flow_run

    try:
        flow_run.callback()
    except Exception:
        # The command has set the state Failed with the text of the error, and its process would exit with status 1.
        if (api.world.store.get("flow_run", run_id) or {}).get("state") != "Failed":
            raise


@contextmanager
def _importable(name: str, flow: Any) -> Iterator[None]:
    """Make a module importable that holds the flow."""
    module = ModuleType(name)
    module.flow = flow  # type: ignore[attr-defined]
    sys.modules[name] = module
    try:
        yield
    finally:
        sys.modules.pop(name, None)


@contextmanager
def _secrets_restored(names: Sequence[str]) -> Iterator[None]:
    """Restore these secrets of the context, because the command writes them into the table of the test."""
    import prefect

    table = prefect.context.get("secrets", {})
    if not hasattr(table, "keys"):  # the command fails
        table = {}
    before = {name: table[name] for name in names if name in table}
    try:
        yield
    finally:
        for name in names:
            table.pop(name, None)
        table.update(before)
