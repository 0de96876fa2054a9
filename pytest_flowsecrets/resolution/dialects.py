"""THE table: which release of Prefect reads secrets by which rules.

Prefect 0.5.0 to 1.4.1 holds eleven dialects of ``src/prefect/configuration.py``. One row each, with all its switches;
code, docs and tests read this table. ``Secret.get`` changed at other releases than
the configuration did, so its rules are a second, smaller table, and so are the few facts of the imported package that
matter (how ``prefect.context`` takes in the configuration, which python-box a release allows).
"""

# ruff: noqa: FBT003  (a table of switches reads best as a table)
from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Optional, Sequence, Tuple, TypeVar

from pytest_flowsecrets.errors import UnknownPrefectVersion
from pytest_flowsecrets.versions import Release, release_of


@dataclass(frozen=True)
class Dialect:
    """The rules of a range of releases.

    Attributes:
        id: ``D1`` to ``D11``.
        first: first release of the range.
        last: last release of the range.
        change: what changed at its lower edge.
        env_names: how a variable's name becomes a key: ``lower`` (all of it), ``keep_last`` (all but the last part of a
            secret's), or ``replace`` (``CONTEXT__SECRETS`` is replaced literally, nothing else is touched).
        typing: ``round_trip`` (int, float, if they print the same) or ``literal`` (``ast.literal_eval``).
        types_files: strings out of TOML are typed too, so that those out of variables are typed twice.
        unicode_escape: backslash escapes in variables are decoded, and everything beyond ASCII is mangled.
        per_file: defaults and user file are resolved apart, each with the variables, then merged.
        lower_top: names of top-level tables are lower-cased.
        lower_only: keys outside ``context`` have to be lower case.
        forbids_names: keys that are attributes of ``Config`` are refused.
        box: ``Config`` is a python-box ``Box``, else a ``DotDict`` (whose keys shadow its methods).
        backend_file: ``backend.toml`` is read, and beats the user's file.
        version: the release asked for; the last of the range where only the dialect was named.
    """

    id: str
    first: str
    last: str
    change: str
    env_names: str
    typing: str
    types_files: bool
    unicode_escape: bool
    per_file: bool
    lower_top: bool
    lower_only: bool
    forbids_names: bool
    box: bool
    backend_file: bool
    version: str = ""

    @property
    def lookup(self) -> Lookup:
        """How ``Secret(name).get()`` works in this release."""
        return _row(LOOKUPS, release_of(self.version or self.last))

    @property
    def label(self) -> str:
        """The range, for people: ``0.6.7-0.9.8``."""
        return self.first if self.first == self.last else f"{self.first}-{self.last}"

    def at_least(self, version: str) -> bool:
        """Whether the release asked for is this one or later.

        Args:
            version: a release, such as ``0.14.2``.
        """
        return release_of(self.version or self.last) >= release_of(version)


@dataclass(frozen=True)
class Lookup:
    """How ``Secret(name).get()`` finds a value, from one release on (``src/prefect/client/secrets.py``).

    Attributes:
        first: the release from which this holds.
        subscript: ``secrets[name]``, else ``secrets.get(name)`` (a missing one is ``None``).
        decodes: a value goes through ``json.loads``.
        missing: text of the ``ValueError`` for a missing one, or None where there is no error.
        guarded: refuses to work while a flow is being built.
        context_first: looks in the context whatever the flag says; before, the flag alone decided.
        context_flag: ``use_local_secrets`` is read from ``prefect.context.config``, else from ``prefect.config``.
        server_is_local: a backend that is not ``cloud`` is never asked.
    """

    first: str
    subscript: bool
    decodes: bool
    missing: Optional[str]
    guarded: bool
    context_first: bool
    context_flag: bool
    server_is_local: bool


# fmt: off
# Columns after the change: env_names, typing, types_files, unicode_escape, per_file, lower_top, lower_only,
# forbids_names, box, backend_file.
DIALECTS: Tuple[Dialect, ...] = (
    Dialect("D1", "0.5.0", "0.5.3", "defaults and user file are resolved apart, then merged",
            "lower", "round_trip", False, True, True, True, False, False, False, False),
    Dialect("D2", "0.5.4", "0.5.5", "files are merged first, then variables, then references",
            "lower", "round_trip", False, True, False, True, False, False, False, False),
    Dialect("D3", "0.6.0", "0.6.0", "keys are checked: lower case outside of context, no attribute of Config",
            "lower", "round_trip", False, True, False, False, True, True, False, False),
    Dialect("D4", "0.6.1", "0.6.5", "keys may be of any case again",
            "lower", "round_trip", False, True, False, False, False, True, False, False),
    Dialect("D5", "0.6.6", "0.6.6", "Config is a python-box Box; lists become BoxList",
            "lower", "round_trip", False, True, False, False, False, True, True, False),
    Dialect("D6", "0.6.7", "0.9.8", "variables keep the case of a secret's name",
            "keep_last", "round_trip", False, True, False, False, False, True, True, False),
    Dialect("D7", "0.10.0", "0.10.7", "backend.toml is read, and beats the user's config.toml",
            "keep_last", "round_trip", False, True, False, False, False, True, True, True),
    Dialect("D8", "0.11.0", "0.11.1", "variables are typed by ast.literal_eval",
            "keep_last", "literal", False, True, False, False, False, True, True, True),
    Dialect("D9", "0.11.2", "0.13.14", "TOML strings are typed too, and variables twice",
            "keep_last", "literal", True, True, False, False, False, True, True, True),
    Dialect("D10", "0.13.15", "0.14.22", "backslashes in variables are left alone",
            "keep_last", "literal", True, False, False, False, False, True, True, True),
    Dialect("D11", "0.15.0", "1.4.1", "only a literal CONTEXT__SECRETS in a variable's name is lower-cased",
            "replace", "literal", True, False, False, False, False, True, True, True),
)

_PLAIN, _LOCAL = "Secret {} was not found.", 'Local Secret "{}" was not found.'
# Columns: first, subscript, decodes, missing, guarded, context_first, context_flag, server_is_local.
LOOKUPS: Tuple[Lookup, ...] = (
    Lookup("0.5.0", False, False, None, False, False, False, False),
    Lookup("0.5.1", False, True, None, False, False, False, False),
    Lookup("0.5.2", False, True, None, True, False, False, False),
    Lookup("0.5.4", True, True, _PLAIN, True, False, False, False),
    Lookup("0.6.0", True, True, _LOCAL, True, False, False, False),
    Lookup("0.6.4", True, True, _LOCAL, True, False, True, False),
    Lookup("0.7.0", True, True, _LOCAL, True, True, True, False),
    Lookup("0.14.5", True, True, _LOCAL, True, True, True, True),
)
# fmt: on

#: Releases between which nothing about secrets changed, neither configuration nor lookup.
SPANS: Tuple[Tuple[str, str], ...] = (
    ("0.5.0", "0.5.0"),
    ("0.5.1", "0.5.1"),
    ("0.5.2", "0.5.3"),
    ("0.5.4", "0.5.5"),
    ("0.6.0", "0.6.0"),
    ("0.6.1", "0.6.3"),
    ("0.6.4", "0.6.5"),
    ("0.6.6", "0.6.6"),
    ("0.6.7", "0.6.7"),
    ("0.7.0", "0.9.8"),
    ("0.10.0", "0.10.7"),
    ("0.11.0", "0.11.1"),
    ("0.11.2", "0.13.14"),
    ("0.13.15", "0.14.4"),
    ("0.14.5", "0.14.22"),
    ("0.15.0", "1.4.1"),
)

# python-box that pip chooses: by release of Prefect up to 0.13.7 (pins), by Python after it (no upper bound).
_PINNED_BOXES = (("0.6.6", "3.4.6"), ("0.9.0", "4.2.3"), ("0.13.8", ""))
_NEWEST_BOXES = (((3, 6), "6.1.0"), ((3, 7), "7.0.1"), ((3, 8), "7.2.0"), ((3, 9), "7.4.1"), ((3, 11), "8.0.0"))

_Row = TypeVar("_Row", Dialect, Lookup)


def dialect_for(version: str) -> Dialect:
    """Find the rules of a release.

    Args:
        version: a release (``0.14.5``) or the id of a dialect (``D10``).

    Raises:
        UnknownPrefectVersion: no release of 0.5.0 to 1.4.1.
    """
    for dialect in DIALECTS:
        if dialect.id == version:
            return replace(dialect, version=dialect.last)
    number = release_of(version)
    if not release_of(DIALECTS[0].first) <= number <= release_of(DIALECTS[-1].last):
        raise UnknownPrefectVersion(version)
    return replace(_row(DIALECTS, number), version=".".join(str(part) for part in number))


def default_box(dialect: Dialect, python: Tuple[int, int]) -> str:
    """Name the python-box that an installation of this release most likely has.

    Args:
        dialect: the rules, with their release.
        python: version of Python.

    Returns:
        A version, or ``""`` for dialects without python-box.
    """
    if not dialect.box:
        return ""
    pinned = [box for first, box in _PINNED_BOXES if dialect.at_least(first)][-1]
    newest = [box for first, box in _NEWEST_BOXES if python >= first]
    return pinned or (newest[-1] if newest else _NEWEST_BOXES[0][1])


def _row(rows: Sequence[_Row], number: Release) -> _Row:
    return [row for row in rows if release_of(row.first) <= number][-1]
