"""Rules about the settings of Prefect 2.20 and 3, in variables and in ``prefect.toml``, ``pyproject.toml``, profiles.

Names come from the recorded settings of each release. Prefect ignores a name that it does not know, except that 2.20
fails on one in a profile.
"""

from __future__ import annotations

import difflib
import os
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Iterator, List, Mapping, NamedTuple, Optional, Tuple

from pytest_flowsecrets.commands.linter.plain_secrets import is_stand_in, secret_in, token_in_url
from pytest_flowsecrets.commands.linter.templates import REST_VERSIONS
from pytest_flowsecrets.findings.rules import finding_of
from pytest_flowsecrets.names import PREFIX
from pytest_flowsecrets.resolution.layers import Origin
from pytest_flowsecrets.resolution.settings.catalogue import releases, settings_of
from pytest_flowsecrets.resolution.toml_positions import positions_of
from pytest_flowsecrets.resolution.toml_reader import decode, syntax_fault
from pytest_flowsecrets.versions import release_of

if TYPE_CHECKING:
    from pytest_flowsecrets.commands.files.env_files import Item
    from pytest_flowsecrets.findings.model import Finding
    from pytest_flowsecrets.resolution.settings.catalogue import Setting

PREFECT = "PREFECT_"
FIRST_WITH_FILES = (3, 1, 0)  # 3.0 reads .env, but no prefect.toml
#: Variables that are no settings, and beginnings of others: of the logging configuration and of integrations.
_OTHERS = ("PREFECT_PROFILE", "PREFECT_LOGGING_", "PREFECT_INTEGRATIONS_")
_SIMILARITY = 0.85
# Files that belong outside of a repository, where a secret may stand.
_PRIVATE_KINDS = ("env", "profiles")


class Names(NamedTuple):
    """The settings of a release and of the others.

    Attributes:
        version: the release.
        by_variable: its settings by variable, in upper case.
        others: for variables that it does not have, the newest release that has it.
    """

    version: str
    by_variable: Mapping[str, Setting]
    others: Mapping[str, str]

    def near(self, name: str) -> Optional[str]:
        """Return the variable that a name resembles, or None."""
        return next(iter(difflib.get_close_matches(name, self.by_variable, 1, _SIMILARITY)), None)


def names_of(version: str) -> Names:
    """Return the settings of a release.

    Args:
        version: a version of Prefect 2.20 or 3.
    """
    by_variable = {name.upper(): setting for setting in settings_of(version) for name in setting.names}
    others = {name.upper(): each for each in releases() for setting in settings_of(each) for name in setting.names}
    return Names(version, by_variable, {name: each for name, each in others.items() if name not in by_variable})


def variable_findings(item: Item, origin: Origin, kind: str, names: Names) -> Iterator[Finding]:
    """Apply the rules to a variable.

    Args:
        item: the variable.
        origin: its place.
        kind: the type of the file.
        names: the settings of the release.
    """
    if item.in_object or item.problem is not None:  # a Secret of Kubernetes is the place for secrets
        return
    if item.name.startswith(PREFECT) and not item.name.startswith(PREFIX):
        yield from _name_findings(item.name, origin, names)
        yield from _secret_findings(item.name, item.value, origin, kind, names)
    elif item.value is not None and kind not in _PRIVATE_KINDS:
        # Tokens have an unmistakable form. Passwords of test services are common in files other than a Dockerfile.
        reason = (secret_in if kind == "dockerfile" else token_in_url)(item.name, item.value)
        if reason is not None:
            yield _clear_text(item.name, origin, reason, kind)


def _name_findings(name: str, origin: Origin, names: Names, effect: str = ", and ignores it") -> Iterator[Finding]:
    setting = names.by_variable.get(name)
    if setting is not None:
        if name != setting.variable and len(setting.names) > 1:
            message = f"another name of {setting.variable}, which takes precedence if both are set"
            yield finding_of("FS081", name, origin, message, f"write {setting.variable}", versions="", severity="note")
        return
    if name in names.others:
        message = f"Prefect {names.version} has no such setting{effect} ({names.others[name]} has it)"
        yield finding_of("FS081", name, origin, message, "remove it", versions="")
        return
    near = None if name.startswith(_OTHERS) else names.near(name)
    if near is not None:
        message = f"Prefect {names.version} has no such setting{effect}"
        yield finding_of("FS080", name, origin, message, f"write {near}", versions="")


def _secret_findings(name: str, value: Optional[str], origin: Origin, kind: str, names: Names) -> Iterator[Finding]:
    setting = names.by_variable.get(name)
    if not value or is_stand_in(value):
        return
    reason = secret_in(name, value)
    if setting is not None and setting.kind == "secret":
        is_address = name.endswith("_URL") and "://" in value
        reason = reason if is_address else reason or "a secret"  # an address without a password is no secret
    if reason is not None:
        yield _clear_text(name, origin, reason, kind)


def _clear_text(name: str, origin: Origin, reason: str, kind: str) -> Finding:
    is_private = kind in _PRIVATE_KINDS
    advice = {
        "dockerfile": "set it when the container starts; `docker history` shows it",
        "yaml": "use a secret of Kubernetes, of Docker Compose or of the CI system",
    }.get(kind, "keep the file out of the repository" if is_private else "set the variable in the environment")
    severity = "note" if is_private else ""
    message = f"the file contains {reason} in clear text"
    return finding_of("FS077", name, origin, message, advice, versions="", severity=severity)


# -- TOML --------------------------------------------------------------------------------------------------------------


def toml_findings(text: str, path: str, kind: str, names: Names) -> List[Finding]:
    """Check a file with settings.

    Args:
        text: the text of the file.
        path: the name of the file.
        kind: ``prefect-toml``, ``profiles`` or ``pyproject``.
        names: the settings of the release.
    """
    fault = syntax_fault(text)
    if fault is not None:
        if kind == "pyproject":
            return []
        origin = Origin("user", path, fault.line, fault.column)
        message = f"not valid TOML: {fault.reason}: import prefect fails"
        return [finding_of("FS001", "", origin, message, "correct the file", versions=REST_VERSIONS)]
    file = _File(text, path, names)
    if kind == "profiles":
        return list(_profiles(file))
    header: Tuple[str, ...] = ("tool", "prefect") if kind == "pyproject" else ()
    table = file.table(header)
    return list(_settings(file, table, header, ())) + list(_unread(file, header)) if table else []


class _File:
    def __init__(self, text: str, path: str, names: Names) -> None:
        import tomli

        self.path, self.names = path, names
        self.data: Any = tomli.loads(decode(text.encode()))
        self.positions = positions_of(text)

    def origin(self, key: Tuple[str, ...]) -> Origin:
        position = self.positions.get(key)
        line, column = (position.line, position.column) if position else (None, None)
        return Origin("user", self.path, line, column)

    def table(self, key: Tuple[str, ...]) -> Mapping[str, Any]:
        table = self.data
        for name in key:
            table = table.get(name) if isinstance(table, dict) else None
        return table if isinstance(table, dict) else {}


def _unread(file: _File, header: Tuple[str, ...]) -> Iterator[Finding]:
    if release_of(file.names.version) < FIRST_WITH_FILES:
        message = f"Prefect {file.names.version} does not read settings from this file"
        advice = "use Prefect 3.1 or later, variables of the environment or a profile"
        origin = file.origin(header) if header else Origin("user", file.path, 1, 1)
        yield finding_of("FS082", "", origin, message, advice, versions="2.20.0-2.20.27, 3.0.0-3.0.11")


def _settings(
    file: _File, table: Mapping[str, Any], header: Tuple[str, ...], above: Tuple[str, ...]
) -> Iterator[Finding]:
    paths = {setting.path: setting for setting in file.names.by_variable.values()}
    for name, value in table.items():
        below = (*above, name)
        path, origin = ".".join(below), file.origin((*header, *below))
        if path in paths:
            yield from _file_secret(path, value, origin, paths[path])
        elif isinstance(value, dict) and any(each.startswith(f"{path}.") for each in paths):
            yield from _settings(file, value, header, below)
        else:
            near = difflib.get_close_matches(path, paths, 1, _SIMILARITY)
            advice = f"write {near[0]}" if near else "remove it: `prefect config view --show-defaults` lists all"
            message = f"Prefect {file.names.version} has no such setting, and ignores it"
            yield finding_of("FS080", path, origin, message, advice, versions="")


def _file_secret(path: str, value: Any, origin: Origin, setting: Setting) -> Iterator[Finding]:
    if not isinstance(value, str) or not value or is_stand_in(value):
        return
    reason = secret_in(path, value)
    if setting.kind == "secret" and "://" not in value:
        reason = reason or "a secret"
    if reason is not None:
        yield _clear_text(path, origin, reason, "prefect-toml")


def _profiles(file: _File) -> Iterator[Finding]:
    is_own = os.path.basename(os.path.dirname(os.path.abspath(file.path))) == ".prefect"
    for profile, table in file.table(("profiles",)).items():
        for name, value in table.items() if isinstance(table, dict) else ():
            origin = file.origin(("profiles", profile, name))
            if name in file.names.by_variable:
                if not is_own:
                    yield from _secret_findings(name, str(value), origin, "profiles", file.names)
                continue
            yield from _unknown_in_profile(name, origin, file.names)


def _unknown_in_profile(name: str, origin: Origin, names: Names) -> Iterator[Finding]:
    is_old = names.version.startswith("2.")
    effect = ": import prefect fails" if is_old else ", and ignores it"
    message = f"Prefect {names.version} has no such setting{effect}"
    findings = list(_name_findings(name, origin, names, effect))
    for finding in findings or [finding_of("FS080", name, origin, message, "remove it", versions="")]:
        yield replace(finding, severity="error") if is_old else finding
