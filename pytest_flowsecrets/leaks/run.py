"""A test run that is watched: what is known, what leaked, and the one function through which every text goes.

Light: as long as no secret is known, texts pass through it untouched and nothing is imported.
"""

from __future__ import annotations

import os
import sys
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, Callable, Dict, Iterable, List, Optional, Tuple

from pytest_flowsecrets.leaks.known import SHORTEST, known

if TYPE_CHECKING:
    from pytest_flowsecrets.leaks.findings import Finding
    from pytest_flowsecrets.leaks.redact import Masked, Redactor

Allowed = Tuple[str, Tuple[str, ...]]  # a secret's name, or *, and the places where it may be; none means everywhere
_PREFIX = "PREFECT__CONTEXT__SECRETS__"
_AROUND = 40  # characters of an excerpt on either side of the mask
WITHHELD = "[withheld: it could not be masked]"


class Run:
    """Watches one run.

    Args:
        mode: ``fail``, ``warn``, ``mask`` or ``off``.
    """

    def __init__(self, mode: str) -> None:
        self.mode = mode
        self.test = ""
        self.allowed: Dict[str, List[Allowed]] = {}
        self.findings: List[Finding] = []
        self._redactor: Optional[Redactor] = None
        self._version = -1
        self._undo: List[Callable[[], None]] = []

    def begin(self, patterns: Iterable[str]) -> None:
        """Learn what the environment says, and mask the standard streams from now on."""
        known.listen()
        self.learn_environment(patterns)
        from pytest_flowsecrets.leaks.streams import wrap_standard_streams

        self._undo = [known.forget, wrap_standard_streams(self.clean_live)]

    def end(self) -> None:
        """Forget the secrets, leave the streams as they were."""
        while self._undo:
            self._undo.pop()()

    def learn_environment(self, patterns: Iterable[str]) -> None:
        """The secrets of Prefect's variables, and those of variables whose names match one of ``patterns``."""
        wanted = list(patterns)
        for name, text in os.environ.items():
            if name.upper().startswith(_PREFIX):
                known.register(name[len(_PREFIX) :], text)
            elif any(fnmatchcase(name, pattern) for pattern in wanted):
                known.register(name, text)

    # -- texts --------------------------------------------------------------------------------------------------------

    @property
    def redactor(self) -> Optional[Redactor]:
        """What masks all that is known by now; None as long as nothing is."""
        if self._version != known.version:
            self._version = known.version
            if self._redactor is None and len(known):
                from pytest_flowsecrets.leaks.redact import Redactor

                self._redactor = Redactor({})
            if self._redactor is not None:
                self._redactor.update(known.values())
        return self._redactor

    def clean(self, text: Any, place: str, test: Optional[str] = None) -> Any:
        """A text, or bytes, masked; the same object if there is nothing to mask. What was found is remembered."""
        redactor = self.redactor
        if redactor is None or not text:
            return text
        masked: List[Masked] = []
        if isinstance(text, str):
            result: Any = redactor.redact(text, masked)
        else:
            result = redactor.redact_bytes(bytes(text), masked)
        if masked:
            shown = result if isinstance(result, str) else result.decode("latin-1")
            self.remember(masked, shown, place, self.test if test is None else test)
        return result

    def clean_live(self, text: Any) -> Any:
        """Masked for a stream: never an error, and nothing to do for the shortest texts."""
        if len(text) < SHORTEST and not known.told:
            return text
        try:
            return self.clean(text, "live output")
        except Exception:  # noqa: BLE001 - a run does not break because of a mask
            return WITHHELD if isinstance(text, str) else WITHHELD.encode()

    def remember(self, masked: Iterable[Masked], shown: str, place: str, test: str) -> None:
        """Add findings, each secret, form, place and test once, but those that are allowed."""
        from pytest_flowsecrets.leaks.findings import Finding

        for each in masked:
            if self._is_allowed(each.names, place, test):
                continue
            around = shown[max(0, each.start - _AROUND) : each.start + 2 * _AROUND]
            finding = Finding(each.names[0], each.form, place, test, " ".join(around.split()), each.names)
            if not any(finding[:4] == other[:4] for other in self.findings):
                self.findings.append(finding)

    def _is_allowed(self, names: Iterable[str], place: str, test: str) -> bool:
        return any(
            (name == "*" or name in names) and (not places or any(part in place for part in places))
            for name, places in self.allowed.get(test, ())
        )

    def of_test(self, test: str) -> List[Finding]:
        """The findings of one test."""
        return [finding for finding in self.findings if finding.test == test]
