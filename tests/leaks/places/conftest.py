"""The project of the torture suite: each test brings a disguised secret to one place. The suite copies and runs it."""

import os
import sys

import pytest

sys.path.insert(0, os.path.dirname(__file__))

from disguises import FORMS, name_of, value_of

CHOSEN = os.environ["TORTURE_FORMS"].split(",")


def pytest_generate_tests(metafunc):
    """Parametrize tests with the disguised ``secret``. The mark registers the secret."""
    if "secret" in metafunc.fixturenames:
        place = metafunc.definition.originalname[len("test_") :]
        metafunc.parametrize(
            "secret",
            [
                pytest.param(
                    FORMS[form][1](value_of(place, form)),
                    id=form,
                    marks=pytest.mark.secrets({name_of(place, form): value_of(place, form)}),
                )
                for form in CHOSEN
            ],
        )


def pytest_report_header(config):
    return "the header says " + os.environ.get("TORTURE_HEADER", "")


def pytest_terminal_summary(terminalreporter):
    terminalreporter.write_line("the summary says " + os.environ.get("TORTURE_HEADER", ""))


@pytest.fixture
def fails_in_setup(secret):
    raise RuntimeError(secret)


@pytest.fixture
def fails_in_teardown(secret):
    yield
    raise RuntimeError(secret)


@pytest.fixture
def prints_around(secret):
    print(secret)
    yield
    print(secret, file=sys.stderr)
