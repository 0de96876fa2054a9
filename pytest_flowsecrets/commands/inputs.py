"""Inputs of the command line: the environment, the home directories of this machine, the installed Prefect."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Dict, List, Optional

from pytest_flowsecrets.commands.files.reading import read_text
from pytest_flowsecrets.errors import UnknownPrefectVersion, UsageError
from pytest_flowsecrets.isolation.prefect1.paths import this_machine
from pytest_flowsecrets.resolution.dialects import SPANS, Dialect, dialect_for
from pytest_flowsecrets.resolution.layers import Environment
from pytest_flowsecrets.versions import DEFAULT_VERSION, installed_version, is_rest_version, uses_rest_api

if TYPE_CHECKING:
    from pytest_flowsecrets.resolution.resolve import Machine


def assumed_version() -> str:
    """Return the default release: the installed one, or the newest if the installed one is not supported."""
    version = installed_version() or DEFAULT_VERSION
    try:
        dialect_for(version)
    except UnknownPrefectVersion:
        return DEFAULT_VERSION
    return version


def versions() -> str:
    """Return the versions of this package, of the installed Prefect and of Python, as one line."""
    import platform
    from importlib.metadata import version

    prefect = f"Prefect {installed_version()}" if installed_version() else "no Prefect"
    return f"flowsecrets {version('pytest-flowsecrets')} ({prefect}, Python {platform.python_version()})"


def rest_version(arguments: Any) -> Optional[str]:
    """Return the version of Prefect 2.20 or 3 to explain, or None for the legacy line.

    Args:
        arguments: parsed arguments.

    Raises:
        UsageError: the version is not supported.
    """
    wanted: Optional[str] = arguments.prefect_version
    if wanted is None:
        if arguments.config or arguments.backend or arguments.all_versions or not uses_rest_api():
            return None
        return installed_version()
    if wanted in ("2", "2.20", "3"):
        from pytest_flowsecrets.resolution.settings.catalogue import releases

        return [each for each in releases() if each.startswith(f"{wanted}.")][-1]
    if not wanted[:1].isdigit() or wanted.startswith(("0.", "1.")):
        return None
    with suppress(UnknownPrefectVersion):
        if is_rest_version(wanted):
            return wanted
    raise UsageError(f"Prefect {wanted} is not supported: use 0.5.0 to 1.4.1, 2.20, 3 or one of their releases")


def dialects_of(arguments: Any) -> List[Dialect]:
    """Read the options about versions.

    Args:
        arguments: parsed arguments.

    Raises:
        UnknownPrefectVersion: no such release.
    """
    if arguments.all_versions:
        return [dialect_for(last) for _, last in SPANS]
    return [dialect_for(arguments.prefect_version or assumed_version())]


def machine_of(arguments: Any) -> Machine:
    """Describe this machine, or one with another Python.

    Args:
        arguments: parsed arguments.

    Raises:
        UsageError: the version of Python is none.
    """
    here = this_machine()
    if not arguments.python_version:
        return here
    major, dot, minor = arguments.python_version.partition(".")
    if not (major == "3" and dot and minor.isdigit()):
        raise UsageError(f"--python-version {arguments.python_version!r}: write it like 3.8")
    return replace(here, python=(3, int(minor)))


def environment_of(files: Optional[List[str]]) -> Dict[str, str]:
    """Return the environment: that of this process, or the variables in the files with the home of this process.

    Args:
        files: names of ``.env`` files, or None.

    Raises:
        Unreadable: one of the files cannot be read.
    """
    if not files:
        return dict(os.environ)
    from pytest_flowsecrets.commands.files.env_files import env_items
    from pytest_flowsecrets.resolution.line_syntax import env_line

    environ = Environment({"HOME": os.path.expanduser("~")})
    for path in files:
        for item in env_items(read_text(path)):
            environ[item.name] = str(item.value)  # never None: a line without a value is not an item
            environ.places[item.name] = path, item.line, item.column
            environ.notations[item.name] = partial(env_line, item.name)
    return environ
