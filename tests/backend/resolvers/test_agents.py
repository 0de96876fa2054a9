"""Agents, and other features of Cloud alone: key-value store, limits of task tags, settings of agents."""

from __future__ import annotations

import pytest

from tests.backend.asking import Team

pytest.importorskip("graphql")


@pytest.fixture
def team():
    return Team()


def test_an_agent_that_starts_again_is_the_same(team):
    """An agent with the same type, name and labels keeps its id, in any order of the labels."""
    inputs = {"type": "LocalAgent", "name": "n", "tenant_id": team.id}
    first = team.do("register_agent", labels=["a", "b"], **inputs)["id"]
    config = team.do("create_agent_config", settings={"x": 1}, name="c")["id"]
    assert team.do("register_agent", labels=["b", "a"], agent_config_id=config, **inputs)["id"] == first
    assert team.do("register_agent", labels=["a"], **inputs)["id"] != first
    assert team.ask("{ agent { name labels agent_config { settings } last_queried } }")["agent"] == [
        {"name": "n", "labels": ["a", "b"], "agent_config": {"settings": {"x": 1}}, "last_queried": None},
        {"name": "n", "labels": ["a"], "agent_config": None, "last_queried": None},
    ]


def test_an_agent_is_deleted_its_runs_stay(team):
    """Deleting an agent keeps its flow runs, which then have no agent."""
    agent = team.do("register_agent", tenant_id=team.id)["id"]
    team.store.change("flow_run", team.run(), agent_id=agent)
    team.do("delete_agent", "success", agent_id=agent)
    assert team.ask("{ agent { id } flow_run { agent { id } agent_id } }") == {
        "agent": [],
        "flow_run": [{"agent": None, "agent_id": None}],
    }


def test_key_values(team):
    """Entries of the key-value store are set, overwritten and deleted, separately for each tenant."""
    other = Team(world=team.world)
    team.do("delete_key_value", "success", key_value_id=team.do("set_key_value", key="gone")["id"])
    first = team.do("set_key_value", key="k", value=1)["id"]
    later = team.do("set_key_value", key="l")["id"]
    assert team.do("set_key_value", key="l")["id"] == later
    team.do("delete_key_value", "success", key_value_id=later)
    assert team.do("set_key_value", key="k", value={"a": [None]})["id"] == first
    assert other.do("set_key_value", key="k")["id"] != first
    assert team.one("key_value { key value }") == {"key": "k", "value": {"a": [None]}}
    assert other.one("key_value { value }") == {"value": None}
    assert other.cannot("delete_key_value", "success", key_value_id=first)["message"] == "Key value not found"
    team.do("delete_key_value", "success", key_value_id=first)
    assert team.ask("{ key_value { id } }") == {"key_value": []}


def test_limits_of_task_tags(team):
    """Limits of task tags are stored, changed and deleted; negative limits are rejected."""
    first = team.do("update_task_tag_limit", tag="t", limit=3)["id"]
    assert team.do("update_task_tag_limit", tag="t", limit=0)["id"] == first
    assert team.one("task_tag_limit { tag limit }") == {"tag": "t", "limit": 0}
    assert team.cannot("update_task_tag_limit", tag="t", limit=-1)["message"] == "limit must not be negative"
    team.do("delete_task_tag_limit", "success", limit_id=first)
    assert team.ask("{ task_tag_limit { id } }") == {"task_tag_limit": []}
