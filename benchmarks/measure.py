"""Runs pytest with a stop-watch: the time of the whole, the time of each test, the memory after it."""

from time import perf_counter

START = perf_counter()

import gc  # noqa: E402
import json  # noqa: E402
import os  # noqa: E402
import sys  # noqa: E402
from pathlib import Path  # noqa: E402

import pytest  # noqa: E402

PAGE_KB = os.sysconf("SC_PAGE_SIZE") // 1024


class Watch:
    """A pytest plugin: how long each test took, with setup and teardown, and every 100 tests the resident memory."""

    def __init__(self) -> None:
        self.times = []
        self.memory = []

    @pytest.hookimpl(hookwrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self):
        start = perf_counter()
        yield
        self.times.append(perf_counter() - start)
        if len(self.times) % 100 == 1:
            gc.collect()
            self.resident = _resident_kb()
        self.memory.append(self.resident)


def _resident_kb() -> int:
    statm = Path("/proc/self/statm")
    return int(statm.read_text().split()[1]) * PAGE_KB if statm.exists() else 0


watch = Watch()
status = pytest.main(sys.argv[1:], plugins=[watch])
total = perf_counter() - START
Path(os.environ["MEASURE_RESULT"]).write_text(
    json.dumps({"total": total, "times": watch.times, "memory": watch.memory})
)
sys.exit(status)
