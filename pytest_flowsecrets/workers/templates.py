"""The templates ``{{ … }}`` in ``job_variables``, and what the worker makes of them."""

from __future__ import annotations

import json
import os
import re
from typing import Any, Dict, Iterable, Iterator, List, Mapping, NamedTuple, Optional, Tuple

from pytest_flowsecrets.errors import with_article
from pytest_flowsecrets.resolution.shown_names import masked_name

_PLACEHOLDER = re.compile(r"\{\{\s*([^\s{}]+)\s*\}\}")
_SECRET, _VARIABLE = "prefect.blocks.secret.", "prefect.variables."
_LABEL = "flowsecrets-origin:"
_REFERENCE = "fieldRef"  # of Kubernetes; holds a label

Variables = Dict[str, Any]


class Values(NamedTuple):
    """The rows of the API that templates refer to.

    Attributes:
        blocks: the stored values of the Secret blocks.
        variables: the variables.
    """

    blocks: Mapping[str, Any]
    variables: Mapping[str, Any]


def placeholders(text: Any) -> List[str]:
    """Return the names in the templates of a text; an empty list for other values."""
    return _PLACEHOLDER.findall(text) if isinstance(text, str) else []


# -- the variables of a place ------------------------------------------------------------------------------------------


def env_of(job_variables: Mapping[str, Any]) -> Variables:
    """Return the environment variables in ``job_variables``: ``env`` as a table or as a list, and ``env.NAME``."""
    dotted = {key[len("env.") :]: value for key, value in job_variables.items() if key.startswith("env.")}
    return {**dotted, **_as_table(job_variables.get("env"))}


def env_of_template(template: Mapping[str, Any]) -> Variables:
    """Return the environment variables in a base job template."""
    return {name: value for env in _places(template) for name, value in _as_table(env).items()}


def _as_table(env: Any) -> Variables:
    """Return variables as a table. A reference of Kubernetes (``valueFrom``) is its own value."""
    if isinstance(env, list):
        items = [item for item in env if isinstance(item, Mapping) and "name" in item]
        return {item["name"]: item if "valueFrom" in item else item.get("value") for item in items}
    return dict(env) if isinstance(env, Mapping) else {}


def _places(template: Any) -> Iterator[Any]:
    """Yield the parts of a base job template that hold environment variables, where they are tables or lists."""
    for *path, key in (
        ("variables", "properties", "env", "default"),
        ("job_configuration", "env"),
        ("job_configuration", "job_manifest", "spec", "template", "spec", "containers", 0, "env"),
    ):
        holder = _node(template, path)
        if isinstance(holder, Mapping) and isinstance(holder.get(key), (Mapping, list)):
            yield holder[key]


def _node(node: Any, path: Iterable[Any]) -> Any:
    for key in path:
        try:
            node = node[key]
        except (KeyError, IndexError, TypeError):  # noqa: PERF203 - a few keys
            return None
    return node


# -- labels ------------------------------------------------------------------------------------------------------------


def label(job_variables: Mapping[str, Any], origin: str) -> Variables:
    """Return ``job_variables`` with a label instead of each environment variable, which shows where it comes from."""
    return {
        key: _labeled(value, origin) if key == "env" else _text(value, origin) if key.startswith("env.") else value
        for key, value in job_variables.items()
    }


def label_template(template: Variables, origin: str) -> None:
    """Replace each environment variable in a base job template by a label."""
    for env in _places(template):
        changed = _labeled(env, origin)
        env.clear()
        (env.extend if isinstance(env, list) else env.update)(changed)


def origin_of(item: Mapping[str, Any]) -> Optional[str]:
    """Return the origin of a variable with a label, or None for another one.

    Args:
        item: the variable as in a manifest of Kubernetes: ``name``, and ``value`` or ``valueFrom``.
    """
    text = _node(item, ("valueFrom", _REFERENCE, "fieldPath")) or item.get("value")
    return text[len(_LABEL) :] if isinstance(text, str) and text.startswith(_LABEL) else None


def _labeled(env: Any, origin: str) -> Any:
    if isinstance(env, list):
        return [_labeled_item(item, origin) if isinstance(item, Mapping) else item for item in env]
    return {name: _text(value, origin) for name, value in env.items()} if isinstance(env, Mapping) else env


def _labeled_item(item: Mapping[str, Any], origin: str) -> Variables:
    if "valueFrom" in item:
        return {**item, "valueFrom": {_REFERENCE: {"fieldPath": _LABEL + origin}}}
    return {**item, "value": _text(item.get("value"), origin)}


def _text(value: Any, origin: str) -> Optional[str]:
    return None if value is None else _LABEL + origin


# -- notes -------------------------------------------------------------------------------------------------------------


def notes_on_value(name: str, raw: Any, result: Optional[str], values: Values) -> Iterator[str]:
    """Yield what is remarkable about the templates of an environment variable.

    Args:
        name: of the variable.
        raw: the value as the operator wrote it.
        result: the value that the flow run gets.
        values: the rows of the API.
    """
    yield from _notes(masked_name(name), placeholders(raw), result or "", values)


def _notes(place: str, names: Iterable[str], result: str, values: Values) -> Iterator[str]:
    for name in names:
        problem = _problem(name, result, values)
        if problem:
            yield f"{place}: {{{{ {name} }}}} {problem}"


def _problem(placeholder: str, result: str, values: Values) -> str:
    if placeholder in placeholders(result):
        by_deploy = "only `prefect deploy` resolves it" if placeholder.startswith("$") else "nothing resolves it"
        return f"reaches the flow run unresolved: {by_deploy}; use a block or a variable"
    if placeholder.startswith("$"):
        missing = placeholder[1:] not in os.environ
        return "becomes an empty text: the environment of the worker has no such variable" if missing else ""
    if placeholder.startswith(_VARIABLE) and placeholder[len(_VARIABLE) :] not in values.variables:
        return "becomes an empty text: there is no such variable; correct its name or create it"
    value = _value(placeholder, values)
    if value is None or isinstance(value, (dict, list, bool)):
        kind = with_article(type(value).__name__) if value is not None else "None"
        is_known = placeholder.startswith((_SECRET, _VARIABLE))
        return f"is {kind}, and the flow run gets the text that Python prints; store json.dumps(value)" * is_known
    return ""


def _value(placeholder: str, values: Values) -> Any:
    if placeholder.startswith(_VARIABLE):
        return values.variables.get(placeholder[len(_VARIABLE) :])
    return values.blocks.get(placeholder[len(_SECRET) :], "")


def notes_on_job_variable(key: str, raw: Any, values: Values) -> Iterator[str]:
    """Yield what is remarkable about the templates in one of the ``job_variables`` besides ``env``.

    Args:
        key: the name of the job variable.
        raw: its value as the operator wrote it.
        values: the rows of the API.
    """
    for text in _texts(raw):
        names = placeholders(text)
        unresolved = " ".join(f"{{{{ {name} }}}}" for name in names if name.startswith("$"))
        suspicious = [name for name in names if name.startswith(("$", _VARIABLE))]
        yield from _notes(f"job_variables {key}", suspicious, unresolved, values)


def unused_job_variables(job_variables: Mapping[str, Any], template: Mapping[str, Any]) -> Iterator[str]:
    """Yield a note for each of the ``job_variables`` that the base job template does not use."""
    used = {name.partition(".")[0] for name in placeholders(json.dumps(template.get("job_configuration")))}
    for key in job_variables:
        if key.partition(".")[0] not in {*used, "env"}:
            yield f"job_variables: {key!r} has no effect: the base job template has no {{{{ {key} }}}}"


def block_problems(sources: Iterable[Tuple[str, Any]], values: Values) -> Iterator[str]:
    """Yield the reasons why templates of Secret blocks cannot be resolved.

    Args:
        sources: places, for the message, with their data.
        values: the rows of the API.
    """
    for place, text in ((place, text) for place, data in sources for text in _texts(data)):
        names = [name for name in placeholders(text) if name.startswith("prefect.blocks.")]
        for name in names:
            if name.startswith(_SECRET) and name[len(_SECRET) :].partition(".")[0] not in values.blocks:
                yield f"{place}: {{{{ {name} }}}}: there is no such Secret block"
        if names and (len(names) > 1 or not _PLACEHOLDER.fullmatch(text.strip())):
            yield f"{place}: {{{{ {names[0]} }}}} must be the whole value in this version of Prefect"


def _texts(data: Any) -> Iterator[str]:
    if isinstance(data, str):
        yield data
    elif isinstance(data, (Mapping, list)):
        for each in data.values() if isinstance(data, Mapping) else data:
            yield from _texts(each)
