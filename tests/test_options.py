"""The settings: their precedence, and the rejection of wrong values."""

from __future__ import annotations

import pytest

from pytest_flowsecrets import UsageError
from pytest_flowsecrets.options import OPTIONS, Setting, resolve, resolve_all


@pytest.mark.parametrize(
    ("sources", "expected"),
    [
        ({}, Setting("marked", "default")),
        ({"ini": "all"}, Setting("all", "ini")),
        ({"ini": "all", "command_line": "marked"}, Setting("marked", "command line")),
        ({"ini": "marked", "command_line": "marked", "marker": "all"}, Setting("all", "marker")),
    ],
)
def test_the_strongest_source_wins(sources, expected):
    """The precedence is marker, command line, ini, default."""
    assert resolve("isolation", **sources) == expected


@pytest.mark.parametrize("source", ["marker", "command_line", "ini"])
def test_a_wrong_value_is_refused_whatever_its_source(source):
    """The error shows the name of the setting in that source."""
    name = "--flowsecrets-isolation" if source == "command_line" else "flowsecrets_isolation"
    with pytest.raises(UsageError, match=f"^{name}: 'some' is not one of marked, all$"):
        resolve("isolation", **{source: "some"})


def test_all_settings_at_once():
    """Settings are read by flag and by ini name."""
    names = []

    def ask(name):
        names.append(name)
        return ""

    settings = resolve_all(lambda flag: None, ask)
    assert settings == {
        "isolation": Setting("marked", "default"),
        "prefect-version": Setting(None, "default"),
        "leaks": Setting("mask", "default"),
        "server": Setting("fake", "default"),
        "html": Setting(None, "default"),
        "write-only": Setting(None, "default"),
        "report": Setting(None, "default"),
    }
    assert names == [option.ini for option in OPTIONS.values()]
