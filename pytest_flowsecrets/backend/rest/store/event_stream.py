"""Events or logs of one view in the order of their arrival, for queries and for subscribers."""

from __future__ import annotations

import queue
import threading
from typing import TYPE_CHECKING, Any, Callable, List, Optional

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
