"""The explanation of a missing secret never replaces the error of the user. What it says is tested in test_mistakes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pytest_flowsecrets import FakeCloud, isolated_prefect
from pytest_flowsecrets.isolation import stack
from pytest_flowsecrets.isolation.missing_in_errors import (
    Missing,
    find_cloud,
    missing_in_error,
    missing_in_failure,
    missing_in_text,
)
from pytest_flowsecrets.isolation.missing_secrets import Case, Cloud, explain_missing
from pytest_flowsecrets.plugin import errors
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
    assert missing_in_error(error) == Missing("TOKEN")


def test_long_output():
    """A message is found at the end of a long output, and a name has at most 200 characters."""
    text = "The secret x " * 20_000
    assert missing_in_text(text) is None
    assert missing_in_text(f"{text}\n{MISSING}") == Missing("TOKEN")
    assert missing_in_text(MISSING.replace("TOKEN", "T" * 201)) is None


CLOUD = Cloud("prefect_cloud", ["TOKEN", "my key"])


@pytest.mark.parametrize(
    ("case", "lines"),
    [
        (
            Case("WEBHOOK", None, cloud=CLOUD, place="cloud"),
            [
                "secret 'WEBHOOK' does not exist in prefect_cloud, which has 'TOKEN', 'my key'",
                'fix: write prefect_cloud.secrets.set("WEBHOOK", "...")',
            ],
        ),
        (
            Case("web hook", None, cloud=Cloud("cloud", []), place="cloud"),
            [
                "secret 'web hook' does not exist in cloud, which has no secrets",
                "fix: write cloud.secrets.set('web hook', \"...\")",
            ],
        ),
        (
            Case("TOKN", None, cloud=CLOUD, place="cloud"),
            [
                "secret 'TOKN' does not exist in prefect_cloud, which has 'TOKEN', 'my key'",
                "'TOKEN' is similar: a letter or a word differs",
                'fix: ask for \'TOKEN\', or write prefect_cloud.secrets.set("TOKN", "...")',
            ],
        ),
        (
            Case("TOKEN", None, cloud=CLOUD, place="cloud"),
            [
                "secret 'TOKEN' does not exist in prefect_cloud, which has 'my key'",
                "prefect_cloud has it now, but did not have it when it was read",
                "fix: set it before the flow run starts",
            ],
        ),
        (
            Case("AWS_CREDENTIALS", None, cloud=Cloud("prefect_cloud", ["AWS_CREDENTIALS"]), place="context"),
            [
                "prefect_cloud has 'AWS_CREDENTIALS', but a flow run gets it only if the storage of its flow names it",
                'fix: name it in the storage, such as GitHub(..., secrets=["AWS_CREDENTIALS"])',
            ],
        ),
        (
            Case("AWS_CREDENTIALS", None, cloud=Cloud("c", ["AWS_CREDENTIALS"], ["AWS_CREDENTIALS"]), place="context"),
            [],
        ),
        (Case("AWS_CREDENTIALS", None, cloud=CLOUD, place="context"), []),
        (Case("AWS_CREDENTIALS", None, place="context"), []),
    ],
)
def test_a_secret_of_cloud(case, lines):
    """A secret that is missing in Cloud is explained by the names of Cloud, and set there."""
    assert explain_missing(case) == lines


def test_a_secret_that_neither_the_test_nor_cloud_has():
    """The names of the test and those of Cloud are told apart."""
    with isolated_prefect({}):
        lines = explain_missing(Case("tokn", stack.current(), cloud=CLOUD))
    assert lines[:2] == [
        "secret 'tokn' does not exist in this test, which has no local secrets",
        "prefect_cloud: 'TOKEN' is similar: a letter or a word differs",
    ]
    assert re.search(r"fix: ask for 'TOKEN', or write @pytest\.mark\.secrets", lines[2])


def test_the_variable_of_a_cloud():
    """A Cloud is found as the fixture prefect_cloud, as another fixture, and in a variable of the test."""
    cloud = FakeCloud()
    assert find_cloud({"production": cloud, "prefect_cloud": cloud}, None) == ("prefect_cloud", cloud)
    assert find_cloud({"text": "x", "production": cloud}, None) == ("production", cloud)
    with pytest.raises(AssertionError) as caught:
        assert cloud is None
    assert find_cloud({}, caught.tb) == ("cloud", cloud)
    assert find_cloud({}, None) is None


def test_credentials_that_botocore_misses():
    """The error of botocore is recognized, unless the test has another missing secret."""
    error = pytest.importorskip("botocore.exceptions").NoCredentialsError()
    assert missing_in_failure(error, None, "") == Missing("AWS_CREDENTIALS", "context")
    error.__cause__ = ValueError(MISSING)
    assert missing_in_failure(AssertionError(), None, f"{error}\n{MISSING}") == Missing("TOKEN")


def test_the_fixtures_in_the_advice_exist():
    """The advice about a misspelled fixture names fixtures that exist."""
    sources = [path.read_text("utf-8") for path in Path(errors.__file__).parent.glob("*.py")]
    known = {name for source in sources for name in re.findall(r"^@pytest\.fixture.*\ndef (\w+)", source, re.MULTILINE)}
    assert set(errors._FIXTURES) - known == set()
