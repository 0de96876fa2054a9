"""Load Prefect's configuration again with Prefect's own loader, as a new process does.

For speed, only parts that cannot have changed are cached. Prefect itself processes the secrets every time.
"""

from __future__ import annotations

import os
import re
import warnings
from pathlib import Path
from types import FunctionType
from typing import Any, Dict, List, Mapping, Optional

from pytest_flowsecrets.isolation.home.private_home import write_private
from pytest_flowsecrets.isolation.prefect1.config_tree import MISSING, Tree, freeze
from pytest_flowsecrets.isolation.prefect1.paths import configured_path
from pytest_flowsecrets.names import PREFIX

CLOUD_ADDRESS = "https://api.prefect.io"
_CONTEXT = f"{PREFIX}CONTEXT__"
# Variables that differ from one fake API to the next. A cached configuration holds placeholders for their values.
_VARYING = [
    f"{PREFIX}{name}"
    for name in ("CLOUD__API", "CLOUD__API_KEY", "CLOUD__AUTH_TOKEN", "CLOUD__TENANT_ID", "SERVER__ENDPOINT")
]


class Loader:
    """Loads configurations.

    Args:
        configuration: Prefect's module ``prefect.configuration``.

    Attributes:
        cloud_key: the key in ``[cloud]`` for the address of Cloud: ``endpoint`` from 0.10.0 on, before that ``api``.
    """

    def __init__(self, configuration: Any) -> None:
        self._configuration = configuration
        self._table: type = configuration.Config
        self._has_backend_file = "backend_config_path" in configuration.load_configuration.__annotations__  # 0.10.0
        self._bases: Dict[Any, Tree] = {}
        with open(configuration.DEFAULT_CONFIG, encoding="utf-8") as packaged:
            text = packaged.read()
        self._packaged = text
        # If Prefect's own defaults depend on more than HOME, loaded configurations cannot be cached.
        self._defaults_are_plain = not re.search(r"\$\w|^\[context", text, re.MULTILINE)
        self.cloud_key = "endpoint" if "endpoint" in configuration.toml.loads(text)["cloud"] else "api"

    def belongs_to(self, configuration: Any) -> bool:
        """Return whether this loader belongs to the module in its current state, before any reload or new import."""
        return self._configuration is configuration and self._table is configuration.Config

    def load(self) -> Tree:
        """Return the configuration that a new process with this ``os.environ`` loads.

        Raises:
            Exception: any error that ``import prefect`` raises.
        """
        with warnings.catch_warnings():
            # literal_eval warns about "\d". With `-W error` the warning would change the value, unlike in production.
            warnings.simplefilter("ignore")
            variables = _variables()
            tree = self._load_quickly(variables) if self.is_plain(variables) else self._load_all(variables)
        context = tree.setdefault("context", Tree())
        {}.update(context)  # raises an error unless it is a table, as the creation of `prefect.context` at import does
        if isinstance(context, Tree):
            # Always have a table, even an empty one: the exit of a `with prefect.context(…)` block, such as that of a
            # flow run, restores the table from its start.
            context.setdefault("secrets", Tree())
        return tree

    def config_files(self) -> List[str]:
        """Return the existing files that ``load`` reads in addition to Prefect's own."""
        paths = self._set_paths()
        expanded_paths = [str(self._configuration.interpolate_env_vars(path)) for path in paths]
        return [path for path in expanded_paths if os.path.isfile(path)]

    def is_set_in_files(self, section: str, key: str) -> bool:
        """Return whether one of the files that ``load`` reads sets a key."""
        tables = [self._configuration.load_toml(path).get(section) for path in self.config_files()]
        return any(isinstance(table, dict) and key in table for table in tables)

    def _set_paths(self) -> List[str]:
        """Set the paths of the config files in Prefect's module, which reads the variables for them only at import."""
        paths = [configured_path("user")]
        self._configuration.USER_CONFIG = paths[0]
        if self._has_backend_file:
            paths.append(configured_path("backend"))
            self._configuration.BACKEND_CONFIG = paths[1]
        return paths

    def _load_all(self, variables: Mapping[str, str]) -> Tree:
        """Return the configuration that Prefect's own loader creates from its files and these variables."""
        module = self._module_namespace(variables)
        module["DEFAULT_CONFIG"] = self._packaged_file()
        if "load_default_config" in module:  # 0.15.0
            return freeze(module["load_default_config"](), self._table)
        arguments = {
            "path": module["DEFAULT_CONFIG"],
            "user_config_path": module["USER_CONFIG"],
            "env_var_prefix": module["ENV_VAR_PREFIX"],
        }
        if self._has_backend_file:
            arguments["backend_config_path"] = module["BACKEND_CONFIG"]
        return freeze(module["process_task_defaults"](module["load_configuration"](**arguments)), self._table)

    def _module_namespace(self, variables: Mapping[str, str]) -> Dict[str, Any]:
        """Return a copy of the namespace of Prefect's module whose functions see ``variables`` as ``os.environ``.

        Other threads see no change in ``os.environ`` or the module, and their own writes are not lost.
        """
        original = vars(self._configuration)
        namespace = dict(original, os=_OsWithEnviron(original["os"], variables))
        for name, value in original.items():
            if isinstance(value, FunctionType) and value.__globals__ is original:
                function = FunctionType(value.__code__, namespace, name, value.__defaults__, value.__closure__)
                function.__kwdefaults__ = value.__kwdefaults__
                namespace[name] = function
        return namespace

    def _packaged_file(self) -> str:
        """Return the path of Prefect's own defaults, or of a copy if pyfakefs has replaced the file system."""
        path = str(self._configuration.DEFAULT_CONFIG)
        if os.path.isfile(path):
            return path
        copy = Path(os.path.expanduser("~"), "packaged-config.toml")
        write_private(copy, self._packaged)
        return str(copy)

    def is_plain(self, variables: Mapping[str, str]) -> bool:
        """Return whether no value can refer to another one, so that only the variables determine ``context``."""
        if self.config_files() or not self._defaults_are_plain:
            return False
        return not [name for name, text in variables.items() if "$" in text and name.startswith(PREFIX)]

    def _load_quickly(self, variables: Mapping[str, str]) -> Tree:
        """Return the same as ``_load_all``, using a cached part without secrets. It takes 0.1 ms instead of 3 ms."""
        names = {
            f"stand-in-{number}-for": name for number, name in enumerate(_VARYING) if self._is_text(variables.get(name))
        }
        base = self._base({**variables, **{name: stand_in for stand_in, name in names.items()}})
        if names:
            base = _substitute(base, {stand_in: variables[name] for stand_in, name in names.items()})
        module = self._module_namespace(variables)
        settings = module["interpolate_config"]({}, env_var_prefix=module["ENV_VAR_PREFIX"])
        module["validate_config"](settings)
        tree = Tree({key: value for key, value in base.items() if key != "context"})
        context = freeze(settings, self._table).get("context", MISSING)
        return tree if context is MISSING else Tree({**tree, "context": context})

    def _is_text(self, text: Optional[str]) -> bool:
        """Return whether Prefect keeps the value of a variable as unchanged text. It is False if the value is None."""
        if text is None or self._configuration.interpolate_env_vars(text) is not text:
            return False
        return self._configuration.string_to_type(text) is text

    def _base(self, variables: Mapping[str, str]) -> Tree:
        """Return the configuration, cached by all variables except those for ``[context]``."""
        pairs = [pair for pair in variables.items() if pair[0].startswith(PREFIX) and not pair[0].startswith(_CONTEXT)]
        key = (os.path.expanduser("~"), *sorted(pairs))
        if key not in self._bases:
            if len(self._bases) > 50:  # noqa: PLR2004 - homes and declared variables rarely differ within a run
                self._bases.clear()
            self._bases[key] = self._load_all(variables)
        return self._bases[key]


class _OsWithEnviron:
    """The module ``os`` with other environment variables."""

    def __init__(self, system: Any, variables: Mapping[str, str]) -> None:
        self._system = system
        self.environ = dict(variables)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._system, name)


def _variables() -> Dict[str, str]:
    """Return a copy of ``os.environ`` in its order, even if other threads remove variables at the same time."""
    pairs = [(name, os.environ.get(name)) for name in list(os.environ)]
    return {name: text for name, text in pairs if text is not None}


def _substitute(tree: Tree, texts: Dict[str, str]) -> Tree:
    """Return a copy of a tree in which texts, and parts of texts, are replaced."""
    return Tree({key: _substitute_in(value, texts) for key, value in tree.items()})


def _substitute_in(value: Any, texts: Dict[str, str]) -> Any:
    if isinstance(value, Tree):
        return _substitute(value, texts)
    if isinstance(value, str) and "stand-in-" in value:
        for stand_in, text in texts.items():
            value = value.replace(stand_in, text)
    return value
