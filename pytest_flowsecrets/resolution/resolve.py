"""Resolution of layers into ``prefect.config.context.secrets`` and the result of ``Secret(name).get()``.

The model follows the order of Prefect's own loader (``load_configuration`` of 0.5.4 to 1.4.1):

1. Merge the packaged defaults, the user's ``config.toml`` and (from 0.10.0) ``backend.toml``. Tables are merged; any
   other value replaces the earlier one.
2. Flatten the result: ``{("context", "secrets", "A"): value}``. Empty tables disappear.
3. Insert the variables that start with ``PREFECT__``, in the order of the environment. Their values are decoded as
   escapes (up to 0.13.14), expanded and typed.
4. Expand all strings and, from 0.11.2, type them. The values of variables are typed for the second time.
5. Fill in ``${a.b}``, in at most ten rounds.
6. Nest the tables again and check the names; ``prefect.context`` copies ``context``.

Releases up to 0.5.3 apply steps 2 to 5 to the defaults and to the user's file separately and then merge the results.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Dict, Iterable, List, Mapping, Optional, Sequence

from pytest_flowsecrets.resolution import secret_get
from pytest_flowsecrets.resolution.dialects import Dialect, default_box, dialect_for
from pytest_flowsecrets.resolution.env_names import SECRETS, Key
from pytest_flowsecrets.resolution.layers import Failure, Layer, Origin, PrefectLoadError, Slot, Table, object_name
from pytest_flowsecrets.resolution.loader.interpolate import LoadContext
from pytest_flowsecrets.resolution.loader.merge import Flat, load_flat, merge_flat, merge_tables
from pytest_flowsecrets.resolution.loader.nest import build, check_task_defaults, context_of, validate
from pytest_flowsecrets.resolution.packaged_defaults import packaged_defaults
from pytest_flowsecrets.resolution.reserved_keys import forbidden_names

if TYPE_CHECKING:
    from pytest_flowsecrets.resolution.loader.python_literals import Python


@dataclass(frozen=True)
class Machine:
    """Facts about the machine on which the result depends, besides layers and environment.

    Attributes:
        home: the home directory of the user, for ``~`` if ``HOME`` is not set.
        users: the home directories of other users, for ``~name``.
        python: the version of Python, which determines what is a literal.
        box: the version of python-box, which determines the reserved names. None for the version that pip installs.
    """

    home: str = "~"
    users: Mapping[str, str] = field(default_factory=dict)
    python: Python = (sys.version_info[0], sys.version_info[1])
    box: Optional[str] = None

    def box_of(self, dialect: Dialect) -> str:
        """Return the version of python-box that a release uses here, or ``""`` if it does not use python-box.

        Args:
            dialect: the rules, with their release.
        """
        return default_box(dialect, self.python) if self.box is None or not dialect.box else self.box


@dataclass(repr=False)
class Resolution:
    """The result of loading a configuration.

    Attributes:
        dialect: the rules.
        machine: facts about the machine.
        layers: the files.
        environ: the environment.
        failure: the error of ``import prefect``, or None.
        config: the configuration. It is empty after a failure.
        context: the part of ``prefect.context`` that comes from the configuration.
        flat: every key with its origin and steps.
        dropped: values that disappeared because a later value replaced their table.
        hash_order_dependent: the keys whose value depends on PYTHONHASHSEED, with the value in the opposite order.
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
    dropped: List[Slot] = field(default_factory=list)
    hash_order_dependent: Dict[Key, Any] = field(default_factory=dict)
    building: bool = False

    def get(self, name: str) -> secret_get.Outcome:
        """Return the result of ``Secret(name).get()``.

        Args:
            name: the name that the flow passes to ``Secret``.
        """
        if self.failure is not None:
            return secret_get.Outcome("error", error=self.failure)
        flags = secret_get.Flags(self._use_local(), self.config.get("backend"), self.building)
        return secret_get.get(name, self.context, self.dialect.lookup, flags, self.machine.python)

    @property
    def secrets(self) -> Any:
        """The table of secrets in the context. It is usually a mapping, but a configuration can make it any value."""
        return self.context.get("secrets")

    @property
    def names(self) -> List[str]:
        """The names of all secrets, in the order of the configuration."""
        return [name for name in self.secrets if isinstance(name, str)] if isinstance(self.secrets, dict) else []

    def slots(self, name: str) -> List[Slot]:
        """Return the values for a secret: under its own key, below it, and for the whole table.

        Args:
            name: the name of the secret.
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
        if "use_local_secrets" not in cloud:  # only with python-box: otherwise no variable can replace a table
            return Failure("BoxKeyError", "\"'Config' object has no attribute 'use_local_secrets'\"")
        return cloud["use_local_secrets"]

    def _cloud(self) -> Any:
        """Return the ``config.cloud`` of ``Secret``: from 0.6.4 with ``[context.config]`` merged into it."""
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
        layers: the files that exist, in any order. The packaged defaults are added unless a layer is of that kind.
        environ: the whole environment, in its order.
        dialect: the rules, or a release (``"0.14.22"``).
        context: a table of secrets that replaces that of the configuration in ``prefect.context``.
        machine: home directories, Python and python-box. The default is the running Python.

    Returns:
        The resolution. It contains any error that Prefect raises; such errors are not raised here.

    Raises:
        UnknownPrefectVersion: there is no such release.
    """
    rules = dialect if isinstance(dialect, Dialect) else dialect_for(dialect)
    result = Resolution(rules, machine or Machine(), _ordered(layers, rules), environ)
    try:
        _load(result)
    except PrefectLoadError as error:
        result.failure, result.config, result.context = error.failure, Table(), {}
    except RecursionError as error:  # a name with a thousand parts exceeds Prefect's own recursion limit too
        failure = Failure("RecursionError", str(error))
        result.failure, result.config, result.context = failure, Table(), {}
    if context is not None and result.failure is None:
        _put_context(result, context)
    return result


def _ordered(layers: Iterable[Layer], dialect: Dialect) -> List[Layer]:
    read_by_prefect = [layer for layer in layers if layer.kind != "backend" or dialect.backend_file]
    if not any(layer.kind == "defaults" for layer in read_by_prefect):
        read_by_prefect.append(Layer("defaults", packaged_defaults(dialect), "prefect/config.toml"))
    return sorted(read_by_prefect, key=lambda layer: ("defaults", "user", "backend").index(layer.kind))


def _load(result: Resolution) -> None:
    dialect, machine = result.dialect, result.machine
    load_context = LoadContext(dialect, result.environ, machine.home, machine.users, machine.python)
    box = machine.box_of(dialect)
    groups = [[layer] for layer in result.layers] if dialect.per_file else [result.layers]
    for group in groups:
        for layer in group:
            if layer.failure is not None:
                raise PrefectLoadError(layer.failure)
        flat = load_flat(group, load_context, result.hash_order_dependent)
        config, dropped = build(flat, dialect, box)
        result.flat = merge_flat(result.flat, flat)
        result.config = merge_tables(result.config, config) if result.config else config
        result.dropped += dropped
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
            slot.overridden += [old, *old.overridden]
        result.flat[key] = slot


def _by_name(flat: Flat) -> Dict[str, List[Slot]]:
    index: Dict[str, List[Slot]] = {}
    for key, slot in flat.items():
        if key[:2] == SECRETS and len(key) > 2:  # noqa: PLR2004 (context, secrets, name)
            index.setdefault(key[2], []).append(slot)
    return index
