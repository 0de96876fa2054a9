"""Traffic of the legacy line is recorded without values, and replayed without an API."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import urllib.error
import urllib.request

import pytest

from pytest_flowsecrets import UsageError
from pytest_flowsecrets.backend.cassettes.exchanges import (
    GRAPHQL,
    Exchange,
    read_cassette,
    settings_for,
    write_cassette,
)
from pytest_flowsecrets.backend.cassettes.masking import mask_exchanges
from pytest_flowsecrets.backend.cassettes.player import Player, client_settings, replay
from pytest_flowsecrets.backend.cassettes.recorder import Recorder
from pytest_flowsecrets.backend.cassettes.server import WorldServer
from tests.compat import needs_prefect

SET = 'mutation { set_secret(input: {name: "literal", value: "literal-value"}) { success } }'


def post(url, body, **headers):
    """Send a request without Prefect, and return status and body."""
    request = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json", **headers})
    try:
        with urllib.request.urlopen(request, timeout=60) as response:
            return response.status, json.loads(response.read())
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())


@needs_prefect
def test_secrets_of_cloud(prefect_cloud, tmp_path):
    """Values that the client sets and that a flow run reads are masked; the replay gives other values."""
    server = WorldServer()
    recorder = Recorder(prefect_cloud.url, server.prefix)
    path = tmp_path / "cassette.json"
    read = {"query": 'query { answer: secret_value(name: "TOKEN") }'}
    with server.serving(recorder) as url, client_settings(settings_for(url, GRAPHQL)):
        client = prefect_cloud.client
        client.set_secret("TOKEN", "hidden-token")
        client.graphql(SET)
        client.graphql({"query": {"secret_names": True}})
        key = prefect_cloud.tenant.runner_key
        with prefect_cloud.flow_run():
            assert post(url, read, Authorization=f"Bearer {key}")[1]["data"] == {"answer": "hidden-token"}
    recorder.write(str(path), {})
    text = path.read_text()
    assert not [value for value in ("hidden-token", "literal-value", key) if value in text]
    with replay(str(path), {"TOKEN": {"a": 1}}):
        assert "TOKEN" in str(prefect_cloud.client.graphql({"query": {"secret_names": True}}))


def test_a_player_answers_in_the_order_of_the_recording():
    """The same body comes first, then the same path, then another id; the last answer is repeated."""
    one, other = "5b0e2d6c-0d0a-4d0e-8b0e-0d0a4d0e8b0e", "00000000-0000-4000-8000-000000000000"
    exchanges = [
        Exchange("POST", "/a", {"x": 1}, 200, "first"),
        Exchange("POST", "/a", {"x": 2}, 200, "second"),
        Exchange("GET", f"/b/{one}", None, 404, {"detail": "[secret S]"}),
        Exchange("GET", "/text", None, 200, {"text/plain": "plain"}),
    ]
    server = WorldServer()
    player = Player(exchanges, {"S": [1]}, server.prefix)
    with server.serving(player) as url:
        assert [post(f"{url}/a", {"x": x})[1] for x in (2, 3, 2, 1)] == ["second", "first", "second", "first"]
        assert player.not_played == [f"GET /b/{one}", "GET /text"]
        with pytest.raises(urllib.error.HTTPError, match="404") as error:
            urllib.request.urlopen(f"{url}/b/{other}", timeout=60)
        assert json.load(error.value) == {"detail": [1]}
        assert urllib.request.urlopen(f"{url}/text", timeout=60).read() == b"plain"
        assert post(f"{url}/c", {}) == (404, {"detail": "the cassette has no POST /c"})
    assert (player.unexpected, player.not_played) == (["POST /c"], [])


def test_an_update_of_a_block_that_names_no_schema():
    """The fields of the block's own schema are masked, or all fields if it was not recorded."""
    known, unknown = "5b0e2d6c-0d0a-4d0e-8b0e-0d0a4d0e8b0e", "00000000-0000-4000-8000-000000000000"
    schema = {"id": "schema", "fields": {"secret_fields": ["value"]}}
    block = {"id": known, "name": "token", "data": {"value": "first-value"}, "block_schema_id": "schema"}
    update = {"data": {"value": "second-value", "note": "shown"}}
    exchanges = [
        Exchange("GET", "/block_schemas/checksum/x", None, 200, schema),
        Exchange(
            "POST", "/block_documents/", {key: block[key] for key in ("name", "data", "block_schema_id")}, 201, block
        ),
        Exchange("PATCH", f"/block_documents/{known}", update, 204, None),
        Exchange("PATCH", f"/block_documents/{unknown}", update, 204, None),
    ]
    masked = mask_exchanges(exchanges, {})
    assert not [value for value in ("first-value", "second-value") if value in repr([vars(each) for each in masked])]
    assert masked[2].request["data"] == {"value": "[secret token]", "note": "shown"}
    assert masked[3].request["data"]["note"] == "[secret block.note]"


def test_a_cassette_that_cannot_be_written(tmp_path):
    """The error is one line, and a file that everybody can read is replaced by one of the owner."""
    path = tmp_path / "cassette.json"
    path.write_text("")
    path.chmod(0o644)
    write_cassette(str(path), [])
    assert path.stat().st_mode & 0o777 == 0o600
    with pytest.raises(UsageError, match="cannot be written: No such file or directory"):
        write_cassette(str(tmp_path / "none" / "cassette.json"), [])


def test_an_api_that_cannot_be_reached():
    """The client gets 502 and the class of the error."""
    with WorldServer() as closed:
        port = closed.address[1]
    server = WorldServer()
    with server.serving(Recorder(f"http://127.0.0.1:{port}/api", server.prefix)) as url:
        status, body = post(f"{url}/flows/", {})
    assert status == 502
    assert "the recorded API cannot be reached (URLError)" in json.dumps(body)


@pytest.mark.parametrize("text", ["", "[]", '{"format": 0}', '{"format": 1, "exchanges": [{"x": 1}]}'])
def test_files_that_are_no_cassettes(tmp_path, text):
    """Another file, or none, is an error of one line."""
    path = tmp_path / "cassette.json"
    path.write_text(text)
    with pytest.raises(UsageError, match=r"cassette\.json: not a cassette of this version: record it again"):
        read_cassette(str(path))
    with pytest.raises(UsageError, match="No such file"):
        read_cassette(str(tmp_path / "none.json"))


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
def test_the_command(tmp_path, number):
    """`record` prints the variables for the flow, and writes the cassette when a signal ends it."""
    server = WorldServer()
    player = Player([Exchange("POST", "/flows/", None, 201, {"id": 1})], {}, server.prefix)
    path = tmp_path / "cassette.json"
    with server.serving(player) as api:
        command = [sys.executable, "-m", "pytest_flowsecrets.cli", "record", str(path), "--to", api, "--prefect", "3"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, encoding="utf-8") as process:
            try:
                assert process.stdout.readline() == "Recording until Ctrl-C. In the environment of the flow:\n"
                name, _, url = process.stdout.readline().strip().partition("=")
                assert name == "export PREFECT_API_URL"
                assert post(f"{url}/flows/", {"name": "f"}) == (201, {"id": 1})
                process.send_signal(number)
                assert process.stdout.readline() == f"{path}: 1 exchanges\n"
                assert process.wait(60) == 0
            finally:
                process.kill()
    assert read_cassette(str(path)) == [Exchange("POST", "/flows/", {"name": "f"}, 201, {"id": 1})]
