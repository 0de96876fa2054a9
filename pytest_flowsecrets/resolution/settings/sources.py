"""The sources of settings: environment, ``.env``, TOML files and profile, and what each of them sets."""

from __future__ import annotations

import string
from typing import Any, Dict, Iterator, List, Optional, Sequence, Tuple

from pytest_flowsecrets.resolution.layers import Origin, variable
from pytest_flowsecrets.resolution.settings.catalogue import Setting, profiles_of, release, settings_of
from pytest_flowsecrets.resolution.settings.files import BrokenFile, TomlFile, Variable, dotenv_variables
from pytest_flowsecrets.resolution.settings.model import KINDS, Candidate, Inputs, Problem, rules_of
from pytest_flowsecrets.resolution.settings.profiles import (
    Profile,
    Source,
    active_profile,
    expand_home,
    old_profile,
)
from pytest_flowsecrets.resolution.settings.values import Converted, decode_json

Table = Tuple[str, ...]

#: Variables that are no settings, and the beginnings of others: of the logging configuration and of integrations.
_OTHERS = frozenset({"prefect_profile"})
_OTHER_PREFIXES = (
    "prefect__",
    "prefect_integrations_",
    *(f"prefect_logging_{name}_" for name in ("loggers", "handlers", "formatters", "filters", "root")),
)


class Names:
    """Variables by their names in lower case. Each name holds all spellings, the one that counts first."""

    def __init__(self) -> None:
        self.entries: Dict[str, List[Tuple[Origin, Optional[str]]]] = {}

    def add(self, name: str, value: Optional[str], origin: Origin) -> None:
        """Add a variable. It counts instead of the earlier spellings of its name."""
        self.entries.setdefault(name.lower(), []).insert(0, (origin, value))


class Sources:
    """The sources of one release.

    Args:
        version: a version of Prefect 2.20 or 3.
        inputs: environment and files.

    Attributes:
        tables: the names of the tables below each table.
        profile: the active profile.
        problems: what makes ``import prefect`` fail.
    """

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
        self.env, self.dotenv = Names(), Names()
        for name, value in inputs.environ.items():
            self.env.add(name, value, variable(inputs.environ, name))
        self.dotenv_exact: Dict[str, Optional[str]] = {}
        self.files: List[Tuple[int, TomlFile, Tuple[str, ...]]] = []
        if self.rules.is_old:
            self.profile = self._old_profile()
        else:
            self._read_files()
            self.profile = active_profile(self._source())
        for table in self.tables:
            self._check_tables(table)
            if self.rules.merges_by_name and table:
                self._check_bare_table(table)
        self._whole = {} if self.rules.is_old else dict(self._inits((), {}))

    def candidates(self, setting: Setting) -> List[Candidate]:
        """Return what sets a setting, the strongest first.

        Args:
            setting: the setting.
        """
        init = self._whole.get(setting.table, {})
        found = [init[setting.name]] if setting.name in init else []
        found += self._of_variables(setting, 0, self.env, setting.names)
        names = setting.names
        if self.rules.merges_by_name:
            names = (setting.name, *names) if setting.has_aliases else (*names, setting.name)
        found += self._of_variables(setting, 1, self.dotenv, names)
        last = len(setting.names) if setting.has_aliases else 0
        for rank, file, header in self.files:
            found += self._of_file(setting, (last, rank, 0, 0), file, (*header, *setting.table))
        found += self._of_profile(setting, 0 if self.rules.merges_by_name else last)
        return sorted(found, key=lambda each: each.rank)

    # -- files ---------------------------------------------------------------------------------------------------------

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
            name: next((each for each in self.env.entries.get(name, ()) if each[1] is not None), (None, None))
            for name in ("prefect_home", "prefect_profiles_path")
        }
        home = expand_home(written["prefect_home"][1] or "~/.prefect", self.inputs.home)
        origin, path = written["prefect_profiles_path"]
        if path == "":
            reason = "the path is empty, and Prefect 2 tries to read the working directory"
            self.problems.append(Problem(str(origin), reason, "PREFECT_PROFILES_PATH"))
        path = path or "$PREFECT_HOME/profiles.toml"
        path = string.Template(path).safe_substitute(PREFECT_HOME=home)
        return old_profile(self._source(), path, {setting.path for setting in self.settings})

    def _read_files(self) -> None:
        source = self.inputs.read(".env")
        if source is not None:
            try:
                self._add_dotenv(list(dotenv_variables(".env", source, self.inputs.environ)))
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

    def _add_dotenv(self, variables: List[Variable]) -> None:
        """Add variables in the order in which Prefect sees them: a repeated name stays in its first place."""
        by_name: Dict[str, List[Variable]] = {}
        for each in variables:
            by_name.setdefault(each.name, []).append(each)
        for name, same in by_name.items():
            for each in same:
                self.dotenv.add(name, each.value, each.origin)
            self.dotenv_exact[name] = same[-1].value

    def _check_tables(self, table: Tuple[str, ...]) -> None:
        for _, file, header in self.files:
            try:
                file.table((*header, *table))
            except BrokenFile as error:  # noqa: PERF203 - two files
                problem = Problem(error.place, error.reason)
                if problem not in self.problems:
                    self.problems.append(problem)

    def _check_bare_table(self, table: Table) -> None:
        """Report a variable of ``.env`` that Prefect 3.0 takes for a table, such as ``API``."""
        for origin, value in self.dotenv.entries.get(table[-1], [])[:1]:
            problem = Problem(str(origin), "Prefect 3.0 takes it for a table of settings: rename it")
            if value and problem not in self.problems:
                self.problems.append(problem)

    # -- what they set -------------------------------------------------------------------------------------------------

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
        decoded = (
            decode_json(candidate.written) if isinstance(candidate.written, str) else Converted(None, "must be JSON")
        )
        if decoded.failure or not isinstance(decoded.value, dict):
            self.problems.append(Problem(str(candidate.origin), "must be a JSON object"))
            return {}
        return decoded.value

    def _of_variables(self, setting: Setting, rank: int, source: Names, names: Sequence[str]) -> Iterator[Candidate]:
        for number, name in enumerate(names):
            key = (
                number + len(setting.names) + 1 - len(names) if self.rules.merges_by_name and setting.has_aliases else 0
            )
            for spelling, (origin, value) in enumerate(source.entries.get(name, [])):
                is_bare = name == setting.name and not setting.has_aliases
                if spelling == 0 and (value is None or (is_bare and not value)):
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


def ignored(sources: Sources) -> Iterator[Origin]:
    """Yield the places of names that no setting has. Prefect ignores them, so a misspelled name has no effect.

    Args:
        sources: the sources.
    """
    known = {name for setting in sources.settings for name in setting.names} | _OTHERS
    known |= {"_".join(("prefect", *table)) for table in sources.tables}
    for source in (sources.env, sources.dotenv):
        for name, spellings in source.entries.items():
            if name.startswith("prefect_") and name not in known and not name.startswith(_OTHER_PREFIXES):
                yield spellings[0][0]
    for name in sources.profile.table:
        if name.lower() not in known or name != name.upper():
            yield sources.profile.origin(name)
    for rank, file, header in sources.files:
        yield from _ignored_keys(sources, KINDS[rank], file, header, ())


def _ignored_keys(sources: Sources, kind: str, file: TomlFile, header: Table, table: Table) -> Iterator[Origin]:
    paths = {setting.path for setting in sources.settings}
    try:
        items = file.table((*header, *table))
    except BrokenFile:
        return
    for name in items:
        below = (*table, name)
        if below in sources.tables:
            yield from _ignored_keys(sources, kind, file, header, below)
        elif ".".join(below) not in paths:
            yield file.origin(kind, (*header, *below))
