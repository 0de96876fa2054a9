"""The settings: their precedence, and the rejection of wrong values."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pytest_flowsecrets import UsageError
from pytest_flowsecrets.options import LISTS, OPTIONS, Setting, by_either_name, resolve, resolve_all


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
    names, warnings = [], []

    def ask(name):
        names.append(name)
        return ""

    settings = resolve_all(lambda flag: None, ask, lambda *names: warnings.append(names))
    assert settings == {
        "isolation": Setting("marked", "default"),
        "prefect-version": Setting(None, "default"),
        "leaks": Setting("mask", "default"),
        "server": Setting("fake", "default"),
        "html": Setting(None, "default"),
        "write-only": Setting(None, "default"),
        "leak-report": Setting(None, "default"),
    }
    assert set(names) == {name for option in OPTIONS.values() for name in (option.ini, option.old_ini)} - {""}
    assert warnings == []


@pytest.mark.parametrize(
    ("values", "expected", "warned"),
    [
        ({}, None, []),
        ({"new": "a"}, "a", []),
        ({"old": "b"}, "b", [("old", "new")]),
        ({"old": "b", "new": []}, "b", [("old", "new")]),
        ({"old": "", "new": "a"}, "a", []),
    ],
    ids=str,
)
def test_a_setting_has_its_previous_name_too(values, expected, warned):
    """The previous name works, and its use is reported with the current name. An empty value is not set."""
    warnings = []
    assert by_either_name(values.get, "new", "old", lambda *names: warnings.append(names)) == expected
    assert warnings == warned


def test_a_setting_under_both_names_is_an_error():
    """The error names both and says which one to use."""
    with pytest.raises(UsageError, match=r"^new and its previous name old are both set: use only new$"):
        by_either_name({"old": "b", "new": "a"}.get, "new", "old", print)


def test_help_lists_every_setting(run_tests):
    """``pytest --help`` has each option and each ini key, once, with its description. Previous names have no option."""
    text = " ".join(run_tests("", "--help").stdout.str().split())
    for option in OPTIONS.values():
        assert text.count(f"{option.flag}={option.metavar} {option.help}") == 1
    for option in (*OPTIONS.values(), *LISTS.values()):
        assert re.search(rf"{option.ini} \(\w+\): {re.escape(option.help)}", text)
    assert "--flowsecrets-explain Show where" in text
    assert "--flowsecrets-report" not in text


def test_the_reference_lists_every_setting():
    """The reference has each option and each ini key."""
    reference = (Path(__file__).parent.parent / "docs" / "reference.md").read_text("utf-8")
    assert [option.flag for option in OPTIONS.values() if f"| `{option.flag}` |" not in reference] == []
    assert [key.ini for key in (*OPTIONS.values(), *LISTS.values()) if f"| `{key.ini}` |" not in reference] == []


def test_previous_names_of_options(run_tests, pytester, monkeypatch):
    """Previous names on the command line and in the ini file work, with a warning that names the current one."""
    monkeypatch.setenv("DEPLOY_KEY", "key-bbbbbb-222")
    source = "import os\ndef test_it(): print(os.environ['DEPLOY_KEY'])\n"
    arguments = ["-rP", "-W", "ignore::pytest.PytestConfigWarning"]
    ini = "[pytest]\nflowsecrets_known = DEPLOY_*\nflowsecrets_report = of_ini.json\n"
    result = run_tests(source, *arguments, ini=ini)
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["*leak-report=of_ini.json (ini)*", "[[]secret DEPLOY_KEY[]]"])
    for old, new in {"known": "secret_env_vars", "report": "leak_report"}.items():
        line = f"*DeprecationWarning: flowsecrets_{old} is deprecated: use flowsecrets_{new}"
        result.stdout.fnmatch_lines([line])
    assert (pytester.path / "of_ini.json").exists()
    result = run_tests(None, "--flowsecrets-report=of_line.json")
    line = "*DeprecationWarning: --flowsecrets-report is deprecated: use --flowsecrets-leak-report"
    result.stdout.fnmatch_lines([line])
    assert (pytester.path / "of_line.json").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["--flowsecrets-report=a", "--flowsecrets-leak-report=b"],
            "--flowsecrets-leak-report and its previous name --flowsecrets-report are both set: *",
        ),
        (
            ["-o", "flowsecrets_known=A", "-o", "flowsecrets_secret_env_vars=B"],
            "flowsecrets_secret_env_vars and its previous name flowsecrets_known are both set: *",
        ),
        (["-W", "error", "-o", "flowsecrets_known=A"], "flowsecrets_known is deprecated: use *"),
    ],
    ids=["options", "keys", "warnings are errors"],
)
def test_a_wrong_use_of_previous_names_is_one_line(run_tests, arguments, message):
    """A run with both names, or with warnings as errors, ends with a usage error of one line."""
    result = run_tests("def test_it(): pass", *arguments)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: {message}"])
