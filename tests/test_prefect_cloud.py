"""``prefect_cloud``: the real client, ``Secret`` and command line of the installed Prefect against a fake Cloud."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from itertools import permutations

import pytest

from pytest_flowsecrets import CloudUnreachable, FakeCloud, SecretReceived, UsageError, isolated_prefect
from pytest_flowsecrets.isolation import stack
from tests.backend.graphql import as_agent
from tests.compat import VERSION, needs_prefect

pytestmark = needs_prefect

has_keys = pytest.mark.skipif((VERSION or ()) < (0, 15), reason="API keys came with Prefect 0.15.0")
AUTHORIZATION = (0, 6, 6)  # from here on UNAUTHENTICATED is an AuthorizationError
# A thread of a pool that is older than every test.
OLD_POOL = ThreadPoolExecutor(1)
OLD_POOL.submit(threading.get_ident).result()


def secret(name):
    from prefect.client import Secret

    return Secret(name).get()


def error(name):
    """Return the exception that ``Secret(name).get()`` raises."""
    with pytest.raises(Exception) as caught:
        secret(name)
    return caught.value


def python(code, environ=None):
    """Return what a child process prints as JSON."""
    code = f"import json, prefect; from prefect.client import Secret; {code}"
    command = [sys.executable, "-W", "ignore", "-c", code]
    process = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    assert process.returncode == 0, process.stderr
    return json.loads(process.stdout.splitlines()[-1])


def is_missing(results):
    """Return whether an error of Prefect says that Cloud does not have the secret, in any version."""
    if VERSION >= (0, 11, 3):
        return type(results) is KeyError and "The secret other was not found" in str(results)
    return type(results).__name__ == "ClientError" and "No value found for the requested key" in str(results)


# -- the client and Secret ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", ["x", 42, 4.2, True, None, ["a", {"b": None}], {"a": 1}], ids=repr)
def test_the_client_sets_and_a_flow_run_reads(prefect_cloud, value):
    """``client.set_secret`` and ``Secret.get`` of each version support any JSON value."""
    prefect_cloud.client.set_secret(name="my secret", value=value)
    assert prefect_cloud.secrets.holds("my secret", value)
    with prefect_cloud.flow_run():
        got = secret("my secret")
    assert (got, type(got)) == (value, type(value))
    assert [read.name for read in prefect_cloud.secrets.reads] == ["my secret"]


def test_the_client_overwrites(prefect_cloud):
    """Setting a secret again replaces its value, also during a run."""
    with prefect_cloud.flow_run():
        for value in ("old", "new"):
            prefect_cloud.client.set_secret(name="X", value=value)
            assert secret("X") == value
    assert prefect_cloud.secrets.names() == ["X"]


def test_a_missing_secret(prefect_cloud):
    """A missing secret raises Prefect's own error, KeyError from 0.11.3 on."""
    with prefect_cloud.flow_run():
        assert is_missing(error("other"))


@pytest.mark.skipif((VERSION or ()) < (0, 9), reason="Secret.exists came with Prefect 0.9.0")
def test_exists(prefect_cloud):
    """``Secret.exists`` queries the names, in a run and with a USER key."""
    from prefect.client import Secret

    prefect_cloud.secrets.set("X", "x")
    with prefect_cloud.flow_run():
        assert (Secret("X").exists(), Secret("Y").exists()) == (True, False)


def test_outside_of_a_run(prefect_cloud, local_secrets):
    """Outside of a run, local secrets are used, and a USER key cannot read Cloud's."""
    prefect_cloud.secrets.set("other", "x")
    assert "was not found" in str(error("other"))
    local_secrets.use_local_secrets = False
    results = error("other")
    kinds = ("AuthorizationError",) if VERSION >= AUTHORIZATION else ("ClientError",)
    assert type(results).__name__ in kinds, repr(results)
    assert "reading a secret requires a key of scope RUNNER" in str(results)
    assert prefect_cloud.secrets.reads == ()


def test_the_marker_and_local_secrets_beside_it(prefect_cloud, local_secrets):
    """In a run, a local secret overrides Cloud's from 0.7.0 on; before, Cloud is used."""
    prefect_cloud.secrets.set("both", "of Cloud")
    local_secrets["both"] = "local"
    assert secret("both") == "local"
    with prefect_cloud.flow_run():
        assert secret("both") == ("local" if VERSION >= (0, 7) else "of Cloud")
    assert secret("both") == local_secrets["both"] == "local"


@pytest.mark.secrets(MARKED="x")
def test_marked(prefect_cloud):
    """The secrets of a marker are local secrets, not Cloud's."""
    assert secret("MARKED") == "x"
    assert "MARKED" not in prefect_cloud.secrets


def test_the_default_address_stays_unreachable(prefect_cloud):
    """Requests to the default address of Cloud are blocked."""
    import requests

    with pytest.raises(CloudUnreachable):
        requests.post("https://api.prefect.io/graphql", json={}, timeout=1)


def test_wrong_revoked_and_missing_keys(prefect_cloud):
    """An invalid key raises the AuthorizationError of the installed client."""
    tenant = prefect_cloud.tenant
    revoked = tenant.create_key()
    working = prefect_cloud.client_for(revoked, tenant.id)
    working.set_secret(name="X", value=1)
    tenant.revoke(revoked)
    with pytest.raises(UsageError, match="this key does not belong to this API, or it has already been revoked"):
        tenant.revoke(revoked)
    other = prefect_cloud.add_tenant("other")
    clients = [working, prefect_cloud.client_for("wrong", tenant.id), prefect_cloud.client_for("wrong", None)]
    if VERSION >= (0, 15):  # a client with an API token names no tenant
        clients.append(prefect_cloud.client_for(other.user_key, tenant.id))
    for client in clients:
        with pytest.raises(Exception) as caught:
            client.set_secret(name="X", value=2)
        assert type(caught.value).__name__ == ("AuthorizationError" if VERSION >= AUTHORIZATION else "ClientError")
    assert prefect_cloud.secrets.holds("X", 1)


def test_two_teams(prefect_cloud):
    """Each tenant has its own client, secrets and runs."""
    other = prefect_cloud.add_tenant("Other team")
    assert (other.name, other.slug) == ("Other team", "other-team")
    for tenant, value in ((prefect_cloud.tenant, "ours"), (other, "theirs")):
        tenant.client.set_secret(name="X", value=value)
        assert tenant.secrets.holds("X", value)
    other.secrets.set("Y", "y")
    with other.flow_run():
        assert secret("X") == "theirs"
        with prefect_cloud.flow_run():
            assert secret("X") == "ours"
            prefect_cloud.secrets.set("X", "changed")
            assert secret("X") == "changed"
        assert secret("X") == "theirs"
    assert [len(tenant.secrets.reads) for tenant in (prefect_cloud.tenant, other)] == [2, 2]
    assert other.user_key not in repr(other)


@pytest.mark.skipif((VERSION or ()) < (1,), reason="rate limits came with Prefect 1.x")
def test_rate_limits_cost_no_time(prefect_cloud):
    """The settings that shorten the client's waits after 429 are active."""
    import prefect

    prefect_cloud.faults.status(429, times=2)
    prefect_cloud.client.set_secret(name="X", value=1)
    assert [request.status for request in prefect_cloud.requests] == [429, 429, 200]
    assert prefect.config.cloud.rate_limiting.backoff_s == 0


# -- inside a run ------------------------------------------------------------------------------------------------------


def test_flow_run_sets_what_an_agent_sets(prefect_cloud, local_secrets):
    """``flow_run`` sets context, setting and key of an agent, and restores them."""
    import prefect

    def state():
        key = "api_key" if VERSION >= (0, 15) else "auth_token"
        context = {name: prefect.context.get(name) for name in ("flow_run_id", "flow_id")}
        return context, local_secrets.use_local_secrets, prefect.config.cloud.get(key)

    before = state()
    assert before == ({"flow_run_id": None, "flow_id": None}, True, prefect_cloud.tenant.user_key)
    with prefect_cloud.flow_run() as run_id:
        context, flag, key = state()
        assert (context["flow_run_id"], flag, key) == (run_id, False, prefect_cloud.tenant.runner_key)
        run = prefect_cloud.world.store.get("flow_run", run_id)
        assert (run["flow_id"], run["state"]) == (context["flow_id"], "Running")
    assert state() == before
    assert prefect_cloud.world.store.get("flow_run", run_id)["state"] == "Success"


def test_executing_is_the_previous_name_of_flow_run(prefect_cloud):
    """``executing()`` of the API and of a tenant warns with the current name, and does the same."""
    for owner in (prefect_cloud, prefect_cloud.tenant):
        with pytest.warns(DeprecationWarning, match=r"^executing\(\) is deprecated: use flow_run\(\)$") as caught:
            context = owner.executing()
        assert caught[0].filename == __file__
        with context as run_id:
            assert prefect_cloud.world.store.get("flow_run", run_id)["state"] == "Running"


def test_an_exception_in_a_run(prefect_cloud):
    """An exception sets the run to Failed and propagates."""
    with pytest.raises(ZeroDivisionError), prefect_cloud.flow_run() as run_id:
        1 / 0
    assert prefect_cloud.world.store.get("flow_run", run_id)["state"] == "Failed"


def test_a_run_that_the_test_has_deleted(prefect_cloud):
    """The block of a deleted run ends without an error."""
    with prefect_cloud.flow_run() as run_id:
        prefect_cloud.world.store.remove("flow_run", run_id)
    assert prefect_cloud.world.store.get("flow_run", run_id) is None


def test_a_run_that_has_ended_inside(prefect_cloud):
    """A run that has ended inside the block keeps its state."""
    with prefect_cloud.flow_run() as run_id:
        query = "mutation($input: set_flow_run_states_input!) { set_flow_run_states(input: $input) { states { id } } }"
        as_agent(prefect_cloud, query, input={"states": [{"flow_run_id": run_id, "state": {"type": "Cancelled"}}]})
        assert "UNAUTHENTICATED" in str(error("X"))
    assert prefect_cloud.world.store.get("flow_run", run_id)["state"] == "Cancelled"


@pytest.mark.parametrize("order", list(permutations(range(3))), ids=str)
def test_runs_are_left_in_any_order(prefect_cloud, order):
    """If runs are left in another order, the innermost active one is used."""
    import prefect

    tenants = [prefect_cloud.tenant, prefect_cloud.add_tenant("a"), prefect_cloud.add_tenant("b")]
    entered, ids = [], []
    for tenant in tenants:
        tenant.secrets.set("X", tenant.name)
        entered.append(tenant.flow_run())
        ids.append(entered[-1].__enter__())
    remaining = list(range(3))
    for number in order:
        assert secret("X") == tenants[remaining[-1]].name
        assert prefect.context.flow_run_id == ids[remaining[-1]]
        entered[number].__exit__(None, None, None)
        remaining.remove(number)
    assert prefect.context.get("flow_run_id") is None
    assert "was not found" in str(error("X"))


@pytest.mark.slow
def test_threads_and_children_are_inside(prefect_cloud):
    """New threads, older threads and child processes are inside the run."""
    prefect_cloud.secrets.set("X", "x")
    with prefect_cloud.flow_run() as run_id:
        with ThreadPoolExecutor(1) as pool:
            assert pool.submit(secret, "X").result() == "x"
        assert OLD_POOL.submit(secret, "X").result() == "x"
        assert python("print(json.dumps([Secret('X').get(), prefect.context.flow_run_id]))") == ["x", run_id]
        environ = {"PATH": os.environ["PATH"], **prefect_cloud.environ}
        assert python("print(json.dumps(Secret('X').get()))", environ) == "x"
    assert "was not found" in str(OLD_POOL.submit(error, "X").result())


def test_a_flow_inside(prefect_cloud):
    """Each task of a real flow in this process reads from Cloud."""
    import prefect

    got = []

    @prefect.task
    def read():
        got.append(secret("X"))

    with prefect.Flow("reads") as flow:
        read()
    prefect_cloud.secrets.set("X", {"a": 1})
    assert flow.run().is_failed()
    with prefect_cloud.flow_run():
        assert flow.run().is_successful()
    assert got == [{"a": 1}]


def test_a_flow_with_retries_and_a_rotation(prefect_cloud, flow_clock):
    """Retries read the value before and after a rotation, and none after the expiry."""
    import prefect

    got = []

    @prefect.task(max_retries=3, retry_delay=timedelta(minutes=10))
    def read():
        got.append(secret("other"))
        raise ValueError

    with prefect.Flow("retries") as flow:
        read()
    start = flow_clock.now
    prefect_cloud.secrets.set("other", "old", expires_at=start + timedelta(minutes=25))
    prefect_cloud.secrets.rotate("other", "new", at=start + timedelta(minutes=15))
    with prefect_cloud.flow_run():
        assert flow.run().is_failed()
        assert is_missing(error("other"))
    assert got == ["old", "old", "new"]
    assert [(read.at - start) // timedelta(minutes=1) for read in prefect_cloud.secrets.reads] == [0, 10, 20]


@pytest.mark.slow
def test_children_outside_of_a_run(prefect_cloud):
    """Child processes outside of a run use the same Cloud with the USER key."""
    code = "c = prefect.Client(); c.set_secret(name='X', value=[1]); print(json.dumps(1))"
    assert python(code) == 1
    assert prefect_cloud.secrets.holds("X", [1])
    (request,) = prefect_cloud.requests
    assert (request.kind, request.scope, request.tenant_id) == ("mutation", "USER", prefect_cloud.tenant.id)


# -- without pytest ----------------------------------------------------------------------------------------------------


def test_without_a_fixture(prefect_cloud):
    """``FakeCloud`` joins the active isolation, and can be nested in another one."""
    with FakeCloud({"X": "inner"}) as cloud:
        assert cloud.isolation is stack.current()
        with cloud.flow_run():
            assert secret("X") == "inner"
        cloud.client.set_secret(name="Y", value=1)
        import prefect

        prefect.Client().set_secret(name="Z", value=1)
    assert (cloud.secrets.names(), prefect_cloud.secrets.names()) == (["X", "Y", "Z"], [])
    prefect.Client().set_secret(name="Z", value=1)
    assert prefect_cloud.secrets.names() == ["Z"]


def test_left_before_the_one_inside(prefect_cloud):
    """Two clouds can be left in the order of entering."""
    import prefect

    first, second = FakeCloud(), FakeCloud()
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    prefect.Client().set_secret(name="X", value=1)
    second.__exit__(None, None, None)
    prefect.Client().set_secret(name="X", value=1)
    assert [len(cloud.secrets) for cloud in (first, second, prefect_cloud)] == [0, 1, 1]


def test_an_isolation_of_its_own():
    """Outside of an isolation, ``FakeCloud`` enters its own."""
    assert stack.current() is None
    with FakeCloud() as cloud:
        assert stack.current() is cloud.isolation
        cloud.local_secrets["LOCAL"] = "x"
        assert secret("LOCAL") == "x"
        url = cloud.url
    assert stack.current() is None
    assert repr(cloud) == "<FakeCloud (not entered)>"
    with pytest.raises(UsageError, match="this FakeCloud is not entered: use it in a with statement"):
        cloud.url
    assert url.startswith("http://127.0.0.1:")


def test_entered_twice(prefect_cloud):
    """An entered cloud cannot be entered again; after it is left, it can, with its contents."""
    with pytest.raises(UsageError, match="this FakeCloud is already entered: create another one"), prefect_cloud:
        pass
    cloud = FakeCloud({"X": 1})
    for _ in range(2):
        with cloud, cloud.flow_run():
            assert secret("X") == 1


def test_an_isolation_inside_hides_it(prefect_cloud):
    """``isolated_prefect`` hides the outer cloud; a run of that cloud can be entered inside."""
    with isolated_prefect(), pytest.raises(CloudUnreachable):
        prefect_cloud.client_for("x", None)
        import prefect

        client = prefect.Client()
        if VERSION < (0, 6, 4):
            client.token = "x"
        client.set_secret(name="X", value=1)
    prefect_cloud.secrets.set("X", "x")
    with isolated_prefect({"LOCAL": "l0c4l-9f3b7a61"}):
        with prefect_cloud.flow_run():
            assert secret("X") == "x"
        assert isinstance(error("X"), ValueError)
        assert dict(prefect_cloud.local_secrets) == {"LOCAL": "l0c4l-9f3b7a61"}
        prefect_cloud.assert_never_received("LOCAL")
    with prefect_cloud.flow_run():
        assert secret("X") == "x"


@pytest.mark.parametrize("name", ["", "?!", 3, None, "Flowsecrets", "other_team"])
def test_names_that_no_team_can_have(prefect_cloud, name):
    """Names without a slug or with the slug of another tenant are rejected."""
    prefect_cloud.add_tenant("Other team")
    with pytest.raises(UsageError, match=r"with at least one letter or digit|tenant .* already exists"):
        prefect_cloud.add_tenant(name)
    assert len(prefect_cloud.world.store.all("tenant")) == 2


@pytest.fixture(scope="class")
def cloud_of_the_class():
    with FakeCloud({"X": "x"}) as cloud:
        yield cloud


class TestCloudOfAClass:
    """A ``FakeCloud`` can be entered for several tests that have their own isolations."""

    def test_plain(self, cloud_of_the_class):
        """Its client is Prefect's own."""
        with cloud_of_the_class.flow_run():
            assert secret("X") == "x"

    @pytest.mark.secrets(LOCAL="l")
    def test_marked(self, cloud_of_the_class):
        """The secrets of a marker are local secrets, not Cloud's."""
        cloud_of_the_class.client.set_secret(name="Y", value="y")
        with cloud_of_the_class.flow_run():
            assert [secret(name) for name in ("X", "Y")] == ["x", "y"]
        assert secret("LOCAL") == "l"

    def test_beside_another_one(self, cloud_of_the_class, prefect_cloud):
        """The one whose run is entered last is asked."""
        prefect_cloud.secrets.set("X", "another")
        with prefect_cloud.flow_run(), cloud_of_the_class.flow_run():
            assert secret("X") == "x"
        with cloud_of_the_class.flow_run(), prefect_cloud.flow_run():
            assert secret("X") == "another"


@pytest.mark.parametrize("wrong", [{"X": {"c4n4ry"}}, {"": "c4n4ry"}, [("X", "c4n4ry")], "c4n4ry"])
def test_wrong_secrets(wrong):
    """Invalid secrets are rejected in one line, with a traceback that shows no value."""
    with pytest.raises(UsageError) as caught:
        FakeCloud(wrong)
    assert "c4n4ry" not in str(caught.value)
    assert [entry.name for entry in caught.traceback][1:] == ["call"]
    assert "c4n4ry" not in repr(caught.traceback[-1].frame.f_locals)


def test_requests_of_a_test_that_is_over():
    """Requests after the end of their test get 404, after which clients do not retry."""
    with FakeCloud() as cloud:
        url, key = cloud.url, cloud.tenant.user_key
    with isolated_prefect(), FakeCloud(), pytest.raises(Exception, match="404"):
        from pytest_flowsecrets.backend.client import make_client

        make_client(url, key, None).set_secret(name="X", value=1)


@pytest.mark.parametrize("name", ["HTTP_PROXY", "https_proxy", "ALL_PROXY"])
@pytest.mark.parametrize("before", [None, "intranet.example"])
def test_a_proxy_does_not_stand_between(monkeypatch, name, before):
    """A proxy of the environment is not used for the fake API."""
    monkeypatch.setenv(name, "http://127.0.0.1:9")
    for spelling in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(spelling, raising=False)
        if before:
            monkeypatch.setenv(spelling, before)
    with FakeCloud() as cloud:
        cloud.client.set_secret(name="X", value=1)
        assert os.environ["no_proxy"] == ",".join(filter(None, [before, "127.0.0.1", "localhost"]))
    assert cloud.secrets.names() == ["X"]
    assert os.environ.get("no_proxy") == os.environ.get("NO_PROXY") == before


def test_nor_does_one_that_is_named_later(prefect_cloud, monkeypatch):
    """A proxy that the test sets later is not used for the fake API either."""
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    prefect_cloud.client.set_secret(name="X", value=1)
    assert prefect_cloud.secrets.names() == ["X"]


# -- what the API was sent ---------------------------------------------------------------------------------------------


def test_never_received(prefect_cloud, local_secrets):
    """Setting a secret and reading it in a run are not leaks."""
    prefect_cloud.client.set_secret(name="X", value="c4n4ry-9f3b7a61")
    local_secrets["LOCAL"] = "l0c4l-9f3b7a61"
    with prefect_cloud.flow_run():
        assert secret("X") == "c4n4ry-9f3b7a61"
    prefect_cloud.assert_never_received("X", "LOCAL")
    with pytest.raises(UsageError, match="there is no secret 'Y', neither in the API nor locally"):
        prefect_cloud.assert_never_received("Y")


@pytest.mark.parametrize("name", ["X", "LOCAL"])
def test_received(prefect_cloud, local_secrets, name):
    """The error names operation and place without a value, for Cloud's and local secrets."""
    prefect_cloud.client.set_secret(name="X", value="c4n4ry-9f3b7a61")
    local_secrets["LOCAL"] = "c4n4ry-9f3b7a61"
    prefect_cloud.client.graphql('query { project(where: {name: {_eq: "a c4n4ry-9f3b7a61"}}) { id } }')
    with pytest.raises(SecretReceived) as caught:
        prefect_cloud.assert_never_received(name)
    assert isinstance(caught.value, AssertionError)
    assert str(caught.value) == f"the API received the value of secret {name!r}:\n  project: query"
