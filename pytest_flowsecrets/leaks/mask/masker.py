"""The single path of every text and of pytest's objects: a masker masks them and records what it masked as findings.

Errors inside the masking code are counted and described without a value, and never reach pytest. While no secret is
registered, texts pass unchanged and this module imports nothing expensive.
"""

from __future__ import annotations

import sys
from collections import deque
from functools import partial
from typing import TYPE_CHECKING, Any, Callable, Deque, Iterable, List, NamedTuple, Optional, Set, Tuple

from pytest_flowsecrets.leaks.formats import SHORTEST
from pytest_flowsecrets.leaks.mask.finding_log import OWN_SOURCE, Faults, Record
from pytest_flowsecrets.leaks.mask.node_ids import TestIds, set_nodeid, without_parameters
from pytest_flowsecrets.leaks.registry import registry

if TYPE_CHECKING:
    from pytest_flowsecrets.leaks.mask.redactor import Masked, Redactor

WITHHELD = "[withheld: it could not be masked]"
# Attributes of a report that contain only names, times and captured output.
_SIMPLE_ATTRIBUTES = frozenset(
    ["nodeid", "_id", "location", "keywords", "outcome", "when", "sections", "duration", "start", "stop"]
).union(["result", "call", "node", "worker_id", "testrun_uid", "item_index"])
_CONTAINERS = str, list, dict, tuple
SEPARATOR = "\0"  # joins texts for one search; no value continues across it
_MOST_SHORT, _MOST_LONG = 2000, 4  # texts in the cache
_LONG = 2000  # characters


class CleanTexts:
    """A bounded cache of texts that contain no secret.

    The names of a test appear in three reports, and its captured output in two. Short texts are compared by value, long
    ones by identity.
    """

    def __init__(self) -> None:
        self._short: Set[Any] = set()
        self._long: Deque[Any] = deque(maxlen=_MOST_LONG)

    def __len__(self) -> int:
        return len(self._short) + len(self._long)

    def __contains__(self, text: Any) -> bool:
        return text in self._short if len(text) < _LONG else any(text is other for other in tuple(self._long))

    def add(self, text: Any) -> None:
        """Add a text."""
        if len(text) >= _LONG:
            self._long.append(text)
            return
        if len(self._short) >= _MOST_SHORT:
            self._short.clear()
        self._short.add(text)


class _Known(NamedTuple):
    """What a masker knows at a version of the registry. A change of the registry replaces all of it.

    A thread that still uses a previous one therefore cannot add a text to a cache in which it does not belong.

    Attributes:
        version: the version of the registry. The redactor masks at least the values that it had then.
        redactor: the redactor, or None if there are no values.
        clean_texts: texts that contain no secret.
        names: names and keywords of tests that contain no secret.
    """

    version: int
    redactor: Optional[Redactor]
    clean_texts: CleanTexts
    names: Set[str]


class Masker:
    """Masks texts, and pytest's objects in place, with all secrets that are registered so far.

    Text that cannot be masked is withheld.

    Attributes:
        faults: errors inside the masking code.
        record: the findings.
        ids: the real and masked ids of tests.
        test: the id of the running test, or an empty string.
        watching: whether texts are masked at all.
        in_worker: whether this process is a worker of pytest-xdist.
    """

    def __init__(self) -> None:
        self.faults, self.record, self.ids = Faults(), Record(), TestIds()
        self.test = ""
        self.watching, self.in_worker = True, False
        self.forget_values()

    def forget_values(self) -> None:
        """Forget the values. The next text builds a new redactor from the registry."""
        self._last_known = _Known(-1, None, CleanTexts(), set())

    @property
    def redactor(self) -> Optional[Redactor]:
        """The redactor for all registered secrets, or None if there are none or if texts are not masked."""
        return self._known().redactor if self.watching else None

    def _known(self) -> _Known:
        """Return what is known about all values that are registered so far."""
        known, version = self._last_known, registry.version
        if known.version == version:
            return known
        redactor = known.redactor
        if redactor is None and len(registry):
            from pytest_flowsecrets.leaks.mask.redactor import Redactor

            redactor = Redactor({})
        if redactor is not None:
            redactor.update(registry.values(known.version))
        known = _Known(version, redactor, CleanTexts(), set())
        self._last_known = known  # last: after an error, the next text tries again
        return known

    def clean(self, text: Any, place: str, test: Optional[str] = None) -> Any:
        """Return a text, or bytes, masked, and record the findings.

        Returns:
            The same object if it contains no secret; a note if it cannot be masked.
        """
        try:
            is_too_short = not text or (len(text) < SHORTEST and not registry.has_short)
            known = self._last_known if is_too_short else self._known()
            redactor = None if is_too_short else self.redactor
            if redactor is None or text in known.clean_texts or (place == "id" and self.ids.keeps(text)):
                return text
            return self._clean(redactor, known.clean_texts, text, place, self.test if test is None else test)
        except Exception as error:  # noqa: BLE001 - an error in the masking code must not fail the run
            self.faults.add(error)
            return WITHHELD if isinstance(text, str) else WITHHELD.encode()

    def _clean(self, redactor: Redactor, clean_texts: CleanTexts, text: Any, place: str, test: str) -> Any:
        masked: List[Masked] = []
        redact: Callable[..., Any] = redactor.redact if isinstance(text, str) else redactor.redact_bytes
        result = self.ids.apart(text, partial(redact, masked=masked))
        clean_texts.add(result)
        if masked and place != OWN_SOURCE:
            self._remember(masked, result if isinstance(result, str) else result.decode("latin-1"), place, test)
        return result

    def _remember(self, masked: Iterable[Masked], shown: str, place: str, test: str) -> None:
        self.record.add(masked, shown, place, self.ids.collected_id(test), self.shown_id(test))

    def shown_id(self, test: str) -> str:
        """Return the id of a test with secrets masked."""
        collected = self.ids.collected_id(test)
        known, redactor = self._known(), self.redactor
        if redactor is None or collected in known.names:
            return collected
        return str(self.ids.apart(collected, redactor.redact))

    def clean_live(self, text: Any, before: str) -> Tuple[Any, str]:
        """Return a text, or bytes, masked for a stream, and the ``before`` argument of the next call.

        Raises:
            TypeError: the object is neither text nor bytes.
        """
        if not isinstance(text, str):
            shown, rest = self.clean_live(memoryview(text).tobytes().decode("utf-8", "surrogateescape"), before)
            return shown.encode("utf-8", "surrogateescape"), rest
        try:
            return self._clean_live(text, before)
        except Exception as error:  # noqa: BLE001 - an error in the masking code must not fail the run
            self.faults.add(error)
            return WITHHELD + "\n" * text.endswith("\n"), ""

    def _clean_live(self, text: str, before: str) -> Tuple[str, str]:
        redactor = self.redactor
        if redactor is None:
            return text, ""
        if not registry.has_short and len(before) + len(text) < SHORTEST:
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

    # -- objects of pytest ---------------------------------------------------------------------------------------------

    def has_unseen_text(self, report: Any) -> bool:
        """Return whether a report contains a text that was not searched yet."""
        with self.faults:
            return report.longrepr is not None or not all(
                content in self._last_known.clean_texts for _, content in report.sections
            )
        return True

    def mask_report(self, report: Any) -> None:
        """Mask a report. If that fails, withhold everything in it that can contain a secret."""
        with self.faults:
            known, redactor = self._known(), self.redactor
            if redactor is not None and not self._mask_output(report, known, redactor):
                self._mask_report(report, redactor)
            return
        from pytest_flowsecrets.leaks.mask.reports import withhold_report

        withhold_report(report, WITHHELD)

    def _mask_output(self, report: Any, known: _Known, redactor: Redactor) -> bool:
        """Mask the captured output of a report if a quick check shows that the rest of it contains no secret.

        This is the usual case. The check covers the reports of passed tests only, in which the rest is names.

        Returns:
            Whether the output was masked this way.
        """
        for name, value in vars(report).items():
            if name not in _SIMPLE_ATTRIBUTES and value is not None and (type(value) not in _CONTAINERS or value):
                return False
        names = {report.nodeid, *getattr(report, "keywords", ()), *(title for title, _ in report.sections)}
        if not names <= known.names:
            if redactor.find(SEPARATOR.join(map(str, names - known.names))):
                return False
            known.names.update(names)
        if not all(content in known.clean_texts for _, content in report.sections):
            from pytest_flowsecrets.leaks.mask.reports import mask_sections

            report.sections = mask_sections(report.sections, partial(self.clean, test=report.nodeid))
        return True

    def _mask_report(self, report: Any, redactor: Redactor) -> None:
        from pytest_flowsecrets.leaks.mask.reports import mask_report

        nodeid = report.nodeid if isinstance(report.nodeid, str) else ""
        test = self.ids.collected_id(nodeid)
        if getattr(report, "when", "") == "collect" and "::" not in nodeid:
            self.ids.keep_path(nodeid, redactor.find(nodeid))
        shown = self.clean(test, "id", test)
        if shown == WITHHELD:
            shown = without_parameters(test, WITHHELD)
        if self.in_worker:  # the controller knows the test by its id from collection
            shown = test
        if shown != nodeid:
            self.ids.remember(test, shown)
            set_nodeid(report, shown)
        mask_report(report, partial(self.clean, test=test), WITHHELD)

    def mask_id(self, data: Any) -> None:
        """Mask the test id in a report that is about to be sent or written."""
        with self.faults:
            if self.redactor is not None and isinstance(data, dict) and isinstance(data.get("nodeid"), str):
                data["nodeid"] = self.clean(data["nodeid"], "id", data["nodeid"])

    def mask_object(self, thing: Any, place: str) -> None:
        """Mask the attributes of an object that pytest created, in place."""
        with self.faults:
            if self.redactor is not None:
                from pytest_flowsecrets.leaks.mask.masked_copies import mask_in_place

                mask_in_place(thing, lambda text: self.clean(text, place))
            return
        from pytest_flowsecrets.leaks.mask.reports import withhold_object

        withhold_object(thing, WITHHELD)

    def mask_warning(self, recorded: Any, test: str) -> None:
        """Mask a recorded warning in place."""
        with self.faults:
            if self.redactor is not None:
                from pytest_flowsecrets.leaks.mask.reports import mask_warning

                mask_warning(recorded, lambda text: self.clean(text, "warning", test))
            return
        recorded.message, recorded.line = UserWarning(WITHHELD), ""

    def mask_captured(self, config: Any) -> None:
        """Mask captured output that pytest is about to write to the terminal itself."""
        with self.faults:
            if self.redactor is not None:
                from pytest_flowsecrets.leaks.mask.masked_stream import take_captured

                for stream, text in take_captured(config):
                    stream.write(self.clean(text, f"captured {'stdout' if stream is sys.stdout else 'stderr'}"))
