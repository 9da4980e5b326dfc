"""Read-outs: what an output population did becomes a decision. Ties are reported, never broken silently."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from nmdeploy.coding.base import Decision, ReadOut
from nmdeploy.errors import DataError, ShapeError, UsageError
from nmdeploy.neurons import IF

if TYPE_CHECKING:
    from nmdeploy.emulator.result import Result
    from nmdeploy.network import Population


def _check_classes(population: Population) -> None:
    """Raise ShapeError unless an output population is `(classes,)` or `(classes, 1, 1)`."""
    if population.size != population.shape[0]:
        raise ShapeError(
            "a read-out needs one neuron for each class",
            where=population.name,
            found=population.shape,
            limit="(classes,) or (classes, 1, 1)",
        )


def _by_class(values: NDArray[Any], population: Population) -> NDArray[Any]:
    """Values `[..., *population.shape]` of the neurons that stand for a class, `[..., classes]`."""
    leading = values.shape[: values.ndim - len(population.shape)]
    return values.reshape(*leading, population.size)[..., :: population.readout_step]


def _recorded(records: Mapping[str, NDArray[Any]], population: Population, what: str, option: str) -> NDArray[Any]:
    if population.name not in records:
        raise DataError(
            f"the run did not record {what}",
            where=population.name,
            found=", ".join(records) or "none",
            hint=f"name the population in Recording({option}=...) or among the network's outputs",
        )
    return records[population.name]


def _check_spiking(population: Population, read_out: str) -> None:
    if population.spike_range[1] == 0:
        raise UsageError(
            "the output neurons never spike",
            where=population.name,
            found=read_out,
            hint="read them out with MembranePotential, or convert with readout='count'",
        )


@dataclass(frozen=True, eq=False, repr=False)
class SpikeCount(ReadOut):
    """The class with the most spikes over the whole run; scores are the counts."""

    kind: ClassVar[str] = "SpikeCount"

    def decide(self, result: Result, population: Population) -> Decision:
        _check_classes(population)
        _check_spiking(population, self.kind)
        counts = _recorded(result.counts, population, "spike counts", "counts")
        return Decision.of_scores(_by_class(counts, population))


@dataclass(frozen=True, eq=False, repr=False)
class MembranePotential(ReadOut):
    """The class with the highest potential after the last step, of neurons that only integrate.

    Scores are (potential - `population.potential_offset`) * `population.potential_scale`, so
    classes with different integer scales compare by value.
    """

    kind: ClassVar[str] = "MembranePotential"

    def decide(self, result: Result, population: Population) -> Decision:
        _check_classes(population)
        if isinstance(population.neuron, IF):
            raise UsageError(
                "the output neurons spike, so their potential is only what is left after the resets",
                where=population.name,
                found=self.kind,
                hint="read them out with SpikeCount, or convert with readout='potential'",
            )
        potentials = _recorded(result.final_potentials, population, "final potentials", "potentials")
        from_zero = potentials - np.asarray(population.potential_offset, dtype=np.int64)
        values = from_zero * np.asarray(population.potential_scale, dtype=np.float64)
        return Decision.of_scores(_by_class(values, population))


@dataclass(frozen=True, eq=False, repr=False)
class SpikesToDecision(ReadOut):
    """The class that is first to reach `spikes` spikes.

    Scores are the steps that were left when a class got there, its own step included:
    T - t, and 0 where it never did.

    Attributes:
        spikes: how many spikes decide, at least 1.
    """

    kind: ClassVar[str] = "SpikesToDecision"
    spikes: int = 1

    def __post_init__(self) -> None:
        if self.spikes < 1:
            raise UsageError("at least one spike decides", where=self.kind, found=self.spikes, limit=1)

    @property
    def deciding_spikes(self) -> int:
        return self.spikes

    def decide(self, result: Result, population: Population) -> Decision:
        return _race(result, population, self.spikes, self.kind)


@dataclass(frozen=True, eq=False, repr=False)
class FirstSpike(ReadOut):
    """The class that spikes first (time to first spike); scores as in `SpikesToDecision`."""

    kind: ClassVar[str] = "FirstSpike"

    @property
    def deciding_spikes(self) -> int:
        return 1

    def decide(self, result: Result, population: Population) -> Decision:
        return _race(result, population, 1, self.kind)


def _race(result: Result, population: Population, needed: int, read_out: str) -> Decision:
    """The class first to reach `needed` spikes, and the step in which it did."""
    _check_classes(population)
    _check_spiking(population, read_out)
    spikes = _recorded(result.spikes, population, "spikes", "spikes")
    if len(spikes) != result.steps:
        raise DataError(
            "the spikes of some steps were not recorded",
            where=population.name,
            found=f"{len(spikes)} steps",
            limit=result.steps,
            hint="leave Recording(steps=...) at its default",
        )
    totals = _by_class(spikes, population).cumsum(axis=0, dtype=np.int64)
    left = (totals >= needed).sum(axis=0)
    decision = Decision.of_scores(left)
    decided = left.max(axis=1) > 0
    decided_at = np.where(decided, result.steps - left.max(axis=1), -1)
    return Decision(decision.labels, left, decision.tied | ~decided, decided_at)
