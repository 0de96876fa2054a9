"""Record which bodies the routes of the real server accept and return: ``backend/rest/openapi.json``.

The server describes them itself in its OpenAPI document. Run this with the Python of the environment that holds the
Prefect to be recorded, once per minor release, and then merge the files::

    python -m tests.backend.rest.record_openapi record FOLDER  # write FOLDER/VERSION.json for the installed Prefect
    python -m tests.backend.rest.record_openapi merge FOLDER   # write openapi.json from all files of the folder
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

from pytest_flowsecrets.backend.rest.openapi import FILE, route_key
from pytest_flowsecrets.backend.rest.routes import ROUTES

# Texts for people, and what a JSON document cannot violate.
LEFT_OUT = frozenset(
    {"title", "description", "examples", "example", "deprecated", "writeOnly", "supported_environment_variables"}
)
# Answers that the fake API leaves empty.
EMPTY_ANSWERS = frozenset({"GET /admin/settings"})
LONGEST_PATTERN = 80  # of a regular expression; the one of time zones has thousands of characters


def record(folder):
    """Write the OpenAPI document of the installed Prefect's server, reduced to the routes of the fake API."""
    with tempfile.TemporaryDirectory() as home:
        os.environ.update(PREFECT_HOME=home, PREFECT_PROFILES_PATH=f"{home}/profiles.toml")
        from prefect.server.api.server import create_api_app

        document = create_api_app().openapi()
    if version("prefect").startswith("2."):  # it sends `infra_overrides` only
        del document["components"]["schemas"]["DeploymentResponse"]["properties"]["job_variables"]
    path = Path(folder) / f"{version('prefect')}.json"
    path.write_text(json.dumps(reduced(document)), "utf-8")


def reduced(document):
    """Return the schemas of the bodies of requests and answers, by route, and the schemas that they refer to."""
    served = {route_key(route.method, route.template) for route in ROUTES}
    routes = {}
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            key = route_key(method.upper(), path)
            if key in served:
                routes[key] = _bodies(operation)
                routes[key].update({"answer": None} if key in EMPTY_ANSWERS else {})
    definitions = document["components"]["schemas"]
    reached = {}
    waiting = list(_names(routes))
    while waiting:
        name = waiting.pop()
        if name not in reached:
            reached[name] = _plain(definitions[name])
            waiting += _names(reached[name])
    return {"routes": routes, "schemas": reached}


def _bodies(operation):
    """Return the schemas of the body of a request and of a successful answer; null for none."""
    request = operation.get("requestBody", {})
    answers = [answer for status, answer in operation["responses"].items() if status.startswith("2")]
    return {
        "request": _content(request),
        "required": request.get("required", False),
        "answer": _content(answers[0]) if answers else None,
    }


def _content(body):
    schema = body.get("content", {}).get("application/json", {}).get("schema")
    return _plain(schema) if schema else None


def _plain(schema):
    """Return a schema without texts for people; references are names."""
    if isinstance(schema, list):
        return [_plain(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    plain = {}
    for key, value in schema.items():
        if key == "properties":
            plain[key] = {name: _plain(each) for name, each in value.items()}
        elif key == "$ref":
            plain[key] = value.rpartition("/")[2]
        elif key == "default":
            plain[key] = float(value) if schema.get("type") == "number" else value
        elif key not in LEFT_OUT and not (key == "pattern" and len(value) > LONGEST_PATTERN):
            plain[key] = _plain(value)
    return plain


def _names(value):
    if isinstance(value, dict):
        for key, item in value.items():
            if key == "$ref":
                yield item
            elif key != "default":
                yield from _names(item)
    elif isinstance(value, list):
        for item in value:
            yield from _names(item)


def merge(folder):
    """Write the recordings of all releases: the newest one, and what differs in each older one from the next.

    The newest one also names the routes that only older releases have, so that no older one has to be read for it.
    """
    recordings = {path.stem: json.loads(path.read_text("utf-8")) for path in Path(folder).glob("*.json")}
    newest_first = sorted(recordings, key=lambda text: [int(part) for part in text.split(".")], reverse=True)
    all_routes = {key for recording in recordings.values() for key in recording["routes"]}
    releases, newer = {}, {"routes": dict.fromkeys(all_routes, "unknown"), "schemas": {}}
    for name in newest_first:
        recording = recordings[name]
        releases[".".join(name.split(".")[:2])] = {
            part: {
                key: recording[part].get(key)  # null: this release does not have it
                for key in sorted({*recording[part], *newer[part]})
                if recording[part].get(key) != newer[part].get(key)
            }
            for part in ("routes", "schemas")
        }
        newer = recording
    FILE.write_text(_lines(releases), "utf-8")


def _lines(releases):
    """Return the recordings as JSON with one route or schema per line."""
    parts = []
    for release, changes in releases.items():
        sections = [
            f"{json.dumps(part)}: {{\n"
            + ",\n".join(f"{json.dumps(key)}:{_compact(value)}" for key, value in entries.items())
            + "}"
            for part, entries in changes.items()
        ]
        parts.append(f"{json.dumps(release)}: {{" + ",\n".join(sections) + "}")
    return "{" + ",\n".join(parts) + "}\n"


def _compact(value):
    return json.dumps(value, separators=(",", ":"), sort_keys=True)


if __name__ == "__main__":
    {"record": record, "merge": merge}[sys.argv[1]](sys.argv[2])
