"""``local_secrets``: the secrets of an isolation as a mapping, and the roads by which they can be given."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Dict, Iterable, Iterator, Mapping, MutableMapping

from pytest_flowsecrets.isolation.environ import PREFIX, SECRETS_PREFIX, visible
from pytest_flowsecrets.isolation.notify import warn_user
from pytest_flowsecrets.isolation.surprises import Surprises

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_flowsecrets.isolation.home import ConfigText
    from pytest_flowsecrets.isolation.stack import Isolation

FLAG = f"{PREFIX}CLOUD__USE_LOCAL_SECRETS"


class LocalSecrets(MutableMapping[str, Any]):
    """The local secrets of one isolation.

    Setting gives a secret as an operator would, by a variable of the environment (by a config file where no variable
    can carry the name); reading gives what the real ``Secret(name).get()`` gives. Every change is seen at once, by all
    threads and by child processes that start from now on.

    Values are text, taken as the operator would write it, or JSON data, written as JSON. Where Prefect turns a value
    into another, one SecretChangedWarning for each name says so. Without Prefect, reading gives what was written.
    """

    def __init__(self, isolation: Isolation) -> None:
        self._isolation = isolation
        self.surprises = Surprises(isolation)

    def __repr__(self) -> str:
        return f"<LocalSecrets {sorted(map(str, self))}>"

    # -- the mapping --------------------------------------------------------------------------------------------------

    def __getitem__(self, name: str) -> Any:
        __tracebackhide__ = True
        if name not in self._isolation.view():
            raise KeyError(name)
        return self._isolation.read(name)

    def __setitem__(self, name: str, value: Any) -> None:
        self._set({name: value})

    def __delitem__(self, name: str) -> None:
        __tracebackhide__ = True
        if name not in self._isolation.view():
            raise KeyError(name)
        with self._isolation.changing(name) as delivery:
            delivery.take(name)
        self.surprises.forget(name)

    def __iter__(self) -> Iterator[str]:
        return iter(list(self._isolation.view()))

    def __len__(self) -> int:
        return len(self._isolation.view())

    def __contains__(self, name: object) -> bool:
        return name in self._isolation.view()

    def update(self, *args: Any, **values: Any) -> None:
        """Set several secrets in one go; arguments as for ``dict.update``."""
        self._set(dict(*args, **values))

    def clear(self) -> None:
        """Remove every secret."""
        for name in list(self):
            del self[name]

    def _set(self, values: Mapping[str, Any]) -> None:
        with self._isolation.changing(*values) as delivery:
            for name, value in values.items():
                delivery.give(name, value)
        self.surprises.note(values)
        self._warn_of(values)

    # -- the roads ----------------------------------------------------------------------------------------------------

    def setenv(self, name: str, text: str) -> None:
        """Set the variable ``PREFECT__CONTEXT__SECRETS__<name>``; which secret it gives depends on the Prefect version.

        Up to 0.6.6 the secret's name is lower-cased, and ``__`` in ``name`` makes a table in every version.

        Raises:
            UsageError: the operating system does not take such a name or text.
            SecretRejected: Prefect cannot load with it; nothing has changed.
        """
        with self._isolation.changing() as delivery:
            delivery.set_variable(f"{SECRETS_PREFIX}{delivery.checked(name)}", text)
        self.surprises.note({name: text}, lenient=True)
        self._warn_of([name])

    def unsetenv(self, name: str) -> None:
        """Remove the variable ``PREFECT__CONTEXT__SECRETS__<name>``.

        Raises:
            KeyError: there is no such variable.
        """
        if SECRETS_PREFIX + name not in os.environ:
            raise KeyError(name)
        with self._isolation.changing() as delivery:
            del os.environ[SECRETS_PREFIX + name]
            delivery.variables.pop(SECRETS_PREFIX + name, None)

    def write_config(self, text_or_mapping: ConfigText, *, strict: bool = True) -> Path:
        """Write the private ``config.toml``: as ``prefect_home.write_config``."""
        path, parsed = self._isolation.home.write("config.toml", text_or_mapping, strict=strict)
        context = parsed.get("context")
        secrets = context.get("secrets") if isinstance(context, dict) else None
        texts = {name: text for name, text in (secrets or {}).items() if isinstance(text, str)}
        self.surprises.note(texts, in_file=True, lenient=True)
        self._warn_of(texts)
        return path

    @property
    def use_local_secrets(self) -> bool:
        """The flag as ``Secret.get`` reads it; setting it sets ``PREFECT__CLOUD__USE_LOCAL_SECRETS``."""
        return self._isolation.use_local_secrets()

    @use_local_secrets.setter
    def use_local_secrets(self, value: bool) -> None:
        with self._isolation.changing() as delivery:
            delivery.set_variable(FLAG, "true" if value else "false")

    @property
    def environ(self) -> Dict[str, str]:
        """A copy of the variables that a child process needs to see the same, for ``env={**os.environ, **…}``."""
        return visible()

    def reload(self) -> None:
        """Load everything anew from the files and from ``os.environ`` as they are now, as a fresh process would.

        For variables that were set behind our back: ``monkeypatch.setenv("PREFECT__…")``, ``load_dotenv()``.
        """
        self._isolation.reload()

    def _warn_of(self, names: Iterable[str]) -> None:
        for warning in self.surprises.among(names):
            warn_user(warning)
