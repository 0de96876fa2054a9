"""Variables that an isolation has for a while: those of a fake API, those of a flow run in it.

They lie on top of each other and are taken away in any order; what is on top counts. A variable that the test itself
sets meanwhile stays as the test wants it.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Dict, List, Mapping, Optional, Tuple

if TYPE_CHECKING:
    from pytest_flowsecrets.isolation.secrets.injector import Delivery

Variables = Mapping[str, Optional[str]]
Cover = Dict[str, Optional[str]]


class Covers:
    """Sets of variables over those that an isolation has otherwise; None hides a variable."""

    def __init__(self) -> None:
        self._covers: List[Cover] = []
        self._shown: Cover = {}
        self._below: Dict[str, Tuple[Optional[str], bool]] = {}  # text, and whether it was the isolation's own

    def lay(self, delivery: Delivery, variables: Variables) -> Cover:
        """Put a set of variables on top; the result is for taking it away."""
        cover = dict(variables)
        for name, text in cover.items():
            self._notice(delivery, name)
            self._show(delivery, name, text)
        self._covers.append(cover)
        return cover

    def lift(self, delivery: Delivery, cover: Cover) -> None:
        """Take a set of variables away, wherever it lies."""
        for name in list(cover):
            self._notice(delivery, name)
        self._covers = [kept for kept in self._covers if kept is not cover]
        for name in cover:
            self._show(delivery, name, self._wanted(name))
            if not self._covered(name) and not self._below[name][1]:
                delivery.variables.pop(name, None)  # it is the run's or the test's again

    def _notice(self, delivery: Delivery, name: str) -> None:
        """What a variable is without covers; if the test itself has set a covered one, no cover counts any more."""
        held = os.environ.get(name)
        if not self._covered(name) or held != self._shown[name]:
            for cover in self._covers:
                cover.pop(name, None)
            self._below[name] = held, name in delivery.variables

    def _covered(self, name: str) -> bool:
        return any(name in cover for cover in self._covers)

    def _wanted(self, name: str) -> Optional[str]:
        return next((cover[name] for cover in reversed(self._covers) if name in cover), self._below[name][0])

    def _show(self, delivery: Delivery, name: str, text: Optional[str]) -> None:
        self._shown[name] = text
        if text is None:
            delivery.unset_variable(name)
        else:
            delivery.set_variable(name, text)
