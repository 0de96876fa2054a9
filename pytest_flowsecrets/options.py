"""The settings: their names, their permitted values, and the source of the current value.

The precedence is the same for all settings: marker > command line > ini > default. A public name that has changed, of a
setting or of anything else, keeps working for one release and warns.
"""

from __future__ import annotations

import re
import warnings
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
        old_name: the previous name, which still works with a warning; empty if the name has not changed.
    """

    name: str
    default: Optional[str]
    help: str
    choices: Optional[tuple[str, ...]] = None
    pattern: str = ""
    old_name: str = ""

    @property
    def metavar(self) -> str:
        """The placeholder for the value in ``pytest --help``."""
        return "|".join(self.choices) if self.choices else "X.Y.Z" if self.pattern else "FILE"

    @property
    def flag(self) -> str:
        """The name of the command-line option."""
        return _flag(self.name)

    @property
    def ini(self) -> str:
        """The key in ini files."""
        return _ini(self.name)

    @property
    def old_flag(self) -> str:
        """The previous name of the command-line option, or an empty text."""
        return _flag(self.old_name) if self.old_name else ""

    @property
    def old_ini(self) -> str:
        """The previous key in ini files, or an empty text."""
        return _ini(self.old_name) if self.old_name else ""


def _flag(name: str) -> str:
    return f"--flowsecrets-{name}"


def _ini(name: str) -> str:
    return f"flowsecrets_{name.replace('-', '_')}"


class Setting(NamedTuple):
    """A value and its source: ``marker``, ``command line``, ``ini`` or ``default``."""

    value: Optional[str]
    source: str


OPTIONS: Dict[str, Option] = {
    option.name: option
    for option in (
        Option(
            "isolation",
            "marked",
            "Isolate tests that ask for secrets (marked, the default) or every test (all)",
            ("marked", "all"),
        ),
        Option(
            "prefect-version",
            None,
            "The Prefect version whose rules apply if Prefect is not installed (default: 1.4.1)",
            pattern=r"\d+\.\d+\.\d+",
        ),
        Option(
            "leaks",
            "mask",
            "What happens if a secret leaks: mask it (mask, the default), also report it (warn), also fail the test "
            "(fail), or nothing (off)",
            ("fail", "warn", "mask", "off"),
        ),
        Option(
            "server",
            "fake",
            "The API for tests on Prefect 2.20 and 3: the fake one (fake, the default), or the server of the "
            "installed Prefect (real)",
            ("fake", "real"),
        ),
        Option(
            "write-only",
            None,
            "Whether the fake API of Prefect 2.20 and 3 refuses reads of secrets outside flow runs (default: off)",
            ("on", "off"),
        ),
        Option(
            "leak-report",
            None,
            "Write the leaks to this SARIF file, and to a JSON file next to it",
            old_name="report",
        ),
        Option(
            "html",
            None,
            "Write an HTML report about secrets, their sources, API requests and leaks to this file (needs the "
            "extra html)",
        ),
    )
}

#: Settings that are lists of names and globs. They have no command-line option.
LISTS: Dict[str, Option] = {
    option.name: option
    for option in (
        Option(
            "secret-env-vars",
            None,
            "Names or globs of environment variables whose values are secrets",
            old_name="known",
        ),
        Option(
            "hide",
            None,
            "Names or globs of variables that isolated tests do not see unless the run declares them, in addition to "
            "PREFECT__ variables, GITHUB_ACCESS_TOKEN and similar ones; a leading ! makes a variable visible again",
        ),
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


def resolve_all(
    command_line: Callable[[str], Any], ini: Callable[[str], Any], warn: Callable[[str, str], None]
) -> Mapping[str, Setting]:
    """Return every setting.

    Args:
        command_line: returns the value of a command-line flag, or None.
        ini: returns the value of an ini key. An empty value counts as not set.
        warn: called with a previous name that is in use, and the current one.

    Raises:
        UsageError: a value is not permitted, or a setting has a value under both of its names.
    """
    return {
        name: resolve(
            name,
            command_line=by_either_name(command_line, option.flag, option.old_flag, warn),
            ini=by_either_name(ini, option.ini, option.old_ini, warn) or None,
        )
        for name, option in OPTIONS.items()
    }


def by_either_name(read: Callable[[str], Any], name: str, old_name: str, warn: Callable[[str, str], None]) -> Any:
    """Return the value of a setting under its current or its previous name.

    Args:
        read: returns the value of a flag or an ini key.
        name: the current name.
        old_name: the previous name, or an empty text.
        warn: called with both names if the previous one is in use.

    Raises:
        UsageError: both names have a value.
    """
    value = read(name)
    old_value = read(old_name) if old_name else None
    if not old_value:
        return value
    if value:
        raise UsageError(f"{name} and its previous name {old_name} are both set: use only {name}")
    warn(old_name, name)
    return old_value


def _check(option: Option, value: str, source: str) -> None:
    where = option.flag if source == "command line" else option.ini
    if option.choices and value not in option.choices:
        raise UsageError(f"{where}: {value!r} is not one of {', '.join(option.choices)}")
    if option.pattern and not re.fullmatch(option.pattern, value):
        raise UsageError(f"{where}: {value!r} is not a version such as 0.15.13")


def warn_renamed(old: str, new: str) -> None:
    """Warn that a public name has changed, at the caller of the function that has the old name.

    Args:
        old: the old name, as the user writes it.
        new: the new name.
    """
    warnings.warn(f"{old} is deprecated: use {new}", DeprecationWarning, stacklevel=3)
