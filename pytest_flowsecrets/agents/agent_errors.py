"""Errors of agents and their infrastructure, as one line without a value."""

from __future__ import annotations

import errno
import os
from contextlib import contextmanager
from traceback import extract_tb
from typing import TYPE_CHECKING, Any, Iterator, Mapping, Optional
from urllib.parse import urlsplit

from pytest_flowsecrets.errors import FlowSecretsError, UsageError, with_article
from pytest_flowsecrets.isolation.prefect1.prefect_errors import conflict_of
from pytest_flowsecrets.resolution.shown_names import masked_name

if TYPE_CHECKING:
    from pytest_flowsecrets.agents.model import AgentInputs

_PACKAGE = f"{os.sep}prefect{os.sep}"
_AGENTS = os.path.join(_PACKAGE, "agent", "")


@contextmanager
def one_line_errors(agent: str, likely: str = "") -> Iterator[None]:
    """Replace errors of an agent by one line, without the body of the request, which contains values.

    Args:
        agent: one of ``rules.AGENTS``.
        likely: the reason, if it is known before. It replaces the reason of the error.

    Raises:
        UsageError: the agent raises an error.
    """
    try:
        yield
    except FlowSecretsError:
        raise
    except Exception as error:  # noqa: BLE001 - of many kinds
        conflict = conflict_of(error)
        if conflict is not None:
            raise conflict from None
        reason = likely or describe_error(error)
    else:
        return
    raise UsageError(f"the {agent} agent cannot deploy the flow run: {reason}") from None


def type_problem(inputs: AgentInputs) -> str:
    """Describe the variables of ``--env`` and of the run config that are not strings; an empty string without any.

    Args:
        inputs: the variables by place.
    """
    problems = [
        f"env {masked_name(name)}: the value is {with_article(kind_of(value))}"
        for name, value in {**inputs.agent_env, **inputs.run_env}.items()
        if not isinstance(value, (str, type(None)))
    ]
    return f"{'; '.join(problems)}, but a variable must be a string: put it in quotes" if problems else ""


def kind_of(value: Any) -> str:
    """Return the name of the type of a value; ``table`` for any mapping.

    Args:
        value: the value of a variable.
    """
    return "table" if isinstance(value, Mapping) else type(value).__name__


def require_sendable(run_config: Any) -> None:
    """Check that an agent can send a run config, and that its files are on this machine.

    Raises:
        UsageError: it cannot, or they are not. The message contains types, never a value.
    """
    kind = type(run_config).__name__
    try:
        run_config.serialize()
    except Exception as error:  # noqa: BLE001 - of many types, with values in the messages
        raise UsageError(f"this {kind} cannot be sent: {type(error).__name__}: check the types of its values") from None
    folder = getattr(run_config, "working_dir", None)
    if kind == "LocalRun" and folder and not os.path.exists(folder):
        raise UsageError(f"the working_dir of the run config does not exist: {folder}")
    for name in ("job_template_path", "task_definition_path"):
        path = getattr(run_config, name, None)
        if path is not None:
            path_here(path)


def path_here(path: str) -> str:
    """Return the path that an agent on this machine reads for a path of a run config, such as ``agent://…``.

    Raises:
        UsageError: the path is not on this machine.
    """
    scheme, _, rest = path.rpartition("://")
    if scheme not in ("", "agent", "file"):
        raise UsageError(f"{path}: only files on this machine can be read: download it and pass its path")
    return rest


def describe_error(error: Exception) -> str:
    """Return the reason of an error if it contains no value; otherwise its type and place."""
    place = next((frame for frame in reversed(extract_tb(error.__traceback__)) if _AGENTS in frame.filename), None)
    where = f" (prefect{os.sep}{place.filename.rpartition(_PACKAGE)[2]}, line {place.lineno})" if place else ""
    return _reason(error) or type(error).__name__ + where


def _reason(error: Exception) -> Optional[str]:
    body = getattr(error, "body", None)  # of kubernetes.client.ApiException
    if isinstance(body, str):
        import json

        return str(json.loads(body)["message"])
    response = getattr(error, "response", None)  # of botocore's ClientError
    if isinstance(response, dict):
        return str(response["Error"]["Message"])
    if type(error).__name__ == "ParamValidationError":
        return "a value is not a string"
    return None


def require_free(address: Optional[str]) -> None:
    """Check that an agent can listen on an address. An agent that cannot continues without a message.

    Raises:
        UsageError: the address is not valid, or it is in use.
    """
    import socket

    if not address:
        return
    try:
        parts = urlsplit(address)
        host, port = parts.hostname or "", int(parts.port or 0)
    except (AttributeError, TypeError, ValueError):
        host, port = "", 0
    if not port:
        raise UsageError("the address of an agent must be a URL with a port, such as http://127.0.0.1:8080")
    try:
        with socket.create_server((host, port)):
            pass
    except OSError as error:
        reason = "it is in use" if error.errno == errno.EADDRINUSE else type(error).__name__
        raise UsageError(f"the agent cannot listen on port {port}: {reason}; use another address, or none") from None
