"""``local_secrets``: the secrets of an isolation as a mapping, and the roads by which they can be given."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Dict, Iterable, Iterator, Mapping, MutableMapping, Optional, Sequence

from pytest_flowsecrets import clock
from pytest_flowsecrets.errors import IsolationEnded, SecretChangedWarning, UsageError
from pytest_flowsecrets.isolation.environment.prefect_variables import current_variables
from pytest_flowsecrets.isolation.guards import lock
from pytest_flowsecrets.isolation.safe_errors import hide_arguments, warn_user
from pytest_flowsecrets.isolation.secrets import model
from pytest_flowsecrets.isolation.secrets.encoding import as_text, validate_name
from pytest_flowsecrets.isolation.secrets.scheduled_changes import ScheduledChange
from pytest_flowsecrets.isolation.secrets.value_changes import ValueChanges
from pytest_flowsecrets.names import PREFIX, SECRETS_PREFIX, USE_LOCAL_SECRETS
from pytest_flowsecrets.resolution.masked_names import masked_name

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_flowsecrets.clock import When
    from pytest_flowsecrets.isolation.home.private_home import ConfigText
    from pytest_flowsecrets.isolation.secrets.holder import Holder

FLAG = USE_LOCAL_SECRETS


def _variable(name: str) -> str:
    """Return the variable of a secret.

    Raises:
        UsageError: the name cannot be a secret's.
    """
    if isinstance(name, str) and name.startswith(PREFIX) and not name.startswith(SECRETS_PREFIX):
        raise UsageError(f"{name!r} is not a secret's variable: set it with monkeypatch, then call reload()")
    return SECRETS_PREFIX + validate_name(name)


class LocalSecrets(MutableMapping[str, Any]):
    """The local secrets of one isolation.

    Setting gives a secret as an operator would, by a variable of the environment (by a config file where no variable
    can carry the name); reading gives what the real ``Secret(name).get()`` gives. Every change is seen at once, by all
    threads and by child processes that start from now on.

    Values are text, taken as the operator would write it, or JSON data, written as JSON. Where Prefect turns a value
    into another, one SecretChangedWarning for each name says so. Without Prefect, its model takes its place.
    """

    def __init__(self, isolation: Holder) -> None:
        self._isolation = isolation
        self.value_changes = ValueChanges(isolation)

    def __repr__(self) -> str:
        try:
            return f"<LocalSecrets {sorted(masked_name(str(name)) for name in self)}>"
        except IsolationEnded:
            return "<LocalSecrets of an isolation that does not count now>"

    # -- the mapping --------------------------------------------------------------------------------------------------

    def __getitem__(self, name: str) -> Any:
        __tracebackhide__ = True
        if name not in self._isolation.view():
            raise KeyError(name)
        return self._isolation.read(name)

    @hide_arguments
    def __setitem__(self, name: str, value: Any) -> None:
        self._give({name: value})

    @hide_arguments
    def __delitem__(self, name: str) -> None:
        __tracebackhide__ = True
        if name not in self._isolation.view():
            raise KeyError(name)
        self._take([name])

    def __iter__(self) -> Iterator[str]:
        return iter(self._isolation.view())

    def __len__(self) -> int:
        return len(self._isolation.view())

    def __contains__(self, name: object) -> bool:
        return name in self._isolation.view()

    @hide_arguments
    def update(self, *args: Any, **values: Any) -> None:
        """Set several secrets in one go; arguments as for ``dict.update``."""
        self._give(dict(*args, **values))

    @hide_arguments
    def clear(self) -> None:
        """Remove every secret."""
        self._take(list(self))

    @hide_arguments
    def rotate(self, name: str, value: Any, *, at: Optional[When] = None) -> None:
        """Give a secret another value, at once or from a later time on; several changes can be planned.

        Args:
            name: of a secret that is there.
            value: as for setting one.
            at: by the clock that ``flow_clock`` freezes and moves, and else the real one: a datetime, a date or a text
                in the ISO format; what says no time zone is in UTC.

        Raises:
            KeyError: there is no such secret.
            UsageError: the value cannot be a secret's, or ``at`` is no time.
        """
        __tracebackhide__ = True
        if name not in self._isolation.view():
            raise KeyError(name)
        as_text(name, value)
        moment = clock.now() if at is None else clock.as_moment(at)
        self._isolation.scheduled_changes.add(ScheduledChange(moment, name, value))

    def _give(self, values: Mapping[str, Any]) -> None:
        with lock.lock:
            with self._isolation.changing(*values) as injector:
                injector.set_secrets(values)
            self.value_changes.record(values)
            warnings = self.value_changes.warnings_for(values)
        _issue(warnings)

    def _take(self, names: Sequence[str]) -> None:
        with lock.lock:
            with self._isolation.changing(*names) as injector:
                injector.remove_secrets(names)
            self.value_changes.forget(names)

    # -- the roads ----------------------------------------------------------------------------------------------------

    @hide_arguments
    def setenv(self, name: str, text: str) -> None:
        """Set the variable ``PREFECT__CONTEXT__SECRETS__<name>``; which secret it gives depends on the Prefect version.

        Up to 0.6.6 the secret's name is lower-cased, and ``__`` in ``name`` makes a table in every version.

        Raises:
            UsageError: the name is the whole name of a variable, or the operating system does not take name or text.
            SecretRejected: Prefect cannot load with it; nothing has changed.
        """
        with lock.lock:
            with self._isolation.changing() as injector:
                injector.set_variable(_variable(name), text)
            self.value_changes.record({name: text}, lenient=True)
            warnings = self.value_changes.warnings_for([name])
        _issue(warnings)

    @hide_arguments
    def unsetenv(self, name: str) -> None:
        """Remove the variable ``PREFECT__CONTEXT__SECRETS__<name>``.

        Raises:
            KeyError: there is no such variable.
            UsageError: the name is the whole name of a variable.
        """
        if _variable(name) not in os.environ:
            raise KeyError(name)
        with self._isolation.changing() as injector:
            injector.unset_variable(_variable(name))

    @hide_arguments
    def write_config(self, text_or_mapping: ConfigText, *, strict: bool = True) -> Path:
        """Write the private ``config.toml``: as ``prefect_home.write_config``."""
        return self._isolation.home.write_config(text_or_mapping, strict=strict)

    @property
    def use_local_secrets(self) -> bool:
        """The flag as ``Secret.get`` reads it; setting it sets ``PREFECT__CLOUD__USE_LOCAL_SECRETS``."""
        return self._isolation.use_local_secrets()

    @use_local_secrets.setter
    def use_local_secrets(self, value: bool) -> None:
        with self._isolation.changing() as injector:
            injector.set_variable(FLAG, "true" if value else "false")

    @property
    def environ(self) -> Dict[str, str]:
        """Copy of the variables that a child process needs to see the same, for ``env={**os.environ, **…}``."""
        self._isolation.require_current()
        return current_variables()

    @hide_arguments
    def reload(self) -> None:
        """Load everything anew from the files and from ``os.environ`` as they are now, as a fresh process would.

        For variables that were set behind our back: ``monkeypatch.setenv("PREFECT__…")``, ``load_dotenv()``.
        """
        self._isolation.reload()

    def explain(self, name: str) -> str:
        """Where a secret comes from and what has changed it on the way, in words; values are masked.

        By the model of ``flowsecrets explain``, from the files and variables of this test and from ``prefect.context``.
        Where Prefect has not read a change, the text says so and names ``reload()``. Lines at the end name the
        variables for the secret that were hidden from this test, or kept, and who had set them.
        """
        return "\n".join([model.explain_secret(self._isolation, name), *self._isolation.notes(name)])

    # -- warnings -----------------------------------------------------------------------------------------------------

    def written(self, content: Mapping[str, Any]) -> None:
        """A config file with this content was written: compare its texts with what the flow gets."""
        context = content.get("context")
        secrets = context.get("secrets") if isinstance(context, dict) else None
        texts = (
            {name: text for name, text in secrets.items() if isinstance(text, str)} if isinstance(secrets, dict) else {}
        )
        self.value_changes.record(texts, in_file=True, lenient=True)
        self.warn_of(texts)

    def warn_of(self, names: Iterable[str]) -> None:
        """Warn of each of ``names`` that the flow gets differently from what the test gave."""
        with lock.lock:
            warnings = self.value_changes.warnings_for(names)
        _issue(warnings)


def _issue(warnings: Iterable[SecretChangedWarning]) -> None:
    for warning in warnings:
        warn_user(warning)
