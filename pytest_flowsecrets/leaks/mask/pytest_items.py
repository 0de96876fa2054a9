"""What the tests themselves tell before they run: the secrets of their marks, and names made of parameters."""

from __future__ import annotations

from typing import Any, Dict, Iterator, List, Set, Tuple

from pytest_flowsecrets.leaks.registry import registry


def learn_marks(node: Any) -> None:
    """Make the values of a test's ``secrets`` marks known; wrong marks are somebody else's business."""
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
    """Return the names of the secrets that a test's marks declare."""
    return {str(name) for mark in node.iter_markers("secrets") for name, _ in _pairs(mark)}


def learn_broken_module(error: BaseException) -> None:
    """Make the marks of a module known that could not be imported: they are in the globals of the traceback."""
    seen: List[BaseException] = []
    link: Any = error
    while link is not None and link not in seen:
        seen.append(link)
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
    """What the ``allow_leaks`` marks of a test allow: names, ``*`` for all, and places, none for all."""
    return [
        _allowed(name, mark.kwargs.get("where", ()))
        for mark in node.iter_markers("allow_leaks")
        for name in mark.args or "*"
    ]


def _allowed(name: str, where: Any) -> Tuple[str, Tuple[str, ...]]:
    return name, (where,) if isinstance(where, str) else tuple(where)


def names_of(item: Any) -> Tuple[str, str, str]:
    """What is different in the reports of each test: its node id, its name, the id of its parameters."""
    return item.nodeid, item.name, getattr(getattr(item, "callspec", None), "id", "")


def set_nodeid(owner: Any, nodeid: str) -> None:
    """Give a test or a report another node id; pytest has no public way that serves all of its versions."""
    if hasattr(owner, "_id"):  # a structure, from pytest 9.1 on
        owner._id = type(owner._id).parse(nodeid)  # noqa: SLF001
    elif hasattr(owner, "_nodeid"):
        owner._nodeid = nodeid  # noqa: SLF001
    else:
        owner.nodeid = nodeid


def without_parameters(nodeid: str, note: str) -> str:
    """Return the id of a test with a note in the place of its parameters."""
    function, bracket, _ = nodeid.partition("[")
    return f"{function}[{note}]" if bracket else nodeid
