"""The names of Secret blocks. Prefect 2.20 and 3 allow only lower-case letters, digits and dashes in them."""

from __future__ import annotations

import re
from typing import Any, Dict, Mapping

from pytest_flowsecrets.errors import UsageError
from pytest_flowsecrets.isolation.secrets.encoding import validate_name

_VALID = re.compile(r"[a-z0-9-]+")


def block_name(name: str) -> str:
    """Return the name of the block for a secret: in lower case, with a dash for each underscore.

    Args:
        name: the name that the test uses, such as ``GITHUB_ACCESS_TOKEN`` or ``github-access-token``.

    Raises:
        UsageError: no block can have this name.
    """
    block = validate_name(name).lower().replace("_", "-")
    if not (name.isascii() and _VALID.fullmatch(block)):  # the Kelvin sign is "k" in lower case
        raise UsageError(
            f"{name!r} cannot name a Secret block: Prefect 2.20 and 3 allow only lower-case letters, digits and dashes "
            "(a test may write capitals and underscores, too)"
        )
    return block


def block_values(values: Mapping[str, Any]) -> Dict[str, Any]:
    """Return secrets by the names of their blocks.

    Raises:
        UsageError: no block can have one of the names, or two names stand for the same block.
    """
    names: Dict[str, str] = {}
    for name in values:
        first = names.setdefault(block_name(name), name)
        if first != name:
            raise UsageError(
                f"{first!r} and {name!r} stand for the same Secret block, {block_name(name)!r}: keep one of them"
            )
    return {block: values[name] for block, name in names.items()}
