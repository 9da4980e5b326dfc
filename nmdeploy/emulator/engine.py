"""The vectorised engine: batches of samples, blocks of time steps, population by population.

Without cycles a population's spikes of a whole block depend only on earlier
populations, so its linear maps run once a block over all steps and samples; a
history of the last `delay` steps is carried from block to block. With cycles the
blocks are single steps, in the order of undelayed projections. Either way only the
neuron's own `step` goes through time.
"""

from __future__ import annotations

from dataclasses import dataclass
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmdeploy.emulator.inputs import Selection, Stimulus, spike_type
from nmdeploy.emulator.recorder import Recorder, Tally, count_events
from nmdeploy.emulator.result import Result
from nmdeploy.emulator.stages import Stage
from nmdeploy.emulator.timings import Timings
from nmdeploy.errors import EmulationOverflow, UsageError
from nmdeploy.network import Network, Population
from nmdeploy.neurons import NeuronModel, State
from nmdeploy.progress import Progress

Array = NDArray[Any]


@dataclass(frozen=True)
class Tiling:
    """How a run is cut up; the result does not depend on it.

    Attributes:
        batch: samples at a time.
        block: steps at a time; 1 for networks with cycles.
    """

    batch: int
    block: int


CACHE_BYTES = 1 << 19
"""Aim for the state of the largest population in one batch: about a core's second-level cache."""

BLOCK_BYTES = 1 << 26
"""Aim for the float copies of the largest population's spikes in one block."""

LONGEST_BLOCK = 16


def tile(network: Network, samples: int, batch: int | None = None) -> Tiling:
    """Batches whose neurons stay in cache (or as asked), and blocks of bounded memory.

    Raises:
        UsageError: for a batch below 1.
    """
    if batch is not None and batch < 1:
        raise UsageError("a batch has at least one sample", where="batch", found=batch)
    largest = max(population.size for population in network.populations)
    chosen = batch or max(1, CACHE_BYTES // (4 * largest))
    chosen = min(chosen, samples)
    if network.has_cycle:
        return Tiling(chosen, 1)
    return Tiling(chosen, max(1, min(LONGEST_BLOCK, BLOCK_BYTES // (4 * largest * chosen))))


def run_stages(
    network: Network,
    stages: tuple[Stage, ...],
    stimulus: Stimulus,
    selected: Selection,
    tiling: Tiling,
    *,
    potential_type: np.dtype[Any],
    origin: str,
    progress: Progress | None = None,
    timings: Timings | None = None,
) -> Result:
    """Run prepared populations over all samples and steps.

    Args:
        network: the network that `stages` were made from.
        stages: every population, in order of computation.
        stimulus: inputs, steps and samples.
        selected: what to keep.
        tiling: how the run is cut up.
        potential_type: type of recorded potentials.
        origin: what ran, for the result.
        progress: called after every batch.
        timings: gets the seconds and kernels of every population.

    Raises:
        EmulationOverflow: the earliest of the first batch that has one.
    """
    ends = stimulus.until is not None
    recorder = Recorder(network, selected, stimulus.samples, potential_type, ends=ends)
    for first in range(0, stimulus.samples, tiling.batch):
        samples = slice(first, min(first + tiling.batch, stimulus.samples))
        try:
            _Batch(network, stages, stimulus, samples, recorder, tiling.block, timings).run()
        except EmulationOverflow:
            tell_first_overflow(network, stages, stimulus, samples, recorder)
            raise
        if progress is not None:
            progress(samples.stop, stimulus.samples)
    return recorder.result(stimulus.steps, origin)


def tell_first_overflow(
    network: Network, stages: tuple[Stage, ...], stimulus: Stimulus, samples: slice, recorder: Recorder
) -> None:
    """Run a batch that overflows again, step by step.

    In blocks, one population meets its overflow before another can meet an earlier one.
    Step by step, the first in time comes first.

    Raises:
        EmulationOverflow: the earliest.
    """
    _Batch(network, _by_step(network, stages), stimulus, samples, recorder, 1).run()


def _by_step(network: Network, stages: tuple[Stage, ...]) -> tuple[Stage, ...]:
    """The stages in the order in which the reference visits them within a step."""
    names = [population.name for population in network.order() or ()]
    return tuple(sorted(stages, key=lambda stage: names.index(stage.population.name)))


class _History:
    """One population's spikes in a block, and in the steps before it that delays still reach."""

    def __init__(self, population: Population, reach: int, block: int, samples: int) -> None:
        self._reach = reach
        self._buffer = np.zeros((reach + block, samples, *population.shape), spike_type(population))

    def window(self, delay: int, length: int) -> Array:
        """The spikes that arrive after `delay` in the `length` steps of this block."""
        return self._buffer[self._reach - delay : self._reach - delay + length]

    def advance(self, length: int) -> None:
        """Make the `length` steps of this block the past."""
        self._buffer[: self._reach] = self._buffer[length : length + self._reach].copy()

    def under_way(self, delay: int) -> Array:
        """After `advance`: the spikes of the last `delay` steps, which have not arrived yet."""
        return self._buffer[self._reach - delay : self._reach]


class _Batch:
    """The run of one batch of samples."""

    def __init__(
        self,
        network: Network,
        stages: tuple[Stage, ...],
        stimulus: Stimulus,
        samples: slice,
        recorder: Recorder,
        block: int,
        timings: Timings | None = None,
    ) -> None:
        self.network, self.stages, self.stimulus = network, stages, stimulus
        self.samples, self.recorder, self.block = samples, recorder, block
        self.timings = timings
        self.given = stimulus.batch(samples)
        self.count = samples.stop - samples.start
        self.states: dict[str, State] = {}
        self.histories: dict[str, _History] = {}
        self.tallies: dict[str, Tally] = {}
        for stage in stages:
            population = stage.population
            reach = max((projection.delay for projection in network.out_of(population.name)), default=0)
            self.histories[population.name] = _History(population, reach, block, self.count)
            self.tallies[population.name] = Tally(population, self.count)
            if stage.neuron is not None:
                shape = (self.count, *population.shape)
                self.states[population.name] = stage.neuron.initial_state(shape, stage.state)

    def run(self) -> None:
        """All blocks, then the totals."""
        start = 0
        while start < self.stimulus.steps and not self._decided(start):
            length = self.stimulus.length(start, self.block)
            for stage in self.stages:
                began = perf_counter()
                self._run_block(stage, start, length)
                if self.timings is not None:
                    self.timings.add(stage.population.name, perf_counter() - began)
            for history in self.histories.values():
                history.advance(length)
            start += length
        self.recorder.end(self.samples, start)
        self._record_totals()

    def _decided(self, steps: int) -> bool:
        until = self.stimulus.until
        return until is not None and until.decided(steps, self.tallies[until.population].values)

    def _run_block(self, stage: Stage, start: int, length: int) -> None:
        name = stage.population.name
        spikes = self.histories[name].window(0, length)
        if stage.neuron is None:
            given = self.given[name][start : start + length]
            spikes[: len(given)] = given
            spikes[len(given) :] = 0
        else:
            self._step_through(name, stage.neuron, self._current(stage, start, length), spikes, start)
        self.tallies[name].add(spikes)
        self.recorder.block(name, self.samples, start, spikes)

    def _step_through(self, name: str, neuron: NeuronModel, current: Array, spikes: Array, start: int) -> None:
        state = self.states[name]
        for offset in range(len(spikes)):
            try:
                spikes[offset] = neuron.step(state, current[offset])
            except EmulationOverflow as overflow:
                raise overflow.at(name, start + offset, self.samples.start) from overflow
            self.recorder.potential(name, self.samples, start + offset, state)

    def _current(self, stage: Stage, start: int, length: int) -> Array:
        """Summed currents `[T, N, *shape]`, or `[T, 2, N, *shape]` with signs apart."""
        shape = (self.count, *stage.population.shape)
        signs = (2,) if stage.neuron is not None and stage.neuron.separate_signs else ()
        total = np.zeros((length, *signs, *shape), stage.state)
        for maps in stage.entering:
            source, delay = maps[0].projection.source, maps[0].projection.delay
            window = self.histories[source].window(delay, length)
            for index, each in enumerate(maps):
                current = each.current(window, start, self.samples.start)
                if self.timings is not None:
                    kernel = "silent" if current is None else f"numpy {each.compute}"
                    self.timings.add_kernels(stage.population.name, {kernel: length * self.count})
                if current is not None:
                    into = total[:, index] if signs else total
                    np.add(into, current, out=into)
        return total

    def _record_totals(self) -> None:
        for name, tally in self.tallies.items():
            self.recorder.totals(name, self.samples, tally.values)
        for index, projection in enumerate(self.network.projections):
            late = count_events(self.histories[projection.source].under_way(projection.delay))
            self.recorder.operations(index, self.samples, self.tallies[projection.source].events - late)
        for name in self.recorder.final_potentials:
            self.recorder.final_potentials[name][self.samples] = self.states[name]["v"]
