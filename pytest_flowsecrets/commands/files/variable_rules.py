"""Rules about how a variable is written and whose it is, whatever its value."""

from __future__ import annotations

from typing import TYPE_CHECKING, Container, Iterator, Sequence

from pytest_flowsecrets.agents.model import AGENT_OWN
from pytest_flowsecrets.agents.rules import refused_options
from pytest_flowsecrets.commands.files.owners import AGENT, CONTAINER_AGENTS, OPTION
from pytest_flowsecrets.findings.model import Finding
from pytest_flowsecrets.isolation.prefect1.paths import MISSING, MISSING_ADVICE, missing_file
from pytest_flowsecrets.names import SECRETS_PREFIX, USE_LOCAL_SECRETS

if TYPE_CHECKING:
    from pytest_flowsecrets.commands.files.env_files import Item
    from pytest_flowsecrets.resolution.dialects import Dialect
    from pytest_flowsecrets.resolution.layers import Origin

# Default secrets by their bare names, and who reads a variable of that name all the same.
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


def item_findings(
    item: Item, origin: Origin, dialects: Sequence[Dialect], options: Container[str]
) -> Iterator[Finding]:
    """Check how a variable is written, and where.

    Args:
        item: the variable.
        origin: where it is written.
        dialects: the releases to check for.
        options: names of the variables that the file gives to an agent by ``--env``.
    """
    if item.problem is not None:
        rule, message, advice, severity = item.problem
        yield Finding(rule, severity, item.name, origin, message, advice=advice)
    elif item.name in _READERS and not item.stored and item.owner.prefect:
        yield _bare_name(item, origin)
    if item.value is not None and not item.owner.elsewhere and missing_file(item.name, item.value):
        yield Finding("FS017", "warning", item.name, origin, MISSING, "0.5.0-1.4.1", MISSING_ADVICE)
    if item.owner.role and item.name.upper() == USE_LOCAL_SECRETS:
        message = "agents set this to false for every flow run, whatever is written here"
        advice = "leave it out: secrets in the environment are found anyway, from 0.7.0"
        yield Finding("FS053", "warning", item.name, origin, message, "0.13.12-1.4.1", advice)
    if _stays_with_the_agent(item) and item.name not in options:
        message = f"the {item.owner.agent} agent does not pass its own environment on: no flow run gets this secret"
        advice = "give it by --env of the agent, by run_config.env, or by the template of flow runs"
        yield Finding("FS060", "warning", item.name, origin, message, "0.5.0-1.4.1", advice)
    if item.owner.role == OPTION and any(_refuses(dialect, item) for dialect in dialects):
        message = "a = in the value of --env: the command ends with a ValueError, and no agent starts"
        advice = "use run_config.env, or the environment of a LocalAgent"
        yield Finding("FS063", "error", item.name, origin, message, "0.9.0-0.14.9", advice)


def _bare_name(item: Item, origin: Origin) -> Finding:
    reader = _READERS[item.name]
    seen = f"only {reader} looks there when the secret is missing" if reader else "nothing in Prefect looks there"
    message = f"without {SECRETS_PREFIX} it is no secret: {seen}"
    return Finding(
        "FS052", "warning", item.name, origin, message, "0.5.0-1.4.1", f"name it {SECRETS_PREFIX}{item.name}"
    )


def _stays_with_the_agent(item: Item) -> bool:
    used = item.owner.agent == "ecs" and item.name in AGENT_OWN
    own = item.owner.role == AGENT and item.owner.agent in CONTAINER_AGENTS
    return own and not used and item.name.upper().startswith(SECRETS_PREFIX)


def _refuses(dialect: Dialect, item: Item) -> bool:
    return bool(refused_options(dialect.version, {item.name: item.value}))
