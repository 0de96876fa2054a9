"""How a text must be written in a variable or a config file so that a flow gets a certain text."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Tuple

from pytest_flowsecrets.errors import UsageError
from pytest_flowsecrets.isolation.environment.prefect_variables import variable_for
from pytest_flowsecrets.isolation.prefect1.paths import this_machine
from pytest_flowsecrets.names import SECRETS_PREFIX

if TYPE_CHECKING:
    from pytest_flowsecrets.findings.readings import Reading


def evaluate(name: str, text: str, version: str, *, in_file: bool) -> Reading:
    """Evaluate a text as the only secret, in a variable or in a config file."""
    from pytest_flowsecrets.findings.readings import evaluate_text
    from pytest_flowsecrets.resolution.dialects import dialect_for
    from pytest_flowsecrets.resolution.env_names import SECRETS
    from pytest_flowsecrets.resolution.layers import Origin, Slot
    from pytest_flowsecrets.resolution.loader.interpolate import LoadContext

    machine = this_machine()
    around = LoadContext(dialect_for(version), dict(os.environ), machine.home, machine.users, machine.python)
    origin = Origin("user", "config.toml") if in_file else Origin("env", f"{SECRETS_PREFIX}{name}")
    return evaluate_text(name, text, Slot(text, origin, (*SECRETS, name)), around)


def write_exactly(name: str, value: str, version: str, *, in_file: bool) -> Tuple[str, bool]:
    """Return how to write a text so that a flow gets exactly this text: what to write, and whether to use a file.

    Args:
        name: the name of the secret.
        value: the text that the flow should get.
        version: the version of Prefect.
        in_file: whether a variable is not possible.

    Raises:
        UsageError: this version has no way to write the text.
    """
    from pytest_flowsecrets.findings.quoting import exact_text

    for use_file in (True,) if in_file else (False, True):
        text = exact_text(evaluate(name, str(value), version, in_file=use_file))
        if text is not None and (use_file or variable_for(name, text, version) is not None):
            return text, use_file
    raise UsageError(
        f"secret {name!r}: Prefect {version} has no way to write this text exactly: set another text, or set it in "
        "prefect.context.secrets"
    )
