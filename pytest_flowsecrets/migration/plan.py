"""The plan of a migration, from the resolution of a legacy configuration.

Secrets become Secret blocks. Keys that users add to the configuration (``[context]`` and tables that Prefect does not
have) become variables, unless their names look like those of secrets: anyone can read a variable.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Dict, Iterator, List, Mapping, Optional, Sequence, Tuple, Union

from pytest_flowsecrets.errors import UsageError
from pytest_flowsecrets.leaks.formats.sensitive_fields import is_random, names_a_secret
from pytest_flowsecrets.migration.model import BLOCK, VARIABLE, Item, Missing, Plan
from pytest_flowsecrets.migration.values import NotStorable, TooLong, secret_to_store, variable_to_store
from pytest_flowsecrets.resolution.display import Mask
from pytest_flowsecrets.resolution.env_names import SECRETS
from pytest_flowsecrets.resolution.packaged_defaults import OPEN_TABLES, known_settings, packaged_defaults
from pytest_flowsecrets.resolution.shown_names import HIDDEN

if TYPE_CHECKING:
    from pytest_flowsecrets.resolution.resolve import Resolution
    from pytest_flowsecrets.resolution.secret_get import Outcome

CLOUD = "a secret of Prefect Cloud cannot be read back: enter its value again"
UNKNOWN = "the configuration cannot be loaded"
TOO_LONG = "a variable holds at most 5,000 characters, so this becomes a Secret block"
ABSENT = "this configuration does not define it: enter its value"
# Parts and words of names that make a setting a secret, beside those of ``names_a_secret``: in doubt, a block is safe.
_SENSITIVE_PART = re.compile(r"secret|passw|passphrase|pwd|token(?!i)|credential|dsn|webhook|(?<!mon|don|tur)keys?\Z")
_SENSITIVE_WORDS = frozenset({"auth", "authorization", "cert", "certificate", "creds", "jwt", "key", "keys", "pass"})
_SENSITIVE_WORDS |= {"pat", "pin", "private", "pw"}
_SENSITIVE_ENDS = frozenset({"conn", "connection", "cred"})
_URL_WITH_SECRET = re.compile(r"://[^\s@]*:[^\s]*@|://[^/\s]*@|://[^\s]*(?:webhook|hooks\.)", re.IGNORECASE)
# Prefect 2 and 3 allow lower-case letters, digits and dashes in the name of a block, and lower-case letters, digits and
# underscores in the name of a variable (the newest releases also allow dashes). So no legacy name with a capital or an
# underscore can name a block.
_LONGEST_VARIABLE = 255
_BLOCK = re.compile(r"[a-z0-9-]*[a-z0-9][a-z0-9-]*")
_VARIABLE = re.compile(r"[a-z0-9_]*[a-z0-9][a-z0-9_]*")
# Keys that Prefect's agents set, and those that belong to Prefect itself.
_OWN_CONTEXT = frozenset({"secrets", "config", "flow_id", "flow_run_id", "flow_run_name", "flow_run_version", "image"})
_OWN_CONFIG = frozenset({"context", "user_config_path", "backend_config_path", "backend", "server", "agent"})


def make_plan(  # noqa: PLR0913 - options by keyword
    resolution: Resolution,
    target: int,
    *,
    renames: Optional[Mapping[str, str]] = None,
    cloud_names: Sequence[str] = (),
    used: Optional[Mapping[str, List[str]]] = None,
    loaded: Optional[Mapping[str, List[str]]] = None,
) -> Plan:
    """Return the plan for a configuration.

    Args:
        resolution: the legacy configuration.
        target: the major version of the new Prefect, 2 or 3.
        renames: new names, by the name of the secret or the key of the configuration.
        cloud_names: the names of secrets of Prefect Cloud.
        used: the places in the code that use each secret, by name.
        loaded: the places in code that is already migrated, by the names of the blocks.

    Raises:
        UsageError: a new name is not valid, or belongs to nothing in the plan.
    """
    plan, names, places = Plan(resolution.dialect.version, target), dict(renames or {}), dict(used or {})
    if resolution.failure is not None:
        plan.errors.append(f"import prefect fails on this configuration: {Mask().failure(resolution.failure)}")
    outcomes = {name: resolution.get(name) for name in [*resolution.names, *cloud_names, *places]}
    for name, outcome in outcomes.items():
        if outcome.kind == "cloud" or name in cloud_names or name not in resolution.names:
            reason = ABSENT if resolution.failure is None else UNKNOWN
            reason = CLOUD if outcome.kind == "cloud" or name in cloud_names else reason
            plan.missing.append(Missing(name, _block_name(name, names), reason, [*places.get(name, [])]))
        else:
            plan.items.append(_secret(resolution, name, outcome, _block_name(name, names), target))
    plan.items += _settings(resolution, names, target)
    _add_loaded(plan, names, loaded or {})
    _require_known(names, plan)
    _mark_collisions(plan)
    return plan


def new_names(plan: Plan) -> Dict[str, str]:
    """Return the names of the blocks of a plan by the names of the secrets; ``""`` without one, or in a collision.

    Args:
        plan: the plan.
    """
    blocks = [each for each in plan.entries if each.kind == BLOCK]
    return {each.old: "" if each.collides else each.new for each in blocks}


def texts_not_decoded(resolution: Resolution) -> List[str]:
    """Return the secrets whose ``Secret.get`` differs from ``prefect.context.secrets``, because it decodes JSON.

    Args:
        resolution: the legacy configuration.
    """
    outcomes = {name: resolution.get(name) for name in resolution.names}
    return [name for name, each in outcomes.items() if each.kind == "value" and each.value is not each.stored]


# -- secrets -----------------------------------------------------------------------------------------------------------


def _secret(resolution: Resolution, name: str, outcome: Outcome, new: str, target: int) -> Item:
    slots = resolution.slots(name)
    item = Item(BLOCK, name, new, str(slots[-1].origin) if slots else "")
    if outcome.error is not None:
        item.problem = f"the legacy flow gets an error: {Mask().failure(outcome.error)}"
    elif HIDDEN in name:
        item.problem = "the name may contain a value: put the value in quotes in the configuration"
    else:
        _store(item, outcome.value, target)
    if any(key[:3] == (*SECRETS, name) for key in resolution.hash_order_dependent):
        item.changes.append("the legacy value depends on PYTHONHASHSEED: check it")
    return item


def _store(item: Item, value: Any, target: int) -> None:
    """Set the form in which to store a value. What is too long for a variable becomes a block."""
    encode = secret_to_store if item.kind == BLOCK else variable_to_store
    try:
        item.stored = encode(value, target)
    except TooLong:
        item.kind = BLOCK
        _store(item, value, target)
        item.changes.append(TOO_LONG)
    except NotStorable as error:
        item.problem = str(error)
    else:
        item.changes += item.stored.changes


# -- other settings ----------------------------------------------------------------------------------------------------


def _settings(resolution: Resolution, renames: Mapping[str, str], target: int) -> Iterator[Item]:
    for key, value in _user_settings(resolution):
        old = ".".join(key)
        origin = next((str(slot.origin) for flat, slot in resolution.flat.items() if flat[: len(key)] == key), "")
        item = Item(BLOCK if _looks_sensitive(key[-1], value) else VARIABLE, old, "", origin)
        _store(item, value, target)
        derive = block_name if item.kind == BLOCK else variable_name
        item.new = _renamed(old, renames, item.kind) or derive(key[-1])
        yield item


def _user_settings(resolution: Resolution) -> Iterator[Tuple[Tuple[str, ...], Any]]:
    """Yield keys and values that Prefect itself does not define."""
    for name, value in resolution.context.items():
        if isinstance(name, str) and name not in _OWN_CONTEXT and HIDDEN not in name:
            yield ("context", name), value
    config = {name: value for name, value in resolution.config.items() if name not in _OWN_CONFIG}
    yield from _unknown_keys(config, (), packaged_defaults(resolution.dialect))


def _unknown_keys(
    table: Mapping[Any, Any], path: Tuple[str, ...], known: Mapping[str, Any]
) -> Iterator[Tuple[Tuple[str, ...], Any]]:
    """Yield what users have added to a table: keys that no release of Prefect has, below the tables that it has."""
    for name, value in table.items():
        if not isinstance(name, str) or HIDDEN in name:
            continue
        key, default = (*path, name), known.get(name.lower())
        if isinstance(default, dict) and isinstance(value, dict):
            yield from () if key in OPEN_TABLES else _unknown_keys(value, key, default)
        elif ".".join(key).lower() not in known_settings():
            yield key, value


def _looks_sensitive(name: str, value: Any) -> bool:
    if _names_a_secret(name):
        return True
    if isinstance(value, dict):
        return any(_looks_sensitive(str(key), item) for key, item in value.items())
    if isinstance(value, (list, tuple)):
        return any(_looks_sensitive("", item) for item in value)
    return isinstance(value, str) and (_URL_WITH_SECRET.search(value) is not None or is_random(value))


def _names_a_secret(name: str) -> bool:
    words = re.findall(r"[a-z]+", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower())
    has_word = bool(_SENSITIVE_WORDS.intersection(words) or _SENSITIVE_ENDS.intersection(words[-1:]))
    return has_word or any(map(_SENSITIVE_PART.search, words)) or names_a_secret(name)


# -- names -------------------------------------------------------------------------------------------------------------


def block_name(name: str) -> str:
    """Return the name of the Secret block for a legacy secret: ``GITHUB_TOKEN`` becomes ``github-token``.

    Where ``isolation.prefect3.blocks`` accepts a name, the result is the same.

    Args:
        name: the name that a flow passes to ``Secret``.

    Returns:
        The name, or ``""`` if no letter or digit is left.
    """
    result = re.sub(r"[^a-z0-9]", "-", name.lower())
    return result if is_block_name(result) else ""


def variable_name(name: str) -> str:
    """Return the name of the variable for a key of the legacy configuration: ``My-Bucket`` becomes ``my_bucket``.

    Args:
        name: the key.

    Returns:
        The name, or ``""`` if no letter or digit is left, or the name is too long.
    """
    result = re.sub(r"[^a-z0-9_]", "_", name.lower())
    return result if is_variable_name(result) else ""


def is_block_name(name: str) -> bool:
    """Return whether a block can have a name.

    Args:
        name: any text.
    """
    return _BLOCK.fullmatch(name) is not None


def is_variable_name(name: str) -> bool:
    """Return whether a variable can have a name in all releases of Prefect 2.20 and 3.

    Args:
        name: any text.
    """
    return len(name) <= _LONGEST_VARIABLE and _VARIABLE.fullmatch(name) is not None


def _block_name(name: str, renames: Mapping[str, str]) -> str:
    return _renamed(name, renames, BLOCK) or block_name(name)


def _renamed(name: str, renames: Mapping[str, str], kind: str) -> str:
    new = renames.get(name, "")
    valid = is_block_name(new) if kind == BLOCK else is_variable_name(new)
    if new and not valid:
        allowed = "lower-case letters, digits and dashes" if kind == BLOCK else "lower-case letters, digits and _"
        raise UsageError(f"--rename {name}={new}: the name of a {kind} has {allowed} only")
    return new


def _add_loaded(plan: Plan, renames: Mapping[str, str], loaded: Mapping[str, List[str]]) -> None:
    """Add the blocks that migrated code loads, under the legacy names if ``--rename`` has them."""
    known = {each.new for each in plan.entries if each.kind == BLOCK}
    for new, places in loaded.items():
        for secret in plan.missing:
            secret.used_at += places if secret.new == new else []
        if new not in known:
            old = next((old for old, name in renames.items() if name == new), new)
            plan.missing.append(Missing(old, new, ABSENT if not plan.errors else UNKNOWN, places))


def _require_known(renames: Mapping[str, str], plan: Plan) -> None:
    known = {item.old for item in plan.items} | {secret.old for secret in plan.missing}
    for name in renames:
        if name not in known and not plan.errors:
            raise UsageError(f"--rename {name}: the plan has no secret or setting of this name")


def _mark_collisions(plan: Plan) -> None:
    """Mark all items that would get the same name."""
    groups: Dict[Tuple[str, str], List[Union[Item, Missing]]] = {}
    for each in plan.entries:
        groups.setdefault((each.kind, each.new), []).append(each)
    for (_, new), group in groups.items():
        for each in group if new and len(group) > 1 else []:
            others = ", ".join(sorted(other.old for other in group if other is not each))
            each.problem, each.collides = f"gets the same name as {others}: choose another one with --rename", True
        for each in group if not new else []:
            each.problem = each.problem or "no valid name follows from this name: choose one with --rename"
