"""Temporary environment variables of an isolation, such as those of a fake API or of a flow run.

Overlays are stacked and can be removed in any order. The topmost overlay of a variable decides its value. If the test
itself sets the variable, the value of the test stays.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Dict, List, Mapping, Optional, Tuple

if TYPE_CHECKING:
    from pytest_flowsecrets.isolation.secrets.injector import Injector

Variables = Mapping[str, Optional[str]]
Overlay = Dict[str, Optional[str]]


class EnvOverlays:
    """The overlays of one isolation. A value of None hides the variable."""

    def __init__(self) -> None:
        self._overlays: List[Overlay] = []
        self._applied: Overlay = {}
        self._underlying: Dict[str, Tuple[Optional[str], bool]] = {}  # the text, and whether the isolation has set it

    def push(self, injector: Injector, variables: Variables) -> Overlay:
        """Add an overlay on top of the others, and return it for ``pop``."""
        overlay = dict(variables)
        for name, text in overlay.items():
            self._sync(injector, name)
            self._apply(injector, name, text)
        self._overlays.append(overlay)
        return overlay

    def pop(self, injector: Injector, overlay: Overlay) -> None:
        """Remove an overlay from any position."""
        for name in list(overlay):
            self._sync(injector, name)
        self._overlays = [other for other in self._overlays if other is not overlay]
        for name in overlay:
            self._apply(injector, name, self._effective(name))
            if not self._has_overlay(name) and not self._underlying[name][1]:
                injector.variables.pop(name, None)  # the variable belongs to the run or the test again

    def _sync(self, injector: Injector, name: str) -> None:
        """Remember the underlying value of a variable. If the test has set it, drop the variable from all overlays."""
        text = os.environ.get(name)
        if not self._has_overlay(name) or text != self._applied[name]:
            for overlay in self._overlays:
                overlay.pop(name, None)
            self._underlying[name] = text, name in injector.variables

    def _has_overlay(self, name: str) -> bool:
        return any(name in overlay for overlay in self._overlays)

    def _effective(self, name: str) -> Optional[str]:
        return next(
            (overlay[name] for overlay in reversed(self._overlays) if name in overlay), self._underlying[name][0]
        )

    def _apply(self, injector: Injector, name: str, text: Optional[str]) -> None:
        self._applied[name] = text
        if text is None:
            injector.unset_variable(name)
        else:
            injector.set_variable(name, text)
