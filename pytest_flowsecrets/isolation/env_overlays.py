"""Variables that an isolation has for a while: those of a fake API, those of a flow run in it.

They lie on top of each other and are taken away in any order; what is on top counts. A variable that the test itself
sets meanwhile stays as the test wants it.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Dict, List, Mapping, Optional, Tuple

if TYPE_CHECKING:
    from pytest_flowsecrets.isolation.secrets.injector import Injector

Variables = Mapping[str, Optional[str]]
Overlay = Dict[str, Optional[str]]


class EnvOverlays:
    """Sets of variables over those that an isolation has otherwise; None hides a variable."""

    def __init__(self) -> None:
        self._overlays: List[Overlay] = []
        self._shown: Overlay = {}
        self._below: Dict[str, Tuple[Optional[str], bool]] = {}  # text, and whether it was the isolation's own

    def push(self, injector: Injector, variables: Variables) -> Overlay:
        """Put a set of variables on top; the result is for taking it away."""
        overlay = dict(variables)
        for name, text in overlay.items():
            self._notice(injector, name)
            self._show(injector, name, text)
        self._overlays.append(overlay)
        return overlay

    def pop(self, injector: Injector, overlay: Overlay) -> None:
        """Take a set of variables away, wherever it lies."""
        for name in list(overlay):
            self._notice(injector, name)
        self._overlays = [kept for kept in self._overlays if kept is not overlay]
        for name in overlay:
            self._show(injector, name, self._wanted(name))
            if not self._covered(name) and not self._below[name][1]:
                injector.variables.pop(name, None)  # it is the run's or the test's again

    def _notice(self, injector: Injector, name: str) -> None:
        """What a variable is without overlays; if the test itself has set a covered one, no overlay counts any more."""
        held = os.environ.get(name)
        if not self._covered(name) or held != self._shown[name]:
            for overlay in self._overlays:
                overlay.pop(name, None)
            self._below[name] = held, name in injector.variables

    def _covered(self, name: str) -> bool:
        return any(name in overlay for overlay in self._overlays)

    def _wanted(self, name: str) -> Optional[str]:
        return next((overlay[name] for overlay in reversed(self._overlays) if name in overlay), self._below[name][0])

    def _show(self, injector: Injector, name: str, text: Optional[str]) -> None:
        self._shown[name] = text
        if text is None:
            injector.unset_variable(name)
        else:
            injector.set_variable(name, text)
