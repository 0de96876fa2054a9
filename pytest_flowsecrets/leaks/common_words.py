"""Texts that stand in so many places that finding them says nothing."""

from __future__ import annotations

import re

SHORTEST = 6  # characters; anything shorter stands in too many texts by chance
COMMON = re.compile(
    "changeme|default|development|disabled|enabled|example|false|github|google|localhost|master|missing|nothing|"
    "password|postgres|prefect|private|production|public|pytest|python|secrets?|staging|string|testing|undefined|"
    r"unknown|username|127\.0\.0\.1|0\.0\.0\.0",
    re.IGNORECASE,
)


def is_common(text: str) -> bool:
    """Whether a text is so short or so common that finding it says nothing."""
    return len(text.strip()) < SHORTEST or COMMON.fullmatch(text.strip()) is not None
