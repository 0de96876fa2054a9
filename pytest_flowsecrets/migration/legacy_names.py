"""The legacy names through which a module reaches secrets, and the names in import statements."""

from __future__ import annotations

from typing import Dict, Optional

import libcst as cst

SECRET, TASK, ENVIRONMENT, CONTEXT = "Secret", "PrefectSecret", "EnvVarSecret", "prefect.context.secrets"
LEGACY: Dict[str, str] = {
    "prefect.client.Secret": SECRET,
    "prefect.client.secrets.Secret": SECRET,
    **{f"prefect.tasks.secrets.{place}{name}": TASK for place in ("", "base.") for name in ("Secret", "PrefectSecret")},
    "prefect.tasks.secrets.EnvVarSecret": ENVIRONMENT,
    "prefect.tasks.secrets.env_var.EnvVarSecret": ENVIRONMENT,
    "prefect.context.secrets": CONTEXT,
    "prefect.utilities.context.context.secrets": CONTEXT,
}


def dotted(node: Optional[cst.CSTNode]) -> str:
    """Return a name with dots as text, or ``""`` for a relative import.

    Args:
        node: a Name, an Attribute of names, or None.
    """
    if isinstance(node, cst.Name):
        return node.value
    return f"{dotted(node.value)}.{node.attr.value}" if isinstance(node, cst.Attribute) else ""


def import_prefix(node: cst.ImportFrom) -> str:
    """Return what stands before the names of a ``from`` import: ``"prefect.client."``, or ``".."`` for ``from ..``.

    Args:
        node: the statement.
    """
    module = dotted(node.module)
    return "." * len(node.relative) + (f"{module}." if module else "")


def bound_name(alias: cst.ImportAlias) -> str:
    """Return the local name that an import binds.

    Args:
        alias: a part of an import.
    """
    name = alias.asname.name if alias.asname is not None else alias.name
    return dotted(name)
