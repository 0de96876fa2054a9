"""The tables of rules by which each release of Prefect reads secrets.

Between Prefect 0.5.0 and 1.4.1 there are eleven dialects of ``src/prefect/configuration.py``. Each has one row in
:data:`DIALECTS`, which code, docs and tests read. ``Secret.get`` changed in other releases than the configuration, so
its rules are a second table, :data:`LOOKUPS`. A row states only what it changes in the row above.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Mapping, Optional, Sequence, Tuple, TypeVar

from pytest_flowsecrets.errors import UnknownPrefectVersion
from pytest_flowsecrets.versions import Release, release_of


@dataclass(frozen=True)
class Dialect:
    """The rules of a range of releases.

    Attributes:
        id: ``D1`` to ``D11``.
        first: the first release of the range.
        last: the last release of the range.
        change: the change in the first release.
        env_names: how the name of a variable becomes a key: ``lower`` (all of it is lower-cased), ``keep_last`` (all
            but the last part of a secret's name) or ``replace`` (only a literal ``CONTEXT__SECRETS``).
        typing: how strings are typed: ``round_trip`` (int or float, if they print the same) or ``literal``
            (``ast.literal_eval``).
        types_files: TOML strings are typed too, so the values of variables are typed twice.
        unicode_escape: backslash escapes in variables are decoded, and non-ASCII characters are garbled.
        per_file: defaults and user file are resolved separately, each with the variables, then merged.
        lower_top: the names of top-level tables are lower-cased.
        lower_only: keys outside ``context`` must be lower case.
        forbids_names: keys that are attributes of ``Config`` are rejected.
        box: ``Config`` is a python-box ``Box``; otherwise a ``DotDict``, whose keys hide its methods.
        backend_file: ``backend.toml`` is read, and overrides the user's file.
        version: the requested release, or the last one of the range if only the dialect is named.
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
        """The rules of ``Secret(name).get()`` in this release."""
        return _row(LOOKUPS, release_of(self.version or self.last))

    @property
    def label(self) -> str:
        """The range as text: ``0.6.7-0.9.8``."""
        return self.first if self.first == self.last else f"{self.first}-{self.last}"

    def at_least(self, version: str) -> bool:
        """Return whether the requested release is this one or later.

        Args:
            version: a release, such as ``0.14.2``.
        """
        return release_of(self.version or self.last) >= release_of(version)


@dataclass(frozen=True)
class Lookup:
    """The rules of ``Secret(name).get()`` from one release on (``src/prefect/client/secrets.py``).

    Attributes:
        first: the first release with these rules.
        subscript: the lookup is ``secrets[name]``; otherwise ``secrets.get(name)``, and a missing secret is ``None``.
        decodes: values are decoded with ``json.loads``.
        missing: the message of the ``ValueError`` for a missing secret, or None if there is no error.
        guarded: raises an error while a flow is being built.
        context_first: looks in the context first, whatever the flag says. In earlier releases the flag alone decides.
        context_flag: ``use_local_secrets`` is read from ``prefect.context.config``; otherwise from ``prefect.config``.
        server_is_local: only a ``cloud`` backend is asked for secrets.
    """

    first: str
    subscript: bool
    decodes: bool
    missing: Optional[str]
    guarded: bool
    context_first: bool
    context_flag: bool
    server_is_local: bool


_Row = TypeVar("_Row", Dialect, Lookup)


def _rows(first: _Row, *changes: Mapping[str, Any]) -> Tuple[_Row, ...]:
    """Return the rows of a table of which each states only what it changes in the row above."""
    rows = [first]
    for change in changes:
        rows.append(replace(rows[-1], **change))
    return tuple(rows)


DIALECTS: Tuple[Dialect, ...] = _rows(
    Dialect(
        id="D1",
        first="0.5.0",
        last="0.5.3",
        change="defaults and user file are resolved separately, then merged",
        env_names="lower",
        typing="round_trip",
        types_files=False,
        unicode_escape=True,
        per_file=True,
        lower_top=True,
        lower_only=False,
        forbids_names=False,
        box=False,
        backend_file=False,
    ),
    {
        "id": "D2",
        "first": "0.5.4",
        "last": "0.5.5",
        "change": "files are merged first, then variables, then references",
        "per_file": False,
    },
    {
        "id": "D3",
        "first": "0.6.0",
        "last": "0.6.0",
        "change": "keys are checked: lower case outside of context, no attribute of Config",
        "lower_top": False,
        "lower_only": True,
        "forbids_names": True,
    },
    {
        "id": "D4",
        "first": "0.6.1",
        "last": "0.6.5",
        "change": "keys may be of any case again",
        "lower_only": False,
    },
    {
        "id": "D5",
        "first": "0.6.6",
        "last": "0.6.6",
        "change": "Config is a python-box Box; lists become BoxList",
        "box": True,
    },
    {
        "id": "D6",
        "first": "0.6.7",
        "last": "0.9.8",
        "change": "variables keep the case of a secret's name",
        "env_names": "keep_last",
    },
    {
        "id": "D7",
        "first": "0.10.0",
        "last": "0.10.7",
        "change": "backend.toml is read, and overrides the user's config.toml",
        "backend_file": True,
    },
    {
        "id": "D8",
        "first": "0.11.0",
        "last": "0.11.1",
        "change": "variables are typed by ast.literal_eval",
        "typing": "literal",
    },
    {
        "id": "D9",
        "first": "0.11.2",
        "last": "0.13.14",
        "change": "TOML strings are typed too, and variables twice",
        "types_files": True,
    },
    {
        "id": "D10",
        "first": "0.13.15",
        "last": "0.14.22",
        "change": "backslashes in variables are kept",
        "unicode_escape": False,
    },
    {
        "id": "D11",
        "first": "0.15.0",
        "last": "1.4.1",
        "change": "only a literal CONTEXT__SECRETS in the name of a variable is lower-cased",
        "env_names": "replace",
    },
)

LOOKUPS: Tuple[Lookup, ...] = _rows(
    Lookup(
        first="0.5.0",
        subscript=False,
        decodes=False,
        missing=None,
        guarded=False,
        context_first=False,
        context_flag=False,
        server_is_local=False,
    ),
    {"first": "0.5.1", "decodes": True},
    {"first": "0.5.2", "guarded": True},
    {"first": "0.5.4", "subscript": True, "missing": "Secret {} was not found."},
    {"first": "0.6.0", "missing": 'Local Secret "{}" was not found.'},
    {"first": "0.6.4", "context_flag": True},
    {"first": "0.7.0", "context_first": True},
    {"first": "0.14.5", "server_is_local": True},
)

#: Ranges of releases with the same configuration and the same lookup of secrets.
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

# The python-box that pip installs: pinned by Prefect up to 0.13.7, later the newest one that supports the Python.
_PINNED_BOXES = (("0.6.6", "3.4.6"), ("0.9.0", "4.2.3"), ("0.13.8", ""))
_NEWEST_BOXES = (((3, 0), "6.1.0"), ((3, 7), "7.0.1"), ((3, 8), "7.2.0"), ((3, 9), "7.4.1"), ((3, 11), "8.0.0"))


def dialect_for(version: str) -> Dialect:
    """Return the rules of a release.

    Args:
        version: a release (``0.14.5``) or the id of a dialect (``D10``).

    Raises:
        UnknownPrefectVersion: the version is not a release from 0.5.0 to 1.4.1.
    """
    for dialect in DIALECTS:
        if dialect.id == version:
            return replace(dialect, version=dialect.last)
    number = release_of(version)
    if not release_of(DIALECTS[0].first) <= number <= release_of(DIALECTS[-1].last):
        raise UnknownPrefectVersion(version)
    return replace(_row(DIALECTS, number), version=".".join(str(part) for part in number))


def default_box(dialect: Dialect, python: Tuple[int, int]) -> str:
    """Return the python-box version that an installation of this release most likely has.

    Args:
        dialect: the rules, with their release.
        python: the version of Python.

    Returns:
        A version, or ``""`` for dialects without python-box.
    """
    if not dialect.box:
        return ""
    pinned = [box for first, box in _PINNED_BOXES if dialect.at_least(first)][-1]
    return pinned or [box for first, box in _NEWEST_BOXES if python >= first][-1]


def _row(rows: Sequence[_Row], number: Release) -> _Row:
    return [row for row in rows if release_of(row.first) <= number][-1]
