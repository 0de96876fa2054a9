"""Explain the errors of Prefect 0.5.5 to 1.4.1 with marshmallow 4, which Prefect does not support.

Marshmallow 4.0 removed ``Field.context`` and unknown keyword arguments of fields. Prefect 0.13 and 0.14 fail at import.
Prefect 0.15 to 1.4.1 fail when they serialize a flow or run config.
"""

from __future__ import annotations

from contextlib import contextmanager
from importlib import metadata
from traceback import walk_tb
from typing import Iterator, Optional

from pytest_flowsecrets.errors import IncompatibleMarshmallow
from pytest_flowsecrets.versions import installed_version, release_of

_PACKAGE = "marshmallow"
_FIRST = (4, 0, 0)  # the release that Prefect does not support


def conflict_of(error: BaseException) -> Optional[IncompatibleMarshmallow]:
    """Return the error that replaces an error caused by marshmallow 4, or None for any other error.

    Args:
        error: an error from Prefect, with its traceback.
    """
    if not isinstance(error, (AttributeError, TypeError, ImportError)) or not _comes_from_marshmallow(error):
        return None
    try:
        version = metadata.version(_PACKAGE)
    except metadata.PackageNotFoundError:  # another module of this name
        return None
    return IncompatibleMarshmallow(installed_version() or "", version) if release_of(version) >= _FIRST else None


def _comes_from_marshmallow(error: BaseException) -> bool:
    modules = [frame.f_globals.get("__name__", "") for frame, _ in walk_tb(error.__traceback__)]
    return any(str(name).partition(".")[0] == _PACKAGE for name in [*modules, getattr(error, "name", "")])


@contextmanager
def marshmallow_explained() -> Iterator[None]:
    """Replace errors of Prefect that marshmallow 4 causes inside the ``with`` block.

    Raises:
        IncompatibleMarshmallow: the replacement. It names the command that fixes the problem.
    """
    try:
        yield
    except Exception as error:
        conflict = conflict_of(error)
        if conflict is None:
            raise
        raise conflict from None
