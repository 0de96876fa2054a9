"""The environment of a flow run: each variable with its origin, what was lost on the way, and what came along.

A variable can be written in several places. Weakest first (``ORIGINS``):

- ``host``: the environment of the agent itself, all of which a LocalAgent hands on;
- ``template``: a Kubernetes job template, an ECS task definition;
- ``overrides``: the ``run_task_kwargs`` of ECS;
- ``default``: what the agent sets unless somebody else does;
- ``agent``: ``prefect agent … start --env NAME=value``, or without any ``--env`` what the agent's configuration has
  under ``[cloud.agent.env_vars]``;
- ``run_config``: ``run_config.env``;
- ``forced``: what the agent sets whatever others say.

Which of them there are, and what an agent forces, depends on the agent and the release: see ``rules``.
"""

from __future__ import annotations

from collections.abc import Mapping as AbstractMapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Dict, Iterable, Iterator, List, Mapping, Optional, Tuple

from pytest_flowsecrets.names import PREFIX
from pytest_flowsecrets.resolution.masked_names import masked_name

if TYPE_CHECKING:
    from pytest_flowsecrets.resolution.display import Mask

#: Detail of a variable that the agent's configuration holds; the origin is ``agent``, as for ``--env``.
#: Detail of a variable that Docker removes from the container, because its value is None.
ABSENT = "None, with which Docker removes the variable"
CONFIGURED = "cloud.agent.env_vars of the agent's configuration"
ORIGINS = ("host", "template", "overrides", "default", "agent", "run_config", "forced")

_TOLD = {
    "host": "the agent's own environment",
    "template": "the template",
    "overrides": "run_task_kwargs",
    "default": "a default of the agent",
    "agent": "agent --env",
    "run_config": "run_config.env",
    "forced": "what the agent forces",
}


@dataclass(frozen=True)
class Entry:
    """One variable as it was written in one place.

    Attributes:
        name: its name.
        value: its text; None where a reference stands instead, or where the agent takes the variable away.
        origin: one of :data:`ORIGINS`.
        source: ``valueFrom`` of Kubernetes or of ECS, where a reference stands.
        detail: what it refers to, in words: ``secretKeyRef github/token``; or where exactly it was written.
    """

    name: str
    value: Optional[str] = field(repr=False)
    origin: str
    source: Optional[Mapping[str, Any]] = field(default=None, repr=False)
    detail: str = ""

    def __str__(self) -> str:
        if self.detail == CONFIGURED:
            return self.detail
        return f"{_TOLD[self.origin]}: {self.detail}" if self.detail else _TOLD[self.origin]


@dataclass(frozen=True)
class Lost:
    """A variable that was written and does not arrive, because another place sets the same name.

    Attributes:
        entry: what was written.
        winner: what arrives instead.
    """

    entry: Entry
    winner: Entry


class FlowEnvironment(AbstractMapping):  # type: ignore[type-arg] # a class of Python 3.8 takes no parameters
    """The variables that a flow run sees, as a mapping of names to texts, with their origins.

    Args:
        agent: ``local``, ``docker``, ``kubernetes`` or ``ecs``.
        version: release of Prefect.
        variables: what arrives, in order; a value of None is known only where the flow runs.
        lost: what was written and does not arrive.
        notes: what else happened on the way.
        real: whether the agent's own code made it, not the model.
    """

    def __init__(  # noqa: PLR0913 - what it is made of
        self,
        agent: str,
        version: str,
        variables: Iterable[Entry],
        lost: Iterable[Lost] = (),
        notes: Iterable[str] = (),
        *,
        real: bool = False,
    ) -> None:
        self.agent, self.version, self.real = agent, version, real
        self.variables: Dict[str, Entry] = {entry.name: entry for entry in variables}
        self.lost: Tuple[Lost, ...] = tuple(lost)
        self.notes: Tuple[str, ...] = tuple(notes)

    def __getitem__(self, name: str) -> str:
        value = self.variables[name].value
        if value is None:
            entry = self.variables[name]
            unknown = "" if entry.detail == ABSENT else " is known only where the flow runs"
            raise KeyError(f"{masked_name(name)}: {entry.detail}{unknown}")
        return value

    def __iter__(self) -> Iterator[str]:
        return (name for name, entry in self.variables.items() if entry.value is not None)

    def __len__(self) -> int:
        return sum(entry.value is not None for entry in self.variables.values())

    def __repr__(self) -> str:
        return (
            f"<FlowEnvironment of {self.agent} {self.version}: {', '.join(map(masked_name, sorted(self.variables)))}>"
        )

    def origin(self, name: str) -> str:
        """Where the text of a variable comes from: ``host``, ``template``, ``overrides``, ``default``, ``agent``, ….

        Raises:
            KeyError: there is no such variable.
        """
        return self.variables[name].origin

    @property
    def dropped(self) -> Tuple[Lost, ...]:
        """References (``secretKeyRef``) that the agent dropped without a word: the name is set elsewhere, too."""
        return tuple(one for one in self.lost if one.entry.source is not None)

    @property
    def forced(self) -> Tuple[str, ...]:
        """Names that the agent sets whatever the user says."""
        return self._of("forced")

    @property
    def leaked(self) -> Tuple[str, ...]:
        """Names that came along from the agent's own environment."""
        return self._of("host")

    @property
    def unresolved(self) -> Tuple[str, ...]:
        """Names whose text is known only where the flow runs."""
        return tuple(name for name, entry in self.variables.items() if entry.value is None and entry.detail != ABSENT)

    def _of(self, origin: str) -> Tuple[str, ...]:
        return tuple(name for name, entry in self.variables.items() if entry.origin == origin)

    def explain(self, mask: Optional[Mask] = None, *, names: Iterable[str] = ()) -> str:
        """Tell it in lines, without a value unless the mask shows them.

        Args:
            mask: how values are shown.
            names: these variables; by default all, those of the host's that do not concern Prefect by number only.
        """
        from pytest_flowsecrets.resolution.display import Mask as Masked

        return "\n".join(_lines(self, mask or Masked(), list(names)))


def _lines(env: FlowEnvironment, mask: Mask, names: List[str]) -> Iterator[str]:
    made = "the real agent" if env.real else "the model"
    yield f"flow run of a {env.agent} agent (Prefect {env.version}, by {made})"
    hidden = 0
    for name, entry in env.variables.items():
        if names and name not in names:
            continue
        if not names and entry.origin == "host" and not name.startswith(PREFIX):
            hidden += 1
            continue
        unknown = "not set" if entry.detail == ABSENT else "known only where the flow runs"
        shown = mask.text(entry.value) if entry.value is not None else unknown
        yield f"  {masked_name(name)}: {shown}, {entry}"
    if hidden:
        yield f"  and {hidden} more variables of the agent's own environment"
    for lost in env.lost:
        if not names or lost.entry.name in names:
            silently = "dropped silently" if lost.entry.source is not None else "beaten"
            yield f"  lost    {masked_name(lost.entry.name)} of {lost.entry}: {silently} by {lost.winner}"
    for note in env.notes:
        yield f"  note    {note}"


def merged(entries: Iterable[Entry]) -> Tuple[List[Entry], List[Lost]]:
    """Let later entries win over earlier ones of the same name; a winner without value and source goes, too.

    Returns:
        what is left, in the order in which each name was first written, and what was lost.
    """
    winners: Dict[str, Entry] = {}
    lost: List[Lost] = []
    for entry in entries:
        former = winners.get(entry.name)
        if former is not None:
            lost = [replace(one, winner=entry) if one.winner is former else one for one in lost]
            lost.append(Lost(former, entry))
        winners[entry.name] = entry
    left = [
        entry
        for entry in winners.values()
        if entry.value is not None or entry.source is not None or entry.detail == ABSENT
    ]
    return left, lost
