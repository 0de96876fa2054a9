"""Where a secret comes from, whom it beat, and each step on its way, as text and as JSON.

The steps are those that the resolution took: nothing is computed a second time here. How values are shown, a
:class:`~pytest_flowsecrets.resolution.display.Mask` says.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Dict, List, Optional, Sequence, Set, Tuple

from pytest_flowsecrets.findings.engine import findings
from pytest_flowsecrets.resolution.display import one_line
from pytest_flowsecrets.resolution.env_names import SECRETS
from pytest_flowsecrets.resolution.layers import Failure, Origin, Slot, type_name

if TYPE_CHECKING:
    from pytest_flowsecrets.findings.model import Finding
    from pytest_flowsecrets.resolution.display import Mask
    from pytest_flowsecrets.resolution.resolve import Resolution
    from pytest_flowsecrets.resolution.secret_get import Outcome

_MEANT = re.compile(r"_SECRETS__(.*)", re.IGNORECASE | re.DOTALL)


@dataclass(frozen=True, repr=False)
class Step:
    """One change on the way from what was written to what a flow gets.

    Attributes:
        what: what happened.
        value: the value after it; for the last step, what the flow gets.
        failure: the error, where the way ends in one.
        has_value: whether the value after it is known; that of a Cloud secret is not.
    """

    what: str
    value: Any = None
    failure: Optional[Failure] = None
    has_value: bool = True


@dataclass(frozen=True, repr=False)
class Explanation:
    """Everything about one secret in one release.

    Attributes:
        name: the secret.
        version: release of Prefect.
        outcome: what ``Secret(name).get()`` gives.
        origins: where the winning value was written; several places for a table.
        losers: where values that were beaten or dropped were written, in the order in which they were beaten.
        steps: every change of name and value, in order; the last one ends in the outcome.
        findings: surprises about this secret.
    """

    name: str
    version: str
    outcome: Outcome
    origins: Sequence[Origin]
    losers: Sequence[Origin]
    steps: Sequence[Step]
    findings: Sequence[Finding]

    def as_dict(self, mask: Mask) -> Dict[str, Any]:
        """Give it as plain data, for JSON.

        Args:
            mask: how values are shown.
        """
        return {
            "name": self.name,
            "prefect_version": self.version,
            "result": _result(self.outcome, mask),
            "origins": [_place(origin) for origin in self.origins],
            "losers": [_place(origin) for origin in self.losers],
            "steps": [_step(step, mask) for step in self.steps],
            "findings": [_finding(found) for found in self.findings],
        }

    def text(self, mask: Mask) -> str:
        """Give it as a few lines.

        Args:
            mask: how values are shown.
        """
        lines = [f"{self.name} (Prefect {self.version}): {summary(self.outcome, mask)}"]
        lines += [f"  from    {origin.kind} {origin}" for origin in self.origins]
        lines += [f"  beats   {origin.kind} {origin}" for origin in self.losers]
        lines += [f"  step    {_step_text(step, mask)}" for step in self.steps]
        lines += [f"  {found.id}   {found.origin}: {found.message}; {found.advice}" for found in self.findings]
        lines += [f"  write   {found.line}" for found in self.findings if found.line and mask.show_values]
        return "\n".join(one_line(line) for line in lines)


def explain(resolution: Resolution, name: str, found: Optional[Sequence[Finding]] = None) -> Explanation:
    """Explain one secret.

    Args:
        resolution: a resolution.
        name: name of the secret, existing or not.
        found: its findings, where they are known already.
    """
    outcome = resolution.get(name)
    slots = _winners(resolution, name)
    losers = [loser for slot in slots for loser in slot.beaten]
    for slot in resolution.slots(name):
        losers += [loser for loser in (slot, *slot.beaten) if loser not in slots and loser not in losers]
    found = findings(resolution) if found is None else found
    own = [finding for finding in found if not finding.name or name in subjects(finding)]
    origins = [slot.origin for slot in slots]
    steps = _steps(resolution, name, slots, outcome)
    version = resolution.dialect.version
    return Explanation(name, version, outcome, origins, [slot.origin for slot in losers], steps, own)


def summary(outcome: Outcome, mask: Mask) -> str:
    """Say in a few words what a flow gets.

    Args:
        outcome: what ``Secret(name).get()`` gives.
        mask: how values are shown.
    """
    if outcome.error is not None:
        return mask.failure(outcome.error)
    return "asked of the Prefect Cloud API" if outcome.kind == "cloud" else mask.text(outcome.value)


def _winners(resolution: Resolution, name: str) -> List[Slot]:
    if resolution.get(name).kind != "value":
        return []
    slots = [slot for slot in resolution.slots(name) if slot not in resolution.lost]
    context = [slot for slot in slots if slot.kind == "context"]
    if context:
        return context
    own = [slot for slot in slots if len(slot.key) > len(SECRETS)]
    return own or slots


def _steps(resolution: Resolution, name: str, slots: Sequence[Slot], outcome: Outcome) -> List[Step]:
    steps: List[Step] = []
    for slot in slots:
        below = ".".join(str(part) for part in slot.key[3:])
        prefix = f"{below}: " if below else ""
        steps.append(Step(f"{prefix}written in {slot.kind} {slot.origin}", slot.written))
        steps += [Step(f"{prefix}{what}", value) for what, value in _name_steps(slot)]
        steps += [Step(f"{prefix}{what}", after) for what, _, after in slot.steps]
    if outcome.error is not None:
        what = "import prefect fails" if resolution.failure is not None else f"Secret({name!r}).get() fails"
        return [*steps, Step(what, failure=outcome.error)]
    part = len(slots) == 1 and len(slots[0].key) <= len(SECRETS)
    return steps + _last_steps(name, steps, outcome, f"its entry {name!r}" if part else "")


def _name_steps(slot: Slot) -> List[Tuple[str, Any]]:
    if slot.kind != "env":
        return []
    return [(f"the variable's name becomes the key {'.'.join(slot.key)}", slot.written)]


def _last_steps(name: str, steps: Sequence[Step], outcome: Outcome, entry: str) -> List[Step]:
    if outcome.kind == "cloud":
        return [Step(f"Secret({name!r}).get() asks the Prefect Cloud API", has_value=False)]
    last: List[Step] = []
    before = steps[-1].value if steps else None
    if steps and (entry or type_name(before) != type_name(outcome.stored)):
        last.append(Step(entry or f"stored as {type_name(outcome.stored)}", outcome.stored))
    decoded = type_name(outcome.stored) != type_name(outcome.value) or outcome.stored != outcome.value
    what = "decodes it as JSON" if decoded and steps else "returns it"
    return [*last, Step(f"Secret({name!r}).get() {what}", outcome.value)]


def subjects(finding: Finding) -> Set[str]:
    """Name the secrets that a finding is about.

    One about ``db.user`` is about ``db``, too, and one about a variable is about the name that its writer had in mind,
    whatever becomes of it (``A__B`` is a table, and up to 0.6.6 ``A`` is ``a``).

    Args:
        finding: a finding; one without a name is about every secret.
    """
    parts = finding.name.split(".")
    names = {".".join(parts[: number + 1]) for number in range(len(parts))}
    meant = _MEANT.search(finding.origin.place) if finding.origin.kind == "env" else None
    return names | {meant.group(1)} if meant else names


def _place(origin: Origin) -> Dict[str, Any]:
    place: Dict[str, Any] = {"layer": origin.kind, "place": origin.place}
    if origin.file:
        place["file"] = origin.file
    if origin.line is not None:
        place.update(line=origin.line, column=origin.column)
    return place


def _finding(found: Finding) -> Dict[str, Any]:
    told = {"id": found.id, "severity": found.severity, **_place(found.origin)}
    return {**told, "message": found.message, "versions": found.versions, "advice": found.advice}


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
