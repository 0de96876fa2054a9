"""Requests to this machine go there, whatever proxy the environment names."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import Dict, Iterator

from pytest_flowsecrets.backend.server import LOOPBACK

_PROXIES = frozenset({"http_proxy", "https_proxy", "all_proxy"})


@contextmanager
def without_proxy() -> Iterator[None]:
    """Let requests to this machine go there, and not to a proxy that the environment may name."""
    ours: Dict[str, str] = {}
    before = {name: os.environ.get(name) for name in ("no_proxy", "NO_PROXY")}
    if not _PROXIES.isdisjoint(name.lower() for name in os.environ):
        ours = {name: ",".join(filter(None, (text, LOOPBACK, "localhost"))) for name, text in before.items()}
    os.environ.update(ours)
    try:
        yield
    finally:
        for name, text in ours.items():
            if os.environ.get(name) == text:
                os.environ.pop(name)
                os.environ.update({name: before[name]} if before[name] else {})  # type: ignore[dict-item]
