"""The environment of a flow run: each variable with its origin, and the variables that are lost or passed on.

A variable can be set in several places. They are, from weakest to strongest (``ORIGINS``):

- ``host``: the environment of the agent itself, which a LocalAgent passes on completely;
- ``template``: a Kubernetes job template, or an ECS task definition;
- ``overrides``: the ``run_task_kwargs`` of ECS;
- ``default``: variables that the agent sets if no other place sets them;
- ``agent``: ``prefect agent … start --env NAME=value``, or ``[cloud.agent.env_vars]`` in the configuration of the agent
  if there is no ``--env``;
- ``run_config``: ``run_config.env``;
- ``forced``: variables that the agent always sets.

The places, and the forced variables, depend on the agent and the release: see ``rules``.
"""

from __future__ import annotations

from collections.abc import Mapping as AbstractMapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Dict, Iterable, Iterator, List, Mapping, Optional, Tuple

from pytest_flowsecrets.errors import with_article
from pytest_flowsecrets.names import PREFIX, REST_PREFIX
from pytest_flowsecrets.resolution.shown_names import masked_name

if TYPE_CHECKING:
    from pytest_flowsecrets.resolution.display import Mask

#: Detail of a variable that Docker removes from the container, because its value is None.
ABSENT = "None, with which Docker removes the variable"
#: Detail of a variable in the configuration of the agent. Its origin is ``agent``, as for ``--env``.
CONFIGURED = "cloud.agent.env_vars of the agent's configuration"
ORIGINS = ("host", "template", "overrides", "default", "agent", "run_config", "forced")
#: The same for a worker of Prefect 2.20 and 3. The order is that of recent releases.
WORKER_ORIGINS = ("worker", "image", "settings", "flow_run", "template", "deployment", "run")

_OWN = ("host", "worker")  # the origins that stand for the own environment of the agent or worker
_DESCRIPTIONS = {
    "worker": "the worker's own environment",
    "image": "the image",
    "settings": "the settings of the worker",
    "flow_run": "the worker, for this flow run",
    "deployment": "job_variables of the deployment",
    "run": "job_variables of the flow run",
    "host": "the agent's own environment",
    "template": "the template",
    "overrides": "run_task_kwargs",
    "default": "a default of the agent",
    "agent": "agent --env",
    "run_config": "run_config.env",
    "forced": "forced by the agent",
}


@dataclass(frozen=True)
class Entry:
    """A variable in one place.

    Attributes:
        name: the name.
        value: the value; None if there is a reference instead, or if the agent removes the variable.
        origin: one of :data:`ORIGINS` or :data:`WORKER_ORIGINS`.
        source: the reference, ``valueFrom`` of Kubernetes or ECS, if there is one.
        detail: a description of the reference (``secretKeyRef github/token``) or of the place.
    """

    name: str
    value: Optional[str] = field(repr=False)
    origin: str
    source: Optional[Mapping[str, Any]] = field(default=None, repr=False)
    detail: str = ""

    def __str__(self) -> str:
        if self.detail == CONFIGURED:
            return self.detail
        description = _DESCRIPTIONS[self.origin]
        return f"{description}: {self.detail}" if self.detail else description


@dataclass(frozen=True)
class Lost:
    """A variable that the flow run does not get, because another place sets the same name.

    Attributes:
        entry: the lost variable.
        winner: the variable that the flow run gets.
    """

    entry: Entry
    winner: Entry


class FlowEnvironment(AbstractMapping):  # type: ignore[type-arg] # a class of Python 3.8 takes no parameters
    """The variables of a flow run as a mapping of names to values, with their origins.

    Args:
        agent: ``local``, ``docker``, ``kubernetes`` or ``ecs``; for a worker ``process``, ``kubernetes`` or ``docker``.
        version: the release of Prefect.
        variables: the variables, in order. A value of None is known only where the flow runs.
        lost: the variables that the flow run does not get.
        notes: other facts about the environment.
        real: whether a real agent or worker created the environment, not the model.
        runner: ``agent``, or ``worker`` on Prefect 2.20 and 3.
    """

    def __init__(  # noqa: PLR0913 - its parts
        self,
        agent: str,
        version: str,
        variables: Iterable[Entry],
        lost: Iterable[Lost] = (),
        notes: Iterable[str] = (),
        *,
        real: bool = False,
        runner: str = "agent",
    ) -> None:
        self.agent, self.version, self.real, self.runner = agent, version, real, runner
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
        """Return the origin of a variable, such as ``host``, ``template`` or ``agent``, or ``deployment`` of a worker.

        Raises:
            KeyError: there is no such variable.
        """
        return self.variables[name].origin

    @property
    def dropped(self) -> Tuple[Lost, ...]:
        """The references (``secretKeyRef``) that the agent drops silently, because another place sets the name."""
        return tuple(lost for lost in self.lost if lost.entry.source is not None)

    @property
    def forced(self) -> Tuple[str, ...]:
        """The names of the variables that the agent always sets."""
        return self._of("forced")

    @property
    def leaked(self) -> Tuple[str, ...]:
        """The names of the variables that come from the own environment of the agent or worker."""
        return self._of(*_OWN)

    @property
    def settings(self) -> Dict[str, str]:
        """The settings of Prefect 2.20 or 3 among the variables."""
        return {name: self[name] for name in self if name.startswith(REST_PREFIX) and not name.startswith(PREFIX)}

    @property
    def unresolved(self) -> Tuple[str, ...]:
        """The names of the variables whose value is known only where the flow runs."""
        return tuple(name for name, entry in self.variables.items() if entry.value is None and entry.detail != ABSENT)

    def _of(self, *origins: str) -> Tuple[str, ...]:
        return tuple(name for name, entry in self.variables.items() if entry.origin in origins)

    def explain(self, mask: Optional[Mask] = None, *, names: Iterable[str] = ()) -> str:
        """Return a description in lines. Values are hidden unless the mask shows them.

        Args:
            mask: determines how values are shown.
            names: the variables to describe. By default all; those of the host that do not concern Prefect are counted.
        """
        from pytest_flowsecrets.resolution.display import Mask as Masked

        return "\n".join(_lines(self, mask or Masked(), list(names)))


def _lines(env: FlowEnvironment, mask: Mask, names: List[str]) -> Iterator[str]:
    creator = f"the real {env.runner}" if env.real else "the model"
    yield f"flow run of {with_article(env.agent)} {env.runner} (Prefect {env.version}, by {creator})"
    entries = [env.variables[name] for name in env.variables if name in names] if names else _about_prefect(env)
    yield from (f"  {masked_name(entry.name)}: {_value_text(entry, mask)}, {entry}" for entry in entries)
    if not names:
        yield from _hidden_line(len(env.variables) - len(entries), env.runner)
    yield from _lost_lines(env, names)
    yield from (f"  note    {note}" for note in env.notes)


def _hidden_line(count: int, runner: str) -> Iterator[str]:
    if count:
        yield f"  and {count} more variables of the {runner}'s own environment"


def _about_prefect(env: FlowEnvironment) -> List[Entry]:
    """Return all variables but those of the host that do not concern Prefect."""
    return [entry for entry in env.variables.values() if entry.origin not in _OWN or entry.name.startswith(PREFIX)]


def _value_text(entry: Entry, mask: Mask) -> str:
    if entry.value is not None:
        return mask.text(entry.value)
    return "not set" if entry.detail == ABSENT else "known only where the flow runs"


def _lost_lines(env: FlowEnvironment, names: List[str]) -> Iterator[str]:
    for entry, winner in ((lost.entry, lost.winner) for lost in env.lost):
        if not names or entry.name in names:
            verb = "dropped silently" if entry.source is not None else "overridden"
            yield f"  lost    {masked_name(entry.name)} of {entry}: {verb} by {winner}"


def merge_entries(entries: Iterable[Entry]) -> Tuple[List[Entry], List[Lost]]:
    """Merge entries: a later one overrides an earlier one of the same name. Entries without value and source disappear.

    Returns:
        The remaining entries, in the order in which each name first occurs, and the lost ones.
    """
    winners: Dict[str, Entry] = {}
    lost: List[Lost] = []
    for entry in entries:
        overridden = winners.get(entry.name)
        if overridden is not None:
            lost = [replace(each, winner=entry) if each.winner is overridden else each for each in lost]
            lost.append(Lost(overridden, entry))
        winners[entry.name] = entry
    return [entry for entry in winners.values() if _is_set(entry)], lost


def _is_set(entry: Entry) -> bool:
    return entry.value is not None or entry.source is not None or entry.detail == ABSENT
