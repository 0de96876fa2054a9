"""``FakeCloud`` and ``FakeServer``: the fake Prefect APIs themselves. What they share stands in ``fake_api``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable, ContextManager, List, Mapping, Optional

from pytest_flowsecrets.backend.fake_api import FakeApi
from pytest_flowsecrets.backend.records.store import slugify
from pytest_flowsecrets.backend.tenant import Tenant
from pytest_flowsecrets.errors import UsageError
from pytest_flowsecrets.isolation.safe_errors import hide_arguments
from pytest_flowsecrets.names import API_KEY, AUTH_TOKEN, BACKEND, CLOUD_API, PREFIX, TENANT_ID
from pytest_flowsecrets.versions import release_of

if TYPE_CHECKING:
    from pytest_flowsecrets.backend.cloud_secrets import CloudSecrets
    from pytest_flowsecrets.isolation.env_overlays import Variables

_HAS_KEYS, _HAS_SERVER = (0, 15, 0), (0, 10, 0)  # the Prefect from which on there are API keys, and there is Server
# After 429 the client of 1.x sleeps for three minutes and more, unless it is told to do otherwise. There is no such
# setting for its other waits: see `retry_waits`, which works in this process; these go to children, too.
_IMPATIENT = {
    f"{PREFIX}CLOUD__RATE_LIMITING__BACKOFF_S": "0",
    f"{PREFIX}CLOUD__RATE_LIMITING__BACKOFF_MULTIPLIER": "0",
}


class FakeCloud(FakeApi):
    """A fake Prefect Cloud: write-only secrets, keys, tenants, projects, flows and runs.

    Inside, ``prefect.Client()`` of this process and of its children talks to it with a key of scope USER.

    Args:
        secrets: secrets of the first tenant.

    Raises:
        UsageError: ``secrets`` is no mapping, or a name or value in it cannot be a secret's.

    Attributes:
        tenant: the first tenant; ``secrets``, ``client`` and ``executing()`` are its own.
    """

    backend = "cloud"

    @hide_arguments
    def __init__(self, secrets: Optional[Mapping[str, Any]] = None) -> None:
        if not isinstance(secrets, (Mapping, type(None))):
            raise UsageError(f"FakeCloud takes a mapping of names and values, not {type(secrets).__name__}")
        super().__init__()
        self._tenants: List[Tenant] = []
        self.tenant = self.add_tenant("flowsecrets")
        for name, value in (secrets or {}).items():
            self.secrets.set(name, value)

    def _variables(self) -> Variables:
        return self.variables(self.tenant.user_key, self.tenant.id)

    def variables(self, key: Optional[str], tenant_id: Optional[str]) -> Variables:
        """The variables by which Prefect talks to this API with a key."""
        version = self.isolation.legacy.version if self.isolation.legacy else self.isolation.version
        has_keys = release_of(version) >= _HAS_KEYS
        return {
            BACKEND: "cloud",
            CLOUD_API: self.url,
            API_KEY: key if has_keys else None,
            TENANT_ID: tenant_id if has_keys else None,
            AUTH_TOKEN: None if has_keys else key,
            **_IMPATIENT,
        }

    def agent_variables(self) -> Variables:
        """The variables by which an agent of the first tenant talks to this API: with a key of scope RUNNER."""
        return self.variables(self.tenant.runner_key, self.tenant.id)

    @property
    def secrets(self) -> CloudSecrets:
        """The secrets of the first tenant."""
        return self.tenant.secrets

    @property
    def client(self) -> Any:
        """A new ``prefect.Client`` with the USER key of the first tenant; see ``Tenant.client``."""
        return self.tenant.client

    def executing(self) -> ContextManager[str]:
        """Be inside a flow run of the first tenant that is Running; see ``Tenant.executing``."""
        return self.tenant.executing()

    def add_tenant(self, name: str, *, shared: bool = False) -> Tenant:
        """A further tenant (team), with keys, client and secrets of its own.

        Args:
            name: text with a letter or a digit; its slug, as ``prefect auth switch-tenants --slug`` takes it, is in use
                by no other tenant.
            shared: whether the user of the first tenant belongs to this one, too, so that ``prefect auth
                switch-tenants`` can switch to it.

        Raises:
            UsageError: this cannot be its name.
        """
        slug = slugify(name) if isinstance(name, str) else ""
        if not slug:
            raise UsageError(f"{name!r}: the name of a tenant is text with a letter or a digit in it")
        if any(tenant.slug == slug for tenant in self._tenants):
            raise UsageError(f"there is a tenant {slug!r} already: choose another name than {name!r}")
        tenant = Tenant(self, name, self.tenant.user_id if shared else None)
        self._tenants.append(tenant)
        return tenant

    def logged_out(self) -> ContextManager[None]:
        """Take the key out of the configuration for a while, as before ``prefect auth login``.

        A key that is configured forbids the ``prefect auth`` commands to log in and out and to switch tenants.
        """
        return self.innermost.overlay(self.variables(None, None))

    def _finders(self, name: str) -> List[Callable[[str], bool]]:
        found = (self.world.vault.finder(tenant.id, name) for tenant in self._tenants)
        return [*super()._finders(name), *(finds for finds in found if finds)]


class FakeServer(FakeApi):
    """A fake Prefect Server: projects, flows and runs, no keys, and no secrets: those are local ones.

    Inside, ``prefect.Client()`` of this process and of its children talks to it. It needs Prefect 0.10.0 or later.
    """

    backend = "server"

    def __init__(self) -> None:
        super().__init__()
        row = self.world.store.add("tenant", name="default", slug="default")
        self.world.store.change("tenant", row["id"], tenant_id=row["id"])

    def _variables(self) -> Variables:
        legacy = self.isolation.legacy
        if legacy and release_of(legacy.version) < _HAS_SERVER:
            raise UsageError(
                f"Prefect {legacy.version} knows no Prefect Server, which came with 0.10.0: use prefect_cloud"
            )
        return {
            BACKEND: "server",
            f"{PREFIX}SERVER__ENDPOINT": self.url,
            CLOUD_API: self.url,
            API_KEY: None,
            TENANT_ID: None,
            AUTH_TOKEN: None,
            **_IMPATIENT,
        }

    @property
    def client(self) -> Any:
        """A new ``prefect.Client`` of the installed Prefect.

        Raises:
            PrefectNotInstalled: there is none.
        """
        return self.client_for(None, None)
