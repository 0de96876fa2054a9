"""What the HTML report shows of each test, as plain data that an xdist worker can send.

A record holds the explanation of every secret that the test has at its end, and the events of the fake APIs. Every text
is masked before it leaves the collector.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any, Callable, Dict, Iterable, List, Mapping, Optional

from pytest_flowsecrets.report import api_events

MAX_EVENTS = 300  # of one test; the report states how many others there were

Record = Dict[str, Any]


class Collector:
    """The records of the tests of one process.

    Args:
        redact: returns a text with masked secrets.
        shorten: folders, such as the root of the project, and what the report shows instead.
    """

    def __init__(self, redact: Callable[[str], str], shorten: Mapping[str, str]) -> None:
        self._redact, self._shorten = redact, dict(shorten)
        self._records: Dict[str, Record] = {}
        self._current: Optional[Record] = None
        self._mask: Any = None

    # -- one test ------------------------------------------------------------------------------------------------------

    def begin_test(self, nodeid: str, position: int, route: str = "") -> None:
        """Start the record of a test. The following events belong to it.

        Args:
            nodeid: the id of the test.
            position: the position of the test in the run.
            route: the route that delivers its secrets, or an empty string.
        """
        record = {"id": nodeid, "position": position, "route": route, "group": "", "outcome": "", "prefect": ""}
        self._current = {**record, "secrets": [], "events": [], "more_events": 0}
        api_events.listeners.append(self._add_event)

    def _add_event(self, event: api_events.Event) -> None:
        current = self._current
        if current is None:
            return
        if len(current["events"]) < MAX_EVENTS or event["action"] != "request":
            current["events"].append(event)
        else:
            current["more_events"] += 1

    def explain(self, isolation: Any, names: Iterable[str]) -> None:
        """Add the explanations of secrets to the record of the current test.

        Args:
            isolation: the isolation of the test, while it is active.
            names: names in addition to those that the isolation has.
        """
        if self._current is None:
            return
        from pytest_flowsecrets.resolution.display import Mask

        self._mask = self._mask or Mask()
        self._current["prefect"] = isolation.version
        self._shorten.setdefault(str(isolation.home.path.parent), "~")
        as_written: Dict[str, str] = {}  # names as the test writes them, by those that Prefect uses
        with suppress(Exception):  # the test may have left an isolation of its own
            as_written = {isolation.secret_name(name): name for name in names}
            as_written.update({name: as_written.get(name, name) for name in isolation.secrets})
        self._current["secrets"] += [self._explanation(isolation, name) for name in as_written.values()]

    def _explanation(self, isolation: Any, name: str) -> Record:
        try:
            data: Record = isolation.explanation(name, self._mask)
        except Exception as error:  # noqa: BLE001 - a report must not fail a test
            data = {"name": name, "error": f"cannot be explained: {type(error).__name__}"}
        return data

    def set_outcome(self, outcome: str, *, when: str) -> None:
        """Set the outcome of a phase: ``passed``, ``failed``, ``skipped``, ``xfailed`` or ``xpassed``."""
        current = self._current
        if current is not None and when == "setup" and current["outcome"]:  # pytest-rerunfailures runs it again
            current.update(outcome="", secrets=[])
        if current is not None and (outcome != "passed" or when == "call") and current["outcome"] != "failed":
            current["outcome"] = "error" if outcome == "failed" and when != "call" else outcome

    def end_test(self, group: str) -> None:
        """Keep the record of the current test if it used secrets or an API.

        Args:
            group: the id of the test without the route.
        """
        current, self._current = self._current, None
        with suppress(ValueError):
            api_events.listeners.remove(self._add_event)
        if current is not None and (current["secrets"] or current["events"] or current["prefect"]):
            current["group"] = group
            self._records[current["id"]] = current

    # -- all tests -----------------------------------------------------------------------------------------------------

    def export(self) -> List[Record]:
        """Return the records, masked, in the order of the run."""
        records = sorted(self._records.values(), key=lambda record: (record["position"], record["id"]))
        return [self.masked(record) for record in records]

    def merge(self, records: Iterable[Record]) -> None:
        """Add the records of an xdist worker."""
        self._records.update((record["id"], dict(record)) for record in records)

    def masked(self, data: Any) -> Any:
        """Return plain data with masked secrets and short paths in all texts, which a file and xdist can hold."""
        if isinstance(data, str):
            return self._masked_text(data)
        if isinstance(data, dict):
            return {key: self.masked(value) for key, value in data.items()}
        return [self.masked(item) for item in data] if isinstance(data, (list, tuple)) else data

    def _masked_text(self, text: str) -> str:
        for folder, name in self._shorten.items():
            text = text.replace(folder, name)
        return self._redact(text).encode("utf-8", "backslashreplace").decode()
