"""The table of all routes, and the route of a path: by the number of its segments, fixed segments first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Callable, Dict, Iterable, Iterator, List, NamedTuple, Optional, Tuple
from urllib.parse import unquote

from pytest_flowsecrets.backend.rest.errors import UUID, ApiError
from pytest_flowsecrets.backend.rest.resources import (
    blocks,
    deployments,
    flow_runs,
    flows,
    limits,
    records,
    server,
    task_runs,
    variables,
    work_pools,
)

if TYPE_CHECKING:
    from pytest_flowsecrets.backend.rest.call import Route


class Match(NamedTuple):
    """A route and the parameters of the path."""

    route: Route
    parameters: Dict[str, str]


class Router:
    """A table of routes, indexed once.

    Args:
        routes: of all resources; of two that fit a path the one with more fixed segments answers.
    """

    def __init__(self, routes: Iterable[Route]) -> None:
        self._by_length: Dict[int, List[Tuple[List[str], Route]]] = {}
        for route in routes:
            segments = _segments(route.template)
            self._by_length.setdefault(len(segments), []).append((segments, route))
        for entries in self._by_length.values():
            entries.sort(key=lambda entry: [segment.startswith("{") for segment in entry[0]])

    def find(self, method: str, path: str, exists: Callable[[str], bool] = lambda _: True) -> Match:
        """Return the route for a method and the path below the view.

        Args:
            method: of HTTP.
            path: below the view.
            exists: whether the release has the route with a key.

        Raises:
            ApiError: 404 or 405.
        """
        other = path[:-1] if path.endswith("/") else f"{path}/"  # the real server redirects from one to the other
        allowed = False
        for spelling in (path, other):
            for route, parameters in self._candidates(spelling):
                if not exists(route.key):
                    continue
                if route.method == method:
                    return Match(route, parameters)
                allowed = True
        raise ApiError(405, "Method Not Allowed") if allowed else ApiError(404, "Not Found")

    def _candidates(self, path: str) -> Iterator[Match]:
        segments = _segments(path)
        for template, route in self._by_length.get(len(segments), ()):
            parameters = _parameters(template, segments)
            if parameters is not None:
                yield Match(route, parameters)


def _segments(path: str) -> List[str]:
    return [unquote(segment) for segment in path.split("/")]


def _parameters(template: List[str], segments: List[str]) -> Optional[Dict[str, str]]:
    parameters = {}
    for expected, actual in zip(template, segments):
        if expected.startswith("{"):
            if not actual or (expected.endswith(("{id}", "_id}")) and not UUID.fullmatch(actual)):
                return None
            parameters[expected[1:-1]] = actual
        elif expected != actual:
            return None
    return parameters


ROUTES = (
    *blocks.ROUTES,
    *variables.ROUTES,
    *flows.ROUTES,
    *flow_runs.ROUTES,
    *task_runs.ROUTES,
    *deployments.ROUTES,
    *work_pools.ROUTES,
    *limits.ROUTES,
    *records.ROUTES,
    *server.ROUTES,
)
router = Router(ROUTES)
