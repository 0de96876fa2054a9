"""Block types, schemas and documents over the API."""

from __future__ import annotations

import pytest

from pytest_flowsecrets.backend.rest import RestApi
from pytest_flowsecrets.backend.rest.store.block_types import checksum
from pytest_flowsecrets.backend.rest.store.masking import MASK, keep_masked, mask, secret_values, without_secrets

from .conftest import SECRET_FIELDS, Client


@pytest.fixture
def ids(ask):
    return ask.secret_type() if ask.view.block_types.by_slug("secret") is None else _known(ask)


def _known(ask):
    block_type = ask.get("/block_types/slug/secret")
    path = f"/block_schemas/checksum/{checksum(SECRET_FIELDS)}"
    return {"block_type_id": block_type["id"], "block_schema_id": ask.get(path)["id"]}


@pytest.fixture
def save(ask, ids):
    def save(name, value="hidden", **more):
        return ask("POST", "/block_documents/", {"name": name, "data": {"value": value}, **ids, **more})

    return save


def test_a_created_document_is_masked(save):
    """The response to the creation of a document hides the value."""
    answer = save("one")
    assert answer.status == 201
    assert answer.body["data"] == {"value": MASK}
    assert answer.body["block_type_name"] == "Secret"


def test_a_document_is_clear_only_on_request(ask, save):
    """``include_secrets``, in a query or in the body of a filter, decides whether a value is shown."""
    row = save("one").body
    assert ask.get(f"/block_documents/{row['id']}")["data"] == {"value": MASK}
    assert ask.get(f"/block_documents/{row['id']}?include_secrets=true")["data"] == {"value": "hidden"}
    by_name = "/block_types/slug/secret/block_documents/name/one"
    assert ask.get(by_name)["data"] == {"value": MASK}
    assert ask.get(by_name + "?include_secrets=true")["data"] == {"value": "hidden"}
    assert ask.post("/block_documents/filter", include_secrets=True)[0]["data"] == {"value": "hidden"}
    assert ask.post("/block_documents/filter")[0]["data"] == {"value": MASK}
    assert [each["name"] for each in ask.get("/block_types/slug/secret/block_documents")] == ["one"]


def test_names_are_unique_per_type(save):
    """A second document with the same type and name gets 409."""
    save("one")
    assert save("one").status == 409


def test_anonymous_documents_are_not_listed(ask, save):
    """Anonymous documents appear in no list and no count, unless a filter says so, and their names find them."""
    row = save(None, is_anonymous=True).body
    assert ask.post("/block_documents/filter", block_documents={"name": {"any_": [row["name"]]}}) == []
    assert ask.post("/block_documents/count") == 0
    assert ask.post("/block_documents/count", block_documents={"is_anonymous": None}) == 1
    assert ask.get(f"/block_types/slug/secret/block_documents/name/{row['name']}")["id"] == row["id"]


def test_a_deleted_document_leaves_the_documents_that_refer_to_it(ask, save):
    """A document without the one that it refers to can be read and referred to, without the reference."""
    inner = save("inner").body
    outer = save("outer", {"$ref": {"block_document_id": inner["id"]}}).body
    assert outer["data"] == {"value": {"value": MASK}}
    assert ask("DELETE", f"/block_documents/{inner['id']}").status == 204
    assert ask.get(f"/block_documents/{outer['id']}")["data"] == {}
    assert save("around", {"$ref": {"block_document_id": outer["id"]}}).status == 201


def test_only_anonymous_documents_need_no_name(save):
    """A document gets a valid name from the client, or a generated one if it is anonymous."""
    messages = {
        None: "Value error, Names must be provided for block documents.",
        "": "String should match pattern '^[^/%&><]+$'",
        5: "Input should be a valid string",
        "A b": "Value error, Block document name must only contain lowercase letters, numbers, and dashes.",
    }
    answers = {name: save(name) for name in messages}
    assert {answer.status for answer in answers.values()} == {422}
    assert {name: answer.body["exception_detail"][0]["msg"] for name, answer in answers.items()} == messages
    assert save(5, is_anonymous=True).status == 422
    assert save("one", is_anonymous=True).body["name"] == "one"
    assert save("one", is_anonymous=True).status == save("one").status == 409


def test_updates_merge_and_keep_masked_values(ask, save):
    """An update merges data, and a mask that a client sends back keeps the value."""
    row = save("one").body
    path = f"/block_documents/{row['id']}"
    assert ask("PATCH", path, {"data": {"value": MASK, "more": 1}}).status == 204
    assert ask.get(path + "?include_secrets=true")["data"] == {"value": "hidden", "more": 1}
    ask("PATCH", path, {"data": {"value": "new"}, "merge_existing_data": False})
    assert ask.get(path + "?include_secrets=true")["data"] == {"value": "new"}


def test_a_document_moves_to_another_schema(ask, save, ids):
    """An update can move a document to another schema."""
    row = save("one").body
    fields = {**SECRET_FIELDS, "description": "newer"}
    schema = ask.post("/block_schemas/", block_type_id=ids["block_type_id"], fields=fields)
    ask("PATCH", f"/block_documents/{row['id']}", {"block_schema_id": schema["id"]})
    assert ask.get(f"/block_documents/{row['id']}")["block_schema_id"] == schema["id"]


def test_deleted_documents_are_gone(ask, save):
    """The second DELETE of a document gets 404."""
    row = save("one").body
    assert ask("DELETE", f"/block_documents/{row['id']}").status == 204
    assert ask("DELETE", f"/block_documents/{row['id']}").status == 404


def test_nested_documents_come_resolved(ask, save, ids):
    """A document shows the data of nested documents in place of their references, and lists the references."""
    inner = save("inner").body
    outer = ask(
        "POST",
        "/block_documents/",
        {"name": "outer", "data": {"inner": {"$ref": {"block_document_id": inner["id"]}}, "plain": 1}, **ids},
    ).body
    read = ask.get(f"/block_documents/{outer['id']}?include_secrets=true")
    assert read["data"] == {"plain": 1, "inner": {"value": "hidden"}}
    assert read["block_document_references"]["inner"]["block_document"]["name"] == "inner"
    assert [(each.name, each.block_type) for each in ask.view.reads] == [("outer", "secret"), ("inner", "secret")]


def test_protected_types_stay(ask, ids):
    """Types that Prefect ships cannot be deleted; others are deleted with their schemas and documents."""
    assert ask("DELETE", f"/block_types/{ids['block_type_id']}").status == 403
    own = ask.post("/block_types/", name="Own", slug="own")
    schema = ask.post("/block_schemas/", block_type_id=own["id"], fields={"title": "Own"})
    document = {"name": "o", "data": {}, "block_type_id": own["id"], "block_schema_id": schema["id"]}
    row = ask.post("/block_documents/", **document)
    assert ask("DELETE", f"/block_types/{own['id']}").status == 204
    assert ask("GET", f"/block_documents/{row['id']}").status == 404
    assert ask("GET", f"/block_schemas/{schema['id']}").status == 404
    assert ask("GET", f"/block_types/{own['id']}").status == 404


def test_types_can_be_read_changed_and_listed(ask, ids):
    """Types can be read by id and slug, changed, and listed by filters of types and schemas."""
    path = f"/block_types/{ids['block_type_id']}"
    assert ask("PATCH", path, {"description": "text"}).status == 204
    assert ask.get(path)["description"] == "text"
    assert ask("POST", "/block_types/", {"name": "Secret", "slug": "secret"}).status == 409
    chosen = ask.post("/block_types/filter", block_types={"slug": {"any_": ["secret"]}})
    assert [each["slug"] for each in chosen] == ["secret"]
    assert ask.post("/block_types/filter", block_schemas={"block_capabilities": {"all_": ["fly"]}}) == []


def test_schemas_are_found_by_checksum(ask, ids):
    """A schema is stored once, and its checksum finds it, in one version where the query names it."""
    again = ask.post("/block_schemas/", block_type_id=ids["block_type_id"], fields=SECRET_FIELDS)
    assert (again["id"], again["version"]) == (ids["block_schema_id"], "non-versioned")
    path = f"/block_schemas/checksum/{checksum(SECRET_FIELDS)}"
    assert ask.get(path)["id"] == ids["block_schema_id"]
    assert ask("GET", path + "?version=9").status == 404
    versioned = {"block_type_id": ids["block_type_id"], "fields": SECRET_FIELDS, "version": "9"}
    assert ask.post("/block_schemas/", **versioned)["id"] == ask.get(path + "?version=9")["id"] == ask.get(path)["id"]
    assert ask.get(path + "?version=non-versioned")["id"] == ids["block_schema_id"]
    assert ask.get(f"/block_schemas/{ids['block_schema_id']}")["block_type"]["slug"] == "secret"
    assert ask("DELETE", f"/block_schemas/{ids['block_schema_id']}").status == 204


def test_later_views_know_the_types_of_prefect():
    """Later views start with the types that Prefect ships, like a real server, with one schema each."""
    with RestApi() as api:
        first = Client(api, api.new_view())
        shipped = first.post("/block_types/", name="Webhook", slug="webhook")
        for title in ("Webhook", "Changed by a test"):
            first.post("/block_schemas/", block_type_id=shipped["id"], fields={"title": title})
        second = Client(api, api.new_view())
        assert second.get("/block_types/slug/webhook")["id"] == shipped["id"]
        assert [schema["fields"] for schema in second.post("/block_schemas/filter")] == [{"title": "Webhook"}]


def test_other_types_stay_in_the_view_of_their_test():
    """A type that Prefect does not ship is unknown to later views, so that each test can create it."""
    with RestApi() as api:
        first = Client(api, api.new_view())
        own = first.post("/block_types/", name="Own", slug="own")
        first.post("/block_schemas/", block_type_id=own["id"], fields={"title": "Own"})
        second = Client(api, api.new_view())
        assert second.post("/block_types/filter") == second.post("/block_schemas/filter") == []
        assert second.post("/block_types/", name="Own", slug="own")["id"] != own["id"]


@pytest.mark.parametrize(
    ("data", "secret_fields", "shown"),
    [
        ({"a": "x", "b": "y"}, ["a"], {"a": MASK, "b": "y"}),
        ({"a": None}, ["a"], {"a": None}),
        ({"a": {"b": "x", "c": "y"}}, ["a.b"], {"a": {"b": MASK, "c": "y"}}),
        ({"a": {"b": "x", "c": "y"}}, ["a.*"], {"a": {"b": MASK, "c": MASK}}),
        ({"a": {}}, ["a"], {"a": MASK}),
        ({"a": {"b": "x"}}, ["a"], {"a": {"b": "x"}}),
        ({"a": ["x"]}, ["a"], {"a": MASK}),
    ],
)
def test_masks_hide_leaves(data, secret_fields, shown):
    """Masks replace leaves as the real server does, which shows entries of mappings that no schema names."""
    assert mask(data, secret_fields) == shown


def test_secret_values_are_found_below_their_fields():
    """Secret values include the entries of mappings that the real server shows, and no nulls. The rest has none."""
    data = {"a": {"b": 1, "c": {"d": 2}}, "e": None, "f": 3, "g": {"h": 4, "i": 5}}
    fields = ["a.*", "e", "g.h"]
    assert list(secret_values(data, fields)) == [("a", {"b": 1, "c": {"d": 2}}), ("g.h", 4)]
    assert without_secrets(data, fields) == {"a": None, "e": None, "f": 3, "g": {"h": None, "i": 5}}


def test_masks_that_come_back_are_replaced():
    """A mask that comes back is replaced by the old value at any depth."""
    assert keep_masked({"a": {"b": MASK}, "c": "*", "d": "x"}, {"a": {"b": 1}}) == {"a": {"b": 1}, "c": "*", "d": "x"}


def test_new_data_replace_references(ask, save, ids):
    """A change without a reference to the nested document removes it, also if other old data stay."""
    inner = save("inner").body
    data = {"inner": {"$ref": {"block_document_id": inner["id"]}}, "plain": 1}
    outer = ask.post("/block_documents/", name="outer", data=data, **ids)
    ask("PATCH", f"/block_documents/{outer['id']}", {"data": {"other": 2}, "merge_existing_data": True})
    changed = ask.get(f"/block_documents/{outer['id']}")
    assert (changed["data"], changed["block_document_references"]) == ({"plain": 1, "other": 2}, {})


def test_checksums_ignore_secret_fields_and_nested_blocks():
    """Checksums depend on definitions of plain classes, and neither on secret fields nor on nested blocks."""
    plain = {"type": "object", "properties": {"a": {"$ref": "#/definitions/A"}}}
    block = {"B": {"block_type_slug": "b", "properties": {}}}
    nested = {"A": {"properties": {"c": [{"$ref": "#/definitions/C"}]}}, "C": {"type": "string"}}
    assert checksum({**plain, "secret_fields": ["a"]}) == checksum(dict(reversed(plain.items()))) == checksum(plain)
    assert checksum({**plain, "definitions": block}) == checksum(plain)
    assert checksum({**plain, "definitions": nested}) != checksum({**plain, "definitions": {"A": nested["A"]}})
