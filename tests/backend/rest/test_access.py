"""Who may ask: authentication, write-only views, and the log of reads."""

from __future__ import annotations

import os
import sys
from contextlib import nullcontext

import pytest

from pytest_flowsecrets.backend.rest import RestApi
from pytest_flowsecrets.errors import UsageError

from .conftest import Client, http


def _saved(ask, name="token", value="hidden"):
    known = ask.view.block_types.by_slug("secret")
    ids = ask.secret_type() if known is None else None
    if ids is None:
        schema = ask.post("/block_schemas/filter", block_schemas={"block_type_id": {"any_": [known["id"]]}})[0]
        ids = {"block_type_id": known["id"], "block_schema_id": schema["id"]}
    return ask.post("/block_documents/", name=name, data={"value": value}, **ids)


CLEAR = "/block_types/slug/secret/block_documents/name/token?include_secrets=true"


def test_reads_are_open_by_default(ask):
    """By default anyone may read a secret in clear, and each read is recorded."""
    _saved(ask)
    assert ask.get(CLEAR)["data"] == {"value": "hidden"}
    assert [(each.name, each.flow_run_id, each.flow_name) for each in ask.view.reads] == [("token", None, None)]
    ask.get(CLEAR.replace("true", "false"))
    assert len(ask.view.reads) == 1


def test_a_write_only_view_answers_running_flows(ask):
    """A write-only view answers requests that name a flow which runs or has ended, as its hooks do; others get 403."""
    _saved(ask)
    ask.view.write_only()
    refused = ask("GET", CLEAR)
    assert (refused.status, "flow_run()" in refused.body["detail"]) == (403, True)
    run = ask.flow_run("PENDING")
    by_flow = {"x_prefect_flow_id": run["flow_id"]}
    assert ask("GET", CLEAR, **by_flow).status == 403
    ask.set_state(run, "RUNNING")
    assert ask("GET", CLEAR).status == 403
    assert ask("GET", CLEAR, **by_flow).status == 200
    assert [(each.flow_run_id, each.flow_name) for each in ask.view.reads] == [(run["id"], "a-flow")]
    ask.set_state(run, "COMPLETED")
    assert ask("GET", CLEAR).status == 403
    assert ask("GET", CLEAR, **by_flow).status == 200
    assert {each.flow_run_id for each in ask.view.reads} == {run["id"]}
    ask.set_state(ask.flow_run("RUNNING"), "COMPLETED")
    assert ask("GET", CLEAR, **by_flow).status == 200
    assert [(each.flow_run_id, each.flow_name) for each in ask.view.reads[2:]] == [(None, "a-flow")]
    assert ask("GET", CLEAR.replace("true", "false")).status == 200
    ask.view.write_only(enabled=False)
    assert ask("GET", CLEAR).status == 200


@pytest.mark.parametrize("mode", ["write-only", "flow_run", "saving"])
def test_a_request_that_names_a_running_flow_inspects_no_stacks(ask, monkeypatch, mode):
    """The stacks of the threads are not needed if the header names the flow of one Running run, in every mode."""
    _saved(ask)
    run = ask.flow_run("RUNNING")
    ask.view.write_only(enabled=mode == "write-only")
    monkeypatch.setattr(sys, "_current_frames", lambda: pytest.fail("the stacks were inspected"))
    with {"flow_run": ask.view.flow_run, "saving": ask.view.saving_block}.get(mode, nullcontext)():
        assert ask("GET", CLEAR, x_prefect_flow_id=run["flow_id"]).status == 200
    assert [each.flow_run_id for each in ask.view.reads] == [run["id"]]


def test_prefect_2_names_no_flow(legacy_ask):
    """On Prefect 2, whose client names no flow, any Running run of the view opens a write-only view."""
    _saved(legacy_ask)
    legacy_ask.view.write_only()
    assert legacy_ask("GET", CLEAR).status == 403
    legacy_ask.flow_run("RUNNING")
    assert legacy_ask("GET", CLEAR).status == 200


def test_an_interceptor_sees_all_requests_of_its_view(ask):
    """An interceptor gets every request of its view, and can answer it or pass it on."""
    from pytest_flowsecrets.backend.messages import Response

    paths = []

    def intercept(request, answer):
        paths.append(request.path.rpartition("/")[2])
        return Response(503, (), b"{}") if request.path.endswith("/hello") else answer()

    ask.view.intercept = intercept
    assert (ask("GET", "/hello").status, ask("GET", "/health").status, ask("GET", "/none").status) == (503, 200, 404)
    assert paths == ["hello", "health", "none"]


def test_stored_secrets_are_reported(ask):
    """``on_secret`` gets each secret that a client stores or changes, under the name of its document, and the block."""
    seen = []
    ask.view.on_secret = lambda *secret: seen.append(secret)
    row = _saved(ask)
    ask("PATCH", f"/block_documents/{row['id']}", {"data": {"value": {"a": 1}}})
    assert seen == [("token", "hidden", "secret/token"), ("token", {"a": 1}, "secret/token")]


@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
def test_a_forked_child_does_not_hold_the_port(rest_api):
    """A forked child closes its copy of the listening socket, and the parent keeps answering."""
    import multiprocessing

    port = int(rest_api.root.rpartition(":")[2].partition("/")[0])

    def check(answers):
        import socket

        fds = os.listdir("/proc/self/fd")
        names = [_socket_port(int(fd)) for fd in fds if fd.isdigit()]
        answers.put(port in names)
        socket.setdefaulttimeout(None)

    context = multiprocessing.get_context("fork")
    answers = context.Queue()
    child = context.Process(target=check, args=(answers,))
    child.start()
    assert answers.get(timeout=60) is False
    child.join(60)
    assert http("GET", f"{rest_api.new_view().url}/health").body is True


def _socket_port(fd):
    """The port at which a descriptor listens; None for others."""
    import socket

    try:
        with socket.socket(fileno=os.dup(fd)) as copy:
            return copy.getsockname()[1] if copy.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN) else None
    except (OSError, IndexError):
        return None


def test_flow_run_opens_a_write_only_view(ask):
    """Inside ``flow_run()`` secrets can be read in clear; after it they cannot."""
    _saved(ask)
    ask.view.write_only()
    with ask.view.flow_run():
        assert ask("GET", CLEAR).status == 200
        assert ask("POST", "/block_documents/filter", {"include_secrets": True}).status == 200
    assert ask("GET", CLEAR).status == 403
    assert ask("POST", "/block_documents/filter", {"include_secrets": True}).status == 403


@pytest.mark.parametrize(
    ("value", "other"), [("hidden", "Hidden"), (1, True), (1, 1.0), ({"a": 1, "b": 2}, {"a": 1}), (None, "null")]
)
def test_holds_compares(ask, value, other):
    """``holds()`` compares types and contents of JSON values, and ignores the order of keys."""
    _saved(ask, value=value)
    assert ask.view.holds("token", value)
    assert not ask.view.holds("token", other)
    assert not ask.view.holds("other", value)
    assert not ask.view.holds("token", value, block_type="none")
    assert ask.view.holds("token", {"value": value}, block_type="secret") is False


def test_rows_show_no_secret(ask):
    """Neither the rows of block documents nor the repr of a view contain a secret."""
    _saved(ask)
    assert "hidden" not in repr(ask.view.rows("block_documents"))
    assert "hidden" not in repr(ask.view)


def test_a_self_hosted_server_may_want_an_auth_string(rest_api):
    """A view with an auth string answers 401 to requests without Basic authentication."""
    view = rest_api.new_view(auth_string="admin:pass")
    refused = http("GET", f"{view.url}/health")
    assert (refused.status, refused.body) == (401, {"exception_message": "Unauthorized"})
    assert http("GET", f"{view.url}/health", Authorization="Basic YWRtaW46cGFzcw==").body is True


def test_a_workspace_of_cloud_wants_its_key(rest_api):
    """A Cloud workspace has an account and a workspace in its URL, and answers 401 without its API key."""
    view = rest_api.new_workspace("pnu_key")
    assert view.url.startswith(f"{rest_api.root}/accounts/")
    assert Client(rest_api, view)("GET", "/health").status == 401
    assert Client(rest_api, view, authorization="Bearer pnu_key").get("/health") is True
    assert rest_api.new_workspace().authorization.startswith("Bearer pnu_")


def test_cloud_names_the_workspaces_of_a_key(rest_api):
    """``/me`` lists the workspaces that a key opens; unknown keys get 401."""
    views = [rest_api.new_workspace("pnu_shared") for _ in range(2)]
    bearer = {"Authorization": "Bearer pnu_shared"}
    listed = http("GET", f"{rest_api.root}/me/workspaces", **bearer).body
    assert [row["workspace_id"] for row in listed] == [view.workspace_id for view in views]
    assert http("GET", f"{rest_api.root}/me/", **bearer).body["handle"] == "flowsecrets"
    assert len(http("GET", f"{rest_api.root}/me/accounts", **bearer).body) == 2
    assert http("POST", f"{rest_api.root}/me/", {}, **bearer).status == 405
    assert http("GET", f"{rest_api.root}/me/none", **bearer).status == 404
    assert http("GET", f"{rest_api.root}/me/").status == 401
    for view in views:
        rest_api.remove_view(view)


def test_a_fault_of_the_api_shows_no_value(ask, caplog, monkeypatch):
    """An error of the API itself becomes a 500 that shows its type but no value; the log names the place."""
    monkeypatch.setattr(ask.view, "log_stream", None)
    log = {"message": "hidden", "level": 20, "name": "n", "timestamp": "2026-01-01T00:00:00Z"}
    answer = ask("POST", "/logs/", [log])
    assert (answer.status, answer.body) == (500, {"exception_message": "internal error of this API: AttributeError"})
    assert "hidden" not in caplog.text
    assert "AttributeError" in caplog.text


def test_views_do_not_see_each_other(rest_api):
    """A row of one view is not visible in another, and a removed view answers 410."""
    first, second = (Client(rest_api, rest_api.new_view()) for _ in range(2))
    first.post("/variables/", name="v", value=1)
    assert second("GET", "/variables/name/v").status == 404
    rest_api.remove_view(first.view)
    gone = first("GET", "/variables/name/v")
    assert (gone.status, "the API of an earlier test has ended" in gone.body["detail"]) == (410, True)


def test_a_view_may_be_mounted_at_the_root():
    """A view can be mounted at ``/api`` itself, like a server without tenants."""
    with RestApi() as api:
        view = api.new_view(path="")
        assert view.url == api.root
        assert http("GET", f"{view.url}/hello").body == "👋"


def test_an_api_has_no_address_before_it_listens():
    """The API has an address only between ``start()`` and ``close()``, which may both be called twice."""
    api = RestApi("3.0.11")
    with pytest.raises(UsageError, match=r"start\(\)"):
        api.new_view()
    api.start()
    api.start()
    assert http("GET", f"{api.new_view().url}/admin/version").body == "3.0.11"
    api.close()
    api.close()
    with pytest.raises(UsageError):
        _ = api.root


@pytest.mark.parametrize("version", ["1.4.1", "2.10.0", "4.0"])
def test_other_versions_have_no_fake(version):
    """The error for an unsupported version names the supported ones."""
    with pytest.raises(UsageError, match=r"2\.20 or 3"):
        RestApi(version)


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "/no/such/route", None, 404),
        ("GET", "/flow_runs/not-an-id", None, 404),
        ("PUT", "/flows/", None, 405),
        ("POST", "/flows/", b"{", 422),
        ("POST", "/flows/", {}, 422),
        ("POST", "/flows", {"name": "f"}, 201),
        ("GET", "/health/", None, 200),
    ],
)
def test_requests_that_fit_no_route(ask, method, path, body, status):
    """Requests that no route takes get 404, 405 or 422; a trailing slash makes no difference."""
    assert ask(method, path, body).status == status
