"""The name of a variable and the configuration key that it sets, by dialect.

What is odd: up to 0.6.6 every name is lower-cased. From 0.6.7 the name of a secret keeps its case, but only the part
after the last ``__`` counts as the name. From 0.15.0 only the literal text ``CONTEXT__SECRETS`` is lower-cased, so
``Context__SECRETS`` becomes a section that nothing reads. ``__`` always splits: no variable can set ``A__B``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Optional, Tuple

from pytest_flowsecrets.names import PREFIX, SECRETS_PREFIX

if TYPE_CHECKING:
    from pytest_flowsecrets.resolution.dialects import Dialect

Key = Tuple[str, ...]

SECRETS: Key = ("context", "secrets")


def key_of(variable: str, dialect: Dialect) -> Optional[Key]:
    """Return the configuration key that a variable sets.

    Args:
        variable: the name of an environment variable.
        dialect: the rules.

    Returns:
        The parts of the key, or None if Prefect ignores this variable.
    """
    if not variable.startswith(PREFIX):
        return None
    option = variable[len(PREFIX) :]
    if dialect.env_names == "lower" or not option.upper().startswith("CONTEXT__SECRETS"):
        return tuple(option.lower().split("__"))
    if dialect.env_names == "keep_last":
        parts = option.split("__")
        return (*(part.lower() for part in parts[:-1]), parts[-1])
    return tuple(option.replace("CONTEXT__SECRETS", "context__secrets").split("__"))


def variable_for(name: str, dialect: Dialect) -> Optional[str]:
    """Return the variable that sets a secret, in the usual spelling.

    Args:
        name: the name that a flow passes to ``Secret``.
        dialect: the rules.

    Returns:
        The name of the variable, or None if no variable can set this secret (``A__B``; upper case up to 0.6.6).
    """
    variable = f"{SECRETS_PREFIX}{name.upper() if dialect.env_names == 'lower' else name}"
    if "=" in variable or "\0" in variable or key_of(variable, dialect) != (*SECRETS, name):
        return None
    return variable


def is_secret(key: Key) -> bool:
    """Return whether a key is in the table of secrets.

    Args:
        key: the parts of a configuration key.
    """
    return key[:2] == SECRETS
