"""Blocks of any type in a view, which the real client saves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable, Iterator, List, Mapping, Optional

from pytest_flowsecrets.errors import UsageError
from pytest_flowsecrets.isolation.prefect3.threads import in_new_thread

if TYPE_CHECKING:
    from pytest_flowsecrets.backend.rest.errors import Row
    from pytest_flowsecrets.backend.rest.store.read_log import Read
    from pytest_flowsecrets.backend.rest.view import View


class Blocks:
    """The saved blocks of a view, named ``type/name`` as for ``Block.load``, such as ``secret/github-access-token``.

    Args:
        view: whose blocks.
        check: raises an error unless the client uses this view now.
    """

    def __init__(self, view: View, check: Callable[[], None]) -> None:
        self._view, self._check = view, check

    def __repr__(self) -> str:
        return f"<Blocks {', '.join(self)}>"

    def register(self, block_class: Any) -> None:
        """Register the type and the schema of a block class, as ``register_type_and_schema`` does."""
        self._check()
        in_new_thread(block_class.register_type_and_schema)

    def save(self, name: str, block: Any) -> None:
        """Save a block, as ``block.save(name, overwrite=True)`` does. Write-only mode allows this.

        Args:
            name: the name of the block document, without its type.
            block: an instance of a block class of any package, or of your own.
        """
        self._check()
        with self._view.saving_block():
            in_new_thread(lambda: block.save(name, overwrite=True))

    def __iter__(self) -> Iterator[str]:
        with self._view.lock:
            rows = self._view.block_documents.where(is_anonymous=False)
            return iter([f"{self._slug(row)}/{row['name']}" for row in rows])

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name in iter(self)

    def __delitem__(self, name: str) -> None:
        """Remove a block.

        Raises:
            KeyError: there is none.
        """
        from pytest_flowsecrets.backend.rest.resources.blocks import remove_document

        self._check()
        with self._view.lock:
            row = self._row(name)
            if row is None:
                raise KeyError(name)
            remove_document(self._view, row)

    def holds(self, name: str, data: Any) -> bool:
        """Return whether a block has exactly this data.

        Args:
            name: ``type/name``.
            data: a mapping of its fields as the API stores them, such as ``{"value": "x"}`` for a Secret block.

        Raises:
            UsageError: the name has no type, or the data is not a mapping.
        """
        slug, _, document = name.partition("/")
        if not document:
            raise UsageError(f"{name!r} does not name a block: write type/name, such as secret/{name}")
        if not isinstance(data, Mapping):
            example = '{"value": ...}' if slug == "secret" else "a mapping of its fields"
            raise UsageError(f"the data of the block {name!r} are not a mapping: write {example}")
        kind = self._view.block_types.by_slug(slug)
        if kind is None or self._row(name) is None:
            return False
        return self._view.holds(document, data.get("value") if slug == "secret" else data, block_type=slug)

    @property
    def reads(self) -> List[Read]:
        """The reads of blocks of all types with their secrets, oldest first.

        Each read has the attributes ``name``, ``block_type``, ``at`` (a datetime in UTC), ``flow_run_id`` and
        ``flow_name``. The last two are None if no flow run read it, or if the API cannot tell which one did.
        """
        return self._view.reads

    def _row(self, name: str) -> Optional[Row]:
        slug, _, document = name.partition("/")
        kind = self._view.block_types.by_slug(slug)
        return self._view.block_documents.first(name=document, block_type_id=kind["id"]) if kind else None

    def _slug(self, row: Row) -> str:
        kind = self._view.block_types.types.get(row["block_type_id"])
        return str(kind["slug"]) if kind else ""
