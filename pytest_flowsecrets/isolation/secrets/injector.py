"""How a secret that a test gives reaches Prefect, in this process and in its children.

By the strongest road that an operator has, the variable ``PREFECT__CONTEXT__SECRETS__NAME``. Where no variable can
give a secret of exactly that name (any upper case up to 0.6.6, ``__`` in every version), by ``[context.secrets]`` of a
config file, which keeps names as they are: a copy of the user's own with the secret put in, to which
``PREFECT__USER_CONFIG_PATH`` points. A secret that the test takes away is left out of copies of both files.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Callable, Dict, Iterable, Mapping, Optional, Set

from pytest_flowsecrets.errors import ConfigSyntaxError, UsageError
from pytest_flowsecrets.isolation.environment.prefect_variables import (
    current_variables,
    restore_variables,
    secret_of,
    variable_for,
)
from pytest_flowsecrets.isolation.home import config_text
from pytest_flowsecrets.isolation.home.private_home import EFFECTIVE_BACKEND, EFFECTIVE_CONFIG, write_private
from pytest_flowsecrets.isolation.prefect1.paths import config_path
from pytest_flowsecrets.isolation.secrets.encoding import as_text, validate_name
from pytest_flowsecrets.leaks.registry import register
from pytest_flowsecrets.names import PREFIX, SECRETS_PREFIX

Content = Dict[str, Any]
_ALL_TOGETHER = 300_000  # characters; up to four bytes each


class Injector:
    """The variables and files by which an isolation's secrets travel.

    Args:
        root: the private home directory.
        version: the Prefect version whose rules say which names a variable can carry.

    Attributes:
        variables: what was set in ``os.environ``, by name.
    """

    def __init__(self, root: Path, version: str) -> None:
        self._version = version
        self._in_files: Dict[str, Any] = {}
        self._left_out: Set[str] = set()
        self.variables: Dict[str, str] = {}
        self._config = ConfigFile(f"{PREFIX}USER_CONFIG_PATH", "config.toml", root / EFFECTIVE_CONFIG, version)
        self._backend = ConfigFile(f"{PREFIX}BACKEND_CONFIG_PATH", "backend.toml", root / EFFECTIVE_BACKEND, version)

    def set_secrets(self, values: Mapping[str, Any], *, in_file: bool = False) -> None:
        """Set secrets, by variables where these can carry them, unless they are to be ``in_file``.

        Raises:
            UsageError: a name is no text, or a value neither text nor JSON data.
        """
        texts = {validate_name(name): as_text(name, value) for name, value in values.items()}
        for name, text in texts.items():
            register(name, text)
            register(name, values[name])
        self.remove_secrets(texts)
        for name, text in texts.items():
            variable = None if in_file else variable_for(name, text, self._version)
            if variable and self._has_room(text):
                self.set_variable(variable, text)
            else:
                self._in_files[name] = _toml_value(values[name], text)
        self._left_out.difference_update(texts)

    def _has_room(self, text: str) -> bool:
        """Whether the variables of a child process may grow by a text: all together have a limit (2 MiB on Linux)."""
        return sum(map(len, self.variables.values())) + len(text) < _ALL_TOGETHER

    def remove_secrets(self, names: Iterable[str]) -> None:
        """Remove secrets wherever they are defined by their own name."""
        gone = set(names)
        self._left_out |= gone
        for name in gone:
            self._in_files.pop(name, None)
        for variable in [known for known in os.environ if secret_of(known, self._version) in gone]:
            self.unset_variable(variable)

    def defines(self, name: str) -> bool:
        """Whether a secret is given by a variable or put into the file."""
        return name in self._in_files or self.has_variable(name)

    def has_variable(self, name: str) -> bool:
        """Whether a variable defines a secret, so that no file counts."""
        return any(secret_of(variable, self._version) == name for variable in os.environ)

    def set_variable(self, variable: str, text: str) -> None:
        """Set a variable of the environment.

        Raises:
            UsageError: the operating system does not take such a name or text.
        """
        try:
            os.environ[variable] = text
        except (ValueError, OSError, TypeError) as error:
            raise UsageError(
                f"the variable {variable!r} cannot be set ({type(error).__name__}): neither its name nor its text may "
                "hold NUL, the name no '=', and both must be text"
            ) from None
        self.variables[variable] = text
        if variable.startswith(SECRETS_PREFIX):
            register(variable[len(SECRETS_PREFIX) :], text)

    def unset_variable(self, variable: str) -> None:
        """Remove a variable from the environment."""
        os.environ.pop(variable, None)
        self.variables.pop(variable, None)

    def use_private_file(self, name: str) -> None:
        """Let the private file ``name`` count as it was written now, whatever file the run had declared."""
        (self._config if name == "config.toml" else self._backend).declare(None)
        self._left_out.clear()

    def sync(self) -> None:
        """Bring the files that Prefect reads up to date.

        Raises:
            ConfigSyntaxError: the file into which a secret has to be put is no TOML.
            UsageError: its secrets are no table.
        """
        self._variable_of(self._config, self._in_files, self._left_out)
        self._variable_of(self._backend, {}, self._left_out | set(self._in_files))

    def _variable_of(self, file: ConfigFile, put: Mapping[str, Any], drop: Set[str]) -> None:
        path = file.path(put, drop)
        if path is None:
            self.unset_variable(file.variable)
        elif path == file.declared:
            os.environ[file.variable] = path
        else:
            self.set_variable(file.variable, path)

    def savepoint(self) -> Callable[[], None]:
        """Remember everything; calling the result brings it back."""
        held = dict(self._in_files), set(self._left_out), dict(self.variables)
        declared = self._config.declared, self._backend.declared
        environ = current_variables()

        def undo() -> None:
            self._in_files, self._left_out, self.variables = held
            restore_variables(environ)
            self._config.declare(declared[0])
            self._backend.declare(declared[1])
            self.sync()

        return undo


class ConfigFile:
    """One of Prefect's files: the private one or the one that the run has declared, or a copy with our changes.

    Args:
        variable: the variable that says where Prefect finds it.
        name: its name in ``~/.prefect``.
        copy: where a copy may be written.
        version: of Prefect.

    Attributes:
        declared: what the run, or the test itself, has set the variable to; None where it has not.
    """

    def __init__(self, variable: str, name: str, copy: Path, version: str) -> None:
        self.variable = variable
        self._version = version
        self._private = copy.parent / ".prefect" / name
        self._copy = copy
        self._last = self.declared = os.environ.get(variable)

    def declare(self, path: Optional[str]) -> None:
        """Let another file count, None being the private one, whatever the variable holds."""
        self.declared = path
        self._last = os.environ.get(self.variable)

    def path(self, put: Mapping[str, Any], drop: Set[str]) -> Optional[str]:
        """What the variable has to hold so that Prefect reads the file with ``put`` in and ``drop`` left out."""
        held = os.environ.get(self.variable)
        if held != self._last:
            self.declared = held  # the test itself has set or removed the variable
        self._last = self._path(put, drop)
        return self._last

    def _path(self, put: Mapping[str, Any], drop: Set[str]) -> Optional[str]:
        content = self._read() if put or drop else {}
        if _edit(content, put, drop):
            write_private(self._copy, config_text.to_text(content))
            return str(self._copy)
        moved = os.path.expanduser(f"~/.prefect/{self._private.name}") != str(self._private)  # the test has moved HOME
        return (
            str(self._private) if self.declared is None and moved and os.path.exists(self._private) else self.declared
        )

    def _read(self) -> Content:
        source = (
            self._private if self.declared is None else Path(config_path(self.declared, version=self._version) or "")
        )
        try:
            if not os.path.isfile(source):  # by os, which pyfakefs replaces; older Paths are real
                return {}
            with open(source, "rb") as file:
                return config_text.read(file.read())
        except Exception:  # noqa: BLE001 - parsers raise many kinds, and their texts may hold values
            raise ConfigSyntaxError(str(source), None, None, "the file is no TOML that Prefect reads") from None


def _edit(content: Content, put: Mapping[str, Any], drop: Set[str]) -> bool:
    """Put secrets into the content of a file and leave some out; whether that changes anything."""
    context = content.setdefault("context", {}) if put else content.get("context", {})
    secrets = context.setdefault("secrets", {}) if put and isinstance(context, dict) else _secrets_of(context)
    if not isinstance(secrets, dict):
        if put:
            raise UsageError(f"[context.secrets] of the config file is no table, so {sorted(put)} cannot be put there")
        return False
    dropped = [name for name in drop if name in secrets]
    for name in dropped:
        del secrets[name]
    secrets.update(put)
    return bool(put or dropped)


def _secrets_of(context: Any) -> Any:
    return context.get("secrets", {}) if isinstance(context, dict) else None


def _toml_value(value: Any, text: str) -> Any:
    """Numbers and booleans as TOML has them; tables and lists as JSON text, as Prefect's documentation advises."""
    return value if isinstance(value, (bool, int, float)) else text
