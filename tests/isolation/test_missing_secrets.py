"""The explanation of a missing secret never replaces the error of the user. What it says is tested in test_mistakes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pytest_flowsecrets import isolated_prefect
from pytest_flowsecrets.isolation.missing_secrets import missing_in_error, missing_name
from pytest_flowsecrets.plugin import advice
from tests.compat import needs_prefect

MISSING = 'Local Secret "TOKEN" was not found.'


class UnusualError(Exception):
    """An error whose attributes have the names of those of other errors."""

    exceptions = None

    @property
    def state(self):
        raise RuntimeError("not now")


@needs_prefect
@pytest.mark.parametrize("exceptions", [None, ["text"], 3])
def test_an_unusual_error_leaves_an_isolation(exceptions):
    """An error with attributes of any type leaves the `with` block as it is."""
    error = UnusualError("own")
    error.exceptions = exceptions
    with pytest.raises(UnusualError, match="own"), isolated_prefect({"A": "x"}):
        raise error
    assert missing_in_error(error) is None


def test_the_cause_of_an_unusual_error():
    """The error inside it is found all the same."""
    error = UnusualError("own")
    error.__cause__ = ValueError(MISSING)
    assert missing_in_error(error) == "TOKEN"


def test_long_output():
    """A message is found at the end of a long output, and a name has at most 200 characters."""
    text = "The secret x " * 20_000
    assert missing_name(text) is None
    assert missing_name(f"{text}\n{MISSING}") == "TOKEN"
    assert missing_name(MISSING.replace("TOKEN", "T" * 201)) is None


def test_the_fixtures_in_the_advice_exist():
    """The advice about a misspelled fixture names fixtures that exist."""
    sources = [path.read_text("utf-8") for path in Path(advice.__file__).parent.glob("*.py")]
    known = {name for source in sources for name in re.findall(r"^@pytest\.fixture.*\ndef (\w+)", source, re.MULTILINE)}
    assert set(advice._FIXTURES) - known == set()
