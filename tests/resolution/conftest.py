"""The real Prefect's loader, run in place."""

from __future__ import annotations

import importlib
import inspect
import os
from contextlib import contextmanager
from copy import deepcopy
from functools import lru_cache
from pathlib import Path
from unittest import mock

import pytest


@contextmanager
def environment(environ):
    saved = dict(os.environ)
    os.environ.clear()
    try:
        os.environ.update(environ)
        yield
    finally:
        os.environ.clear()
        os.environ.update(saved)


class Real:
    """One folder for the files, and what Prefect makes of them."""

    def __init__(self, folder):
        self.folder = Path(folder)
        self.prefect = importlib.import_module("prefect")
        self.configuration = importlib.import_module("prefect.configuration")
        self.context = importlib.import_module("prefect.utilities.context")
        self.secrets = importlib.import_module("prefect.client.secrets")
        self.read, self.read_once = self.configuration.load_toml, lru_cache(self.configuration.load_toml)
        self.paths = {"user": str(self.folder / "config.toml"), "backend": str(self.folder / "backend.toml")}

    @property
    def version(self):
        return self.prefect.__version__.partition("+")[0]

    def write(self, user, backend):
        for path, text in ((self.paths["user"], user), (self.paths["backend"], backend)):
            if text is None:
                Path(path).unlink(missing_ok=True)
            else:
                Path(path).write_bytes(text.encode())

    def load(self, environ):
        """What ``prefect.configuration`` and ``prefect.utilities.context`` do when they are imported."""
        with environment(environ), mock.patch.object(self.configuration, "load_toml", self.load_toml):
            config = self.apart() if self.loads_apart() else self.together()
            with mock.patch.object(self.context, "config", config):
                return config, self.context.Context()

    def load_toml(self, path):
        """Prefect's own; the packaged defaults, which never change, are parsed once."""
        return deepcopy(self.read_once(path)) if path == self.configuration.DEFAULT_CONFIG else self.read(path)

    def loads_apart(self):
        return "merge_into_config" in inspect.signature(self.configuration.load_configuration).parameters

    def apart(self):
        """Up to 0.5.3: the defaults first, then the user's file, merged into them."""
        load, default = self.configuration.load_configuration, self.configuration.DEFAULT_CONFIG
        config = load(config_path=default, env_var_prefix="PREFECT")
        if Path(self.paths["user"]).is_file():
            config = load(config_path=self.paths["user"], env_var_prefix="PREFECT", merge_into_config=config)
        return config

    def together(self):
        known = inspect.signature(self.configuration.load_configuration).parameters
        arguments = {"path": self.configuration.DEFAULT_CONFIG, "user_config_path": self.paths["user"]}
        if "backend_config_path" in known:
            arguments["backend_config_path"] = self.paths["backend"]
        return self.configuration.load_configuration(env_var_prefix="PREFECT", **arguments)

    def get(self, name, loaded):
        """``Secret(name).get()`` with that configuration and context."""
        config, context = loaded
        with mock.patch.object(self.prefect, "config", config), mock.patch.object(self.prefect, "context", context):
            return self.secrets.Secret(name).get()


@pytest.fixture(scope="session")
def real(tmp_path_factory):
    """The real Prefect, with a folder for its files."""
    return Real(tmp_path_factory.mktemp("real"))
