"""A test run that is watched: what is known, what leaked, and the one function through which every text goes.

Light: as long as no secret is known, texts pass through it untouched and nothing is imported.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, Callable, Deque, Dict, Iterable, List, Optional, Sequence, Set, Tuple

from pytest_flowsecrets.leaks.items import allowed_by, learn_marks, mask_names, names_of
from pytest_flowsecrets.leaks.known import SHORTEST, Search, known
from pytest_flowsecrets.leaks.variables import Variables

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_flowsecrets.leaks.findings import Finding
    from pytest_flowsecrets.leaks.redact import Masked, Redactor
    from pytest_flowsecrets.leaks.written import WrittenFiles

Allowed = Tuple[str, Tuple[str, ...]]  # a secret's name, or *, and the places where it may be; none means everywhere
_AROUND = 40  # characters of an excerpt on either side of the mask
# Attributes of a report that say nothing but how a test is called and what it has printed.
_USUAL = frozenset(
    ["nodeid", "_id", "location", "keywords", "outcome", "longrepr", "when", "user_properties", "sections", "duration"]
).union(["start", "stop", "result", "call", "node", "worker_id", "testrun_uid", "item_index"])
_CONTAINERS = "{", "[", '"', "H4sI", "eJ"  # JSON and compressed JSON, which are looked into
_APART = "\0"  # between texts that are looked through as one; no value goes on behind it
_OFTEN = 2000  # characters of a text, and texts
WITHHELD = "[withheld: it could not be masked]"


class Run:
    """Watches one run.

    Args:
        mode: ``fail``, ``warn``, ``mask`` or ``off``.
        patterns: names of environment variables, or globs, whose values are secrets.
    """

    def __init__(self, mode: str, patterns: Iterable[str] = ()) -> None:
        self.mode = mode
        self.in_worker = False  # of xdist
        self.watching = mode != "off"
        self._variables = Variables(patterns)
        self._files: Optional[WrittenFiles] = None
        self._clean: Set[Any] = set()
        self._names: Set[str] = set()  # of tests, and their keywords; clean
        self._clean_long: Deque[Any] = deque(maxlen=4)
        self._found: Set[Tuple[str, ...]] = set()
        self._judged: Set[Tuple[str, ...]] = set()
        self.test = ""
        self.allowed: Dict[str, List[Allowed]] = {}
        self.findings: List[Finding] = []
        self._redactor: Optional[Redactor] = None
        self._version = -1
        self._undo: List[Callable[[], None]] = []

    def begin(self) -> None:
        """Learn what the environment says, and mask the standard streams from now on."""
        if not self.watching:
            return
        known.listen()
        self.learn_environment()
        from pytest_flowsecrets.leaks.streams import wrap_standard_streams

        known.readers.append(self.clean)
        self._undo = [known.forget, lambda: known.readers.remove(self.clean), wrap_standard_streams(self.clean_live)]
        if self.mode in ("fail", "warn"):
            known.watchers.append(self.look_at_api)
            known.leavers.append(self.look_at_home)
            self._undo += [
                lambda: known.watchers.remove(self.look_at_api),
                lambda: known.leavers.remove(self.look_at_home),
            ]

    def end(self) -> None:
        """Forget the secrets, leave the streams as they were."""
        while self._undo:
            self._undo.pop()()
        self._redactor, self._version, self.watching = None, -1, False

    def extend(self, encoders: Sequence[Any], formats: Sequence[Any]) -> None:
        """Use what the hooks for encoders and formats returned, also for the secrets that are known already."""
        from pytest_flowsecrets.leaks.extensions import register

        if self.watching and register(encoders, formats):
            self._redactor, self._version = None, -1

    def learn_environment(self) -> None:
        """The secrets of Prefect's variables, and those of variables whose names match a pattern."""
        if self.watching:
            self._variables.learn()

    def learn_tests(self, items: Iterable[Any]) -> None:
        """The secrets of tests' marks; and mask the tests' names."""
        if not self.watching:
            return
        items = list(items)
        for item in items:
            learn_marks(item)
        redactor = self.redactor
        if redactor is None:
            return
        names = {name for item in items for name in names_of(item)} - self._names
        if redactor.find(_APART.join(names)):
            mask_names(items, lambda text: self.clean(text, "id", ""))
        else:
            self._names |= names

    def begin_test(self, item: Any) -> None:
        """Say whose findings the next ones are, and what may leak in it."""
        self.test = item.nodeid
        allowed = allowed_by(item) if self.watching else ()
        if allowed:
            self.allowed[item.nodeid] = list(allowed)

    # -- texts --------------------------------------------------------------------------------------------------------

    @property
    def redactor(self) -> Optional[Redactor]:
        """What masks all that is known by now; None as long as nothing is."""
        if self._version != known.version:
            version, self._version = self._version, known.version
            self._clean.clear()
            self._clean_long.clear()
            self._names.clear()
            if self._redactor is None and len(known):
                from pytest_flowsecrets.leaks.redact import Redactor

                self._redactor = Redactor({})
            if self._redactor is not None:
                self._redactor.update(known.values(version))
        return self._redactor

    def clean(self, text: Any, place: str, test: Optional[str] = None) -> Any:
        """A text, or bytes, masked; the same object if there is nothing to mask. What was found is remembered."""
        redactor = self.redactor
        if redactor is None or not text or self._is_clean(text):
            return text
        masked: List[Masked] = []
        redact: Callable[..., Any] = redactor.redact if isinstance(text, str) else redactor.redact_bytes
        try:
            result = redact(text, masked)
        except Exception:  # noqa: BLE001 - a run does not break because of a mask, and says rather nothing than a value
            return WITHHELD if isinstance(text, str) else WITHHELD.encode()
        if not masked:
            self._remember_clean(text)
        else:
            shown = result if isinstance(result, str) else result.decode("latin-1")
            self.remember(masked, shown, place, self.test if test is None else test)
        return result

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
        """Masked for a stream: never an error, and nothing to do for the shortest texts."""
        if self.redactor is None:
            return text, ""
        if not isinstance(text, str):
            # Anything but text and bytes raises TypeError here, as it does in a stream.
            shown, rest = self.clean_live(memoryview(text).tobytes().decode("utf-8", "surrogateescape"), before)
            return shown.encode("utf-8", "surrogateescape"), rest
        if not known.told and len(before) + len(text) < SHORTEST:
            return text, before + text
        try:
            masked: List[Masked] = []
            shown, rest = self.redactor.redact_next(before, text, masked)
            self.remember(masked, shown, "live output", self.test)
        except Exception:  # noqa: BLE001 - a run does not break because of a mask
            return WITHHELD, ""
        return shown, rest

    def remember(self, masked: Iterable[Masked], shown: str, place: str, test: str) -> None:
        """Add findings, each secret, form, place and test once, but those that are allowed."""
        from pytest_flowsecrets.leaks.findings import Finding

        for each in masked:
            if self._is_allowed(each.names, place, test):
                continue
            around = shown[max(0, each.start - _AROUND) : each.start + 2 * _AROUND]
            finding = Finding(each.names[0], each.form, place, test, " ".join(around.split()), each.names)
            if finding[:4] not in self._found:
                self._found.add(finding[:4])
                self.findings.append(finding)

    def _is_allowed(self, names: Iterable[str], place: str, test: str) -> bool:
        return any(
            (name == "*" or name in names) and (not places or any(part in place for part in places))
            for name, places in self.allowed.get(test, ())
        )

    # -- objects ------------------------------------------------------------------------------------------------------

    def brings_news(self, report: Any) -> bool:
        """Whether there is a text in a report that nobody has looked through, so that what is known now counts."""
        return report.longrepr is not None or not all(self._is_clean(content) for _, content in report.sections)

    def mask_report(self, report: Any) -> None:
        """Mask a report, in place."""
        if self.redactor is None or self._says_nothing(report):
            return
        from pytest_flowsecrets.leaks.reports import mask_report

        test = report.nodeid if isinstance(report.nodeid, str) else ""
        mask_report(report, lambda text, place: self.clean(text, place, test), WITHHELD, keep_id=self.in_worker)

    def mask_id(self, data: Any) -> None:
        """Mask the id of a test in a report that is about to be sent or written."""
        if self.redactor is not None and isinstance(data, dict) and isinstance(data.get("nodeid"), str):
            data["nodeid"] = self.clean(data["nodeid"], "id", data["nodeid"])

    def _says_nothing(self, report: Any) -> bool:
        """Whether it is clean at a glance, to be quick where a test passes: names and captured output only."""
        if report.longrepr is not None or not vars(report).keys() <= _USUAL or getattr(report, "user_properties", None):
            return False
        names = {report.nodeid, *getattr(report, "keywords", ())}
        if not names <= self._names:
            names -= self._names
            if not self._finds_nothing(_APART.join(map(str, names))):
                return False
            self._names |= names
        return all(self._finds_nothing(content) for _, content in report.sections)

    def _finds_nothing(self, text: Any) -> bool:
        if not self._is_clean(text):
            if self.redactor is None or self.redactor.find(text):
                return False
            self._remember_clean(text)
        return True

    def mask_object(self, thing: Any, place: str) -> None:
        """Mask the parts of an object of pytest's, in place."""
        if self.redactor is not None:
            from pytest_flowsecrets.leaks.reports import mask_in_place

            mask_in_place(thing, lambda text: self.clean(text, place))

    def mask_warning(self, recorded: Any, test: str) -> None:
        """Mask a recorded warning, in place."""
        if self.redactor is not None:
            from pytest_flowsecrets.leaks.reports import mask_warning

            mask_warning(recorded, lambda text: self.clean(text, "warning", test))

    # -- findings -----------------------------------------------------------------------------------------------------

    def look_at_api(self, search: Search) -> None:
        """Look for secrets in what an API was sent."""
        redactor = self.redactor
        if redactor is None:
            return
        from pytest_flowsecrets.leaks.left import in_run_config

        texts: List[str] = []

        def finds(text: str) -> bool:
            found = any("cut" not in match.form for match in redactor.find(text))  # nothing on that way cuts values
            if found:
                texts.append(text)
            return found

        places = search(finds)
        for number, place in enumerate(places):
            text = texts.pop(0)
            inside = number + 1 < len(places) and places[number + 1].request is place.request
            if inside and text.startswith(_CONTAINERS):
                continue  # what is found in it tells the place better
            where = self.clean(place.where, "api")
            self.clean(text, in_run_config(where) or f"api {', '.join(place.request.fields)} {where}")

    def look_at_left(self, item: Any) -> None:
        """Look through the files that a test has left so far."""
        from pytest_flowsecrets.leaks.left import folders_of, look_below

        for folder in folders_of(item):
            self.learn_environment()
            if self.redactor is not None:
                look_below(folder, self.clean, item.nodeid)

    def look_at_home(self, home: Path) -> None:
        """The same for the home of an isolation that ends."""
        if self.redactor is not None:
            from pytest_flowsecrets.leaks.left import look_at_home

            look_at_home(home, self.clean, self.test)

    def judge(self, report: Any) -> None:
        """In the mode ``fail``: fail a test for what it has leaked since it was last looked at."""
        if self.mode != "fail" or not self.findings:
            return
        fresh = [finding for finding in self.of_test(report.nodeid) if finding[:4] not in self._judged]
        self._judged.update(finding[:4] for finding in fresh)
        if fresh:
            from pytest_flowsecrets.leaks.findings import section

            if report.outcome == "failed":
                report.sections = [*report.sections, ("Leaked secrets", section(fresh))]
            else:
                report.outcome, report.longrepr = "failed", section(fresh)
                vars(report).pop("wasxfail", None)

    def take_over(self, findings: Iterable[Sequence[Any]]) -> None:
        """Findings of an xdist worker."""
        from pytest_flowsecrets.leaks.findings import Finding

        self.findings += [Finding(*finding) for finding in findings]

    def summary(self) -> List[str]:
        """Counts for each secret and place."""
        from pytest_flowsecrets.leaks.findings import summary

        return summary(self.findings)

    def write_report(self, path: str) -> None:
        """Write the findings as SARIF and as JSON."""
        from pytest_flowsecrets.leaks.findings import write_report

        write_report(path, self.findings)

    def watch_files(self, config: Any) -> None:
        """Mask the log file as it is written, and remember what else the run writes."""
        if self.watching:
            from pytest_flowsecrets.leaks.written import WrittenFiles

            self._files = WrittenFiles(config, self)

    def look_through_files(self) -> None:
        """Mask what reporters have written past the reports."""
        if self._files is not None and self.redactor is not None:
            self._files.mask()

    def of_test(self, test: str) -> List[Finding]:
        """The findings of one test."""
        return [finding for finding in self.findings if finding.test == test]
