"""Blocks and variables of a view, as a test sets and reads them.

``SecretBlocks`` and ``Variables`` are rows that a test sets without a client. The real client saves ``Blocks`` of any
type.
"""

from __future__ import annotations

import json
import re
from copy import deepcopy
from typing import TYPE_CHECKING, Any, Callable, Iterator, List, Mapping, MutableMapping, Optional, Tuple

from pytest_flowsecrets.errors import UsageError
from pytest_flowsecrets.isolation.prefect3.adapter import in_new_thread
from pytest_flowsecrets.leaks.registry import register
from pytest_flowsecrets.report import api_events

if TYPE_CHECKING:
    from pytest_flowsecrets.backend.rest.errors import Row
    from pytest_flowsecrets.backend.rest.store.read_log import Read
    from pytest_flowsecrets.backend.rest.view import View

_BLOCK_NAME = re.compile(r"[a-z0-9-]+")
_VARIABLE_NAME = re.compile(r"[a-z0-9_-]{1,255}")
MAX_VARIABLE = 5000  # characters of JSON; the limit of Prefect 2.20 and 3


def _accept() -> None:
    """Accept every change."""


class SecretBlocks:
    """The Secret blocks of a view. They can be set, named, compared and deleted; nothing gives a value out.

    The first block of a session needs the type Secret, which the real client registers.

    Args:
        view: whose blocks.
        check: raises an error if a change would have no effect.
        register: lets the client register the type, if a client uses the view.
    """

    def __init__(self, view: View, check: Callable[[], None] = _accept, register: Callable[[], None] = _accept) -> None:
        self._view, self._check, self._register = view, check, register

    def __repr__(self) -> str:
        return f"<SecretBlocks {', '.join(self)}>"

    def __setitem__(self, name: str, value: Any) -> None:
        """Create or replace a block.

        Raises:
            UsageError: the name cannot be that of a block, the value is not JSON data, or the type is not known and no
                client uses this API.
        """
        self._check()
        check_block_name(name)
        check_json(f"secret {name!r}", value)
        value = deepcopy(value)
        register(name, value)  # a traceback through the client shows the arguments of this function
        if not self.has_type:
            self._register()  # without the lock: the client sends requests
        with self._view.lock:
            block_type, schema = self._type()
            row = self._row(name)
            if row is None:
                fields = {"name": name, "block_type_id": block_type["id"], "is_anonymous": False}
                row = self._view.block_documents.insert(fields)
            self._view.block_documents.update(row, {"data": {"value": value}, "block_schema_id": schema["id"]})
        self._view.on_secret(name, value, f"secret/{name}")

    def __delitem__(self, name: str) -> None:
        """Remove a block.

        Raises:
            KeyError: there is none.
        """
        self._check()
        with self._view.lock:
            _remove(self._view, self._row(name), name)
        api_events.emit("delete", name)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and self._row(name) is not None

    def __iter__(self) -> Iterator[str]:
        kind = self._view.block_types.by_slug("secret")
        rows = self._view.block_documents.where(block_type_id=kind["id"], is_anonymous=False) if kind else []
        return iter([row["name"] for row in rows])

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def holds(self, name: str, value: Any) -> bool:
        """Return whether a block has exactly this value.

        Raises:
            UsageError: the name includes a type.
        """
        if "/" in name:
            raise UsageError(f"{name!r} is not the name of a secret: write it without a type, or use blocks.holds()")
        return self._view.holds(name, value)

    @property
    def reads(self) -> List[Read]:
        """The reads of Secret blocks with their values, oldest first. ``blocks.reads`` also lists reads of other types.

        Each read has the attributes ``name``, ``block_type``, ``at`` (a datetime in UTC), ``flow_run_id`` and
        ``flow_name``. The last two are None if no flow run read it, or if the API cannot tell which one did.
        """
        return [read for read in self._view.reads if read.block_type == "secret"]

    def stored_value(self, name: str) -> Any:
        """Return the stored value of a block, for the isolation that has set it."""
        row = self._row(name)
        return None if row is None else row["data"].get("value")

    def _row(self, name: str) -> Optional[Row]:
        return self._view.block("secret", name)

    @property
    def has_type(self) -> bool:
        """Whether a client has registered the block type of Secret."""
        kind = self._view.block_types.by_slug("secret")
        return bool(kind and self._view.block_types.schemas.where(block_type_id=kind["id"]))

    def _type(self) -> Tuple[Row, Row]:
        kind = self._view.block_types.by_slug("secret")
        schemas = self._view.block_types.schemas.where(block_type_id=kind["id"]) if kind else []
        if kind is None or not schemas:
            raise UsageError(
                "the fake API does not know Prefect's type Secret yet: "
                "call Secret.register_type_and_schema() once while the client uses this API"
            )
        return kind, schemas[-1]


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
        self._check()
        with self._view.lock:
            _remove(self._view, self._row(name), name)

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
        return self._view.block(slug, document)

    def _slug(self, row: Row) -> str:
        kind = self._view.block_types.types.get(row["block_type_id"])
        return str(kind["slug"]) if kind else ""


def _remove(view: View, row: Optional[Row], name: str) -> None:
    from pytest_flowsecrets.backend.rest.resources.blocks import remove_document

    if row is None:
        raise KeyError(name)
    remove_document(view, row)


class Variables(MutableMapping[str, Any]):
    """The variables of a view.

    Args:
        view: whose variables.
        check: raises an error if a change would have no effect.
    """

    def __init__(self, view: View, check: Callable[[], None] = _accept) -> None:
        self._view, self._check = view, check

    def __repr__(self) -> str:
        return f"<Variables {', '.join(self)}>"

    def __getitem__(self, name: str) -> Any:
        row = self._view.variables.first(name=name)
        if row is None:
            raise KeyError(name)
        return deepcopy(row["value"])

    def __setitem__(self, name: str, value: Any) -> None:
        """Create or replace a variable; its tags stay.

        Raises:
            UsageError: the name cannot be that of a variable, or the value is not JSON data.
        """
        self._check()
        check_variable_name(name)
        check_json(f"variable {name!r}", value)
        if self._view.legacy and not isinstance(value, str):
            raise UsageError(
                f"variable {name!r}: Prefect {self._view.version} stores text only, not {type(value).__name__}"
            )
        if len(json.dumps(value)) > MAX_VARIABLE:
            raise UsageError(
                f"variable {name!r}: Prefect stores at most {MAX_VARIABLE} characters of JSON in a variable"
            )
        value = deepcopy(value)
        with self._view.lock:
            row = self._view.variables.first(name=name)
            if row is None:
                self._view.variables.insert({"name": name, "value": value, "tags": []})
            else:
                self._view.variables.update(row, {"value": value})

    def __delitem__(self, name: str) -> None:
        self._check()
        with self._view.lock:
            row = self._view.variables.first(name=name)
            if row is None:
                raise KeyError(name)
            self._view.variables.delete(row["id"])

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(row["name"] for row in self._view.variables))

    def __len__(self) -> int:
        return len(self._view.variables)


def check_block_name(name: str) -> None:
    """Check the name of a block document.

    Raises:
        UsageError: Prefect refuses it.
    """
    if not (isinstance(name, str) and _BLOCK_NAME.fullmatch(name)):
        raise UsageError(f"{name!r} cannot name a block: use lower-case letters, digits and dashes")


def check_variable_name(name: str) -> None:
    """Check the name of a variable.

    Raises:
        UsageError: Prefect refuses it.
    """
    if not (isinstance(name, str) and _VARIABLE_NAME.fullmatch(name)):
        raise UsageError(f"{name!r} cannot name a variable: use lower-case letters, digits, dashes and underscores")


def check_json(subject: str, value: Any) -> None:
    """Check that a value is JSON data.

    Args:
        subject: what the message calls the value.
        value: any value.

    Raises:
        UsageError: it is not; the error does not hold it.
    """
    try:
        json.dumps(value, allow_nan=False, ensure_ascii=False).encode()
    except (TypeError, ValueError, RecursionError):
        message = f"{subject}: a value is JSON data (Unicode text, finite number, bool, None, list, dict)"
    else:
        return
    del value  # no traceback shows it
    raise UsageError(message)
