"""The forms in which a secret's value is looked for in what an API was sent."""

from __future__ import annotations

import json
from typing import Any, Callable, Iterator, List

from pytest_flowsecrets.leaks.search.finder import Finder

_SHORT = 6  # characters; what is shorter stands in any text, so it has to be the whole text
_LONG = 20_000  # characters; of what is longer, only the forms that a whole text has in JSON are looked for
_LEAF = 8  # characters; a shorter text within a table or list is no secret by itself


def forms_of(value: Any) -> List[str]:
    """The texts to look for, each once: the value as it is, or as JSON, and the texts inside it."""
    return list(dict.fromkeys(_texts(value)))


def finder(texts: List[str]) -> Callable[[str], bool]:
    """Whether a text holds one of them whole, in any of the forms of ``leaks``; a short one has to be the whole text.

    Nothing on the way to an API cuts values; `set_secret` would be a cut `my_secret`.
    """
    short = {text for text in texts if len(text) < _SHORT}
    long = Finder({text: ("",) for text in texts if _SHORT <= len(text) <= _LONG})
    huge = [form for text in texts if len(text) > _LONG for form in _plain_forms(text)]
    return lambda text: (
        text in short or any("cut" not in match.form for match in long.find(text)) or any(form in text for form in huge)
    )


def _plain_forms(text: str) -> List[str]:
    return [text, json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1]]


def any_of(finders: List[Callable[[str], bool]]) -> Callable[[str], bool]:
    """Whether one of several finds something in a text."""
    return lambda text: any(finds(text) for finds in finders)


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
        return
    for separators in ((", ", ": "), (",", ":")):
        yield json.dumps(value, separators=separators)
        yield json.dumps(value, separators=separators, ensure_ascii=False)
    yield repr(value)
    yield from (leaf for leaf in _leaves(value) if len(leaf) >= _LEAF)


def _leaves(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, (dict, list)):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _leaves(inner)
