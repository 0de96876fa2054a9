"""The owner of the environment of a variable in a file: an agent, its ``--env``, a flow run, or something else."""

from __future__ import annotations

import re
from typing import NamedTuple

#: Agents that do not pass on their own environment to flow runs. Only a LocalAgent passes on all of it.
CONTAINER_AGENTS = ("docker", "kubernetes", "ecs", "fargate", "vertex")
OPTION, AGENT, FLOW_RUN = "option", "agent", "flow run"
_BETWEEN = r"""['"]?[\s,\[\]\\]+(?:-[ \t]+)?['"]?"""  # between the words of a command, or in a list of YAML or JSON
# `prefect agent docker start` and `prefect agent start docker` (up to 0.13), also as a list of words.
_COMMAND = re.compile(rf"\bprefect{_BETWEEN}agent\b(?P<rest>(?:{_BETWEEN}[\w./:=$-]+){{0,8}})")
_COMMENT = re.compile(r"(?m)(?:^|(?<=\s))#.*$")


class Owner(NamedTuple):
    """The owner of an environment.

    Attributes:
        role: ``option`` (``--env`` of an agent), ``agent`` (its own environment), ``flow run`` (a template of flow
            runs), or empty.
        agent: the kind of the agent, or empty.
        prefect: whether the environment is related to Prefect.
        elsewhere: whether the environment is for another machine, such as a container, with other files.
    """

    role: str = ""
    agent: str = ""
    prefect: bool = False
    elsewhere: bool = False


def owner_of(text: str) -> Owner:
    """Return the owner of the environment in a text that may start an agent.

    Args:
        text: a script, or the part of a YAML file with the environment.
    """
    kind = agent_in(text)
    return Owner(AGENT if kind else "", kind, prefect=concerns_prefect(text))


def agent_in(text: str) -> str:
    """Return the kind of the first agent that a text starts or installs, or an empty string.

    Args:
        text: a script, a command, or a part of a YAML file.
    """
    command = _COMMAND.search(_COMMENT.sub("", text))
    if command is None:
        return ""
    words = re.findall(r"\w+", command.group("rest"))
    return next((word for word in words if word in CONTAINER_AGENTS), "local")


def concerns_prefect(text: str) -> bool:
    """Return whether a text is related to Prefect, which means that it contains the name.

    Args:
        text: any text.
    """
    return "prefect" in text.lower()
