"""Collecting what a run is asked to keep, block by block."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmdeploy.emulator.inputs import Selection, spike_type
from nmdeploy.emulator.layout import to_channels_first, to_channels_last
from nmdeploy.emulator.memo import Memo
from nmdeploy.emulator.result import Result
from nmdeploy.network import Network, Population, Projection
from nmdeploy.neurons import State

Array = NDArray[Any]


_FAN_OUT: Memo[list[NDArray[np.int64]]] = Memo()


def _fan_out(network: Network, *, channels_last: bool) -> list[NDArray[np.int64]]:
    """Of every projection, in the order in which sums over steps come."""

    def of(projection: Projection) -> NDArray[np.int64]:
        shape = network[projection.source].shape
        fan_out = projection.fan_out(shape)
        return to_channels_last(fan_out, shape) if channels_last else fan_out.ravel()

    return [of(projection) for projection in network.projections]


class Recorder:
    """The arrays of a `Result` while they fill; only what is asked for takes memory.

    Args:
        network: the network that runs.
        selected: what to keep.
        samples: number of samples of the run.
        potential_type: type of potentials.
        ends: whether to keep when each sample's run ended.
        channels_last: whether sums over steps come as `[N, neurons]`, channels last, instead of `[N, *shape]`.
    """

    def __init__(
        self,
        network: Network,
        selected: Selection,
        samples: int,
        potential_type: np.dtype[Any],
        *,
        ends: bool = False,
        channels_last: bool = False,
    ) -> None:
        self._steps, self._network, self._channels_last = selected.steps, network, channels_last
        kept = (len(selected.steps), samples)
        outputs = [name for name in network.outputs if not network[name].is_input]
        names = [population.name for population in network.populations]

        def zeros(name: str, leading: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
            return np.zeros((*leading, *network[name].shape), dtype)

        int64 = np.dtype(np.int64)
        self.spikes = {name: zeros(name, kept, spike_type(network[name])) for name in selected.spikes}
        self.potentials = {key: zeros(name, kept, potential_type) for key, (name, _) in selected.potentials.items()}
        self._variables: dict[str, list[tuple[str, str]]] = {name: [] for name in names}
        for key, (name, variable) in selected.potentials.items():
            self._variables[name].append((key, variable))
        self.counts = {name: zeros(name, (samples,), int64) for name in selected.counts}
        self.final_potentials = {name: zeros(name, (samples,), potential_type) for name in outputs}
        self.total_spikes = {name: np.zeros(samples, int64) for name in names}
        self.synaptic_operations = {projection.name: np.zeros(samples, int64) for projection in network.projections}
        self.ended = np.zeros(samples, int64) if ends else None
        self._fan_out = _FAN_OUT.get(network, channels_last, lambda: _fan_out(network, channels_last=channels_last))

    def block(self, name: str, samples: slice, start: int, values: Array) -> None:
        """Keep the spikes `[T, N, *shape]` of a block of steps that begins at `start`."""
        if name in self.spikes:
            kept, step = self._steps, self._steps.step
            begin, end = (min(max(0, -((kept.start - at) // step)), len(kept)) for at in (start, start + len(values)))
            if begin < end:
                self.spikes[name][begin:end, samples] = values[kept[begin] - start :: step][: end - begin]

    def potential(self, name: str, samples: slice, step: int, state: State) -> None:
        """Keep the asked variables of a state `[N, *shape]` at the end of `step`."""
        if self._variables[name] and step in self._steps:
            for key, variable in self._variables[name]:
                self.potentials[key][self._steps.index(step), samples] = state[variable]

    def totals(self, name: str, samples: slice, values: Array) -> None:
        """Keep the sums of spike values over all steps."""
        self.total_spikes[name][samples] = values.reshape(len(values), -1).sum(axis=1, dtype=np.int64)
        if name in self.counts:
            shape = self._network[name].shape
            self.counts[name][samples] = to_channels_first(values, shape) if self._channels_last else values

    def operations(self, projection: int, samples: slice, arriving: Array) -> None:
        """Add the synaptic operations of a projection, by its index, from its arriving spikes."""
        name = self._network.projections[projection].name
        flat, fan_out = arriving.reshape(len(arriving), -1), self._fan_out[projection]
        performed = np.einsum("ij,j->i", flat, fan_out, dtype=np.int64, casting="safe")  # makes no int64 copy
        self.synaptic_operations[name][samples] += performed

    def end(self, samples: slice, steps: int) -> None:
        """Keep the number of steps that the samples ran."""
        if self.ended is not None:
            self.ended[samples] = steps

    def result(self, steps: int, origin: str) -> Result:
        """The finished run."""
        samples = len(next(iter(self.total_spikes.values())))
        return Result(
            spikes=self.spikes,
            potentials=self.potentials,
            counts=self.counts,
            final_potentials=self.final_potentials,
            total_spikes=self.total_spikes,
            synaptic_operations=self.synaptic_operations,
            steps=steps,
            samples=samples,
            origin=origin,
            ended=self.ended,
        )


class Tally:
    """Sums over steps of one population's spikes, for one batch of samples.

    Attributes:
        values: sum of spike values, int64 `[N, *shape]`.
        events: number of spikes of any value but 0; the same array where all values are 0 or 1.
    """

    def __init__(self, population: Population, samples: int) -> None:
        low, high = population.spike_range
        self._binary = low >= 0 and high <= 1
        self.values = np.zeros((samples, *population.shape), np.int64)
        self.events = self.values if self._binary else np.zeros_like(self.values)

    def add(self, spikes: Array) -> None:
        """Count the spikes `[T, N, *shape]`."""
        if self._binary:
            self.events += _count(spikes)
        else:
            self.values += spikes.sum(axis=0, dtype=np.int64)
            self.events += count_events(spikes)


def count_events(spikes: Array) -> NDArray[Any]:
    """Number of values other than 0 of `[T, N, *shape]` over the steps: `[N, *shape]`."""
    return _count((spikes != 0).view(np.uint8))


def _count(binary: NDArray[np.uint8]) -> NDArray[Any]:
    """Sum of zeros and ones over the first axis, in bytes as long as they cannot overflow (much faster)."""
    kind = np.uint8 if len(binary) <= np.iinfo(np.uint8).max else np.int64
    total: NDArray[Any] = np.add.reduce(binary, axis=0, dtype=kind)
    return total
