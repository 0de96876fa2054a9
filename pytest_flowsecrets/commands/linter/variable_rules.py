"""Rules about variables and settings in files, independent of the values: notation, owner, and release of Prefect."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Callable, Container, Iterator, List, NamedTuple, Optional, Sequence, Tuple

from pytest_flowsecrets.agents.model import AGENT_OWN
from pytest_flowsecrets.agents.rules import refused_options
from pytest_flowsecrets.commands.files.env_files import AGENT, CONTAINER_AGENTS, OPTION
from pytest_flowsecrets.findings.rules import ALL_VERSIONS, finding_of
from pytest_flowsecrets.isolation.prefect1.paths import MISSING, MISSING_ADVICE, missing_file
from pytest_flowsecrets.names import PREFIX, SECRETS_PREFIX
from pytest_flowsecrets.resolution.layers import Origin

if TYPE_CHECKING:
    from pytest_flowsecrets.commands.files.env_files import Item
    from pytest_flowsecrets.commands.linter.configuration import Target
    from pytest_flowsecrets.findings.model import Finding
    from pytest_flowsecrets.resolution.dialects import Dialect

# Default secrets by their bare names, with the part of Prefect that reads a variable of that name.
_READERS = {
    "GITHUB_ACCESS_TOKEN": "GitHub storage (0.12.1+)",
    "GITLAB_ACCESS_TOKEN": "GitLab storage (0.13.11+)",
    "BITBUCKET_ACCESS_TOKEN": "Bitbucket storage (0.13.19+)",
    "AZURE_STORAGE_CONNECTION_STRING": "Azure storage and AzureResult",
    "AWS_CREDENTIALS": "",
    "GCP_CREDENTIALS": "",
    "SLACK_WEBHOOK_URL": "",
    "EMAIL_USERNAME": "",
    "EMAIL_PASSWORD": "",
    "AZ_CREDENTIALS": "",
    "REDIS_PASSWORD": "",
    "KUBERNETES_API_KEY": "",
}
_FLAG = f"{PREFIX}CLOUD__USE_LOCAL_SECRETS"


class _Subject(NamedTuple):
    item: Item
    origin: Origin
    dialects: Sequence[Dialect]
    options: Container[str]

    def finding(self, rule: str, message: str, advice: str, versions: str = ALL_VERSIONS) -> Finding:
        return finding_of(rule, self.item.name, self.origin, message, advice, versions=versions)


def item_findings(
    item: Item, origin: Origin, dialects: Sequence[Dialect], options: Container[str]
) -> Iterator[Finding]:
    """Apply the rules to a variable.

    Args:
        item: the variable.
        origin: the place where it is written.
        dialects: the releases to check.
        options: the names of the variables that the file passes to an agent with ``--env``.
    """
    subject = _Subject(item, origin, dialects, options)
    return filter(None, (rule(subject) for rule in _RULES))


def notation_findings(item: Item, origin: Origin) -> Iterator[Finding]:
    """Apply the rules that hold with every release of Prefect: those about YAML, Kubernetes and Docker Compose.

    Args:
        item: the variable.
        origin: the place where it is written.
    """
    return filter(None, [_notation(_Subject(item, origin, (), ()))])


def _notation(subject: _Subject) -> Optional[Finding]:
    if subject.item.problem is None:
        return None
    rule, message, advice, edits = subject.item.problem
    return replace(subject.finding(rule, message, advice, versions=""), edits=edits)


def _bare_name(subject: _Subject) -> Optional[Finding]:
    item = subject.item
    if item.problem is not None or item.name not in _READERS or item.in_object or not item.owner.prefect:
        return None
    reader = _READERS[item.name]
    effect = f"only {reader} reads it, if the secret is missing" if reader else "nothing in Prefect reads it"
    message = f"without {SECRETS_PREFIX} it is not a secret: {effect}"
    return subject.finding("FS052", message, f"name it {SECRETS_PREFIX}{item.name}")


def _missing_file(subject: _Subject) -> Optional[Finding]:
    item = subject.item
    if item.value is None or item.owner.elsewhere or not missing_file(item.name, item.value):
        return None
    return subject.finding("FS017", MISSING, MISSING_ADVICE)


def _overridden_flag(subject: _Subject) -> Optional[Finding]:
    if not subject.item.owner.role or subject.item.name.upper() != _FLAG:
        return None
    message = "agents ignore this value: they set it to false for every flow run"
    advice = "remove it: flow runs find secrets in the environment without it, from 0.7.0"
    return subject.finding("FS053", message, advice, "0.13.12-1.4.1")


def _not_passed_on(subject: _Subject) -> Optional[Finding]:
    owner, name = subject.item.owner, subject.item.name
    is_used = owner.agent == "ecs" and name in AGENT_OWN
    is_own = owner.role == AGENT and owner.agent in CONTAINER_AGENTS and name.upper().startswith(SECRETS_PREFIX)
    if not is_own or is_used or name in subject.options:
        return None
    message = f"the {owner.agent} agent does not pass on its own environment: no flow run gets this secret"
    advice = "set it with --env of the agent, with run_config.env, or in the template of flow runs"
    return subject.finding("FS060", message, advice)


def _equals_in_option(subject: _Subject) -> Optional[Finding]:
    item = subject.item
    versions = [dialect.version for dialect in subject.dialects if item.owner.role == OPTION]
    if not any(refused_options(version, {item.name: item.value}) for version in versions):
        return None
    message = "the value of --env contains =: the command fails with a ValueError, and no agent starts"
    advice = "use run_config.env, or the environment of a LocalAgent"
    return subject.finding("FS063", message, advice, "0.9.0-0.14.9")


_RULES: Tuple[Callable[[_Subject], Optional[Finding]], ...] = (
    _notation,
    _bare_name,
    _missing_file,
    _overridden_flag,
    _not_passed_on,
    _equals_in_option,
)


# -- Prefect 2.20 and 3 ------------------------------------------------------------------------------------------------


def variables_findings(items: Sequence[Tuple[Item, Origin]], kind: str, target: Target) -> List[Finding]:
    """Apply the rules about settings of Prefect 2.20 and 3 to variables.

    Args:
        items: the variables with their places.
        kind: the type of the file.
        target: the release.
    """
    results: List[Finding] = []
    if target.is_rest:
        for item, origin in items:
            if item.name.startswith(PREFIX) and item.problem is None:
                message, advice = "Prefect 2.20 and 3 ignore this variable", "`flowsecrets migrate` shows what to write"
                results.append(finding_of("FS079", item.name, origin, message, advice, versions=""))
    concerned = [each for each in items if each[0].name.startswith("PREFECT_") or _may_be_secret(each[0], kind)]
    if not concerned or target.is_legacy:
        return results
    from pytest_flowsecrets.commands.linter.settings_rules import names_of, variable_findings

    names = names_of(target.version)
    for item, origin in concerned:
        results += variable_findings(item, origin, kind, names)
    return results


def _may_be_secret(item: Item, kind: str) -> bool:
    return kind == "dockerfile" or "://" in (item.value or "")


def settings_findings(text: str, path: str, kind: str, target: Target) -> List[Finding]:
    """Check a file with settings of Prefect 2.20 and 3.

    Args:
        text: the text of the file.
        path: the name of the file.
        kind: ``prefect-toml``, ``profiles`` or ``pyproject``.
        target: the release.
    """
    from pytest_flowsecrets.commands.linter.settings_rules import names_of, toml_findings

    return toml_findings(text, path, kind, names_of(target.version))


def legacy_file(path: str) -> List[Finding]:
    """Return the finding about a configuration file that only Prefect 0.5 to 1.4 reads.

    Args:
        path: the file.
    """
    origin = Origin("user", path, 1, 1)
    message, advice = "Prefect 2.20 and 3 do not read this file", "`flowsecrets migrate` shows what to write instead"
    return [finding_of("FS082", "", origin, message, advice, versions="")]
