"""A flow run that is Running, with the test inside it: ``prefect_cloud.executing()``.

The run is a real one: project, flow, run and its states are made by the API's own operations, as clients make them. The
test then has what an agent gives to the process of a flow run: the agent's key, ``use_local_secrets = false``, and the
ids of run and flow in the context.
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
    """Flow runs of one tenant, made without an agent.

    Args:
        world: the API.
        tenant_id: whose runs.
    """

    def __init__(self, world: Service, tenant_id: str) -> None:
        self._world, self._caller = world, Caller(tenant_id, tenant_ids=(tenant_id,))
        self._flow_id = ""

    @contextmanager
    def running(self) -> Iterator[Tuple[str, Dict[str, str]]]:
        """A flow run that is Running inside, and Success or Failed afterwards: its id and its variables."""
        run_id = self._ask("create_flow_run", flow_id=self._flow())["id"]
        self._set(run_id, "Running")
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
        if self._world.store.get("flow", self._flow_id) is None:  # the first time, or the test has deleted it
            name = f"pytest-flowsecrets {uuid.uuid4().hex[:8]}"
            project = self._ask("create_project", name=name, tenant_id=self._caller.tenant_id)
            self._flow_id = self._ask("create_flow", project_id=project["id"], serialized_flow=_FLOW)["id"]
        return self._flow_id

    def _end(self, run_id: str, state: str) -> None:
        """Unless somebody else has ended or deleted the run."""
        row = self._world.store.get("flow_run", run_id)
        if row is not None and not is_a(row["state"], "Finished"):
            self._set(run_id, state)

    def _set(self, run_id: str, state: str) -> None:
        given = {"flow_run_id": run_id, "state": {"type": state}}
        self._ask("set_flow_run_states", answer="states { status }", states=[given])

    def _ask(self, mutation: str, *, answer: str = "id", **given: Any) -> Mapping[str, Any]:
        document = f"mutation($input: {mutation}_input!) {{ {mutation}(input: $input) {{ {answer} }} }}"
        done = self._world.execute(Operation(document, {"input": given}), self._caller)
        if done.errors:
            raise UsageError(f"the fake API refused {mutation}, so there is no run: {done.errors[0]['message']}")
        found: Mapping[str, Any] = done.data[mutation]
        return found
