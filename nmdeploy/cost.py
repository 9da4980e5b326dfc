"""What an inference costs on a chip: time and energy modelled from counted events."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from nmdeploy.emulator.result import EVERY_SPIKE
from nmdeploy.errors import DataError, UsageError
from nmdeploy.stored_figure import stored_figure
from nmdeploy.target import Status

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from nmdeploy.deployment import Deployment
    from nmdeploy.emulator.result import Result

OPERATIONS = "synaptic operations"
"""How the events of items begin that count synaptic operations."""

FIGURE = "cost"
"""The name under which `Deployment.figures` holds a cost."""

MOST_SAMPLES = 32
"""Samples that a cost is counted in at most: every spike of every step is kept."""
MOST_SPIKES = 1 << 26
"""Spikes (neurons x steps x samples, a byte each) kept for a cost at most, beyond one sample."""


@dataclass(frozen=True)
class Range:
    """A least and a most; equal where only one figure is known.

    Attributes:
        least, most: a count, or an amount in SI units (joule, second).

    Raises:
        DataError: unless 0 <= least <= most, both finite.
    """

    least: float
    most: float

    def __post_init__(self) -> None:
        if not (math.isfinite(self.most) and 0 <= self.least <= self.most):
            raise DataError("a range is a least and a most, both finite", found=f"{self.least} to {self.most}")

    def __add__(self, other: Range) -> Range:
        return Range(self.least + other.least, self.most + other.most)

    def times(self, factor: float) -> Range:
        """Both ends multiplied by a factor of at least 0."""
        return Range(self.least * factor, self.most * factor)


def exactly(value: float) -> Range:
    """The range of a single value."""
    return Range(value, value)


@dataclass(frozen=True)
class CostItem:
    """One kind of event: how often in one inference, and what that takes.

    Attributes:
        event: in words (`synaptic operations conv1->conv2`).
        count: per inference, mean over the samples, counted in a run; a range where it is
            open which events count. None for what is no event (static power).
        energy: joules of all of them (modelled); None when no coefficient is published.
        time: seconds of all of them if nothing ran in parallel (modelled); None likewise.
        source: where the coefficients were published; empty when there are none.
        status: how they came to be known; None when there are none.
    """

    event: str
    count: Range | None
    energy: Range | None = None
    time: Range | None = None
    source: str = ""
    status: Status | None = None


@dataclass(frozen=True)
class Cost:
    """The cost of one inference, mean over the samples of a run.

    Attributes:
        chip: name of the chip.
        origin: what ran to count the events (`Result.origin`).
        samples: inferences that the events were counted in.
        steps: steps of one inference, with those the last layers need to finish.
        items: the events, and static power where it is known.
        energy: joules of one inference, static power included where it is known; None when unknown.
        time: seconds of one inference, cores working in parallel; None when unknown.
        assumptions: what the model takes for granted or leaves out, a sentence each.

    Raises:
        DataError: without steps or samples.
    """

    chip: str
    origin: str
    samples: int
    steps: int
    items: tuple[CostItem, ...]
    energy: Range | None
    time: Range | None
    assumptions: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.steps < 1 or self.samples < 1:
            raise DataError("a cost needs steps and samples", found=f"{self.steps} and {self.samples}")

    @property
    def static_energy(self) -> Range | None:
        """The part of the energy that is no event's; None when it is not known."""
        return total([item.energy for item in self.items if item.count is None])

    @property
    def dynamic_energy(self) -> Range | None:
        """The part of the energy that the events take; None when it is not known."""
        return total([item.energy for item in self.items if item.count is not None])

    @property
    def rate(self) -> Range | None:
        """Inferences per second, one after the other; None when the time is not known, or nothing."""
        return None if self.time is None or not self.time.least else Range(1 / self.time.most, 1 / self.time.least)

    @property
    def energy_delay_product(self) -> Range | None:
        """Joule seconds of one inference: its energy times its time."""
        if self.energy is None or self.time is None:
            return None
        return Range(self.energy.least * self.time.least, self.energy.most * self.time.most)

    def figure(self) -> dict[str, Any]:
        """The plain form that a deployment's `figures` hold, under the name `cost`; ranges are pairs."""
        return {
            "chip": self.chip,
            "origin": self.origin,
            "samples": self.samples,
            "steps": self.steps,
            "items": [_plain_item(item) for item in self.items],
            "energy": _pair(self.energy),
            "time": _pair(self.time),
            "assumptions": list(self.assumptions),
        }


def total(ranges: Sequence[Range | None]) -> Range | None:
    """The sum of what is known; None when nothing is."""
    known = [each for each in ranges if each is not None]
    return sum(known[1:], start=known[0]) if known else None


def _plain_item(item: CostItem) -> list[Any]:
    status = None if item.status is None else item.status.value
    return [item.event, _pair(item.count), _pair(item.energy), _pair(item.time), item.source, status]


def _pair(range_: Range | None) -> list[float] | None:
    return None if range_ is None else [range_.least, range_.most]


def cost_in(figures: Mapping[str, Mapping[str, Any]]) -> Cost | None:
    """The cost among a deployment's `figures`; None when there is none.

    Raises:
        DataError: when the entry is no cost.
    """
    return stored_figure(figures, FIGURE, "cost", _cost)


def _cost(stored: Mapping[str, Any]) -> Cost:
    return Cost(
        str(stored["chip"]),
        str(stored["origin"]),
        int(stored["samples"]),
        int(stored["steps"]),
        tuple(_item(*row) for row in stored["items"]),
        _range(stored["energy"]),
        _range(stored["time"]),
        tuple(str(sentence) for sentence in stored["assumptions"]),
    )


def _item(event: str, count: Any, energy: Any, time: Any, source: str, status: str | None) -> CostItem:
    known = None if status is None else Status(status)
    return CostItem(str(event), _range(count), _range(energy), _range(time), str(source), known)


def _range(stored: Any) -> Range | None:
    if stored is None:
        return None
    least, most = stored
    return Range(float(least), float(most))


def with_coefficients(cost: Cost, operation: float, static: float = 0.0) -> Cost:
    """A cost whose chip has no published energies, with coefficients of the user's own.

    Args:
        cost: from a target.
        operation: joules of one synaptic operation.
        static: watts of the whole chip, whatever happens; counted for the cost's time.

    Raises:
        DataError: for coefficients that are negative or not finite.
        UsageError: when the chip has coefficients of its own, or static power meets no known time.
    """
    each, power = exactly(operation).most, exactly(static).most
    if cost.energy is not None:
        raise UsageError("the energies of this chip are published, and counted already", where=cost.chip)
    if power and cost.time is None:
        raise UsageError("static power needs the time of an inference, which is not known", where=cost.chip)
    items = [_with_energy(item, each) for item in cost.items]
    if cost.time is not None:
        items.append(CostItem("static power", None, cost.time.times(power), None, _OWN, Status.USER))
    energy = total([item.energy for item in items])
    told = f"Coefficients given by the user: {each * 1e12:g} pJ a synaptic operation, {power * 1e3:g} mW static power."
    return replace(cost, items=tuple(items), energy=energy, assumptions=(*cost.assumptions, told))


_OWN = "energy given by the user"


def _with_energy(item: CostItem, operation: float) -> CostItem:
    if item.count is None or not item.event.startswith(OPERATIONS):
        return item
    source = f"{item.source}; {_OWN}" if item.source else _OWN
    return replace(item, energy=item.count.times(operation), source=source, status=Status.USER)


def counted_samples(deployment: Deployment, steps: int | None = None) -> int:
    """Samples whose every spike is kept for a cost: 32, or fewer of a network so large that it would take over 64 MiB.

    Args:
        deployment: what runs.
        steps: input steps; default: the deployment's.
    """
    network = deployment.network
    neurons = sum(population.size for population in network.populations)
    each = neurons * ((steps or deployment.steps) + network.latency())
    return max(1, min(MOST_SAMPLES, MOST_SPIKES // max(1, each)))


def cost_of(deployment: Deployment, counted: Result | None) -> Cost | None:
    """The cost of one inference, mean over a run; None when its target knows none, or nothing was run.

    Args:
        deployment: what ran.
        counted: its run, with every spike kept (`Inference.counted`).
    """
    from nmdeploy.registry import targets

    target = targets().get(deployment.target)
    return None if target is None or counted is None else target.cost(deployment, counted)


def modelled_cost(deployment: Deployment, samples: NDArray[Any], steps: int | None = None) -> Cost | None:
    """The cost of one inference, from an emulation of the first `counted_samples`.

    Where the samples are emulated anyway, `infer` with `every_spike_of` and `cost_of` give the same without a second
    run.

    Args:
        deployment: with an encoder, one input and one output.
        samples: `[N, *shape]`, values in the encoder's range.
        steps: input steps; default: the deployment's.

    Returns:
        The cost; None when its target knows none.
    """
    from nmdeploy.inference import infer
    from nmdeploy.registry import targets

    if deployment.target not in targets() or not len(samples):
        return None
    kept = counted_samples(deployment, steps)
    return cost_of(deployment, infer(deployment, samples[:kept], steps=steps, record=EVERY_SPIKE).result)
