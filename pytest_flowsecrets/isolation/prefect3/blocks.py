"""The Secret blocks of Prefect 2.20 and 3: their names, and the secrets for which a flow gets another value.

These versions allow only lower-case letters, digits and dashes in the name of a block.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Dict, Iterable, List, Mapping, Optional, Set

from pytest_flowsecrets.errors import SecretChangedWarning, UsageError
from pytest_flowsecrets.isolation.secrets.encoding import (
    TEXT_KEYS,
    has_text_keys,
    is_document,
    is_unchanged,
    validate_name,
)

if TYPE_CHECKING:
    from pytest_flowsecrets.isolation.prefect3.adapter import RestPrefect

_VALID = re.compile(r"[a-z0-9-]+")


def block_name(name: str) -> str:
    """Return the name of the block for a secret: in lower case, with a dash for each underscore.

    Args:
        name: the name that the test uses, such as ``GITHUB_ACCESS_TOKEN`` or ``github-access-token``.

    Raises:
        UsageError: no block can have this name.
    """
    block = validate_name(name).lower().replace("_", "-")
    if not (name.isascii() and _VALID.fullmatch(block)):  # the Kelvin sign is "k" in lower case
        raise UsageError(
            f"{name!r} cannot name a Secret block: Prefect 2.20 and 3 allow only lower-case letters, digits and dashes "
            "(a test may write capitals and underscores, too)"
        )
    return block


def block_values(values: Mapping[str, Any]) -> Dict[str, Any]:
    """Return secrets by the names of their blocks.

    Raises:
        UsageError: no block can have one of the names, or two names stand for the same block.
    """
    names: Dict[str, str] = {}
    for name in values:
        first = names.setdefault(block_name(name), name)
        if first != name:
            raise UsageError(
                f"{first!r} and {name!r} stand for the same Secret block, {block_name(name)!r}: keep one of them"
            )
    return {block: values[name] for block, name in names.items()}


class BlockValueChanges:
    """Warns, without values, if ``Secret.load(name).get()`` returns another value than the test has set."""

    def __init__(self, prefect: RestPrefect) -> None:
        self._prefect = prefect
        self._inputs: Dict[str, Any] = {}
        self._reported: Set[str] = set()

    def record(self, values: Mapping[str, Any], *, in_file: bool = False, lenient: bool = False) -> None:  # noqa: ARG002
        """Remember values that the test has set, by the names of their blocks."""
        self._inputs.update(values)

    def forget(self, names: Iterable[str]) -> None:
        """Forget secrets that the test has deleted."""
        for name in names:
            self._inputs.pop(name, None)

    def warnings_for(self, names: Iterable[str]) -> List[SecretChangedWarning]:
        """Return a warning for each of ``names`` whose value changes, unless it was reported before."""
        warnings = []
        for name in map(block_name, names):
            message = None if name in self._reported or name not in self._inputs else self._difference(name)
            if message:
                self._reported.add(name)
                warnings.append(SecretChangedWarning(message))
        return warnings

    def _difference(self, name: str) -> Optional[str]:
        value = self._inputs[name]
        result = self._prefect.decode(self._prefect.encode(name, value))
        if is_unchanged(value, result) or _is_meant_as_json(value, result):
            return None
        if not has_text_keys(value):
            kind = type(value).__name__
            return f"Secret {name!r}: the test set {kind} with keys that are not text, and {TEXT_KEYS}"
        before, after = type(value).__name__, type(result).__name__
        change = after if before != after else f"another {after}"
        advice = (
            "to keep the text, set it to exact(value)"
            if isinstance(value, str)
            else "this version stores text only: set text, and convert it in the flow"
        )
        return (
            f"Secret {name!r} under Prefect {self._prefect.version}: the test set {before}, "
            f"Secret.load({name!r}).get() returns {change}; {advice}"
        )


def _is_meant_as_json(value: Any, result: Any) -> bool:
    """Return whether a value is the text of a JSON object, array or string, and Prefect has decoded it."""
    return result != value and (is_document(value) or (isinstance(value, str) and value.lstrip()[:1] == '"'))
