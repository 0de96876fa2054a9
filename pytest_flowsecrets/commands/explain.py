"""``flowsecrets explain`` for Prefect 0.5 to 1.4: secrets on this machine, or in a flow run that an agent starts."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any, Dict, List, Mapping, Optional, Sequence, Tuple

from pytest_flowsecrets.commands.files.reading import read_toml
from pytest_flowsecrets.commands.inputs import dialects_of, environment_of, machine_of
from pytest_flowsecrets.errors import UsageError
from pytest_flowsecrets.findings.engine import findings
from pytest_flowsecrets.findings.explain import Explanation, explain, subjects, summary
from pytest_flowsecrets.isolation.prefect1.paths import FILES, config_files, config_path, configured_path, missing_files
from pytest_flowsecrets.resolution.dialects import SPANS, dialect_for
from pytest_flowsecrets.resolution.display import Mask, one_line
from pytest_flowsecrets.resolution.env_names import is_secret
from pytest_flowsecrets.resolution.resolve import Resolution, resolve
from pytest_flowsecrets.resolution.shown_names import masked_name
from pytest_flowsecrets.resolution.toml_reader import read_layer
from pytest_flowsecrets.versions import release_of

if TYPE_CHECKING:
    from pytest_flowsecrets.agents.cluster import ClusterSecrets
    from pytest_flowsecrets.agents.variable_origins import Entry, FlowEnvironment
    from pytest_flowsecrets.findings.model import Finding
    from pytest_flowsecrets.resolution.layers import Layer

_ANY_TABLE = ("FS002", "FS061")  # rules that name keys of any table, not only secrets


def run(arguments: Any) -> int:
    """Explain secrets.

    Args:
        arguments: parsed arguments.

    Returns:
        0 without findings and errors, else 1.
    """
    environ = environment_of(arguments.env_file)
    layers = layers_of(arguments)
    machine, mask = machine_of(arguments), Mask(arguments.show_values)
    resolutions = [resolve(layers, environ, dialect, machine=machine) for dialect in dialects_of(arguments)]
    missing = list(missing_files(environ)) if reads_this_machine(arguments) else []
    explanations = [explain_secrets(resolution, arguments.names, missing) for resolution in resolutions]
    if arguments.json:
        print(json.dumps([as_dict(*pair, mask) for pair in zip(resolutions, explanations)], indent=2))
    else:
        write(resolutions, explanations, mask, summaries=arguments.all_versions)
    return int(any(map(_has_problems, resolutions, explanations)))


def _has_problems(resolution: Resolution, explanations: Sequence[Explanation]) -> bool:
    return resolution.failure is not None or any(each.findings or each.outcome.error for each in explanations)


def layers_of(arguments: Any) -> List[Layer]:
    """Read the configuration files: those of the options, else those of this machine.

    Args:
        arguments: parsed arguments.

    Raises:
        Unreadable: a file cannot be read.
    """
    return [read_layer(read_toml(path), kind, path) for kind, path in files_of(arguments)]


def files_of(arguments: Any) -> List[Tuple[str, str]]:
    """Return the kinds and paths of the configuration files: those of the options, else those of this machine.

    Args:
        arguments: parsed arguments.
    """
    options = {"user": arguments.config, "backend": arguments.backend}
    if reads_this_machine(arguments):
        return list(config_files(version=arguments.prefect_version))
    return [(kind, path) for kind, path in options.items() if path]


def reads_this_machine(arguments: Any) -> bool:
    """Return whether the files are those of this machine.

    Args:
        arguments: parsed arguments.
    """
    return not (arguments.config or arguments.backend or arguments.env_file)


def explain_secrets(resolution: Resolution, names: List[str], more: Sequence[Finding] = ()) -> List[Explanation]:
    """Explain the named secrets of a resolution, or all secrets.

    Args:
        resolution: a resolution.
        names: the names of the secrets; none for all secrets.
        more: findings about every secret.
    """
    all_findings = [*findings(resolution), *more]
    by_name = _by_name(all_findings)
    return [
        explain(resolution, name, by_name.get("", []) + by_name.get(name, []))
        for name in names or _all_names(resolution, all_findings)
    ]


def _all_names(resolution: Resolution, all_findings: List[Finding]) -> List[str]:
    """Return the names of all secrets, with those that Prefect misreads; without any, the names in the findings."""
    names = list(dict.fromkeys([*resolution.names, *_misread_names(resolution)]))
    return names or sorted({each.name for each in all_findings if each.name and each.id not in _ANY_TABLE})


def _misread_names(resolution: Resolution) -> List[str]:
    doubts = [doubt for layer in resolution.layers for doubt in layer.doubts.values()]
    return [doubt.name for doubt in doubts if doubt.name and is_secret(doubt.key)]


def _by_name(all_findings: List[Finding]) -> Dict[str, List[Finding]]:
    index: Dict[str, List[Finding]] = {}
    for finding in all_findings:
        for name in subjects(finding) if finding.name else {""}:
            index.setdefault(name, []).append(finding)
    return index


def write(resolutions: List[Resolution], explanations: List[List[Explanation]], mask: Mask, *, summaries: bool) -> None:
    """Print explanations.

    Args:
        resolutions: one resolution for each release.
        explanations: the explanations for each resolution.
        mask: determines how values are shown.
        summaries: print one line for each secret.
    """
    for resolution, secrets in zip(resolutions, explanations):
        if resolution.failure is not None:
            print(f"Prefect {resolution.dialect.version}: import prefect fails: {mask.failure(resolution.failure)}")
        elif not secrets:
            print(f"Prefect {resolution.dialect.version}: no secrets")
        for each in secrets:
            short = f"{each.name} (Prefect {each.version}): {summary(each.outcome, mask)}"
            print(one_line(short) if summaries else each.text(mask))


def as_dict(resolution: Resolution, explanations: List[Explanation], mask: Mask) -> Dict[str, Any]:
    """Return explanations as plain data, for JSON.

    Args:
        resolution: a resolution.
        explanations: its explanations.
        mask: determines how values are shown.
    """
    failure = resolution.failure
    return {
        "prefect_version": resolution.dialect.version,
        "dialect": resolution.dialect.id,
        "import_error": mask.failure(failure) if failure is not None else None,
        "secrets": [each.as_dict(mask) for each in explanations],
    }


# -- a flow run that an agent starts -----------------------------------------------------------------------------------


def run_with_agent(arguments: Any) -> int:
    """Explain the environment of a flow run that an agent starts, and the secrets in it.

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
        from pytest_flowsecrets.agents.agent_environment import agent_environment

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
        return {**_environment_dict(self.env, mask), "flow": as_dict(self.resolution, self.secrets, mask)}


def _versions(arguments: Any) -> List[Optional[str]]:
    """Return the releases to explain: one, or with ``--all-versions`` each release with a known agent of this kind."""
    from pytest_flowsecrets.agents.rules import OLDEST, require_agent

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
    from pytest_flowsecrets.agents.cluster import ClusterSecrets

    if not files:
        return None
    cluster = ClusterSecrets()
    for path in files:
        cluster.load(path)
    return cluster


def _environment_dict(env: FlowEnvironment, mask: Mask) -> Dict[str, Any]:
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
