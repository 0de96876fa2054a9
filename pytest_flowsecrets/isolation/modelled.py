"""What the files and variables of an isolation come to by the model of ``resolution``.

For explanations, and for reading where no Prefect is installed. Where one is, it is the truth, and this is not asked.
"""

from __future__ import annotations

import builtins
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Dict

from pytest_flowsecrets.errors import PrefectNotInstalled
from pytest_flowsecrets.isolation.environ import SECRETS_PREFIX
from pytest_flowsecrets.isolation.files import config_files, missing_files, this_machine
from pytest_flowsecrets.isolation.spelling import plain

if TYPE_CHECKING:
    from pytest_flowsecrets.resolution.advice import Reading
    from pytest_flowsecrets.resolution.resolve import Resolution


def modelled(version: str) -> Resolution:
    """The resolution of ``os.environ`` and of the files that Prefect would read now, under a version's rules."""
    from pytest_flowsecrets.resolution.resolve import resolve
    from pytest_flowsecrets.resolution.toml import read_layer

    layers = [read_layer(Path(path).read_bytes(), kind, path) for kind, path in config_files()]
    return resolve(layers, dict(os.environ), version, machine=this_machine())


def reading(name: str, text: str, version: str, *, in_file: bool) -> Reading:
    """The model's reading of a text as the only secret, in a variable or in a config file."""
    from pytest_flowsecrets.resolution.advice import alone
    from pytest_flowsecrets.resolution.dialects import dialect_for
    from pytest_flowsecrets.resolution.layers import Origin, Slot
    from pytest_flowsecrets.resolution.names import SECRETS
    from pytest_flowsecrets.resolution.values import Surroundings

    machine = this_machine()
    around = Surroundings(dialect_for(version), dict(os.environ), machine.home, machine.users, machine.python)
    origin = Origin("user", "config.toml") if in_file else Origin("env", f"{SECRETS_PREFIX}{name}")
    return alone(name, text, Slot(text, origin, (*SECRETS, name)), around)


def secrets_in(resolution: Resolution) -> Dict[str, Any]:
    """Names and raw values, as they stand in the context."""
    return {name: plain(resolution.secrets[name]) for name in resolution.names}


def read_in(resolution: Resolution, name: str) -> Any:
    """What ``Secret(name).get()`` would give.

    Raises:
        Exception: of the type that Prefect would raise.
        PrefectNotInstalled: Prefect would ask Cloud.
    """
    outcome = resolution.get(name)
    if outcome.error is not None:
        kind = getattr(builtins, outcome.error.type, ValueError)
        raise kind(outcome.error.safe_message)
    if outcome.kind == "cloud":
        raise PrefectNotInstalled(f"reading {name!r} from Prefect Cloud")
    return plain(outcome.value)


def told(resolution: Resolution, name: str) -> str:
    """The explanation of a secret in words, its values masked."""
    from pytest_flowsecrets.resolution.advice import findings
    from pytest_flowsecrets.resolution.explain import explain
    from pytest_flowsecrets.resolution.masks import Mask

    found = [*findings(resolution), *missing_files()]
    return explain(resolution, name, found).text(Mask())
