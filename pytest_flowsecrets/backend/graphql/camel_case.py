"""Add the camelCase names of Prefect 0.5 to 0.9 to the hand-written schema: mutations, queries, arguments, inputs.

For ``set_secret(input: set_secret_input!): success_payload``, the schema also gets ``setSecret(input:
setSecretInput!)`` with the same answer. The fields of answers exist in both spellings, because those clients mix them:
``getRunsInQueue {flow_run_ids}``. The schema text has one field per line, and each block ends with a line of its own,
so regular expressions can parse it.
"""

from __future__ import annotations

import re
from typing import Dict, List, Tuple

_EXCEPTIONS = {"createApiToken": "createAPIToken", "deleteApiToken": "deleteAPIToken"}  # spelling of 0.6 to 0.9
_BLOCK = re.compile(r"^(?:extend )?(type|input) (\w+) \{\n(.*?)^\}$", re.MULTILINE | re.DOTALL)
_FIELD = re.compile(r"^  (\w+)(\(.*\))?: (.+)$", re.MULTILINE)


def camel(name: str) -> str:
    """Return the spelling of old clients: ``setSecretInput`` for ``set_secret_input``."""
    spelling = re.sub(r"_([a-z])", lambda match: match.group(1).upper(), name)
    for regular, exception in _EXCEPTIONS.items():
        spelling = spelling.replace(regular, exception)
    return spelling


def both_spellings(sdl: str) -> Tuple[str, Dict[str, str]]:
    """Return the schema with both spellings, and a mapping from camelCase names to names with underscores."""
    names: Dict[str, str] = {}
    added: List[str] = []
    for kind, name, body in _BLOCK.findall(sdl):
        fields = [field for field in _FIELD.findall(body) if kind == "input" or camel(field[0]) != field[0]]
        names.update((camel(field), field) for field, _, _ in fields)
        lines = [f"  {camel(field + arguments)}: {_type(kind, type_)}" for field, arguments, type_ in fields]
        if lines:
            head = f"input {camel(name)}" if kind == "input" else f"extend type {name}"
            added += [f"{head} {{", *lines, "}", ""]
    return "\n".join([sdl, *added]), names


def _type(kind: str, name: str) -> str:
    """Return the name of a field's type. Only inputs have two: clients never use the name of an answer's type."""
    return camel(name) if kind == "input" and "_input" in name else name
