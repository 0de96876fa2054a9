"""Stub servers of Docker, Kubernetes and ECS on the loopback interface, which record the requests of the real agents.

They answer the clients of the agents (``docker``, ``kubernetes``, ``boto3``), start nothing, and reject environments
that the real services reject. Each server runs for one ``with`` block.
"""

from __future__ import annotations

import json
import threading
from abc import ABC, abstractmethod
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Dict, Iterator, List, Mapping, Tuple

from pytest_flowsecrets.agents.kubernetes import problems

if TYPE_CHECKING:
    from http.server import BaseHTTPRequestHandler

Answer = Tuple[int, Any]


class Endpoint:
    """A running server.

    Attributes:
        port: the port on 127.0.0.1.
        requests: the recorded requests as (action, body).
    """

    def __init__(self, port: int, requests: List[Tuple[str, Any]]) -> None:
        self.port, self.requests = port, requests

    def body(self, action: str) -> Any:
        """Return the body of the last request for an action, or None."""
        return next(self.bodies(action), None)

    def bodies(self, action: str) -> Iterator[Any]:
        """Return the bodies of all requests for an action, the last one first."""
        return (body for name, body in reversed(self.requests) if name == action)


class Infrastructure(ABC):
    """The answers of a service, whose ``requests`` record the relevant requests."""

    def __init__(self) -> None:
        self.requests: List[Tuple[str, Any]] = []

    @abstractmethod
    def answer(self, method: str, path: str, headers: Mapping[str, str], body: Any) -> Answer:
        """Answer a request with a status and JSON data."""


class Docker(Infrastructure):
    """The Docker Engine API."""

    def answer(self, method: str, path: str, headers: Mapping[str, str], body: Any) -> Answer:  # noqa: ARG002
        """Answer a request."""
        if path.endswith("/version"):
            return 200, {"Version": "20.10.24", "ApiVersion": "1.41", "MinAPIVersion": "1.12"}
        if path.endswith("/containers/create"):
            self.requests.append(("create", body))
            return 201, {"Id": "f10e", "Warnings": []}
        return 200, {}


class Kubernetes(Infrastructure):
    """The part of the Kubernetes API that creates jobs."""

    def answer(self, method: str, path: str, headers: Mapping[str, str], body: Any) -> Answer:  # noqa: ARG002
        """Answer a request."""
        containers = body["spec"]["template"]["spec"]["containers"]
        reasons = [reason for container in containers for reason in problems(container)]
        if reasons:
            return 422, {"kind": "Status", "status": "Failure", "message": "; ".join(reasons), "code": 422}
        self.requests.append(("job", body))
        return 201, body


class Ecs(Infrastructure):
    """Task definitions and tasks of Amazon ECS."""

    def answer(self, method: str, path: str, headers: Mapping[str, str], body: Any) -> Answer:  # noqa: ARG002
        """Answer a request."""
        action = headers.get("x-amz-target", "").rpartition(".")[2]
        names = [name for container in body.get("containerDefinitions", []) for name in _names_in_both(container)]
        if names:
            message = (
                "The secret name must be unique and not shared with any new or existing environment variables set on "
                f"the container, such as '{names[0]}'"
            )
            return 400, {"__type": "ClientException", "message": message}
        self.requests.append((action, body))
        arn = "arn:aws:ecs:eu-west-1:000000000000:task-definition/flow:1"
        return 200, {
            "taskDefinition": {"taskDefinitionArn": arn},
            "tasks": [{"taskArn": "arn:aws:ecs:eu-west-1:000000000000:task/flow"}],
        }


def _names_in_both(container: Mapping[str, Any]) -> List[str]:
    secrets = {each["name"] for each in container.get("secrets") or ()}
    return [each["name"] for each in container.get("environment") or () if each["name"] in secrets]


@contextmanager
def serving(service: Infrastructure) -> Iterator[Endpoint]:
    """Run a service on a free port of 127.0.0.1 until the end of the block."""
    from http.server import ThreadingHTTPServer

    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(service))
    server.daemon_threads = False  # so closing waits for them
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.005}, daemon=True)
    thread.start()
    try:
        yield Endpoint(server.server_address[1], service.requests)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _handler(service: Infrastructure) -> type[BaseHTTPRequestHandler]:
    from http.server import BaseHTTPRequestHandler as Base

    class Handler(Base):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True
        timeout = 5  # seconds without data from a client

        def _answer(self) -> None:
            size = int(self.headers.get("content-length") or 0)
            body = json.loads(self.rfile.read(size) or b"{}")
            headers: Dict[str, str] = {name.lower(): value for name, value in self.headers.items()}
            status, data = service.answer(self.command, self.path.partition("?")[0], headers, body)
            content = json.dumps(data).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(content)))
            self.send_header("connection", "close")
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = _answer  # noqa: N815 - names that http.server looks for

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            """Log nothing, because requests contain secrets."""

    return Handler
