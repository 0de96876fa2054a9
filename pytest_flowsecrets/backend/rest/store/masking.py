"""Masked block documents: what the API shows to those who do not ask for secrets.

A schema names its secret fields by paths such as ``creds.token``; ``*`` at the end stands for every key below. A path
hides a leaf of the data: a text, a list, or an empty mapping. The entries of a mapping that is not empty have longer
paths, which the schema does not name: the real server shows them, and so does this one.
"""

from __future__ import annotations

from typing import Any, Iterable, Iterator, List, Mapping, Optional, Tuple

MASK = "********"
Path = Tuple[str, ...]


def secret_fields(schema: Optional[Mapping[str, Any]]) -> List[str]:
    """Return the paths of the secret fields of a block schema, or an empty list without a schema."""
    return list(((schema or {}).get("fields") or {}).get("secret_fields") or ())


def secret_name(block: str, path: str) -> str:
    """Return the name of a secret field: the name of the block, with the path unless it is the value of a Secret."""
    return block if path == "value" else f"{block}.{path}"


def mask(data: Mapping[str, Any], secret_fields: Iterable[str]) -> Any:
    """Return data with every secret leaf replaced by a mask; null stays null."""
    return _mask(data, (), [tuple(field.split(".")) for field in secret_fields])


def _mask(value: Any, path: Path, secrets: List[Path]) -> Any:
    if isinstance(value, dict) and (value or not path):
        return {key: _mask(item, (*path, key), secrets) for key, item in value.items()}
    hidden = value is not None and any(_covers(secret, path) for secret in secrets)
    return MASK if hidden else value


def _covers(secret: Path, path: Path) -> bool:
    if "*" in secret:
        fixed = secret.index("*")
        return len(path) > fixed and path[:fixed] == secret[:fixed]
    return path == secret


def without_secrets(data: Mapping[str, Any], secret_fields: Iterable[str]) -> Mapping[str, Any]:
    """Return data without the values that ``secret_values`` yields."""
    result: Mapping[str, Any] = _without(data, (), _prefixes(secret_fields))
    return result


def _without(value: Any, path: Path, secrets: List[Path]) -> Any:
    if any(path[: len(secret)] == secret for secret in secrets):
        return None
    if isinstance(value, dict):
        return {key: _without(item, (*path, key), secrets) for key, item in value.items()}
    return value


def _prefixes(secret_fields: Iterable[str]) -> List[Path]:
    return [tuple(part for part in field.split(".") if part != "*") for field in secret_fields]


def secret_values(data: Mapping[str, Any], secret_fields: Iterable[str]) -> Iterator[Tuple[str, Any]]:
    """Yield the secret leaves of data with their paths, such as ``creds.token``.

    Entries of a mapping below a secret field count, too: the real server shows them, and they are secrets all the same.
    """
    yield from _secret_values(data, (), _prefixes(secret_fields))


def _secret_values(value: Any, path: Path, secrets: List[Path]) -> Iterator[Tuple[str, Any]]:
    if any(path[: len(secret)] == secret for secret in secrets):
        if value is not None:
            yield ".".join(path), value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _secret_values(item, (*path, key), secrets)


def keep_masked(new: Any, old: Any) -> Any:
    """Return new data in which each mask is replaced by the old value: a client may send back what it was shown."""
    if isinstance(new, dict) and isinstance(old, dict):
        return {key: keep_masked(value, old.get(key)) for key, value in new.items()}
    return old if isinstance(new, str) and new and not new.strip("*") and old is not None else new
