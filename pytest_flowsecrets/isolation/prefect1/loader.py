"""Prefect's configuration, loaded anew by Prefect's own loader, as a fresh process would.

What is kept for speed is only what cannot have changed; what the secrets become is worked out by Prefect every time.
"""

from __future__ import annotations

import os
import re
import warnings
from pathlib import Path
from types import FunctionType
from typing import Any, Dict, List, Mapping, Optional

from pytest_flowsecrets.isolation.home.private_home import write_private
from pytest_flowsecrets.isolation.prefect1.config_tree import Tree, freeze
from pytest_flowsecrets.isolation.prefect1.paths import configured_path
from pytest_flowsecrets.names import PREFIX

CLOUD_ADDRESS = "https://api.prefect.io"
_CONTEXT = f"{PREFIX}CONTEXT__"
# What differs from one fake API to the next. A configuration is loaded with texts that stand for these, and kept.
_VARYING = [
    f"{PREFIX}{name}"
    for name in ("CLOUD__API", "CLOUD__API_KEY", "CLOUD__AUTH_TOKEN", "CLOUD__TENANT_ID", "SERVER__ENDPOINT")
]


class Loader:
    """Loads configurations.

    Args:
        configuration: Prefect's module ``prefect.configuration``.

    Attributes:
        cloud_key: the key below ``[cloud]`` that holds the address of Cloud: ``endpoint`` from 0.10.0, ``api`` before.
    """

    def __init__(self, configuration: Any) -> None:
        self._configuration = configuration
        self._table: type = configuration.Config
        self._has_backend_file = "backend_config_path" in configuration.load_configuration.__annotations__  # 0.10.0
        self._bases: Dict[Any, Tree] = {}
        with open(configuration.DEFAULT_CONFIG, encoding="utf-8") as packaged:
            text = packaged.read()
        self._packaged = text
        # Where Prefect's own defaults depend on more than HOME, loaded configurations cannot be kept for later.
        self._defaults_are_plain = not re.search(r"\$\w|^\[context", text, re.MULTILINE)
        self.cloud_key = "endpoint" if "endpoint" in configuration.toml.loads(text)["cloud"] else "api"

    def belongs_to(self, configuration: Any) -> bool:
        """Whether this loads by the module as it is now: not after it was imported anew or reloaded."""
        return self._configuration is configuration and self._table is configuration.Config

    def load(self) -> Tree:
        """What a fresh process with this ``os.environ`` would load, by Prefect's own loader.

        Raises:
            Exception: whatever ``import prefect`` would raise.
        """
        with warnings.catch_warnings():
            # literal_eval warns of "\d"; under `-W error` that would change the value, in production it does not
            warnings.simplefilter("ignore")
            variables = _variables()
            tree = self._load_quickly(variables) if self._is_plain(variables) else self._load_all(variables)
        context = tree.setdefault("context", Tree())
        {}.update(context)  # as `prefect.context` is made at import, which fails unless it is a table
        if isinstance(context, Tree):
            # Always the same table, if need be an empty one: whoever has entered a `with prefect.context(…)` block, a
            # flow run among them, brings back at its end what was there at its beginning.
            context.setdefault("secrets", Tree())
        return tree

    def config_files(self) -> List[str]:
        """The files that ``load`` reads besides Prefect's own, those that exist."""
        paths = self._set_paths()
        expanded = [str(self._configuration.interpolate_env_vars(path)) for path in paths]
        return [path for path in expanded if os.path.isfile(path)]

    def is_set_in_files(self, section: str, key: str) -> bool:
        """Whether one of the files that ``load`` reads sets a key."""
        tables = [self._configuration.load_toml(path).get(section) for path in self.config_files()]
        return any(isinstance(table, dict) and key in table for table in tables)

    def _set_paths(self) -> List[str]:
        """Point Prefect, which reads these variables once when it is imported, at its files."""
        paths = [configured_path("user")]
        self._configuration.USER_CONFIG = paths[0]
        if self._has_backend_file:
            paths.append(configured_path("backend"))
            self._configuration.BACKEND_CONFIG = paths[1]
        return paths

    def _load_all(self, variables: Mapping[str, str]) -> Tree:
        """Return the configuration that Prefect's own loader makes of its files and of these variables."""
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
        """Return a copy of the namespace of Prefect's module, whose functions see ``variables`` as ``os.environ``.

        So neither ``os.environ`` nor the module changes for other threads, and what these set meanwhile is not lost.
        """
        own = vars(self._configuration)
        copied = dict(own, os=_OsWithEnviron(own["os"], variables))
        for name, value in own.items():
            if isinstance(value, FunctionType) and value.__globals__ is own:
                function = FunctionType(value.__code__, copied, name, value.__defaults__, value.__closure__)
                function.__kwdefaults__ = value.__kwdefaults__
                copied[name] = function
        return copied

    def _packaged_file(self) -> str:
        """Return the path of Prefect's own defaults; a copy where the test has replaced the file system (pyfakefs)."""
        path = str(self._configuration.DEFAULT_CONFIG)
        if os.path.isfile(path):
            return path
        copy = Path(os.path.expanduser("~"), "packaged-config.toml")
        write_private(copy, self._packaged)
        return str(copy)

    def _is_plain(self, variables: Mapping[str, str]) -> bool:
        """Whether no value can refer to another, so that the variables alone make ``context``."""
        if self.config_files() or not self._defaults_are_plain:
            return False
        return not any("$" in text for name, text in variables.items() if name.startswith(PREFIX))

    def _load_quickly(self, variables: Mapping[str, str]) -> Tree:
        """Return the same as ``_load_all`` from a kept part that depends on no secret: 0.1 ms instead of 3."""
        texts = {
            f"stand-in-{number}-for": name for number, name in enumerate(_VARYING) if self._is_text(variables.get(name))
        }
        base = self._base({**variables, **{name: stand_in for stand_in, name in texts.items()}})
        base = _substitute(base, {stand_in: variables[name] for stand_in, name in texts.items()})
        module = self._module_namespace(variables)
        settings = module["interpolate_config"]({}, env_var_prefix=module["ENV_VAR_PREFIX"])
        module["validate_config"](settings)
        tree = Tree((key, value) for key, value in base.items() if key != "context")
        tree.update((key, value) for key, value in freeze(settings, self._table).items() if key == "context")
        return tree

    def _is_text(self, text: Optional[str]) -> bool:
        """Whether the value of a variable stays the text that it is; false for a variable that is not set."""
        if text is None or self._configuration.interpolate_env_vars(text) is not text:
            return False
        return self._configuration.string_to_type(text) is text

    def _base(self, variables: Mapping[str, str]) -> Tree:
        """Return the configuration without what becomes of ``[context]``."""
        kept = [pair for pair in variables.items() if pair[0].startswith(PREFIX) and not pair[0].startswith(_CONTEXT)]
        key = (os.path.expanduser("~"), *sorted(kept))
        if key not in self._bases:
            if len(self._bases) > 50:  # noqa: PLR2004 - homes and declared variables hardly vary in a run
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
    """Return a copy of ``os.environ`` in its order, also while other threads remove variables."""
    pairs = [(name, os.environ.get(name)) for name in list(os.environ)]
    return {name: text for name, text in pairs if text is not None}


def _substitute(tree: Tree, texts: Dict[str, str]) -> Tree:
    """A copy of a tree with other texts in the place of some, also where they are a part of one."""
    return Tree((key, _substitute_in(value, texts)) for key, value in tree.items())


def _substitute_in(value: Any, texts: Dict[str, str]) -> Any:
    if isinstance(value, Tree):
        return _substitute(value, texts)
    if isinstance(value, str) and "stand-in-" in value:
        for stand_in, text in texts.items():
            value = value.replace(stand_in, text)
    return value
