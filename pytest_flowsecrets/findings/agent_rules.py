"""Rules about ``cloud.agent.env_vars``: variables that an agent of Prefect 0.10.0 or later passes to its flow runs."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Iterator, List, Mapping, Optional, Tuple

from pytest_flowsecrets.findings.readings import evaluate_text, load_context
from pytest_flowsecrets.findings.rules import finding_of
from pytest_flowsecrets.findings.value_rules import value_findings
from pytest_flowsecrets.names import PREFIX
from pytest_flowsecrets.resolution.env_names import SECRETS, key_of
from pytest_flowsecrets.resolution.layers import Slot, type_name

if TYPE_CHECKING:
    from pytest_flowsecrets.findings.model import Finding
    from pytest_flowsecrets.resolution.resolve import Resolution

_TABLE = ("cloud", "agent", "env_vars")
_VERSIONS = "0.10.0-1.4.1"


def agent_variables(resolution: Resolution, slots: List[Slot]) -> Iterator[Finding]:
    """FS061: names and values that an agent cannot pass on to flow runs."""
    table = f"{PREFIX}CLOUD__AGENT__ENV_VARS" if any(slot.kind == "env" for slot in slots) else "env_vars"
    advice = f'use --env of the agent, or a string that is a table of strings: {table} = \'{{"NAME": "value"}}\''
    for slot, path in _variable_slots(resolution, slots):
        message = _problem(slot, path, _final_value(resolution, slot))
        if message:
            name = slot.origin.place if slot.kind == "env" else ".".join(map(str, slot.key))
            yield finding_of("FS061", name, slot.origin, message, advice, versions=_VERSIONS)


def secrets_of_flow_runs(resolution: Resolution, slots: List[Slot]) -> Iterator[Finding]:
    """Apply the rules about values to the secrets that an agent passes to its flow runs."""
    for slot, path in _variable_slots(resolution, slots):
        for variable, value in _variables(path, _final_value(resolution, slot)).items():
            key = key_of(str(variable), resolution.dialect)
            if isinstance(value, str) and key is not None and key[:2] == SECRETS and len(key) == len(SECRETS) + 1:
                origin = replace(slot.origin, kind="env", place=str(variable))  # the variable of the flow run
                reading = evaluate_text(key[2], value, Slot(value, origin, key), load_context(resolution))
                for finding in value_findings(reading):
                    yield replace(finding, origin=slot.origin, spelling=None, line=None)


def _variable_slots(resolution: Resolution, slots: List[Slot]) -> Iterator[Tuple[Slot, Tuple[Any, ...]]]:
    """Yield the values in the table of variables, each with the part of its key below the table."""
    if resolution.dialect.at_least("0.10.0"):
        for slot in slots:
            if slot.key[: len(_TABLE)] == _TABLE:
                yield slot, slot.key[len(_TABLE) :]


def _final_value(resolution: Resolution, slot: Slot) -> Any:
    final = resolution.flat.get(slot.key)
    return slot.written if final is None else final.value


def _variables(path: Tuple[Any, ...], value: Any) -> Mapping[Any, Any]:
    """Return the variables that a value sets: one of them, or all if it is the table; none if it is neither."""
    if len(path) == 1:
        return {path[0]: value}
    return value if not path and isinstance(value, dict) else {}


def _problem(slot: Slot, path: Tuple[Any, ...], value: Any) -> Optional[str]:
    if len(path) > 1:
        return "__ or a dot in the name creates a table, which no agent can pass on to flow runs"
    if path and slot.kind == "env" and not slot.origin.place.endswith(path[0]):
        return f"flow runs get it as {path[0]!r}: names in variables are lower-cased"
    if not path and not isinstance(value, dict):
        return f"{type_name(value)}, not a table: no flow run of the agent starts"
    return _type_problem(_variables(path, value))


def _type_problem(variables: Mapping[Any, Any]) -> Optional[str]:
    wrong = {name: value for name, value in variables.items() if not isinstance(value, (str, type(None)))}
    if not wrong:
        return None
    types = ", ".join(f"{name} is {type_name(value)}" for name, value in wrong.items())
    return f"{types}, not a string: no flow run of a local, Kubernetes or ECS agent starts"
