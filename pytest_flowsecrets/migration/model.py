"""A plan: what to create, what to change in the code, and what only a person can do.

Items that can be created keep their data, but no ``repr`` and no output contains it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Dict, List, Optional, Union

from pytest_flowsecrets.resolution.display import Mask, one_line

if TYPE_CHECKING:
    from pytest_flowsecrets.migration.values import Stored

BLOCK, VARIABLE = "block", "variable"


@dataclass(repr=False)
class Item:
    """A Secret block or a variable to create.

    Attributes:
        kind: ``block`` or ``variable``.
        old: the name of the legacy secret, or the key of the configuration.
        new: the name of the block or variable, or ``""`` if there is none.
        origin: where the value is written.
        stored: the value to store, or None if it cannot be stored.
        changes: how the value differs for the new flow; empty if it is the same.
        problem: why the item cannot be created, or ``""``.
        collides: whether another item gets the same name.
    """

    kind: str
    old: str
    new: str
    origin: str = ""
    stored: Optional[Stored] = None
    changes: List[str] = field(default_factory=list)
    problem: str = ""
    collides: bool = False

    @property
    def ready(self) -> bool:
        """Whether the item can be created."""
        return self.stored is not None and not self.problem

    def as_dict(self, mask: Mask) -> Dict[str, Any]:
        """Return the item as plain data, without its value.

        Args:
            mask: determines how values are shown.
        """
        return {
            "kind": self.kind,
            "old": one_line(self.old),
            "new": self.new,
            "origin": one_line(self.origin),
            "value": mask.shown(self.stored.value) if self.stored is not None else None,
            "changes": self.changes,
            "problem": self.problem,
        }

    def __repr__(self) -> str:
        return f"<Item {self.kind} {self.old!r} -> {self.new!r}>"


@dataclass
class Missing:
    """A secret whose value is not in the configuration, so that a person has to enter it.

    Attributes:
        old: the name of the legacy secret.
        new: the name of the block, or ``""`` if there is none.
        reason: why the value is not known.
        used_at: the places in the code that use it, as ``file:line``.
        problem: why the block has no name yet, or ``""``.
        collides: whether another item gets the same name.
    """

    old: str
    new: str
    reason: str
    used_at: List[str] = field(default_factory=list)
    problem: str = ""
    collides: bool = False

    @property
    def kind(self) -> str:
        """The kind of item that holds the value later: a block."""
        return BLOCK

    def as_dict(self) -> Dict[str, Any]:
        """Return the secret as plain data."""
        names = {"old": one_line(self.old), "new": self.new}
        return {**names, "reason": self.reason, "used_at": self.used_at, "problem": self.problem}


@dataclass(frozen=True)
class CodeChange:
    """A place in the code to change.

    Attributes:
        file: the path of the file.
        line: the 1-based line.
        column: the 1-based column.
        old: the expression as it is.
        new: the expression that replaces it, or ``""`` if a person has to change it.
        reason: why a person has to change it, or ``""``.
        secret: the name of the legacy secret, or None if it is not a constant.
    """

    file: str
    line: int
    column: int
    old: str
    new: str = ""
    reason: str = ""
    secret: Optional[str] = None

    @property
    def place(self) -> str:
        """File and line."""
        return one_line(f"{self.file}:{self.line}")

    def as_dict(self) -> Dict[str, Any]:
        """Return the place as plain data."""
        place = {"file": one_line(self.file), "line": self.line, "column": self.column}
        return {**place, "old": one_line(self.old), "new": one_line(self.new), "by_hand": self.reason}


@dataclass(repr=False)
class Plan:
    """Everything that a migration does.

    Attributes:
        source: the legacy release.
        target: the major version of the new Prefect.
        items: the blocks and variables.
        missing: the secrets to enter by hand.
        code: the places in the code.
        errors: errors of the legacy configuration, and files that cannot be read.
        notes: what was not searched.
    """

    source: str
    target: int
    items: List[Item] = field(default_factory=list)
    missing: List[Missing] = field(default_factory=list)
    code: List[CodeChange] = field(default_factory=list)
    errors: List[str] = field(default_factory=list)
    notes: List[str] = field(default_factory=list)

    @property
    def entries(self) -> List[Union[Item, Missing]]:
        """All items, and the secrets to enter by hand."""
        return [*self.items, *self.missing]

    @property
    def needs_attention(self) -> bool:
        """Whether a person has to decide or do something."""
        items = any(item.problem or item.changes for item in self.items)
        return bool(items or self.missing or self.errors or any(change.reason for change in self.code))

    def as_dict(self, mask: Mask) -> Dict[str, Any]:
        """Return the plan as plain data, without values.

        Args:
            mask: determines how values are shown.
        """
        return {
            "source": self.source,
            "target": self.target,
            "items": [item.as_dict(mask) for item in self.items],
            "missing": [secret.as_dict() for secret in self.missing],
            "code": [change.as_dict() for change in self.code],
            "errors": self.errors,
            "notes": self.notes,
        }

    def __repr__(self) -> str:
        return f"<Plan {self.source} -> {self.target}: {len(self.items)} items>"
