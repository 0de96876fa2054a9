"""The formats of structured secrets, and which of their parts are sensitive.

The texts that are too short or too common to be a leak are defined here, because the registry needs them in every run.
"""

from __future__ import annotations

import re

SHORTEST = 6  # characters; shorter values occur in too many texts by chance
COMMON = re.compile(
    "changeme|default|development|disabled|enabled|example|false|github|google|localhost|master|missing|nothing|"
    "password|postgres|prefect|private|production|public|pytest|python|secrets?|staging|string|testing|undefined|"
    r"unknown|username|127\.0\.0\.1|0\.0\.0\.0",
    re.IGNORECASE,
)


def is_common(text: str) -> bool:
    """Return whether a text is so short or so common that a match says nothing."""
    return len(text.strip()) < SHORTEST or COMMON.fullmatch(text.strip()) is not None
