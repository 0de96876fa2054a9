"""Rules about names and structure: one small function for each, applied to a whole resolution."""

# ruff: noqa: ARG001  (all rules take the same arguments)
from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable, Dict, Iterator, List, Set, Tuple

from pytest_flowsecrets.findings.config_rules import misread_names
from pytest_flowsecrets.findings.readings import version_ranges
from pytest_flowsecrets.findings.rules import ALL_VERSIONS, finding_of
from pytest_flowsecrets.names import PREFIX, SECRETS_PREFIX
from pytest_flowsecrets.resolution.dialects import default_box
from pytest_flowsecrets.resolution.env_names import SECRETS, is_secret, key_of, variable_for
from pytest_flowsecrets.resolution.layers import Slot, type_name
from pytest_flowsecrets.resolution.layers import variable as origin_of
from pytest_flowsecrets.resolution.reserved_keys import forbidden_names
from pytest_flowsecrets.resolution.resolve import Resolution

if TYPE_CHECKING:
    from pytest_flowsecrets.findings.model import Finding

ShapeRule = Callable[[Resolution, List[Slot]], "Iterator[Finding]"]
_FLAGS = (("cloud", "use_local_secrets"), ("context", "config", "cloud", "use_local_secrets"))
_NAME_AT = len(SECRETS)  # index of the secret's name in a key
_TABLE_EFFECTS = {
    "lower": "breaks every secret",
    "keep_last": "is ignored",
    "replace": "replaces the table of config.toml",
}


def shape_findings(resolution: Resolution, slots: List[Slot]) -> Iterator[Finding]:
    """Apply all rules about names and structure.

    Args:
        resolution: a resolution, whether it failed or not.
        slots: its written values.
    """
    for rule in SHAPE_RULES:
        yield from rule(resolution, slots)


def misread_name(resolution: Resolution, slots: List[Slot]) -> Iterator[Finding]:
    """FS002: Prefect's parser reads part of the value as part of the name."""
    for layer in resolution.layers:
        yield from misread_names(layer)


def reserved_key(resolution: Resolution, slots: List[Slot]) -> Iterator[Finding]:
    """FS005: a key that is an attribute of ``Config``."""
    dialect, python = resolution.dialect, resolution.machine.python
    names = forbidden_names(dialect, python, resolution.machine.box_of(dialect))
    for slot in slots:
        reserved = next((part for part in (*slot.key, *_inner_keys(resolution, slot)) if part in names), None)
        if reserved is not None:
            yield _finding(
                "FS005",
                slot,
                message=f'the key "{reserved}" is a method or attribute of Prefect\'s Config: import prefect fails',
                versions=_versions_that_reserve(reserved, python),
                advice="write it in upper case (in a variable: from 0.6.7)" if reserved.islower() else "rename it",
            )


def nested_name(resolution: Resolution, slots: List[Slot]) -> Iterator[Finding]:
    """FS006: ``__`` in the name of a secret's variable creates a table."""
    for slot in slots:
        if slot.kind == "env" and slot.key[:2] == SECRETS and len(slot.key) > _NAME_AT + 1:
            path = " -> ".join(repr(part) for part in slot.key[_NAME_AT:])
            yield _finding(
                "FS006",
                slot,
                message=f"__ in the name: sets {path} in a table, not a secret of that name",
                advice="a name with __ can be set only in config.toml",
            )


def misspelled_variable(resolution: Resolution, slots: List[Slot]) -> Iterator[Finding]:
    """FS007: ``PREFECT__Context__Secrets__X`` and similar variables that set no secret."""
    for slot in slots:
        if slot.kind == "env" and slot.key[:2] != SECRETS and _looks_like_secret(slot.origin.place):
            yield _finding(
                "FS007",
                slot,
                message=f"sets the key {'.'.join(slot.key)}, which is not a secret",
                versions=_versions_that_miss(slot.origin.place),
                advice=f"write {SECRETS_PREFIX}NAME exactly",
            )


def misspelled_prefix(resolution: Resolution, slots: List[Slot]) -> Iterator[Finding]:
    """FS007: a variable that Prefect does not read because its prefix is wrong."""
    for variable in resolution.environ:
        if not variable.startswith(PREFIX) and variable.upper().startswith(("PREFECT_CONTEXT", "PREFECT__CONTEXT")):
            origin = origin_of(resolution.environ, variable)
            advice = f"write {SECRETS_PREFIX}NAME exactly"
            yield finding_of("FS007", variable, origin, "Prefect does not read this variable", advice)


def lower_cased_name(resolution: Resolution, slots: List[Slot]) -> Iterator[Finding]:
    """FS008: up to 0.6.6 every name that comes from a variable is lower-cased."""
    if resolution.dialect.env_names != "lower":
        return
    for slot in slots:
        name = slot.origin.place.rpartition("__")[2]
        if _is_secret_variable(slot) and name != name.lower():
            yield _finding(
                "FS008",
                slot,
                message=f"the name is lower-cased: Secret({slot.key[2]!r}) finds it, Secret({name!r}) does not",
                versions=version_ranges(lambda row: row.env_names == "lower"),
                advice=f'use lower-case names in flows, or write {name} = "$VARIABLE" in config.toml, '
                "where names keep their case",
            )


def whole_table(resolution: Resolution, slots: List[Slot]) -> Iterator[Finding]:
    """FS009: a variable for the whole table of secrets, or of the context."""
    effect = _TABLE_EFFECTS[resolution.dialect.env_names]
    for slot in slots:
        if slot.kind == "env" and slot.origin.place.upper() in (f"{PREFIX}CONTEXT", f"{PREFIX}CONTEXT__SECRETS"):
            yield _finding(
                "FS009",
                slot,
                message=f"sets a whole table: depending on the order of the variables, it {effect}",
                advice=f"set one variable for each secret: {SECRETS_PREFIX}NAME",
            )


def dotted_key(resolution: Resolution, slots: List[Slot]) -> Iterator[Finding]:
    """FS010: ``a.b = ...`` in TOML defines a table ``a``."""
    for slot in slots:
        if slot.key[:2] == SECRETS and _is_dotted(slot):
            name, dotted = slot.key[2], ".".join(slot.key[2:])
            message = f"a dotted key defines a table: the secret is {name!r}, not {dotted!r}"
            yield _finding("FS010", slot, message=message, advice="quote the key")


def misspelled_table(resolution: Resolution, slots: List[Slot]) -> Iterator[Finding]:
    """FS011: ``[Context.Secrets]`` in TOML."""
    reported: Set[Tuple[Any, ...]] = set()
    for slot in slots:
        table = slot.key[:2]
        lower = tuple(str(part).lower() for part in table)
        if slot.kind == "env" or table == SECRETS or lower != SECRETS or table in reported:
            continue
        reported.add(table)
        yield _finding(
            "FS011",
            slot,
            message=f"[{'.'.join(table)}] is not [context.secrets]: nothing in it is a secret",
            versions=_versions_that_keep_case(table),
            advice="write [context.secrets]",
        )


def duplicate_variable(resolution: Resolution, slots: List[Slot]) -> Iterator[Finding]:
    """FS012: two variables that set the same secret; their order decides."""
    variables: Dict[Any, List[str]] = {}
    for slot in slots:
        if slot.kind == "env" and slot.key[:2] == SECRETS:
            variables.setdefault(slot.key, []).append(slot.origin.place)
    for slot in slots:
        same = variables.get(slot.key, []) if slot.kind == "env" else []
        if len(same) > 1:
            yield _finding(
                "FS012",
                slot,
                message="another variable sets the same secret: the later one in the environment wins",
                versions=_versions_that_merge(same),
                advice="keep one of them",
            )


def circular_reference(resolution: Resolution, slots: List[Slot]) -> Iterator[Finding]:
    """FS013: references that form a circle."""
    for key in resolution.hash_order_dependent:
        message = "its ${...} references form a circle: the value depends on PYTHONHASHSEED"
        yield _finding("FS013", resolution.flat[key], message=message, advice="write the value itself")


def unreachable_by_variable(resolution: Resolution, slots: List[Slot]) -> Iterator[Finding]:
    """FS014: a variable that seems to override a TOML name that no variable can override."""
    in_files = {slot.key[_NAME_AT] for slot in slots if _is_in_file(slot)}
    for slot in slots:
        name = slot.origin.place.partition(SECRETS_PREFIX)[2] if slot.kind == "env" else ""
        if name in in_files and variable_for(name, resolution.dialect) is None and "__" not in name:
            yield _finding(
                "FS014",
                slot,
                message=f"does not override {name!r} of config.toml, which is a different secret in this release",
                versions=version_ranges(lambda row: variable_for(name, row) is None),  # noqa: B023 (called at once)
                advice="use a lower-case name in config.toml",
            )


def invalid_flag(resolution: Resolution, slots: List[Slot]) -> Iterator[Finding]:
    """FS016: a ``cloud.use_local_secrets``, from 0.6.4 also that of ``[context.config]``, that is not a boolean."""
    for key in _FLAGS if resolution.dialect.lookup.context_flag else _FLAGS[:1]:
        flag = resolution.flat.get(key)
        if flag is not None and not isinstance(flag.value, bool):
            yield from _invalid_flag(resolution, flag, [slot for slot in slots if slot.key == key])


def _invalid_flag(resolution: Resolution, flag: Slot, slots: List[Slot]) -> Iterator[Finding]:
    first = resolution.dialect.lookup.context_first
    effect = "true: local secrets are used" if first else "false: Prefect asks Prefect Cloud for secrets"
    message = f"use_local_secrets is {type_name(flag.value)}, not a boolean, and counts as {effect}"
    versions = version_ranges(lambda row: row.lookup.context_first == first)
    for slot in slots:
        yield finding_of("FS016", "", slot.origin, message, "write true or false", versions=versions)


SHAPE_RULES: Tuple[ShapeRule, ...] = (
    misread_name,
    reserved_key,
    nested_name,
    misspelled_variable,
    misspelled_prefix,
    lower_cased_name,
    whole_table,
    dotted_key,
    misspelled_table,
    duplicate_variable,
    circular_reference,
    unreachable_by_variable,
    invalid_flag,
)


def _finding(rule: str, slot: Slot, *, message: str, advice: str, versions: str = ALL_VERSIONS) -> Finding:
    name = ".".join(str(part) for part in slot.key[_NAME_AT:])
    return finding_of(rule, name, slot.origin, message, advice, versions=versions)


def _versions_that_reserve(name: Any, python: Tuple[int, int]) -> str:
    return version_ranges(lambda row: name in forbidden_names(row, python, default_box(row, python)))


def _versions_that_miss(variable: str) -> str:
    return version_ranges(lambda row: (key_of(variable, row) or ())[:2] != SECRETS)


def _versions_that_merge(variables: List[str]) -> str:
    return version_ranges(lambda row: len({key_of(variable, row) for variable in variables}) < len(variables))


def _versions_that_keep_case(table: Tuple[Any, ...]) -> str:
    return version_ranges(lambda row: not row.lower_top or table[1] != SECRETS[1])


def _is_in_file(slot: Slot) -> bool:
    return slot.kind != "env" and is_secret(slot.key) and len(slot.key) > _NAME_AT


def _is_secret_variable(slot: Slot) -> bool:
    return slot.kind == "env" and is_secret(slot.key) and len(slot.key) == _NAME_AT + 1


def _looks_like_secret(variable: str) -> bool:
    """Return whether a variable looks as if it should set a secret."""
    letters = variable[len(PREFIX) :].upper()
    return letters.startswith(("CONTEXT__SECRET", "SECRETS__", "CONTEXT_SECRETS")) and letters != "CONTEXT__SECRETS"


def _inner_keys(resolution: Resolution, slot: Slot) -> List[Any]:
    """Return the keys of the table that a text is read as, at any depth."""
    final = resolution.flat.get(slot.key)
    value = final.value if final is not None else slot.written
    keys: List[Any] = []
    tables = [value] if isinstance(value, dict) else []
    while tables:
        table = tables.pop()
        keys += table
        tables += [item for item in table.values() if isinstance(item, dict)]
    return keys


def _is_dotted(slot: Slot) -> bool:
    if len(slot.key) <= _NAME_AT + 1:
        return False
    find = getattr(slot.source, "find", None)
    position = find(slot.key) if find else None
    return bool(position and position.dotted)
