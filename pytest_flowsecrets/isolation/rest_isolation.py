"""An isolation of Prefect 2.20 or 3, whose secrets are blocks of a fake API."""

from __future__ import annotations

import os
from contextlib import ExitStack, contextmanager, nullcontext
from typing import TYPE_CHECKING, Any, Dict, Iterable, Iterator, List, Mapping

from pytest_flowsecrets.errors import UsageError
from pytest_flowsecrets.isolation import guards
from pytest_flowsecrets.isolation.guards import deferred_signals
from pytest_flowsecrets.isolation.prefect3.adapter import MAX_DRAIN_AFTER_END, RestPrefect, find_prefect
from pytest_flowsecrets.isolation.prefect3.api import Api, open_api
from pytest_flowsecrets.isolation.prefect3.blocks import BlockValueChanges, block_name, block_values
from pytest_flowsecrets.isolation.prefect3.flow_runs import mute, watch_flow_runs
from pytest_flowsecrets.isolation.prefect3.hidden_files import HiddenFiles
from pytest_flowsecrets.isolation.prefect3.home import RestHome, certificate_file
from pytest_flowsecrets.isolation.prefect3.settings import (
    URL,
    SettingsState,
    read_settings,
    secret_settings,
)
from pytest_flowsecrets.isolation.secrets.local_secrets import LocalSecrets
from pytest_flowsecrets.isolation.stack import Isolation
from pytest_flowsecrets.leaks.registry import register, registry
from pytest_flowsecrets.names import SECRETS_PREFIX
from pytest_flowsecrets.resolution.shown_names import masked_name, nearest_name

if TYPE_CHECKING:
    from typing import NoReturn

    from pytest_flowsecrets.resolution.display import Mask

_AUTH_STRING = "PREFECT_SERVER_API_AUTH_STRING"
_CERTIFICATES = "PREFECT_API_SSL_CERT_FILE"


class RestIsolation(Isolation):
    """One isolation. Call ``enter`` and ``exit`` only once.

    Args:
        of_test: whether the isolation belongs to a whole test. Other threads may then nest isolations inside it.
        server: ``fake`` or ``real``: the API that the isolation gives to Prefect.
        write_only: whether its fake APIs refuse reads of secrets outside flow runs from the start.

    Attributes:
        api: the API that Prefect uses.
    """

    prefect: RestPrefect
    api: Api
    _server: Api
    _files: HiddenFiles
    _outside: SettingsState

    def __init__(self, *, of_test: bool = False, server: str = "fake", write_only: bool = False) -> None:
        super().__init__("", of_test=of_test)
        self.write_only = write_only
        self._kind_of_server = server
        self._variables: Dict[str, str] = {}

    # -- enter and suspend --------------------------------------------------------------------------------------------

    @property
    def variables(self) -> Mapping[str, str]:
        """The variables that this isolation has set in ``os.environ``."""
        return self._variables

    def require_prefect(self, wanted_by: str) -> RestPrefect:  # noqa: ARG002 - always installed
        """Return the real Prefect."""
        return self.prefect

    def require_legacy(self, feature: str) -> NoReturn:
        """Raise an error, because this is another line of Prefect.

        Raises:
            UsageError: always. The error names the feature.
        """
        raise UsageError(f"{feature} is for Prefect 0.5.5 to 1.4.1, and Prefect {self.version} is installed")

    def _import_prefect(self) -> None:
        find_prefect()

    def _enter_prefect(self, secrets: Mapping[str, Any]) -> None:
        self.prefect = find_prefect()
        self.version = self.prefect.version
        self.prefect.drain()
        self._outside = SettingsState()
        self._undo.callback(self._restore_settings)
        self._undo.callback(self.scheduled_changes.end)
        self.home = RestHome(self._root, self.reload, has_settings_file=self.prefect.release >= (3, 1, 0))
        self.resources.enter_context(registry.folder(self.home.path))
        self.secrets = LocalSecrets(self, BlockValueChanges(self.prefect))
        self.api = self._server = open_api(
            self.version, auth_string=os.environ.get(_AUTH_STRING, ""), server=self._kind_of_server
        )
        self.api.attach(self)
        self._undo.callback(self.api.close)
        self._undo.enter_context(registry.text_source(self.api.texts))
        watch_flow_runs()
        self._undo.callback(self._drain)
        self._set_variables(self._private_settings())
        self._files = HiddenFiles(self.prefect.release, self.home.path)
        self._undo.callback(self._files.stop)
        self._set_variables(self.api.settings)
        self.reload()
        values = self.by_prefect_name(secrets)
        self.set_secrets(values)
        self.secrets.value_changes.record(values)

    def _restore_settings(self) -> None:
        """Restore the settings from before this isolation, also for runs that outlive it but without their reports."""
        outliving = self._api_has_runs() and mute(
            self.prefect.settings_context, self.api.url, self.api.ended_url, self.prefect.release
        )
        self._outside.restore()
        if outliving:
            self.prefect.drain()

    def _api_has_runs(self) -> bool:
        api = getattr(self, "api", None)  # an isolation that fails to begin has none
        return api is not None and api.has_unfinished_runs

    def _drain(self) -> None:
        """Let Prefect send what it has to the API, unless that has ended."""
        if self.api.has_ended:
            self.prefect.drain(MAX_DRAIN_AFTER_END)
        else:
            self.prefect.drain()

    def _private_settings(self) -> Dict[str, str]:
        settings = {
            "PREFECT_HOME": str(self.home.path),
            "PREFECT_PROFILES_PATH": str(self.home.path / "profiles.toml"),
        }
        if _CERTIFICATES not in os.environ:
            settings[_CERTIFICATES] = certificate_file(self._root.parent)
        return settings

    def _set_variables(self, variables: Mapping[str, str]) -> None:
        os.environ.update(variables)
        self._variables.update(variables)

    def _suspend_prefect(self, resuming: ExitStack) -> None:
        self.prefect.drain()
        inside = self.prefect.settings_context
        self._outside.restore()
        resuming.callback(self._restore, inside)

    def _restore(self, inside: Any) -> None:
        self.prefect.drain()
        self._outside = SettingsState()
        self._outside.apply(inside)

    # -- the API ------------------------------------------------------------------------------------------------------

    @contextmanager
    def using(self, api: Api) -> Iterator[None]:
        """Make Prefect use another API inside the ``with`` block. It takes over the secrets and the variables.

        At the end of the block, all inner isolations are exited. If this isolation has ended, nothing happens.
        """
        with deferred_signals(), guards.lock:
            self.require_current()
            previous = self.api
        try:
            with deferred_signals(), guards.lock:
                self.use(api)
                api.take_over(previous)
            yield
        finally:
            with deferred_signals(), guards.lock:
                if self.active:
                    self.exit_inner()
                    self.use(previous)

    @contextmanager
    def using_server(self) -> Iterator[Api]:
        """Make Prefect use the self-hosted server of this isolation inside the ``with`` block, and yield it."""
        with nullcontext() if self.api is self._server else self.using(self._server):
            yield self._server

    def use(self, api: Api) -> None:
        """Make Prefect use an API, with its current address and credentials."""
        self.prefect.drain()
        api.attach(self)
        for name in self.api.settings:
            os.environ.pop(name, None)
            self._variables.pop(name, None)
        self.api = api
        self._set_variables(api.settings)
        self.reload()

    # -- changes ------------------------------------------------------------------------------------------------------

    def reload(self, *_: str) -> None:
        """Let Prefect read its settings again from ``os.environ`` and the private home, and apply them."""
        with deferred_signals(), guards.lock:
            self.require_current()
            self._keep_private()
            self._files.hide()
            self._variables.update(self._files.variables)
            context = read_settings(self.prefect.release, self.home.path, self.api.url, self._files.unchanged())
            self._register_credentials(context)
            self._outside.apply(context)
            self._forkservers.renew()

    def _keep_private(self) -> None:
        """Keep ``~`` private, and let Prefect verify other servers with its usual certificates."""
        self._environment.keep_home()
        own = self._variables.get(_CERTIFICATES)
        if own and os.environ.get(URL) != self.api.url and os.environ.get(_CERTIFICATES) == own:
            del os.environ[_CERTIFICATES]

    @staticmethod
    def _register_credentials(context: Any) -> None:
        """Register the settings of type SecretStr, whether a variable, a profile or a file holds them."""
        for name, value in secret_settings(context.settings):
            register(name, value)

    @contextmanager
    def changing(self, *_: str) -> Iterator[RestIsolation]:
        """Yield this isolation for a change of secrets. Each change is complete when its call returns."""
        with deferred_signals(), guards.lock:
            self.require_current()
            yield self

    def set_secrets(self, values: Mapping[str, Any]) -> None:
        """Create or replace Secret blocks, by the names of the blocks."""
        stored = {name: self.prefect.encode(name, value) for name, value in values.items()}
        for name, value in values.items():
            register(name, value)
        if stored and not self.api.has_secret_type:
            self.prefect.register_secret_type()
        self.api.set_secrets(stored)

    def set_stored_texts(self, texts: Mapping[str, str]) -> None:
        """Replace the stored values of Secret blocks by texts, as the UI and the REST API store them."""
        self.api.set_secrets(texts)

    def remove_secrets(self, names: Iterable[str]) -> None:
        """Remove Secret blocks."""
        self.api.remove_secrets(names)

    def set_variables(self, values: Mapping[str, Any]) -> None:
        """Set variables in the API."""
        with deferred_signals(), guards.lock:
            self.require_current()
            self.api.set_variables(values)

    # -- reading ------------------------------------------------------------------------------------------------------

    def secret_name(self, name: str) -> str:
        """Return the name of the block of a secret."""
        return block_name(name)

    def by_prefect_name(self, values: Mapping[str, Any]) -> Dict[str, Any]:
        """Return secrets by the names of their blocks."""
        return block_values(values)

    def view(self) -> Dict[str, Any]:
        """Return the names of the Secret blocks with the stored values."""
        self.require_current()
        return self.api.secret_values()

    def read(self, name: str) -> Any:
        """Return the result of ``Secret.load(name).get()``, without a request that the API records."""
        return self.prefect.decode(self.view()[name])

    def use_local_secrets(self) -> bool:
        """Raise an error: these versions have no local secrets."""
        self.require_legacy("local_secrets.use_local_secrets")

    def explain(self, name: str) -> str:
        """Explain where a secret comes from and what changes its value. Values are masked."""
        block, values = block_name(name), self.view()
        lines = [f"{masked_name(name)}: the Secret block {masked_name(block)!r} of Prefect {self.version}"]
        if block != name:
            lines.append("  name    lower case, with a dash for each underscore: Prefect allows no other block names")
        lines.append(f"  source  the {self._kind_of_server} API of this test, {URL}={self.api.url}")
        if f"{SECRETS_PREFIX}{name}" in os.environ:
            variable = f"{SECRETS_PREFIX}{masked_name(name)}"
            lines.append(
                f"  ignored {variable}: only Prefect 0.5 to 1.4 reads it; use local_secrets or the marker secrets"
            )
        if block not in values:
            lines.append(f"  result  Secret.load({block!r}) raises ValueError: there is no such block")
            near = nearest_name(block, values)
            lines += [f"  nearest {near.message}"] if near else []
            return "\n".join(lines)
        stored, result = self.prefect.describe_type(values[block])
        lines.append(f"  stored  {stored}, •••")
        decoded = " (Prefect decodes the JSON text)" if stored != result else ""
        lines.append(f"  result  Secret.load({block!r}).get() returns {result}{decoded}")
        return "\n".join(lines)

    def explanation(self, name: str, mask: Mask) -> Dict[str, Any]:
        """Return the explanation of a secret as plain data, with the keys of ``flowsecrets explain --json``."""
        block, values = block_name(name), self.view()
        source = {"layer": "block", "place": f"Secret block {masked_name(block)!r} of the {self._kind_of_server} API"}
        steps: List[Dict[str, Any]] = []
        if block != name:
            steps.append({"what": f"the name {masked_name(name)} becomes {block}: Prefect allows no other block names"})
        result: Dict[str, Any] = {"kind": "error", "error": "ValueError", "message": "there is no such block"}
        if block in values:
            stored, value = values[block], self.prefect.decode(values[block])
            steps.append({"what": f"stored in the {source['place']}", "value": mask.shown(stored)})
            verb = "returns it" if stored is value or stored == value else "decodes it as JSON"
            steps.append({"what": f"Secret.load({block!r}).get() {verb}", "value": mask.shown(value)})
            result = {"kind": "value", **mask.shown(value)}
        else:
            steps.append({"what": f"Secret.load({block!r}) fails", "error": "ValueError"})
        return {
            "name": masked_name(block),
            "prefect_version": self.version,
            "result": result,
            "origins": [source] if block in values else [],
            "losers": [],
            "steps": steps,
            "findings": [],
            "notes": [note.strip() for note in self.notes(name)],
        }
