"""Samples one behind the other without writing potentials: layers are cleared at a floor, restored, and pipelined.

In the steps after the last drive of a layer an inhibition takes every neuron to the floor of
its potential, whatever it was; then clocks lift each to where it starts (`ExactRules.renewal`).
The layer is then ready for the next sample, while layers behind still work on this one.
Outputs whose potentials reach far are not cleared: the logits of a sample are what its window
adds to them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmdeploy.coding import Streamed
from nmdeploy.convert.exact.quantized import QuantizedAnn
from nmdeploy.convert.exact.renewal import CLEAR, Renewal
from nmdeploy.convert.exact.rules import ExactRules
from nmdeploy.convert.exact.spiking import ExactNetwork, from_clock, windows
from nmdeploy.emulator.result import Result
from nmdeploy.errors import UsageError
from nmdeploy.linear_maps import Array
from nmdeploy.network import Network, Population
from nmdeploy.schedule import Schedule
from quantize import MantissaExponentFormat


@dataclass(frozen=True, eq=False)
class StreamedNetwork:
    """An exact network that takes sample after sample in one run.

    Attributes:
        network: integer, with clock populations that clear and restore beside gates and drives.
        encoder: makes the spikes of all its inputs, of one sample (`inputs`) or of many in one run (`stream`).
        exact: of a single sample.
    """

    network: Network
    encoder: Streamed
    exact: ExactNetwork

    @property
    def period(self) -> int:
        """Steps from one sample to the next."""
        return self.encoder.period

    def inputs(self, samples: NDArray[Any]) -> Mapping[str, Array]:
        """The spikes of all inputs, `[steps, 1, *shape]`, for samples `[N, *shape]` one behind the other."""
        return self.encoder.stream([each.name for each in self.network.inputs], samples)

    def counts(self, network: Network, result: Result, samples: int) -> dict[str, Array]:
        """Counts of every sample, `[samples, *shape]`, by hidden population.

        Args:
            network: what ran: this one, or what a chip makes of it.
            result: its run, recorded with `spikes=("*",)`.
            samples: how many.
        """
        hidden = (each.name for each in self.exact.network.populations if not each.is_input)
        return {name: _counts(network[name], result, samples) for name in hidden if name not in self.network.outputs}

    def logits(self, network: Network, result: Result, samples: int) -> dict[str, Array]:
        """W n + B of every sample, `[samples, *shape]`, by output.

        Args:
            network: what ran.
            result: its run, recorded with potentials of the outputs at every step.
            samples: how many.
        """
        found = {}
        for name in self.network.outputs:
            ratio = np.asarray(self.network[name].potential_scale) / network[name].potential_scale
            # Once cleared, potentials of Loihi stand less than a unit below the quantized network's.
            found[name] = -(-streamed_potentials(network, name, result, samples) // np.rint(ratio).astype(np.int64))
        return found


def streamed_potentials(network: Network, name: str, result: Result, samples: int) -> Array:
    """What every sample of a stream left in an output, int64 `[samples, *shape]`, in its integers from 0 on.

    Args:
        network: what ran: a streamed network, or what a chip makes of it.
        name: of the output.
        result: its run, recorded with potentials of the output at every step.
        samples: how many.
    """
    population, entering = network[name], network.into(name)
    cleared = [each for each in entering if each.source == clear_of(name)]
    if cleared:
        last = _schedule(network[cleared[0].source]).spans[0][0] + cleared[0].delay - 1
    else:
        last = max(_schedule(network[each.source]).end + each.delay for each in entering) - 1
    read = result.potentials[name][last :: _period(population), 0][:samples].astype(np.int64)
    read -= np.asarray(population.potential_offset, dtype=np.int64)
    if cleared:
        return read
    neuron: Any = population.neuron
    begun = np.broadcast_to(np.asarray(neuron.v_init - population.potential_offset, dtype=np.int64), read[:1].shape)
    added: Array = np.diff(read, axis=0, prepend=begun) + begun
    return added


def _counts(population: Population, result: Result, samples: int) -> Array:
    ((start, length),) = _schedule(population).spans
    begins = range(start, start + samples * _period(population), _period(population))
    spikes = result.spikes[population.name][:, 0]
    return np.stack([spikes[begin : begin + length].sum(axis=0, dtype=np.int64) for begin in begins])


def _schedule(population: Population) -> Schedule:
    if population.schedule is None:
        hint = "stream it (nmdeploy.convert.exact.stream), and lower what that gives"
        raise UsageError("not a population of a streamed network", where=population.name, hint=hint)
    return population.schedule


def _period(population: Population) -> int:
    period = _schedule(population).period
    if period is None:
        raise UsageError("the network takes one sample in a run", where=population.name, hint="stream it")
    return period


def stream(exact: ExactNetwork) -> StreamedNetwork:
    """An exact network for sample after sample.

    The period is the least in which every layer is ready again when the next sample arrives: for
    a chain of layers T + L and the steps of the longest `Renewal`, longer where a shortcut makes
    a layer wait.

    Raises:
        UsageError: for a chip on which potentials cannot be cleared.
    """
    rules = exact.rules
    if not isinstance(rules, ExactRules):
        hint = "run samples one by one: potentials are written anew"
        raise UsageError("samples cannot follow each other in one run", where=exact.network.name, hint=hint)
    renewals = {
        each.name: rules.renewal(exact.network[each.name])
        for each in exact.ann.network.populations
        if not each.is_input
    }
    begun, done = _working(exact.ann)
    ready = {name: done[name] + (0 if renewal is None else renewal.steps) for name, renewal in renewals.items()}
    period = max(ready[name] - begun[name] for name in ready)
    clocks = [each for name, renewal in renewals.items() if renewal for each in _clocks(name, renewal, done[name])]
    network = _network(exact, rules.control, renewals, clocks, period)
    return StreamedNetwork(network, _encoder(exact, clocks, period), exact)


def _network(
    exact: ExactNetwork,
    control: MantissaExponentFormat,
    renewals: Mapping[str, Renewal | None],
    clocks: Sequence[_Clock],
    period: int,
) -> Network:
    populations = [_renewed(each, renewals.get(each.name)) for each in exact.network.populations]
    populations += [Population(each.name, each.train.shape[1:], schedule=each.schedule) for each in clocks]
    projections = [from_clock(each.name, exact.network[each.target], each.weights, control) for each in clocks]
    return replace(
        exact.network,
        populations=tuple(_again(each, period) for each in populations),
        projections=(*exact.network.projections, *projections),
    )


def _encoder(exact: ExactNetwork, clocks: Sequence[_Clock], period: int) -> Streamed:
    given, steps = exact.encoder, exact.steps
    trains = {each.name: each.spikes(steps) for each in clocks}
    within = {**given.clocks, **{name: train[:steps] for name, train in trains.items()}}
    tail = {name: train[steps:] for name, train in trains.items() if len(train) > steps}
    return Streamed(given.encoder, given.input, given.input_steps, within, period, tail)


def clear_of(name: str) -> str:
    """The input population that clears a population."""
    return f"{name}.{CLEAR}"


def _working(ann: QuantizedAnn) -> tuple[dict[str, int], dict[str, int]]:
    """The step in which the first spikes of a sample reach each population, and that after it has been read."""
    starts, ends = windows(ann)
    begins = {**starts, ann.network.inputs[0].name: 0}
    begun, done = {}, {}
    for population in ann.network.populations:
        if not population.is_input:
            sources = [each.source for each in ann.network.into(population.name)]
            begun[population.name] = min(begins[name] for name in sources)
            done[population.name] = ends.get(population.name, max(ends[name] for name in sources))
    return begun, done


@dataclass(frozen=True, eq=False)
class _Clock:
    """A clock population: its name, what it acts on, its weights, and its spikes from step `begin` on."""

    name: str
    target: str
    weights: Array
    begin: int
    train: Array

    @property
    def schedule(self) -> Schedule:
        return Schedule(((self.begin, len(self.train)),))

    def spikes(self, steps: int) -> Array:
        """Its spikes for one sample from step 0 on, of at least `steps` steps."""
        end = self.begin + len(self.train)
        whole = np.zeros((max(steps, end), self.train.shape[1]), np.uint8)
        whole[self.begin : end] = self.train
        return whole


def _clocks(name: str, renewal: Renewal, done: int) -> Iterator[_Clock]:
    for after, pulses in renewal.pulses():
        yield _Clock(f"{name}.{pulses.role}", name, pulses.weights, done + after, pulses.train)


def _renewed(population: Population, renewal: Renewal | None) -> Population:
    return population if renewal is None else replace(population, neuron=renewal.neuron)


def _again(population: Population, period: int) -> Population:
    return replace(population, schedule=replace(_schedule(population), period=period))
