"""The differences between the Prefect versions that the tests support."""

from __future__ import annotations

from importlib import import_module, metadata

import pytest
from packaging.version import Version

try:
    VERSION = Version(metadata.version("prefect")).release
except metadata.PackageNotFoundError:
    VERSION = None

try:
    HAS_LIBCST = Version(metadata.version("libcst")).release >= (1, 1)
except metadata.PackageNotFoundError:
    HAS_LIBCST = False

needs_libcst = pytest.mark.skipif(not HAS_LIBCST, reason="reading Python files needs the extra migrate")
needs_prefect = pytest.mark.skipif(VERSION is None, reason="no Prefect in this environment")


def executors():
    return import_module("prefect.executors" if VERSION >= (0, 14) else "prefect.engine.executors")


def dask_executor(*, processes):
    """Return a DaskExecutor whose workers are threads of this process, or processes."""
    if VERSION >= (0, 13):
        arguments = {"processes": processes, "n_workers": 1, "threads_per_worker": 1, "dashboard_address": None}
        return executors().DaskExecutor(cluster_kwargs=arguments)
    return executors().DaskExecutor(local_processes=processes, n_workers=1, threads_per_worker=1)


def variable_secret(name):
    """Return the secret that the variable PREFECT__CONTEXT__SECRETS__<name> defines."""
    return name if VERSION is None or VERSION >= (0, 6, 7) else name.lower()
