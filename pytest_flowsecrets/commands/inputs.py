"""Inputs of the command line: files, the environment, the home directories of this machine, the installed Prefect."""

from __future__ import annotations

import os
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Dict, List, Optional

from pytest_flowsecrets.commands.files.unreadable import Unreadable
from pytest_flowsecrets.errors import UnknownPrefectVersion, UsageError
from pytest_flowsecrets.isolation.prefect1.paths import this_machine
from pytest_flowsecrets.resolution.dialects import SPANS, Dialect, dialect_for
from pytest_flowsecrets.resolution.layers import Environment
from pytest_flowsecrets.resolution.toml_positions import position
from pytest_flowsecrets.resolution.toml_reader import deep_place
from pytest_flowsecrets.versions import DEFAULT_VERSION, installed_version

if TYPE_CHECKING:
    from pytest_flowsecrets.resolution.resolve import Machine

LARGEST = 2 * 2**20


def read_bytes(path: str) -> bytes:
    """Read a text file as bytes.

    Args:
        path: the file.

    Raises:
        Unreadable: the file is missing, not readable, a directory, binary, or larger than 2 MB.
    """
    try:
        with open(path, "rb") as file:
            source = file.read(LARGEST + 1)
    except OSError as error:
        raise Unreadable(path, (error.strerror or type(error).__name__).lower()) from None
    if len(source) > LARGEST:
        raise Unreadable(path, f"larger than {LARGEST // 2**20} MB")
    if b"\0" in source:
        line, column = position(source, source.index(b"\0"))
        raise Unreadable(path, "a binary file", line, column)
    return source


def read_text(path: str) -> str:
    """Read a file as UTF-8.

    Args:
        path: the file.

    Raises:
        Unreadable: as for :func:`read_bytes`, or the file is not UTF-8.
    """
    return _decode(path, read_bytes(path)).lstrip("\ufeff")


def read_toml(path: str) -> bytes:
    """Read a configuration file and check that parsers can read it.

    Args:
        path: the file.

    Raises:
        Unreadable: as for :func:`read_text`, or the text is nested too deeply for the parsers.
    """
    source = read_bytes(path)
    place = deep_place(_decode(path, source))
    if place is not None:
        raise Unreadable(path, "nested too deeply", *place)
    return source


def _decode(path: str, source: bytes) -> str:
    try:
        return source.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Unreadable(path, "not UTF-8", *position(source, error.start)) from None


def assumed_version() -> str:
    """Return the default release: the installed one, or the newest if the installed one is not supported."""
    version = installed_version() or DEFAULT_VERSION
    try:
        dialect_for(version)
    except UnknownPrefectVersion:
        return DEFAULT_VERSION
    return version


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
