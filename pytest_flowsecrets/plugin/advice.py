"""The next step for errors that pytest and Hypothesis raise when a fixture or a marker of this package is misused.

Their own messages say what is wrong, but cannot know what this package offers instead.
"""

from __future__ import annotations

import re
from typing import Callable, Dict, Match, Optional

_FIXTURES = (
    "local_secrets",
    "local_secrets_factory",
    "prefect_cloud",
    "prefect_server",
    "prefect_home",
    "real_prefect",
    "secret_leaks",
    "secret_route",
    "cluster_secrets",
    "flow_environment",
    "flow_clock",
)
_OURS = "|".join(_FIXTURES)
_MARKS = ("secrets", "secret_routes", "variables", "allow_leaks")


def _mark(match: Match[str]) -> Optional[str]:
    from pytest_flowsecrets.resolution.shown_names import nearest_name

    near = nearest_name(match.group(1), _MARKS)
    return f"fix: write @pytest.mark.{near.name}" if near and match.group(1) not in _MARKS else None


def _fixture(match: Match[str]) -> Optional[str]:
    from pytest_flowsecrets.resolution.shown_names import nearest_name

    near = nearest_name(match.group(1), _FIXTURES)
    return f"fix: request the fixture {near.name!r}" if near else None


def _scope(match: Match[str]) -> str:
    if match.group(1) == "local_secrets":
        return "fix: use local_secrets_factory in fixtures of wider scope, or make the fixture function-scoped"
    return (
        f"fix: make the fixture function-scoped, because {match.group(1)} belongs to one test, or use "
        "`with isolated_prefect(...):` in it"
    )


_ADVICE: Dict[str, Callable[[Match[str]], Optional[str]]] = {
    r"'(\w+)' not found in `markers` configuration option": _mark,
    r"Marks cannot be applied to fixtures": lambda _: (
        "fix: put the marker on the test, or set the secret in the fixture with local_secrets"
    ),
    rf"ScopeMismatch: You tried to access the (?:'?function'?) scoped fixture '?({_OURS})\b": _scope,
    rf"FailedHealthCheck: (?s:.*?)[Ff]unction-scoped fixture '({_OURS})'": lambda _: (
        "fix: set secrets with the marker, or with `with isolated_prefect({...}):` in the test, for each example"
    ),
    r"fixture '(\w+)' not found": _fixture,
}


def advice_for(text: str) -> Optional[str]:
    """Return the next step for an error, or None if the error is not about this package.

    Args:
        text: the error as pytest shows it.
    """
    for pattern, advise in _ADVICE.items():
        match = re.search(pattern, text)
        advice = advise(match) if match else None
        if advice is not None:
            return advice
    return None
