"""Names of flow runs: two words, as Prefect gives them."""

from __future__ import annotations

import random

_FIRST = (
    "amber brave calm daring eager fuzzy gentle hasty icy jolly keen lucky mellow noble quiet rapid solemn tidy wise"
)
_SECOND = (
    "badger crane dolphin eagle falcon gecko heron ibex jackal koala lemur marmot newt otter panda raven stork tapir"
)
_random = random.Random()  # noqa: S311 - no secret; its own, so that a test's seed is neither used nor moved


def run_name() -> str:
    """Such as ``quiet-otter``."""
    return "-".join(_random.choice(words.split()) for words in (_FIRST, _SECOND))
