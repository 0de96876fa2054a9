"""Whose environment a variable in a file belongs to: an agent's own, its ``--env``, a flow run's, or anybody else's."""

from __future__ import annotations

import re
from typing import NamedTuple

#: Agents that give flow runs nothing of their own environment; only a LocalAgent passes all of it on.
CONTAINER_AGENTS = ("docker", "kubernetes", "ecs", "fargate", "vertex")
OPTION, AGENT, FLOW_RUN = "option", "agent", "flow run"
_BETWEEN = r"""['"]?[\s,\[\]\\]+(?:-[ \t]+)?['"]?"""  # of words in a command, or in a list of YAML or JSON
# `prefect agent docker start`, `prefect agent start docker` (up to 0.13), also as a list of words.
_COMMAND = re.compile(rf"\bprefect{_BETWEEN}agent\b(?P<rest>(?:{_BETWEEN}[\w./:=$-]+){{0,8}})")
_COMMENT = re.compile(r"(?m)(?:^|(?<=\s))#.*$")


class Owner(NamedTuple):
    """Whose variables they are.

    Attributes:
        role: ``option`` (``--env`` of an agent), ``agent`` (its own environment), ``flow run`` (a template of flow
            runs), or empty.
        agent: kind of the agent, or empty.
        prefect: it has to do with Prefect.
        elsewhere: it is for another machine, a container say, whose files are not those of this one.
    """

    role: str = ""
    agent: str = ""
    prefect: bool = False
    elsewhere: bool = False


def owner_of(text: str) -> Owner:
    """Return whose environment stands in a text that may start an agent.

    Args:
        text: a script, or the part of a YAML file to which the environment belongs.
    """
    kind = agent_in(text)
    return Owner(AGENT if kind else "", kind, prefect=concerns_prefect(text))


def agent_in(text: str) -> str:
    """Return the kind of the first agent that a text starts or installs, an empty string without one.

    Args:
        text: a script, a command, or a part of a YAML file.
    """
    found = _COMMAND.search(_COMMENT.sub("", text))
    if found is None:
        return ""
    words = re.findall(r"\w+", found.group("rest"))
    return next((word for word in words if word in CONTAINER_AGENTS), "local")


def concerns_prefect(text: str) -> bool:
    """Return whether a text has to do with Prefect: it names it somewhere.

    Args:
        text: any text.
    """
    return "prefect" in text.lower()
