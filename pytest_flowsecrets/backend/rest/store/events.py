"""Events or logs of one view in the order of their arrival, for queries and subscribers, and the filters of events."""

from __future__ import annotations

import queue
import threading
from typing import TYPE_CHECKING, Any, Callable, List, Optional

from pytest_flowsecrets.backend.rest.store.table import parse_time

if TYPE_CHECKING:
    from pytest_flowsecrets.backend.rest.errors import Row


class EventStream:
    """A list that subscribers follow."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.items: List[Row] = []
        self._subscribers: List[queue.Queue[Optional[Row]]] = []

    def publish(self, item: Row) -> None:
        """Add an item and pass it to all subscribers."""
        with self._lock:
            self.items.append(item)
            subscribers = list(self._subscribers)
        for subscriber in subscribers:
            subscriber.put(item)

    def subscribe(self) -> Subscription:
        """Return a subscription to the items that are published from now on."""
        subscriber: queue.Queue[Optional[Row]] = queue.Queue()
        with self._lock:
            self._subscribers.append(subscriber)
        return Subscription(subscriber, lambda: self._remove(subscriber))

    def _remove(self, subscriber: Any) -> None:
        with self._lock:
            if subscriber in self._subscribers:
                self._subscribers.remove(subscriber)

    def close(self) -> None:
        """End all subscriptions."""
        with self._lock:
            subscribers, self._subscribers = self._subscribers, []
        for subscriber in subscribers:
            subscriber.put(None)


class Subscription:
    """The items of a stream, one after the other."""

    def __init__(self, items: queue.Queue[Optional[Row]], cancel: Callable[[], None]) -> None:
        self._items, self.cancel = items, cancel

    def next(self, timeout: float) -> Optional[Row]:
        """Return the next item; None once the stream has been closed.

        Args:
            timeout: seconds to wait.

        Raises:
            queue.Empty: nothing arrived in time.
        """
        return self._items.get(timeout=timeout)


# -- filters -----------------------------------------------------------------------------------------------------------


def event_matches(event: Row, condition: Row) -> bool:
    """Return whether an event fits a filter.

    Args:
        event: as clients send it.
        condition: parts ``event``, ``occurred``, ``resource``, ``related``, ``any_resource``, ``id``; all have to fit.
    """
    resource, related = event.get("resource") or {}, event.get("related") or []
    return (
        _name(event, condition.get("event"))
        and _time(event, condition.get("occurred"))
        and _resources([resource], condition.get("resource"))
        and _resources(related, condition.get("related"))
        and _resources([resource, *related], condition.get("any_resource"))
        and _one_of(event.get("id"), (condition.get("id") or {}).get("id"))
    )


def _one_of(value: Any, options: Optional[List[Any]]) -> bool:
    return not options or str(value) in map(str, options)


def _name(event: Row, condition: Any) -> bool:
    parts = condition if isinstance(condition, list) else [condition] if condition else []
    name = event.get("event", "")
    return all(
        _one_of(name, part.get("name"))
        and (not part.get("prefix") or name.startswith(tuple(part["prefix"])))
        and name not in (part.get("exclude_name") or ())
        and not name.startswith(tuple(part.get("exclude_prefix") or ("\0",)))
        for part in parts
    )


def _time(event: Row, condition: Optional[Row]) -> bool:
    if not condition or "occurred" not in event:
        return True
    occurred, since, until = parse_time(event["occurred"]), condition.get("since"), condition.get("until")
    return (since is None or parse_time(since) <= occurred) and (until is None or occurred <= parse_time(until))


def _resources(resources: List[Row], condition: Any) -> bool:
    parts = condition if isinstance(condition, list) else [condition] if condition else []
    return all(any(_resource(resource, part) for resource in resources) for part in parts)


def _resource(resource: Row, condition: Row) -> bool:
    name = str(resource.get("prefect.resource.id", ""))
    prefix = condition.get("id_prefix")
    labels = condition.get("labels") or {}
    return (
        _one_of(name, condition.get("id"))
        and (not prefix or name.startswith(tuple(prefix)))
        and _one_of(resource.get("prefect.resource.role"), condition.get("role"))
        and all(_label(resource.get(label), wanted) for label, wanted in labels.items())
    )


def _label(value: Any, wanted: Any) -> bool:
    patterns = wanted if isinstance(wanted, list) else [wanted]
    return value is not None and any(_fits(str(value), str(each)) for each in patterns)


def _fits(value: str, pattern: str) -> bool:
    """Return whether a value equals a pattern, or begins with one that ends in ``*``. ``!`` negates a pattern."""
    negated = pattern.startswith("!")
    pattern = pattern[negated:]
    return (value.startswith(pattern[:-1]) if pattern.endswith("*") else value == pattern) != negated
