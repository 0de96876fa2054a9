"""Versions of Prefect: which one is installed, which ones are supported, and how a version is read.

The only module that reads version numbers; everything else compares the tuples that it returns.
"""

from __future__ import annotations

import os
from functools import lru_cache
from typing import Optional, Tuple

from pytest_flowsecrets.errors import UnknownPrefectVersion, UnsupportedPrefect, UsageError

#: A release as numbers, for comparison: ``(0, 14, 5)``.
Release = Tuple[int, int, int]

#: The oldest and the newest Prefect that is supported.
SUPPORTED: Tuple[Release, Release] = ((0, 5, 5), (1, 4, 1))
#: The supported releases with a REST API: this minor version of Prefect 2, and this major version.
REST_MINOR, REST_MAJOR = (2, 20), 3
#: The version whose rules apply if Prefect is not installed.
DEFAULT_VERSION = "1.4.1"


@lru_cache(maxsize=128)
def release_of(version: str) -> Release:
    """Return the release of a version. A pre-release such as ``1.0rc1`` follows the rules of its release.

    Args:
        version: a PEP 440 version, such as ``0.14.5``, ``v1.4``, ``1.0rc1`` or ``0.15.13+7.gabc``.

    Raises:
        UnknownPrefectVersion: the text is not a PEP 440 version, or does not have two or three numbers.
    """
    from packaging.version import Version

    try:
        parsed = Version(version)
    except ValueError:
        raise UnknownPrefectVersion(version) from None
    if parsed.epoch or not 2 <= len(parsed.release) <= 3:  # noqa: PLR2004 (1.4 and 1.4.1)
        raise UnknownPrefectVersion(version)
    major, minor, patch = (*parsed.release, 0)[:3]
    return major, minor, patch


def installed_version() -> Optional[str]:
    """Return the version of the installed Prefect, or None if it is not installed. Prefect is not imported.

    Raises:
        UsageError: the package is installed, but its files are not visible.
    """
    from importlib.util import find_spec

    spec = find_spec("prefect")
    if spec is None:  # checked first, because importing importlib.metadata takes as long as everything else here
        return None
    if spec.origin and not os.path.exists(spec.origin):
        raise UsageError(
            "Prefect's files are not visible because the test has replaced the file system (pyfakefs): "
            "request local_secrets, or enter an isolation once, before the replacement"
        )
    from importlib import metadata

    for package in ("prefect", "prefect-client"):
        try:
            return metadata.version(package)
        except metadata.PackageNotFoundError:  # noqa: PERF203 - two names
            continue
    return None


@lru_cache(maxsize=1)
def uses_rest_api() -> bool:
    """Return whether the installed Prefect is 2.20 or 3, whose secrets are blocks behind a REST API.

    Raises:
        UsageError: the package is installed, but its files are not visible.
    """
    version = installed_version()
    try:
        return version is not None and is_rest_version(version)
    except UnknownPrefectVersion:
        return False


def is_rest_version(version: str) -> bool:
    """Return whether a version is 2.20 or 3.

    Raises:
        UnknownPrefectVersion: the text is not a version.
    """
    return release_of(version)[:2] == REST_MINOR or release_of(version)[0] == REST_MAJOR


def require_supported(version: str) -> None:
    """Check that a version is supported.

    Raises:
        UnsupportedPrefect: the version is older than 0.5.5, newer than 1.4.1, or not a version.
    """
    oldest, newest = SUPPORTED
    try:
        supported = oldest <= release_of(version) <= newest
    except UnknownPrefectVersion:
        supported = False
    if not supported:
        raise UnsupportedPrefect(version)
