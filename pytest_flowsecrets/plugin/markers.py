"""Read the markers ``secrets``, ``variables`` and ``secret_routes`` of a test.

This module does not import pytest. It only reads the attributes of items and markers.
"""

from __future__ import annotations

from typing import Any, Dict, Iterable, Iterator, List, Mapping, Optional

from pytest_flowsecrets.errors import UsageError, with_article
from pytest_flowsecrets.versions import uses_rest_api

RIGHT_FORM = '@pytest.mark.secrets(GITHUB_ACCESS_TOKEN="x") or @pytest.mark.secrets({"my secret": 42})'
_CHECKED = frozenset({"secrets", "secret_routes"})
ROUTE = "secret_route"  # the fixture, and therefore the parameter, that holds the route of a test
ROUTES_HELP = (
    "secret_routes(*routes): run this test once for each route, and deliver the secrets of the secrets marker by that "
    "route alone: context, config_file, env, agent, run_config, job_template, cloud, or all; on Prefect 2.20 and 3: "
    "block, variable, env, job_variables, pull_step, job_template, or all"
)
VARIABLES_HELP = (
    "variables(mapping=None, /, **values): set these variables of Prefect 2.20 or 3 for this test; the closest marker "
    "takes precedence, name by name"
)
HELP = (
    "secrets(mapping=None, /, **values): set these secrets in the real Prefect for this test; use a mapping for names "
    "that are not identifiers; the closest marker takes precedence, name by name"
)


def secrets_of(item: Any) -> Optional[Dict[str, Any]]:
    """Return the secrets that the markers of a test set, or None without a marker. The closest marker of a name wins.

    Raises:
        UsageError: a marker has wrong arguments. The message names the test, the error and the correct form, never a
            value.
    """
    secrets: Optional[Dict[str, Any]] = None
    for mark in _closest_first(item, "secrets"):
        try:
            of_mark = _secrets(*mark.args, **mark.kwargs)
        except UsageError as error:
            raise UsageError(f"{item.nodeid}: {error}; write {RIGHT_FORM}") from None
        secrets = merge(of_mark, secrets or {})
    return secrets


def merge(secrets: Mapping[str, Any], closer: Mapping[str, Any]) -> Dict[str, Any]:
    """Return the secrets of two sources. Those of ``closer`` win, whatever their spelling."""
    names = set(map(_identity, closer))
    return {**{name: value for name, value in secrets.items() if _identity(name) not in names}, **closer}


def check(source: str, secrets: Any) -> Mapping[str, Any]:
    """Return the secrets that a source provides if they are valid.

    Raises:
        UsageError: they are not a mapping, or a name or a value is not valid. The message names the source.
    """
    if not isinstance(secrets, Mapping):
        raise UsageError(f"{source} requires a mapping of names to values, not {with_article(type(secrets).__name__)}")
    try:
        return _secrets(secrets)
    except UsageError as error:
        raise UsageError(f"{source}: {error}") from None


def _identity(name: str) -> str:
    """Return what two spellings of one secret share: for Prefect 2.20 and 3, the name of its block."""
    return str(name).lower().replace("_", "-") if uses_rest_api() else name


def _secrets(*arguments: Any, **values: Any) -> Dict[str, Any]:
    if len(arguments) > 1:
        raise UsageError(f"the secrets marker takes one mapping, or names, or both, but got {len(arguments)} arguments")
    mapping = arguments[0] if arguments else {}
    if not isinstance(mapping, Mapping):
        raise UsageError(
            f"the argument of the secrets marker must be a mapping of names to values, not {type(mapping).__name__}"
        )
    from pytest_flowsecrets.isolation.secrets.encoding import as_text, validate_name

    secrets = {**mapping, **values}
    for name, value in secrets.items():
        as_text(validate_name(name), value)
    return secrets


def variables_of(item: Any) -> Dict[str, Any]:
    """Return the variables that the markers of a test set. The closest marker of a name wins.

    Raises:
        UsageError: a marker has wrong arguments. The message names the test and the correct form.
    """
    variables: Dict[str, Any] = {}
    for mark in _closest_first(item, "variables"):
        mapping = mark.args[0] if mark.args else {}
        if len(mark.args) > 1 or not isinstance(mapping, Mapping):
            raise UsageError(
                f"{item.nodeid}: the variables marker takes one mapping, or names, or both; write "
                '@pytest.mark.variables(region="eu") or @pytest.mark.variables({"retries-of-x": 3})'
            )
        variables = {**mapping, **mark.kwargs, **variables}
    return variables


def _closest_first(item: Any, name: str) -> Iterator[Any]:
    """Yield the markers of a test with a name: those of its parameters, function, classes, modules and packages."""
    callspec = getattr(item, "callspec", None)
    of_parameters = _named(name, callspec.marks) if callspec else []
    yield from reversed(of_parameters)
    ids = set(map(id, of_parameters))
    for node in reversed(item.listchain()):
        marks = [mark for mark in _named(name, node.own_markers) if id(mark) not in ids]
        order = _order_in_classes(node)
        yield from sorted(marks, key=lambda mark: order.get(id(mark), -1))


def _named(name: str, marks: Iterable[Any]) -> List[Any]:
    return [mark for mark in marks if mark.name == name]


def _order_in_classes(node: Any) -> Dict[int, int]:
    """Return the position of each marker of a class, the class before its bases. pytest lists the bases first."""
    target = getattr(node, "obj", None)
    if not isinstance(target, type):
        return {}
    marks: List[Any] = []
    for owner in target.__mro__:
        own = owner.__dict__.get("pytestmark", [])
        marks.extend(own if isinstance(own, list) else [own])
    return {id(getattr(mark, "mark", mark)): place for place, mark in enumerate(marks)}


def marker_error(item: Any) -> Optional[str]:
    """Return the error message for the markers of a test, or None if they are correct."""
    if not any(mark.name in _CHECKED for mark in item.iter_markers()):
        return None
    try:
        secrets_of(item)
        route_of(item)
    except UsageError as error:
        return str(error)
    return None


def routes_of(definition: Any) -> List[str]:
    """Return the routes of a test's closest ``secret_routes`` marker, or an empty list if there is none.

    Raises:
        UsageError: a route does not exist. The message names the test and the routes that exist.
    """
    mark = definition.get_closest_marker("secret_routes")
    if mark is None:
        return []
    from pytest_flowsecrets.routes import validate_routes

    try:
        return validate_routes([*mark.args, *(f"{name}=" for name in mark.kwargs)])
    except UsageError as error:
        raise UsageError(f"{definition.nodeid}: {error}") from None


def route_of(item: Any) -> Optional[str]:
    """Return the route of a test that runs once per route, or None for other tests.

    Raises:
        UsageError: the ``secret_routes`` marker is wrong, or pytest cannot parametrize the test.
    """
    routes_of(item)
    callspec = getattr(item, "callspec", None)
    route: Optional[str] = callspec.params.get(ROUTE) if callspec else None
    if route is None and item.get_closest_marker("secret_routes"):
        raise UsageError(
            f"{item.nodeid}: secret_routes needs a test function that pytest can parametrize: move the marker to one; "
            "a parameter, a unittest.TestCase or a doctest cannot carry it"
        )
    return route
