"""Variables over the API."""

from __future__ import annotations


def test_a_variable_is_created_read_changed_and_deleted(ask):
    """A variable can be created, read, changed and deleted by name."""
    row = ask.post("/variables/", name="v", value={"a": 1}, tags=["t"])
    assert ask.get("/variables/name/v")["value"] == {"a": 1}
    assert ask("PATCH", "/variables/name/v", {"value": 2}).status == 204
    assert ask.get(f"/variables/{row['id']}")["value"] == 2
    assert ask("DELETE", "/variables/name/v").status == 204
    assert ask("GET", "/variables/name/v").status == 404


def test_by_id_too(ask):
    """A variable can be changed and deleted by id."""
    row = ask.post("/variables/", name="v", value=1)
    assert ask("PATCH", f"/variables/{row['id']}", {"tags": ["x"]}).status == 204
    assert ask.get("/variables/name/v")["tags"] == ["x"]
    assert ask("DELETE", f"/variables/{row['id']}").status == 204
    assert ask("DELETE", f"/variables/{row['id']}").status == 404


def test_names_are_unique_and_checked(ask):
    """A second variable of a name gets 409; an invalid name or a missing value gets 422."""
    ask.post("/variables/", name="v", value=1)
    assert ask("POST", "/variables/", {"name": "v", "value": 2}).status == 409
    assert ask("POST", "/variables/", {"name": "UPPER", "value": 2}).status == 422
    assert ask("POST", "/variables/", {"name": "w"}).status == 422


def test_older_servers_speak_of_a_conflict(legacy_ask):
    """Before 3.1 the error of a second variable does not name it."""
    legacy_ask.post("/variables/", name="v", value="1")
    answer = legacy_ask("POST", "/variables/", {"name": "v", "value": "2"})
    assert (answer.status, "unique" in answer.body["detail"]) == (409, True)


def test_lists_are_sorted_filtered_and_paged(ask):
    """Variables are sorted by name, filtered without regard to case, and paged."""
    for name in ("b", "a", "cc"):
        ask.post("/variables/", name=name, value=1, tags=[name])
    names = [row["name"] for row in ask.post("/variables/filter")]
    assert names == ["a", "b", "cc"]
    assert [row["name"] for row in ask.post("/variables/filter", sort="NAME_DESC", limit=1, offset=1)] == ["b"]
    assert ask.post("/variables/count", variables={"name": {"like_": "C"}}) == 1
    assert ask.post("/variables/count", variables={"tags": {"all_": ["a"]}}) == 1
    assert ask("POST", "/variables/filter", {"limit": 201}).status == 422
    assert ask("POST", "/variables/filter", {"offset": -1}).status == 422
