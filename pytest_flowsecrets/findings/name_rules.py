"""Rules about names and shape: a small function each over a whole resolution."""

# ruff: noqa: ARG001  (all rules take the same arguments)
from __future__ import annotations

from dataclasses import replace
from typing import Any, Callable, Dict, Iterator, List, Optional, Tuple

from pytest_flowsecrets.findings.config_rules import misread_names
from pytest_flowsecrets.findings.model import Finding, alone, surroundings, where, written
from pytest_flowsecrets.findings.value_rules import value_findings
from pytest_flowsecrets.names import PREFIX, SECRETS_PREFIX
from pytest_flowsecrets.resolution.dialects import default_box
from pytest_flowsecrets.resolution.env_names import SECRETS, key_of, variable_for
from pytest_flowsecrets.resolution.layers import Slot, type_name
from pytest_flowsecrets.resolution.layers import variable as origin_of
from pytest_flowsecrets.resolution.reserved_keys import forbidden_names
from pytest_flowsecrets.resolution.resolve import Resolution

ShapeRule = Callable[[Resolution, List[Slot]], Iterator[Finding]]
_ALL = "0.5.0-1.4.1"
_USUAL = SECRETS_PREFIX
_FLAGS = (("cloud", "use_local_secrets"), ("context", "config", "cloud", "use_local_secrets"))
_OF_AGENT = ("cloud", "agent", "env_vars")


def shape_findings(resolution: Resolution) -> Iterator[Finding]:
    """Apply all rules about names and shape.

    Args:
        resolution: a resolution, failed or not.
    """
    slots = written(resolution)
    for rule in SHAPE_RULES:
        yield from rule(resolution, slots)


def misread_name(resolution: Resolution, slots: List[Slot]) -> Iterator[Finding]:
    """FS002: Prefect's parser takes a part of the value for a part of the name."""
    for layer in resolution.layers:
        yield from misread_names(layer)


def forbidden(resolution: Resolution, slots: List[Slot]) -> Iterator[Finding]:
    """FS005: a key that is an attribute of ``Config``."""
    dialect, python = resolution.dialect, resolution.machine.python
    names = forbidden_names(dialect, python, resolution.machine.box_of(dialect))
    for slot in slots:
        bad = [part for part in (*slot.key, *_inner(resolution, slot)) if part in names]
        if bad:
            message = f'the key "{bad[0]}" is a method or attribute of Prefect\'s Config: import prefect fails'
            versions = _forbidding(bad[0], python)
            advice = "write it in upper case (as a variable: from 0.6.7)" if bad[0].islower() else "rename it"
            yield _finding("FS005", "error", slot, message, versions, advice)


def nested_name(resolution: Resolution, slots: List[Slot]) -> Iterator[Finding]:
    """FS006: ``__`` in a variable's secret name makes a table."""
    for slot in slots:
        if slot.kind == "env" and slot.key[:2] == SECRETS and len(slot.key) > len(SECRETS) + 1:
            path = " -> ".join(repr(part) for part in slot.key[2:])
            message = f"__ in the name: sets {path} in a table, not a secret of that name"
            yield _finding("FS006", "warning", slot, message, _ALL, "a name with __ can be set in config.toml only")


def lost_name(resolution: Resolution, slots: List[Slot]) -> Iterator[Finding]:
    """FS007: ``PREFECT__Context__Secrets__X`` and the like, which set no secret."""
    for slot in slots:
        if slot.kind == "env" and slot.key[:2] != SECRETS and _meant(slot.origin.place):
            message = f"sets the key {'.'.join(slot.key)}, which is no secret"
            versions = _losing(slot.origin.place)
            yield _finding("FS007", "error", slot, message, versions, f"write {_USUAL}NAME exactly")


def prefix_missed(resolution: Resolution, slots: List[Slot]) -> Iterator[Finding]:
    """FS007 too: a variable that Prefect does not even look at."""
    for variable in resolution.environ:
        if not variable.startswith(PREFIX) and variable.upper().startswith(("PREFECT_CONTEXT", "PREFECT__CONTEXT")):
            origin = origin_of(resolution.environ, variable)
            advice = f"write {_USUAL}NAME exactly"
            yield Finding("FS007", "error", variable, origin, "Prefect does not read this variable", _ALL, advice)


def lower_cased(resolution: Resolution, slots: List[Slot]) -> Iterator[Finding]:
    """FS008: up to 0.6.6 every name out of a variable is lower case."""
    if resolution.dialect.env_names != "lower":
        return
    for slot in slots:
        name = slot.origin.place.rpartition("__")[2]
        if (
            slot.kind == "env"
            and slot.key[:2] == SECRETS
            and len(slot.key) == len(SECRETS) + 1
            and name != name.lower()
        ):
            message = f"the name is lower-cased: Secret({slot.key[2]!r}) finds it, Secret({name!r}) does not"
            versions = where(lambda row: row.env_names == "lower")
            advice = (
                f'use lower-case names in flows, or {name} = "$VARIABLE" in config.toml, where names keep their case'
            )
            yield _finding("FS008", "error", slot, message, versions, advice)


def whole_table(resolution: Resolution, slots: List[Slot]) -> Iterator[Finding]:
    """FS009: a variable for the whole table of secrets, or of the context."""
    effects = {
        "lower": "breaks every secret",
        "keep_last": "is ignored",
        "replace": "replaces the table of config.toml",
    }
    for slot in slots:
        if slot.kind != "env" or slot.origin.place.upper() not in (f"{PREFIX}CONTEXT", f"{PREFIX}CONTEXT__SECRETS"):
            continue
        message = f"a variable for a whole table: it {effects[resolution.dialect.env_names]}, depending on the order"
        yield _finding("FS009", "error", slot, message, _ALL, f"one variable for each secret: {_USUAL}NAME")


def dotted(resolution: Resolution, slots: List[Slot]) -> Iterator[Finding]:
    """FS010: ``a.b = ...`` in TOML is a table ``a``."""
    for slot in slots:
        if slot.kind != "env" and slot.key[:2] == SECRETS and _is_dotted(slot):
            message = f"a dotted key is a table: the secret is {slot.key[2]!r}, not {'.'.join(slot.key[2:])!r}"
            yield _finding("FS010", "warning", slot, message, _ALL, "quote the key")


def misspelt_table(resolution: Resolution, slots: List[Slot]) -> Iterator[Finding]:
    """FS011: ``[Context.Secrets]`` in TOML."""
    seen: Dict[Tuple[Any, ...], bool] = {}
    for slot in slots:
        table = slot.key[:2]
        spelt = tuple(str(part).lower() for part in table)
        if slot.kind == "env" or table == SECRETS or spelt != SECRETS or table in seen:
            continue
        seen[table] = True
        message = f"[{'.'.join(table)}] is not [context.secrets]: nothing in it is a secret"
        yield _finding("FS011", "error", slot, message, _misspelling(table), "write [context.secrets]")


def twice(resolution: Resolution, slots: List[Slot]) -> Iterator[Finding]:
    """FS012: the same secret by two variables, where their order decides."""
    variables: Dict[Any, List[str]] = {}
    for slot in slots:
        if slot.kind == "env" and slot.key[:2] == SECRETS:
            variables.setdefault(slot.key, []).append(slot.origin.place)
    for slot in slots:
        same = variables.get(slot.key, []) if slot.kind == "env" else []
        if len(same) > 1:
            message = "another variable sets the same secret; the later one of the environment wins"
            yield _finding("FS012", "warning", slot, message, _colliding(same), "keep one of them")


def circle(resolution: Resolution, slots: List[Slot]) -> Iterator[Finding]:
    """FS013: references in a circle."""
    for key in resolution.unsettled:
        slot = resolution.flat[key]
        message = "its ${...} lead in a circle: the value depends on PYTHONHASHSEED"
        yield _finding("FS013", "error", slot, message, _ALL, "give the value itself")


def unreachable_by_variable(resolution: Resolution, slots: List[Slot]) -> Iterator[Finding]:
    """FS014: a TOML name that no variable can override, with a variable that seems to."""
    tables = {slot.key[2] for slot in slots if slot.kind != "env" and slot.key[:2] == SECRETS and len(slot.key) > 2}  # noqa: PLR2004
    for slot in slots:
        plain = slot.origin.place.partition(_USUAL)[2] if slot.kind == "env" else ""
        if plain in tables and variable_for(plain, resolution.dialect) is None and "__" not in plain:
            message = f"does not override {plain!r} of config.toml, which is another secret here"
            versions = _unreachable(plain)
            yield _finding("FS014", "error", slot, message, versions, "name it in lower case in config.toml")


def odd_flag(resolution: Resolution, slots: List[Slot]) -> Iterator[Finding]:
    """FS016: ``cloud.use_local_secrets``, or from 0.6.4 that of ``[context.config]``, that is no boolean."""
    for key in _FLAGS if resolution.dialect.lookup.context_flag else _FLAGS[:1]:
        done = resolution.flat.get(key)
        if done is not None and not isinstance(done.value, bool):
            yield from _odd_flag(resolution, done, [slot for slot in slots if slot.key == key])


def _odd_flag(resolution: Resolution, done: Slot, slots: List[Slot]) -> Iterator[Finding]:
    first = resolution.dialect.lookup.context_first
    counts = "true: local secrets are used" if first else "false: secrets are asked of Prefect Cloud"
    message = f"use_local_secrets is no boolean but {type_name(done.value)}, which counts as {counts}"
    versions = where(lambda row: row.lookup.context_first == first)
    for slot in slots:
        yield Finding("FS016", "error", "", slot.origin, message, versions, "write true or false")


def agent_variables(resolution: Resolution, slots: List[Slot]) -> Iterator[Finding]:
    """FS061: ``[cloud.agent.env_vars]``, whose names and values an agent of 0.10.0 or later cannot pass on."""
    if not resolution.dialect.at_least("0.10.0"):
        return
    table = f"{PREFIX}CLOUD__AGENT__ENV_VARS" if any(slot.kind == "env" for slot in slots) else "env_vars"
    advice = f'use --env of the agent, or a text that is a table of texts: {table} = \'{{"NAME": "value"}}\''
    for slot in slots:
        message = _lost_by_agent(resolution, slot) if slot.key[: len(_OF_AGENT)] == _OF_AGENT else None
        if message:
            name = slot.origin.place if slot.kind == "env" else ".".join(map(str, slot.key))
            yield Finding("FS061", "error", name, slot.origin, message, "0.10.0-1.4.1", advice)


def values_of_flow_runs(resolution: Resolution, slots: List[Slot]) -> Iterator[Finding]:
    """Findings about the secrets that an agent passes to its flow runs out of ``cloud.agent.env_vars``."""
    for slot in slots:
        rest = slot.key[len(_OF_AGENT) :]
        if not resolution.dialect.at_least("0.10.0") or slot.key[: len(_OF_AGENT)] != _OF_AGENT or len(rest) > 1:
            continue
        done = resolution.flat.get(slot.key, slot)
        variables = {rest[0]: done.value} if rest else done.value
        for variable, text in variables.items() if isinstance(variables, dict) else ():
            key = key_of(str(variable), resolution.dialect)
            if isinstance(text, str) and key is not None and key[:2] == SECRETS and len(key) == len(SECRETS) + 1:
                origin = replace(slot.origin, kind="env", place=str(variable))  # the variable that flow runs have
                reading = alone(key[2], text, Slot(text, origin, key), surroundings(resolution))
                for finding in value_findings(reading):
                    yield replace(finding, origin=slot.origin, spelling=None, line=None)


def _lost_by_agent(resolution: Resolution, slot: Slot) -> Optional[str]:
    rest = slot.key[len(_OF_AGENT) :]
    done = resolution.flat.get(slot.key)
    value = slot.written if done is None else done.value
    if len(rest) > 1:
        return "__ or a dot in the name makes a table, which no agent can pass on to flow runs"
    if rest and slot.kind == "env" and not slot.origin.place.endswith(rest[0]):
        return f"flow runs get it as {rest[0]!r}: names in variables are lower-cased"
    if not rest and not isinstance(value, dict):
        return f"{type_name(value)} and not a table: no flow run of the agent starts"
    wrong = {name: kind for name, kind in ({rest[0]: value} if rest else value).items() if not _passes(kind)}
    if wrong:
        kinds = ", ".join(f"{name} is {type_name(kind)}" for name, kind in wrong.items())
        return f"{kinds} and not a text: no flow run of a local agent, Kubernetes or ECS starts"
    return None


def _passes(value: Any) -> bool:
    return value is None or isinstance(value, str)


SHAPE_RULES: Tuple[ShapeRule, ...] = (
    misread_name,
    forbidden,
    nested_name,
    lost_name,
    prefix_missed,
    lower_cased,
    whole_table,
    dotted,
    misspelt_table,
    twice,
    circle,
    unreachable_by_variable,
    odd_flag,
    agent_variables,
    values_of_flow_runs,
)


def _finding(  # noqa: PLR0913, PLR0917 (the columns of a finding)
    rule: str, severity: str, slot: Slot, message: str, versions: str, advice: str
) -> Finding:
    return Finding(rule, severity, ".".join(str(part) for part in slot.key[2:]), slot.origin, message, versions, advice)


def _forbidding(name: Any, python: Tuple[int, int]) -> str:
    return where(lambda row: name in forbidden_names(row, python, default_box(row, python)))


def _unreachable(name: str) -> str:
    return where(lambda row: variable_for(name, row) is None)


def _losing(variable: str) -> str:
    return where(lambda row: (key_of(variable, row) or ())[:2] != SECRETS)


def _colliding(variables: List[str]) -> str:
    return where(lambda row: len({key_of(variable, row) for variable in variables}) < len(variables))


def _misspelling(table: Tuple[Any, ...]) -> str:
    return where(lambda row: not row.lower_top or table[1] != SECRETS[1])


def _meant(variable: str) -> bool:
    """Whether the variable looks as if a secret was meant."""
    letters = variable[len(PREFIX) :].upper()
    return letters.startswith(("CONTEXT__SECRET", "SECRETS__", "CONTEXT_SECRETS")) and letters != "CONTEXT__SECRETS"


def _inner(resolution: Resolution, slot: Slot) -> List[Any]:
    """Keys of the table that a text becomes."""
    done = resolution.flat.get(slot.key)
    value = done.value if done is not None else slot.written
    found: List[Any] = []
    waiting = [value] if isinstance(value, dict) else []
    while waiting:
        table = waiting.pop()
        found += table
        waiting += [item for item in table.values() if isinstance(item, dict)]
    return found


def _is_dotted(slot: Slot) -> bool:
    if len(slot.key) <= len(SECRETS) + 1:
        return False
    find = getattr(slot.source, "find", None)
    position = find(slot.key) if find else None
    return bool(position and position.dotted)
