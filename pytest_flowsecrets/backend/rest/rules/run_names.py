"""Names of flow runs: two words, as Prefect chooses them."""

from __future__ import annotations

import random

_ADJECTIVES = (
    "agile",
    "bold",
    "clever",
    "deft",
    "early",
    "frank",
    "glad",
    "humble",
    "lively",
    "neat",
    "patient",
    "swift",
)
_ANIMALS = ("bison", "cricket", "dingo", "egret", "ferret", "gopher", "hare", "lynx", "mole", "puffin", "seal", "wren")
_random = random.Random()  # noqa: S311 - no secret; of its own, so that a test's seed is neither used nor moved


def run_name() -> str:
    """Return a name such as ``clever-lynx``."""
    return f"{_random.choice(_ADJECTIVES)}-{_random.choice(_ANIMALS)}"
