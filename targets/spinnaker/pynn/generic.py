"""Populations and projections for PyNN's plain simulators; floats, not the chip's integers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Parts = list[Any]


def setup(sim: Any, _time_scale_factor: int = 1) -> None:
    """A new simulation with steps of 1 ms."""
    sim.setup(timestep=1.0, min_delay=1.0)


def source(sim: Any, label: str, spikes: Array) -> Parts:
    """An input that plays back spikes `[T, *shape]`; a spike of step t is sent at t ms."""
    from pyNN.parameters import Sequence

    columns = spikes.reshape(len(spikes), -1).T
    times = [Sequence([float(step) for step in np.flatnonzero(column)]) for column in columns]
    return [sim.Population(len(times), sim.SpikeSourceArray(spike_times=times), label=label)]


def neurons(sim: Any, model: Any, label: str, parameters: Mapping[str, Array]) -> Parts:
    """Neurons of a standard cell type; `v` is the initial potential."""
    given = dict(parameters)
    initial = given.pop("v")
    return [sim.Population(len(initial), model(**given), initial_values={"v": initial}, label=label)]


def rows(sim: Any, pre: Parts, post: Parts, pairs: Array, weights: Array, *, delay: int) -> None:
    """Synapses between neurons (source, target) `[n, 2]`, with weights `[n]` of both signs and a delay in steps."""
    for receptor, chosen in (("excitatory", weights > 0), ("inhibitory", weights < 0)):
        if np.any(chosen):
            listed = [
                (int(source), int(target), float(weight), float(delay))
                for (source, target), weight in zip(pairs[chosen], weights[chosen], strict=True)
            ]
            connector = sim.FromListConnector(listed, column_names=["weight", "delay"])
            sim.Projection(pre[0], post[0], connector, sim.StaticSynapse(), receptor_type=receptor)


def messages() -> list[str]:
    """Simulators have no faults to report."""
    return []
