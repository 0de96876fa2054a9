"""All rules, applied to a resolution, and the rules that need other rules or the whole resolution."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Iterator, List, Mapping, Optional, Tuple

from pytest_flowsecrets.findings.name_rules import shape_findings
from pytest_flowsecrets.findings.readings import (
    evaluate_text,
    load_context,
    readings,
    version_ranges,
    written_slots,
)
from pytest_flowsecrets.findings.rules import finding_of
from pytest_flowsecrets.findings.value_rules import value_findings
from pytest_flowsecrets.names import PREFIX
from pytest_flowsecrets.resolution.env_names import SECRETS, key_of
from pytest_flowsecrets.resolution.layers import Origin, Slot, type_name
from pytest_flowsecrets.resolution.resolve import Resolution, resolve

if TYPE_CHECKING:
    from pytest_flowsecrets.findings.model import Finding
    from pytest_flowsecrets.resolution.dialects import Dialect

_ADVICE = "use a table: [context.secrets] in config.toml, or one variable for each secret"
_AGENT_TABLE = ("cloud", "agent", "env_vars")
_AGENT_VERSIONS = "0.10.0-1.4.1"


def findings(resolution: Resolution) -> List[Finding]:
    """Apply all rules to a resolution.

    Args:
        resolution: a resolution, whether it failed or not.

    Returns:
        The findings: those about names and structure first, then those about values, each in the order of the
        configuration.
    """
    slots = written_slots(resolution)
    results = [
        *shape_findings(resolution, slots),
        *_agent_variables(resolution, slots),
        *_secrets_of_flow_runs(resolution, slots),
    ]
    for reading in readings(resolution):
        results += value_findings(reading)
    explained = any(finding.severity == "error" for finding in results)
    return results if explained else [*results, *_whole_findings(resolution)]


# -- a configuration in which no secret works --------------------------------------------------------------------------


def _whole_findings(resolution: Resolution) -> Iterator[Finding]:
    """Report that ``import prefect``, or every ``Secret.get()``, fails.

    Args:
        resolution: a resolution for which no rule reports an error.
    """
    message = _problem(resolution)
    if message is None:
        return
    versions = version_ranges(lambda row: _problem(_resolve_for(resolution, row)) == message)
    yield finding_of("FS015", "", _origin(resolution), message, _ADVICE, versions=versions)


def _problem(resolution: Resolution) -> Optional[str]:
    failure = resolution.failure
    if failure is not None:
        unreadable = any(layer.failure for layer in resolution.layers)  # the rules about files report these
        return None if unreadable else f"import prefect fails ({failure.type}: {failure.safe_message})"
    if resolution.secrets is None or isinstance(resolution.secrets, dict):
        return None
    return f"context.secrets is {type_name(resolution.secrets)}, not a table: Secret.get() fails for every name"


def _resolve_for(resolution: Resolution, row: Dialect) -> Resolution:
    layers = [layer for layer in resolution.layers if layer.kind != "defaults"]
    return resolve(layers, resolution.environ, row, machine=resolution.machine)


def _origin(resolution: Resolution) -> Origin:
    """Return the place that the error names, else the first line about ``context``, else the first of the file."""
    origins = [slot.origin for slot in written_slots(resolution)]
    place = resolution.failure.where if resolution.failure is not None else ""
    named = [origin for origin in origins if str(origin) == place]
    about_context = [origin for origin in origins if origin.key[:1] == ("context",)]
    return (named or about_context or origins)[0]


# -- cloud.agent.env_vars: variables that an agent of Prefect 0.10.0 or later passes to its flow runs ------------------


def _agent_variables(resolution: Resolution, slots: List[Slot]) -> Iterator[Finding]:
    """FS061: names and values that an agent cannot pass on to flow runs."""
    for slot, path in _variable_slots(resolution, slots):
        message = _agent_problem(slot, path, _final_value(resolution, slot))
        if message:
            table = f"{PREFIX}CLOUD__AGENT__ENV_VARS" if slot.kind == "env" else "env_vars"
            advice = (
                f'use --env of the agent, or a string that is a table of strings: {table} = \'{{"NAME": "value"}}\''
            )
            name = slot.origin.place if slot.kind == "env" else ".".join(map(str, slot.key))
            yield finding_of("FS061", name, slot.origin, message, advice, versions=_AGENT_VERSIONS)


def _secrets_of_flow_runs(resolution: Resolution, slots: List[Slot]) -> Iterator[Finding]:
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
            if slot.key[: len(_AGENT_TABLE)] == _AGENT_TABLE:
                yield slot, slot.key[len(_AGENT_TABLE) :]


def _final_value(resolution: Resolution, slot: Slot) -> Any:
    final = resolution.flat.get(slot.key)
    return slot.written if final is None else final.value


def _variables(path: Tuple[Any, ...], value: Any) -> Mapping[Any, Any]:
    """Return the variables that a value sets: one of them, or all if it is the table; none if it is neither."""
    if len(path) == 1:
        return {path[0]: value}
    return value if not path and isinstance(value, dict) else {}


def _agent_problem(slot: Slot, path: Tuple[Any, ...], value: Any) -> Optional[str]:
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
