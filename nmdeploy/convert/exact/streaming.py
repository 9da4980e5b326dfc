"""Samples one behind the other without writing potentials: layers are cleared at the floor, restored, and pipelined.

One step after the last drive of a layer an inhibition of a whole threshold brings every
neuron to the floor, whatever it was. One step later each is lifted to where it starts. The
layer is then ready for the next sample, while layers behind still work on this one. Outputs
are never cleared: the logits of a sample are what its window adds to their potentials.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmdeploy.convert.exact.spiking import ExactNetwork, gate_of, windows
from nmdeploy.emulator.result import Result
from nmdeploy.errors import UsageError
from nmdeploy.linear_maps import Array
from nmdeploy.network import Network, Population, Projection
from nmdeploy.neurons import IF
from nmdeploy.synapses import Dense, Reshape
from quantize import smallest_dtype


@dataclass(frozen=True, eq=False)
class StreamedNetwork:
    """An exact network that takes sample after sample in one run.

    Attributes:
        network: integer, with a clear and a restore population for each hidden one.
        exact: of a single sample.
        period: steps from one sample to the next.
        starts: the step in which each hidden population begins to fire for the first sample.
    """

    network: Network
    exact: ExactNetwork
    period: int
    starts: Mapping[str, int]

    def inputs(self, samples: NDArray[Any]) -> dict[str, Array]:
        """The spikes of all inputs, `[steps, 1, *shape]`, for samples `[N, *shape]` one behind the other."""
        whole = self.exact.steps + self.period * (len(samples) - 1)
        spikes = {each.name: np.zeros((whole, 1, *each.shape), np.uint8) for each in self.network.inputs}
        for name, trains in self.exact.inputs(samples).items():
            for index in range(len(samples)):
                spikes[name][self._of(index, 0, len(trains)), 0] |= trains[:, index]
        for population in self.exact.ann.network.populations:
            name = population.name
            if name in self.starts:
                ready = self.starts[name] + self.exact.ann.levels
                _every(spikes[clear_of(name)], ready, self.period)
                _every(spikes[restore_of(name)], ready + 1, self.period)
        return spikes

    def counts(self, network: Network, result: Result, samples: int) -> dict[str, Array]:
        """Counts of every sample, `[samples, *shape]`, by hidden population.

        Args:
            network: what ran: this one, or what a chip makes of it.
            result: its run, recorded with `spikes=("*",)`.
            samples: how many.
        """
        found = {}
        for name, start in self.starts.items():
            first = start + _lateness(network, name)
            phases = [self._of(index, first, self.exact.ann.levels) for index in range(samples)]
            found[name] = np.stack([result.spikes[name][each, 0].sum(axis=0, dtype=np.int64) for each in phases])
        return found

    def logits(self, network: Network, result: Result, samples: int) -> dict[str, Array]:
        """W n + B of every sample, `[samples, *shape]`, by output.

        Args:
            network: what ran.
            result: its run, recorded with potentials of the outputs at every step.
            samples: how many.
        """
        found = {}
        for name in self.network.outputs:
            last = self.exact.steps - 1 + network.latency()
            potentials = result.potentials[name][last :: self.period, 0][:samples]
            neuron: Any = network[name].neuron
            before = np.broadcast_to(np.asarray(neuron.v_init, dtype=np.int64), potentials[:1].shape)
            ratio = np.asarray(self.network[name].potential_scale) / network[name].potential_scale
            added = np.diff(np.concatenate([before, potentials]), axis=0) // np.rint(ratio).astype(np.int64)
            found[name] = added + self.exact.ann.layer(name).bias
        return found

    def _of(self, index: int, start: int, steps: int) -> slice:
        """`steps` steps from `start` on, in the time of sample `index`."""
        return slice(index * self.period + start, index * self.period + start + steps)


def can_stream(exact: ExactNetwork) -> bool:
    """Whether all potentials have a floor at which they can be cleared."""
    neurons = (each.neuron for each in exact.network.populations)
    return all(neuron.v_min is not None for neuron in neurons if isinstance(neuron, IF))


def stream(exact: ExactNetwork) -> StreamedNetwork:
    """An exact network for sample after sample.

    The period is the least in which every layer has been cleared when the next sample
    arrives: T + L + 1 for a chain of layers, longer where a shortcut makes one wait.

    Raises:
        UsageError: for a chip whose potentials have no floor to clear them at.
    """
    ann = exact.ann
    starts, ends = windows(ann)
    populations, projections = list(exact.network.populations), list(exact.network.projections)
    for name in starts:
        population = exact.network[name]
        populations += [Population(clear_of(name), (1,)), Population(restore_of(name), (1,))]
        projections += _projections(population)
    network = replace(exact.network, populations=tuple(populations), projections=tuple(projections))
    begins = {ann.network.inputs[0].name: 0, **starts}
    period = 1
    for population in ann.network.populations:
        if not population.is_input:
            sources = [each.source for each in ann.network.into(population.name)]
            # A hidden layer is cleared in the step after its last; an output only has to be read out.
            ready = ends[population.name] + 1 if population.name in ends else max(ends[name] for name in sources)
            period = max(period, ready - min(begins[name] for name in sources))
    return StreamedNetwork(network, exact, period, starts)


def clear_of(name: str) -> str:
    """The input population that clears a hidden one."""
    return f"{name}.clear"


def restore_of(name: str) -> str:
    """The input population that restores a hidden one."""
    return f"{name}.restore"


def _projections(population: Population) -> Iterator[Projection]:
    neuron = population.neuron
    if not isinstance(neuron, IF) or neuron.v_min is None:
        hint = "run samples one by one: potentials are written anew"
        raise UsageError("potentials have no floor to clear them at", where=population.name, hint=hint)
    lowest = -int(np.max(neuron.threshold))
    start = np.broadcast_to(np.asarray(neuron.v_init, dtype=np.int64), population.shape).reshape(-1, 1)
    for source, weights in (
        (clear_of(population.name), np.full_like(start, lowest)),
        (restore_of(population.name), start),
    ):
        dense = Dense(weights.astype(smallest_dtype(int(weights.min()), int(weights.max()))))
        shaped = (dense,) if len(population.shape) == 1 else (dense, Reshape(population.shape))
        yield Projection(source, population.name, shaped)


def _every(train: Array, start: int, period: int) -> None:
    train[start::period] = 1


def _lateness(network: Network, name: str) -> int:
    """By how many steps a hidden population lags behind its ideal one."""
    return next(each.delay for each in network.projections if each.source == gate_of(name))
