"""How values are shown: by type, length and a fingerprint.

The fingerprint is keyed, so that it tells equal values apart from different ones within one output and nothing more.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Dict, Sized

from pytest_flowsecrets.resolution.layers import type_name

if TYPE_CHECKING:
    from pytest_flowsecrets.resolution.layers import Failure


@dataclass(frozen=True)
class Mask:
    """How values are shown.

    Attributes:
        show_values: show them as they are.
        key: key of the fingerprints; random by default.
    """

    show_values: bool = False
    key: bytes = field(default_factory=lambda: secrets.token_bytes(16), repr=False)

    def fingerprint(self, value: Any) -> str:
        """Give eight characters that are equal for equal values under the same key.

        Args:
            value: any value.
        """
        data = f"{type_name(value)}:{_plain(value)!r}".encode("utf-8", "surrogatepass")
        return hashlib.blake2b(data, key=self.key, digest_size=4).hexdigest()

    def shown(self, value: Any) -> Dict[str, Any]:
        """Describe a value.

        Args:
            value: any value.
        """
        described: Dict[str, Any] = {"type": type_name(value)}
        if isinstance(value, Sized):
            described["length"] = len(value)
        described["fingerprint"] = self.fingerprint(value)
        if self.show_values:
            described["value"] = repr(_plain(value))
        return described

    def text(self, value: Any) -> str:
        """Describe a value in a few words.

        Args:
            value: any value.
        """
        described = self.shown(value)
        length = f" of length {described['length']}" if "length" in described else ""
        shown = f" {described['value']}" if self.show_values else ""
        return f"{described['type']}{length} #{described['fingerprint']}{shown}"

    def failure(self, failure: Failure) -> str:
        """Describe an error.

        Args:
            failure: an error of Prefect's.
        """
        where = f" ({failure.where})" if failure.where else ""
        return f"{failure.type}: {failure.message if self.show_values else failure.safe_message}{where}"


def one_line(told: str) -> str:
    """Write control characters, which a name or a file's name may hold, as escapes.

    Args:
        told: a text for the terminal.
    """
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in told)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list) else value
