"""The tokens of storages and ``storage.secrets``, with real flow runs that load their flow from the storage."""

from __future__ import annotations

import base64
import json

import pytest

from pytest_flowsecrets import FakeServer
from pytest_flowsecrets.agents.stub_servers import Infrastructure, serving
from tests.routes.conftest import needs_kubernetes

pytestmark = needs_kubernetes  # once for each Prefect is enough
S = "PREFECT__CONTEXT__SECRETS__"
SOURCE = """\
import prefect
from prefect import Flow, task
from prefect.client import Secret

@task
def read():
    prefect.context.logger.info("PIN is a %s", type(Secret("PIN").get()).__name__)

with Flow("stored") as flow:
    if {reads}:
        read()
"""


class GitHub(Infrastructure):
    """The part of GitHub's API that returns a file; it records the token."""

    def answer(self, method, path, headers, body):
        self.requests.append((path, headers.get("authorization", "").rpartition(" ")[2]))
        if path.endswith("/repos/me/flows"):
            return 200, {
                "id": 1,
                "name": "flows",
                "full_name": "me/flows",
                "default_branch": "main",
                "url": "/repos/me/flows",
            }
        if "/commits" in path:
            return 200, {"sha": "0" * 40, "url": "/commits"}
        content = base64.b64encode(SOURCE.format(reads=False).encode()).decode()
        return 200, {
            "type": "file",
            "encoding": "base64",
            "content": content,
            "path": "flow.py",
            "sha": "0" * 40,
            "url": path,
        }

    @property
    def tokens(self):
        return {token for _, token in self.requests}


@pytest.fixture
def github():
    pytest.importorskip("github")
    service = GitHub()
    with serving(service) as endpoint:
        service.url = f"http://127.0.0.1:{endpoint.port}"
        yield service


def stored(storage, *, reads=False):
    """Register a flow with this storage."""
    namespace = {}
    exec(compile(SOURCE.format(reads=reads), "flow.py", "exec"), namespace)
    flow = namespace["flow"]
    flow.storage = storage
    storage.add_flow(flow)
    return flow


@pytest.mark.parametrize(
    ("env", "secret", "token"),
    [
        ({f"{S}GITHUB_ACCESS_TOKEN": "default"}, None, "default"),
        ({f"{S}MINE": "named", f"{S}GITHUB_ACCESS_TOKEN": "default"}, "MINE", "named"),
        ({"GITHUB_ACCESS_TOKEN": "of-the-variable"}, None, "of-the-variable"),
        ({"GITHUB_ACCESS_TOKEN": "of-the-variable", f"{S}GITHUB_ACCESS_TOKEN": "default"}, None, "default"),
    ],
    ids=["default-secret", "access_token_secret", "getenv", "secret-before-getenv"],
)
def test_the_token_that_github_gets(github, env, secret, token):
    """The token is the storage's secret, or else the default secret, or else the variable."""
    from prefect.storage import GitHub as Storage

    storage = Storage(repo="me/flows", path="flow.py", access_token_secret=secret, base_url=github.url)
    with FakeServer() as server:
        run = server.run(stored(storage), run_config=env)
    assert run.state.is_successful(), run.state.message
    assert github.tokens == {token}


def test_a_local_file_and_a_module(tmp_path, monkeypatch):
    """``Local`` with a script and ``Module`` find the flow with ``--import-path``."""
    from prefect.storage import Local, Module

    (tmp_path / "stored_flow.py").write_text(SOURCE.format(reads=True))
    monkeypatch.syspath_prepend(str(tmp_path))
    script = str(tmp_path / "stored_flow.py")
    local = Local(path=script, stored_as_script=True, add_default_labels=False)
    with FakeServer() as server:
        for storage in (local, Module("stored_flow")):
            run = server.run(stored(storage, reads=True), run_config={f"{S}PIN": "0000"})
            assert run.state.is_successful(), run.state.message
            assert "PIN is a int" in [line.message for line in run.logs]


class Hook(Infrastructure):
    """A server for Webhook storages that records the header of each request."""

    def __init__(self, content):
        super().__init__()
        self.content = content

    def answer(self, method, path, headers, body):
        self.requests.append((path, headers.get("x-token")))
        return 200, self.content


@pytest.mark.parametrize(
    ("env", "token"),
    [
        ({f"{S}HOOK_TOKEN": "of-the-secret"}, "of-the-secret"),
        ({"HOOK_TOKEN": "of-the-variable", f"{S}HOOK_TOKEN": "s"}, "of-the-variable"),
    ],
    ids=["secret", "variable-first"],
)
def test_a_name_in_a_webhook(env, token):
    """``${NAME}`` is the variable with that name, or else the secret."""
    from prefect.storage import Webhook

    storage = Webhook(
        build_request_kwargs={"url": "http://127.0.0.1:1/"},
        build_request_http_method="POST",
        get_flow_request_kwargs={"url": "set below", "headers": {"X-Token": "${HOOK_TOKEN}"}},
        get_flow_request_http_method="GET",
        stored_as_script=True,
        flow_script_path=__file__,
    )
    hook = Hook(SOURCE.format(reads=False))
    with serving(hook) as endpoint, FakeServer() as server:
        storage.get_flow_request_kwargs["url"] = f"http://127.0.0.1:{endpoint.port}/flow"
        storage.build = lambda: storage  # there is no upload
        run = server.run(stored(storage), run_config=env)
    assert hook.requests == [("/flow", token)]
    assert run.state is not None


def test_storage_secrets_are_decoded_twice(prefect_cloud, tmp_path):
    """``storage.secrets`` decodes values twice, so a text in Cloud can become a number."""
    from prefect.storage import Local

    (tmp_path / "stored_flow.py").write_text(SOURCE.format(reads=True))
    path = str(tmp_path / "stored_flow.py")
    prefect_cloud.secrets.set("PIN", json.dumps("42"))
    kinds = []
    for names in ([], ["PIN"]):
        storage = Local(path=path, stored_as_script=True, add_default_labels=False, secrets=names)
        run = prefect_cloud.run(stored(storage, reads=True))
        assert run.state.is_successful(), run.state.message
        kinds += [line.message for line in run.logs if line.message.startswith("PIN is")]
    assert kinds == ["PIN is a str", "PIN is a int"]


def test_a_missing_storage_secret_fails_the_run_before_the_flow_is_loaded(prefect_cloud, tmp_path):
    """A missing storage secret fails the run before any task; the state names it."""
    from prefect.storage import Local

    (tmp_path / "stored_flow.py").write_text(SOURCE.format(reads=True))
    storage = Local(
        path=str(tmp_path / "stored_flow.py"), stored_as_script=True, add_default_labels=False, secrets=["GONE"]
    )
    run = prefect_cloud.run(stored(storage, reads=True))
    assert run.state.is_failed()
    assert "GONE" in run.state.message
    assert run.task_states["read-1"].is_pending()
