"""``FakeCloud`` and ``FakeServer``. Their common part is in ``fake_api``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable, ContextManager, List, Mapping, Optional

from pytest_flowsecrets.backend.fake_api import FakeApi
from pytest_flowsecrets.backend.records.store import slugify
from pytest_flowsecrets.backend.tenant import Tenant
from pytest_flowsecrets.errors import UsageError
from pytest_flowsecrets.isolation.safe_errors import hide_arguments
from pytest_flowsecrets.names import API_KEY, AUTH_TOKEN, BACKEND, CLOUD_API, PREFIX, TENANT_ID
from pytest_flowsecrets.options import warn_renamed
from pytest_flowsecrets.versions import release_of

if TYPE_CHECKING:
    from pytest_flowsecrets.backend.cloud_secrets import CloudSecrets
    from pytest_flowsecrets.isolation.legacy_isolation import Variables

_HAS_KEYS, _HAS_SERVER = (0, 15, 0), (0, 10, 0)  # the first releases with API keys and with Server
# After 429, the client of 1.x sleeps for three minutes or more unless configured otherwise. Its other waits have no
# setting: `retry_waits` skips them, but only in this process. These variables also affect child processes.
_NO_RATE_LIMIT_WAITS = {
    f"{PREFIX}CLOUD__RATE_LIMITING__BACKOFF_S": "0",
    f"{PREFIX}CLOUD__RATE_LIMITING__BACKOFF_MULTIPLIER": "0",
}


class FakeCloud(FakeApi):
    """A fake Prefect Cloud: write-only secrets, keys, tenants, projects, flows and runs.

    In the ``with`` block, ``prefect.Client()`` in this process and its children uses it with a key of scope USER.

    Args:
        secrets: the secrets of the first tenant.

    Raises:
        UsageError: ``secrets`` is not a mapping, or a name or value in it is not valid.

    Attributes:
        tenant: the first tenant. ``secrets``, ``client`` and ``flow_run()`` belong to it.
    """

    backend = "cloud"

    @hide_arguments
    def __init__(self, secrets: Optional[Mapping[str, Any]] = None) -> None:
        if not isinstance(secrets, (Mapping, type(None))):
            raise UsageError(f"FakeCloud takes a mapping of names to values, not {type(secrets).__name__}")
        super().__init__()
        self._tenants: List[Tenant] = []
        self.tenant = self.add_tenant("flowsecrets")
        for name, value in (secrets or {}).items():
            self.secrets.set(name, value)

    def _variables(self) -> Variables:
        return self.variables(self.tenant.user_key, self.tenant.id)

    def variables(self, key: Optional[str], tenant_id: Optional[str]) -> Variables:
        """Return the variables that configure Prefect for this API and a key."""
        version = self.isolation.legacy.version if self.isolation.legacy else self.isolation.version
        has_keys = release_of(version) >= _HAS_KEYS
        return {
            BACKEND: "cloud",
            CLOUD_API: self.url,
            API_KEY: key if has_keys else None,
            TENANT_ID: tenant_id if has_keys else None,
            AUTH_TOKEN: None if has_keys else key,
            **_NO_RATE_LIMIT_WAITS,
        }

    def agent_variables(self) -> Variables:
        """Return the variables that configure an agent of the first tenant, with a key of scope RUNNER."""
        return self.variables(self.tenant.runner_key, self.tenant.id)

    @property
    def secrets(self) -> CloudSecrets:
        """The secrets of the first tenant."""
        return self.tenant.secrets

    @property
    def client(self) -> Any:
        """A new ``prefect.Client`` with the USER key of the first tenant: see ``Tenant.client``."""
        return self.tenant.client

    def flow_run(self) -> ContextManager[str]:
        """Execute the block inside a Running flow run of the first tenant: see ``Tenant.flow_run``."""
        return self.tenant.flow_run()

    def executing(self) -> ContextManager[str]:
        """Return ``flow_run()``. Deprecated."""
        warn_renamed("executing()", "flow_run()")
        return self.flow_run()

    def add_tenant(self, name: str, *, shared: bool = False) -> Tenant:
        """Add another tenant (team), with its own keys, client and secrets.

        Args:
            name: a text with at least one letter or digit. Its slug, which ``prefect auth switch-tenants --slug``
                takes, must be unique.
            shared: whether the user of the first tenant also belongs to this one, so that ``prefect auth
                switch-tenants`` can switch to it.

        Raises:
            UsageError: the name is not valid, or its slug is in use.
        """
        slug = slugify(name) if isinstance(name, str) else ""
        if not slug:
            raise UsageError(f"{name!r}: the name of a tenant must be a text with at least one letter or digit")
        if any(tenant.slug == slug for tenant in self._tenants):
            raise UsageError(f"the tenant {slug!r} already exists: choose another name than {name!r}")
        tenant = Tenant(self, name, self.tenant.user_id if shared else None)
        self._tenants.append(tenant)
        return tenant

    def logged_out(self) -> ContextManager[None]:
        """Remove the key from the configuration in the block, as before ``prefect auth login``.

        While a key is configured, the ``prefect auth`` commands refuse to log in, log out and switch tenants.
        """
        return self.innermost.overlay(self.variables(None, None))

    def _finders(self, name: str) -> List[Callable[[str], bool]]:
        finders = (self.world.vault.finder(tenant.id, name) for tenant in self._tenants)
        return [*super()._finders(name), *filter(None, finders)]


class FakeServer(FakeApi):
    """A fake Prefect Server: projects, flows and runs. It has no keys and no secrets; flows use local secrets.

    In the ``with`` block, ``prefect.Client()`` in this process and its children uses it. It requires Prefect 0.10.0 or
    later.
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
                f"Prefect {legacy.version} does not support Prefect Server, which requires 0.10.0: use prefect_cloud"
            )
        return {
            BACKEND: "server",
            f"{PREFIX}SERVER__ENDPOINT": self.url,
            CLOUD_API: self.url,
            API_KEY: None,
            TENANT_ID: None,
            AUTH_TOKEN: None,
            **_NO_RATE_LIMIT_WAITS,
        }

    @property
    def client(self) -> Any:
        """A new ``prefect.Client`` of the installed Prefect.

        Raises:
            PrefectNotInstalled: Prefect is not installed.
        """
        return self.client_for(None, None)
