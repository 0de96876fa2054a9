"""Which Prefect is installed, found out without importing it."""

from __future__ import annotations

import re
from typing import Optional

from pytest_flowsecrets.errors import UnsupportedPrefect

OLDEST, NEWEST = (0, 5, 5), (1, 4, 1)
DEFAULT_VERSION = "1.4.1"  # whose rules count where there is no Prefect


def installed_version() -> Optional[str]:
    """The version of the installed Prefect; None where there is none."""
    from importlib.util import find_spec

    if find_spec("prefect") is None:  # asked first, as the import of metadata takes as long as all the rest
        return None
    from importlib import metadata

    try:
        return metadata.version("prefect")
    except metadata.PackageNotFoundError:
        return None


def require_supported(version: str) -> None:
    """Check a version.

    Raises:
        UnsupportedPrefect: it is older than 0.5.5 or newer than 1.4.1.
    """
    release = tuple(int(part) for part in re.findall(r"\d+", version)[:3])
    if not OLDEST <= release <= NEWEST:
        raise UnsupportedPrefect(version)
