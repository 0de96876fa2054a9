"""``flowsecrets explain``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Dict, List, Sequence, Tuple

from pytest_flowsecrets.commands.inputs import dialects_of, environment_of, machine_of, read_toml
from pytest_flowsecrets.findings.engine import findings
from pytest_flowsecrets.findings.explain import Explanation, explain, subjects, summary
from pytest_flowsecrets.isolation.prefect1.paths import config_files, missing_files
from pytest_flowsecrets.resolution.display import Mask, one_line
from pytest_flowsecrets.resolution.env_names import SECRETS
from pytest_flowsecrets.resolution.resolve import Resolution, resolve
from pytest_flowsecrets.resolution.toml_reader import read_layer

if TYPE_CHECKING:
    from pytest_flowsecrets.findings.model import Finding
    from pytest_flowsecrets.resolution.layers import Layer

_OF_ANY_KEY = ("FS002", "FS061")  # rules whose names are keys of any table, and not only of secrets


def run(arguments: Any) -> int:
    """Explain secrets.

    Args:
        arguments: parsed arguments.

    Returns:
        0 if there is nothing to say against them, else 1.
    """
    environ = environment_of(arguments.env_file)
    layers = _layers(arguments)
    machine, mask = machine_of(arguments), Mask(arguments.show_values)
    resolutions = [resolve(layers, environ, dialect, machine=machine) for dialect in dialects_of(arguments)]
    missing = list(missing_files(environ)) if reads_this_machine(arguments) else []
    told = [explained(resolution, arguments.names, missing) for resolution in resolutions]
    if arguments.json:
        print(json.dumps([shown_as_dict(*pair, mask) for pair in zip(resolutions, told)], indent=2))
    else:
        write(resolutions, told, mask, in_short=arguments.all_versions)
    surprised = any(one.findings or one.outcome.error for several in told for one in several)
    return int(surprised or any(resolution.failure for resolution in resolutions))


def _layers(arguments: Any) -> List[Layer]:
    return [read_layer(read_toml(path), kind, path) for kind, path in files_of(arguments)]


def files_of(arguments: Any) -> List[Tuple[str, str]]:
    """List kind and path of the configuration files: those of the options, else those of this machine.

    Args:
        arguments: parsed arguments.
    """
    options = {"user": arguments.config, "backend": arguments.backend}
    if reads_this_machine(arguments):
        return list(config_files(version=arguments.prefect_version))
    return [(kind, path) for kind, path in options.items() if path]


def reads_this_machine(arguments: Any) -> bool:
    """Tell whether the files are those of this machine.

    Args:
        arguments: parsed arguments.
    """
    return not (arguments.config or arguments.backend or arguments.env_file)


def explained(resolution: Resolution, names: List[str], more: Sequence[Finding] = ()) -> List[Explanation]:
    """Explain the named secrets of a resolution, or all.

    Args:
        resolution: a resolution.
        names: of secrets; none for all.
        more: findings about every secret.
    """
    found = [*findings(resolution), *more]
    doubts = [doubt for layer in resolution.layers for doubt in layer.doubts.values() if doubt.name]
    unread = [doubt.name for doubt in doubts if doubt.key[: len(SECRETS)] == SECRETS]
    wanted = (
        names
        or list(dict.fromkeys([*resolution.names, *unread]))
        or sorted({finding.name for finding in found if finding.name and finding.id not in _OF_ANY_KEY})
    )
    about = _by_name(found)
    return [explain(resolution, name, about.get("", []) + about.get(name, [])) for name in wanted]


def _by_name(found: List[Finding]) -> Dict[str, List[Finding]]:
    index: Dict[str, List[Finding]] = {}
    for finding in found:
        for name in subjects(finding) if finding.name else {""}:
            index.setdefault(name, []).append(finding)
    return index


def write(resolutions: List[Resolution], told: List[List[Explanation]], mask: Mask, *, in_short: bool) -> None:
    """Print explanations.

    Args:
        resolutions: one for each release.
        told: the explanations of each.
        mask: how values are shown.
        in_short: one line for each.
    """
    for resolution, several in zip(resolutions, told):
        if resolution.failure is not None:
            print(f"Prefect {resolution.dialect.version}: import prefect fails: {mask.failure(resolution.failure)}")
        if not several and resolution.failure is None:
            print(f"Prefect {resolution.dialect.version}: no secrets")
        for one in several:
            short = f"{one.name} (Prefect {one.version}): {summary(one.outcome, mask)}"
            print(one_line(short) if in_short else one.text(mask))


def shown_as_dict(resolution: Resolution, told: List[Explanation], mask: Mask) -> Dict[str, Any]:
    """Give explanations as plain data, for JSON.

    Args:
        resolution: a resolution.
        told: its explanations.
        mask: how values are shown.
    """
    failure = resolution.failure
    return {
        "prefect_version": resolution.dialect.version,
        "dialect": resolution.dialect.id,
        "import_error": mask.failure(failure) if failure is not None else None,
        "secrets": [one.as_dict(mask) for one in told],
    }
