"""Secret blocks and variables as mappings."""

from __future__ import annotations

import pytest

from pytest_flowsecrets.backend.rest import RestApi
from pytest_flowsecrets.backend.rest.blocks_and_variables import SecretBlocks, Variables
from pytest_flowsecrets.errors import UsageError

from .conftest import Client

CLEAR = "/block_types/slug/secret/block_documents/name/token?include_secrets=true"


@pytest.fixture
def blank():
    """A view of a session that knows no block type."""
    with RestApi() as api:
        yield Client(api, api.new_view())


def test_a_secret_is_set_compared_and_deleted(blank):
    """Secrets set by the mapping are read by clients; the mapping has no getter and its repr shows names only."""
    blank.secret_type()
    seen = []
    blank.view.on_secret = lambda *secret: seen.append(secret)
    secrets = SecretBlocks(blank.view)
    secrets["token"] = "hidden"
    assert blank.get(CLEAR)["data"] == {"value": "hidden"}
    assert (list(secrets), len(secrets), "token" in secrets, "other" in secrets) == (["token"], 1, True, False)
    assert secrets.holds("token", "hidden")
    secrets["token"] = {"a": [1, None]}
    assert blank.get(CLEAR)["data"] == {"value": {"a": [1, None]}}
    assert seen == [("token", "hidden", "secret/token"), ("token", {"a": [1, None]}, "secret/token")]
    with pytest.raises(UsageError, match=r"without a type, or use blocks\.holds"):
        secrets.holds("secret/token", "hidden")
    assert repr(secrets) == "<SecretBlocks token>"
    assert not hasattr(secrets, "__getitem__")
    del secrets["token"]
    assert blank("GET", CLEAR).status == 404
    with pytest.raises(KeyError):
        del secrets["token"]


def test_a_secret_needs_the_type(blank):
    """Setting a secret before the type is registered raises an error that names the call to make."""
    secrets = SecretBlocks(blank.view)
    assert list(secrets) == []
    assert "token" not in secrets
    with pytest.raises(UsageError, match="register_type_and_schema"):
        secrets["token"] = "hidden"


@pytest.mark.parametrize("name", ["UPPER", "under_score", "", "a/b", "é"])
def test_names_of_blocks_are_checked(blank, name):
    """Names that no block can have are refused."""
    with pytest.raises(UsageError, match="lower-case"):
        SecretBlocks(blank.view)[name] = "hidden"


@pytest.mark.parametrize("value", [float("nan"), object(), {"a": {1}}])
def test_values_are_json(blank, value):
    """Values that JSON cannot carry are refused, and the error does not keep them."""
    blank.secret_type()
    with pytest.raises(UsageError, match="JSON") as caught:
        SecretBlocks(blank.view)["token"] = value
    assert "value" not in caught.traceback[-1].frame.f_locals
    with pytest.raises(UsageError, match="JSON"):
        Variables(blank.view)["v"] = value


def test_variables_are_a_mapping(blank):
    """Variables that the mapping sets are visible to clients, and the other way round."""
    variables = Variables(blank.view)
    variables["b"] = 1
    variables.update(a={"x": None}, b=2)
    assert blank.get("/variables/name/b")["value"] == 2
    blank.post("/variables/", name="c", value="z")
    assert dict(variables) == {"a": {"x": None}, "b": 2, "c": "z"}
    assert repr(variables) == "<Variables a, b, c>"
    del variables["a"]
    assert len(variables) == 2
    with pytest.raises(KeyError):
        del variables["a"]
    assert variables.get("a") is None
    with pytest.raises(UsageError, match="lower-case"):
        variables["UPPER"] = 1
