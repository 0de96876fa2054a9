"""The settings of flows: their defaults, and turning them on and off."""

from __future__ import annotations

import pytest

from tests.backend.asking import Team

pytest.importorskip("graphql")
MUTATIONS = {
    "flow_heartbeat": "heartbeat_enabled",
    "flow_lazarus_process": "lazarus_enabled",
    "flow_version_lock": "version_locking_enabled",
}


@pytest.mark.parametrize("name", MUTATIONS)
def test_a_setting_is_turned_off_and_on(name):
    """A setting applies to all versions of the flow; the other settings do not change."""
    team = Team()
    project = team.project()
    first, other = team.flow(project), team.flow(project, name="other")
    before = dict(team.store.get("flow", first)["settings"])
    for word, on in (("disable", False), ("enable", True)):
        team.do(f"{word}_{name}", "success", flow_id=first)
        second = team.flow(project)
        for flow in (first, second):
            assert team.store.get("flow", flow)["settings"] == {**before, MUTATIONS[name]: on}
        assert team.ask("{ flow_group(order_by: {created: asc}) { settings } }")["flow_group"][0]["settings"] == {
            **before,
            MUTATIONS[name]: on,
        }
    assert team.store.get("flow", other)["settings"] == before


def test_a_flow_of_another_team():
    """The settings of another tenant's flow cannot be changed."""
    team = Team()
    theirs = Team(world=team.world).flow()
    error = team.cannot("disable_flow_heartbeat", "success", flow_id=theirs)
    assert error["message"] == "Flow not found"
