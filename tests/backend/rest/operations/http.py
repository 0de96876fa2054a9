"""Requests as they go over the wire: status and error body of what a client method does not reach."""

from uuid import UUID

from catalogue import operation

ZERO = str(UUID(int=0))


async def _ask(client, method, path, **more):
    response = await client._client.request(method, path, **more)
    body = response.json() if response.content and "json" in response.headers.get("content-type", "") else None
    detail = body.get("detail") if isinstance(body, dict) else None
    if isinstance(detail, list):
        detail = [[".".join(map(str, each["loc"])), each["type"]] for each in detail]
    return [response.status_code, detail]


async def _raw(client, requests):
    """Ask without the client's own handling of errors."""
    import httpx

    async with httpx.AsyncClient(base_url=str(client._client.base_url), timeout=30) as plain_client:

        class Holder:
            _client = plain_client

        return [await _ask(Holder, *request[:2], **(request[2] if len(request) > 2 else {})) for request in requests]


@operation
async def http_not_found(client):
    return await _raw(
        client,
        [
            ("GET", f"flow_runs/{ZERO}"),
            ("GET", f"flows/{ZERO}"),
            ("GET", "flows/name/none"),
            ("GET", f"task_runs/{ZERO}"),
            ("GET", f"deployments/{ZERO}"),
            ("GET", "deployments/name/a/b"),
            ("GET", f"block_documents/{ZERO}"),
            ("GET", f"block_types/{ZERO}"),
            ("GET", "block_types/slug/none"),
            ("GET", f"block_schemas/{ZERO}"),
            ("GET", "block_schemas/checksum/none"),
            ("GET", "block_types/slug/secret/block_documents/name/none"),
            ("GET", "block_types/slug/no-type/block_documents/name/none"),
            ("GET", "variables/name/none"),
            ("GET", f"variables/{ZERO}"),
            ("GET", "work_pools/none"),
            ("GET", f"work_queues/{ZERO}"),
            ("GET", f"artifacts/{ZERO}"),
            ("GET", "artifacts/none/latest"),
            ("GET", f"concurrency_limits/{ZERO}"),
            ("GET", "concurrency_limits/tag/none"),
            ("GET", "v2/concurrency_limits/none"),
            ("GET", f"flow_run_states/{ZERO}"),
            ("GET", f"task_run_states/{ZERO}"),
            ("GET", "no-such-route"),
        ],
    )


@operation
async def http_delete_missing(client):
    return await _raw(
        client,
        [
            ("DELETE", f"flow_runs/{ZERO}"),
            ("DELETE", f"flows/{ZERO}"),
            ("DELETE", f"task_runs/{ZERO}"),
            ("DELETE", f"deployments/{ZERO}"),
            ("DELETE", f"block_documents/{ZERO}"),
            ("DELETE", f"block_types/{ZERO}"),
            ("DELETE", "variables/name/none"),
            ("DELETE", f"variables/{ZERO}"),
            ("DELETE", "work_pools/none"),
            ("DELETE", f"work_queues/{ZERO}"),
            ("DELETE", f"artifacts/{ZERO}"),
            ("DELETE", f"concurrency_limits/{ZERO}"),
            ("DELETE", "v2/concurrency_limits/none"),
        ],
    )


@operation
async def http_patch_missing(client):
    return await _raw(
        client,
        [
            ("PATCH", f"flow_runs/{ZERO}", {"json": {"name": "x"}}),
            ("PATCH", f"flows/{ZERO}", {"json": {"tags": ["x"]}}),
            ("PATCH", f"task_runs/{ZERO}", {"json": {"name": "x"}}),
            ("PATCH", f"deployments/{ZERO}", {"json": {"description": "x"}}),
            ("PATCH", f"block_documents/{ZERO}", {"json": {"data": {}}}),
            ("PATCH", "variables/name/none", {"json": {"value": "x"}}),
            ("PATCH", "work_pools/none", {"json": {"description": "x"}}),
            ("PATCH", f"artifacts/{ZERO}", {"json": {"description": "x"}}),
            ("PATCH", "v2/concurrency_limits/none", {"json": {"limit": 1}}),
        ],
    )


@operation(since="3.4")
async def http_invalid_ids(client):
    return await _raw(client, [("GET", "flow_runs/not-an-id"), ("GET", "block_documents/1"), ("DELETE", "flows/x")])


@operation
async def http_missing_fields(client):
    return await _raw(
        client,
        [
            ("POST", "flows/", {"json": {}}),
            ("POST", "flow_runs/", {"json": {}}),
            ("POST", "variables/", {"json": {"name": "x"}}),
            ("POST", "block_documents/", {"json": {"name": "x"}}),
            ("POST", "work_pools/", {"json": {"name": "x"}}),
            ("POST", "v2/concurrency_limits/", {"json": {"name": "x"}}),
            ("POST", "deployments/", {"json": {}}),
            ("POST", "flows/", {"content": b"{", "headers": {"content-type": "application/json"}}),
        ],
    )


@operation
async def http_limits_of_pages(client):
    return await _raw(
        client,
        [
            ("POST", "flow_runs/filter", {"json": {"limit": 201}}),
            ("POST", "flow_runs/filter", {"json": {"limit": 200}}),
            ("POST", "flows/filter", {"json": {"offset": -1}}),
            ("POST", "logs/filter", {"json": {"limit": 1000}}),
            ("POST", "variables/filter", {"json": {"limit": 0}}),
        ],
    )


@operation
async def http_methods_not_allowed(client):
    return await _raw(client, [("PUT", "flows/"), ("DELETE", "flows/"), ("PATCH", "hello"), ("POST", "hello")])


@operation
async def http_status_of_creations(client):
    return await _raw(
        client,
        [
            ("POST", "flows/", {"json": {"name": "http-flow"}}),
            ("POST", "flows/", {"json": {"name": "http-flow"}}),
            ("POST", "variables/", {"json": {"name": "http_v", "value": "x"}}),
            ("POST", "variables/", {"json": {"name": "http_v", "value": "x"}}),
            ("POST", "concurrency_limits/", {"json": {"tag": "http", "concurrency_limit": 1}}),
            ("POST", "concurrency_limits/", {"json": {"tag": "http", "concurrency_limit": 1}}),
            ("POST", "v2/concurrency_limits/", {"json": {"name": "http", "limit": 1}}),
            ("POST", "v2/concurrency_limits/", {"json": {"name": "http", "limit": 1}}),
            ("POST", "work_pools/", {"json": {"name": "http", "type": "process"}}),
            ("POST", "work_pools/", {"json": {"name": "http", "type": "process"}}),
            ("POST", "logs/", {"json": []}),
            ("GET", "health"),
            ("GET", "hello"),
            ("GET", "csrf-token?client=x"),
            ("POST", "artifacts/", {"json": {"key": "http", "data": 1}}),
            ("POST", "flow_runs/count", {"json": {}}),
            ("POST", "flows/count", {"json": {}}),
            ("POST", "task_runs/count", {"json": {}}),
            ("POST", "deployments/count", {"json": {}}),
            ("POST", "variables/count", {"json": {}}),
            ("POST", "block_documents/count", {"json": {}}),
            ("POST", "artifacts/count", {"json": {}}),
            ("POST", "work_pools/count", {"json": {}}),
        ],
    )


@operation
async def http_invalid_values(client):
    return await _raw(
        client,
        [
            ("POST", "variables/", {"json": {"name": "UPPER", "value": "x"}}),
            ("POST", "flows/", {"json": {"name": "a/b"}}),
            ("POST", "flows/", {"json": {"name": 1}}),
            ("POST", "work_pools/", {"json": {"name": "a/b", "type": "process"}}),
            ("POST", "v2/concurrency_limits/", {"json": {"name": "neg", "limit": -1}}),
            ("POST", "artifacts/", {"json": {"key": "UPPER"}}),
        ],
    )


@operation
async def http_hello(client):
    import httpx

    async with httpx.AsyncClient(base_url=str(client._client.base_url)) as plain_client:
        return [(await plain_client.get(path)).json() for path in ("health", "hello")]
