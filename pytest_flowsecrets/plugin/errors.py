"""The hook that removes the frames of this package from errors, and adds a hint if marshmallow is too new."""

from __future__ import annotations

import sys

import pytest


def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> None:
    """Show the errors of this package at the line of the test, and add a hint to errors that marshmallow 4 causes."""
    if call.excinfo is None:
        return
    if "marshmallow" in sys.modules:
        from pytest_flowsecrets.isolation.prefect1.marshmallow import conflict_of

        conflict = conflict_of(call.excinfo.value)
        if conflict is not None:
            item.add_report_section(call.when, "flowsecrets", str(conflict))
    if not item.config.getoption("fulltrace"):
        call.excinfo = _without_own_frames(call.excinfo)


def _without_own_frames(excinfo: pytest.ExceptionInfo[BaseException]) -> pytest.ExceptionInfo[BaseException]:
    from pytest_flowsecrets.tracebacks import without_own_frames

    shortened = without_own_frames(excinfo.value, excinfo.tb)
    if shortened is excinfo.tb:
        return excinfo
    return pytest.ExceptionInfo.from_exc_info((excinfo.type, excinfo.value.with_traceback(shortened), shortened))
