"""Storages of flows: which ones reach the network, and the one that works without it.

A flow run in a process of its own loads its flow from its storage, and registering writes some storages. Neither may
reach the network unless the test says so: with ``storage=``, or with a storage that points to this machine.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Callable, Mapping, Optional, Tuple
from urllib.parse import urlsplit

from pytest_flowsecrets.errors import UsageError

if TYPE_CHECKING:
    from pytest_flowsecrets.backend.runs.api import Api

#: What ``storage=`` takes besides a storage of Prefect's.
OFFLINE = "local"
_LOOPBACK = ("localhost", "::1")
_AMAZON = ("AWS_ENDPOINT_URL",)
_AZURITE = "UseDevelopmentStorage=true"


def storage_of(api: Api, flow: Any, storage: Any) -> Any:
    """Return the storage with which a flow is registered.

    Args:
        api: the API, whose isolation has a private home.
        flow: a flow of Prefect's.
        storage: the argument of ``run()``: None for the flow's own, ``"local"``, or a storage of Prefect's.

    Raises:
        UsageError: the flow's own storage is on the network, or the argument is not a storage.
    """
    from prefect.storage import Local, Storage

    if isinstance(storage, Storage):
        return storage
    if storage not in (None, OFFLINE):
        raise UsageError(f"storage is {OFFLINE!r} or a storage of Prefect's, not a {type(storage).__name__}")
    own = flow.storage
    if storage is None and own is not None:
        place = _place(own)
        if place is None:
            return own
        raise UsageError(
            f"run() would reach {place}: the storage of this flow is a {type(own).__name__}; pass "
            f"storage={OFFLINE!r} to store the flow in the home of the test, point the storage to a double on "
            "127.0.0.1, or pass storage=flow.storage to use the network"
        )
    more = {} if own is None else {"secrets": list(own.secrets), "labels": list(own.labels)}
    return Local(directory=str(api.isolation.home.path / "flows"), add_default_labels=False, **more)


def _place(storage: Any) -> Optional[str]:
    """Return where a storage leads outside of this machine, None if nowhere; storages of users lead nowhere known."""
    names = [owner.__name__ for owner in type(storage).__mro__ if owner.__module__.startswith("prefect.storage.")]
    find = next((_PLACES[name] for name in names if name in _PLACES), None)
    address, usual = find(storage) if find else ("localhost", "")
    return None if address and _is_here(address) else address or usual


def _is_here(host: str) -> bool:
    return host in (*_LOOPBACK, _AZURITE) or host.startswith("127.")


Place = Tuple[Optional[str], str]  # the address that is set, and what is asked where none is


def _attribute(name: str, usual: str) -> Callable[[Any], Place]:
    return lambda storage: (_host_of(getattr(storage, name, None)), usual)


def _variables(names: Tuple[str, ...], usual: str) -> Callable[[Any], Place]:
    def find(storage: Any) -> Place:
        options = getattr(storage, "client_options", None) or {}
        found = [options.get("endpoint_url"), *(os.environ.get(name) for name in names)]
        return next((_host_of(text) for text in found if text), None), usual

    return find


def _git(storage: Any) -> Place:
    name = getattr(storage, "git_clone_url_secret_name", None)
    return (None, f"the address in the secret {name!r}") if name else (_host_of(storage.repo_host), "")


def _azure(_: Any) -> Place:
    text = os.environ.get("AZURE_STORAGE_CONNECTION_STRING", "")
    if text == _AZURITE:
        return text, ""
    fields = dict(field.partition("=")[::2] for field in text.split(";"))
    return _host_of(fields.get("BlobEndpoint")), "Azure"


def _webhook(storage: Any) -> Place:
    requests = (storage.build_request_kwargs, storage.get_flow_request_kwargs)
    hosts = [_host_of(request.get("url")) or "an address without a host" for request in requests]
    return next((host for host in hosts if not _is_here(host)), hosts[0]), ""


def _host_of(address: Any) -> Optional[str]:
    """Return the host of an address, without what else may stand in it, such as a password."""
    if not isinstance(address, str) or not address:
        return None
    return urlsplit(address if "//" in address else f"//{address}").hostname or "an address without a host"


_PLACES: Mapping[str, Callable[[Any], Place]] = {
    "GitHub": _attribute("base_url", "api.github.com"),
    "GitLab": _attribute("host", "gitlab.com"),
    "Bitbucket": _attribute("host", "api.bitbucket.org"),
    "Git": _git,
    "S3": _variables(("AWS_ENDPOINT_URL_S3", *_AMAZON), "Amazon S3"),
    "CodeCommit": _variables(("AWS_ENDPOINT_URL_CODECOMMIT", *_AMAZON), "Amazon CodeCommit"),
    "GCS": _variables(("STORAGE_EMULATOR_HOST",), "Google Cloud Storage"),
    "Azure": _azure,
    "Webhook": _webhook,
    "Docker": lambda _: (None, "a Docker daemon to build an image"),
}
