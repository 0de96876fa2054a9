"""Names of Secret blocks and of variables for the names of the legacy line.

Prefect 2 and 3 allow lower-case letters, digits and dashes in the name of a block, and lower-case letters, digits and
underscores in the name of a variable (the newest releases also allow dashes). So no legacy name with a capital or an
underscore can name a block.
"""

from __future__ import annotations

import re

_LONGEST_VARIABLE = 255
_BLOCK = re.compile(r"[a-z0-9-]*[a-z0-9][a-z0-9-]*")
_VARIABLE = re.compile(r"[a-z0-9_]*[a-z0-9][a-z0-9_]*")


def block_name(name: str) -> str:
    """Return the name of the Secret block for a legacy secret: ``GITHUB_TOKEN`` becomes ``github-token``.

    Where ``isolation.prefect3.block_names`` accepts a name, the result is the same.

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
