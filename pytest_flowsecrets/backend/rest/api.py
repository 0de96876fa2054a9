"""The API of a session: its views, and requests answered without sockets."""

from __future__ import annotations

import base64
import json
import threading
import uuid
from secrets import token_urlsafe
from typing import TYPE_CHECKING, Any, Dict, List, Optional, Tuple, Type
from urllib.parse import parse_qsl

from pytest_flowsecrets.backend.http.graphql_http import internal_fault
from pytest_flowsecrets.backend.messages import Request, Response
from pytest_flowsecrets.backend.rest.authorization import answer_about_caller, check_authorization
from pytest_flowsecrets.backend.rest.call import Call, Reply
from pytest_flowsecrets.backend.rest.errors import ApiError
from pytest_flowsecrets.backend.rest.openapi import schemas_of
from pytest_flowsecrets.backend.rest.rules.slots import LockedError
from pytest_flowsecrets.backend.rest.store.block_types import SharedBlockTypes
from pytest_flowsecrets.backend.rest.store.table import utc_now
from pytest_flowsecrets.backend.rest.view import View
from pytest_flowsecrets.errors import UsageError

if TYPE_CHECKING:
    from types import TracebackType

    from typing_extensions import Self

    from pytest_flowsecrets.backend.rest.listener import Listener
    from pytest_flowsecrets.backend.rest.store.table import Clock
    from pytest_flowsecrets.backend.rest.websockets import Socket

NEWEST = "3.9.1"
HEALTH = frozenset({"/health", "/api/health"})  # without a key, also for Prefect Cloud
NOT_FOUND = "no API is here: take the URL from the fixture of this test"
ENDED = "the API of {} has ended: take the URL from the fixture of this test"


class RestApi:
    """A fake REST API with any number of views, served from a thread of this process.

    Args:
        version: of Prefect, whose server it behaves like: 2.20 or 3.x.
        now: the clock.

    Raises:
        UsageError: the version has no REST API that this package fakes.
    """

    def __init__(self, version: str = NEWEST, *, now: Clock = utc_now) -> None:
        if not version.startswith(("2.20.", "3.")):
            raise UsageError(f"Prefect {version} has no API that can be faked here: choose 2.20 or 3.x")
        self.version, self._now = version, now
        self._types = SharedBlockTypes()
        self._views: Dict[str, View] = {}
        self._ended: Dict[str, str] = {}  # the owner of each removed view by its path
        self._lock = threading.Lock()
        self._listener: Optional[Listener] = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: Optional[Type[BaseException]], error: Optional[BaseException], traceback: Optional[TracebackType]
    ) -> None:
        self.close()

    def start(self, **address: Any) -> None:
        """Listen; a second call does nothing.

        Args:
            address: the arguments of ``backend.http.server.Server``; by default 127.0.0.1 and a free port.

        Raises:
            OSError: the server cannot listen on this address.
        """
        from pytest_flowsecrets.backend.rest.listener import Listener

        with self._lock:
            if self._listener is None:
                self._listener = Listener(self, **address)
                self._listener.start()

    def close(self) -> None:
        """End all views, and stop listening."""
        for view in self.views:
            self.remove_view(view)
        with self._lock:
            listener, self._listener = self._listener, None
        if listener is not None:
            listener.stop()

    # -- views ---------------------------------------------------------------------------------------------------------

    @property
    def views(self) -> List[View]:
        """The views that clients can reach."""
        with self._lock:
            return list(self._views.values())

    @property
    def root(self) -> str:
        """The address of the server, with ``/api``: what ``PREFECT_CLOUD_API_URL`` has to be for a Cloud view.

        Raises:
            UsageError: the API does not listen.
        """
        if self._listener is None:
            raise UsageError("this API does not listen: call start(), or use it in a with statement")
        return f"{self._listener.url}/api"

    def new_view(self, *, auth_string: str = "", path: Optional[str] = None) -> View:
        """Return a new, empty tenant of a self-hosted server.

        Args:
            auth_string: what ``PREFECT_API_AUTH_STRING`` has to be; empty for no authentication.
            path: below ``/api``; by default one that nobody can guess, empty for ``/api`` itself.
        """
        token = base64.b64encode(auth_string.encode()).decode()
        path = token_urlsafe(18) if path is None else path
        return self._mount(f"/{path}" if path else "", f"Basic {token}" if auth_string else "")

    def new_workspace(self, api_key: Optional[str] = None) -> View:
        """Return a new, empty workspace of Prefect Cloud.

        Args:
            api_key: what ``PREFECT_API_KEY`` has to be; by default a new one, at the end of ``view.authorization``.
        """
        ids = {"account_id": str(uuid.uuid4()), "workspace_id": str(uuid.uuid4())}
        path = f"/accounts/{ids['account_id']}/workspaces/{ids['workspace_id']}"
        return self._mount(path, f"Bearer {api_key or 'pnu_' + token_urlsafe(27)}", **ids)

    def _mount(self, path: str, authorization: str, **ids: str) -> View:
        url = f"{self.root}{path}"
        view = View(url, self.version, self._types, self._now, authorization=authorization, **ids)
        schemas_of(view.release)  # read now: later, a test may replace the file system
        with self._lock:
            self._views[f"/api{path}"] = view
            self._ended.pop(f"/api{path}", None)
        return view

    def remove_view(self, view: View) -> None:
        """Answer requests to a view with 410 from now on. For a 404, clients report a missing block, for example."""
        with self._lock:
            self._ended.update((path, view.owner) for path, mounted in self._views.items() if mounted is view)
            self._views = {path: mounted for path, mounted in self._views.items() if mounted is not view}
        view.close()

    def find_view(self, path: str) -> Tuple[View, str]:
        """Return the view that a path leads to, and the rest of the path.

        Raises:
            ApiError: 404, no view is there, or 410, it has been removed.
        """
        segments = path.split("/")
        with self._lock:
            for length in (6, 3, 2):  # /api/accounts/A/workspaces/W, /api/KEY, /api
                root = "/".join(segments[:length])
                view = self._views.get(root)
                if view is not None and len(segments) > length:
                    return view, "/" + "/".join(segments[length:])
                if root in self._ended:
                    raise ApiError(410, ENDED.format(self._ended[root]))
        raise ApiError(404, NOT_FOUND)

    # -- requests ------------------------------------------------------------------------------------------------------

    def find_socket(self, path: str, authorization: str = "") -> Socket:
        """Return the WebSocket that a path leads to, for a request with an ``Authorization`` header.

        Raises:
            ApiError: 404, there is none.
        """
        from pytest_flowsecrets.backend.rest.websockets import find_socket

        return find_socket(*self.find_view(path), authorization)

    def answer(self, request: Request) -> Response:
        """Return the response to a request; errors of the API are responses, too."""
        try:
            if request.path in HEALTH:
                return _response(200, b"true")
            if request.path == "/api/me" or request.path.startswith("/api/me/"):
                authorization = request.headers.get("authorization", "")
                return _response(200, answer_about_caller(request.method, request.path[4:], authorization, self.views))
            view, path = self.find_view(request.path)
        except ApiError as error:
            return _response(error.status, error.body)
        return view.intercept(request, lambda: self._answer(view, path, request))

    def _answer(self, view: View, path: str, request: Request) -> Response:
        try:
            return self._handle(view, path, request)
        except LockedError as error:
            return _response(error.status, error.body, (("Retry-After", f"{error.retry_after:g}"),))
        except ApiError as error:
            return _response(error.status, error.body)
        except Exception as error:  # noqa: BLE001 - its text and its frames may hold values
            fault = internal_fault(500, error)
            return _response(fault.status, {"exception_message": fault.message})

    def _handle(self, view: View, path: str, request: Request) -> Response:
        from pytest_flowsecrets.backend.rest.routes import router

        check_authorization(view, request.headers.get("authorization", ""))
        schemas = schemas_of(view.release)
        match = router.find(request.method, path, schemas.has)
        key = match.route.key
        query = dict(parse_qsl(request.query, keep_blank_values=True))
        body = schemas.check(key, _json(request.body))
        call = Call(view, match.parameters, query, body, request.headers)
        with view.lock:
            answer = match.route.handler(call)
            if not isinstance(answer, Reply):
                answer = Reply(match.route.status, answer)
            return _response(answer.status, schemas.complete(key, answer.body))


def _json(body: bytes) -> Any:
    if not body:
        return None
    try:
        return json.loads(body)
    except ValueError:
        error = {"type": "json_invalid", "loc": ["body", 0], "msg": "JSON decode error", "input": {}}
        raise ApiError(422, [error]) from None


def _response(status: int, body: Any, headers: Tuple[Tuple[str, str], ...] = ()) -> Response:
    if status == 204:  # noqa: PLR2004 - No Content
        return Response(status, headers, b"")
    text = body if isinstance(body, bytes) else json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode()
    return Response(status, (("Content-Type", "application/json"), *headers), text)
