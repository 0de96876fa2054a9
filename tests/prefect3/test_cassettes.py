"""Traffic of the client of Prefect 2.20 and 3 is recorded without values, and replayed without an API."""

from __future__ import annotations

import json
import os
import stat

import pytest
from prefect import flow, get_run_logger
from prefect.blocks.core import Block
from prefect.blocks.system import Secret

from pytest_flowsecrets.backend.cassettes.exchanges import REST, settings_for
from pytest_flowsecrets.backend.cassettes.player import client_settings, replay
from pytest_flowsecrets.backend.cassettes.recorder import Recorder
from pytest_flowsecrets.backend.cassettes.server import WorldServer
from tests.prefect3.compat import IS_TYPED


class Plain(Block):
    """A block without a secret field."""

    _block_type_slug = "plain-of-a-test"
    copy_of: str
    url: str


@flow
def length():
    get_run_logger().info("read")
    return len(Secret.load("token").get())


@pytest.fixture
def record(prefect_server, tmp_path):
    """Return a function that records what a function does, and the path of the cassette."""

    def record(function, known=()):
        server = WorldServer()
        recorder = Recorder(prefect_server.url, server.prefix)
        with server.serving(recorder) as url, client_settings(settings_for(url, REST)):
            function()
        assert recorder.write(str(tmp_path / "cassette.json"), dict(known)) > 0
        return tmp_path / "cassette.json"

    return record


@pytest.mark.secrets(TOKEN="hidden-token")
def test_a_flow_is_replayed_without_its_api(record, prefect_server):
    """The replayed flow does the same, with another value; requests that were not recorded get 404."""
    path = record(length)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert "hidden-token" not in path.read_text()
    runs = len(prefect_server.flow_runs)
    with replay(str(path), {"token": "four"}) as player:
        assert length() == 4
        assert not [each for each in player.not_played if "/block_documents" in each]
        with pytest.raises(ValueError, match="Unable to find block document named other"):
            Secret.load("other")
        assert [each for each in player.unexpected if "other" in each]
    assert len(prefect_server.flow_runs) == runs
    with replay(str(path)):
        assert Secret.load("token").get() == "[secret token]"


@pytest.mark.secrets(TOKEN="hidden-token")
def test_values_are_masked_wherever_they_occur(record):
    """A value that a block holds, and one that is only known, are masked in all other requests and responses."""

    def act():
        Secret(value={"key": "inner-value-1"} if IS_TYPED else "inner-value-1").save("other")
        Plain(copy_of="the inner-value-1", url="https://x/?t=known-value").save("plain")
        Secret.load("other")

    text = record(act, {"KNOWN": "known-value"}).read_text()
    assert not [value for value in ("inner-value-1", "known-value", "hidden-token") if value in text]
    assert "[secret other" in text
    assert "https://x/?t=[secret KNOWN]" in text


@pytest.mark.secrets(TOKEN="hidden-token")
def test_an_api_that_ends(record, prefect_server):
    """A recorded error is replayed as the same error."""

    def act():
        with pytest.raises(ValueError, match="Unable to find"):
            Secret.load("missing")

    with replay(str(record(act))), pytest.raises(ValueError, match="Unable to find"):
        Secret.load("missing")
    assert "404" in json.dumps([each["status"] for each in json.loads((record(act)).read_text())["exchanges"]])
    assert os.environ["PREFECT_API_URL"] == prefect_server.url
