"""What tests declare before they run: secrets and allowed leaks in markers, and names with parameters."""

from __future__ import annotations

from typing import Any, Dict, Iterator, List, Set, Tuple

from pytest_flowsecrets.leaks.registry import registry


def learn_marks(node: Any) -> None:
    """Register the values in a test's ``secrets`` markers. Invalid markers are reported elsewhere."""
    for mark in node.iter_markers("secrets"):
        _learn(mark)


def _learn(mark: Any) -> None:
    for name, value in _pairs(mark):
        registry.register(str(name), value)


def _pairs(mark: Any) -> Iterator[Tuple[Any, Any]]:
    for values in (*mark.args, mark.kwargs):
        if isinstance(values, dict):
            yield from values.items()


def names_in_marks(node: Any) -> Set[str]:
    """Return the names of the secrets in a test's markers."""
    return {str(name) for mark in node.iter_markers("secrets") for name, _ in _pairs(mark)}


def learn_broken_module(error: BaseException) -> None:
    """Register the secrets in the markers of a module that failed to import, from the globals in the traceback."""
    visited: List[BaseException] = []
    link: Any = error
    while link is not None and link not in visited:
        visited.append(link)
        traceback = link.__traceback__
        while traceback is not None:
            for mark in _marks_in(traceback.tb_frame.f_globals):
                _learn(mark)
            traceback = traceback.tb_next
        link = link.__cause__ or link.__context__


def _marks_in(names: Dict[str, Any]) -> Iterator[Any]:
    owners = [names.get("pytestmark")]
    owners += [vars(thing).get("pytestmark") for thing in list(names.values()) if hasattr(thing, "__dict__")]
    for marks in owners:
        for mark in marks if isinstance(marks, list) else [marks]:
            plain = getattr(mark, "mark", mark)
            if getattr(plain, "name", "") == "secrets" and hasattr(plain, "kwargs"):
                yield plain


def allowed_by(node: Any) -> List[Tuple[str, Tuple[str, ...]]]:
    """Return what the ``allow_leaks`` markers of a test allow.

    Returns:
        Pairs of a name, or ``*`` for every secret, and parts of places; no parts allow every place.
    """
    return [
        _allowed(name, mark.kwargs.get("where", ()))
        for mark in node.iter_markers("allow_leaks")
        for name in mark.args or "*"
    ]


def _allowed(name: str, where: Any) -> Tuple[str, Tuple[str, ...]]:
    return name, (where,) if isinstance(where, str) else tuple(where)


def names_of(item: Any) -> Tuple[str, str, str]:
    """Return the names in a test's reports: its node id, its name and the id of its parameters."""
    return item.nodeid, item.name, getattr(getattr(item, "callspec", None), "id", "")


def set_nodeid(owner: Any, nodeid: str) -> None:
    """Set the node id of a test or a report. No public API does this in all supported versions of pytest."""
    if hasattr(owner, "_id"):  # a structure since pytest 9.1
        owner._id = type(owner._id).parse(nodeid)  # noqa: SLF001
    elif hasattr(owner, "_nodeid"):
        owner._nodeid = nodeid  # noqa: SLF001
    else:
        owner.nodeid = nodeid


def without_parameters(nodeid: str, note: str) -> str:
    """Return the id of a test with a note instead of its parameters."""
    function, bracket, _ = nodeid.partition("[")
    return f"{function}[{note}]" if bracket else nodeid
