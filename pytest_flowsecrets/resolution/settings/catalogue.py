"""The settings that each release has: their names, types and defaults.

``catalogue.json`` is recorded from the real Prefect. One release stands for its minor version. An entry holds for all
releases that it lists.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Dict, List, Mapping, NamedTuple, Tuple

from pytest_flowsecrets.errors import UnknownPrefectVersion
from pytest_flowsecrets.versions import Release, is_rest_version, release_of

FILE = Path(__file__).with_name("catalogue.json")


@dataclass(frozen=True)
class Setting:
    """One setting of one release.

    Attributes:
        path: the place in ``prefect.toml`` and in ``Settings``, such as ``api.url``; of Prefect 2 the variable.
        kind: ``text``, ``secret``, ``bool``, ``int``, ``float``, ``path``, ``level``, ``choice``, ``json``,
            ``duration`` or ``other``.
        names: the variables that set it, in lower case, the first one first. Each takes precedence over the next.
        bounds: the limits of a number by their name (``ge``, ``gt``, ``le``, ``lt``).
        choices: the texts that Prefect accepts; none for all.
        has_default: whether the default is known. Prefect computes others, for example below ``PREFECT_HOME``.
        default: the default.
        has_aliases: whether Prefect accepts several names.
        is_computed: of Prefect 2, whether Prefect changes the value each time that it is read.
    """

    path: str
    kind: str
    names: Tuple[str, ...]
    bounds: Mapping[str, Any]
    choices: Tuple[str, ...] = ()
    has_default: bool = False
    default: Any = None
    has_aliases: bool = False
    is_computed: bool = False

    @property
    def table(self) -> Tuple[str, ...]:
        """The table of ``prefect.toml`` in which the setting stands."""
        return tuple(self.path.split(".")[:-1])

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self.path.rsplit(".", 1)[-1]

    @property
    def variable(self) -> str:
        """The variable to set."""
        return self.names[0].upper()


class Entries(NamedTuple):
    """What one release has.

    Attributes:
        settings: a description of each setting.
        profiles: the contents of its own ``profiles.toml``.
    """

    settings: List[Dict[str, Any]]
    profiles: Dict[str, Any]


def read() -> Dict[str, Entries]:
    """Return the entries of the file by release."""
    if not FILE.exists():
        return {}
    data = json.loads(FILE.read_text("utf-8"))
    releases = data["releases"]
    entries = {version: Entries([], profiles) for version, profiles in zip(releases, data["profiles"])}
    for row in data["settings"]:
        for number in row.pop("releases"):
            entries[releases[number]].settings.append(row)
    return entries


def dump(entries: Mapping[str, Entries]) -> str:
    """Return the text of the file: one line for each different entry, with the positions of its releases.

    Args:
        entries: the entries by release.
    """
    versions = sorted(entries, key=release_of)
    rows: Dict[str, Tuple[Mapping[str, Any], List[int]]] = {}
    for number, version in enumerate(versions):
        for row in entries[version].settings:
            rows.setdefault(json.dumps(row), (row, []))[1].append(number)
    lines = [json.dumps({**row, "releases": numbers}) for row, numbers in rows.values()]
    profiles = [json.dumps(entries[version].profiles) for version in versions]
    return '{{"releases": {},\n"profiles": [\n{}\n],\n"settings": [\n{}\n]}}\n'.format(
        json.dumps(versions), ",\n".join(profiles), ",\n".join(lines)
    )


def releases() -> List[str]:
    """Return the recorded releases, the oldest first."""
    return sorted(_entries(), key=release_of)


def recorded_release(version: str) -> str:
    """Return the recorded release whose settings stand for a version: that of the same minor version, or the newest.

    Args:
        version: a version of Prefect 2.20 or 3.

    Raises:
        UnknownPrefectVersion: it is another version.
    """
    if not is_rest_version(version):
        raise UnknownPrefectVersion(version)
    minor = release_of(version)[:2]
    older = [each for each in _entries() if release_of(each)[:2] <= minor]
    return max(older, key=release_of)


@lru_cache(maxsize=4)
def settings_of(version: str) -> Tuple[Setting, ...]:
    """Return the settings of a release.

    Args:
        version: a version of Prefect 2.20 or 3.

    Raises:
        UnknownPrefectVersion: it is another version.
    """
    return tuple(map(_setting, _entries()[recorded_release(version)].settings))


def profiles_of(version: str) -> Mapping[str, Any]:
    """Return the contents of the ``profiles.toml`` that a release brings.

    Args:
        version: a version of Prefect 2.20 or 3.

    Raises:
        UnknownPrefectVersion: it is another version.
    """
    return _entries()[recorded_release(version)].profiles


def release(version: str) -> Release:
    """Return the numbers of the recorded release for a version.

    Args:
        version: a version of Prefect 2.20 or 3.
    """
    return release_of(recorded_release(version))


@lru_cache(maxsize=1)
def _entries() -> Dict[str, Entries]:
    return read()


def _setting(row: Mapping[str, Any]) -> Setting:
    path, names = row["path"], tuple(row.get("names", ()))
    default = row.get("default")
    if row["kind"] == "level" and default is not None:
        default = default.upper()
    own = path.lower() if path.isupper() else f"prefect_{path.replace('.', '_')}"
    return Setting(
        path,
        "secret" if row.get("secret") else row["kind"],
        names or (own,),
        {name: row[name] for name in ("ge", "gt", "le", "lt") if name in row},
        tuple(row.get("choices", ())),
        "default" in row and row["kind"] != "other",
        float(default) if row["kind"] == "float" and isinstance(default, int) else default,
        bool(names),
        row.get("computed", False),
    )
