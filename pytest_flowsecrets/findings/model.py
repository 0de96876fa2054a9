"""Findings: where what a flow gets differs from what was written, what happens in which releases, and what to write.

Each rule is a small function under an id. A rule about values looks at one text as the model reads it alone
(:func:`alone`), so that one broken secret hides no other; a rule about shape looks at a whole resolution. A spelling
that is suggested has been resolved first, and gives the intended text in that dialect; where none does, the finding
says so.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Callable, Iterator, List, Mapping, Optional

from pytest_flowsecrets.resolution import secret_get
from pytest_flowsecrets.resolution.dialects import SPANS, Dialect, default_box, dialect_for
from pytest_flowsecrets.resolution.env_names import SECRETS, key_of
from pytest_flowsecrets.resolution.layers import Layer, Origin, Refused, Slot
from pytest_flowsecrets.resolution.layers import variable as origin_of
from pytest_flowsecrets.resolution.loader.interpolate import Surroundings, read_variable, settle, substitute
from pytest_flowsecrets.resolution.loader.merge import flattened, slots_of
from pytest_flowsecrets.resolution.loader.nest import stored

if TYPE_CHECKING:
    from pytest_flowsecrets.resolution.resolve import Resolution

_FILES = ("user", "backend", "defaults")


@dataclass(frozen=True)
class Finding:
    """A surprise.

    Attributes:
        id: ``FS021``.
        severity: ``error`` (a flow fails or gets something else), ``warning`` (it may), ``note``.
        name: the secret, variable or key.
        origin: where it was written.
        message: what happens; never holds a value.
        versions: the releases in which it happens.
        advice: what to write, or that nothing helps.
        spelling: the text to write for it, checked; it holds the value, and is never printed by itself.
        line: the line of the file that writes the spelling; printed only where values are shown.
    """

    id: str
    severity: str
    name: str
    origin: Origin
    message: str
    versions: str = ""
    advice: str = ""
    spelling: Optional[str] = field(default=None, repr=False, compare=False)
    line: Optional[str] = field(default=None, repr=False, compare=False)


@dataclass(frozen=True, repr=False)
class Reading:
    """One written text, and what the model makes of it alone.

    Attributes:
        name: the secret's name.
        text: what was written.
        slot: origin and steps.
        outcome: what ``Secret(name).get()`` gives, were it the only secret.
        around: the rules and the environment.
    """

    name: str
    text: str
    slot: Slot
    outcome: secret_get.Outcome
    around: Surroundings

    @property
    def value(self) -> Any:
        """What the flow gets; None after an error."""
        return self.outcome.value

    @property
    def from_file(self) -> bool:
        """Written in a file, else in a variable."""
        return self.slot.kind in _FILES

    def took(self, *steps: str) -> bool:
        """Whether one of these steps changed the value.

        Args:
            *steps: beginnings of the steps' names.
        """
        return any(what.startswith(steps) for what, _, _ in self.slot.steps)


Rule = Callable[[Reading], Optional[str]]


def readings(resolution: Resolution) -> Iterator[Reading]:
    """Read each text that was written for a secret, winners and losers of the same key alike.

    Args:
        resolution: a resolution, failed or not.
    """
    around = surroundings(resolution)
    for slot in written(resolution):
        if isinstance(slot.written, str) and slot.key[:2] == SECRETS and len(slot.key) > len(SECRETS):
            name = ".".join(str(part) for part in slot.key[2:])
            yield alone(name, slot.written, slot, around, resolution.flat)


def written(resolution: Resolution) -> List[Slot]:
    """List what was written, whether or not the resolution got so far as to use it.

    Args:
        resolution: a resolution, failed or not.
    """
    slots = [
        slot for layer in resolution.layers if layer.kind != "defaults" for slot in _all(layer, resolution.dialect)
    ]
    for variable, text in resolution.environ.items():
        key = key_of(variable, resolution.dialect)
        if key is not None:
            slots.append(Slot(text, origin_of(resolution.environ, variable, key), key))
    return slots


def _all(layer: Layer, dialect: Dialect) -> List[Slot]:
    return [slot for _, slot in flattened(slots_of(layer, dialect))]


def surroundings(resolution: Resolution) -> Surroundings:
    """Give what a resolution was made with.

    Args:
        resolution: a resolution.
    """
    machine = resolution.machine
    return Surroundings(resolution.dialect, resolution.environ, machine.home, machine.users, machine.python)


def alone(
    name: str, text: str, origin: Slot, around: Surroundings, others: Optional[Mapping[Any, Slot]] = None
) -> Reading:
    """Read a text as if it were the only secret.

    Args:
        name: the secret's name.
        text: what is written.
        origin: where; only its layer matters.
        around: the rules and the environment.
        others: the rest of the configuration, for ``${references}``.
    """
    slot = Slot(text, origin.source, origin.key)
    try:
        if slot.kind not in _FILES:
            read_variable(slot, around)
        if isinstance(slot.value, str) and slot.value:
            settle(slot, around)
        if isinstance(slot.value, str) and "${" in slot.value:
            substitute({**(others or {}), slot.key: slot}, only=slot.key)
    except Refused as refused:
        return Reading(name, text, slot, secret_get.Outcome("error", error=refused.failure), around)
    return Reading(name, text, slot, _outcome(slot, around), around)


def _outcome(slot: Slot, around: Surroundings) -> secret_get.Outcome:
    value = stored(slot.value, default_box(around.dialect, around.python))
    inside_a_table = len(slot.key) > len(SECRETS) + 1  # Secret.get() gives the table, and decodes nothing in it
    if around.dialect.lookup.decodes and not inside_a_table:
        return secret_get.decoded(value)
    return secret_get.Outcome("value", value, stored=value)


def versions_of(reading: Reading, same: Callable[[Reading], bool]) -> str:
    """Tell the releases in which a rule applies to a text.

    Args:
        reading: the text.
        same: the rule.
    """
    return where(lambda row: same(_in(reading, row)))


def where(holds: Callable[[Dialect], bool]) -> str:
    """Write the releases for which something holds as ranges: ``0.5.0-0.6.6, 0.11.0-1.4.1``.

    Args:
        holds: asked for the first release of each span.
    """
    ranges: List[List[str]] = []
    before = False
    for first, last in SPANS:
        now = holds(dialect_for(first))
        if now and before:
            ranges[-1][1] = last
        elif now:
            ranges.append([first, last])
        before = now
    return ", ".join(first if first == last else f"{first}-{last}" for first, last in ranges)


def _in(reading: Reading, dialect: Dialect) -> Reading:
    return alone(reading.name, reading.text, reading.slot, replace(reading.around, dialect=dialect))
