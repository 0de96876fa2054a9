"""Resolution of the sources of settings into the values that Prefect 2.20 and 3 use.

Prefect 3 (``Settings``, built with pydantic-settings) asks these sources for each setting, the strongest first:

1. the environment. ``PREFECT_API='{"url": ...}'`` sets several settings of a table and outranks their own variables.
2. ``.env`` in the working directory.
3. From 3.1 on ``prefect.toml``, then ``[tool.prefect]`` of ``pyproject.toml``, both in the working directory.
4. The active profile of ``profiles.toml``.
5. The default.

What is odd: names of variables are read without regard to case, names in a profile are not. Of several names of one
setting, the first one counts, in each source. Prefect 3.0 uses the name as the key under which it merges the sources, so
that a profile outranks the environment for each setting with several names, and a first name in ``.env`` outranks a
second name in the environment. Prefect 3.0 also reads the last part of such a setting without a prefix from ``.env``
(``LOGGING_LEVEL=DEBUG``).

Prefect 2.20 has the environment, the profile and the default. A profile outranks a variable whose name is not in upper
case.
"""

from __future__ import annotations

import string
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath
from typing import Any, Dict, Iterator, List, Mapping, NamedTuple, Optional, Sequence, Tuple

from pytest_flowsecrets.resolution.layers import Origin, variable
from pytest_flowsecrets.resolution.settings.catalogue import Setting, profiles_of, release, settings_of
from pytest_flowsecrets.resolution.settings.files import BrokenFile, Reader, TomlFile, dotenv_variables
from pytest_flowsecrets.resolution.settings.profiles import (
    Profile,
    Source,
    active_profile,
    check_profiles,
    expand_home,
    old_profile,
)
from pytest_flowsecrets.resolution.settings.values import Converted, convert, decode_json
from pytest_flowsecrets.versions import Release

#: The sources, the strongest first.
KINDS = ("env", "dotenv", "prefect.toml", "pyproject.toml", "profile", "default")
_DEBUG = ("logging.level", "internal.logging_level")
_OLD_DEBUG = ("PREFECT_LOGGING_LEVEL", "PREFECT_LOGGING_INTERNAL_LEVEL")
_SIZES = ("logging.to_api.batch_size", "logging.to_api.max_log_size")
_OLD_SIZES = ("PREFECT_LOGGING_TO_API_BATCH_SIZE", "PREFECT_LOGGING_TO_API_MAX_LOG_SIZE")
#: Settings whose value Prefect computes from others: always, or if nothing sets them.
COMPUTED = frozenset(
    {
        "ui_url",
        "cloud.ui_url",
        "server.ui.api_url",
        "server.database.connection_url",
        "logging.to_api.max_log_size",
        "results.local_storage_path",
        "logging.config_path",
        "server.memo_store_path",
    }
)


class Rules(NamedTuple):
    """The differences between releases.

    Attributes:
        is_old: Prefect 2: no files, and pydantic 1.
        reads_toml: whether ``prefect.toml`` and ``pyproject.toml`` are read.
        merges_by_name: whether each name of a setting is a key of its own when the sources are merged.
        has_standard_toml: whether TOML is read as TOML 1.0, not with ``toml`` 0.10.2.
        reads_tables: whether a table can be the value of a setting.
    """

    is_old: bool
    reads_toml: bool
    merges_by_name: bool
    has_standard_toml: bool
    reads_tables: bool


def rules_of(version: Release) -> Rules:
    """Return the rules of a release.

    Args:
        version: the numbers of the release.
    """
    return Rules(
        is_old=version < (3, 0, 0),
        reads_toml=version >= (3, 1, 0),
        merges_by_name=(3, 0, 0) <= version < (3, 1, 0),
        has_standard_toml=version >= (3, 6, 0),
        reads_tables=version >= (3, 6, 0),
    )


class Candidate(NamedTuple):
    """A place that sets a setting.

    Attributes:
        rank: the smallest one counts.
        origin: the place.
        written: the text or the value of TOML.
    """

    rank: Tuple[int, ...]
    origin: Origin
    written: Any

    def __repr__(self) -> str:
        return f"<Candidate {self.origin.kind} {self.origin}>"


@dataclass(frozen=True, repr=False)
class Result:
    """The value of one setting.

    Attributes:
        setting: the setting.
        candidates: what sets it, the strongest first.
        value: the value, or why Prefect rejects it.
        computed: what Prefect computes it from; ``""`` if it is what the strongest source sets, or the default.
    """

    setting: Setting
    candidates: Sequence[Candidate]
    value: Converted
    computed: str = ""

    def __repr__(self) -> str:
        return f"<Result {self.setting.path} of {len(self.candidates)} candidates>"


class Problem(NamedTuple):
    """Something that makes ``import prefect`` fail.

    Attributes:
        place: the file or the variable.
        reason: what is wrong, without a value.
        path: the setting, or ``""``.
    """

    place: str
    reason: str
    path: str = ""


@dataclass(repr=False)
class SettingsResolution:
    """The settings of one release.

    Attributes:
        version: the version of Prefect.
        profile: the active profile.
        results: each setting by its path.
        problems: what makes ``import prefect`` fail.
        ignored: places of names that no setting has.
    """

    version: str
    profile: Profile
    results: Dict[str, Result] = field(default_factory=dict)
    problems: List[Problem] = field(default_factory=list)
    ignored: List[Origin] = field(default_factory=list)

    def __repr__(self) -> str:
        return f"<SettingsResolution of Prefect {self.version}>"


class Inputs(NamedTuple):
    """What the settings are read from.

    Attributes:
        environ: the environment. The order matters if two names differ in case only.
        read: returns the bytes of a file, or None. Relative names are those of the working directory.
        home: the home directory of the user.
    """

    environ: Mapping[str, str]
    read: Reader
    home: str

    def __repr__(self) -> str:
        return f"<Inputs with {len(self.environ)} variables>"


def resolve_settings(version: str, inputs: Inputs) -> SettingsResolution:
    """Resolve the settings of a release.

    Args:
        version: a version of Prefect 2.20 or 3.
        inputs: environment and files.

    Raises:
        UnknownPrefectVersion: it is another version.
    """
    return _Resolver(version, inputs).run()


class _Names:
    """Variables by their names in lower case. Each name holds all spellings, the one that counts first."""

    def __init__(self) -> None:
        self.entries: Dict[str, List[Tuple[Origin, Optional[str]]]] = {}

    def add(self, name: str, value: Optional[str], origin: Origin) -> None:
        self.entries.setdefault(name.lower(), []).insert(0, (origin, value))


class _Resolver:
    def __init__(self, version: str, inputs: Inputs) -> None:
        self.version, self.inputs = version, inputs
        self.release = release(version)
        self.rules = rules_of(self.release)
        self.settings = settings_of(version)
        self.problems: List[Problem] = []
        self.tables: Dict[Tuple[str, ...], List[str]] = {(): []}
        for setting in self.settings if not self.rules.is_old else ():
            for length in range(1, len(setting.table) + 1):
                self.tables.setdefault(setting.table[:length], [])
                names = self.tables[setting.table[: length - 1]]
                if setting.table[length - 1] not in names:
                    names.append(setting.table[length - 1])
        self.env, self.dotenv = _Names(), _Names()
        for name, value in inputs.environ.items():
            self.env.add(name, value, variable(inputs.environ, name))
        self.dotenv_exact: Dict[str, Optional[str]] = {}
        self.files: List[Tuple[int, TomlFile, Tuple[str, ...]]] = []

    def run(self) -> SettingsResolution:
        if self.rules.is_old:
            self.profile = self._old_profile()
        else:
            self._read_files()
            self.profile = active_profile(self._source())
        for table in self.tables:
            self._check_tables(table)
        inits = {} if self.rules.is_old else dict(self._inits((), {}))
        results = {
            setting.path: self._result(setting, self._candidates(setting, inits.get(setting.table, {})))
            for setting in self.settings
        }
        self._check_log_sizes(results)
        if self.rules.is_old:
            self._check_password(results)
        resolution = SettingsResolution(self.version, self.profile, results, self.problems)
        self._compute(resolution)
        if not self.rules.is_old:
            self._check_profiles(results)
        self.problems += [Problem(*problem) for problem in self.profile.problems]
        resolution.ignored = list(self._ignored())
        return resolution

    # -- profiles -----------------------------------------------------------------------------------------------------

    def _source(self) -> Source:
        return Source(
            self.inputs.environ,
            self.inputs.read,
            self.inputs.home,
            self.dotenv_exact,
            [(file, header) for _, file, header in self.files],
            self.release,
            profiles_of(self.version),
            self.rules.has_standard_toml,
        )

    def _old_profile(self) -> Profile:
        """Return the profile of Prefect 2, whose file only the environment names."""
        written = {
            name: next((value for _, value in self.env.entries.get(name, ()) if value is not None), None)
            for name in ("prefect_home", "prefect_profiles_path")
        }
        home = expand_home(written["prefect_home"] or "~/.prefect", self.inputs.home)
        path = written["prefect_profiles_path"] or "$PREFECT_HOME/profiles.toml"
        path = string.Template(path).safe_substitute(PREFECT_HOME=home)
        return old_profile(self._source(), path, {setting.path for setting in self.settings})

    def _check_profiles(self, results: Dict[str, Result]) -> None:
        """Check the file of profiles that the settings name. It can be another one than the one in use."""
        path = str(results["profiles_path"].value.value)
        problems = check_profiles(path, self.inputs.read(path), is_standard=self.rules.has_standard_toml)
        self.problems += [Problem(*problem) for problem in problems]

    # -- files --------------------------------------------------------------------------------------------------------

    def _read_files(self) -> None:
        source = self.inputs.read(".env")
        if source is not None:
            try:
                for each in dotenv_variables(".env", source, self.inputs.environ):
                    self.dotenv_exact[each.name] = each.value
                    self.dotenv.add(each.name, each.value, each.origin)
            except BrokenFile as error:
                self.problems.append(Problem(error.place, error.reason))
        for rank, name, header in ((2, "prefect.toml", ()), (3, "pyproject.toml", ("tool", "prefect"))):
            source = self.inputs.read(name) if self.rules.reads_toml else None
            if source is not None:
                try:
                    file = TomlFile(name, source, is_standard=self.rules.has_standard_toml)
                except BrokenFile as error:
                    self.problems.append(Problem(error.place, error.reason))
                else:
                    self.files.append((rank, file, header))

    def _check_tables(self, table: Tuple[str, ...]) -> None:
        for _, file, header in self.files:
            try:
                file.table((*header, *table))
            except BrokenFile as error:
                problem = Problem(error.place, error.reason)
                if problem not in self.problems:
                    self.problems.append(problem)

    # -- candidates ---------------------------------------------------------------------------------------------------

    def _inits(
        self, table: Tuple[str, ...], own: Dict[str, Candidate]
    ) -> Iterator[Tuple[Tuple[str, ...], Dict[str, Candidate]]]:
        """Yield what variables with JSON, such as ``PREFECT_API``, set in each table, by the names of settings."""
        yield table, own
        for name in self.tables.get(table, ()):
            below: Dict[str, Candidate] = {}
            written = [own[name]] if name in own else []
            for candidate in [*written, *self._whole_tables((*table, name))]:
                decoded = candidate.written if isinstance(candidate.written, dict) else None
                if decoded is None:
                    decoded = self._decoded(candidate)
                for key, value in decoded.items():
                    below.setdefault(key.lower(), candidate._replace(written=value))
            yield from self._inits((*table, name), below)

    def _whole_tables(self, table: Tuple[str, ...]) -> Iterator[Candidate]:
        name = "_".join(("prefect", *table))
        for rank, names in ((0, self.env), (1, self.dotenv)):
            for origin, value in names.entries.get(name, [])[:1]:
                if value is not None:
                    yield Candidate((0, -1, rank), origin, value)
        profile = self.profile.table.get(name.upper())
        if profile is not None:
            yield Candidate((0, -1, 4), self.profile.origin(name.upper()), profile)

    def _decoded(self, candidate: Candidate) -> Dict[str, Any]:
        decoded = decode_json(candidate.written) if isinstance(candidate.written, str) else Converted(None, "must be JSON")
        if decoded.failure or not isinstance(decoded.value, dict):
            self.problems.append(Problem(str(candidate.origin), "must be a JSON object"))
            return {}
        return decoded.value

    def _candidates(self, setting: Setting, init: Dict[str, Candidate]) -> List[Candidate]:
        found = [init[setting.name]] if setting.name in init else []
        found += self._of_variables(setting, 0, self.env, setting.names)
        bare = (setting.name,) if self.rules.merges_by_name and setting.has_aliases else ()
        found += self._of_variables(setting, 1, self.dotenv, (*bare, *setting.names))
        last = len(setting.names) if setting.has_aliases else 0
        for rank, file, header in self.files:
            found += self._of_file(setting, (last, rank, 0, 0), file, (*header, *setting.table))
        found += self._of_profile(setting, 0 if self.rules.merges_by_name else last)
        return sorted(found, key=lambda each: each.rank)

    def _of_variables(self, setting: Setting, rank: int, source: _Names, names: Sequence[str]) -> Iterator[Candidate]:
        for number, name in enumerate(names):
            key = number + len(setting.names) + 1 - len(names) if self.rules.merges_by_name and setting.has_aliases else 0
            for spelling, (origin, value) in enumerate(source.entries.get(name, [])):
                if spelling == 0 and value is None:
                    break
                if value is not None:
                    yield Candidate((key, rank, number, spelling), origin, value)

    def _of_file(
        self, setting: Setting, rank: Tuple[int, ...], file: TomlFile, table: Tuple[str, ...]
    ) -> Iterator[Candidate]:
        try:
            value = file.table(table).get(setting.name)
        except BrokenFile:  # reported before
            return
        is_table = isinstance(value, dict) and not (self.rules.reads_tables and setting.kind == "json")
        if value is not None and not is_table:
            yield Candidate(rank, file.origin(KINDS[rank[1]], (*table, setting.name)), value)

    def _of_profile(self, setting: Setting, key: int) -> Iterator[Candidate]:
        for number, name in enumerate(setting.names):
            value = self.profile.table.get(name.upper())
            if value is not None:
                rank = 4 if not self.rules.is_old or name.upper() in self.inputs.environ else -1
                yield Candidate((key, rank, number, 0), self.profile.origin(name.upper()), value)

    # -- values -------------------------------------------------------------------------------------------------------

    def _result(self, setting: Setting, candidates: List[Candidate]) -> Result:
        if not candidates:
            return Result(setting, candidates, Converted(setting.default, is_exact=setting.has_default))
        if setting.kind == "json":
            value = self._merged(candidates)
        else:
            value = convert(setting, candidates[0].written, is_old=self.rules.is_old)
        if value.failure:
            self.problems.append(Problem(str(candidates[0].origin), f"{setting.path} {value.failure}", setting.path))
        if self.rules.is_old:
            self._check_hidden(setting, candidates)
        return Result(setting, candidates, value)

    def _check_hidden(self, setting: Setting, candidates: List[Candidate]) -> None:
        """Report a variable that Prefect 2 rejects although a profile replaces its value."""
        for each in [each for each in candidates[1:] if each.origin.kind == "env"][:1]:
            failure = convert(setting, each.written, is_old=True).failure
            if failure and candidates[0].origin.kind != "env":
                self.problems.append(Problem(str(each.origin), f"{setting.path} {failure}", setting.path))

    def _check_log_sizes(self, results: Dict[str, Result]) -> None:
        """Report a batch of logs that is smaller than the largest log."""
        sizes = [results[path] for path in (_OLD_SIZES if self.rules.is_old else _SIZES)]
        batch, log = (each.value.value for each in sizes)
        if batch is not None and log is not None and batch < log:
            places = [str(each.candidates[0].origin) for each in sizes if each.candidates]
            reason = f"{sizes[1].setting.path} must not be larger than {sizes[0].setting.path}"
            self.problems.append(Problem(", ".join(places), reason, sizes[0].setting.path))

    def _check_password(self, results: Dict[str, Result]) -> None:
        """Report a password of the database without an address, which Prefect 2 searches for a place to put it."""
        password, url = (results[f"PREFECT_API_DATABASE_{name}"].candidates for name in ("PASSWORD", "CONNECTION_URL"))
        in_environment = [[each for each in found if each.origin.kind == "env"] for found in (password, url)]
        for passwords, urls in ((password, url), in_environment):
            if passwords and passwords[0].written and not urls:
                reason = "PREFECT_API_DATABASE_PASSWORD needs PREFECT_API_DATABASE_CONNECTION_URL"
                self.problems.append(Problem(str(passwords[0].origin), reason, "PREFECT_API_DATABASE_PASSWORD"))
                return

    def _merged(self, candidates: List[Candidate]) -> Converted:
        """Return the value of a setting that is a mapping: the sources add keys to each other."""
        merged: Any = None
        seen = set()
        for each in candidates:
            if each.rank[:2] in seen:
                continue
            seen.add(each.rank[:2])
            decoded = each.written
            if isinstance(decoded, str):
                result = decode_json(decoded)
                if result.failure:
                    return result
                decoded = result.value
            elif not (isinstance(decoded, dict) and each.origin.kind.endswith(".toml")):
                return Converted(None, "must be JSON")
            merged = decoded if merged is None else _deep_update(decoded, merged)
        return Converted(merged, is_exact=False)

    def _compute(self, resolution: SettingsResolution) -> None:
        results = resolution.results
        old = self.rules.is_old
        debug = ("PREFECT_DEBUG_MODE",) if old else ("debug_mode", "testing.test_mode")
        for path in [path for path in debug if results[path].value.value is True][:1]:
            for level in _OLD_DEBUG if old else _DEBUG:
                results[level] = replace(results[level], value=Converted("DEBUG"), computed=f"{path} is on")
        home, profiles = ("PREFECT_HOME", "PREFECT_PROFILES_PATH") if old else ("home", "profiles_path")
        written = results[home].value.value if results[home].candidates else None
        folder = _path(expand_home("~/.prefect" if written is None else str(written), self.inputs.home))
        results[home] = replace(results[home], value=results[home].value._replace(value=folder, is_exact=True))
        path = results[profiles].value.value if results[profiles].candidates else None
        if path is None or (not old and self.release < (3, 4, 0) and "PREFECT_HOME" in path):
            path = f"{folder}/profiles.toml"
        elif old:
            path = string.Template(path).safe_substitute(PREFECT_HOME=folder)
        path = _path(path.replace("$PREFECT_HOME", folder))
        results[profiles] = replace(results[profiles], value=results[profiles].value._replace(value=path, is_exact=True))
        for each in results.values():
            if each.setting.kind == "path" and each.value.is_exact and isinstance(each.value.value, str):
                results[each.setting.path] = replace(each, value=each.value._replace(value=_path(each.value.value)))

    # -- names that no setting has ------------------------------------------------------------------------------------

    def _ignored(self) -> Iterator[Origin]:
        known = {name for setting in self.settings for name in setting.names}
        known |= {"_".join(("prefect", *table)) for table in self.tables} | _OTHER_VARIABLES
        for source in (self.env, self.dotenv):
            for name, spellings in source.entries.items():
                if name.startswith("prefect_") and name not in known:
                    yield spellings[0][0]
        for name in self.profile.table:
            if name.lower() not in known or name != name.upper():
                yield self.profile.origin(name)
        for rank, file, header in self.files:
            yield from self._ignored_keys(KINDS[rank], file, header, ())

    def _ignored_keys(
        self, kind: str, file: TomlFile, header: Tuple[str, ...], table: Tuple[str, ...]
    ) -> Iterator[Origin]:
        paths = {setting.path for setting in self.settings}
        try:
            items = file.table((*header, *table))
        except BrokenFile:
            return
        for name, value in items.items():
            below = (*table, name)
            if isinstance(value, dict) and below in self.tables or name in self.tables.get(table, ()):
                yield from self._ignored_keys(kind, file, header, below)
            elif ".".join(below) not in paths:
                yield file.origin(kind, (*header, *below))


#: Variables with the prefix that are no settings.
_OTHER_VARIABLES = frozenset({"prefect_profile"})


def _path(text: str) -> str:
    return str(PurePosixPath(text))


def _deep_update(weaker: Any, stronger: Any) -> Any:
    if not (isinstance(weaker, dict) and isinstance(stronger, dict)):
        return stronger
    merged = dict(weaker)
    for key, value in stronger.items():
        merged[key] = _deep_update(merged[key], value) if key in merged else value
    return merged
