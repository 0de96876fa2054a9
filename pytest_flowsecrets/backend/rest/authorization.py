"""The ``Authorization`` of requests and of WebSockets."""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING

from pytest_flowsecrets.backend.rest.errors import PlainApiError

if TYPE_CHECKING:
    from pytest_flowsecrets.backend.rest.view import View


def check_authorization(view: View, header: str) -> None:
    """Check the ``Authorization`` header of a request.

    Raises:
        ApiError: 401.
    """
    if view.authorization and not hmac.compare_digest(view.authorization.encode(), header.encode()):
        raise PlainApiError(401, "Unauthorized")
