"""What agents and their infrastructure refuse, told in one line and without a value."""

from __future__ import annotations

import errno
import os
from contextlib import contextmanager
from traceback import extract_tb
from typing import TYPE_CHECKING, Any, Iterator, Mapping, Optional
from urllib.parse import urlsplit

from pytest_flowsecrets.errors import FlowSecretsError, UsageError
from pytest_flowsecrets.isolation.prefect1.marshmallow import conflict_of
from pytest_flowsecrets.resolution.masked_names import masked_name

if TYPE_CHECKING:
    from pytest_flowsecrets.agents.model import Written

_PACKAGE = f"{os.sep}prefect{os.sep}"
_AGENTS = os.path.join(_PACKAGE, "agent", "")


@contextmanager
def told_as_one_line(agent: str, likely: str = "") -> Iterator[None]:
    """Raise what infrastructure or agent refuse as one line, without the body of the request, which holds values.

    Args:
        agent: one of ``agent_rules.AGENTS``.
        likely: the reason where the error itself does not tell one.
    """
    try:
        yield
    except FlowSecretsError:
        raise
    except Exception as error:  # noqa: BLE001 - of many kinds
        conflict = conflict_of(error)
        if conflict is not None:
            raise conflict from None
        reason = likely or told(error)
    else:
        return
    raise UsageError(f"the {agent} agent cannot deploy the flow run: {reason}") from None


def not_text(written: Written) -> str:
    """Return which variables of ``--env`` and of the run config are not text; an empty string if all are.

    Args:
        written: what stands where.
    """
    wrong = {**written.agent_env, **written.run_env}.items()
    named = [
        f"env {masked_name(name)}: the value is a {kind_of(value)}"
        for name, value in wrong
        if not isinstance(value, (str, type(None)))
    ]
    return f"{'; '.join(named)}, and a variable is text: put it in quotes" if named else ""


def kind_of(value: Any) -> str:
    """Return the name of a value's type; ``table`` for each type of mapping.

    Args:
        value: a value of a variable.
    """
    return "table" if isinstance(value, Mapping) else type(value).__name__


def require_sendable(run_config: Any) -> None:
    """Check what an agent would stumble over in a run config, or fetch from where a test does not go.

    Raises:
        UsageError: with the type of what is wrong, never a value.
    """
    kind = type(run_config).__name__
    try:
        run_config.serialize()
    except Exception as error:  # noqa: BLE001 - of many kinds, whose texts hold values
        raise UsageError(f"this {kind} cannot be sent: {type(error).__name__}: look at the types in it") from None
    folder = getattr(run_config, "working_dir", None)
    if kind == "LocalRun" and folder and not os.path.exists(folder):
        raise UsageError(f"the working_dir of the run config does not exist: {folder}")
    for name in ("job_template_path", "task_definition_path"):
        path = getattr(run_config, name, None)
        if path is not None:
            path_here(path)


def path_here(path: str) -> str:
    """Where an agent of this machine reads a path of a run config, which may begin with ``agent://``.

    Raises:
        UsageError: it is somewhere else.
    """
    scheme, _, rest = path.rpartition("://")
    if scheme not in ("", "agent", "file"):
        raise UsageError(f"{path}: only files of this machine are read: fetch it, and give its path")
    return rest


def told(error: Exception) -> str:
    """What was refused, as far as it can be told without a value; else the type of the error, and where it arose."""
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
        return "a value is no text"
    return None


def require_free(address: Optional[str]) -> None:
    """Check that an agent can listen where it is told to; it would go on without, in silence.

    Raises:
        UsageError: the address is none, or something listens there already.
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
        raise UsageError("the address of an agent is a URL with a port, such as http://127.0.0.1:8080")
    try:
        with socket.create_server((host, port)):
            pass
    except OSError as error:
        reason = "it is in use" if error.errno == errno.EADDRINUSE else type(error).__name__
        raise UsageError(
            f"the agent cannot listen at port {port}: {reason}; give it another address, or none"
        ) from None
