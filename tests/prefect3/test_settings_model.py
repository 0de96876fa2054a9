"""The model of the settings agrees with the real ``Settings`` of the installed Prefect."""

from __future__ import annotations

import sys

import pytest

pytest.importorskip("hypothesis")

from hypothesis import given
from hypothesis import strategies as st

from pytest_flowsecrets.resolution.settings import catalogue
from tests.prefect3 import record_settings
from tests.prefect3.compat import IS_TYPED, VERSION
from tests.prefect3.settings_cases import RealSettings, new_case


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    """Return the loader of the installed Prefect, in a process with a private home directory."""
    settings = RealSettings(sys.executable, VERSION, tmp_path_factory.mktemp("settings"))
    yield settings
    settings.close()


@given(rng=st.randoms(use_true_random=True))
def test_tables(real, rng):
    """The model gives the values of settings whose tables are loaded alone, or reports those that are rejected."""
    real.check(new_case(rng, VERSION, whole=not IS_TYPED), whole=not IS_TYPED)


@pytest.mark.slow
@given(rng=st.randoms(use_true_random=True))
def test_all_settings(real, rng):
    """The model agrees on what `import prefect` loads, with broken files, tables as JSON, test mode and debug mode."""
    real.check(new_case(rng, VERSION, whole=True), whole=True)


@pytest.mark.skipif(VERSION not in catalogue.releases(), reason="the catalogue is of another patch release")
def test_catalogue():
    """The catalogue has the settings and profiles of the installed Prefect."""
    known = catalogue.read()[VERSION]
    assert by_path(record_settings.rows()) == by_path(known.settings)
    assert record_settings.profiles() == known.profiles


def by_path(rows):
    """Return rows by the path of their setting."""
    return {row["path"]: row for row in rows}
