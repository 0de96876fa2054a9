"""The interface of a fake API for flow runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from pytest_flowsecrets.backend.request_context import Service
    from pytest_flowsecrets.backend.runs.process_tree import Processes
    from pytest_flowsecrets.backend.runs.warm_agents import Agents
    from pytest_flowsecrets.isolation.env_overlays import Variables
    from pytest_flowsecrets.isolation.stack import Isolation


class Api(Protocol):
    """A fake API that real clients, agents and flow runs use; ``FakeApi`` implements it."""

    agents: Agents
    processes: Processes

    @property
    def world(self) -> Service:
        """The rows, keys and secrets of the API."""

    @property
    def isolation(self) -> Isolation:
        """The isolation in which the API is entered."""

    @property
    def client(self) -> Any:
        """A new ``prefect.Client``."""

    def agent_variables(self) -> Variables:
        """Return the variables that configure an agent for the API."""
