"""The command line reads facts about this machine."""

from __future__ import annotations

import sys
from importlib import metadata
from importlib.machinery import ModuleSpec

import pytest

from pytest_flowsecrets.commands import inputs
from pytest_flowsecrets.commands.files import reading
from pytest_flowsecrets.errors import UsageError
from pytest_flowsecrets.isolation.prefect1 import paths


@pytest.mark.parametrize(("installed", "expected"), [("0.14.22", "0.14.22"), ("2.8.0", "1.4.1"), (None, "1.4.1")])
def test_assumed_version(monkeypatch, installed, expected):
    """The default release is the installed one, if it is supported, and it is not imported."""

    def version(name):
        if installed is None:
            raise metadata.PackageNotFoundError(name)
        return installed

    monkeypatch.setattr("importlib.util.find_spec", lambda name: ModuleSpec(name, None))
    monkeypatch.setattr(metadata, "version", version)
    assert inputs.assumed_version() == expected


def test_no_prefect(monkeypatch):
    """Without Prefect the default release is the newest one."""
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert inputs.assumed_version() == "1.4.1"


def test_no_yaml(monkeypatch, run, write):
    """Without PyYAML the error says what to install."""
    monkeypatch.setitem(sys.modules, "yaml", None)
    done = run("check", write("a.yaml", "a: 1"))
    assert (done.code, "pip install" in done.err) == (2, True)


def test_homes():
    """`UserHomes` looks up home directories and does not list them."""
    homes = paths.UserHomes()
    assert homes.get("no-such-user-9") is None
    assert (len(homes), list(homes)) == (0, [])


def test_unreadable_is_a_usage_error():
    """`Unreadable` shows the position in the file."""
    error = reading.Unreadable("f", "why", 1, 2)
    assert isinstance(error, UsageError)
    assert str(error) == "f:1:2: why"
