"""A tenant (team) of a fake Prefect Cloud, with its keys, secrets, client and flow runs.

``flow_run()`` creates project, flow, run and states with operations of the API, as clients do. Its block has the
settings that an agent passes to the process of a flow run: the agent's key, ``use_local_secrets = false``, and the ids
of run and flow in the context.
"""

from __future__ import annotations

import uuid
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ContextManager, Dict, Iterator, Mapping, Optional, Protocol, Tuple

from pytest_flowsecrets.backend.cloud_secrets import CloudSecrets
from pytest_flowsecrets.backend.messages import Operation
from pytest_flowsecrets.backend.records.keys import RUNNER, USER, Caller
from pytest_flowsecrets.backend.records.states import is_a
from pytest_flowsecrets.backend.records.store import slugify
from pytest_flowsecrets.clock import as_moment
from pytest_flowsecrets.errors import UsageError
from pytest_flowsecrets.names import FLOW_ID, FLOW_RUN_ID, USE_LOCAL_SECRETS
from pytest_flowsecrets.options import warn_renamed

if TYPE_CHECKING:
    from pytest_flowsecrets.backend.request_context import Service
    from pytest_flowsecrets.clock import When
    from pytest_flowsecrets.isolation.legacy_isolation import LegacyIsolation, Variables


class Cloud(Protocol):
    """The API of a tenant; ``FakeCloud`` implements it."""

    @property
    def world(self) -> Service:
        """The rows, keys and secrets of the API."""

    @property
    def innermost(self) -> LegacyIsolation:
        """The active isolation."""

    def client_for(self, key: Optional[str], tenant_id: Optional[str]) -> Any:
        """Return a new ``prefect.Client`` with a key and a tenant."""

    def variables(self, key: Optional[str], tenant_id: Optional[str]) -> Variables:
        """Return the variables that configure Prefect for this API and a key."""


class Tenant:
    """A tenant of a fake Prefect Cloud. ``FakeCloud.add_tenant`` creates it.

    Attributes:
        id: the id, as in ``X-PREFECT-TENANT-ID``.
        name: the name.
        slug: the form of the name that is used in URLs.
        user_id: the id of the user that owns ``user_key``.
        user_key: a key of scope USER, which can set secrets and register flows, but cannot read secrets.
        runner_key: a key of scope RUNNER, as agents have. It can read secrets while a flow run is Submitted or
            Running.
        secrets: the tenant's secrets, a CloudSecrets.
    """

    def __init__(self, cloud: Cloud, name: str, user_id: Optional[str] = None) -> None:
        self._cloud = cloud
        world = cloud.world
        self.id, self.name, self.slug = str(uuid.uuid4()), name, slugify(name)
        world.store.add("tenant", id=self.id, tenant_id=self.id, name=name, slug=self.slug)
        self.user_id = self._add_user(f"user-of-{self.slug}") if user_id is None else self._join(user_id)
        self._service_account_id = self._add_user(f"agents-of-{self.slug}")
        self.user_key = self.create_key(USER, name="of the fixture")
        self.runner_key = self.create_key(RUNNER, name="of the agents")
        self.secrets = CloudSecrets(world.vault, self.id)
        self._runs = Runs(world, self.id)

    def _add_user(self, username: str) -> str:
        store = self._cloud.world.store
        user = store.add("user", tenant_id=self.id, username=username)
        membership = store.add("membership", tenant_id=self.id, user_id=user["id"])
        return str(store.change("user", user["id"], default_membership_id=membership["id"])["id"])

    def _join(self, user_id: str) -> str:
        self._cloud.world.store.add("membership", tenant_id=self.id, user_id=user_id)
        self._cloud.world.keyring.admit(user_id, self.id)
        return user_id

    def __repr__(self) -> str:
        return f"<Tenant {self.name!r} {self.id}>"

    @property
    def client(self) -> Any:
        """A new ``prefect.Client`` of the installed Prefect, with the USER key of this tenant.

        Raises:
            PrefectNotInstalled: Prefect is not installed.
        """
        return self._cloud.client_for(self.user_key, self.id)

    def create_key(self, scope: str = USER, *, name: str = "", expires_at: Optional[When] = None) -> str:
        """Create a key of this tenant, and return it.

        Args:
            scope: ``USER`` or ``RUNNER``.
            name: the name that ``prefect auth list-keys`` shows.
            expires_at: the time from which on the key is not valid, in a format that ``CloudSecrets.set`` accepts.

        Raises:
            UsageError: the scope does not exist, or ``expires_at`` is not a valid time.
        """
        if scope not in (USER, RUNNER):
            raise UsageError(f"scope={scope!r}: the scope of a key must be {USER!r} or {RUNNER!r}")
        owner = self.user_id if scope == USER else self._service_account_id
        end = None if expires_at is None else as_moment(expires_at)
        return self._cloud.world.keyring.issue((self.id,), scope, user_id=owner, name=name, expires_at=end).key

    def replace_keys(self, user_key: Optional[str] = None, runner_key: Optional[str] = None) -> None:
        """Revoke the random ``user_key`` and ``runner_key``, and use these texts instead."""
        issue, revoke = self._cloud.world.keyring.issue, self._cloud.world.keyring.revoke_text
        if user_key is not None:
            revoke(self.user_key)
            self.user_key = issue((self.id,), USER, user_id=self.user_id, name="fixed", text=user_key).key
        if runner_key is not None:
            revoke(self.runner_key)
            owner = self._service_account_id
            self.runner_key = issue((self.id,), RUNNER, user_id=owner, name="fixed", text=runner_key).key

    def revoke(self, key: str) -> None:
        """Revoke a key.

        Raises:
            UsageError: the API does not have the key.
        """
        if not self._cloud.world.keyring.revoke_text(key):
            raise UsageError("this key does not belong to this API, or it has already been revoked")

    def executing(self) -> ContextManager[str]:
        """Return ``flow_run()``. Deprecated."""
        warn_renamed("executing()", "flow_run()")
        return self.flow_run()

    @contextmanager
    def flow_run(self) -> Iterator[str]:
        """Execute the block inside a Running flow run of this tenant, and yield the id of the run.

        In the block, the active isolation has the settings that an agent passes to the process of a flow run: the
        RUNNER key, ``use_local_secrets = false``, and the ids of flow and run in ``prefect.context``. All threads and
        child processes see them, so ``Secret("X").get()`` reads from the API. (From 0.7.0 on, a local secret with the
        same name takes precedence.) Blocks can be nested and left in any order. The run ends as Success, or as Failed
        if the block raises.

        Raises:
            UsageError: the tenant has been deleted.
        """
        cloud = self._cloud
        with self._runs.running() as (run_id, variables), cloud.innermost.overlay(
            {**cloud.variables(self.runner_key, self.id), **variables}
        ):
            yield run_id


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
