"""Prefect 0.5.5 to 1.4.1 under marshmallow 4, which its serialization does not support.

Marshmallow 4.0 removed ``Field.context`` and unknown keyword arguments of fields. Prefect 0.13 and 0.14 fail at import,
0.15 to 1.4.1 when a flow or run config is serialized.
"""

from __future__ import annotations

from contextlib import contextmanager
from importlib import metadata
from traceback import walk_tb
from typing import Iterator, Optional

from pytest_flowsecrets.errors import IncompatibleMarshmallow
from pytest_flowsecrets.versions import installed_version

_PACKAGE = "marshmallow"
_FIRST = 4  # the major version that Prefect does not support


def conflict_of(error: BaseException) -> Optional[IncompatibleMarshmallow]:
    """Return the error to raise in place of one that marshmallow 4 caused; None for any other.

    Args:
        error: raised by Prefect, with its traceback.
    """
    if not isinstance(error, (AttributeError, TypeError, ImportError)) or not _comes_from_marshmallow(error):
        return None
    version = metadata.version(_PACKAGE)
    return (
        None if int(version.partition(".")[0]) < _FIRST else IncompatibleMarshmallow(installed_version() or "", version)
    )


def _comes_from_marshmallow(error: BaseException) -> bool:
    modules = [frame.f_globals.get("__name__", "") for frame, _ in walk_tb(error.__traceback__)]
    return any(str(name).partition(".")[0] == _PACKAGE for name in [*modules, getattr(error, "name", "")])


@contextmanager
def marshmallow_explained() -> Iterator[None]:
    """Replace an error of Prefect's that marshmallow 4 caused.

    Raises:
        IncompatibleMarshmallow: in place of that error; it names the command that helps.
    """
    try:
        yield
    except Exception as error:
        conflict = conflict_of(error)
        if conflict is None:
            raise
        raise conflict from None
