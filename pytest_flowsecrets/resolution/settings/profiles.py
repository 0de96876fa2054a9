"""The active profile of Prefect 2.20 and 3: the file, its name, and what is in it."""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING, Any, Container, Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple

from pytest_flowsecrets.resolution.layers import Origin
from pytest_flowsecrets.resolution.settings.files import BrokenFile, Reader, TomlFile

if TYPE_CHECKING:
    from pytest_flowsecrets.versions import Release

#: Variables that make Prefect 3 ignore profiles.
TEST_MODE = (
    "PREFECT_TEST_MODE",
    "PREFECT_UNIT_TEST_MODE",
    "PREFECT_TESTING_UNIT_TEST_MODE",
    "PREFECT_TESTING_TEST_MODE",
)
PACKAGED = "prefect/settings/profiles.toml"
_REMOVED_FLAGS = frozenset(
    f"PREFECT_EXPERIMENTAL_{name}"
    for name in (
        "ENABLE_ENHANCED_SCHEDULING_UI",
        "ENABLE_ENHANCED_DEPLOYMENT_PARAMETERS",
        "ENABLE_EVENTS_CLIENT",
        "WARN_EVENTS_CLIENT",
        "ENABLE_FLOW_RUN_INFRA_OVERRIDES",
        "WARN_FLOW_RUN_INFRA_OVERRIDES",
    )
)


class Profile(NamedTuple):
    """The profile whose settings count.

    Attributes:
        name: its name; ``""`` if no profile counts.
        file: the file in which it stands.
        reason: what chooses it.
        table: its settings by variable.
        place: the file with the places of the settings, or None for the profiles that Prefect brings.
        problems: what makes ``import prefect`` fail: place and reason.
    """

    name: str
    file: str
    reason: str
    table: Mapping[str, Any] = {}  # never changed
    place: Optional[TomlFile] = None
    problems: Sequence[Tuple[str, str]] = ()

    def origin(self, name: str) -> Origin:
        """Return the place of a setting.

        Args:
            name: the variable.
        """
        key = ("profiles", self.name, name)
        return self.place.origin("profile", key) if self.place else Origin("profile", self.file, key=key)

    def __repr__(self) -> str:
        return f"<Profile {self.name!r} in {self.file}>"


class Source(NamedTuple):
    """What can name the profiles file.

    Attributes:
        environ: the environment.
        read: returns the bytes of a file, or None.
        home: the home directory of the user.
        dotenv: the variables of ``.env``.
        tomls: ``prefect.toml`` and ``pyproject.toml``, with the headers of their tables.
        version: the numbers of the release.
        packaged: the contents of the file that the release brings.
        is_standard: whether TOML is read as TOML 1.0.
    """

    environ: Mapping[str, str]
    read: Reader
    home: str
    dotenv: Mapping[str, Optional[str]]
    tomls: Sequence[Tuple[TomlFile, Tuple[str, ...]]]
    version: Release
    packaged: Mapping[str, Any]
    is_standard: bool


def expand_home(path: str, home: str) -> str:
    """Return a path as Prefect expands it: with the home directory of the user.

    Args:
        path: the path.
        home: the home directory.
    """
    return home + path[1:] if path == "~" or path.startswith("~/") else path


def is_test_mode(environ: Mapping[str, str]) -> bool:
    """Return whether Prefect 3 ignores profiles.

    Args:
        environ: the environment.
    """
    return any(environ.get(name) for name in TEST_MODE)


def active_profile(source: Source) -> Profile:
    """Return the profile whose settings Prefect 3 reads.

    Args:
        source: what can name the file.
    """
    if is_test_mode(source.environ):
        return Profile("", PACKAGED, "Prefect ignores profiles in test mode")
    path = _profiles_path(source)
    fallback = _packaged_profile(source)
    if path is None:
        return _select(source, None, source.packaged, fallback)
    contents = source.read(path)
    if contents is None:
        return fallback._replace(reason=f"there is no {path}")
    try:
        file = TomlFile(path, contents, is_standard=source.is_standard)
        return _select(source, file, file.data, fallback)
    except BrokenFile:  # Prefect warns here. `check_profiles` reports it.
        return Profile("", path, "the file is broken")


def _select(source: Source, file: Optional[TomlFile], data: Mapping[str, Any], fallback: Profile) -> Profile:
    place = file.place if file else PACKAGED
    variable = source.environ.get("PREFECT_PROFILE")
    name, reason = (variable, "PREFECT_PROFILE names it") if variable else (data.get("active"), "it is active there")
    profiles = data.get("profiles", {})
    if not isinstance(name, str) or not name or not isinstance(profiles, dict) or name not in profiles:
        known = f"{place} has no profile {name!r}" if name else f"{place} names no active profile"
        return fallback._replace(reason=known)
    table = profiles[name]
    return Profile(name, place, reason, table if isinstance(table, dict) else {}, file)


def _packaged_profile(source: Source) -> Profile:
    """Return the profile that Prefect uses if the file has none. Prefect 3.0 uses none."""
    if source.version < (3, 1, 0):
        return Profile("", PACKAGED, "")
    name = source.packaged["active"]
    return Profile(name, PACKAGED, "", source.packaged["profiles"][name])


def _profiles_path(source: Source) -> Optional[str]:
    """Return the file of profiles, or None for the one that Prefect brings."""
    environ = source.environ
    named = [environ.get("PREFECT_PROFILES_PATH")]
    if source.version >= (3, 1, 0):
        named.append(source.dotenv.get("PREFECT_PROFILES_PATH"))
        named += [_path_in(file, header) for file, header in source.tomls]
    if source.version >= (3, 2, 0) and environ.get("PREFECT_HOME"):
        named.append(posixpath.join(environ["PREFECT_HOME"], "profiles.toml"))
    path = next(filter(None, named), None)
    default = f"{source.home}/.prefect/profiles.toml"
    return path or (default if source.read(default) is not None else None)


def _path_in(file: TomlFile, header: Tuple[str, ...]) -> Optional[str]:
    try:
        path = file.table(header).get("profiles_path")
    except BrokenFile:
        return None
    return path if isinstance(path, str) else None


def check_profiles(path: str, contents: Optional[bytes], *, is_standard: bool) -> List[Tuple[str, str]]:
    """Return what makes ``import prefect`` fail in the file from which Prefect lists the profiles.

    Args:
        path: the file.
        contents: its bytes, or None if there is none.
        is_standard: whether TOML is read as TOML 1.0.

    Returns:
        Places and reasons.
    """
    if contents is None:
        return []
    try:
        file = TomlFile(path, contents, is_standard=is_standard)
        for name in file.table(("profiles",)):
            file.table(("profiles", name))
    except BrokenFile as error:
        return [(error.place, error.reason)]
    return []


def old_profile(source: Source, path: str, known: Container[str]) -> Profile:
    """Return the profile whose settings Prefect 2.20 reads.

    Args:
        source: environment and files.
        path: the file of profiles.
        known: the settings of the release. Prefect rejects others in any profile.
    """
    contents = source.read(path)
    problems = check_profiles(path, contents, is_standard=False)
    profiles: Dict[str, Any] = dict(source.packaged["profiles"])
    file, active = None, source.packaged["active"]
    if contents is not None and not problems:
        file = TomlFile(path, contents, is_standard=False)
        profiles.update(file.table(("profiles",)))
        active = file.data.get("active") or active
        for name, table in file.table(("profiles",)).items():
            for key in table:
                if key not in known and key not in _REMOVED_FLAGS:
                    place = str(file.origin("profile", ("profiles", name, key)))
                    problems.append((place, "no setting has this name, and Prefect 2 rejects it"))
    name, reason = source.environ.get("PREFECT_PROFILE", active), "it is active there"
    if "PREFECT_PROFILE" in source.environ:
        reason = "PREFECT_PROFILE names it"
    if not isinstance(name, str) or name not in profiles:
        name, reason = "default", f"there is no profile {name!r}"
    return Profile(name, path, reason, profiles[name], file, problems)
