"""What the server says of itself: health, version, settings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pytest_flowsecrets.backend.rest.call import Route
from pytest_flowsecrets.backend.rest.errors import ApiError

if TYPE_CHECKING:
    from pytest_flowsecrets.backend.rest.call import Call
    from pytest_flowsecrets.backend.rest.errors import Row


def health(_: Call) -> bool:
    """Say that the server lives."""
    return True


def hello(_: Call) -> str:
    """Greet."""
    return "👋"


def version(call: Call) -> str:
    """Return the version of Prefect."""
    return call.view.version


def csrf_token(_: Call) -> Any:
    """Refuse: protection against cross-site requests is off, as it is by default."""
    raise ApiError(422, "CSRF protection is disabled.")


def settings(_: Call) -> Row:
    """Return the settings of the server: none are shown."""
    return {}


def read_storage(call: Call) -> Row:
    """Return the default storage of results."""
    return {"default_result_storage_block_id": call.view.settings.get("result_storage")}


def update_storage(call: Call) -> Row:
    """Set the default storage of results."""
    call.view.settings["result_storage"] = call.fields["default_result_storage_block_id"]
    return read_storage(call)


def clear_storage(call: Call) -> None:
    """Remove the default storage of results."""
    call.view.settings.pop("result_storage", None)


def collections(_: Call) -> Row:
    """Return the aggregated views of Prefect's collections: none are known here."""
    return {}


ROUTES = (
    Route("GET", "/health", health),
    Route("GET", "/ready", health),
    Route("GET", "/hello", hello),
    Route("GET", "/version", version),
    Route("GET", "/csrf-token", csrf_token),
    Route("GET", "/admin/version", version),
    Route("GET", "/admin/settings", settings),
    Route("GET", "/admin/storage", read_storage),
    Route("PUT", "/admin/storage", update_storage),
    Route("DELETE", "/admin/storage", clear_storage, 204),
    Route("GET", "/collections/views/{view}", collections),
)
