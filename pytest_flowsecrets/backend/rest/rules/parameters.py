"""Parameters of a flow run against the schema of its deployment: types and required names.

The real server validates the whole JSON Schema. This covers what the schemas of flows consist of: the types of values,
required parameters, and unions of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Dict, Optional, Tuple

if TYPE_CHECKING:
    from pytest_flowsecrets.backend.rest.errors import Row

_TYPES: Dict[str, Tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "array": (list,),
    "object": (dict,),
    "null": (type(None),),
}


def invalid_parameter(schema: Row, parameters: Row) -> Optional[str]:
    """Return what is wrong with parameters, in the words of the real server; None if they are valid."""
    missing = [name for name in schema.get("required") or () if name not in parameters]
    if missing:
        return f"Validation failed. Failure reason: {missing[0]!r} is a required property"
    for name, value in parameters.items():
        expected = (schema.get("properties") or {}).get(name, {})
        if not _fits(expected, value):
            return (
                f"Validation failed for field {name!r}. Failure reason: {value!r} is not of type {expected['type']!r}"
            )
    return None


def _fits(schema: Row, value: Any) -> bool:
    kind = schema.get("type")
    if kind not in _TYPES or (isinstance(value, dict) and "__prefect_kind" in value):
        return True
    if isinstance(value, bool) and kind in ("integer", "number"):
        return False
    return isinstance(value, _TYPES[kind]) or (kind == "integer" and isinstance(value, float) and value.is_integer())
