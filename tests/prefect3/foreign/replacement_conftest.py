"""Replaces ``tests/conftest.py`` of Prefect: the fake API of this plugin in place of the server and its database.

``run.py`` copies this file. The other fixtures come from modules of Prefect that need neither server nor database.
"""

import logging
import time
import uuid

import anyio
import pytest
import respx
from prefect._internal.compatibility.async_dispatch import async_dispatch
from prefect.blocks.core import Block
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import BlockDocumentCreate, BlockSchemaCreate, BlockTypeCreate, WorkPoolCreate
from prefect.logging.configuration import PROCESS_LOGGING_CONFIG, setup_logging
from prefect.settings import (
    PREFECT_CLI_COLORS,
    PREFECT_CLI_WRAP_LINES,
    PREFECT_LOGGING_INTERNAL_LEVEL,
    PREFECT_LOGGING_LEVEL,
    PREFECT_LOGGING_TO_API_ENABLED,
    PREFECT_MEMOIZE_BLOCK_AUTO_REGISTRATION,
    temporary_settings,
)
from prefect.testing.cli import *  # noqa: F403
from prefect.testing.fixtures import *  # noqa: F403
from prefect.types._datetime import now
from prefect.utilities.asyncutils import run_coro_as_sync
from prefect.utilities.dispatch import get_registry_for_type
from pytest_asyncio import is_async_test

from .fixtures.client import *  # noqa: F403
from .fixtures.deprecation import *  # noqa: F403
from .fixtures.logging import *  # noqa: F403
from .fixtures.storage import *  # noqa: F403
from .fixtures.time import *  # noqa: F403

# Fixtures of the server's application and database, which no client has.
SERVER_ONLY = ("app", "client", "db", "session", "test_client")


def _skipping(name):
    @pytest.fixture(name=name)
    def skip():
        pytest.skip(f"needs the fixture {name}, which is a part of the server")

    return skip


for _name in SERVER_ONLY:
    globals()[_name] = _skipping(_name)


def pytest_configure():
    """Set up Prefect's logging once, as Prefect's tests expect."""
    setup_logging()


def pytest_collection_modifyitems(items):
    """Run all async tests in one event loop, and skip those for Windows."""
    for item in items:
        if is_async_test(item):
            item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)
        if item.get_closest_marker("windows"):
            item.add_marker(pytest.mark.skip(reason="for Windows"))


# -- the API -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def hosted_api_server(prefect_server):
    """Return the address of the fake API of this test."""
    return prefect_server.url


@pytest.fixture(autouse=True)
def use_hosted_api_server(hosted_api_server, request):
    """Apply the settings that Prefect's tests assume."""
    changes = {
        PREFECT_CLI_COLORS: False,
        PREFECT_CLI_WRAP_LINES: False,
        PREFECT_LOGGING_LEVEL: "DEBUG",
        PREFECT_LOGGING_INTERNAL_LEVEL: "DEBUG",
        PREFECT_LOGGING_TO_API_ENABLED: request.node.get_closest_marker("enable_api_log_handler") is not None,
        PREFECT_MEMOIZE_BLOCK_AUTO_REGISTRATION: False,
    }
    with temporary_settings(changes):
        yield hosted_api_server


@pytest.fixture
def test_database_connection_url():
    """Return None: there is no database."""
    return


@pytest.fixture
async def in_memory_prefect_client(use_hosted_api_server):
    """Yield a client of the fake API."""
    async with get_client() as client:
        yield client


class SentEvents:
    """Waits until the events of the clients have arrived, where Prefect's own fixture passes them to its database."""

    def __init__(self, server):
        self._server = server

    async def aprocess_events(self, dequeue_events=True, min_events=0, timeout=10):  # noqa: ASYNC109 - as in Prefect
        """Wait until there are ``min_events``, at most ``timeout`` seconds."""
        until = time.monotonic() + timeout
        while len(self._server.events) < min_events:
            if time.monotonic() > until:
                raise TimeoutError(f"{len(self._server.events)} events instead of {min_events}")
            await anyio.sleep(0.05)

    @async_dispatch(aprocess_events)
    def process_events(self, dequeue_events=True, min_events=0, timeout=10):
        """Wait until there are ``min_events``, at most ``timeout`` seconds."""
        return run_coro_as_sync(self.aprocess_events(dequeue_events, min_events, timeout))


@pytest.fixture
def events_pipeline(prefect_server):
    """Return an object that waits for events."""
    return SentEvents(prefect_server)


# -- rows that Prefect's own fixtures write to the database ------------------------------------------------------------


async def _create_work_pool(kind, *variables):
    template = {
        "job_configuration": {name: f"{{{{ {name} }}}}" for name in variables},
        "variables": {
            "properties": {name: {"type": "string", "title": name.title().replace("_", " ")} for name in variables},
            "required": [],
        },
    }
    async with get_client() as client:
        name = f"{kind.partition(':')[0]}-{uuid.uuid4()}"
        return await client.create_work_pool(WorkPoolCreate(name=name, type=kind, base_job_template=template))


@pytest.fixture
async def work_pool(use_hosted_api_server):
    return await _create_work_pool("test-type", "command")


@pytest.fixture
async def work_pool_with_image_variable(use_hosted_api_server):
    return await _create_work_pool("test-type", "command", "image", "image_pull_policy")


@pytest.fixture
async def push_work_pool(use_hosted_api_server):
    return await _create_work_pool("push-work-pool:push", "command", "image")


@pytest.fixture
async def block_type_x(prefect_client):
    return await prefect_client.create_block_type(BlockTypeCreate(name="x", slug="x-fixture"))


@pytest.fixture
async def block_document(prefect_client, block_type_x):
    fields = {
        "title": "x",
        "type": "object",
        "properties": {"foo": {"title": "Foo", "type": "string"}},
        "required": ["foo"],
        "block_schema_references": {},
        "block_type_slug": block_type_x.slug,
    }
    schema = await prefect_client.create_block_schema(BlockSchemaCreate(fields=fields, block_type_id=block_type_x.id))
    document = BlockDocumentCreate(
        block_schema_id=schema.id,
        name=f"block-{uuid.uuid4().hex[:8]}",
        block_type_id=block_type_x.id,
        data={"foo": "bar"},
    )
    return await prefect_client.create_block_document(document)


# -- this process ------------------------------------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def reset_registered_blocks():
    """Forget the block classes of a test after it."""
    registry = get_registry_for_type(Block)
    before = dict(registry)
    yield
    registry.clear()
    registry.update(before)


@pytest.fixture
def caplog(caplog):
    """Capture the logs of Prefect's loggers that do not propagate, too."""
    for name, options in PROCESS_LOGGING_CONFIG["loggers"].items():
        handlers = logging.getLogger(name).handlers
        if not options.get("propagate", True) and caplog.handler not in handlers:
            handlers.append(caplog.handler)
    return caplog


@pytest.fixture
def start_of_test():
    return now("UTC")


@pytest.fixture
def respx_mock():
    with respx.mock(using="httpx") as mock:
        yield mock
