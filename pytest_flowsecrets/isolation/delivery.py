"""How a secret that a test gives reaches Prefect, in this process and in its children.

By the strongest road that an operator has, the variable ``PREFECT__CONTEXT__SECRETS__NAME``. Where no variable can
give a secret of exactly that name (any upper case up to 0.6.6, ``__`` in every version), by ``[context.secrets]`` of a
config file, which keeps names as they are: a copy of the user's own with the secret put in, to which
``PREFECT__USER_CONFIG_PATH`` points.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Callable, Dict, Optional, Set

from pytest_flowsecrets.errors import ConfigSyntaxError, UsageError
from pytest_flowsecrets.isolation import config_text
from pytest_flowsecrets.isolation.environ import PREFIX, secret_of, variable_for
from pytest_flowsecrets.isolation.home import write_private
from pytest_flowsecrets.isolation.spelling import as_text

CONFIG_PATH = f"{PREFIX}USER_CONFIG_PATH"


class Delivery:
    """The variables and the file by which an isolation's secrets travel.

    Args:
        root: the private home directory.
        version: the Prefect version whose rules say which names a variable can carry.
        parse: Prefect's own TOML parser, None without Prefect.
    """

    def __init__(self, root: Path, version: str, parse: Optional[Callable[[str], Dict[str, Any]]]) -> None:
        self._root = root
        self._version = version
        self._parse = parse
        self._in_file: Dict[str, Any] = {}
        self._not_in_file: Set[str] = set()
        self._declared_config = os.environ.get(CONFIG_PATH)
        self.variables: Dict[str, str] = {}

    # -- what an isolation does ---------------------------------------------------------------------------------------

    def give(self, name: str, value: Any, *, in_file: bool = False) -> None:
        """Set a secret, by a variable where one can carry it, unless it is to be ``in_file``.

        Raises:
            UsageError: the name is no text, or the value neither text nor JSON data.
        """
        text = as_text(self.checked(name), value)
        variable = None if in_file else variable_for(name, text, self._version)
        self.take(name)
        if variable:
            self.set_variable(variable, text)
        else:
            self._in_file[name] = _toml_value(value, text)
        self._not_in_file.discard(name)

    @staticmethod
    def checked(name: object) -> str:
        """The name of a secret, if it can be one."""
        if not isinstance(name, str):
            raise UsageError(f"the name of a secret is text, not {type(name).__name__}")
        return name

    def take(self, name: str) -> None:
        """Remove a secret wherever it is defined."""
        self._in_file.pop(name, None)
        self._not_in_file.add(name)
        for variable in [known for known in os.environ if secret_of(known, self._version) == name]:
            del os.environ[variable]

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

    def use_written_config(self) -> None:
        """Let the private ``config.toml`` count, whatever file the run had declared."""
        self._declared_config = None
        os.environ.pop(CONFIG_PATH, None)

    # -- what a load needs --------------------------------------------------------------------------------------------

    def sync(self) -> None:
        """Bring the config file that Prefect reads up to date."""
        effective = str(self._root / "effective-config.toml")
        if os.environ.get(CONFIG_PATH) not in (effective, None):
            self._declared_config = os.environ[CONFIG_PATH]  # the test has set the variable itself
        content = self._content() if self._in_file or self._not_in_file else None
        if content is not None:
            write_private(Path(effective), config_text.to_text(content))
            self.set_variable(CONFIG_PATH, effective)
        elif self._declared_config is not None:
            os.environ[CONFIG_PATH] = self._declared_config
        else:
            os.environ.pop(CONFIG_PATH, None)

    def _content(self) -> Optional[Dict[str, Any]]:
        """The user's config file with our secrets in and those taken out; None where it can stay as it is."""
        source = Path(os.path.expandvars(os.path.expanduser(self._declared_config or "~/.prefect/config.toml")))
        try:
            content = config_text.read(source.read_text("utf-8"), self._parse) if source.is_file() else {}
        except Exception:  # noqa: BLE001 - parsers raise many kinds, and their texts may hold values
            raise ConfigSyntaxError(str(source), None, None, "the file is no TOML that Prefect reads") from None
        context = content.setdefault("context", {})
        secrets = context.setdefault("secrets", {}) if isinstance(context, dict) else None
        if not isinstance(secrets, dict):
            return None
        present = {name for name in self._not_in_file if name in secrets}
        if not present and not self._in_file:
            return None
        for name in present:
            del secrets[name]
        secrets.update(self._in_file)
        return content

    # -- undoing a refused change -------------------------------------------------------------------------------------

    def saved(self) -> Callable[[], None]:
        """Remember everything; calling the result brings it back."""
        held = (dict(self._in_file), set(self._not_in_file), self._declared_config, dict(self.variables))
        environ = {name: text for name, text in os.environ.items() if name.startswith(PREFIX)}

        def undo() -> None:
            self._in_file, self._not_in_file, self._declared_config, self.variables = held
            for name in [name for name in os.environ if name.startswith(PREFIX) and name not in environ]:
                del os.environ[name]
            os.environ.update(environ)

        return undo


def _toml_value(value: Any, text: str) -> Any:
    """Numbers and booleans as TOML has them; tables and lists as JSON text, as Prefect's documentation advises."""
    return value if isinstance(value, (bool, int, float)) else text
