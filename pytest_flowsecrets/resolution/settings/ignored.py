"""Names in the sources that no setting has. Prefect ignores them, so that a misspelled name has no effect."""

from __future__ import annotations

from typing import TYPE_CHECKING, Iterator

from pytest_flowsecrets.resolution.settings.files import BrokenFile, TomlFile
from pytest_flowsecrets.resolution.settings.model import KINDS

if TYPE_CHECKING:
    from pytest_flowsecrets.resolution.layers import Origin
    from pytest_flowsecrets.resolution.settings.sources import Sources, Table

#: Variables that are no settings, and the beginnings of others: of the logging configuration and of integrations.
_OTHERS = frozenset({"prefect_profile"})
_OTHER_PREFIXES = (
    "prefect__",
    "prefect_integrations_",
    *(f"prefect_logging_{name}_" for name in ("loggers", "handlers", "formatters", "filters", "root")),
)


def ignored(sources: Sources) -> Iterator[Origin]:
    """Yield the places of names that no setting has.

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
