"""The ``Authorization`` of requests and WebSockets, and what Prefect Cloud answers about its owner.

Outside workspaces, Cloud says who the caller is and which workspaces its key opens.
"""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING, Any, Dict, Iterable, List

from pytest_flowsecrets.backend.rest.errors import ApiError, PlainApiError, Row

if TYPE_CHECKING:
    from pytest_flowsecrets.backend.rest.view import View


def check_authorization(view: View, header: str) -> None:
    """Check the ``Authorization`` header of a request. The case of its scheme is ignored (RFC 9110, section 11.1).

    Raises:
        ApiError: 401.
    """
    scheme, _, credentials = header.partition(" ")
    header = f"{scheme.capitalize()} {credentials}"
    if view.authorization and not hmac.compare_digest(view.authorization.encode(), header.encode()):
        raise PlainApiError(401, "Unauthorized")


def answer_about_caller(method: str, path: str, authorization: str, views: Iterable[View]) -> Any:
    """Return the JSON body for a path such as ``/me/workspaces``.

    Args:
        method: of HTTP; only ``GET`` is answered.
        path: below ``/api``.
        authorization: header of the request.
        views: all of the API.

    Raises:
        ApiError: 401, 404 or 405.
    """
    opened = [view for view in views if _opens(authorization, view)]
    if not opened:
        raise ApiError(401, "Invalid authentication credentials")
    bodies: Dict[str, Any] = {
        "/me": {"id": opened[0].account_id, "handle": "flowsecrets", "first_name": "Flow", "last_name": "Secrets"},
        "/me/workspaces": [_workspace(view) for view in opened],
        "/me/accounts": _accounts(opened),
    }
    path = path.rstrip("/")
    if path not in bodies:
        raise ApiError(404, "Not Found")
    if method != "GET":
        raise ApiError(405, "Method Not Allowed")
    return bodies[path]


def _opens(authorization: str, view: View) -> bool:
    return bool(view.workspace_id) and hmac.compare_digest(view.authorization.encode(), authorization.encode())


def _workspace(view: View) -> Row:
    return {
        "account_id": view.account_id,
        "account_name": "flowsecrets",
        "account_handle": f"account-{view.account_id[:8]}",
        "workspace_id": view.workspace_id,
        "workspace_name": f"workspace-{view.workspace_id[:8]}",
        "workspace_handle": f"workspace-{view.workspace_id[:8]}",
        "workspace_description": "",
    }


def _accounts(views: List[View]) -> List[Row]:
    rows = map(_workspace, views)
    return [{key: row[key] for key in ("account_id", "account_name", "account_handle")} for row in rows]
