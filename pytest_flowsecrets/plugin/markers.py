"""What ``@pytest.mark.secrets`` and ``@pytest.mark.secret_routes`` say about a test.

Nothing of pytest is imported: items and marks are only read.
"""

from __future__ import annotations

from typing import Any, Dict, Iterator, List, Mapping, Optional

from pytest_flowsecrets.errors import UsageError

RIGHT_FORM = '@pytest.mark.secrets(GITHUB_ACCESS_TOKEN="x") or @pytest.mark.secrets({"my secret": 42})'
ROUTE = "secret_route"  # the fixture, and so the parameter, that holds the road of a test
ROUTES_HELP = (
    "secret_routes(*routes): run this test once for each road by which secrets reach flow runs, those of the secrets "
    "mark coming by this road alone: context, config_file, env, agent, run_config, job_template, cloud, or all"
)
HELP = (
    "secrets(mapping=None, /, **values): give the real Prefect these secrets for this test; a mapping for names that "
    "are no identifiers; the closest mark wins, name by name"
)


def secrets_of(item: Any) -> Optional[Dict[str, Any]]:
    """The secrets that the marks of a test give it, the closest winning name by name; None without any mark.

    Raises:
        UsageError: a mark has wrong arguments; names the test, what is wrong and the right form, never a value.
    """
    found: Optional[Dict[str, Any]] = None
    for mark in _closest_first(item):
        try:
            given = _secrets(*mark.args, **mark.kwargs)
        except UsageError as error:
            raise UsageError(f"{item.nodeid}: {error}; write {RIGHT_FORM}") from None
        found = {**given, **(found or {})}
    return found


def _secrets(*arguments: Any, **values: Any) -> Dict[str, Any]:
    if len(arguments) > 1:
        raise UsageError(f"the secrets mark takes one mapping, or names, or both, but got {len(arguments)} arguments")
    mapping = arguments[0] if arguments else {}
    if not isinstance(mapping, Mapping):
        raise UsageError(
            f"the argument of the secrets mark is a mapping of names to values, not {type(mapping).__name__}"
        )
    from pytest_flowsecrets.isolation.secrets.encoding import as_text, validate_name

    secrets = {**mapping, **values}
    for name, value in secrets.items():
        as_text(validate_name(name), value)
    return secrets


def _closest_first(item: Any) -> Iterator[Any]:
    """The secrets marks of a test: of its parameters, of the function, of its classes, of modules and packages."""
    callspec = getattr(item, "callspec", None)
    of_parameters = list(reversed([mark for mark in (callspec.marks if callspec else ()) if mark.name == "secrets"]))
    yield from of_parameters
    for node in reversed(item.listchain()):
        marks = [mark for mark in node.own_markers if mark.name == "secrets"]
        marks = [mark for mark in marks if not any(mark is other for other in of_parameters)]
        order = _order_in_classes(node)
        yield from sorted(marks, key=lambda mark: order.get(id(mark), -1))


def _order_in_classes(node: Any) -> Dict[int, int]:
    """The place of each mark of a class, the class itself before its bases (pytest lists the bases first)."""
    target = getattr(node, "obj", None)
    if not isinstance(target, type):
        return {}
    marks: List[Any] = []
    for owner in target.__mro__:
        own = owner.__dict__.get("pytestmark", [])
        marks.extend(own if isinstance(own, list) else [own])
    return {id(getattr(mark, "mark", mark)): place for place, mark in enumerate(marks)}


def marker_error(item: Any) -> Optional[str]:
    """What is wrong with the marks of a test, None if nothing is."""
    try:
        secrets_of(item)
        route_of(item)
    except UsageError as error:
        return str(error)
    return None


def routes_of(definition: Any) -> List[str]:
    """The roads that a test's closest ``secret_routes`` mark names; none without a mark.

    Raises:
        UsageError: one of them does not exist; names the test and those that do.
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
    """The road of a test that is one of several, None for other tests.

    Raises:
        UsageError: its ``secret_routes`` mark is wrong, or it has one and cannot be run several times.
    """
    routes_of(item)
    callspec = getattr(item, "callspec", None)
    route: Optional[str] = callspec.params.get(ROUTE) if callspec else None
    if route is None and item.get_closest_marker("secret_routes"):
        raise UsageError(
            f"{item.nodeid}: secret_routes needs a test function that pytest can parametrize: put the mark on one, not "
            "on a parameter, a unittest.TestCase or a doctest"
        )
    return route
