"""The real Prefect's loader, run in this process.

It runs several hundred thousand times, so parts that take time but are not compared are left out: files are passed as
texts to Prefect's own parser, and the packaged defaults contain only keys to which a generated text can refer.
``test_fresh_process`` checks that this makes no difference.
"""

from __future__ import annotations

import importlib
import inspect
import io
import os
from contextlib import contextmanager
from copy import deepcopy
from functools import lru_cache
from types import SimpleNamespace

import pytest

#: The packaged defaults that generated texts refer to, by way of others too, and that ``Secret`` looks at.
NEEDED = {
    "cloud": ("api", "endpoint", "heartbeat_interval", "use_local_secrets"),
    "server": ("endpoint", "host", "port"),
    "tasks": ("defaults",),
}


@contextmanager
def exchanged(*changes):
    """Set attributes and restore them; ``mock.patch`` takes as long as the loader itself."""
    saved = [(owner, name, getattr(owner, name)) for owner, name, _ in changes]
    try:
        for owner, name, value in changes:
            setattr(owner, name, value)
        yield
    finally:
        for owner, name, value in saved:
            setattr(owner, name, value)


class Environ(dict):
    """Variables that reject a name with a lone surrogate, as ``os.environ`` does."""

    def __getitem__(self, name):
        os.fsencode(name)
        return super().__getitem__(name)

    def get(self, name, default=None):
        os.fsencode(name)
        return super().get(name, default)


def pruned(defaults):
    """Return the part of the packaged defaults to which generated input can refer."""
    plain = {name: defaults[name] for name in ("backend", "debug") if name in defaults}
    tables = {name: defaults[name] for name in NEEDED if name in defaults}
    return {
        **plain,
        **{name: {key: table[key] for key in NEEDED[name] if key in table} for name, table in tables.items()},
    }


class Real:
    """The real Prefect's result for files and an environment."""

    def __init__(self, folder):
        self.prefect = importlib.import_module("prefect")
        self.configuration = importlib.import_module("prefect.configuration")
        self.context = importlib.import_module("prefect.utilities.context")
        self.secrets = importlib.import_module("prefect.client.secrets")
        self.default = self.configuration.DEFAULT_CONFIG
        self.defaults = pruned(self.configuration.toml.load(self.default))
        self.loads = self.configuration.toml.loads
        self.toml = SimpleNamespace(load=self.parse)
        self.paths = {"user": str(folder / "config.toml"), "backend": str(folder / "backend.toml")}
        self.texts = {}
        for path in self.paths.values():  # Prefect asks whether they are there, and reads the texts
            open(path, "w").close()

    @property
    def version(self):
        return self.prefect.__version__.partition("+")[0]

    def parse(self, path):
        """Replace ``toml.load``, which reads a file with universal newlines."""
        if path == self.default:
            return deepcopy(self.defaults)
        return self.loads(io.StringIO(self.texts[path], newline=None).read())

    @contextmanager
    def loaded(self, user, backend, environ):
        """Do what ``prefect.configuration`` and ``prefect.utilities.context`` do during import."""
        self.texts = {self.paths["user"]: user, self.paths["backend"]: backend}
        with exchanged((os, "environ", Environ(environ)), (self.configuration, "toml", self.toml)):
            config = self.apart() if self.loads_apart else self.together()
            config = self.configuration.process_task_defaults(config)  # up to 0.6.3 it was done by then, and is again
            with exchanged((self.context, "config", config)):
                context = self.context.Context()
        with exchanged((self.prefect, "config", config), (self.prefect, "context", context)):
            yield context

    @property
    def loads_apart(self):
        return "merge_into_config" in self.parameters

    @property
    def parameters(self):
        return _parameters(self.configuration.load_configuration)

    def apart(self):
        """Load as up to 0.5.3: first the defaults, then the user's file, which is merged into them."""
        load, path = self.configuration.load_configuration, self.paths["user"]
        config = load(config_path=self.default, env_var_prefix="PREFECT")
        if self.texts[path] is not None:
            config = load(config_path=path, env_var_prefix="PREFECT", merge_into_config=config)
        return config

    def together(self):
        files = {kind: path if self.texts[path] is not None else None for kind, path in self.paths.items()}
        arguments = {"path": self.default, "user_config_path": files["user"]}
        if "backend_config_path" in self.parameters:
            arguments["backend_config_path"] = files["backend"]
        return self.configuration.load_configuration(env_var_prefix="PREFECT", **arguments)


_parameters = lru_cache(maxsize=1)(lambda function: inspect.signature(function).parameters)


@pytest.fixture(scope="session")
def real(tmp_path_factory):
    """Return the real Prefect, with a folder for its files."""
    return Real(tmp_path_factory.mktemp("real"))
