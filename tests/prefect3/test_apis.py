"""The fixtures ``prefect_server`` and ``prefect_cloud``, and the marker ``variables``, on Prefect 2.20 and 3."""

from __future__ import annotations

import asyncio
import os

import pytest
from prefect import flow, get_client, get_run_logger, task
from prefect.blocks.core import Block
from prefect.blocks.system import Secret
from prefect.settings import PREFECT_API_URL
from prefect.variables import Variable
from pydantic import VERSION as PYDANTIC

from pytest_flowsecrets import FakeCloud, FakeServer, RestCloud, RestServer, SecretReceived, UsageError
from tests.prefect3.compat import IS_TYPED, RELEASE

if IS_TYPED or PYDANTIC.startswith("1."):
    from pydantic import SecretStr
else:  # Prefect 2.20 uses the first version of pydantic
    from pydantic.v1 import SecretStr


class Credentials(Block):
    """A block of our own, with a secret and a nested block."""

    _block_type_slug = "credentials-of-a-test"
    user: str
    password: SecretStr
    token: Secret


@task
def use():
    return len(Secret.load("token").get())


@flow(name="reader")
def reads():
    get_run_logger().info("a line of the flow")
    return len(Secret.load("token").get()) + use()


def value_of(name):
    value = Variable.get(name)
    return value if IS_TYPED or value is None else value.value


# -- what a test stores and reads --------------------------------------------------------------------------------------


@pytest.mark.secrets(TOKEN="hidden-token")
def test_a_server_records_what_a_flow_does(prefect_server):
    """Runs, logs, events and reads of secrets are there as soon as the flow has returned."""
    assert isinstance(prefect_server, RestServer)
    assert prefect_server.url == PREFECT_API_URL.value()
    assert reads() == 24
    assert [run["state_type"] for run in prefect_server.flow_runs] == ["COMPLETED"]
    assert [run["state_type"] for run in prefect_server.task_runs] == ["COMPLETED"]
    assert "a line of the flow" in [row["message"] for row in prefect_server.logs]
    if IS_TYPED:  # Prefect 2.20 sends events to Cloud only
        assert "prefect.task-run.Completed" in [event["event"] for event in prefect_server.events]
    assert [read.name for read in prefect_server.secrets.reads] == ["token", "token"]
    assert prefect_server.secrets.holds("token", "hidden-token")
    assert not prefect_server.secrets.holds("token", "other")
    assert "hidden-token" not in repr((prefect_server, prefect_server.secrets, prefect_server.blocks))


@pytest.fixture
def first_api(monkeypatch):
    """The state of the first test of a session: no API has started, and no client has registered a block type."""
    apis = {}
    monkeypatch.setattr("pytest_flowsecrets.backend.rest.fake_server._apis", apis)
    yield
    for api in apis.values():
        api.close()


@pytest.mark.parametrize("fixture", ["prefect_server", "prefect_cloud"])
def test_the_first_secret_of_a_session_may_be_set_on_the_fixture(first_api, fixture, request):
    """The fixture registers the type Secret for the first block, without a marker or an earlier test."""
    server = request.getfixturevalue(fixture)
    server.secrets["token"] = "hidden-token"
    assert Secret.load("token").get() == "hidden-token"


UNREACHABLE = """
import socket

def test_it(prefect_server, monkeypatch):
    def block(*_):
        raise RuntimeError("blocked, as by a plugin")

    monkeypatch.setattr(socket.socket, "connect", block)
    prefect_server.secrets["token"] = "-".join(["hidden", "token"])
"""


def test_a_secret_is_masked_if_the_client_cannot_reach_the_server(run_tests):
    """The traceback of the failure does not show the value, not even as an argument."""
    result = run_tests(UNREACHABLE, "--tb=long", "--showlocals")
    result.assert_outcomes(failed=1)
    assert "hidden-token" not in result.stdout.str()


@pytest.mark.secrets(TOKEN="hidden-token")
def test_secrets_of_a_server_are_those_of_local_secrets(prefect_server, local_secrets):
    """Both mappings change the same blocks."""
    prefect_server.secrets["other"] = "set by the server"
    assert local_secrets["OTHER"] == Secret.load("other").get() == "set by the server"
    del local_secrets["other"]
    assert list(prefect_server.secrets) == ["token"]


@pytest.mark.variables({"of-mapping": "a"} if RELEASE >= (3, 4, 0) else {"of_mapping": "a"}, region="eu")
def test_the_marker_sets_variables(prefect_server):
    """``Variable.get`` returns the variables of the marker, and ``.variables`` is a mapping of them."""
    assert value_of("region") == "eu"
    prefect_server.variables["added"] = "b"
    assert value_of("added") == "b"
    Variable.set("by_flow", "c")
    assert prefect_server.variables["by_flow"] == "c"
    assert max(prefect_server.variables) == "region"
    del prefect_server.variables["region"]
    assert value_of("region") is None


@pytest.mark.variables(region="eu")
class TestVariables:
    """Marks of a class and of its functions."""

    @pytest.mark.variables(region="us", zone="a")
    def test_the_closest_mark_wins(self):
        """The mark of the function overrides that of the class, name by name."""
        assert (value_of("region"), value_of("zone")) == ("us", "a")

    def test_the_mark_of_the_class_counts(self):
        """Without a mark of its own, a test has the variables of its class, and no others."""
        assert (value_of("region"), value_of("zone")) == ("eu", None)


def test_wrong_variables_are_one_clear_error(run_tests):
    """A wrong argument, name or value of the marker is an error that names it."""
    result = run_tests(
        """
import pytest

@pytest.mark.variables("x")
def test_argument(): pass

@pytest.mark.variables(UPPER="x")
def test_name(): pass

@pytest.mark.variables(x=object())
def test_value(): pass
"""
    )
    result.assert_outcomes(errors=3)
    result.stdout.fnmatch_lines_random(
        ["*the variables marker takes one mapping*", "*'UPPER' cannot name a variable*", "*variable 'x': *"]
    )
    assert "Traceback" not in result.stdout.str()


def test_blocks_of_any_type(prefect_server, local_secrets):
    """The real client saves a block with a ``SecretStr`` and a nested block, and loads it again."""
    local_secrets["inner"] = "hidden-inner"
    block = Credentials(user="u", password="hidden-password", token=Secret.load("inner"))
    prefect_server.blocks.save("mine", block)
    assert sorted(prefect_server.blocks) == ["credentials-of-a-test/mine", "secret/inner"]
    assert "credentials-of-a-test/mine" in prefect_server.blocks
    loaded = Credentials.load("mine")
    assert (loaded.user, loaded.password.get_secret_value(), loaded.token.get()) == (
        "u",
        "hidden-password",
        "hidden-inner",
    )
    local_secrets["inner"] = "rotated"
    assert Credentials.load("mine").token.get() == "rotated"
    assert prefect_server.blocks.holds("secret/inner", {"value": "rotated"})
    assert not prefect_server.blocks.holds("secret/nope", {"value": "rotated"})
    with pytest.raises(UsageError, match="write type/name"):
        prefect_server.blocks.holds("inner", {})
    del prefect_server.blocks["credentials-of-a-test/mine"]
    with pytest.raises(KeyError):
        del prefect_server.blocks["credentials-of-a-test/mine"]
    assert len(prefect_server.blocks) == 1


def test_a_type_without_a_block(prefect_server):
    """``register`` registers a type, so that code under test can look it up."""
    prefect_server.blocks.register(Credentials)
    assert Credentials.get_block_class_from_key("credentials-of-a-test") is Credentials
    assert len(prefect_server.blocks) == 0


@pytest.mark.parametrize("fixture", ["prefect_server", "prefect_cloud"])
def test_features_of_prefect_1_are_one_clear_error(fixture, request):
    """Each public attribute that the fixture has on Prefect 1 alone is an AttributeError that says so."""
    api = request.getfixturevalue(fixture)
    legacy = FakeCloud if fixture == "prefect_cloud" else FakeServer
    missing = [name for name in dir(legacy) if not name.startswith("_") and not hasattr(api, name)]
    assert {"run", "agent", "client", "environ", "requests", "faults"} <= set(missing)
    for name in missing:
        with pytest.raises(AttributeError, match=rf"^\.{name} of this API is for Prefect 0\.5\.5 to 1\.4\.1[:,] "):
            getattr(api, name)
    with pytest.raises(AttributeError, match=r"has no attribute 'secretz'$"):
        api.secretz


# -- never received ----------------------------------------------------------------------------------------------------


@flow
def leaks(token):
    get_run_logger().info("the token is %s", Secret.load("token").get())


@pytest.mark.secrets(TOKEN="hidden-token")
@pytest.mark.filterwarnings("ignore")
def test_a_secret_that_the_api_receives(prefect_server):
    """A flow that only loads the secret passes. A log and a parameter with the value fail, and the error names them."""
    reads()
    prefect_server.assert_never_received("TOKEN")
    leaks("hidden-token")
    with pytest.raises(SecretReceived) as caught:
        prefect_server.assert_never_received("TOKEN")
    text = str(caught.value)
    assert "POST /flow_runs/: parameters.token" in text
    assert "POST /logs/: [" in text
    assert "hidden-token" not in text
    with pytest.raises(UsageError, match="'NOPE' does not exist in this API, so nothing"):
        prefect_server.assert_never_received("NOPE")
    with pytest.raises(UsageError, match="at least one secret"):
        prefect_server.assert_never_received()


@pytest.mark.secrets(TOKEN="hidden-token")
def test_the_data_of_a_block_is_no_leak(prefect_server):
    """A client that saves the secret as a block sends the value to where it belongs."""
    Secret(value="hidden-token").save("token", overwrite=True)
    prefect_server.assert_never_received("token")


@pytest.mark.secrets(TOKEN="hidden-token")
def test_plain_fields_of_a_block_are_searched(prefect_server):
    """A secret field of a block may hold the value. A plain one must not, neither in a new block nor in a change."""
    block = Credentials(user="me", password=SecretStr("hidden-token"), token=Secret(value="hidden-token"))
    prefect_server.blocks.save("mine", block)
    prefect_server.assert_never_received("token")
    block.user = "me:hidden-token"
    prefect_server.blocks.save("mine", block)
    prefect_server.blocks.save("other", block)
    with pytest.raises(SecretReceived) as caught:
        prefect_server.assert_never_received("token")
    assert [place.partition(": ")[2] for place in caught.value.places] == ["data.user"] * len(caught.value.places)
    assert {place.partition(" ")[0] for place in caught.value.places} == {"POST", "PATCH"}


@flow(name="named")
def takes(text):
    pass


@pytest.mark.secrets(TOKEN="hidden-token")
def test_earlier_values_of_a_secret_are_searched(prefect_server, local_secrets):
    """The value from before a rotation is still a secret, also after the secret is deleted."""
    takes("hidden-token")
    local_secrets.rotate("TOKEN", "another-token")
    Secret(value="third-token").save("token", overwrite=True)
    for _ in range(2):
        with pytest.raises(SecretReceived, match=r"parameters\.text"):
            prefect_server.assert_never_received("TOKEN")
        local_secrets.clear()


@pytest.mark.filterwarnings("ignore")
def test_secrets_of_other_blocks_are_searched(prefect_server):
    """``type/name`` names a block of any type for ``assert_never_received``, and ``blocks.reads`` has its reads."""
    block = Credentials(user="me", password=SecretStr("hidden-password"), token=Secret(value="hidden-inner"))
    prefect_server.blocks.save("mine", block)
    Credentials.load("mine")
    assert [(read.block_type, read.name) for read in prefect_server.blocks.reads] == [("credentials-of-a-test", "mine")]
    assert prefect_server.secrets.reads == []
    prefect_server.assert_never_received("credentials-of-a-test/mine")
    takes("hidden-password")
    with pytest.raises(SecretReceived, match=r"parameters\.text"):
        prefect_server.assert_never_received("credentials-of-a-test/mine")
    with pytest.raises(UsageError, match="'mine' is not a Secret block: write 'credentials-of-a-test/mine'"):
        prefect_server.assert_never_received("mine")


@pytest.mark.skipif(not IS_TYPED, reason="Prefect 2.20 cannot hold an empty text")
def test_an_empty_secret_cannot_be_searched(prefect_server, local_secrets):
    """The check would pass whatever a flow does, so it is an error."""
    local_secrets["empty"] = ""
    with pytest.raises(UsageError, match="'empty' is empty, so nothing was checked"):
        prefect_server.assert_never_received("empty")


# -- access ------------------------------------------------------------------------------------------------------------


@pytest.mark.skipif(RELEASE < (3, 1, 0), reason="Prefect has an authentication string from 3.1 on")
@pytest.mark.secrets(TOKEN="hidden-token")
def test_a_server_with_an_auth_string(prefect_server, local_secrets, monkeypatch):
    """The client of the test sends the authentication string. Without it, the server answers 401."""
    prefect_server.require_auth("admin:pass-of-admin")
    assert reads() == 24
    assert [run["state_type"] for run in prefect_server.task_runs] == ["COMPLETED"]
    assert os.environ["PREFECT_API_AUTH_STRING"] == "admin:pass-of-admin"
    monkeypatch.setenv("PREFECT_API_AUTH_STRING", "admin:wrong")
    local_secrets.reload()
    with pytest.raises(Exception, match="401"):
        Secret.load("token")


@pytest.mark.skipif(RELEASE < (3, 1, 0), reason="Prefect has an authentication string from 3.1 on")
def test_an_auth_string_that_the_run_declares(run_tests, pytester):
    """A server with ``PREFECT_SERVER_API_AUTH_STRING`` of ``conftest.py`` requires it, and the client sends it."""
    pytester.makeconftest("import os\nos.environ['PREFECT_SERVER_API_AUTH_STRING'] = 'admin:pass'\n")
    result = run_tests(
        """
import urllib.error, urllib.request
import pytest
from prefect.blocks.system import Secret

@pytest.mark.secrets(A="x")
def test_it(prefect_server):
    assert Secret.load("a").get() == "x"
    with pytest.raises(urllib.error.HTTPError, match="401"):
        urllib.request.urlopen(prefect_server.url + "/admin/version")
"""
    )
    result.assert_outcomes(passed=1)


@pytest.mark.skipif(RELEASE >= (3, 1, 0), reason="this Prefect has an authentication string")
def test_an_auth_string_is_refused_by_old_versions(prefect_server):
    """Versions without an authentication string are named in the error."""
    with pytest.raises(UsageError, match=r"it came with 3\.1"):
        prefect_server.require_auth("admin:pass")


@pytest.mark.secrets(TOKEN="hidden-token")
@pytest.mark.variables(region="eu")
def test_cloud_is_a_workspace_with_the_secrets_of_the_test(prefect_cloud, local_secrets):
    """The client is in Cloud mode, with a key, and reads the secrets and variables of the marks."""
    assert isinstance(prefect_cloud, RestCloud)
    assert prefect_cloud.url == PREFECT_API_URL.value()
    assert "/accounts/" in prefect_cloud.url

    async def server_type():
        async with get_client() as client:
            return client.server_type.value.lower()

    assert asyncio.run(server_type()) == "cloud"
    assert reads() == 24
    assert value_of("region") == "eu"
    local_secrets["TOKEN"] = "changed"
    assert prefect_cloud.secrets.holds("token", "changed")
    assert [run["state_type"] for run in prefect_cloud.task_runs] == ["COMPLETED"]
    assert prefect_cloud.events != []


@pytest.mark.secrets(TOKEN="hidden-token")
def test_cloud_needs_its_key(prefect_cloud, local_secrets, monkeypatch):
    """With another key the client gets 401."""
    monkeypatch.setenv("PREFECT_API_KEY", "pnu_another")
    local_secrets.reload()
    with pytest.raises(Exception, match="401"):
        Secret.load("token")


@pytest.mark.secrets(TOKEN="hidden-token")
def test_a_test_may_use_both(request):
    """The client uses the API that the test requests last. Blocks cannot be saved in the other one by the client."""
    cloud = request.getfixturevalue("prefect_cloud")
    assert cloud.url == PREFECT_API_URL.value()
    server = request.getfixturevalue("prefect_server")
    assert isinstance(server, RestServer)
    assert not isinstance(server, RestCloud)
    assert server.url == PREFECT_API_URL.value()
    assert reads() == 24
    server.blocks.register(Credentials)
    with pytest.raises(UsageError, match="the client uses another API"):
        cloud.blocks.register(Credentials)
    for mapping in (cloud.secrets, cloud.variables):
        with pytest.raises(UsageError, match=r"the client uses <RestServer .* so a change of <RestCloud"):
            mapping["token"] = "x"
        with pytest.raises(UsageError, match="has no effect"):
            del mapping["token"]
    server.secrets["token"] = "changed"
    assert Secret.load("token").get() == "changed"


@flow(name="inner")
def inner():
    pass


@flow(name="outer")
def outer():
    inner()


@pytest.mark.skipif(RELEASE < (3, 0, 0), reason="the fake API of 2.20 sends no events of flow runs")
def test_events_of_a_subflow_name_its_task_run(prefect_server):
    """All events of a subflow refer to the task run that represents it in its parent, and those of its parent do not."""
    outer()
    (task_run,) = prefect_server.task_runs
    expected = {"inner": [f"prefect.task-run.{task_run['id']}"], "outer": []}
    related = {"inner": [], "outer": []}
    for event in prefect_server.events:
        if event["event"].startswith("prefect.flow-run."):
            roles = {each["prefect.resource.role"]: each for each in event["related"]}
            ids = [roles["task-run"]["prefect.resource.id"]] if "task-run" in roles else []
            related[roles["flow"]["prefect.resource.name"]].append(ids)
    assert related == {name: [ids] * 3 for name, ids in expected.items()}
