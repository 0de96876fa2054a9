"""The project of the torture suite: each test brings a secret, in a disguise, to one place. It is copied and run."""

import os
import sys

import pytest

sys.path.insert(0, os.path.dirname(__file__))

from disguises import FORMS, name_of, value_of

CHOSEN = os.environ["TORTURE_FORMS"].split(",")


def pytest_generate_tests(metafunc):
    """``told`` is the disguised secret; the mark makes the secret known."""
    if "told" in metafunc.fixturenames:
        place = metafunc.definition.originalname[len("test_") :]
        metafunc.parametrize(
            "told",
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
def fails_in_setup(told):
    raise RuntimeError(told)


@pytest.fixture
def fails_in_teardown(told):
    yield
    raise RuntimeError(told)


@pytest.fixture
def prints_around(told):
    print(told)
    yield
    print(told, file=sys.stderr)
