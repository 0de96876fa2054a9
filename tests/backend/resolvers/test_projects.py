"""Projects and tenants."""

from __future__ import annotations

import pytest

from tests.backend.asking import Team

pytest.importorskip("graphql")


@pytest.fixture
def team():
    return Team()


def test_a_project_has_a_name_of_its_own(team):
    """The name of a project is unique in its tenant; the client recognizes the error's text."""
    first = team.do("create_project", name="p", description="d", tenant_id=team.id)["id"]
    assert team.cannot("create_project", name="p", tenant_id=team.id)["message"] == "Uniqueness violation."
    assert Team(world=team.world).project("p") != first
    assert team.one("project { id name description tenant { id } }") == {
        "id": first,
        "name": "p",
        "description": "d",
        "tenant": {"id": team.id},
    }


def test_clients_up_to_0_9_name_no_tenant(team):
    """Without a tenant, a project belongs to the caller's tenant."""
    document = "mutation($input: createProjectInput!) { createProject(input: $input) { id } }"
    project = team.ask(document, {"input": {"name": "p"}})["createProject"]["id"]
    assert team.one("project { id tenant_id }") == {"id": project, "tenant_id": team.id}


def test_a_project_is_renamed_and_described(team):
    """A project can be renamed to an unused name or its own, and described."""
    one, two = team.project("one"), team.project("two")
    assert team.do("set_project_name", project_id=one, name="one") == {"id": one}
    assert team.cannot("set_project_name", project_id=one, name="two")["message"] == "Uniqueness violation."
    team.do("set_project_name", project_id=two, name="three")
    team.do("set_project_description", project_id=two, description="d")
    rows = team.ask("{ project { name description } }")["project"]
    assert rows == [{"name": "one", "description": None}, {"name": "three", "description": "d"}]


def test_a_project_is_deleted_with_all_that_is_in_it(team):
    """Deleting a project deletes its contents; deleting it again is an error."""
    project = team.project()
    team.run(team.flow(project))
    assert team.do("delete_project", "success error", project_id=project) == {"success": True, "error": None}
    assert team.ask("{ flow { id } flow_run { id } task { id } }") == {"flow": [], "flow_run": [], "task": []}
    assert team.cannot("delete_project", "success", project_id=project)["message"] == "Project not found"


def test_another_teams_tenant_and_projects_are_not_there(team):
    """Other tenants and their projects cannot be seen or changed."""
    other = Team(world=team.world)
    assert other.cannot("create_project", name="p", tenant_id=team.id)["message"] == "Tenant not found"
    assert other.cannot("delete_project", "success", project_id=team.project())["message"] == "Project not found"


def test_a_caller_sees_all_of_its_tenants_its_own_first(team):
    """A caller sees all tenants of its key, the current one first, but only rows of one."""
    from dataclasses import replace

    other = Team(world=team.world)
    both = replace(team.caller, tenant_ids=(other.id, team.id, "gone"))
    assert [row["id"] for row in team.ask("{ tenant { id } }", caller=both)["tenant"]] == [team.id, other.id]
    by_pk = team.ask('{ tenant_by_pk(id: "%s") { id } }' % other.id, caller=both)
    assert by_pk == {"tenant_by_pk": {"id": other.id}}
    other.project()
    assert team.ask("{ project { id } tenant { projects { id } } }", caller=both)["project"] == []


@pytest.mark.slow
def test_a_caller_sees_itself(team):
    """The query ``user`` of clients up to 0.10 returns the caller and its tenant."""
    other = Team(world=team.world)
    membership = team.store.add("membership", tenant_id=team.id, user_id=team.user)
    team.store.add("membership", tenant_id=team.id, user_id=other.user)
    team.store.change("user", team.user, default_membership_id=membership["id"])
    assert team.one("user { id default_membership { tenant_id tenant { id } } }") == {
        "id": team.user,
        "default_membership": {"tenant_id": team.id, "tenant": {"id": team.id}},
    }
    assert team.ask("{ membership { user_id } user { memberships { user_id } } }") == {
        "membership": [{"user_id": team.user}],
        "user": [{"memberships": [{"user_id": team.user}]}],
    }
    assert team.ask("{ user { id } }", caller=team.runner) == {"user": []}


# -- Server ------------------------------------------------------------------------------------------------------------


def test_server_has_no_keys_and_shows_all_tenants():
    """Server shows all tenants; clients use the first one."""
    server = Team("server")
    second = server.do("create_tenant", name="Second Team")["id"]
    assert server.ask("{ tenant { id slug } }")["tenant"][1] == {"id": second, "slug": "second-team"}
    assert server.do("create_project", name="p") != server.do("create_project", name="p", tenant_id=second)
    assert [row["tenant_id"] for row in server.ask("{ project { tenant_id } }")["project"]] == [server.id, second]


def test_the_slug_of_a_tenant_is_its_own():
    """On Server, clients create tenants, and slugs are unique."""
    server = Team("server")
    server.do("create_tenant", name="a", slug="s")
    assert server.cannot("create_tenant", name="b", slug="s")["message"] == "Uniqueness violation."
    assert server.ask("{ tenant_aggregate { aggregate { count } } }")["tenant_aggregate"]["aggregate"]["count"] == 2


def test_a_server_without_a_tenant():
    """A Server without a tenant answers as before ``prefect server create-tenant``."""
    server = Team("server")
    server.store.remove("tenant", server.id)
    assert server.cannot("create_project", name="p")["message"] == "No tenant found"


def test_without_a_tenant_cloud_shows_nothing():
    """Cloud rejects a caller without a tenant."""
    from pytest_flowsecrets.backend.records.keys import Caller

    team = Team()
    error = team.refused("{ project { id } }", caller=Caller())
    assert error["extensions"] == {"code": "UNAUTHENTICATED"}


@pytest.mark.parametrize("backend", ["cloud", "server"])
def test_which_backend_it_is(backend):
    """The query ``api`` returns the backend."""
    api = Team(backend).ask("{ api { backend mode version } }")["api"]
    assert api == {"backend": backend.upper(), "mode": "normal", "version": "pytest-flowsecrets"}
