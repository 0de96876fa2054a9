"""Shared facts of the tests of routes: the real agents that can run here."""

from __future__ import annotations

from importlib.util import find_spec

import pytest

from pytest_flowsecrets.agents import rules
from tests.compat import VERSION


def can_run(agent):
    """Return whether the installed Prefect has this agent, and its packages are installed."""
    needed = {"local": "prefect", "docker": "docker", "kubernetes": "kubernetes", "ecs": "boto3"}[agent]
    return VERSION is not None and rules.OLDEST[agent] <= VERSION and find_spec(needed) is not None


def agents():
    """Parametrize a test with all agents; those that cannot run here are skipped."""
    reason = "the real agent cannot run in this environment"
    return [
        pytest.param(agent, marks=pytest.mark.skipif(not can_run(agent), reason=f"{agent}: {reason}"))
        for agent in rules.AGENTS
    ]


needs_kubernetes = pytest.mark.skipif(not can_run("kubernetes"), reason="the real Kubernetes agent cannot run here")
needs_ecs = pytest.mark.skipif(not can_run("ecs"), reason="the real ECS agent cannot run here")
needs_docker = pytest.mark.skipif(not can_run("docker"), reason="the real Docker agent cannot run here")
needs_local = pytest.mark.skipif(not can_run("local"), reason="the real LocalAgent cannot run here")
