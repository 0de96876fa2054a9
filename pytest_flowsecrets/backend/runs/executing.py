"""Run a block of a test inside a Running flow run: ``prefect_cloud.executing()``.

Project, flow, run and states are created with operations of the API, as clients do. The block then has the settings
that an agent passes to the process of a flow run: the agent's key, ``use_local_secrets = false``, and the ids of run
and flow in the context.
"""

from __future__ import annotations

import uuid
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Dict, Iterator, Mapping, Tuple

from pytest_flowsecrets.backend.messages import Operation
from pytest_flowsecrets.backend.records.keys import Caller
from pytest_flowsecrets.backend.records.states import is_a
from pytest_flowsecrets.errors import UsageError
from pytest_flowsecrets.names import FLOW_ID, FLOW_RUN_ID, USE_LOCAL_SECRETS

if TYPE_CHECKING:
    from pytest_flowsecrets.backend.request_context import Service

_FLOW = {"name": "pytest-flowsecrets", "type": "prefect.core.flow.Flow", "tasks": [], "edges": [], "parameters": []}


class Runs:
    """Creates flow runs of one tenant, without an agent.

    Args:
        world: the API.
        tenant_id: the id of the tenant.
    """

    def __init__(self, world: Service, tenant_id: str) -> None:
        self._world, self._caller = world, Caller(tenant_id, tenant_ids=(tenant_id,))
        self._flow_id = ""

    @contextmanager
    def running(self) -> Iterator[Tuple[str, Dict[str, str]]]:
        """Yield id and variables of a flow run that is Running in the block, and Success or Failed afterwards."""
        run_id = self._execute("create_flow_run", flow_id=self._flow())["id"]
        self._set_state(run_id, "Running")
        try:
            yield (
                run_id,
                {
                    FLOW_RUN_ID: run_id,
                    FLOW_ID: self._flow_id,
                    USE_LOCAL_SECRETS: "false",
                },
            )
        except BaseException:
            self._end(run_id, "Failed")
            raise
        self._end(run_id, "Success")

    def _flow(self) -> str:
        if self._world.store.get("flow", self._flow_id) is None:  # the first run, or the test has deleted the flow
            name = f"pytest-flowsecrets {uuid.uuid4().hex[:8]}"
            project = self._execute("create_project", name=name, tenant_id=self._caller.tenant_id)
            self._flow_id = self._execute("create_flow", project_id=project["id"], serialized_flow=_FLOW)["id"]
        return self._flow_id

    def _end(self, run_id: str, state: str) -> None:
        """Set the final state, unless the run is finished or has been deleted."""
        row = self._world.store.get("flow_run", run_id)
        if row is not None and not is_a(row["state"], "Finished"):
            self._set_state(run_id, state)

    def _set_state(self, run_id: str, state: str) -> None:
        entry = {"flow_run_id": run_id, "state": {"type": state}}
        self._execute("set_flow_run_states", selection="states { status }", states=[entry])

    def _execute(self, mutation: str, *, selection: str = "id", **inputs: Any) -> Mapping[str, Any]:
        document = f"mutation($input: {mutation}_input!) {{ {mutation}(input: $input) {{ {selection} }} }}"
        answer = self._world.execute(Operation(document, {"input": inputs}), self._caller)
        if answer.errors:
            raise UsageError(f"the fake API rejected {mutation}, so there is no run: {answer.errors[0]['message']}")
        payload: Mapping[str, Any] = answer.data[mutation]
        return payload
