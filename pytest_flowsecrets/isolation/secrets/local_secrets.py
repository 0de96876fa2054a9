"""``local_secrets``: the secrets of an isolation as a mapping, and other ways to set them."""

from __future__ import annotations

import os
from typing import (
    TYPE_CHECKING,
    Any,
    ContextManager,
    Dict,
    Iterable,
    Iterator,
    List,
    Mapping,
    MutableMapping,
    Optional,
    Protocol,
    Sequence,
)

from pytest_flowsecrets import clock
from pytest_flowsecrets.errors import IsolationEnded, SecretChangedWarning, SecretNotFound, UsageError
from pytest_flowsecrets.isolation import guards
from pytest_flowsecrets.isolation.environment.prefect_variables import current_variables
from pytest_flowsecrets.isolation.safe_errors import hide_arguments, warn_user
from pytest_flowsecrets.isolation.secrets.encoding import as_text, validate_name
from pytest_flowsecrets.isolation.secrets.scheduled_changes import ScheduledChange, ScheduledChanges
from pytest_flowsecrets.names import PREFIX, SECRETS_PREFIX, USE_LOCAL_SECRETS
from pytest_flowsecrets.resolution.shown_names import masked_name, nearest_name

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_flowsecrets.clock import When
    from pytest_flowsecrets.isolation.home.private_home import ConfigText, PrefectHome

FLAG = USE_LOCAL_SECRETS


def _variable(name: str) -> str:
    """Return the variable of a secret.

    Raises:
        UsageError: the name is not valid for a secret.
    """
    if isinstance(name, str) and name.startswith(PREFIX) and not name.startswith(SECRETS_PREFIX):
        raise UsageError(f"{name!r} is not the variable of a secret: set it with monkeypatch, then call reload()")
    return SECRETS_PREFIX + validate_name(name)


class Changes(Protocol):
    """The values that a test has set, compared with those that a flow gets."""

    def record(self, values: Mapping[str, Any], *, in_file: bool = False, lenient: bool = False) -> None:
        """Remember values that the test has set."""

    def forget(self, names: Iterable[str]) -> None:
        """Forget secrets that the test has deleted."""

    def warnings_for(self, names: Iterable[str]) -> List[SecretChangedWarning]:
        """Return a warning for each of ``names`` whose value changes, unless it was reported before."""


class Holder(Protocol):
    """An isolation as its secrets see it. ``LegacyIsolation`` and ``RestIsolation`` implement it."""

    version: str
    home: PrefectHome
    scheduled_changes: ScheduledChanges

    def require_current(self) -> None:
        """Check that this is the innermost isolation."""

    def changing(self, *names: str) -> ContextManager[Any]:
        """Yield an object that changes the secrets ``names``, and apply the change to Prefect afterwards."""

    def reload(self, *names: str) -> None:
        """Load the whole configuration again and apply it."""

    def view(self) -> Dict[str, Any]:
        """Return the names and raw values of the secrets that this thread sees."""

    def read(self, name: str) -> Any:
        """Return the result of ``Secret(name).get()``."""

    def notes(self, name: str) -> List[str]:
        """Return a line for each hidden or kept variable of a secret."""

    def secret_name(self, name: str) -> str:
        """Return the name under which Prefect holds the secret that a test calls ``name``."""

    def by_prefect_name(self, values: Mapping[str, Any]) -> Dict[str, Any]:
        """Return secrets under the names that Prefect uses."""

    def explain(self, name: str) -> str:
        """Explain where a secret comes from and what changed its value. Values are masked."""

    def require_legacy(self, feature: str) -> Any:
        """Check that the installed Prefect has a feature of Prefect 0.5.5 to 1.4.1."""

    def use_local_secrets(self) -> bool:
        """Return the flag as ``Secret.get`` reads it."""


class LocalSecrets(MutableMapping[str, Any]):
    """The local secrets of one isolation.

    If you set an item, the secret is set as an operator sets it: with an environment variable, or with a config file if
    no variable can carry the name. If you read an item, you get the result of the real ``Secret(name).get()``. All
    threads, and child processes that start afterwards, see each change immediately. On Prefect 2.20 and 3, the secret
    is a Secret block of the fake API, and you get the result of ``Secret.load(name).get()``.

    A value is text, which is written unchanged, or JSON data, which is written as JSON. If Prefect changes a value, a
    SecretChangedWarning describes it, once for each name. If Prefect is not installed, a model of it is used.
    """

    def __init__(self, isolation: Holder, value_changes: Changes) -> None:
        self._isolation = isolation
        self.value_changes = value_changes

    def __repr__(self) -> str:
        try:
            return f"<LocalSecrets {sorted(masked_name(str(name)) for name in self)}>"
        except IsolationEnded:
            return "<LocalSecrets (inactive)>"

    # -- the mapping --------------------------------------------------------------------------------------------------

    def __getitem__(self, name: str) -> Any:
        __tracebackhide__ = True
        return self._isolation.read(self._existing(name))

    def _existing(self, name: str) -> str:
        """Return the name that Prefect uses for an existing secret.

        Raises:
            SecretNotFound: the secret does not exist.
        """
        if name not in self:
            near = nearest_name(str(name), self._isolation.view())
            raise SecretNotFound(masked_name(str(name)), masked_name(near.name) if near else "")
        return self._isolation.secret_name(name)

    @hide_arguments
    def __setitem__(self, name: str, value: Any) -> None:
        self._set({name: value})

    @hide_arguments
    def __delitem__(self, name: str) -> None:
        self._remove([self._existing(name)])

    def __iter__(self) -> Iterator[str]:
        return iter(self._isolation.view())

    def __len__(self) -> int:
        return len(self._isolation.view())

    def __contains__(self, name: object) -> bool:
        view = self._isolation.view()
        try:
            return isinstance(name, str) and self._isolation.secret_name(name) in view
        except UsageError:  # no secret can have this name
            return False

    @hide_arguments
    def update(self, *args: Any, **values: Any) -> None:
        """Set several secrets at once. The arguments are those of ``dict.update``."""
        self._set(dict(*args, **values))

    @hide_arguments
    def clear(self) -> None:
        """Remove every secret."""
        self._remove(list(self))

    @hide_arguments
    def rotate(self, name: str, value: Any, *, at: Optional[When] = None) -> None:
        """Change the value of a secret now or at a later time. You can schedule several changes.

        Args:
            name: the name of an existing secret.
            value: the new value: text or JSON data.
            at: the time of the change, as a datetime, a date or a text in ISO 8601 format; now by default. The clock is
                that of ``flow_clock`` if the test uses it, else the real one. A time without a time zone is in UTC.

        Raises:
            SecretNotFound: the secret does not exist. It is also a KeyError.
            UsageError: the value is neither text nor JSON data, or ``at`` is not a valid time.
        """
        name = self._existing(name)
        as_text(name, value)
        moment = clock.now() if at is None else clock.as_moment(at)
        self._isolation.scheduled_changes.add(ScheduledChange(moment, name, value))

    def _set(self, values: Mapping[str, Any]) -> None:
        with guards.lock:
            values = self._isolation.by_prefect_name(values)
            with self._isolation.changing(*values) as injector:
                injector.set_secrets(values)
            self.value_changes.record(values)
            warnings = self.value_changes.warnings_for(values)
        _issue(warnings)

    def _remove(self, names: Sequence[str]) -> None:
        with guards.lock:
            with self._isolation.changing(*names) as injector:
                injector.remove_secrets(names)
            self.value_changes.forget(names)

    # -- other ways to set secrets ------------------------------------------------------------------------------------

    @hide_arguments
    def setenv(self, name: str, text: str) -> None:
        """Set the variable ``PREFECT__CONTEXT__SECRETS__<name>``. The Prefect version decides which secret it defines.

        Prefect up to 0.6.6 lower-cases the name of the secret. In every version, ``__`` in ``name`` creates a table.

        Raises:
            UsageError: the name is the full name of a variable, the operating system does not accept the name or the
                text, or the environment becomes too large to start a process. Nothing has changed.
            SecretRejected: Prefect cannot load its configuration with this variable. Nothing has changed.
        """
        self._isolation.require_legacy("local_secrets.setenv")
        with guards.lock:
            with self._isolation.changing() as injector:
                injector.set_secret_variable(_variable(name)[len(SECRETS_PREFIX) :], text)
            self.value_changes.record({name: text}, lenient=True)
            warnings = self.value_changes.warnings_for([name])
        _issue(warnings)

    @hide_arguments
    def unsetenv(self, name: str) -> None:
        """Remove the variable ``PREFECT__CONTEXT__SECRETS__<name>``.

        Raises:
            SecretNotFound: the variable does not exist. It is also a KeyError.
            UsageError: the name is the full name of a variable.
        """
        self._isolation.require_legacy("local_secrets.unsetenv")
        if _variable(name) not in os.environ:
            raise SecretNotFound(masked_name(name))
        with self._isolation.changing() as injector:
            injector.unset_variable(_variable(name))

    @hide_arguments
    def write_config(self, text_or_mapping: ConfigText, *, strict: bool = True) -> Path:
        """Write the private ``config.toml``, as ``prefect_home.write_config`` does."""
        return self._isolation.home.write_config(text_or_mapping, strict=strict)

    @property
    def use_local_secrets(self) -> bool:
        """The flag as ``Secret.get`` reads it. Setting it sets ``PREFECT__CLOUD__USE_LOCAL_SECRETS``."""
        return self._isolation.use_local_secrets()

    @use_local_secrets.setter
    def use_local_secrets(self, value: bool) -> None:
        self._isolation.require_legacy("local_secrets.use_local_secrets")
        with self._isolation.changing() as injector:
            injector.set_variable(FLAG, "true" if value else "false")

    @property
    def environ(self) -> Dict[str, str]:
        """A copy of the variables that a child process needs to see the same secrets, ``env={**os.environ, **…}``."""
        self._isolation.require_current()
        return current_variables()

    @hide_arguments
    def reload(self) -> None:
        """Load the configuration again from the current files and ``os.environ``, as a new process does.

        Call this after other code has set variables, such as ``monkeypatch.setenv("PREFECT__…")`` or ``load_dotenv()``.
        """
        self._isolation.reload()

    def explain(self, name: str) -> str:
        """Explain where a secret comes from and what changed its value. Values are masked.

        The text comes from the model of ``flowsecrets explain``, applied to the files and variables of this test and to
        ``prefect.context``. If Prefect has not read a change, the text says so and recommends ``reload()``. The last
        lines list the variables of the secret that were hidden from this test or kept, and the code that set them.
        """
        return self._isolation.explain(name)

    # -- warnings -----------------------------------------------------------------------------------------------------

    def compare_file(self, content: Mapping[str, Any]) -> None:
        """Compare the texts in a new config file with the values that the flow gets, and warn about differences."""
        context = content.get("context")
        secrets = context.get("secrets") if isinstance(context, dict) else None
        table = secrets if isinstance(secrets, dict) else {}
        texts = {name: text for name, text in table.items() if isinstance(text, str)}
        self.value_changes.record(texts, in_file=True, lenient=True)
        self.warn_about(texts)

    def warn_about(self, names: Iterable[str]) -> None:
        """Warn about each of ``names`` for which the flow gets another value than the test set."""
        with guards.lock:
            warnings = self.value_changes.warnings_for(names)
        _issue(warnings)


def _issue(warnings: Iterable[SecretChangedWarning]) -> None:
    for warning in warnings:
        warn_user(warning)
