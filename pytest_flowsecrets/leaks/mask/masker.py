"""The one way that every text takes: it is masked, and what was masked is remembered as a finding.

Light: as long as no secret is known, texts pass untouched and nothing is imported.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, Callable, Deque, Iterable, List, Optional, Set, Tuple

from pytest_flowsecrets.leaks.common_words import SHORTEST
from pytest_flowsecrets.leaks.mask.finding_log import Record
from pytest_flowsecrets.leaks.mask.masking_errors import Faults
from pytest_flowsecrets.leaks.mask.node_ids import TestIds
from pytest_flowsecrets.leaks.registry import known

if TYPE_CHECKING:
    from pytest_flowsecrets.leaks.mask.redactor import Masked, Redactor

_OFTEN = 2000  # characters of a text, and texts
WITHHELD = "[withheld: it could not be masked]"


class Masker:
    """Masks texts with all secrets that are known by now.

    Attributes:
        faults: errors of the masking itself.
        record: the findings.
        ids: real and masked ids of tests.
        test: the id of the test that runs, empty where none does.
    """

    def __init__(self) -> None:
        self.faults, self.record, self.ids = Faults(), Record(), TestIds()
        self.test = ""
        self._clean: Set[Any] = set()
        self._names: Set[str] = set()  # of tests, and their keywords; clean
        self._clean_long: Deque[Any] = deque(maxlen=4)
        self._redactor: Optional[Redactor] = None
        self._version = -1

    def forget_values(self) -> None:
        """Forget the values; those that are known are learnt anew with the next text."""
        self._redactor, self._version = None, -1

    @property
    def redactor(self) -> Optional[Redactor]:
        """What masks all that is known by now; None as long as nothing is."""
        if self._version != known.version:
            version = known.version
            self._clean.clear()
            self._clean_long.clear()
            self._names.clear()
            if self._redactor is None and len(known):
                from pytest_flowsecrets.leaks.mask.redactor import Redactor

                self._redactor = Redactor({})
            if self._redactor is not None:
                self._redactor.update(known.values(self._version))
            self._version = version  # last, so that an error is raised each time and no value is missed
        return self._redactor

    def clean(self, text: Any, place: str, test: Optional[str] = None) -> Any:
        """Return a text, or bytes, masked; the same object if there is nothing to mask. Findings are remembered."""
        try:
            redactor = None if self._is_too_short(text) else self.redactor
            if redactor is None or self._is_clean(text) or (place == "id" and self.ids.keeps(text)):
                return text
            masked: List[Masked] = []
            redact: Callable[..., Any] = redactor.redact if isinstance(text, str) else redactor.redact_bytes
            result = self.ids.apart(text, lambda part: redact(part, masked))
            if not masked:
                self._remember_clean(text)
            else:
                shown = result if isinstance(result, str) else result.decode("latin-1")
                self._remember(masked, shown, place, self.test if test is None else test)
        except Exception as error:  # noqa: BLE001 - a run does not break because of a mask, and withholds the text
            self.faults.add(error)
            return WITHHELD if isinstance(text, str) else WITHHELD.encode()
        return result

    def _remember(self, masked: Iterable[Masked], shown: str, place: str, test: str) -> None:
        self.record.add(masked, shown, place, self.ids.collected_id(test), self.shown_id(test))

    def shown_id(self, test: str) -> str:
        """Return the id of a test as it may be shown."""
        redactor = self.redactor
        collected = self.ids.collected_id(test)
        return self.ids.apart(collected, redactor.redact) if redactor else collected

    def _is_too_short(self, text: Any) -> bool:
        """Whether no secret can stand in a text."""
        return not text or (len(text) < SHORTEST and not known.told)

    def _is_clean(self, text: Any) -> bool:
        """Whether this text was looked through already: names come in three reports of a test, its sections in two."""
        return text in self._clean if len(text) < _OFTEN else any(text is other for other in self._clean_long)

    def _remember_clean(self, text: Any) -> None:
        if len(text) >= _OFTEN:
            self._clean_long.append(text)
        elif len(self._clean) >= _OFTEN:
            self._clean = {text}
        else:
            self._clean.add(text)

    def clean_live(self, text: Any, before: str) -> Tuple[Any, str]:
        """Return a text, or bytes, masked for a stream, and what the next call has to get as ``before``.

        Raises:
            TypeError: it is neither text nor bytes, as in any stream.
        """
        if not isinstance(text, str):
            shown, rest = self.clean_live(memoryview(text).tobytes().decode("utf-8", "surrogateescape"), before)
            return shown.encode("utf-8", "surrogateescape"), rest
        try:
            return self._clean_live(text, before)
        except Exception as error:  # noqa: BLE001 - a run does not break because of a mask
            self.faults.add(error)
            return WITHHELD + "\n" * text.endswith("\n"), ""

    def _clean_live(self, text: str, before: str) -> Tuple[str, str]:
        redactor = self.redactor
        if redactor is None:
            return text, ""
        if not known.told and len(before) + len(text) < SHORTEST:
            return text, before + text
        masked: List[Masked] = []
        rest = ""

        def redact(part: str) -> str:
            nonlocal rest
            masked.clear()
            shown, rest = redactor.redact_next(before, part, masked)
            return shown

        shown = self.ids.apart(text, redact)
        if masked:
            self._remember(masked, shown, "live output", self.test)
        return shown, rest

    def _finds_nothing(self, text: Any) -> bool:
        if not self._is_clean(text):
            if self.redactor is None or self.redactor.find(text):
                return False
            self._remember_clean(text)
        return True
