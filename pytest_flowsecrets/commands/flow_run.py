"""``flowsecrets explain --agent …``: the environment of a flow run, and what the flow gets out of it."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any, Dict, List, Optional

from pytest_flowsecrets.commands.explain import explained, shown_as_dict, write
from pytest_flowsecrets.commands.machine import environment_of, machine_of
from pytest_flowsecrets.errors import UsageError
from pytest_flowsecrets.resolution.dialects import dialect_for
from pytest_flowsecrets.resolution.masks import Mask
from pytest_flowsecrets.resolution.resolve import resolve
from pytest_flowsecrets.routes.cluster import ClusterSecrets
from pytest_flowsecrets.routes.request import flow_environment

if TYPE_CHECKING:
    from pytest_flowsecrets.routes.environment import Entry, FlowEnvironment


def run(arguments: Any) -> int:
    """Explain the environment of a flow run and the secrets in it.

    Args:
        arguments: parsed arguments.

    Returns:
        0 if there is nothing to say against it, else 1.

    Raises:
        FlowSecretsError: an argument is wrong, or the pod could not start.
    """
    env = flow_environment(
        arguments.agent,
        run_config=_pairs("--run-env", arguments.run_env) or None,
        agent_env=_pairs("--agent-env", arguments.agent_env),
        job_template=arguments.job_template,
        task_definition=arguments.task_definition,
        cluster_secrets=_cluster(arguments.cluster_secrets),
        host_env=environment_of(arguments.env_file),
        prefect_version=arguments.prefect_version,
    )
    resolution = resolve(
        [], {"HOME": os.path.expanduser("~"), **env}, dialect_for(env.version), machine=machine_of(arguments)
    )
    secrets = explained(resolution, arguments.names)
    mask = Mask(arguments.show_values)
    if arguments.json:
        print(json.dumps({**_as_dict(env, mask), "flow": shown_as_dict(resolution, secrets, mask)}, indent=2))
    else:
        print(env.explain(mask))
        write([resolution], [secrets], mask, in_short=False)
    surprised = any(one.findings or one.outcome.error for one in secrets)
    return int(surprised or bool(env.dropped) or resolution.failure is not None)


def _pairs(option: str, given: Optional[List[str]]) -> Dict[str, str]:
    pairs = [each.partition("=") for each in given or ()]
    wrong = [name for name, equals, _ in pairs if not (name and equals)]
    if wrong:  # the whole of it may be a value
        raise UsageError(f"{option}: write NAME=value")
    return {name: text for name, _, text in pairs}


def _cluster(files: Optional[List[str]]) -> Optional[ClusterSecrets]:
    if not files:
        return None
    cluster = ClusterSecrets()
    for path in files:
        cluster.load(path)
    return cluster


def _as_dict(env: FlowEnvironment, mask: Mask) -> Dict[str, Any]:
    return {
        "agent": env.agent,
        "prefect_version": env.version,
        "by": "agent" if env.real else "model",
        "variables": [_entry(entry, mask) for entry in env.variables.values()],
        "lost": [{**_entry(lost.entry, mask), "to": str(lost.winner)} for lost in env.lost],
        "notes": list(env.notes),
    }


def _entry(entry: Entry, mask: Mask) -> Dict[str, Any]:
    value = {} if entry.value is None else mask.shown(entry.value)
    return {"name": entry.name, "origin": entry.origin, "from": str(entry), **value}
