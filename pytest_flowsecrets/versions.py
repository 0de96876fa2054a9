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
#: The version whose rules apply where Prefect is not installed.
DEFAULT_VERSION = "1.4.1"


@lru_cache(maxsize=128)
def release_of(version: str) -> Release:
    """Return the release that a version belongs to; a pre-release such as ``1.0rc1`` follows the rules of its release.

    Args:
        version: a version in the sense of PEP 440: ``0.14.5``, ``v1.4``, ``1.0rc1`` or ``0.15.13+7.gabc``.

    Raises:
        UnknownPrefectVersion: the text is not such a version, or has fewer than two or more than three numbers.
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
    """Return the version of the installed Prefect without importing it, or None where there is none.

    Raises:
        UsageError: the package is there, but its files cannot be seen.
    """
    from importlib.util import find_spec

    spec = find_spec("prefect")
    if spec is None:  # asked first, as the import of metadata takes as long as all the rest
        return None
    if spec.origin and not os.path.exists(spec.origin):
        raise UsageError(
            "Prefect's files cannot be seen, as the test has replaced the file system (pyfakefs): "
            "use local_secrets, or enter an isolation once, before that"
        )
    from importlib import metadata

    try:
        return metadata.version("prefect")
    except metadata.PackageNotFoundError:
        return None


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
