"""Where what the flow gets differs from what the test gave: told once for each name, in words without values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Dict, Iterable, List, Mapping, NamedTuple, Optional, Set

from pytest_flowsecrets.errors import SecretChangedWarning
from pytest_flowsecrets.isolation.environment.prefect_variables import variable_for
from pytest_flowsecrets.isolation.secrets import encoding, model

if TYPE_CHECKING:
    from pytest_flowsecrets.isolation.secrets.holder import Holder


class Given(NamedTuple):
    """What a test gave.

    Attributes:
        value: the secret.
        in_file: it stands in the config file, so it is there that another way of writing would have to work.
        lenient: it was given by a road where JSON text is how tables and lists are written.
    """

    value: Any
    in_file: bool = False
    lenient: bool = False


class ValueChanges:
    """What the test gave to one isolation, compared with what the real Prefect makes of it."""

    def __init__(self, isolation: Holder) -> None:
        self._isolation = isolation
        self._given: Dict[str, Given] = {}
        self._told: Set[str] = set()

    def record(self, values: Mapping[str, Any], *, in_file: bool = False, lenient: bool = False) -> None:
        """Remember what the test gave."""
        self._given.update((name, Given(value, in_file, lenient)) for name, value in values.items())

    def forget(self, names: Iterable[str]) -> None:
        """The test has taken them away."""
        for name in names:
            self._given.pop(name, None)

    def warnings_for(self, names: Iterable[str]) -> List[SecretChangedWarning]:
        """One warning for each of ``names`` that the flow gets differently, if it was not told before."""
        found = []
        for name in names:
            if name in self._given and name not in self._told:
                message = self._difference(name, self._given[name])
                if message:
                    self._told.add(name)
                    found.append(
                        SecretChangedWarning(f"Secret {name!r} under Prefect {self._isolation.version}: {message}")
                    )
        return found

    def _difference(self, name: str, given: Given) -> Optional[str]:
        view = self._isolation.view()
        if given.in_file and (name not in view or self._isolation.injector.defines(name)):
            return None  # it is not the file that counts
        if name not in view:
            return "there is no secret of that name, this version changes names in variables"
        try:
            got = self._isolation.read_ignoring_flags(name)
        except Exception:  # noqa: BLE001 - not readable here (in a `with Flow` block, or from Cloud only)
            return None
        document = given.lenient and encoding.is_document(given.value) and not isinstance(got, str)
        if document or encoding.is_unchanged(given.value, got):
            return self._text_in_context(given, view[name])
        return self._change(name, given, got)

    def _text_in_context(self, given: Given, raw: Any) -> Optional[str]:
        """Describe a table whose JSON Prefect does not read as a Python literal: true, false and null are none."""
        from pytest_flowsecrets.resolution.dialects import dialect_for

        typed = dialect_for(self._isolation.version).at_least("0.11.2")  # in variables and files
        if not typed or not isinstance(given.value, (dict, list)) or not isinstance(raw, str):
            return None
        kind = type(given.value).__name__
        return (
            f"the test gave {kind} with True, False or None, and prefect.context.secrets holds it as a text; get() "
            "decodes it, and Prefect's own storages and clients, which read the context, do not: leave those values out"
        )

    def _change(self, name: str, given: Given, got: Any) -> Optional[str]:
        from pytest_flowsecrets.findings.quoting import deliberate, spelling_of
        from pytest_flowsecrets.resolution.loader.interpolate import is_reference

        version, text = self._isolation.version, encoding.as_text(name, given.value)
        in_file = given.in_file or variable_for(name, text, version) is None
        reading = model.evaluate(name, text, version, in_file=in_file)
        if text is given.value and (is_reference(text) or deliberate(reading, encoding.to_builtin(got))):
            return None
        kinds = type(given.value).__name__, type(got).__name__
        gives = kinds[1] if kinds[0] != kinds[1] else f"another {kinds[1]}"
        way = spelling_of(reading, given.value)
        advice = f"to get it unchanged, give {way.expression}" if way else "no way of writing it gives it unchanged"
        return f"the test gave {kinds[0]}, Secret({name!r}).get() gives {gives}; {advice}"
