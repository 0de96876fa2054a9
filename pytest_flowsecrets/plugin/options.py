"""Register options and markers, read the settings, and print the header of a run."""

from __future__ import annotations

import sys
from argparse import SUPPRESS
from typing import Callable, Mapping

import pytest

from pytest_flowsecrets.errors import UsageError
from pytest_flowsecrets.options import LISTS, OPTIONS, Setting, resolve_all
from pytest_flowsecrets.plugin import markers

SETTINGS = pytest.StashKey[Mapping[str, Setting]]()
_depth = pytest.StashKey[int]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the settings of ``options.OPTIONS`` to the command line and to ini files."""
    group = parser.getgroup("flowsecrets", "secrets for Prefect flows")
    group.addoption(
        "--flowsecrets-explain",
        action="store_true",
        help="Show where each secret of a failing test comes from, without values",
    )
    for option in OPTIONS.values():
        group.addoption(option.flag, default=None, metavar=option.metavar, help=option.help)
        parser.addini(option.ini, option.help)
        if option.old_name:
            group.addoption(option.old_flag, default=None, help=SUPPRESS)
            parser.addini(option.old_ini, f"Deprecated: use {option.ini}")


def pytest_configure(config: pytest.Config) -> None:
    """Register the markers and read the settings."""
    config.addinivalue_line("markers", markers.HELP)
    config.addinivalue_line("markers", markers.VARIABLES_HELP)
    config.addinivalue_line("markers", markers.ROUTES_HELP)
    config.stash[_depth] = isolation_depth()
    try:
        config.stash[SETTINGS] = resolve_all(config.getoption, config.getini, renaming_warner(config))
        _check_server(config.stash[SETTINGS])
    except UsageError as error:
        raise pytest.UsageError(str(error)) from None
    _warn_about_unknown_keys(config)


def renaming_warner(config: pytest.Config) -> Callable[[str, str], None]:
    """Return a function that warns about the previous name of an option. If warnings are errors, the run ends."""

    def warn(old: str, new: str) -> None:
        if hasattr(config, "workerinput"):
            return  # the controller of pytest-xdist warns
        warning = DeprecationWarning(f"{old} is deprecated: use {new}")
        try:
            config.issue_config_time_warning(warning, stacklevel=3)
        except DeprecationWarning as error:
            raise UsageError(str(error)) from None

    return warn


def _warn_about_unknown_keys(config: pytest.Config) -> None:
    """Warn about a key in an ini file that looks like one of ours. pytest ignores it, and so a leak would not fail."""
    keys = config._inicfg if hasattr(config, "_inicfg") else config.inicfg  # noqa: SLF001 - no public name in pytest 9
    for key in sorted(key for key in keys if key.startswith("flowsecrets_") and not _is_known(config, key)):
        from pytest_flowsecrets.resolution.shown_names import nearest_name

        near = nearest_name(key, [option.ini for option in (*OPTIONS.values(), *LISTS.values())])
        advice = f": did you mean {near.name}?" if near else ""
        config.issue_config_time_warning(pytest.PytestConfigWarning(f"{key} is not an option{advice}"), stacklevel=2)


def _is_known(config: pytest.Config, key: str) -> bool:
    try:
        config.getini(key)
    except ValueError:
        return False
    return True


def _check_server(settings: Mapping[str, Setting]) -> None:
    """Check that the installed Prefect has the server that the run asks for."""
    from pytest_flowsecrets import versions

    if settings["server"].value != "real":
        return
    if settings["write-only"].value == "on":
        raise UsageError("--flowsecrets-write-only=on is for the fake API: the real server has no such mode")
    if not versions.uses_rest_api():
        version = versions.installed_version()
        raise UsageError(
            "--flowsecrets-server=real needs the server of Prefect 2.20 or 3, and "
            + (f"Prefect {version} is installed" if version else "Prefect is not installed")
        )


def pytest_unconfigure(config: pytest.Config) -> None:
    """Exit all remaining isolations, so that none outlives the run, even after an error."""
    if isolation_depth() > config.stash.get(_depth, 0):
        from pytest_flowsecrets.isolation import stack

        stack.unwind(config.stash[_depth])


def pytest_report_header(config: pytest.Config) -> str:
    """Return one line with the version of Prefect, and each setting with its source."""
    from pytest_flowsecrets.versions import installed_version, uses_rest_api

    hidden = () if uses_rest_api() else ("server",)  # Prefect 0.5.5 to 1.4.1 has no choice of servers
    settings = [
        f"{name}={value} ({source})"
        for name, (value, source) in config.stash[SETTINGS].items()
        if value and name not in hidden
    ]
    return f"flowsecrets: prefect {installed_version() or 'not installed'}, {', '.join(settings)}"


def isolation_depth() -> int:
    """Return the number of active isolations, without importing their module."""
    stack = sys.modules.get("pytest_flowsecrets.isolation.stack")
    return stack.depth() if stack else 0
