"""``flowsecrets explain``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Dict, List, Sequence, Tuple

from pytest_flowsecrets.commands.files.reading import read_toml
from pytest_flowsecrets.commands.inputs import dialects_of, environment_of, machine_of
from pytest_flowsecrets.findings.engine import findings
from pytest_flowsecrets.findings.explain import Explanation, explain, subjects, summary
from pytest_flowsecrets.isolation.prefect1.paths import config_files, missing_files
from pytest_flowsecrets.resolution.display import Mask, one_line
from pytest_flowsecrets.resolution.env_names import is_secret
from pytest_flowsecrets.resolution.resolve import Resolution, resolve
from pytest_flowsecrets.resolution.toml_reader import read_layer

if TYPE_CHECKING:
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
