"""Names of secrets that a misspelled name may stand for."""

from __future__ import annotations

import re
from typing import Iterable, NamedTuple, Optional

from pytest_flowsecrets.resolution.masked_names import masked_name

_SEPARATORS = re.compile(r"[-_.\s]+")


class Near(NamedTuple):
    """An existing name that resembles a missing one.

    Attributes:
        name: the existing name.
        difference: how it differs from the missing one, in a few words.
    """

    name: str
    difference: str

    @property
    def message(self) -> str:
        """The name and the difference, for a message."""
        return f"{masked_name(self.name)!r} is similar: {self.difference}"


def nearest_name(name: str, names: Iterable[str]) -> Optional[Near]:
    """Return the name that resembles a missing name most, or None.

    Args:
        name: the missing name.
        names: the existing names.
    """
    others = [other for other in names if other != name]
    for other in others:
        if other.casefold() == name.casefold():
            return Near(other, "only upper and lower case differ")
    for other in others:
        if _letters(other) == _letters(name):
            return Near(other, "a separator (_ or -) differs")
    from difflib import get_close_matches

    by_letters = {_letters(other): other for other in others}
    match = next(iter(get_close_matches(_letters(name), by_letters, n=1, cutoff=0.75)), None)
    return None if match is None else Near(by_letters[match], "a letter or a word differs")


def _letters(name: str) -> str:
    return _SEPARATORS.sub("", name).casefold()
