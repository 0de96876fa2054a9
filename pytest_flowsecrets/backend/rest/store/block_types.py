"""Block types and schemas, which the real client registers.

A real server starts with the types that Prefect ships. This package contains no copies of them. The first save in a
session registers such a type, and every later view starts with it. Other types belong to the view of one test.
"""

from __future__ import annotations

import hashlib
import json
import threading
from typing import TYPE_CHECKING, Any, Dict, Iterator, Optional

from pytest_flowsecrets.backend.rest.errors import NotFoundError
from pytest_flowsecrets.backend.rest.store.table import Table

if TYPE_CHECKING:
    from pytest_flowsecrets.backend.rest.errors import Row
    from pytest_flowsecrets.backend.rest.store.table import Clock

# Types that Prefect itself ships: its server refuses to delete them.
PROTECTED = frozenset(
    (
        "azure",
        "custom-webhook",
        "date-time",
        "discord-webhook",
        "docker-container",
        "docker-registry",
        "gcs",
        "github",
        "github-repository",
        "json",
        "kubernetes-cluster-config",
        "kubernetes-job",
        "local-file-system",
        "mattermost-webhook",
        "microsoft-teams-webhook",
        "opsgenie-webhook",
        "pager-duty-webhook",
        "process",
        "remote-file-system",
        "s3",
        "secret",
        "sendgrid-email",
        "slack-webhook",
        "smb",
        "string",
        "twilio-sms",
        "webhook",
    )
)


class SharedBlockTypes:
    """The types that Prefect ships and that clients have registered in the session, by slug, with one schema each."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.types: Dict[str, Row] = {}
        self.schemas: Dict[str, Row] = {}


class BlockTypes:
    """The types and schemas of one view: those that Prefect ships, and its own.

    Args:
        shared: the types that Prefect ships and that clients have registered in the session.
        now: the clock.
    """

    def __init__(self, shared: SharedBlockTypes, now: Clock) -> None:
        self._shared = shared
        self.types, self.schemas = Table("Block type not found", now), Table("Block schema not found", now)
        with shared.lock:
            self.types.rows.update({row["id"]: dict(row) for row in shared.types.values()})
            self.schemas.rows.update({row["id"]: row for row in shared.schemas.values()})

    def by_slug(self, slug: str) -> Optional[Row]:
        """Return the type with a slug, or None."""
        return self.types.first(slug=slug)

    def require_slug(self, slug: str) -> Row:
        """Return the type with a slug.

        Raises:
            NotFoundError: there is none.
        """
        row = self.by_slug(slug)
        if row is None:
            raise NotFoundError("Block type not found")
        return row

    def add_type(self, fields: Row) -> Row:
        """Add a type. If Prefect ships it, later views have it, too."""
        row = self.types.insert({**fields, "is_protected": fields["slug"] in PROTECTED})
        if row["is_protected"]:
            with self._shared.lock:
                self._shared.types.setdefault(row["slug"], dict(row))
        return dict(row)

    def add_schema(self, fields: Row) -> Row:
        """Add a schema of a type that the view has, unless it is there already."""
        block_type = self.types.require(fields["block_type_id"])
        digest = checksum(fields["fields"])
        version = fields.get("version") or "non-versioned"
        same = self.schemas.first(checksum=digest, version=version, block_type_id=block_type["id"])
        if same is not None:
            return same
        capabilities = list(fields.get("capabilities") or ())
        row = self.schemas.insert({**fields, "checksum": digest, "version": version, "capabilities": capabilities})
        with self._shared.lock:
            if self._shared.types.get(block_type["slug"], {}).get("id") == block_type["id"]:
                self._shared.schemas.setdefault(block_type["slug"], row)
        return row

    def schema_by_checksum(self, digest: str, version: Optional[str]) -> Row:
        """Return the newest schema with a checksum, of one version where that is not None.

        Raises:
            NotFoundError: there is none.
        """
        found = self.schemas.where(checksum=digest, **({"version": version} if version else {}))
        if not found:
            raise NotFoundError("Block schema not found")
        return found[-1]

    def present_schema(self, row: Row) -> Row:
        """Return a schema as the API shows it: with its type."""
        return {**row, "block_type": self.types.get(row["block_type_id"])}

    def delete_type(self, row_id: str) -> None:
        """Remove a type with its schemas from this view."""
        self.types.delete(row_id)
        for schema in self.schemas.where(block_type_id=row_id):
            self.schemas.delete(schema["id"])


# -- checksums ---------------------------------------------------------------------------------------------------------


def checksum(fields: Row) -> str:
    """Return the checksum that clients compute for the fields of a schema.

    Clients leave out which fields are secret, and the definitions of nested blocks, which have schemas of their own.
    """
    hashed: Row = _without_secret_fields(fields)
    definitions = _plain_definitions(hashed, hashed.pop("definitions", None) or {})
    if definitions:
        hashed["definitions"] = definitions
    text = json.dumps([[hashed], {}], sort_keys=True)
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


def _without_secret_fields(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_secret_fields(item) for key, item in value.items() if key != "secret_fields"}
    return [_without_secret_fields(item) for item in value] if isinstance(value, list) else value


def _plain_definitions(definition: Row, definitions: Row) -> Row:
    """Return the definitions that the properties refer to, themselves or in turn, and that are not blocks."""
    reached: Row = {}
    for name in _references(definition.get("properties", {})):
        target = definitions.get(name)
        if target is not None and target.get("block_type_slug") is None and name not in reached:
            reached[name] = target
            reached.update(_plain_definitions(target, {key: definitions[key] for key in definitions if key != name}))
    return reached


def _references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for key, item in value.items():
            if key == "$ref" and isinstance(item, str):
                yield item.rpartition("/")[2]
            else:
                yield from _references(item)
    elif isinstance(value, list):
        for item in value:
            yield from _references(item)
