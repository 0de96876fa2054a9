"""Storages of flows: detect those on the network, and provide one that works offline.

A flow run in its own process loads the flow from its storage, and registration writes some storages. Neither may access
the network, unless the test permits it with ``storage=`` or uses a storage that points to this machine.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Callable, Mapping, Optional, Tuple
from urllib.parse import urlsplit

from pytest_flowsecrets.errors import UsageError, with_article

if TYPE_CHECKING:
    from pytest_flowsecrets.backend.runs.flow_run import Api

#: The value of ``storage=`` that stores the flow on this machine.
OFFLINE = "local"
_LOOPBACK = ("localhost", "::1")
_AMAZON = ("AWS_ENDPOINT_URL",)
_AMAZON_SETTING = "client_options or AWS_ENDPOINT_URL"
_AZURITE = "UseDevelopmentStorage=true"


def storage_of(api: Api, flow: Any, storage: Any) -> Any:
    """Return the storage for the registration of a flow.

    Args:
        api: the API; its isolation has a private home.
        flow: the Prefect flow.
        storage: the argument of ``run()``: None for the flow's own, ``"local"``, or a Prefect storage.

    Raises:
        UsageError: the flow's own storage is on the network, or the argument is not a storage.
    """
    from prefect.storage import Local, Storage

    if isinstance(storage, Storage):
        return storage
    if storage not in (None, OFFLINE):
        raise UsageError(
            f"storage must be {OFFLINE!r} or a Prefect storage, not {with_article(type(storage).__name__)}"
        )
    own = flow.storage
    if storage is None and own is not None:
        host, setting = _remote_host(own)
        if host is None:
            return own
        server = f"point the storage to a test server on 127.0.0.1 with {setting}, " if setting else ""
        raise UsageError(
            f"run() would access {host}, because the storage of this flow is {with_article(type(own).__name__)}: pass "
            f"storage={OFFLINE!r} to store the flow in the home of the test, {server}"
            "or pass storage=flow.storage to use the network"
        )
    more = {} if own is None else {"secrets": list(own.secrets), "labels": list(own.labels)}
    return Local(directory=str(api.isolation.home.path / "flows"), add_default_labels=False, **more)


def _remote_host(storage: Any) -> Tuple[Optional[str], str]:
    """Return the remote host of a storage, and the name of the setting for its address.

    The host is None if it is this machine, or if the storage is not one of Prefect's. The name is empty if there is no
    such setting.
    """
    classes = [owner for owner in type(storage).__mro__ if owner.__module__.startswith("prefect.storage.")]
    finder = next((_FINDERS[owner.__name__] for owner in classes if owner.__name__ in _FINDERS), None)
    if finder is None:
        return None, ""
    find, setting = finder
    host, default = find(storage)
    return None if host and _is_local(host) else host or default, setting


def _is_local(host: str) -> bool:
    return host in (*_LOOPBACK, _AZURITE) or host.startswith("127.")


Host = Tuple[Optional[str], str]  # the configured host, and the default if none is configured


def _attribute(name: str, default: str) -> Callable[[Any], Host]:
    return lambda storage: (_host_of(getattr(storage, name, None)), default)


def _variables(names: Tuple[str, ...], default: str) -> Callable[[Any], Host]:
    def find(storage: Any) -> Host:
        options = getattr(storage, "client_options", None) or {}
        urls = [options.get("endpoint_url"), *(os.environ.get(name) for name in names)]
        return next((_host_of(url) for url in urls if url), None), default

    return find


def _git(storage: Any) -> Host:
    name = getattr(storage, "git_clone_url_secret_name", None)
    return (None, f"the address in the secret {name!r}") if name else (_host_of(storage.repo_host), "")


def _azure(_: Any) -> Host:
    text = os.environ.get("AZURE_STORAGE_CONNECTION_STRING", "")
    if text == _AZURITE:
        return text, ""
    fields = dict(field.partition("=")[::2] for field in text.split(";"))
    return _host_of(fields.get("BlobEndpoint")), "Azure"


def _webhook(storage: Any) -> Host:
    requests = (storage.build_request_kwargs, storage.get_flow_request_kwargs)
    hosts = [_host_of(request.get("url")) or "an address without a host" for request in requests]
    return next((host for host in hosts if not _is_local(host)), hosts[0]), ""


def _host_of(address: Any) -> Optional[str]:
    """Return the host of an address, without other parts such as a password."""
    if not isinstance(address, str) or not address:
        return None
    return urlsplit(address if "//" in address else f"//{address}").hostname or "an address without a host"


# For each storage, a function that finds its host, and the option or variable that sets it.
_FINDERS: Mapping[str, Tuple[Callable[[Any], Host], str]] = {
    "GitHub": (_attribute("base_url", "api.github.com"), "base_url"),
    "GitLab": (_attribute("host", "gitlab.com"), "host"),
    "Bitbucket": (_attribute("host", "api.bitbucket.org"), "host"),
    "Git": (_git, "repo and repo_host"),
    "S3": (_variables(("AWS_ENDPOINT_URL_S3", *_AMAZON), "Amazon S3"), _AMAZON_SETTING),
    "CodeCommit": (_variables(("AWS_ENDPOINT_URL_CODECOMMIT", *_AMAZON), "Amazon CodeCommit"), _AMAZON_SETTING),
    "GCS": (_variables(("STORAGE_EMULATOR_HOST",), "Google Cloud Storage"), "STORAGE_EMULATOR_HOST"),
    "Azure": (_azure, "AZURE_STORAGE_CONNECTION_STRING"),
    "Webhook": (_webhook, "its url"),
    "Docker": (lambda _: (None, "a Docker daemon to build an image"), ""),
}
