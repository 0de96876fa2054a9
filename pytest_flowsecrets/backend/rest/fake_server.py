"""The fake API of one test on Prefect 2.20 and 3: what the fixtures ``prefect_server`` and ``prefect_cloud`` return."""

from __future__ import annotations

import base64
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Callable, ContextManager, Dict, Iterator, List, Mapping, NoReturn, Tuple, cast

from pytest_flowsecrets.backend.rest.api import RestApi
from pytest_flowsecrets.backend.rest.blocks_and_variables import Blocks, SecretBlocks, Variables
from pytest_flowsecrets.backend.rest.openapi import schemas_of
from pytest_flowsecrets.backend.rest.received import ReceivedRequests
from pytest_flowsecrets.backend.rest.resources import flow_runs, task_runs
from pytest_flowsecrets.backend.rest.resources.stored_texts import texts_of_view
from pytest_flowsecrets.errors import SecretReceived, UsageError
from pytest_flowsecrets.isolation.prefect3.api import ALLOW_SOCKETS, UNFINISHED, Api
from pytest_flowsecrets.isolation.prefect3.blocks import block_name
from pytest_flowsecrets.isolation.safe_errors import hide_arguments
from pytest_flowsecrets.leaks.registry import register, registry
from pytest_flowsecrets.options import warn_renamed

if TYPE_CHECKING:
    from pytest_flowsecrets.backend.rest.errors import Row
    from pytest_flowsecrets.backend.rest.view import View
    from pytest_flowsecrets.isolation.rest_isolation import RestIsolation

# One API for each process and version: a fork has no thread that serves the API of its parent.
_apis: Dict[Tuple[int, str], RestApi] = {}


def open_api(version: str, *, cloud: bool = False, auth_string: str = "") -> RestServer:
    """Return a new, empty API for one test.

    Args:
        version: of the installed Prefect, 2.20 or 3.x.
        cloud: whether it is a workspace of Prefect Cloud; otherwise it is a self-hosted server.
        auth_string: the value that a self-hosted server requires in ``PREFECT_API_AUTH_STRING``; empty for none.

    Raises:
        UsageError: the API cannot listen, for example because a plugin blocks sockets.
    """
    api = _apis.get((os.getpid(), version))
    if api is None:
        api = RestApi(version)
        try:
            api.start()
        except (OSError, RuntimeError) as error:
            raise UsageError(
                f"the fake API cannot listen on 127.0.0.1 ({type(error).__name__}): if a plugin blocks sockets, "
                f"{ALLOW_SOCKETS}"
            ) from None
        _apis[os.getpid(), version] = api
    if cloud:
        return RestCloud(api, api.new_workspace())
    return RestServer(api, api.new_view(auth_string=auth_string), auth_string)


@contextmanager
def enter_cloud(isolation: RestIsolation) -> Iterator[RestCloud]:
    """Make the Prefect of an isolation use a new workspace of Cloud. It takes over the secrets and the variables."""
    api = open_api(isolation.version, cloud=True)
    try:
        with registry.text_source(api.texts), isolation.using(api):
            yield cast("RestCloud", api)
    finally:
        api.close()


class RestServer(Api):
    """A fake self-hosted Prefect server with the rows of one test.

    Attributes:
        secrets: the Secret blocks by name, such as ``token``. You can set, list and delete them.
            ``holds(name, value)`` compares a value. ``reads`` lists who has read them.
        variables: the variables as a mapping.
        blocks: the saved blocks of all types by ``type/name``, such as ``secret/token``. You can list and delete them.
            ``save(name, block)`` takes the name without the type and also replaces a block. ``register(block_class)``
            registers a type. ``holds("type/name", data)`` compares the fields of a block, for example with
            ``{"value": "x"}`` for a Secret block. ``reads`` lists who has read blocks of any type. Each read has
            ``name``, ``block_type``, ``at`` (a datetime in UTC), ``flow_run_id`` and ``flow_name``; the last two are
            None if no flow run read the block, or if the API cannot tell which one did.
    """

    _legacy_name = "FakeServer"  # the API of the same fixture on Prefect 0.5.5 to 1.4.1

    def __init__(self, api: RestApi, view: View, auth_string: str = "") -> None:
        self._api, self._view, self._auth_string = api, view, auth_string
        self._received = ReceivedRequests(view)
        view.intercept = self._received.record
        self.secrets: SecretBlocks = SecretBlocks(view, self._check_not_replaced, self._register_secret_type)
        self.variables = Variables(view, self._check_not_replaced)
        self.blocks = Blocks(view, self._check_in_use)
        view.on_secret = self._received.register_secret
        view.owner = os.environ.get("PYTEST_CURRENT_TEST", "").rpartition(" (")[0] or view.owner

    if not TYPE_CHECKING:  # with `__getattr__`, type checkers would accept any name

        def __getattr__(self, name: str) -> NoReturn:
            from pytest_flowsecrets.backend.fake_api import describe_legacy_attribute

            kind = type(self).__name__
            message = describe_legacy_attribute(self._legacy_name, name)
            raise AttributeError(message or f"{kind!r} object has no attribute {name!r}")

    def __repr__(self) -> str:
        return f"<{type(self).__name__} at {self.url}>"

    @property
    def url(self) -> str:
        """The address, as for ``PREFECT_API_URL``. It cannot be guessed."""
        return self._view.url

    def _check_in_use(self) -> None:
        if self._isolation is None or self._isolation.api is not self:
            raise UsageError(f"the client uses another API than {self!r} now: use the fixture of this test")

    def _check_not_replaced(self) -> None:
        """Check that the client of the test does not use another API, in which a change would have no effect."""
        if self._isolation is not None and self._isolation.api is not self:
            raise UsageError(
                f"the client uses {self._isolation.api!r} now, so a change of {self!r} has no effect: change the "
                "former, or use only one of the fixtures prefect_cloud and prefect_server"
            )

    def _register_secret_type(self) -> None:
        """Let the client of the test register the block type of Secret, if it uses this API."""
        if self._isolation is not None and self._isolation.active:
            self._isolation.prefect.register_secret_type()

    def _flush(self) -> None:
        """Let Prefect's background threads send what they have, so that a test reads everything."""
        if self._isolation is not None and self._isolation.active:
            self._isolation.prefect.drain()

    # -- what an isolation does ----------------------------------------------------------------------------------------

    @property
    def has_unfinished_runs(self) -> bool:
        """Whether a flow run has begun and has not ended."""
        return any((run.get("state") or {}).get("type") in UNFINISHED for run in self._view.flow_runs)

    @property
    def has_secret_type(self) -> bool:
        """Whether a client has registered the block type of Secret."""
        has_type: bool = self.secrets.has_type
        return has_type

    def secret_values(self) -> Dict[str, Any]:
        """Return the stored value of each Secret block by the name of the block."""
        with self._view.lock:
            return {name: self.secrets.stored_value(name) for name in self.secrets}

    def texts(self) -> Iterator[Tuple[str, str]]:
        """Yield each text that the API has received or stores, except the secrets of blocks, with its place."""
        self._flush()
        return texts_of_view(self._view, self._received)

    def attach(self, isolation: RestIsolation) -> None:
        """Belong to an isolation, whose Prefect uses this API."""
        if self._isolation is None and isolation.write_only:
            self.write_only()
        super().attach(isolation)

    def close(self) -> None:
        """Answer no more requests."""
        self._api.remove_view(self._view)

    # -- what a test asks ----------------------------------------------------------------------------------------------

    @property
    def flow_runs(self) -> List[Row]:
        """Copies of the rows of all flow runs, oldest first, as ``GET /flow_runs/{id}`` returns them."""
        return self._rows("flow_runs", flow_runs.present)

    @property
    def task_runs(self) -> List[Row]:
        """Copies of the rows of all task runs, oldest first, as ``GET /task_runs/{id}`` returns them."""
        self._flush()  # Prefect 3 reports task runs by events
        return self._rows("task_runs", task_runs.present)

    def _rows(self, table: str, present: Callable[[View, Row], Row]) -> List[Row]:
        with self._view.lock:
            rows = [present(self._view, row) for row in getattr(self._view, table)]
        return [schemas_of(self._view.release).complete(f"GET /{table}/{{}}", row) for row in rows]

    @property
    def logs(self) -> List[Row]:
        """Copies of the rows of all logs, after Prefect's background threads have sent them."""
        self._flush()
        return self._view.rows("logs")

    @property
    def events(self) -> List[Row]:
        """Copies of all events, after Prefect's background threads have sent them."""
        self._flush()
        return [dict(event) for event in list(self._view.events.items)]

    def require_auth(self, auth_string: str) -> None:
        """Require an authentication, as ``PREFECT_SERVER_API_AUTH_STRING`` does. Prefect's client gets it, too.

        Args:
            auth_string: the value of ``PREFECT_API_AUTH_STRING``, such as ``admin:password``; empty for none.

        Raises:
            UsageError: this Prefect is older than 3.1, or the client uses another API.
        """
        if self._view.release < (3, 1, 0):
            raise UsageError(f"Prefect {self._view.version} has no authentication string: it came with 3.1")
        self._check_in_use()
        register("PREFECT_API_AUTH_STRING", auth_string)
        self._auth_string = auth_string
        token = base64.b64encode(auth_string.encode()).decode()
        self._view.authorization = f"Basic {token}" if auth_string else ""
        cast("RestIsolation", self._isolation).use(self)

    @hide_arguments
    def assert_never_received(self, *names: str) -> None:
        """Assert that the API received the values of these secrets only in secret fields of blocks.

        The check searches all requests and events (parameters, states, logs, artifacts, variables, plain fields of
        blocks and so on) for all encodings of the current and the earlier values.

        Args:
            names: the names of the secrets, at least one. ``type/name``, such as ``slack-webhook/alerts``, names the
                secret fields of a block of any type.

        Raises:
            SecretReceived: the API received a value; the error lists the places.
            UsageError: there is no name, a secret does not exist or is empty, or the first requests have been
                discarded.
        """
        if not names:
            raise UsageError("assert_never_received needs the name of at least one secret")
        from pytest_flowsecrets.leaks.search.finder import finder

        self._flush()
        for name in names:
            block = name if "/" in name else f"secret/{block_name(name)}"
            texts = self._received.texts_of(block)
            if not texts:
                raise UsageError(f"the secret {name!r} {self._problem(block)}, so nothing was checked")
            places = self._received.search(finder(texts))
            if places:
                raise SecretReceived(name, places)
        if self._received.forgotten:
            raise UsageError(
                f"the contents of the first {self._received.forgotten} requests have been discarded and cannot be "
                "checked: assert earlier"
            )

    def _problem(self, block: str) -> str:
        """Describe why a block has no value to search for."""
        if block in self.blocks:
            return "is empty"
        other = next((each for each in self.blocks if each.partition("/")[2] == block.partition("/")[2]), "")
        return f"is not a Secret block: write {other!r}" if other else "does not exist in this API"

    def write_only(self, *, enabled: bool = True) -> None:
        """Refuse reads of secrets with 403 unless they come from a flow run, or are inside ``flow_run()``.

        The flow, its tasks, its threads and its hooks may read, even hooks that Prefect calls after the run has ended.
        A child process may read while its run is Running; from Prefect 3.6 on, its hooks may read afterwards, too.

        Args:
            enabled: False to allow all reads again.
        """
        self._view.write_only(enabled=enabled)

    def flow_run(self) -> ContextManager[None]:
        """Allow reads of secrets inside a ``with`` block, as if a flow run were Running."""
        return self._view.flow_run()

    def executing(self) -> ContextManager[None]:
        """Return ``flow_run()``. Deprecated."""
        warn_renamed("executing()", "flow_run()")
        return self.flow_run()


class RestCloud(RestServer):
    """A fake workspace of Prefect Cloud with the rows of one test."""

    _legacy_name = "FakeCloud"

    @property
    def api_key(self) -> str:
        """The key that requests need, as for ``PREFECT_API_KEY``."""
        return self._view.authorization.partition(" ")[2]

    @property
    def settings(self) -> Mapping[str, str]:
        """The variables that make the client use this API."""
        return {
            "PREFECT_API_URL": self.url,
            "PREFECT_API_KEY": self.api_key,
            "PREFECT_CLOUD_API_URL": self._api.root,
        }
