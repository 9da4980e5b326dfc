"""The buffers in which the compiled kernels run one batch of samples."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmdeploy.emulator import compiled
from nmdeploy.emulator.compiled import COUNTERS, SLACK, address, zeros
from nmdeploy.emulator.dense import CHUNK
from nmdeploy.emulator.layout import to_channels_first, to_channels_last
from nmdeploy.emulator.plan import MapPlan, StagePlan, fits_int32, largest_scratch
from nmdeploy.emulator.scans import WORD, words_of
from nmdeploy.network import Network, Population
from nmdeploy.synapses import Shape

Array = NDArray[Any]

LARGE = 1 << 12
"""Neurons whose potentials, in 32 bits, fill half of a core's first-level cache."""


class Spikes:
    """One population's spikes in a block of steps, and in the steps before it that delays still reach.

    Attributes:
        rows: uint64 words of bits, neurons channels last: `[reach + block, samples, words]`.
            Where spikes have other values than 0 and 1: int32 values (int64 where they
            need it, which kernels do not read), `[reach + block, samples, neurons]`.
        counts: spikes of each neuron so far; of values, their sum.
        events: for values, how many were not 0; else the same array as `counts`.
    """

    def __init__(self, population: Population, valued: bool, reach: int, block: int, samples: int) -> None:
        self.shape, self.valued, self.reach, self.samples = population.shape, valued, reach, samples
        self.words = words_of(population.size)
        self.stride = population.size if valued else self.words
        numbers = np.int32 if fits_int32(population) else np.int64
        self.rows: Array = np.zeros((reach + block, samples, self.stride), numbers if valued else np.uint64)
        width = population.size if valued else WORD * self.words
        self.counts: Array = np.zeros((samples, width), np.int64 if valued else np.uint32)
        self.events = np.zeros_like(self.counts) if valued else self.counts

    def clear(self) -> None:
        """Forget everything, for the next batch. The block's own rows are written before they are read."""
        for array in (self.rows[: self.reach], self.counts, self.events):
            array.fill(0)

    def row(self, delay: int) -> int:
        """The address of what arrives after `delay` in the block's first step."""
        return address(self.rows) + (self.reach - delay) * self.samples * self.stride * self.rows.itemsize

    def window(self, delay: int, length: int) -> Array:
        """The spikes `[length, samples, *shape]` that arrive after `delay` in this block."""
        return self._unpacked(self.rows[self.reach - delay : self.reach - delay + length])

    def under_way(self, delay: int) -> Array:
        """After `advance`: how many spikes of each neuron have not arrived yet, `[samples, neurons]`."""
        rows = self.rows[self.reach - delay : self.reach]
        if self.valued:
            values: Array = (rows != 0).sum(axis=0)
            return values
        late = np.zeros_like(self.counts)
        compiled.tally(address(rows), delay, self.samples, self.words, address(late))
        return late

    def put(self, offset: int, spikes: Array) -> None:
        """Take and count the spikes `[length, samples, *shape]` of the block's steps from `offset` on."""
        begin = self.reach + offset
        rows = self.rows[begin : begin + len(spikes)]
        if self.valued:
            rows[:] = to_channels_last(spikes, self.shape)
            self.counts += rows.sum(axis=0, dtype=np.int64)
            self.events += (rows != 0).sum(axis=0)
            return
        channels, positions = _channels_and_positions(self.shape)
        inner = spikes if spikes.dtype == np.uint8 and _rows_are_dense(spikes) else _bytes(spikes)
        where, stride = inner.__array_interface__["data"][0], inner.strides[0]
        compiled.pack(where, len(rows), self.samples, stride, channels, positions, address(rows), self.words)
        compiled.tally(address(rows), len(rows), self.samples, self.words, address(self.counts))

    def silence(self, offset: int, length: int) -> None:
        """No spikes in `length` steps of the block from `offset` on."""
        self.rows[self.reach + offset : self.reach + offset + length] = 0

    def advance(self, length: int) -> None:
        """Make the `length` steps of this block the past."""
        if self.reach:
            self.rows[: self.reach] = self.rows[length : length + self.reach].copy()

    def _unpacked(self, rows: Array) -> Array:
        if self.valued:
            return to_channels_first(rows, self.shape)
        channels, positions = _channels_and_positions(self.shape)
        spikes = np.empty((len(rows), self.samples, *self.shape), np.uint8)
        compiled.unpack(address(rows), len(rows) * self.samples, self.words, channels, positions, address(spikes))
        return spikes


def _rows_are_dense(spikes: Array) -> bool:
    """Whether each step's samples lie in one piece, row-major, so that only the step's stride matters."""
    return len(spikes) == 0 or spikes[0].flags.c_contiguous


def _bytes(spikes: Array) -> Array:
    return np.ascontiguousarray(spikes, dtype=np.uint8)


def _channels_and_positions(shape: Shape) -> tuple[int, int]:
    return (shape[0], 1) if len(shape) == 1 else (shape[0], shape[1] * shape[2])


class StageBuffers:
    """One population's buffers and its nm_stage records.

    Attributes:
        records: one record; two for currents apart by sign; none for inputs and what numpy computes.
        potential: `[samples, padded neurons]`, channels last; None where the model's own `step` runs.
        recorded: `[block, samples, padded neurons]` potentials, when asked for.
        currents: `[halves, block, samples, neurons]` for the model's own `step`.
        counters: `[halves, maps, 3]`: steps that each map was silent, by events, dense.
    """

    def __init__(self, plan: StagePlan, spikes: Mapping[str, Spikes], block: int, *, record: bool) -> None:
        own = spikes[plan.population.name]
        self.plan, samples = plan, own.samples
        padded = WORD * own.words
        self.potential: Array | None = None
        self.recorded: Array | None = None
        self._silent: Array | None = None
        self.currents = np.zeros((0,), np.int64)
        self.counters = np.zeros((len(plan.halves), max(map(len, plan.halves), default=0), len(COUNTERS)), np.int64)
        if plan.scan is not None:
            self.potential = zeros((samples, padded), plan.scan.dtype)
            if record:
                self.recorded = zeros((block, samples, padded), plan.scan.dtype)
            if plan.scan.refractory:
                self._silent = zeros((samples, padded), np.int32)
        else:
            self.currents = np.zeros((len(plan.halves), block, samples, plan.population.size), np.int64)
        self._kept: list[Any] = []
        self.records = [self._record(own, spikes, half, maps) for half, maps in enumerate(plan.halves)]
        self.clear()

    def clear(self) -> None:
        """The state before the first step."""
        self.counters.fill(0)
        if self.potential is not None and self.plan.scan is not None:
            self.potential[:] = self.plan.scan.initial
        if self._silent is not None:
            self._silent.fill(0)

    def _scratch(self, count: int, dtype: Any) -> int:
        array = zeros(count + SLACK, dtype)
        self._kept.append(array)
        return address(array)

    def _record(self, own: Spikes, spikes: Mapping[str, Spikes], half: int, maps: tuple[MapPlan, ...]) -> Any:
        plan, scan = self.plan, self.plan.scan
        arriving = [spikes[each.source.name] for each in maps]
        records = (compiled.Map * len(maps))(*(each.record for each in maps))
        sources = np.array([window.row(each.delay) for window, each in zip(arriving, maps, strict=True)], np.uint64)
        strides = np.array([window.stride for window in arriving], np.int64)
        self._kept += [records, sources, strides]
        padded, apart = WORD * own.words, any(each.record.inhibits for each in maps)
        chunk, largest = self._chunk(padded, maps, apart), largest_scratch(maps)
        return compiled.Stage(
            neurons=plan.population.size,
            words=own.words,
            width=plan.width,
            maps=len(maps),
            map=ctypes.addressof(records),
            scan=None if scan is None else ctypes.addressof(scan.record),
            sources=address(sources),
            strides=address(strides),
            spikes=own.row(0),
            potential=None if self.potential is None else address(self.potential),
            silent=None if self._silent is None else address(self._silent),
            recorded=None if self.recorded is None else address(self.recorded),
            tally=address(own.counts),
            exported=None if scan is not None else address(self.currents[half]),
            chunk=chunk,
            pitch=padded + SLACK,
            current=self._scratch(chunk * (padded + SLACK), f"int{plan.width}"),
            inhibition=self._scratch(padded, f"int{plan.width}") if apart else None,
            sums=self._scratch(padded, np.int64) if any(each.record.scaled for each in maps) else None,
            events=self._scratch(largest.events, np.int32),
            listed=self._scratch(largest.listed, np.int64),
            census=self._scratch(largest.census, np.int32),
            plane=self._scratch(largest.plane, np.uint8),
            bytes=self._scratch(largest.bytes, np.uint8),
            counters=address(self.counters[half]),
        )

    def _chunk(self, neurons: int, maps: tuple[MapPlan, ...], apart: bool) -> int:
        """Steps that are computed at once: more than one where that pays and the kernels for it can."""
        plan, scan = self.plan, self.plan.scan
        if scan is None or plan.width > 16 or scan.dtype != np.int32:
            return 1
        if apart or self._silent is not None or self.recorded is not None:
            return 1
        return CHUNK if neurons >= LARGE or any(each.record.timed for each in maps) else 1


class Workspace:
    """Every buffer of one batch; used again for the next batch of as many samples.

    Attributes:
        spikes: by population.
        stages: in order of computation.
    """

    def __init__(
        self, network: Network, plans: tuple[StagePlan, ...], samples: int, block: int, recorded: frozenset[str]
    ) -> None:
        self.samples, self.block = samples, block
        self.spikes = {plan.population.name: _spikes(network, plan, block, samples) for plan in plans}
        self.stages = [
            StageBuffers(plan, self.spikes, block, record=plan.population.name in recorded) for plan in plans
        ]

    def clear(self) -> None:
        """The state before the first step."""
        for spikes in self.spikes.values():
            spikes.clear()
        for stage in self.stages:
            stage.clear()


def _spikes(network: Network, plan: StagePlan, block: int, samples: int) -> Spikes:
    population = plan.population
    reach = max((projection.delay for projection in network.out_of(population.name)), default=0)
    return Spikes(population, plan.valued, reach, block, samples)
