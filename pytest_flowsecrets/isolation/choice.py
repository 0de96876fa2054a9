"""Choose the kind of isolation by the installed Prefect. Nothing else in this package makes that choice."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_flowsecrets.versions import DEFAULT_VERSION, uses_rest_api

if TYPE_CHECKING:
    from pytest_flowsecrets.isolation.stack import Isolation


def new_isolation(
    version: str = DEFAULT_VERSION, *, of_test: bool = False, server: str = "fake", write_only: bool = False
) -> Isolation:
    """Return an isolation for the installed Prefect.

    Args:
        version: the Prefect version whose rules apply if Prefect is not installed.
        of_test: whether the isolation belongs to a whole test. Other threads may then nest isolations inside it.
        server: the API of Prefect 2.20 and 3: ``fake`` or ``real``.
        write_only: whether the fake API refuses reads of secrets outside flow runs from the start.
    """
    if uses_rest_api():
        from pytest_flowsecrets.isolation.rest_isolation import RestIsolation

        return RestIsolation(of_test=of_test, server=server, write_only=write_only)
    from pytest_flowsecrets.isolation.legacy_isolation import LegacyIsolation

    return LegacyIsolation(version, of_test=of_test)
