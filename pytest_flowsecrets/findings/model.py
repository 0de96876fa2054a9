"""The finding: a problem with a secret, whatever finds it. A leak of a secret is a finding, too.

Rules find how the value that a flow gets differs from the written text, in which releases, and what to write instead.
Every suggested spelling has been resolved and gives the intended value in that release. If no spelling works, the
finding says so.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Dict, Mapping, NamedTuple, Optional, Tuple

if TYPE_CHECKING:
    from pytest_flowsecrets.resolution.layers import Origin


class Edit(NamedTuple):
    """A change of a file that certainly gives what its author means. It contains no value of a secret.

    Attributes:
        start: the offset in the text of the file, in characters.
        end: the offset after the replaced text.
        text: the new text.
    """

    start: int
    end: int
    text: str


@dataclass(frozen=True)
class Finding:
    """A problem with a secret or with its configuration.

    Attributes:
        id: the id of the rule, such as ``FS021``.
        severity: ``error`` (a flow fails or gets another value), ``warning`` (it may) or ``note``.
        name: the secret, variable or key.
        origin: where it is written.
        message: what happens. It never contains a value.
        versions: the releases that are affected.
        advice: what to write, or a note that nothing helps.
        spelling: the verified text to write instead. It contains the value and is never printed by itself.
        line: the line of the file that writes the spelling. It is printed only if values are shown.
        test: the node id of the test in which it occurs, or an empty string.
        edits: the changes of the file that fix it, if they are certain.
    """

    id: str
    severity: str
    name: str
    origin: Origin
    message: str
    versions: str = ""
    advice: str = ""
    spelling: Optional[str] = field(default=None, repr=False, compare=False)
    line: Optional[str] = field(default=None, repr=False, compare=False)
    test: str = ""
    edits: Tuple[Edit, ...] = field(default=(), repr=False, compare=False)

    @property
    def description(self) -> str:
        """The name, the message, the releases and the advice, as reporters show them next to the place."""
        name = f"{self.name}: " if self.name else ""
        versions = f" (Prefect {self.versions})" if self.versions else ""
        advice = f"; {self.advice}" if self.advice else ""
        return f"{name}{self.message}{versions}{advice}"

    def as_dict(self, place: Optional[Mapping[str, Any]] = None) -> Dict[str, Any]:
        """Return the finding as plain data, for JSON.

        Args:
            place: entries for the place; by default the name, file, line and column.
        """
        origin = self.origin
        by_default = {"name": self.name, "file": origin.place, "line": origin.line, "column": origin.column}
        return {
            "id": self.id,
            "severity": self.severity,
            **(by_default if place is None else place),
            "message": self.message,
            "versions": self.versions,
            "advice": self.advice,
        }
