"""The engine on compiled kernels: the same integers as `reference.py`, many times faster.

Batches of samples run through blocks of steps. Consecutive populations that kernels
compute whole take one call a block, in which sample after sample goes through all of
them. Where a model has no scan its own `step` runs, on compiled currents where there are
any. Batches are independent, so that threads share them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from threading import local
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmdeploy.emulator import compiled
from nmdeploy.emulator.engine import Tiling, tell_first_overflow
from nmdeploy.emulator.inputs import Selection, Stimulus
from nmdeploy.emulator.layout import to_channels_first
from nmdeploy.emulator.plan import StagePlan
from nmdeploy.emulator.recorder import Recorder
from nmdeploy.emulator.timings import Timings
from nmdeploy.emulator.workspace import StageBuffers, Workspace
from nmdeploy.errors import EmulationOverflow
from nmdeploy.network import Network
from nmdeploy.neurons import State

Array = NDArray[Any]


@dataclass(frozen=True)
class Program:
    """What runs: the network, how each population is computed, what is kept.

    Attributes:
        network, plans: the network and its populations, in order.
        stimulus: inputs, steps and samples.
        selected: what to keep.
        recorder: keeps it.
        tiling: how the run is cut up.
        kernels: which kernels run.
        timings: gets seconds and kernels, or None.
    """

    network: Network
    plans: tuple[StagePlan, ...]
    stimulus: Stimulus
    selected: Selection
    recorder: Recorder
    tiling: Tiling
    kernels: compiled.Kernels
    timings: Timings | None = None

    @property
    def potentials(self) -> frozenset[str]:
        """Populations whose potentials are recorded."""
        return frozenset(name for name, _ in self.selected.potentials.values())


class BatchRun:
    """The run of one batch of samples in a workspace."""

    def __init__(self, program: Program, workspace: Workspace, samples: slice) -> None:
        self.program, self.workspace, self.samples = program, workspace, samples
        self.timings = program.timings
        self.states: dict[str, State] = {}
        self.given = program.stimulus.batch(samples)
        shape = (workspace.samples,)
        for buffers in workspace.stages:
            plan = buffers.plan
            if not plan.is_input and not plan.fused:
                state = plan.neuron.initial_state((*shape, *plan.population.shape), plan.stage.state)
                self.states[plan.population.name] = state

    def run(self) -> None:
        """All blocks, then the totals."""
        self.workspace.clear()
        groups = list(_groups(self.workspace.stages, together=self.timings is None))
        block = self.workspace.block
        start, stimulus = 0, self.program.stimulus
        while start < stimulus.steps and not self._decided(start):
            length = stimulus.length(start, block)
            for group in groups:
                began = perf_counter()
                self._compute(group, start, length)
                self._record(group, start, length)
                if self.timings is not None:
                    self.timings.add(group[0].plan.population.name, perf_counter() - began)
            for spikes in self.workspace.spikes.values():
                spikes.advance(length)
            start += length
        self.program.recorder.end(self.samples, start)
        self._totals()
        if self.timings is not None:
            self._count_kernels(self.timings)

    def _decided(self, steps: int) -> bool:
        until = self.program.stimulus.until
        return until is not None and until.decided(steps, self.workspace.spikes[until.population].counts)

    def _compute(self, group: list[StageBuffers], start: int, length: int) -> None:
        first = group[0].plan
        if first.is_input:
            self._take_input(first, start, length)
        elif first.fused:
            records = [record for buffers in group for record in buffers.records]
            compiled.call(self.program.kernels, records, self.workspace.samples, length)
        else:
            self._step_through(group[0], start, length)

    def _take_input(self, plan: StagePlan, start: int, length: int) -> None:
        name = plan.population.name
        spikes = self.workspace.spikes[name]
        given = self.given[name][start : start + length]
        if len(given):
            spikes.put(0, given)
        spikes.silence(len(given), length - len(given))

    def _step_through(self, buffers: StageBuffers, start: int, length: int) -> None:
        """The model's own `step`, step after step."""
        plan = buffers.plan
        name = plan.population.name
        currents = self._currents(buffers, start, length)
        state, spikes = self.states[name], self.workspace.spikes[name]
        for offset in range(length):
            try:
                fired = plan.neuron.step(state, currents[offset])
            except EmulationOverflow as overflow:
                raise overflow.at(name, start + offset, self.samples.start) from overflow
            spikes.put(offset, fired[None])
            self.program.recorder.potential(name, self.samples, start + offset, state)

    def _currents(self, buffers: StageBuffers, start: int, length: int) -> Array:
        """`[T, N, *shape]`, or `[T, 2, N, *shape]` with signs apart, in the state's type."""
        plan = buffers.plan
        if not plan.halves:
            return self._numpy_currents(plan, start, length)
        compiled.call(self.program.kernels, buffers.records, self.workspace.samples, length)
        found = to_channels_first(buffers.currents[:, :length], plan.population.shape)
        signs_inside = np.moveaxis(found, 0, 1)
        chosen = signs_inside if plan.neuron.separate_signs else signs_inside[:, 0]
        return np.ascontiguousarray(chosen, dtype=plan.stage.state)

    def _numpy_currents(self, plan: StagePlan, start: int, length: int) -> Array:
        stage, shape = plan.stage, (self.workspace.samples, *plan.population.shape)
        signs = (2,) if plan.neuron.separate_signs else ()
        total = np.zeros((length, *signs, *shape), stage.state)
        for maps in stage.entering:
            projection = maps[0].projection
            window = self.workspace.spikes[projection.source].window(projection.delay, length)
            for index, each in enumerate(maps):
                current = each.current(window, start, self.samples.start)
                if self.program.timings is not None:
                    kernel = "silent" if current is None else f"numpy {each.compute}"
                    self.program.timings.add_kernels(plan.population.name, {kernel: length * shape[0]})
                if current is not None:
                    into = total[:, index] if signs else total
                    np.add(into, current, out=into)
        return total

    def _record(self, group: list[StageBuffers], start: int, length: int) -> None:
        recorder = self.program.recorder
        for buffers in group:
            population = buffers.plan.population
            name = population.name
            if name in recorder.spikes:
                window = self.workspace.spikes[name].window(0, length)
                recorder.block(name, self.samples, start, window)
            if buffers.recorded is not None:
                potentials = to_channels_first(buffers.recorded[:length], population.shape)
                for offset in range(length):
                    recorder.potential(name, self.samples, start + offset, {"v": potentials[offset]})

    def _count_kernels(self, timings: Timings) -> None:
        for buffers in self.workspace.stages:
            for counted in buffers.counters.reshape(-1, len(compiled.COUNTERS)).tolist():
                kernels = {kernel: count for kernel, count in zip(compiled.COUNTERS, counted, strict=True) if count}
                timings.add_kernels(buffers.plan.population.name, kernels)

    def _totals(self) -> None:
        recorder, network = self.program.recorder, self.program.network
        for buffers in self.workspace.stages:
            population = buffers.plan.population
            name, spikes = population.name, self.workspace.spikes[population.name]
            recorder.totals(name, self.samples, spikes.counts[:, : population.size])
            if name in recorder.final_potentials:
                recorder.final_potentials[name][self.samples] = self._final(buffers)
        for index, projection in enumerate(network.projections):
            spikes = self.workspace.spikes[projection.source]
            arrived = spikes.events - spikes.under_way(projection.delay) if projection.delay else spikes.events
            recorder.operations(index, self.samples, arrived[:, : network[projection.source].size])

    def _final(self, buffers: StageBuffers) -> Array:
        if buffers.potential is None:
            return self.states[buffers.plan.population.name]["v"]
        return to_channels_first(buffers.potential, buffers.plan.population.shape)


def _groups(stages: list[StageBuffers], *, together: bool) -> Iterator[list[StageBuffers]]:
    """Inputs and interpreted populations one by one, compiled neighbours in one group (or one by one as well)."""
    inputs = [buffers for buffers in stages if buffers.plan.is_input]
    others = [buffers for buffers in stages if not buffers.plan.is_input]
    for buffers in inputs:
        yield [buffers]
    for fused, group in groupby(others, key=lambda buffers: buffers.plan.fused):
        if fused and together:
            yield list(group)
        else:
            yield from ([buffers] for buffers in group)


class Workspaces(local):
    """Each thread's own workspace, used again for its next batch."""

    def __init__(self, program: Program) -> None:
        self._program = program
        self._workspace: Workspace | None = None

    def run(self, samples: slice) -> None:
        """Run one batch."""
        program, count = self._program, samples.stop - samples.start
        if self._workspace is None or self._workspace.samples != count:
            made = Workspace(program.network, program.plans, count, program.tiling.block, program.potentials)
            self._workspace = made
        try:
            BatchRun(program, self._workspace, samples).run()
        except EmulationOverflow:
            stages = tuple(plan.stage for plan in program.plans)
            tell_first_overflow(program.network, stages, program.stimulus, samples, program.recorder)
            raise
