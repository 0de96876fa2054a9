"""Hooks that plugins and ``conftest.py`` files can implement.

``pytest_flowsecrets_secrets`` and ``pytest_flowsecrets_leak`` are called during the run. pytest calls the other two
once, during its configuration: implement those in a plugin or in an initial ``conftest.py``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable, Iterable, Mapping, Optional, Union

import pytest

if TYPE_CHECKING:
    from pytest_flowsecrets import Leak


@pytest.hookspec
def pytest_flowsecrets_secrets(config: pytest.Config, item: Optional[pytest.Item]) -> Optional[Mapping[str, Any]]:
    """Return secrets from a source of the project, such as a file or a password manager.

    It is called for each test with a ``secrets`` marker or a fixture that isolates it, before the isolation begins,
    and for each call of ``local_secrets_factory``.

    Args:
        config: the configuration of the run.
        item: the test, or None for ``local_secrets_factory``, whose isolations belong to no test.

    Returns:
        Names and values, as for the marker. The marker, or the argument of ``local_secrets_factory``, takes precedence,
        name by name. If there are several implementations, the one closest to the test takes precedence: a
        ``conftest.py`` in the folder of the test overrides one in a parent folder. For ``local_secrets_factory``, the
        file that calls it counts as the test.
    """


@pytest.hookspec
def pytest_flowsecrets_leak(config: pytest.Config, leak: Leak) -> None:
    """React to a leak, in the modes ``warn`` and ``fail``.

    It is called once for each leak, after the test in which it was found. With pytest-xdist, the controller calls it
    when a worker ends. It cannot fail or skip a test.

    Args:
        config: the configuration of the run.
        leak: the leak. Its texts are masked.
    """


@pytest.hookspec
def pytest_flowsecrets_encoders(
    config: pytest.Config,
) -> Optional[Mapping[str, Callable[[str], Union[str, bytes]]]]:
    """Return functions that encode a secret, so that its encoded form is found and masked too.

    Args:
        config: the configuration of the run.

    Returns:
        Names of forms, as findings show them, with a function for each: from a secret, or a sensitive part of a
        structured one, to its encoded text. The function raises ValueError for a text that has no such form. Encoded
        texts of fewer than six characters are ignored. Only the whole of an encoded text is a leak.
    """


@pytest.hookspec
def pytest_flowsecrets_formats(
    config: pytest.Config,
) -> Optional[Mapping[str, Callable[[str], Optional[Iterable[str]]]]]:
    """Return functions that find the sensitive parts of structured secrets.

    Args:
        config: the configuration of the run.

    Returns:
        Names of formats, with a function for each: from a secret to the sensitive texts in it. It returns nothing, or
        None, for a text that does not have the format. These formats are tried before the built-in ones, and the texts
        are divided further by all formats.
    """
