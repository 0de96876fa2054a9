"""The settings: what they are called, what they may be, and where a value came from.

One function decides for all of them: marker > command line > ini > default.
"""

from __future__ import annotations

import re
from typing import Any, Callable, Dict, Mapping, NamedTuple, Optional

from pytest_flowsecrets.errors import UsageError


class Option(NamedTuple):
    """One setting.

    Attributes:
        name: as in ``--flowsecrets-<name>``; in ini files with underscores.
        default: its value where nobody sets it.
        help: one line for ``pytest --help``.
        choices: the values it may have; None where ``pattern`` says.
        pattern: what its value has to look like.
    """

    name: str
    default: Optional[str]
    help: str
    choices: Optional[tuple[str, ...]] = None
    pattern: str = ""

    @property
    def flag(self) -> str:
        """The command-line option."""
        return f"--flowsecrets-{self.name}"

    @property
    def ini(self) -> str:
        """The key in ini files."""
        return f"flowsecrets_{self.name.replace('-', '_')}"


class Setting(NamedTuple):
    """A value and where it came from: ``marker``, ``command line``, ``ini`` or ``default``."""

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
            "the Prefect version whose rules count where Prefect is not installed (default: 1.4.1)",
            pattern=r"\d+\.\d+\.\d+",
        ),
        Option(
            "leaks",
            "mask",
            "what happens where a known secret leaks: it is masked; told too (warn), or the test fails (fail)",
            ("fail", "warn", "mask", "off"),
        ),
        Option("report", None, "write what leaked to this file, as SARIF, and as JSON beside it"),
    )
}


def resolve(
    name: str,
    *,
    marker: Optional[str] = None,
    command_line: Optional[str] = None,
    ini: Optional[str] = None,
) -> Setting:
    """The value of a setting, the strongest source winning, checked.

    Raises:
        UsageError: the value is none that the setting may have.
    """
    option = OPTIONS[name]
    for source, value in (("marker", marker), ("command line", command_line), ("ini", ini)):
        if value is not None:
            _check(option, value, source)
            return Setting(value, source)
    return Setting(option.default, "default")


def resolve_all(command_line: Callable[[str], Any], ini: Callable[[str], Any]) -> Mapping[str, Setting]:
    """Every setting, ``command_line`` and ``ini`` being asked by flag and by ini name; an empty ini value is none."""
    return {
        name: resolve(name, command_line=command_line(option.flag), ini=ini(option.ini) or None)
        for name, option in OPTIONS.items()
    }


def _check(option: Option, value: str, source: str) -> None:
    where = option.flag if source == "command line" else option.ini
    if option.choices and value not in option.choices:
        raise UsageError(f"{where}: {value!r} is not one of {', '.join(option.choices)}")
    if option.pattern and not re.fullmatch(option.pattern, value):
        raise UsageError(f"{where}: {value!r} is no version like 0.15.13")
