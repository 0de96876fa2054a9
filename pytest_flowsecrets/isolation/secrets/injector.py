"""Write the secrets of a test to the places from which Prefect reads them, in this process and in its children.

The first choice is the variable ``PREFECT__CONTEXT__SECRETS__NAME``, which takes precedence over files. For some names
no variable defines a secret with exactly that name: names with upper-case letters up to Prefect 0.6.6, and names with
``__`` in every version. Those secrets go into ``[context.secrets]`` of a config file, which keeps names unchanged. The
file is a copy of the user's config with the secret added, and ``PREFECT__USER_CONFIG_PATH`` points to it. If the test
deletes a secret, Prefect reads copies of both files without that secret.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable, Dict, Iterable, Mapping, Optional, Set, Tuple

from pytest_flowsecrets.errors import ConfigSyntaxError, UsageError, with_article
from pytest_flowsecrets.isolation.environment.prefect_variables import (
    current_variables,
    restore_variables,
    secret_of,
    variable_for,
)
from pytest_flowsecrets.isolation.home import config_text
from pytest_flowsecrets.isolation.home.private_home import EFFECTIVE_BACKEND, EFFECTIVE_CONFIG, write_private
from pytest_flowsecrets.isolation.prefect1.paths import config_path, this_machine
from pytest_flowsecrets.isolation.secrets.encoding import as_text, exact, validate_name
from pytest_flowsecrets.leaks.registry import register
from pytest_flowsecrets.names import PREFIX, SECRETS_PREFIX

if TYPE_CHECKING:
    from pytest_flowsecrets.findings.readings import Reading

Content = Dict[str, Any]
_MAX_CHARACTERS = 300_000  # of all variables that hold secrets; each character has up to four bytes
_MAX_ENVIRONMENT = 6 << 20  # bytes; Linux allows no more, whatever the size of the stack
_RESERVE = 64 << 10  # bytes; for the arguments of the process and for variables that it adds


class Injector:
    """The variables and files that hold the secrets of an isolation.

    Args:
        root: the private home directory.
        version: the Prefect version, which decides which names a variable can carry.

    Attributes:
        variables: the variables that this isolation has set in ``os.environ``.
    """

    def __init__(self, root: Path, version: str) -> None:
        self._version = version
        self._file_secrets: Dict[str, Any] = {}
        self._excluded: Set[str] = set()
        self.variables: Dict[str, str] = {}
        self._config = ConfigFile(f"{PREFIX}USER_CONFIG_PATH", "config.toml", root / EFFECTIVE_CONFIG, version)
        self._backend = ConfigFile(f"{PREFIX}BACKEND_CONFIG_PATH", "backend.toml", root / EFFECTIVE_BACKEND, version)

    def set_secrets(self, values: Mapping[str, Any], *, in_file: bool = False) -> None:
        """Set secrets.

        Args:
            values: names and values.
            in_file: use the file for all of them, even if a variable can carry the secret.

        Raises:
            UsageError: a name is not valid, or a value is neither text nor JSON data.
        """
        written = {validate_name(name): self._write(name, value, in_file=in_file) for name, value in values.items()}
        for name, (text, _) in written.items():
            register(name, text)
            if text is not values[name]:
                register(name, values[name])
        self.remove_secrets(written)
        for name, (text, needs_file) in written.items():
            variable = None if needs_file else variable_for(name, text, self._version)
            if variable and self._has_room(text):
                self.set_variable(variable, text)
            else:
                self._file_secrets[name] = _toml_value(values[name], text)
        self._excluded.difference_update(written)

    def _write(self, name: str, value: Any, *, in_file: bool) -> Tuple[str, bool]:
        """Return the text of a secret as an operator writes it, and whether it needs a file."""
        if not isinstance(value, exact):
            return as_text(name, value), in_file
        needs_file = in_file or variable_for(name, "", self._version) is None or not self._has_room(value)
        return write_exactly(name, value, self._version, in_file=needs_file)

    def _has_room(self, text: str) -> bool:
        """Return whether a text can be added to the variables, whose total size is limited (2 MiB on Linux)."""
        return sum(map(len, self.variables.values())) + len(text) < _MAX_CHARACTERS

    def remove_secrets(self, names: Iterable[str]) -> None:
        """Remove secrets from every variable and file that defines them by their own name."""
        removed = set(names)
        self._excluded |= removed
        for name in removed:
            self._file_secrets.pop(name, None)
        for variable in [name for name in os.environ if secret_of(name, self._version) in removed]:
            self.unset_variable(variable)

    def defines(self, name: str) -> bool:
        """Return whether a variable or the file of this isolation defines a secret."""
        return name in self._file_secrets or self.has_variable(name)

    def has_variable(self, name: str) -> bool:
        """Return whether a variable defines a secret. It overrides every file."""
        return any(secret_of(variable, self._version) == name for variable in os.environ)

    def set_secret_variable(self, name: str, text: str) -> None:
        """Set the variable of a secret.

        Raises:
            UsageError: the operating system does not accept the name or the text, or cannot start a process with so
                large an environment.
        """
        variable = SECRETS_PREFIX + name
        if isinstance(text, exact):
            register(name, str(text))
            text, needs_file = write_exactly(name, text, self._version, in_file=False)
            if needs_file:
                raise UsageError(f"no variable gives a flow the exact text of secret {name!r}: use local_secrets[...]")
        self.set_variable(variable, text)
        limit = min(os.sysconf("SC_ARG_MAX"), _MAX_ENVIRONMENT) - _RESERVE
        size = sum(len(os.fsencode(key + value)) + 10 for key, value in os.environ.items())  # "=", NUL and a pointer
        if size > limit:
            raise UsageError(
                f"with secret {name!r} the environment has {size} bytes, and the operating system cannot start a "
                f"process with more than {limit}: set the secret with local_secrets[{name!r}] = …, which uses a file"
            )

    def set_variable(self, variable: str, text: str) -> None:
        """Set a variable of the environment.

        Raises:
            UsageError: the operating system does not accept the name or the text.
        """
        try:
            os.environ[variable] = text
        except (ValueError, OSError, TypeError) as error:
            raise UsageError(
                f"the variable {variable!r} cannot be set to {with_article(type(text).__name__)} "
                f"({type(error).__name__}): name and value must be text without NUL, and the name must not contain '='"
            ) from None
        self.variables[variable] = text
        if variable.startswith(SECRETS_PREFIX):
            register(variable[len(SECRETS_PREFIX) :], text)

    def unset_variable(self, variable: str) -> None:
        """Remove a variable from the environment."""
        os.environ.pop(variable, None)
        self.variables.pop(variable, None)

    def use_private_file(self, name: str) -> None:
        """Make Prefect read the private file ``name``, even if the run has declared another one."""
        (self._config if name == "config.toml" else self._backend).declare(None)
        self._excluded.clear()

    def sync(self) -> None:
        """Update the files that Prefect reads.

        Raises:
            ConfigSyntaxError: a secret must go into a file that is not valid TOML.
            UsageError: ``[context.secrets]`` of that file is not a table.
        """
        self._point_to(self._config, self._file_secrets, self._excluded)
        self._point_to(self._backend, {}, self._excluded | set(self._file_secrets))

    def _point_to(self, file: ConfigFile, put: Mapping[str, Any], drop: Set[str]) -> None:
        """Set the variable of a file to the path of the file that Prefect must read."""
        path = file.path(put, drop)
        if path is None:
            self.unset_variable(file.variable)
        elif path == file.declared:
            os.environ[file.variable] = path
        else:
            self.set_variable(file.variable, path)

    def savepoint(self) -> Callable[[], None]:
        """Remember the current state, and return a function that restores it."""
        state = dict(self._file_secrets), set(self._excluded), dict(self.variables)
        declared = self._config.declared, self._backend.declared
        environ = current_variables()

        def undo() -> None:
            self._file_secrets, self._excluded, self.variables = state
            restore_variables(environ)
            self._config.declare(declared[0])
            self._backend.declare(declared[1])
            self.sync()

        return undo


class ConfigFile:
    """One of Prefect's files: the private one, the one that the run has declared, or a copy with changes.

    Args:
        variable: the variable that tells Prefect the path.
        name: the name of the file in ``~/.prefect``.
        copy: the path for a copy.
        version: the version of Prefect.

    Attributes:
        declared: the path to which the run or the test has set the variable, or None if it is not set.
    """

    def __init__(self, variable: str, name: str, copy: Path, version: str) -> None:
        self.variable = variable
        self._version = version
        self._private = copy.parent / ".prefect" / name
        self._copy = copy
        self._last = self.declared = os.environ.get(variable)

    def declare(self, path: Optional[str]) -> None:
        """Use another file, whatever the variable holds. None stands for the private file."""
        self.declared = path
        self._last = os.environ.get(self.variable)

    def path(self, put: Mapping[str, Any], drop: Set[str]) -> Optional[str]:
        """Return the value of the variable that makes Prefect read the file with ``put`` added and ``drop`` removed."""
        value = os.environ.get(self.variable)
        if value != self._last:
            self.declared = value  # the test itself has set or removed the variable
        self._last = self._path(put, drop)
        return self._last

    def _path(self, put: Mapping[str, Any], drop: Set[str]) -> Optional[str]:
        if put or drop:
            content = self._read()
            if _edit(content, put, drop):
                write_private(self._copy, config_text.to_text(content))
                return str(self._copy)
        if self.declared is None and self._home_has_moved() and os.path.exists(self._private):
            return str(self._private)
        return self.declared

    def _home_has_moved(self) -> bool:
        """Return whether the test has changed HOME."""
        return os.path.expanduser(f"~/.prefect/{self._private.name}") != str(self._private)

    def _read(self) -> Content:
        source = self._private
        if self.declared is not None:
            source = Path(config_path(self.declared, version=self._version) or "")
        try:
            if not os.path.isfile(source):  # not Path.is_file: pyfakefs replaces `os`, but not older Path objects
                return {}
            with open(source, "rb") as file:
                return config_text.read(file.read())
        except Exception:  # noqa: BLE001 - parsers raise many kinds, and their texts may hold values
            raise ConfigSyntaxError(str(source), None, None, "the file is not TOML that Prefect can read") from None


def _edit(content: Content, put: Mapping[str, Any], drop: Set[str]) -> bool:
    """Add secrets to the content of a file and remove others, and return whether that changes anything."""
    secrets = _secrets_table(content, create=bool(put))
    if secrets is None:
        if put:
            raise UsageError(
                f"[context.secrets] of the config file is not a table, so {sorted(put)} cannot be added: "
                "correct the file"
            )
        return False
    dropped = [name for name in drop if name in secrets]
    for name in dropped:
        del secrets[name]
    secrets.update(put)
    return bool(put or dropped)


def _secrets_table(content: Content, *, create: bool) -> Optional[Dict[str, Any]]:
    """Return ``[context.secrets]``, created on demand; an empty table if there is none; None for another type."""
    table: Any = content
    for key in ("context", "secrets"):
        if not isinstance(table, dict):
            return None
        table = table.setdefault(key, {}) if create else table.get(key, {})
    return table if isinstance(table, dict) else None


def evaluate(name: str, text: str, version: str, *, in_file: bool) -> Reading:
    """Evaluate a text as the only secret, in a variable or in a config file."""
    from pytest_flowsecrets.findings.readings import evaluate_text
    from pytest_flowsecrets.resolution.dialects import dialect_for
    from pytest_flowsecrets.resolution.env_names import SECRETS
    from pytest_flowsecrets.resolution.layers import Origin, Slot
    from pytest_flowsecrets.resolution.loader.interpolate import LoadContext

    machine = this_machine()
    around = LoadContext(dialect_for(version), dict(os.environ), machine.home, machine.users, machine.python)
    origin = Origin("user", "config.toml") if in_file else Origin("env", f"{SECRETS_PREFIX}{name}")
    return evaluate_text(name, text, Slot(text, origin, (*SECRETS, name)), around)


def write_exactly(name: str, value: str, version: str, *, in_file: bool) -> Tuple[str, bool]:
    """Return how to write a text so that a flow gets exactly this text: what to write, and whether to use a file.

    Args:
        name: the name of the secret.
        value: the text that the flow should get.
        version: the version of Prefect.
        in_file: whether a variable is not possible.

    Raises:
        UsageError: this version has no way to write the text.
    """
    from pytest_flowsecrets.findings.quoting import exact_text

    for use_file in (True,) if in_file else (False, True):
        text = exact_text(evaluate(name, str(value), version, in_file=use_file))
        if text is not None and (use_file or variable_for(name, text, version) is not None):
            return text, use_file
    raise UsageError(
        f"secret {name!r}: Prefect {version} has no way to write this text exactly: set another text, or set it in "
        "prefect.context.secrets"
    )


def _toml_value(value: Any, text: str) -> Any:
    """Return numbers and booleans unchanged, and everything else as JSON text, as Prefect's documentation advises."""
    return value if isinstance(value, (bool, int, float)) else text
