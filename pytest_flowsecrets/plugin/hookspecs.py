"""Hooks that plugins and ``conftest.py`` files can implement to find more forms of leaks.

pytest calls them once, during its configuration. Implement them in a plugin or in an initial ``conftest.py``.
"""

from __future__ import annotations

from typing import Callable, Iterable, Mapping, Optional, Union

import pytest


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
