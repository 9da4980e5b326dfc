"""Spikes and synaptic operations of an inference, counted in a run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from nmdeploy.errors import DataError
from nmdeploy.report.figures import Kind
from nmdeploy.stored_figure import stored_figure

if TYPE_CHECKING:
    from nmdeploy.emulator.result import Result
    from nmdeploy.network import Network

FIGURE = "activity"
"""The name under which `Deployment.figures` holds an activity."""


@dataclass(frozen=True)
class PopulationActivity:
    """What one population sent in a run.

    Attributes:
        name: the population.
        neurons: its size.
        spikes: sum of all its spike values over all steps and samples.
        silent: neurons that never fired, in any sample; None when the run did not
            count spikes neuron by neuron.
    """

    name: str
    neurons: int
    spikes: int
    silent: int | None = None


@dataclass(frozen=True)
class ProjectionActivity:
    """Synaptic operations of one projection in a run: spikes times fan-out."""

    name: str
    operations: int


@dataclass(frozen=True)
class Activity:
    """What a run of a network did, in whole numbers; shares are derived from them.

    Attributes:
        origin: what ran (`Result.origin`).
        kind: how the numbers came about.
        steps: steps of one inference, with those the last layers need to finish.
        samples: inferences run.
        populations: in the network's order.
        projections: in the network's order.
    """

    origin: str
    kind: Kind
    steps: int
    samples: int
    populations: tuple[PopulationActivity, ...]
    projections: tuple[ProjectionActivity, ...]

    def __post_init__(self) -> None:
        if self.steps < 1 or self.samples < 1:
            raise DataError("an activity needs steps and samples", found=f"{self.steps} and {self.samples}")

    @classmethod
    def of(cls, result: Result, network: Network) -> Activity:
        """The activity of a run of `network`.

        Record with `Recording(counts=("*",))` to learn how many neurons stay silent.
        """
        populations = tuple(
            PopulationActivity(
                population.name,
                population.size,
                int(result.total_spikes[population.name].sum()),
                _silent(result, population.name),
            )
            for population in network.populations
        )
        names = dict.fromkeys(projection.name for projection in network.projections)
        projections = tuple(ProjectionActivity(name, int(result.synaptic_operations[name].sum())) for name in names)
        kind = Kind.EMULATED if network.is_integer else Kind.SIMULATED
        return cls(result.origin, kind, result.steps, result.samples, populations, projections)

    def spikes(self, population: PopulationActivity) -> float:
        """Spikes of a population in one inference, on average."""
        return population.spikes / self.samples

    def rate(self, population: PopulationActivity) -> float:
        """Spikes of one neuron in one step, on average."""
        return population.spikes / (self.samples * self.steps * population.neurons)

    def operations(self, projection: ProjectionActivity) -> float:
        """Synaptic operations of a projection in one inference, on average."""
        return projection.operations / self.samples

    @property
    def total_spikes(self) -> float:
        """Spikes of the whole network in one inference, inputs included."""
        return sum(population.spikes for population in self.populations) / self.samples

    @property
    def total_operations(self) -> float:
        """Synaptic operations of the whole network in one inference."""
        return sum(projection.operations for projection in self.projections) / self.samples

    def never_spiking(self, network: Network) -> tuple[str, ...]:
        """Populations of `network` that can fire and did not, in any step of any sample."""
        able = {population.name for population in network.populations if population.spike_range[1] > 0}
        return tuple(each.name for each in self.populations if each.spikes == 0 and each.name in able)

    def figure(self) -> dict[str, Any]:
        """The plain form that a deployment's `figures` hold, under the name `activity`."""
        return {
            "origin": self.origin,
            "kind": self.kind.value,
            "steps": self.steps,
            "samples": self.samples,
            "populations": [[each.name, each.neurons, each.spikes, each.silent] for each in self.populations],
            "projections": [[each.name, each.operations] for each in self.projections],
        }


def activity_in(figures: Mapping[str, Mapping[str, Any]]) -> Activity | None:
    """The activity among a deployment's `figures`; None when there is none.

    Raises:
        DataError: when the entry is no activity.
    """
    return stored_figure(figures, FIGURE, "activity", _activity)


def _activity(stored: Mapping[str, Any]) -> Activity:
    return Activity(
        str(stored["origin"]),
        Kind(stored["kind"]),
        int(stored["steps"]),
        int(stored["samples"]),
        tuple(PopulationActivity(*row) for row in stored["populations"]),
        tuple(ProjectionActivity(*row) for row in stored["projections"]),
    )


def _silent(result: Result, name: str) -> int | None:
    if name not in result.counts:
        return None
    return int(np.count_nonzero(~np.any(result.counts[name] != 0, axis=0)))
