"""A tenant (team) of a fake Prefect Cloud: its keys, its secrets, its client, its flow runs."""

from __future__ import annotations

import uuid
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Iterator, Optional, Protocol

from pytest_flowsecrets.backend.cloud_secrets import CloudSecrets
from pytest_flowsecrets.backend.records.keys import RUNNER, USER
from pytest_flowsecrets.backend.records.store import slugify
from pytest_flowsecrets.backend.runs.executing import Runs
from pytest_flowsecrets.clock import as_moment
from pytest_flowsecrets.errors import UsageError

if TYPE_CHECKING:
    from pytest_flowsecrets.backend.request_context import Service
    from pytest_flowsecrets.clock import When
    from pytest_flowsecrets.isolation.env_overlays import Variables
    from pytest_flowsecrets.isolation.stack import Isolation


class Cloud(Protocol):
    """The API of a tenant; ``FakeCloud`` is one."""

    @property
    def world(self) -> Service:
        """Its rows, keys and secrets."""

    @property
    def innermost(self) -> Isolation:
        """The isolation that counts now."""

    def client_for(self, key: Optional[str], tenant_id: Optional[str]) -> Any:
        """A new ``prefect.Client`` with this key and tenant."""

    def variables(self, key: Optional[str], tenant_id: Optional[str]) -> Variables:
        """The variables by which Prefect talks to it with a key."""


class Tenant:
    """A tenant of a fake Prefect Cloud. ``FakeCloud.add_tenant`` makes one.

    Attributes:
        id: as in ``X-PREFECT-TENANT-ID``.
        name: as it was given.
        slug: the name as it stands in addresses.
        user_id: the person whose key ``user_key`` is.
        user_key: a key of scope USER: sets secrets, registers flows, reads no secret.
        runner_key: a key of scope RUNNER, as agents have it: reads secrets while a flow run is Running.
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
        """A new ``prefect.Client`` of the installed Prefect with the USER key of this tenant.

        Raises:
            PrefectNotInstalled: there is none.
        """
        return self._cloud.client_for(self.user_key, self.id)

    def create_key(self, scope: str = USER, *, name: str = "", expires_at: Optional[When] = None) -> str:
        """A new key of this tenant.

        Args:
            scope: ``USER`` or ``RUNNER``.
            name: what ``prefect auth list-keys`` shows.
            expires_at: from then on it is good for nothing; a time as for ``CloudSecrets.set``.

        Raises:
            UsageError: there is no such scope, or ``expires_at`` is no time.
        """
        if scope not in (USER, RUNNER):
            raise UsageError(f"scope={scope!r}: the scope of a key is {USER!r} or {RUNNER!r}")
        owner = self.user_id if scope == USER else self._service_account_id
        until = None if expires_at is None else as_moment(expires_at)
        return self._cloud.world.keyring.issue((self.id,), scope, user_id=owner, name=name, expires_at=until).key

    def replace_keys(self, user_key: Optional[str] = None, runner_key: Optional[str] = None) -> None:
        """Use these texts as ``user_key`` and ``runner_key`` instead of the random ones, which are revoked."""
        issue, revoke = self._cloud.world.keyring.issue, self._cloud.world.keyring.revoke_text
        if user_key is not None:
            revoke(self.user_key)
            self.user_key = issue((self.id,), USER, user_id=self.user_id, name="fixed", text=user_key).key
        if runner_key is not None:
            revoke(self.runner_key)
            owner = self._service_account_id
            self.runner_key = issue((self.id,), RUNNER, user_id=owner, name="fixed", text=runner_key).key

    def revoke(self, key: str) -> None:
        """Let a key be good for nothing from now on.

        Raises:
            UsageError: it is none of this API's.
        """
        if not self._cloud.world.keyring.revoke_text(key):
            raise UsageError("this is no key of this API, or it was revoked before")

    @contextmanager
    def executing(self) -> Iterator[str]:
        """Be inside a flow run of this tenant that is Running; its id is the value.

        The isolation that counts has for so long what an agent gives to the process of a flow run: the RUNNER key,
        ``use_local_secrets = false``, the ids of flow and run in ``prefect.context``. All threads and child processes
        see it. So ``Secret("X").get()`` reads from the API (from 0.7.0 on only where no local secret has that name;
        before, always). Such times can be nested and left in any order. The run ends as Success, or as Failed where an
        exception leaves it.

        Raises:
            UsageError: the API does not know this tenant any more.
        """
        cloud = self._cloud
        with self._runs.running() as (run_id, variables), cloud.innermost.overlay(
            {**cloud.variables(self.runner_key, self.id), **variables}
        ):
            yield run_id
