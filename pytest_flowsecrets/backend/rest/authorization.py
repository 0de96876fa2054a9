"""The ``Authorization`` of requests and of WebSockets."""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING

from pytest_flowsecrets.backend.rest.errors import PlainApiError

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
