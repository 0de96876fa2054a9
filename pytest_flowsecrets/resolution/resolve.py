"""Layers -> :class:`Resolution`: what ``prefect.config.context.secrets`` holds, and what ``Secret(name).get()`` gives.

The model, in the order of Prefect's own loader (``load_configuration`` of 0.5.4 to 1.4.1):

1. packaged defaults <- user's ``config.toml`` <- ``backend.toml`` (0.10.0): tables are merged, anything else replaces;
2. the result is flattened: ``{("context", "secrets", "A"): value}``; empty tables are gone;
3. variables that start with ``PREFECT__`` are put in, in the order of the environment: escapes decoded (up to 0.13.14),
   expanded, typed;
4. all texts are expanded, and from 0.11.2 typed (a variable's for the second time);
5. ``${a.b}`` is filled in, at most ten rounds;
6. tables are nested again, names are checked, and ``prefect.context`` takes over ``context``.

Releases up to 0.5.3 do 2 to 5 for the defaults and for the user's file apart, and merge then.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Dict, Iterable, List, Mapping, Optional, Sequence

from pytest_flowsecrets.resolution import secret_get
from pytest_flowsecrets.resolution.dialects import Dialect, default_box, dialect_for
from pytest_flowsecrets.resolution.env_names import SECRETS, Key
from pytest_flowsecrets.resolution.layers import Failure, Layer, Origin, Refused, Slot, Table, object_name
from pytest_flowsecrets.resolution.loader.interpolate import Surroundings
from pytest_flowsecrets.resolution.loader.merge import Flat, merge_flat, merge_tables, resolved_flat
from pytest_flowsecrets.resolution.loader.nest import build, context_of, validate
from pytest_flowsecrets.resolution.loader.task_defaults import check_task_defaults
from pytest_flowsecrets.resolution.packaged_defaults import packaged_defaults
from pytest_flowsecrets.resolution.reserved_keys import forbidden_names

if TYPE_CHECKING:
    from pytest_flowsecrets.resolution.loader.python_literals import Python


@dataclass(frozen=True)
class Machine:
    """What the result depends on besides layers and environment.

    Attributes:
        home: home of the user, for ``~`` where ``HOME`` is not set.
        users: homes of other users, for ``~name``.
        python: version of Python, which decides what is a literal.
        box: version of python-box, which decides what names are refused; None for the one that pip would choose.
    """

    home: str = "~"
    users: Mapping[str, str] = field(default_factory=dict)
    python: Python = (sys.version_info[0], sys.version_info[1])
    box: Optional[str] = None

    def box_of(self, dialect: Dialect) -> str:
        """The version of python-box that a release runs with here; ``""`` for those without.

        Args:
            dialect: the rules, with their release.
        """
        return default_box(dialect, self.python) if self.box is None or not dialect.box else self.box


@dataclass(repr=False)
class Resolution:
    """What a configuration comes to.

    Attributes:
        dialect: the rules that were applied.
        machine: what else was assumed.
        layers: the files.
        environ: the environment.
        failure: the error with which ``import prefect`` fails, or None.
        config: the configuration (empty after a failure).
        context: ``prefect.context``, as far as the configuration fills it.
        flat: every key with its origin and steps.
        lost: values that were dropped together with their table.
        unsettled: keys whose value depends on PYTHONHASHSEED, with the value that the opposite order gives.
        building: whether ``Secret.get`` is called inside ``with Flow(...)``.
    """

    dialect: Dialect
    machine: Machine
    layers: Sequence[Layer] = ()
    environ: Mapping[str, str] = field(default_factory=dict)
    failure: Optional[Failure] = None
    config: Table = field(default_factory=Table)
    context: Dict[Any, Any] = field(default_factory=dict)
    flat: Flat = field(default_factory=dict)
    lost: List[Slot] = field(default_factory=list)
    unsettled: Dict[Key, Any] = field(default_factory=dict)
    building: bool = False

    def get(self, name: str) -> secret_get.Outcome:
        """Return what ``Secret(name).get()`` gives.

        Args:
            name: the name that the flow asks for.
        """
        if self.failure is not None:
            return secret_get.Outcome("error", error=self.failure)
        flags = secret_get.Flags(self._use_local(), self.config.get("backend"), self.building)
        return secret_get.get(name, self.context, self.dialect.lookup, flags, self.machine.python)

    @property
    def secrets(self) -> Any:
        """The table of secrets in the context: mostly a mapping, but a configuration can make it anything."""
        return self.context.get("secrets")

    @property
    def names(self) -> List[str]:
        """Names of all secrets, in the order in which they were written."""
        return [name for name in self.secrets if isinstance(name, str)] if isinstance(self.secrets, dict) else []

    def slots(self, name: str) -> List[Slot]:
        """List what was written for a secret: under its own key, below it, or for the table as a whole.

        Args:
            name: name of the secret.
        """
        whole = [self.flat[key] for key in (("context",), SECRETS) if key in self.flat]
        return whole + self._index.get(name, [])

    @cached_property
    def _index(self) -> Dict[str, List[Slot]]:
        return _by_name(self.flat)

    def _use_local(self) -> Any:
        cloud = self._cloud()
        if not isinstance(cloud, dict):
            return Failure("AttributeError", f"'{object_name(cloud)}' object has no attribute 'use_local_secrets'")
        if "use_local_secrets" not in cloud:  # without python-box no variable can replace a table
            return Failure("BoxKeyError", "\"'Config' object has no attribute 'use_local_secrets'\"")
        return cloud["use_local_secrets"]

    def _cloud(self) -> Any:
        """What ``Secret`` sees as ``config.cloud``: ``[context.config]`` is merged into its copy from 0.6.4."""
        cloud = self.config.get("cloud", {"use_local_secrets": None})
        own = self.context.get("config") if self.dialect.lookup.context_flag else None
        if not isinstance(own, dict) or "cloud" not in own:
            return cloud
        return {**cloud, **own["cloud"]} if isinstance(cloud, dict) and isinstance(own["cloud"], dict) else own["cloud"]

    def __repr__(self) -> str:
        state = repr(self.failure) if self.failure else f"{len(self.names)} secrets"
        return f"<Resolution {self.dialect.id} {self.dialect.version}: {state}>"


def resolve(
    layers: Iterable[Layer],
    environ: Mapping[str, str],
    dialect: Dialect | str,
    *,
    context: Optional[Mapping[str, Any]] = None,
    machine: Optional[Machine] = None,
) -> Resolution:
    """Resolve a configuration as a release of Prefect does.

    Args:
        layers: the files that exist, in any order; the packaged defaults are added where no layer has that kind.
        environ: the whole environment, in its order.
        dialect: the rules, or a release (``"0.14.22"``).
        context: a table of secrets that replaces the configuration's in ``prefect.context``.
        machine: homes, Python and python-box; by default the running Python's.

    Returns:
        What it comes to; errors that Prefect raises are in it, and are not raised.

    Raises:
        UnknownPrefectVersion: no such release.
    """
    rules = dialect if isinstance(dialect, Dialect) else dialect_for(dialect)
    result = Resolution(rules, machine or Machine(), _ordered(layers, rules), environ)
    try:
        _load(result)
    except Refused as refused:
        result.failure, result.config, result.context = refused.failure, Table(), {}
    except RecursionError as error:  # a name of a thousand parts ends Prefect's own recursion, too
        failure = Failure("RecursionError", str(error))
        result.failure, result.config, result.context = failure, Table(), {}
    if context is not None and result.failure is None:
        _put_context(result, context)
    return result


def _ordered(layers: Iterable[Layer], dialect: Dialect) -> List[Layer]:
    given = [layer for layer in layers if layer.kind != "backend" or dialect.backend_file]
    if not any(layer.kind == "defaults" for layer in given):
        given.append(Layer("defaults", packaged_defaults(dialect), "prefect/config.toml"))
    return sorted(given, key=lambda layer: ("defaults", "user", "backend").index(layer.kind))


def _load(result: Resolution) -> None:
    dialect, machine = result.dialect, result.machine
    around = Surroundings(dialect, result.environ, machine.home, machine.users, machine.python)
    box = machine.box_of(dialect)
    parts = [[layer] for layer in result.layers] if dialect.per_file else [result.layers]
    for part in parts:
        for layer in part:
            if layer.failure is not None:
                raise Refused(layer.failure)
        flat = resolved_flat(part, around, result.unsettled)
        config, lost = build(flat, dialect, box)
        result.flat = merge_flat(result.flat, flat)
        result.config = merge_tables(result.config, config) if result.config else config
        result.lost += lost
    if not dialect.at_least("0.6.4"):
        check_task_defaults(result.config, result.flat, dialect)
    validate(result.config, dialect, forbidden_names(dialect, machine.python, box))
    if dialect.at_least("0.6.4"):
        check_task_defaults(result.config, result.flat, dialect)
    result.context = context_of(result.config, dialect)


def _put_context(result: Resolution, context: Mapping[str, Any]) -> None:
    result.context["secrets"] = dict(context)
    for name, value in context.items():
        key = (*SECRETS, name)
        slot = Slot(value, Origin("context", "prefect.context", key=key), key)
        old = result.flat.get(key)
        if old is not None:
            slot.beaten += [old, *old.beaten]
        result.flat[key] = slot


def _by_name(flat: Flat) -> Dict[str, List[Slot]]:
    index: Dict[str, List[Slot]] = {}
    for key, slot in flat.items():
        if key[:2] == SECRETS and len(key) > 2:  # noqa: PLR2004 (context, secrets, name)
            index.setdefault(key[2], []).append(slot)
    return index
