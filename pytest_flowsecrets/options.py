"""The settings: their names, their permitted values, and the source of the current value.

The precedence is the same for all settings: marker > command line > ini > default.
"""

from __future__ import annotations

import re
from typing import Any, Callable, Dict, Mapping, NamedTuple, Optional

from pytest_flowsecrets.errors import UsageError


class Option(NamedTuple):
    """One setting.

    Attributes:
        name: the name, as in ``--flowsecrets-<name>``. Ini files use underscores.
        default: the value if nothing sets it.
        help: one line for ``pytest --help``.
        choices: the permitted values, or None if ``pattern`` decides.
        pattern: a regular expression that the value must match; empty if any value is permitted.
    """

    name: str
    default: Optional[str]
    help: str
    choices: Optional[tuple[str, ...]] = None
    pattern: str = ""

    @property
    def flag(self) -> str:
        """The name of the command-line option."""
        return f"--flowsecrets-{self.name}"

    @property
    def ini(self) -> str:
        """The key in ini files."""
        return f"flowsecrets_{self.name.replace('-', '_')}"


class Setting(NamedTuple):
    """A value and its source: ``marker``, ``command line``, ``ini`` or ``default``."""

    value: Optional[str]
    source: str


OPTIONS: Dict[str, Option] = {
    option.name: option
    for option in (
        Option(
            "isolation", "marked", "isolate tests that ask for secrets (marked) or every test (all)", ("marked", "all")
        ),
        Option(
            "prefect-version",
            None,
            "the Prefect version whose rules apply if Prefect is not installed (default: 1.4.1)",
            pattern=r"\d+\.\d+\.\d+",
        ),
        Option(
            "leaks",
            "mask",
            "how to handle leaks of known secrets: mask them, also report them (warn), fail the test (fail), or off",
            ("fail", "warn", "mask", "off"),
        ),
        Option(
            "server",
            "fake",
            "the API for tests on Prefect 2.20 and 3: the fake one, or the server of the installed Prefect (real)",
            ("fake", "real"),
        ),
        Option(
            "write-only",
            None,
            "whether the fake API of Prefect 2.20 and 3 refuses reads of secrets outside runs: on or off (default)",
            ("on", "off"),
        ),
        Option("report", None, "write the leaks to this SARIF file, and to a JSON file next to it"),
        Option("html", None, "write an HTML report about secrets, their sources, API requests and leaks to this file"),
    )
}


def resolve(
    name: str,
    *,
    marker: Optional[str] = None,
    command_line: Optional[str] = None,
    ini: Optional[str] = None,
) -> Setting:
    """Return the value of a setting from the source with the highest precedence.

    Raises:
        UsageError: the value is not permitted.
    """
    option = OPTIONS[name]
    for source, value in (("marker", marker), ("command line", command_line), ("ini", ini)):
        if value is not None:
            _check(option, value, source)
            return Setting(value, source)
    return Setting(option.default, "default")


def resolve_all(command_line: Callable[[str], Any], ini: Callable[[str], Any]) -> Mapping[str, Setting]:
    """Return every setting.

    Args:
        command_line: returns the value of a command-line flag, or None.
        ini: returns the value of an ini key. An empty value counts as not set.
    """
    return {
        name: resolve(name, command_line=command_line(option.flag), ini=ini(option.ini) or None)
        for name, option in OPTIONS.items()
    }


def _check(option: Option, value: str, source: str) -> None:
    where = option.flag if source == "command line" else option.ini
    if option.choices and value not in option.choices:
        raise UsageError(f"{where}: {value!r} is not one of {', '.join(option.choices)}")
    if option.pattern and not re.fullmatch(option.pattern, value):
        raise UsageError(f"{where}: {value!r} is not a version such as 0.15.13")
