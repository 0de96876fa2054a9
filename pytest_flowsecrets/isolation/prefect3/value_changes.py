"""Warn about secrets for which a flow on Prefect 2.20 or 3 gets another value than the test set, without values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Dict, Iterable, List, Mapping, Optional, Set

from pytest_flowsecrets.errors import SecretChangedWarning
from pytest_flowsecrets.isolation.prefect3.block_names import block_name
from pytest_flowsecrets.isolation.secrets.encoding import TEXT_KEYS, has_text_keys, is_document, is_unchanged

if TYPE_CHECKING:
    from pytest_flowsecrets.isolation.prefect3.adapter import RestPrefect


class BlockValueChanges:
    """The values that the test has set in one isolation, compared with the results of ``Secret.load(name).get()``."""

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
