"""Send GraphQL requests with a key to a fake API over HTTP."""

from __future__ import annotations

import json

from tests.backend.http import ask


class Refused(Exception):  # noqa: N818
    """The API answered with errors: HTTP status, messages, codes."""

    def __init__(self, status, errors):
        super().__init__(status, errors)
        self.status, self.messages = status, [error["message"] for error in errors]
        self.codes = [error.get("extensions", {}).get("code") for error in errors]


def graphql(api, query, key=None, tenant=None, *, as_text=True, **variables):
    """Return the data of an answer. Variables are sent as a JSON text, as Prefect does, or as an object."""
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    if tenant:
        headers["X-Prefect-Tenant-Id"] = tenant
    body = {"query": query, "variables": json.dumps(variables) if as_text else variables}
    reply = ask(api.url, body, **headers)
    if "errors" in reply.json:
        raise Refused(reply.status, reply.json["errors"])
    return reply.json["data"]


def as_user(cloud, query, **variables):
    return graphql(cloud, query, cloud.tenant.user_key, **variables)


def as_agent(cloud, query, **variables):
    return graphql(cloud, query, cloud.tenant.runner_key, **variables)
