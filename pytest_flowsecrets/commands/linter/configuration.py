"""The settings of ``flowsecrets check``: ``[tool.flowsecrets]`` of ``pyproject.toml`` and the command line."""

from __future__ import annotations

import os
from types import MappingProxyType
from typing import Any, Callable, Dict, Iterable, List, Mapping, NamedTuple, Optional, Sequence, Set, Tuple

from pytest_flowsecrets.errors import UnknownPrefectVersion, UsageError
from pytest_flowsecrets.findings.rules import RULES
from pytest_flowsecrets.versions import installed_version, is_rest_version, release_of, uses_rest_api

NEWEST = "3.9.1"
FILE, TABLE = "pyproject.toml", "tool.flowsecrets"
FORMATS = ("text", "concise", "full", "json", "github", "sarif")


class Selection:
    """The enabled rules. The longest prefix that matches a rule decides; of two equally long ones, ``ignore`` wins.

    Args:
        select: ids of rules, or prefixes such as ``FS02``.
        ignore: ids or prefixes of rules to leave out.
        place: where they are written, for errors.

    Raises:
        UsageError: an entry matches no rule.
    """

    def __init__(self, select: Sequence[str] = (), ignore: Sequence[str] = (), place: str = "--select") -> None:
        for entry in (*select, *ignore):
            if not any(rule.startswith(entry) for rule in RULES):
                raise UsageError(f"{place}: no rule starts with {entry}: `flowsecrets rule --all` lists the rules")
        self.select, self.ignore = tuple(select), tuple(ignore)

    def __call__(self, rule: str) -> bool:
        """Return whether a rule is enabled."""
        selected = max((len(each) for each in self.select if rule.startswith(each)), default=-1 if self.select else 0)
        ignored = max((len(each) for each in self.ignore if rule.startswith(each)), default=-1)
        return selected > ignored


class FileIgnores:
    """Rules that are ignored in some files.

    Args:
        entries: rules by patterns of files, in the syntax of ``.gitignore``.
        folder: the folder that the patterns refer to.
        place: where they are written, for errors.

    Raises:
        UsageError: an entry matches no rule.
    """

    def __init__(self, entries: Mapping[str, List[str]], folder: str = "", place: str = "") -> None:
        self.folder, self._entries = folder, [(pattern, _ids(rules, place)) for pattern, rules in entries.items()]
        self._used: Set[str] = set()
        self._matched: Set[str] = set()

    def ignores(self, path: str, rule: str) -> bool:
        """Return whether a rule is ignored in a file.

        Args:
            path: the file.
            rule: the id of the rule.
        """
        patterns = [pattern for pattern, rules in self.of(path) if rule.startswith(rules)]
        self._used.update(patterns)
        return bool(patterns)

    def of(self, path: str) -> List[Tuple[str, Tuple[str, ...]]]:
        """Return the entries for a file.

        Args:
            path: the file.
        """
        if not self._entries:
            return []
        from pathspec import GitIgnoreSpec

        relative = os.path.relpath(path, self.folder or ".").replace(os.sep, "/")
        entries = [each for each in self._entries if GitIgnoreSpec.from_lines([each[0]]).match_file(relative)]
        self._matched.update(pattern for pattern, _ in entries)
        return entries

    @property
    def unused(self) -> List[str]:
        """The patterns of checked files in which they silence nothing."""
        return [pattern for pattern, _ in self._entries if pattern in self._matched - self._used]


def _ids(rules: List[str], place: str) -> Tuple[str, ...]:
    Selection(rules, place=place)
    return tuple(rules)


class Settings(NamedTuple):
    """Settings of ``flowsecrets check``, under the names of the table with underscores."""

    select: Tuple[str, ...] = ()
    ignore: Tuple[str, ...] = ()
    extend_ignore: Tuple[str, ...] = ()
    exclude: Tuple[str, ...] = ()
    per_file_ignores: Mapping[str, List[str]] = MappingProxyType({})
    format: str = "text"
    output_file: Optional[str] = None
    prefect_version: Optional[str] = None
    python_version: Optional[str] = None
    all_versions: bool = False
    notes: bool = True
    respect_gitignore: bool = True
    folder: str = ""
    place: str = "--select"


def _is_list(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(each, str) for each in value)


def _is_table(value: Any) -> bool:
    return isinstance(value, dict) and all(map(_is_list, value.values()))


_LIST = (_is_list, "a list of texts")
_TEXT = (lambda value: isinstance(value, str), "a text")
_FLAG = (lambda value: isinstance(value, bool), "true or false")
_TYPES: Dict[str, Tuple[Callable[[Any], bool], str]] = {
    **dict.fromkeys(("select", "ignore", "extend-ignore", "exclude"), _LIST),
    "per-file-ignores": (_is_table, "a table of lists of texts"),
    "format": (lambda value: value in FORMATS, f"one of {', '.join(FORMATS)}"),
    **dict.fromkeys(("output-file", "prefect-version", "python-version"), _TEXT),
    **dict.fromkeys(("all-versions", "notes", "respect-gitignore"), _FLAG),
}


def read_settings(path: Optional[str]) -> Settings:
    """Read the settings of a file, or of the nearest ``pyproject.toml`` that has some, from this folder upwards.

    Args:
        path: the file, or None.

    Raises:
        UsageError: the file or a setting is not valid.
    """
    if path is not None:
        return _settings(path, _table_of(path))
    folder = os.getcwd()
    while True:
        candidate = os.path.join(folder, FILE)
        table = _table_of(candidate) if os.path.isfile(candidate) else {}
        parent = os.path.dirname(folder)
        if table or parent == folder:
            return _settings(os.path.relpath(candidate), table)
        folder = parent


def _table_of(path: str) -> Dict[str, Any]:
    import tomli

    try:
        with open(path, "rb") as file:
            source = file.read()
        if TABLE.encode() not in source and b"flowsecrets" not in source:
            return {}
        table: Any = tomli.loads(source.decode("utf-8")).get("tool", {}).get("flowsecrets", {})
    except OSError as error:
        raise UsageError(f"{path}: {(error.strerror or type(error).__name__).lower()}") from None
    except (ValueError, AttributeError):  # not TOML, not UTF-8, or `tool` is no table
        raise UsageError(f"{path}: not valid TOML: [{TABLE}] cannot be read") from None
    if not isinstance(table, dict):
        raise UsageError(f"{path}: {TABLE} must be a table")
    return table


def _settings(path: str, table: Dict[str, Any]) -> Settings:
    for name, value in table.items():
        if name not in _TYPES:
            import difflib

            near = difflib.get_close_matches(name, _TYPES, 1)
            raise UsageError(f"{path}: {TABLE} has no key {name}" + (f": write {near[0]}" if near else ""))
        is_valid, description = _TYPES[name]
        if not is_valid(value):
            raise UsageError(f"{path}: {TABLE}.{name} must be {description}")
    values: Dict[str, Any] = {
        name.replace("-", "_"): tuple(value) if _is_list(value) else value for name, value in table.items()
    }
    return Settings(**values, folder=os.path.dirname(os.path.abspath(path)), place=f"{path}: {TABLE}")


def split(options: Optional[Iterable[str]]) -> Optional[Tuple[str, ...]]:
    """Return the ids in an option, which may be repeated and may contain commas.

    Args:
        options: the values of the option, or None.
    """
    if options is None:
        return None
    return tuple(part.strip() for each in options for part in each.split(",") if part.strip())


def merged(arguments: Any, settings: Settings) -> Settings:
    """Return the settings after the command line.

    Args:
        arguments: parsed arguments; None where an option is missing.
        settings: the settings of the file.
    """
    select, ignore = split(arguments.select), split(arguments.ignore)
    changes = {
        "select": select,
        "ignore": ignore,
        "extend_ignore": settings.extend_ignore + (split(arguments.extend_ignore) or ()),
        "exclude": settings.exclude + tuple(arguments.exclude or ()),
        "format": arguments.format,
        "output_file": arguments.output_file,
        "prefect_version": arguments.prefect_version,
        "python_version": arguments.python_version,
        "all_versions": arguments.all_versions or None,
        "notes": False if arguments.no_notes else None,
        "respect_gitignore": False if arguments.no_respect_gitignore else None,
        "place": "--select, --ignore" if select or ignore or arguments.extend_ignore else None,
    }
    return settings._replace(**{name: value for name, value in changes.items() if value is not None})


# -- the release of Prefect 2.20 or 3 ----------------------------------------------------------------------------------


class Target(NamedTuple):
    """The release of Prefect 2.20 or 3.

    Attributes:
        version: the release.
        is_rest: whether all files are for this release. Otherwise only those are that no legacy release reads.
        is_legacy: whether all files are for a legacy release that the user names.
        all_versions: whether findings of all its releases are reported.
    """

    version: str = NEWEST
    is_rest: bool = False
    is_legacy: bool = False
    all_versions: bool = False

    def concerns(self, versions: str) -> bool:
        """Return whether a finding concerns the release.

        Args:
            versions: the releases of the finding as ranges, such as ``2.20.0-2.20.27, 3.0.0-3.6.29``.
        """
        if self.all_versions or not self.is_rest or not versions:
            return True
        own = release_of(self.version)[:2]
        ranges = [[release_of(each)[:2] for each in span.split("-")] for span in versions.split(", ")]
        # The newest release of a list stands for those after it.
        return any(first <= own <= last for first, last in ranges) or (own > ranges[-1][1] >= release_of(NEWEST)[:2])


def target_of(version: Optional[str], *, all_versions: bool = False) -> Target:
    """Return the release of Prefect 2.20 or 3.

    Args:
        version: the version in the settings of ``check``, or None for the installed one.
        all_versions: whether all releases are checked: those of the line of the version, or of both without a version.
    """
    if version is None:
        return Target() if all_versions or not uses_rest_api() else Target(str(installed_version()), is_rest=True)
    if version in ("2", "2.20", "3"):
        newest = "2.20.27" if version.startswith("2") else NEWEST
        return Target(newest, is_rest=True, all_versions=all_versions)
    try:
        is_rest = is_rest_version(version)
    except UnknownPrefectVersion:
        is_rest = False  # the legacy rules report the error
    return Target(version, is_rest=True, all_versions=all_versions) if is_rest else Target(is_legacy=True)
