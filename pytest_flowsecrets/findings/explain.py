"""Explanations of a secret, as text and as JSON: its source, the sources that it overrides, and each conversion.

The steps come from the resolution; nothing is computed a second time here. A
:class:`~pytest_flowsecrets.resolution.display.Mask` determines how values are shown.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Dict, List, Optional, Sequence, Set, Tuple

from pytest_flowsecrets.findings.engine import findings
from pytest_flowsecrets.resolution.display import one_line
from pytest_flowsecrets.resolution.env_names import SECRETS
from pytest_flowsecrets.resolution.layers import Failure, Origin, Slot, type_name
from pytest_flowsecrets.resolution.shown_names import Near, nearest_name

if TYPE_CHECKING:
    from pytest_flowsecrets.findings.model import Finding
    from pytest_flowsecrets.resolution.display import Mask
    from pytest_flowsecrets.resolution.resolve import Resolution
    from pytest_flowsecrets.resolution.secret_get import Outcome

_NAME_IN_VARIABLE = re.compile(r"_SECRETS__(.*)", re.IGNORECASE | re.DOTALL)


@dataclass(frozen=True, repr=False)
class Step:
    """One change between the written text and the value that a flow gets.

    Attributes:
        what: a description of the change.
        value: the value after the change. That of the last step is the value that the flow gets.
        failure: the error, if the step fails.
        has_value: whether the value after the change is known. The value of a Cloud secret is not.
    """

    what: str
    value: Any = None
    failure: Optional[Failure] = None
    has_value: bool = True


@dataclass(frozen=True, repr=False)
class Explanation:
    """The explanation of one secret in one release.

    Attributes:
        name: the secret.
        version: the release of Prefect.
        outcome: the result of ``Secret(name).get()``.
        origins: where the effective value is written. A table can have several places.
        losers: where overridden and dropped values are written, in the order in which they are overridden.
        steps: every change of the name and of the value, in order. The last one leads to the outcome.
        findings: the findings about this secret.
        near: an existing secret that a missing one may stand for.
    """

    name: str
    version: str
    outcome: Outcome
    origins: Sequence[Origin]
    losers: Sequence[Origin]
    steps: Sequence[Step]
    findings: Sequence[Finding]
    near: Optional[Near] = None

    def as_dict(self, mask: Mask) -> Dict[str, Any]:
        """Return the explanation as plain data, for JSON.

        Args:
            mask: determines how values are shown.
        """
        return {
            "name": self.name,
            "prefect_version": self.version,
            "result": _result(self.outcome, mask),
            "origins": [_place(origin) for origin in self.origins],
            "losers": [_place(origin) for origin in self.losers],
            "steps": [_step(step, mask) for step in self.steps],
            "findings": [finding.as_dict(_place(finding.origin)) for finding in self.findings],
        }

    def text(self, mask: Mask) -> str:
        """Return the explanation as a few lines.

        Args:
            mask: determines how values are shown.
        """
        title = f"{self.name} (Prefect {self.version}): {summary(self.outcome, mask)}"
        rows = [f"  {label:<9} {text}" for label, text in self._rows(mask)]
        return "\n".join(one_line(line) for line in (title, *rows))

    def _rows(self, mask: Mask) -> List[Tuple[str, str]]:
        rows = [("from", f"{origin.kind} {origin}") for origin in self.origins]
        rows += [("overrides", f"{origin.kind} {origin}") for origin in self.losers]
        rows += [("step", _step_text(step, mask)) for step in self.steps]
        rows += [("nearest", self.near.message)] if self.near else []
        rows += [(each.id, f"{each.origin}: {each.message}; {each.advice}") for each in self.findings]
        return rows + [("write", each.line) for each in self.findings if each.line and mask.show_values]


def explain(resolution: Resolution, name: str, known: Optional[Sequence[Finding]] = None) -> Explanation:
    """Explain one secret.

    Args:
        resolution: a resolution.
        name: the name of the secret, which need not exist.
        known: findings to choose from, by default those of the resolution.
    """
    outcome = resolution.get(name)
    slots = _effective_slots(resolution, name)
    candidates = findings(resolution) if known is None else known
    return Explanation(
        name,
        resolution.dialect.version,
        outcome,
        origins=[slot.origin for slot in slots],
        losers=[slot.origin for slot in _overridden_slots(resolution, name, slots)],
        steps=[*_loading_steps(slots), *_lookup_steps(resolution, name, slots, outcome)],
        findings=[finding for finding in candidates if not finding.name or name in subjects(finding)],
        near=None if name in resolution.names else nearest_name(name, map(str, resolution.names)),
    )


def summary(outcome: Outcome, mask: Mask) -> str:
    """Return the value or the error that a flow gets, in a few words.

    Args:
        outcome: the result of ``Secret(name).get()``.
        mask: determines how values are shown.
    """
    if outcome.error is not None:
        return mask.failure(outcome.error)
    return "requested from the Prefect Cloud API" if outcome.kind == "cloud" else mask.text(outcome.value)


def _effective_slots(resolution: Resolution, name: str) -> List[Slot]:
    """Return the values that make up the secret: that of the context, else its own, else that of the whole table."""
    if resolution.get(name).kind != "value":
        return []
    slots = [slot for slot in resolution.slots(name) if slot not in resolution.dropped]
    in_context = [slot for slot in slots if slot.kind == "context"]
    return in_context or list(filter(_is_own, slots)) or slots


def _is_own(slot: Slot) -> bool:
    """Return whether a value is written for one secret, not for the whole table."""
    return len(slot.key) > len(SECRETS)


def _overridden_slots(resolution: Resolution, name: str, effective: Sequence[Slot]) -> List[Slot]:
    overridden = [each for slot in effective for each in slot.overridden]
    for slot in resolution.slots(name):
        overridden += [each for each in (slot, *slot.overridden) if each not in (*effective, *overridden)]
    return overridden


def _loading_steps(slots: Sequence[Slot]) -> List[Step]:
    """Return the steps of the values before ``Secret.get``."""
    steps: List[Step] = []
    for slot in slots:
        path = ".".join(str(part) for part in slot.key[3:])
        prefix = f"{path}: " if path else ""
        steps.append(Step(f"{prefix}written in {slot.kind} {slot.origin}", slot.written))
        if slot.kind == "env":
            steps.append(Step(f"{prefix}the variable's name becomes the key {'.'.join(slot.key)}", slot.written))
        steps += [Step(f"{prefix}{what}", after) for what, _, after in slot.steps]
    return steps


def _lookup_steps(resolution: Resolution, name: str, slots: Sequence[Slot], outcome: Outcome) -> List[Step]:
    """Return the steps of ``Secret.get``, or the error."""
    call = f"Secret({name!r}).get()"
    if outcome.error is not None:
        what = "import prefect fails" if resolution.failure is not None else f"{call} fails"
        return [Step(what, failure=outcome.error)]
    if outcome.kind == "cloud":
        return [Step(f"{call} asks the Prefect Cloud API", has_value=False)]
    is_decoded = type_name(outcome.stored) != type_name(outcome.value) or outcome.stored != outcome.value
    final = Step(f"{call} {'decodes it as JSON' if is_decoded and slots else 'returns it'}", outcome.value)
    return [*_storage_steps(name, slots, outcome), final]


def _storage_steps(name: str, slots: Sequence[Slot], outcome: Outcome) -> List[Step]:
    """Return the step from the last value to the value that the context holds, if there is one."""
    if not slots:
        return []
    if len(slots) == 1 and not _is_own(slots[0]):
        return [Step(f"its entry {name!r}", outcome.stored)]
    if type_name(slots[-1].value) != type_name(outcome.stored):
        return [Step(f"stored as {type_name(outcome.stored)}", outcome.stored)]
    return []


def subjects(finding: Finding) -> Set[str]:
    """Return the names of the secrets that a finding is about.

    A finding about ``db.user`` is also about ``db``. A finding about a variable is also about the name in the variable,
    whatever key the variable sets (``A__B`` sets a table, and up to 0.6.6 ``A`` sets ``a``).

    Args:
        finding: a finding. One without a name is about every secret.
    """
    parts = finding.name.split(".")
    names = {".".join(parts[: number + 1]) for number in range(len(parts))}
    in_variable = _NAME_IN_VARIABLE.search(finding.origin.place) if finding.origin.kind == "env" else None
    return names | {in_variable.group(1)} if in_variable else names


def _place(origin: Origin) -> Dict[str, Any]:
    place: Dict[str, Any] = {"layer": origin.kind, "place": origin.place}
    if origin.file:
        place["file"] = origin.file
    if origin.line is not None:
        place.update(line=origin.line, column=origin.column)
    return place


def _result(outcome: Outcome, mask: Mask) -> Dict[str, Any]:
    if outcome.error is not None:
        message = outcome.error.message if mask.show_values else outcome.error.safe_message
        return {"kind": "error", "error": outcome.error.type, "message": message}
    return {"kind": outcome.kind, **(mask.shown(outcome.value) if outcome.kind == "value" else {})}


def _step(step: Step, mask: Mask) -> Dict[str, Any]:
    if step.failure is not None:
        return {"what": step.what, "error": step.failure.type}
    return {"what": step.what, **({"value": mask.shown(step.value)} if step.has_value else {})}


def _step_text(step: Step, mask: Mask) -> str:
    if not step.has_value:
        return step.what
    return f"{step.what}: {mask.failure(step.failure) if step.failure is not None else mask.text(step.value)}"
