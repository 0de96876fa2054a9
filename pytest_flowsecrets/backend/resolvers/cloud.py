"""What only Cloud has besides secrets and keys: the key-value store, limits of task tags, settings of agents."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Mapping

from pytest_flowsecrets.backend.client_errors import BadInput
from pytest_flowsecrets.backend.resolvers import SUCCESS, mutation

if TYPE_CHECKING:
    from pytest_flowsecrets.backend.request_context import Call


@mutation
def set_key_value(call: Call, given: Mapping[str, Any]) -> Any:
    """Set, or overwrite."""
    return _put(call, "key_value", "key", given["key"], value=given.get("value"))


@mutation
def delete_key_value(call: Call, given: Mapping[str, Any]) -> Any:
    """By its id, which the client looks up."""
    call.store.remove("key_value", call.must("key_value", given["key_value_id"])["id"])
    return SUCCESS


@mutation
def update_task_tag_limit(call: Call, given: Mapping[str, Any]) -> Any:
    """How many tasks of a tag may run at once. It is kept, not enforced."""
    if given["limit"] < 0:
        raise BadInput("a limit is not negative")
    return _put(call, "task_tag_limit", "tag", given["tag"], limit=given["limit"])


@mutation
def delete_task_tag_limit(call: Call, given: Mapping[str, Any]) -> Any:
    """By its id."""
    call.store.remove("task_tag_limit", call.must("task_tag_limit", given["limit_id"])["id"])
    return SUCCESS


@mutation
def create_agent_config(call: Call, given: Mapping[str, Any]) -> Any:
    """What an agent with this ``agent_config_id`` asks for when it starts."""
    values = {"name": given.get("name"), "settings": given["settings"]}
    return call.store.add("agent_config", tenant_id=call.tenant_id, **values)


def _put(call: Call, table: str, column: str, name: str, **values: Any) -> Any:
    for row in call.rows(table):
        if row[column] == name:
            return call.store.change(table, row["id"], **values)
    return call.store.add(table, tenant_id=call.tenant_id, **{column: name}, **values)
