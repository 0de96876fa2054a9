"""Warn about secrets for which the flow gets another value than the test set, once for each name and without values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Dict, Iterable, List, Mapping, NamedTuple, Optional, Protocol, Set

from pytest_flowsecrets.errors import SecretChangedWarning
from pytest_flowsecrets.isolation.environment.prefect_variables import variable_for
from pytest_flowsecrets.isolation.secrets import encoding
from pytest_flowsecrets.isolation.secrets.injector import Injector, evaluate

if TYPE_CHECKING:
    from pytest_flowsecrets.findings.readings import Reading


class Input(NamedTuple):
    """A value that a test has set.

    Attributes:
        value: the value.
        in_file: whether the value is in the config file, so that advice must be about the file.
        lenient: whether the value came by a route on which tables and lists are written as JSON text.
    """

    value: Any
    in_file: bool = False
    lenient: bool = False

    def is_intended(self, result: Any) -> bool:
        """Return whether a flow gets the value itself, or the data that its JSON text stands for."""
        is_decoded = self.lenient and encoding.is_document(self.value) and not isinstance(result, str)
        return is_decoded or encoding.is_unchanged(self.value, result)


class Readable(Protocol):
    """An isolation of Prefect 0.5.5 to 1.4.1 whose values are compared. ``LegacyIsolation`` implements it."""

    version: str
    injector: Injector

    def view(self) -> Dict[str, Any]:
        """Return the names and raw values of the secrets that this thread sees."""

    def read_ignoring_flags(self, name: str, raw: Any) -> Any:
        """Return the result that ``Secret(name).get()`` has for a raw value if flags and the flow are ignored."""


class ValueChanges:
    """The values that the test has set in one isolation, compared with the values that the real Prefect returns."""

    def __init__(self, isolation: Readable) -> None:
        self._isolation = isolation
        self._inputs: Dict[str, Input] = {}
        self._reported: Set[str] = set()

    def record(self, values: Mapping[str, Any], *, in_file: bool = False, lenient: bool = False) -> None:
        """Remember values that the test has set."""
        self._inputs.update({name: Input(value, in_file, lenient) for name, value in values.items()})

    def forget(self, names: Iterable[str]) -> None:
        """Forget secrets that the test has deleted."""
        for name in names:
            self._inputs.pop(name, None)

    def warnings_for(self, names: Iterable[str]) -> List[SecretChangedWarning]:
        """Return a warning for each of ``names`` whose value changes, unless it was reported before."""
        warnings = []
        for name in names:
            if name in self._inputs and name not in self._reported:
                message = self._difference(name, self._inputs[name])
                if message:
                    self._reported.add(name)
                    prefix = f"Secret {name!r} under Prefect {self._isolation.version}"
                    warnings.append(SecretChangedWarning(f"{prefix}: {message}"))
        return warnings

    def _difference(self, name: str, original: Input) -> Optional[str]:
        view = self._isolation.view()
        if original.in_file and (name not in view or self._isolation.injector.defines(name)):
            return None  # another source overrides the file
        if name not in view:
            return "there is no secret of that name, because this version changes names in variables"
        try:
            result = self._isolation.read_ignoring_flags(name, view[name])
        except Exception:  # noqa: BLE001 - not readable here (in a `with Flow` block, or from Cloud only)
            return None
        if original.is_intended(result):
            return self._text_in_context(original, view[name])
        return self._change(name, original, result)

    def _text_in_context(self, original: Input, raw: Any) -> Optional[str]:
        """Describe a table that Prefect keeps as JSON text, because true, false and null are not Python literals."""
        from pytest_flowsecrets.resolution.dialects import dialect_for

        if not isinstance(original.value, (dict, list)) or not isinstance(raw, str):
            return None
        if not dialect_for(self._isolation.version).at_least("0.11.2"):  # the values of variables and files are text
            return None
        kind = type(original.value).__name__
        return (
            f"the test set {kind} with True, False or None, and prefect.context.secrets holds it as text; get() "
            "decodes it, but Prefect's own storages and clients read the context without decoding: avoid those values"
        )

    def _change(self, name: str, original: Input, result: Any) -> Optional[str]:
        from pytest_flowsecrets.findings.quoting import is_deliberate
        from pytest_flowsecrets.resolution.loader.interpolate import is_reference

        version, text = self._isolation.version, encoding.as_text(name, original.value)
        in_file = original.in_file or variable_for(name, text, version) is None
        reading = evaluate(name, text, version, in_file=in_file)
        if text is original.value and (is_reference(text) or is_deliberate(reading, encoding.to_builtin(result))):
            return None
        before, after = type(original.value).__name__, type(result).__name__
        change = after if before != after else f"another {after}"
        if not encoding.has_text_keys(original.value):
            return f"the test set {before} with keys that are not text, and {encoding.TEXT_KEYS}"
        return f"the test set {before}, Secret({name!r}).get() returns {change}; {_advice(original, reading)}"


def _advice(original: Input, reading: Reading) -> str:
    from pytest_flowsecrets.findings.quoting import find_spelling

    spelling = find_spelling(reading, original.value)
    if isinstance(original.value, str) and not original.in_file:  # the text of a file is written as it is
        advice = "to keep the value, set it to exact(value)"
        if spelling is None or reading.from_file or "$" not in reading.text:
            return advice
        return f"{advice}; in a variable of your own, write {spelling.expression}"
    return f"to keep the value, set it to {spelling.expression}" if spelling else "no spelling keeps the value"
