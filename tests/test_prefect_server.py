"""``prefect_server``: the real Prefect with a fake Prefect Server, where all secrets are local."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from pytest_flowsecrets import CloudUnreachable, FakeCloud, FakeServer, UsageError
from pytest_flowsecrets.isolation import stack
from tests.compat import VERSION, needs_prefect

pytestmark = needs_prefect
since_server = pytest.mark.skipif((VERSION or ()) < (0, 10), reason="Prefect Server came with 0.10.0")
asks_nobody = pytest.mark.skipif((VERSION or ()) < (0, 14, 5), reason="up to 0.14.4 Secret asks Server's API, too")


def error(name):
    """Return the exception that ``Secret(name).get()`` raises."""
    from prefect.client import Secret

    with pytest.raises(Exception) as caught:
        Secret(name).get()
    return caught.value


@since_server
def test_the_client(prefect_server):
    """The client works without a key, and finds the tenant ``default``."""
    import prefect

    assert prefect.config.backend == "server"
    for client in (prefect_server.client, prefect.Client()):
        (tenant,) = client.graphql({"query": {"tenant": {"name", "slug"}}})["data"]["tenant"]
        assert (tenant["name"], tenant["slug"]) == ("default", "default")
    assert {request.scope for request in prefect_server.requests} == {None}
    assert repr(prefect_server) == f"<FakeServer at {prefect_server.url}>"


@pytest.mark.slow
@since_server
@pytest.mark.secrets(MARKED="x")
def test_local_secrets_count(prefect_server, local_secrets):
    """Local secrets of the marker and the fixture work here and in child processes, without requests."""
    from prefect.client import Secret

    local_secrets["OTHER"] = {"a": 1}
    prefect_server.requests.clear()
    assert [Secret(name).get() for name in ("MARKED", "OTHER")] == ["x", {"a": 1}]
    code = "import json, prefect; from prefect.client import Secret; print(json.dumps([prefect.config.backend, Secret('OTHER').get()]))"
    process = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(process.stdout) == ["server", {"a": 1}]
    assert len(prefect_server.requests) == 0


@asks_nobody
def test_a_missing_secret(prefect_server, local_secrets):
    """A missing secret raises Prefect's ValueError, with any ``use_local_secrets``."""
    for flag in (True, False):
        local_secrets.use_local_secrets = flag
        assert repr(error("X")) == repr(ValueError('Local Secret "X" was not found.'))
    assert len(prefect_server.requests) == 0


@since_server
@pytest.mark.skipif((VERSION or ()) >= (0, 14, 5), reason="from 0.14.5 on nobody is asked")
def test_a_missing_secret_where_the_api_is_asked(prefect_server, local_secrets):
    """Up to 0.14.4 without local secrets, the client queries the API, which reports an error."""
    assert repr(error("X")) == repr(ValueError('Local Secret "X" was not found.'))
    local_secrets.use_local_secrets = False
    result = error("X")
    assert type(result).__name__ in ("ClientError", "HTTPError")
    assert "400" in str(result)
    assert [request.status for request in prefect_server.requests][-1] == 400


@since_server
def test_setting_a_secret(prefect_server):
    """``set_secret`` fails, because Server does not have the mutation."""
    with pytest.raises(Exception, match="400 Client Error") as caught:
        prefect_server.client.set_secret(name="X", value="c4n4ry-9f3b7a61")
    assert type(caught.value).__name__ in ("ClientError", "HTTPError")
    if VERSION >= (0, 14, 5):
        assert "Unknown type 'set_secret_input'" in str(caught.value)


@since_server
def test_tenants(prefect_server):
    """The client can create tenants."""
    if hasattr(prefect_server.client, "create_tenant"):
        tenant_id = prefect_server.client.create_tenant("Team two")
        tenants = prefect_server.client.graphql("query { tenant { id slug } }")["data"]["tenant"]
        assert [(tenant["id"], tenant["slug"]) for tenant in tenants][1:] == [(tenant_id, "team-two")]


@since_server
def test_a_cloud_beside_it(prefect_server):
    """Of a cloud and a server, the last one entered is used, and then the other one again."""
    import prefect

    with FakeCloud() as cloud:
        assert prefect.config.backend == "cloud"
        cloud.client.set_secret(name="X", value=1)
        assert len(cloud.secrets) == 1
    assert prefect.config.backend == "server"
    assert prefect.Client().graphql("query { hello }")


@since_server
def test_without_a_fixture():
    """``FakeServer`` enters its own isolation, and leaves nothing behind."""
    import prefect

    before = prefect.config.backend
    with FakeServer() as server:
        assert stack.current() is server.isolation
        assert prefect.config.backend == "server"
        server.local_secrets["X"] = "c4n4ry-9f3b7a61"
        server.assert_never_received("X")
    assert stack.current() is None
    assert prefect.config.backend == before


@pytest.mark.skipif((VERSION or (1,)) >= (0, 10), reason="Prefect Server came with 0.10.0")
def test_prefect_without_server():
    """A Prefect without Server raises a UsageError, and nothing stays entered."""
    with pytest.raises(
        UsageError, match=r"does not support Prefect Server, which requires 0\.10\.0: use prefect_cloud"
    ):
        FakeServer().__enter__()
    assert stack.current() is None


@since_server
def test_the_default_address_of_cloud(prefect_server):
    """Requests to the default address of Cloud are blocked."""
    import requests

    with pytest.raises(CloudUnreachable):
        requests.get("https://api.prefect.io", timeout=1)
