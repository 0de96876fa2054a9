"""``flowsecrets explain --agent …``: the environment of a flow run, and the secrets that the flow gets from it."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any, Dict, List, Mapping, Optional

from pytest_flowsecrets.agents.agent_environment import agent_environment
from pytest_flowsecrets.agents.cluster import ClusterSecrets
from pytest_flowsecrets.agents.rules import OLDEST, require_agent
from pytest_flowsecrets.commands.explain import as_dict, explain_secrets, files_of, write
from pytest_flowsecrets.commands.files.reading import read_toml
from pytest_flowsecrets.commands.inputs import environment_of, machine_of
from pytest_flowsecrets.errors import UsageError
from pytest_flowsecrets.isolation.prefect1.paths import FILES, config_files, config_path, configured_path
from pytest_flowsecrets.resolution.dialects import SPANS, dialect_for
from pytest_flowsecrets.resolution.display import Mask
from pytest_flowsecrets.resolution.resolve import resolve
from pytest_flowsecrets.resolution.shown_names import masked_name
from pytest_flowsecrets.resolution.toml_reader import read_layer
from pytest_flowsecrets.versions import release_of

if TYPE_CHECKING:
    from pytest_flowsecrets.agents.variable_origins import Entry, FlowEnvironment
    from pytest_flowsecrets.resolution.layers import Layer


def run(arguments: Any) -> int:
    """Explain the environment of a flow run and the secrets in it.

    Args:
        arguments: parsed arguments.

    Returns:
        0 without findings and lost variables, else 1.

    Raises:
        FlowSecretsError: an argument is not valid, or the agent or the pod cannot start.
    """
    host, mask = environment_of(arguments.env_file), Mask(arguments.show_values)
    files = {kind: os.fspath(path) for kind, path in files_of(arguments)}
    runs = [_FlowRun(arguments, version, host, files) for version in _versions(arguments)]
    if not arguments.json:
        for run in runs:
            print(run.env.explain(mask))
            write([run.resolution], [run.secrets], mask, summaries=arguments.all_versions)
    elif arguments.all_versions:
        print(json.dumps([run.as_dict(mask) for run in runs], indent=2))
    else:
        print(json.dumps(runs[0].as_dict(mask), indent=2))
    return int(any(run.has_problems() for run in runs))


class _FlowRun:
    """The environment of a flow run, and the secrets that its flow gets."""

    def __init__(
        self, arguments: Any, version: Optional[str], host: Mapping[str, str], files: Mapping[str, str]
    ) -> None:
        self.env = agent_environment(
            arguments.agent,
            run_config=_pairs("--run-env", arguments.run_env) or None,
            agent_env=_pairs("--agent-env", arguments.agent_env),
            job_template=arguments.job_template,
            task_definition=arguments.task_definition,
            cluster_secrets=_cluster(arguments.cluster_secrets),
            host_env=host,
            host_files=files,
            prefect_version=version,
        )
        self.resolution = resolve(
            _layers(self.env, host, files),
            {"HOME": os.path.expanduser("~"), **self.env},
            dialect_for(self.env.version),
            machine=machine_of(arguments),
        )
        self.secrets = explain_secrets(self.resolution, arguments.names)

    def has_problems(self) -> bool:
        findings = any(secret.findings or secret.outcome.error for secret in self.secrets)
        return findings or bool(self.env.dropped) or self.resolution.failure is not None

    def as_dict(self, mask: Mask) -> Dict[str, Any]:
        return {**_as_dict(self.env, mask), "flow": as_dict(self.resolution, self.secrets, mask)}


def _versions(arguments: Any) -> List[Optional[str]]:
    """Return the releases to explain: one, or with ``--all-versions`` each release with a known agent of this kind."""
    if not arguments.all_versions:
        return [arguments.prefect_version]
    require_agent(arguments.agent)
    return [last for _, last in SPANS if release_of(last) >= OLDEST[arguments.agent]]


def _layers(env: FlowEnvironment, host: Mapping[str, str], files: Mapping[str, str]) -> List[Layer]:
    """Return the configuration files of a flow run: those of the machine of a LocalAgent; none in a container."""
    if env.agent != "local":
        return []
    own = dict(files)
    for kind in FILES:
        path, former = (config_path(configured_path(kind, each), each, env.version) for each in (env, host))
        if path != former:  # --env or the run config sets another file or another home
            own.pop(kind, None)
            own.update({each: path for each, path in config_files(env, env.version) if each == kind})
    return [read_layer(read_toml(path), kind, path) for kind, path in own.items()]


def _pairs(option: str, arguments: Optional[List[str]]) -> Dict[str, str]:
    pairs = [each.partition("=") for each in arguments or ()]
    if not all(name and equals for name, equals, _ in pairs):  # the message omits the text, which may be a value
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
    return {"name": masked_name(entry.name), "origin": entry.origin, "from": str(entry), **value}
