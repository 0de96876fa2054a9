"""Warnings about names that have changed. Every old name keeps working."""

from __future__ import annotations

import warnings


def warn_renamed(old: str, new: str, *, stacklevel: int = 3) -> None:
    """Warn that a name has changed.

    Args:
        old: the old name, as the user writes it.
        new: the new one.
        stacklevel: as for ``warnings.warn``; by default the caller of the function that calls this one.
    """
    warnings.warn(f"{old} is deprecated: use {new}", DeprecationWarning, stacklevel=stacklevel)
