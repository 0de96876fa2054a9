"""Display of values by type, length and fingerprint.

The fingerprint is keyed: within one output it distinguishes equal values from different ones, and reveals nothing else.
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
    """Determines how values are shown.

    Attributes:
        show_values: show the values themselves.
        key: the key of the fingerprints, by default a random one.
    """

    show_values: bool = False
    key: bytes = field(default_factory=lambda: secrets.token_bytes(16), repr=False)

    def fingerprint(self, value: Any) -> str:
        """Return eight characters that are equal for equal values and the same key.

        Args:
            value: any value.
        """
        data = f"{type_name(value)}:{_plain(value)!r}".encode("utf-8", "surrogatepass")
        return hashlib.blake2b(data, key=self.key, digest_size=4).hexdigest()

    def shown(self, value: Any) -> Dict[str, Any]:
        """Return a description of a value as plain data.

        Args:
            value: any value.
        """
        description: Dict[str, Any] = {"type": type_name(value)}
        if isinstance(value, Sized):
            description["length"] = len(value)
        description["fingerprint"] = self.fingerprint(value)
        if self.show_values:
            description["value"] = repr(_plain(value))
        return description

    def text(self, value: Any) -> str:
        """Return a description of a value in a few words.

        Args:
            value: any value.
        """
        description = self.shown(value)
        length = f" of length {description['length']}" if "length" in description else ""
        text = f" {description['value']}" if self.show_values else ""
        return f"{description['type']}{length} #{description['fingerprint']}{text}"

    def failure(self, failure: Failure) -> str:
        """Return a description of an error.

        Args:
            failure: an error that Prefect raises.
        """
        where = f" ({failure.where})" if failure.where else ""
        return f"{failure.type}: {failure.message if self.show_values else failure.safe_message}{where}"


def one_line(text: str) -> str:
    """Escape control characters, which names of secrets and files may contain.

    Args:
        text: a text for the terminal.
    """
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in text)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list) else value
