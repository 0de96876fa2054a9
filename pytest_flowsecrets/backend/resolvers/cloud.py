"""Other features of Cloud alone, besides secrets and keys: key-value store, tag limits, agent configs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Mapping

from pytest_flowsecrets.backend.messages import BadInput
from pytest_flowsecrets.backend.resolvers import SUCCESS, mutation

if TYPE_CHECKING:
    from pytest_flowsecrets.backend.request_context import RequestContext


@mutation
def set_key_value(context: RequestContext, inputs: Mapping[str, Any]) -> Any:
    """Set or overwrite an entry of the key-value store."""
    return _put(context, "key_value", "key", inputs["key"], value=inputs.get("value"))


@mutation
def delete_key_value(context: RequestContext, inputs: Mapping[str, Any]) -> Any:
    """Delete an entry of the key-value store by its id."""
    context.store.remove("key_value", context.get_or_error("key_value", inputs["key_value_id"])["id"])
    return SUCCESS


@mutation
def update_task_tag_limit(context: RequestContext, inputs: Mapping[str, Any]) -> Any:
    """Set how many tasks with a tag may run at once. The limit is stored, not enforced."""
    if inputs["limit"] < 0:
        raise BadInput("limit must not be negative")
    return _put(context, "task_tag_limit", "tag", inputs["tag"], limit=inputs["limit"])


@mutation
def delete_task_tag_limit(context: RequestContext, inputs: Mapping[str, Any]) -> Any:
    """Delete the limit of a tag by its id."""
    context.store.remove("task_tag_limit", context.get_or_error("task_tag_limit", inputs["limit_id"])["id"])
    return SUCCESS


@mutation
def create_agent_config(context: RequestContext, inputs: Mapping[str, Any]) -> Any:
    """Create the settings that an agent with this ``agent_config_id`` queries at its start."""
    values = {"name": inputs.get("name"), "settings": inputs["settings"]}
    return context.store.add("agent_config", tenant_id=context.tenant_id, **values)


def _put(context: RequestContext, table: str, column: str, name: str, **values: Any) -> Any:
    for row in context.rows(table):
        if row[column] == name:
            return context.store.change(table, row["id"], **values)
    return context.store.add(table, tenant_id=context.tenant_id, **{column: name}, **values)
