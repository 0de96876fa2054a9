"""Hooks that mask file descriptors 1 and 2 if pytest does not capture them. ``plugin/leaks.py`` registers them."""

from __future__ import annotations

from typing import Iterator

import pytest

from pytest_flowsecrets.leaks.mask.descriptors import Descriptors, redirect_in_disabled_capture

_CAPTURES_STREAMS_ONLY = "sys", "tee-sys"


def register(config: pytest.Config, descriptors: Descriptors) -> None:
    """Redirect the descriptors if capture is disabled, and with ``--capture=sys`` in every phase of a test."""
    manager = config.pluginmanager.get_plugin("capturemanager")
    if manager is None:
        return
    config.add_cleanup(redirect_in_disabled_capture(manager, descriptors))
    config.pluginmanager.register(DebuggerHooks(descriptors), "flowsecrets-debugger")
    if config.getoption("capture") in _CAPTURES_STREAMS_ONLY:
        config.pluginmanager.register(PhaseHooks(descriptors), "flowsecrets-descriptors")


class DebuggerHooks:
    """The hook for debuggers, which need the original descriptors."""

    def __init__(self, descriptors: Descriptors) -> None:
        self._descriptors = descriptors

    def pytest_enter_pdb(self) -> None:
        """Undo the redirection."""
        self._descriptors.pause()


class PhaseHooks:
    """The hooks that redirect the descriptors during the phases of a test and the collection of modules.

    They run outside pytest's own capture, because ``capfd`` restores the descriptors from before its own start.
    """

    def __init__(self, descriptors: Descriptors) -> None:
        self._descriptors = descriptors

    def _redirect(self) -> Iterator[None]:
        with self._descriptors.redirected():
            yield

    @pytest.hookimpl(hookwrapper=True, tryfirst=True)
    def pytest_make_collect_report(self) -> Iterator[None]:
        """Redirect during the import of test modules."""
        yield from self._redirect()

    @pytest.hookimpl(hookwrapper=True, tryfirst=True)
    def pytest_runtest_setup(self) -> Iterator[None]:
        """Redirect during the setup of fixtures."""
        yield from self._redirect()

    @pytest.hookimpl(hookwrapper=True, tryfirst=True)
    def pytest_runtest_call(self) -> Iterator[None]:
        """Redirect during the test function."""
        yield from self._redirect()

    @pytest.hookimpl(hookwrapper=True, tryfirst=True)
    def pytest_runtest_teardown(self) -> Iterator[None]:
        """Redirect during the teardown of fixtures."""
        yield from self._redirect()
