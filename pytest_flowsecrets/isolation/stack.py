"""Isolations of the real Prefect: entered, nested, left in any order, and a last net under them.

An isolation belongs to the process, not to a thread: threads share ``os.environ``, and the flow runs that are tested
start threads of their own. Isolations stand on a stack; leaving one that is not on top leaves those above it first.
"""

from __future__ import annotations

import os
import threading
from contextlib import contextmanager
from typing import Any, Dict, Iterator, List, Mapping, Optional, Sequence

from pytest_flowsecrets.errors import FlowSecretsError, PrefectNotInstalled, SecretRejected
from pytest_flowsecrets.isolation.captured import Captured
from pytest_flowsecrets.isolation.delivery import Delivery
from pytest_flowsecrets.isolation.environ import PREFIX, Environment
from pytest_flowsecrets.isolation.home import ConfigText, PrefectHome, homes
from pytest_flowsecrets.isolation.legacy import LegacyPrefect, find_prefect
from pytest_flowsecrets.isolation.network import NOWHERE, CloudGuard
from pytest_flowsecrets.isolation.notify import warn_user
from pytest_flowsecrets.isolation.secrets import FLAG, LocalSecrets
from pytest_flowsecrets.isolation.tables import Tree
from pytest_flowsecrets.isolation.written import written_secrets

DEFAULT_VERSION = "1.4.1"

_lock = threading.RLock()
_entered: List[Isolation] = []


@contextmanager
def isolated_prefect(
    secrets: Optional[Mapping[str, Any]] = None,
    *,
    config: Optional[ConfigText] = None,
    backend: Optional[ConfigText] = None,
) -> Iterator[LocalSecrets]:
    """Give the real Prefect these secrets and no others, in this process and its children; afterwards all is as before.

    Args:
        secrets: names and values, as for ``@pytest.mark.secrets``.
        config: text or mapping of a private ``config.toml``.
        backend: text or mapping of a private ``backend.toml``.

    Yields:
        The secrets as a mapping, ``local_secrets`` in tests.

    Raises:
        UsageError: a name or value cannot be a secret.
        UnsupportedPrefect: the installed Prefect is not of the 0.5.5 to 1.4.1 line.
        ConfigSyntaxError: ``config`` or ``backend`` is no TOML.
        SecretRejected: Prefect cannot load with these secrets.
    """
    isolation = Isolation()
    isolation.enter(secrets or {})
    try:
        if config is not None:
            isolation.secrets.write_config(config)
        if backend is not None:
            isolation.home.write_backend(backend)
        for warning in isolation.secrets.surprises.among(secrets or {}):
            warn_user(warning)
        yield isolation.secrets
    finally:
        isolation.exit()


def depth() -> int:
    """How many isolations are entered."""
    return len(_entered)


def unwind(to: int = 0) -> None:
    """Leave isolations until only ``to`` are entered: the last net under a run."""
    with _lock:
        while len(_entered) > to:
            _entered[-1].exit()


class Isolation:
    """One isolation. ``enter`` and ``exit`` are for once.

    Args:
        version: the Prefect version whose rules count where Prefect is not installed.
    """

    home: PrefectHome
    secrets: LocalSecrets
    delivery: Delivery

    def __init__(self, version: str = DEFAULT_VERSION) -> None:
        self.legacy: Optional[LegacyPrefect] = None
        self.version = version
        self._environment = Environment()
        self._guard = CloudGuard()
        self._captured: Optional[Captured] = None
        self._tree = Tree()

    # -- in and out ---------------------------------------------------------------------------------------------------

    def enter(self, secrets: Mapping[str, Any]) -> None:
        """Hide what is the developer's, give ``secrets``. If that fails, everything is as it was before."""
        with _lock:
            self._find_prefect_as_it_is()
            hidden: Dict[str, str] = {}
            for outer in _entered:
                hidden.update(outer.delivery.variables)
            self._root = homes.acquire()
            self._environment.enter(str(self._root), hidden)
            _entered.append(self)
            try:
                self._enter(secrets)
            except BaseException:
                self.exit()
                raise

    def _find_prefect_as_it_is(self) -> None:
        """Import Prefect in the developer's own surroundings, so that these come back when the isolation ends."""
        try:
            self.legacy = find_prefect()
        except FlowSecretsError:
            raise
        except Exception:  # noqa: BLE001, S110 - their config may be broken; inside the isolation it does not count
            pass

    def _enter(self, secrets: Mapping[str, Any]) -> None:
        self.legacy = find_prefect()
        parse = None
        if self.legacy:
            self.version = self.legacy.version
            self._captured = Captured(self.legacy)
            self._guard.enter()
            parse = self.legacy.parse
        self.delivery = Delivery(self._root, self.version, parse)
        self.home = PrefectHome(self._root, self._home_changed, parse)
        self.secrets = LocalSecrets(self)
        for name, value in secrets.items():
            self.delivery.give(name, value)
        self.secrets.surprises.note(secrets)
        self.reload(*secrets)

    def exit(self) -> None:
        """Bring back what was before ``enter``; isolations entered since are left first. A second call does nothing."""
        with _lock:
            if self not in _entered:
                return
            unwind(_entered.index(self) + 1)
            _entered.pop()
            self._guard.exit()
            if self._captured:
                self._captured.restore()
            self._environment.exit()
            homes.release(self._root)

    def repair_environment(self) -> None:
        """Once more after ``exit``, where something (an older ``monkeypatch``) may have put our variables back."""
        self._environment.exit()

    # -- changes ------------------------------------------------------------------------------------------------------

    @contextmanager
    def changing(self, *names: str) -> Iterator[Delivery]:
        """Change the delivery of the secrets ``names``, then let Prefect see it; a refused change is undone."""
        with _lock:
            undo = self.delivery.saved()
            try:
                yield self.delivery
                self._refresh(*names)
            except BaseException:
                undo()
                self.delivery.sync()
                raise

    def _home_changed(self, strict: bool) -> None:  # noqa: FBT001
        undo = self.delivery.saved()
        self.delivery.use_written_config()
        try:
            self._refresh(strict=strict)
        except Exception:
            if strict:
                undo()
            raise

    def _refresh(self, *names: str, strict: bool = True) -> None:
        self.delivery.sync()
        if self.legacy:
            tree = self._load(self.legacy, names, strict=strict)
            self.legacy.alter(self._tree, tree, *names)
            self._tree = tree

    def reload(self, *names: str) -> None:
        """Load and put in place everything; ``names`` are the secrets to be blamed if Prefect refuses."""
        self.delivery.sync()
        if self.legacy:
            self._tree = self._load(self.legacy, names)
            self.legacy.put(self._tree)

    def _load(self, legacy: LegacyPrefect, names: Sequence[str], *, strict: bool = True) -> Tree:
        try:
            return self._load_here(legacy)
        except Exception as error:  # `import prefect` raises ValueError, TypeError, UnicodeError, …
            if not strict:
                raise
            what = "secret " + ", ".join(map(repr, names)) if names else "what is set now"
            # Of Prefect's own texts only this one holds no value; the names in it are those of dict's methods.
            told = f": {error}" if str(error).startswith("Invalid config key") else ""
            raise SecretRejected(what, self.version, type(error).__name__ + told) from None

    def _load_here(self, legacy: LegacyPrefect) -> Tree:
        """Load without the address that leads nowhere, which is meant for child processes, then set or drop that."""
        self._environment.keep_home(str(self._root))
        variable = f"{PREFIX}CLOUD__{legacy.cloud_key.upper()}"
        if os.environ.get(variable) == NOWHERE:
            del os.environ[variable]
        try:
            return legacy.load()
        finally:
            if variable not in os.environ and not legacy.files_set("cloud", legacy.cloud_key):
                self.delivery.set_variable(variable, NOWHERE)

    # -- reading ------------------------------------------------------------------------------------------------------

    def view(self) -> Any:
        """Names (and raw values) of the secrets that this thread sees."""
        if self.legacy is None:
            return written_secrets(self.version)
        secrets = self.legacy.context_secrets()
        return secrets if hasattr(secrets, "keys") else {}

    def read(self, name: str) -> Any:
        """What ``Secret(name).get()`` gives."""
        return self.legacy.get(name) if self.legacy else self.view()[name]

    def use_local_secrets(self) -> bool:
        """The flag as ``Secret.get`` reads it."""
        if self.legacy is None:
            return os.environ.get(FLAG, "true").lower() == "true"
        return bool(self.legacy.flag("cloud", "use_local_secrets"))

    def require_prefect(self, wanted_by: str) -> LegacyPrefect:
        """The real Prefect.

        Raises:
            PrefectNotInstalled: there is none.
        """
        if self.legacy is None:
            raise PrefectNotInstalled(wanted_by)
        return self.legacy

    def try_out(self, name: str, text: str, *, in_file: bool) -> Any:
        """What ``Secret(name).get()`` would give if the secret were written so; nothing changes.

        Raises:
            Exception: whatever Prefect raises for it.
        """
        legacy = self.require_prefect("trying out a way of writing")
        undo = self.delivery.saved()
        try:
            self.delivery.give(name, text, in_file=in_file)
            self.delivery.sync()
            return legacy.decoded(name, self._load_here(legacy)["context"]["secrets"][name])
        finally:
            undo()
            self.delivery.sync()
