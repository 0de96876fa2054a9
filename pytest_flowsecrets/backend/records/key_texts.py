"""Random texts of API keys. Later fake APIs use those of closed ones again.

The leak search masks each key until the run ends. With new keys for each test, its memory would grow with the number of
tests.
"""

from __future__ import annotations

import os
import secrets
from collections import deque
from contextlib import contextmanager
from typing import Deque, Iterator, List

_RESTING = 16  # texts of closed APIs; these are not reused yet, so that the next APIs refuse the keys of a closed one

_unused: Deque[str] = deque()  # the oldest first
os.register_at_fork(after_in_child=_unused.clear)  # a child must not take the texts that its parent takes


class KeyTexts:
    """The texts of the keys of one fake API."""

    def __init__(self) -> None:
        self._texts: List[str] = []
        self._released: List[str] = []

    def create(self) -> str:
        """Return a random text that no other fake API uses."""
        text = _unused.popleft() if len(_unused) > _RESTING else secrets.token_urlsafe(16)
        self._texts.append(text)
        return text

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """Keep the texts from other APIs while this one is entered, and release them at its end."""
        for text in self._released:
            if text in _unused:
                _unused.remove(text)
                self._texts.append(text)
        try:
            yield
        finally:
            self._released, self._texts = self._texts, []
            _unused.extend(self._released)
