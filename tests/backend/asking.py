"""Execute operations of a fake API without HTTP, as one of its tenants."""

from __future__ import annotations

import uuid

from pytest_flowsecrets.backend.graphql_service import GraphqlService
from pytest_flowsecrets.backend.messages import Operation
from pytest_flowsecrets.backend.records.keys import Caller
from pytest_flowsecrets.backend.resolvers.registration import decompress  # noqa: F401 - tests of flows use it


class Team:
    """A tenant of a world, with a project."""

    def __init__(self, backend="cloud", world=None, **world_arguments):
        self.world = world or GraphqlService(backend, **world_arguments)
        self.store = self.world.store
        self.id = self.store.add_tenant(f"team {uuid.uuid4()}")["id"]
        own = self.id if self.world.backend == "cloud" else None
        self.user = self.store.add("user", tenant_id=self.id, username="me")["id"]
        self.caller = Caller(own, "USER", str(uuid.uuid4()), self.user, None, (self.id,))
        self.runner = Caller(own, "RUNNER", str(uuid.uuid4()), str(uuid.uuid4()), None, (self.id,))

    def execute(self, document, variables=None, *, caller=None, **arguments):
        return self.world.execute(Operation(document, variables or {}, **arguments), caller or self.caller)

    def ask(self, document, variables=None, **arguments):
        """Execute an operation that must succeed, and return its data."""
        answer = self.execute(document, variables, **arguments)
        assert not answer.errors, answer.errors
        return answer.data

    def refused(self, document, variables=None, **arguments):
        """Execute an operation that must fail, and return its only error."""
        answer = self.execute(document, variables, **arguments)
        (error,) = answer.errors
        return error

    def do(self, mutation, answer="id", **inputs):
        """Execute a mutation with its input as a variable, as clients do."""
        return self.ask(_mutation(mutation, answer), {"input": inputs})[mutation]

    def cannot(self, mutation, answer="id", **inputs):
        """Execute a mutation that must fail, and return its error."""
        return self.refused(_mutation(mutation, answer), {"input": inputs})

    def one(self, field):
        """Return the only row of a query."""
        (rows,) = self.ask("{ %s }" % field).values()
        (row,) = rows
        return row

    def project(self, name="p"):
        return self.do("create_project", name=name, tenant_id=self.id)["id"]

    def flow(self, project=None, *, name="f", tasks=("a", "b"), **more):
        """Register a flow whose edges connect each task with the next one, and return it."""
        inputs = {key: more.pop(key) for key in ("idempotency_key", "version_group_id") if key in more}
        return self.do(
            "create_flow", project_id=project or self.project(), serialized_flow=flow(name, tasks, **more), **inputs
        )["id"]

    def run(self, flow_id=None, **inputs):
        return self.do("create_flow_run", flow_id=flow_id or self.flow(), **inputs)["id"]

    def state(self, run_id, kind, version=None, *, table="flow_run", **more):
        state = {"type": kind, "message": f"is {kind}", **more}
        entry = {f"{table}_id": run_id, "version": version, "state": state}
        return self.do(f"set_{table}_states", "states { id status message }", states=[entry])["states"][0]


def _mutation(name, answer):
    return "mutation($input: %s_input!) { %s(input: $input) { %s } }" % (name, name, answer)


def flow(name="f", tasks=("a", "b"), **more):
    """Return a serialized flow."""
    return {
        "name": name,
        "type": "prefect.core.flow.Flow",
        "__version__": "1.4.1",
        "parameters": [],
        "tasks": [{"name": task, "slug": f"{task}-1", "type": "t", "tags": []} for task in tasks],
        "edges": [
            {"upstream_task": {"slug": f"{one}-1"}, "downstream_task": {"slug": f"{two}-1"}, "key": "x"}
            for one, two in zip(tasks, tasks[1:])
        ],
        **more,
    }
