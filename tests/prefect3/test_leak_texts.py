"""The texts that the search for leaks reads: every text of a row, and every layer of a stored result."""

from __future__ import annotations

import json
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prefect.serializers import CompressedSerializer, JSONSerializer, PickleSerializer

from pytest_flowsecrets.backend.rest.resources.stored_texts import texts_of_row
from pytest_flowsecrets.backend.rest.store.masking import secret_values, without_secrets
from pytest_flowsecrets.leaks.artifacts import layers_of
from pytest_flowsecrets.leaks.findings import PLACES, api_advice_for

NAMES = st.text(string.ascii_lowercase, min_size=1, max_size=6).filter(
    lambda name: name not in {"id", "created", "name"}
)
SERIALIZERS = {
    "json": JSONSerializer(),
    "pickle": PickleSerializer(),
    **{
        f"{inner}-{library}": CompressedSerializer(serializer=inner, compressionlib=library)
        for inner in ("json", "pickle")
        for library in ("zlib", "gzip", "bz2", "lzma")
    },
}


@st.composite
def rows_with_a_value(draw):
    """Return a row with the value ``hidden`` somewhere, and the path of the value."""
    names = draw(st.lists(NAMES, min_size=1, max_size=5))
    row = "hidden"
    for name in reversed(names):
        others = draw(st.dictionaries(NAMES, st.one_of(st.integers(), st.text(max_size=5), st.none()), max_size=2))
        inner = draw(st.sampled_from([row, [row], [1, row]]))
        row = {**others, name: inner}
    return row, ".".join(names)


@given(rows_with_a_value())
def test_every_text_of_a_row_has_its_path(case):
    """A value anywhere in a row is searched, and its place names the path."""
    row, path = case
    places = [place for text, place in texts_of_row("flow run", row) if text == "hidden"]
    assert f"api flow run {path}" in places


def test_names_that_look_like_those_of_the_server():
    """A text that a user chooses is searched whatever its name is; ids and times of the server are not."""
    server = {"id": "0" * 8 + "-0000-4000-8000-" + "0" * 12, "created": "2026-01-31T08:00:00Z"}
    texts = [text for text, _ in texts_of_row("flow run", {**server, "parameters": {"session_id": "hidden", **server}})]
    assert "hidden" in texts
    assert not set(server.values()) & set(texts)


@given(rows_with_a_value())
def test_a_secret_field_is_known_or_searched(case):
    """A field of a block is either a known secret or a searched text, never both and never neither."""
    row, path = case
    for secret_fields in ([], [path], [path.partition(".")[0]]):
        known = "hidden" in json.dumps([value for _, value in secret_values(row, secret_fields)])
        texts = [text for text, _ in texts_of_row("block", {"data": without_secrets(row, secret_fields)})]
        assert known != ("hidden" in texts)


@pytest.mark.parametrize("serializer", SERIALIZERS)
@given(value=st.text(string.ascii_letters + string.digits, min_size=8, max_size=400))
def test_a_layer_of_a_result_contains_its_value(serializer, value):
    """The file of each release, with or without a record around it, has a layer that contains the plain value."""
    data = SERIALIZERS[serializer].dumps({"token": value})
    for field in ("result", "data", None):
        file = data if field is None else json.dumps({"metadata": {}, field: data.decode()}).encode()
        assert any(value.encode() in layer for layer in (file, *layers_of(file)))


@pytest.mark.parametrize("data", [b"", b"{}", b"[1]", b"\xff\xfe", b'{"result": 5}', b"x" * 50], ids=repr)
def test_other_files_are_searched_as_they_are(data):
    """A file that is no result of Prefect causes no error."""
    assert all(isinstance(layer, bytes) for layer in layers_of(data))


def test_each_place_has_its_advice():
    """No row of the table of places hides a later one, and places of pytest have the advice of the legacy line."""
    assert {place.name: api_advice_for(f"{place.name}.x of 'y'") for place in PLACES} == {
        place.name: place.advice for place in PLACES
    }
    assert {place.name: api_advice_for(place.example) for place in PLACES} == {
        place.name: place.advice for place in PLACES
    }
    assert api_advice_for("captured stdout") is None
    assert api_advice_for("api create_flow_run variables.x") is None
