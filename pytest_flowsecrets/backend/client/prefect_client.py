"""The real ``prefect.Client`` of the installed version, ready to talk to a fake API."""

from __future__ import annotations

from typing import Any, Optional


def make_client(url: str, key: Optional[str], tenant_id: Optional[str]) -> Any:
    """A client for one API and key, whatever Prefect's configuration says.

    From 0.15.0 on clients have keys, before that API tokens; 0.5.5 to 0.6.3 take theirs from the configuration only, so
    there it is put in its place.
    """
    from inspect import signature

    from prefect import Client

    arguments = signature(Client).parameters
    if "api_key" in arguments:
        return Client(api_server=url, api_key=key, tenant_id=tenant_id)
    if "api_token" in arguments:
        return Client(api_server=f"{url}/graphql", api_token=key)
    client = Client(graphql_server=f"{url}/graphql")
    client.token = key
    return client
