"""The names of Prefect 0.5 to 0.9: each mutation, query, argument and input made by hand once more, in camelCase.

``set_secret(input: set_secret_input!): success_payload`` also gives ``setSecret(input: setSecretInput!)`` with the same
answer, whose fields can be asked for in both spellings, because those clients mix them: ``getRunsInQueue
{flow_run_ids}``. The schema is read line by line, which its layout allows: one field a line, blocks closed by a line of
their own.
"""

from __future__ import annotations

import re
from typing import Dict, List, Tuple

_ODD = {"createApiToken": "createAPIToken", "deleteApiToken": "deleteAPIToken"}  # as 0.6 to 0.9 write them
_BLOCK = re.compile(r"^(?:extend )?(type|input) (\w+) \{\n(.*?)^\}$", re.MULTILINE | re.DOTALL)
_FIELD = re.compile(r"^  (\w+)(\(.*\))?: (.+)$", re.MULTILINE)


def camel(name: str) -> str:
    """``set_secret_input`` as ``setSecretInput``; a name that old clients wrote in another way as they wrote it."""
    written = re.sub(r"_([a-z])", lambda found: found.group(1).upper(), name)
    for usual, odd in _ODD.items():
        written = written.replace(usual, odd)
    return written


def both_spellings(sdl: str) -> Tuple[str, Dict[str, str]]:
    """The schema with both, and which name in camelCase stands for which one with underscores."""
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
    """Only inputs exist twice; clients never write the name of an answer's type."""
    return camel(name) if kind == "input" and "_input" in name else name
