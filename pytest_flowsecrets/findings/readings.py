"""Each text that is written for a secret, with the value that a flow gets for it.

A rule about values evaluates one text by itself (:func:`evaluate_text`), so one broken secret does not hide another.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Callable, Iterator, List, Mapping, Optional

from pytest_flowsecrets.resolution import secret_get
from pytest_flowsecrets.resolution.dialects import SPANS, Dialect, default_box, dialect_for
from pytest_flowsecrets.resolution.env_names import SECRETS, key_of
from pytest_flowsecrets.resolution.layers import Layer, PrefectLoadError, Slot
from pytest_flowsecrets.resolution.layers import variable as origin_of
from pytest_flowsecrets.resolution.loader.interpolate import LoadContext, expand_and_type, read_variable, substitute
from pytest_flowsecrets.resolution.loader.merge import flatten, slots_of
from pytest_flowsecrets.resolution.loader.nest import box_value

if TYPE_CHECKING:
    from pytest_flowsecrets.resolution.resolve import Resolution

_FILES = ("user", "backend", "defaults")


@dataclass(frozen=True, repr=False)
class Reading:
    """One written text and the value that a flow gets for it.

    Attributes:
        name: the name of the secret.
        text: the text as written.
        slot: the origin and the steps of the value.
        outcome: the result of ``Secret(name).get()`` if this is the only secret.
        context: the rules and the environment.
    """

    name: str
    text: str
    slot: Slot
    outcome: secret_get.Outcome
    context: LoadContext

    @property
    def value(self) -> Any:
        """The value that the flow gets; None after an error."""
        return self.outcome.value

    @property
    def from_file(self) -> bool:
        """Whether the text is written in a file, as opposed to a variable."""
        return self.slot.kind in _FILES

    def has_step(self, *steps: str) -> bool:
        """Return whether one of these steps changed the value.

        Args:
            *steps: prefixes of the names of steps.
        """
        return any(what.startswith(steps) for what, _, _ in self.slot.steps)


#: A function that returns the message of a finding about a text, or None if there is none.
Check = Callable[[Reading], Optional[str]]


def readings(resolution: Resolution) -> Iterator[Reading]:
    """Evaluate each text that is written for a secret, including overridden ones.

    Args:
        resolution: a resolution, whether it failed or not.
    """
    context = load_context(resolution)
    for slot in written_slots(resolution):
        if isinstance(slot.written, str) and slot.key[:2] == SECRETS and len(slot.key) > len(SECRETS):
            name = ".".join(str(part) for part in slot.key[2:])
            yield evaluate_text(name, slot.written, slot, context, resolution.flat)


def written_slots(resolution: Resolution) -> List[Slot]:
    """List all written values, even those that a failed resolution did not reach.

    Args:
        resolution: a resolution, whether it failed or not.
    """
    layers = [layer for layer in resolution.layers if layer.kind != "defaults"]
    slots = [slot for layer in layers for slot in _slots_of_layer(layer, resolution.dialect)]
    for variable, text in resolution.environ.items():
        key = key_of(variable, resolution.dialect)
        if key is not None:
            slots.append(Slot(text, origin_of(resolution.environ, variable, key), key))
    return slots


def _slots_of_layer(layer: Layer, dialect: Dialect) -> List[Slot]:
    return [slot for _, slot in flatten(slots_of(layer, dialect))]


def load_context(resolution: Resolution) -> LoadContext:
    """Return the rules and the environment that a resolution used.

    Args:
        resolution: a resolution.
    """
    machine = resolution.machine
    return LoadContext(resolution.dialect, resolution.environ, machine.home, machine.users, machine.python)


def evaluate_text(
    name: str, text: str, origin: Slot, context: LoadContext, others: Optional[Mapping[Any, Slot]] = None
) -> Reading:
    """Evaluate a text as if it were the only secret.

    Args:
        name: the name of the secret.
        text: the written text.
        origin: the slot that says where it is written. Only its layer matters.
        context: the rules and the environment.
        others: the rest of the configuration, for ``${references}``.
    """
    slot = Slot(text, origin.source, origin.key)
    try:
        if slot.kind not in _FILES:
            read_variable(slot, context)
        if isinstance(slot.value, str) and slot.value:
            expand_and_type(slot, context)
        if isinstance(slot.value, str) and "${" in slot.value:
            substitute({**(others or {}), slot.key: slot}, only=slot.key)
    except PrefectLoadError as error:
        return Reading(name, text, slot, secret_get.Outcome("error", error=error.failure), context)
    return Reading(name, text, slot, _outcome(slot, context), context)


def _outcome(slot: Slot, context: LoadContext) -> secret_get.Outcome:
    value = box_value(slot.value, default_box(context.dialect, context.python))
    inside_a_table = len(slot.key) > len(SECRETS) + 1  # Secret.get() returns the table without decoding its values
    if context.dialect.lookup.decodes and not inside_a_table:
        return secret_get.decode_json(value)
    return secret_get.Outcome("value", value, stored=value)


def versions_of(reading: Reading, applies: Callable[[Reading], bool]) -> str:
    """Return the releases in which a rule applies to a text.

    Args:
        reading: the text.
        applies: the rule.
    """
    return version_ranges(lambda row: applies(_in(reading, row)))


def version_ranges(holds: Callable[[Dialect], bool]) -> str:
    """Return the releases that meet a condition as ranges: ``0.5.0-0.6.6, 0.11.0-1.4.1``.

    Args:
        holds: the condition. It is called for the first release of each span.
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
    return evaluate_text(reading.name, reading.text, reading.slot, replace(reading.context, dialect=dialect))
