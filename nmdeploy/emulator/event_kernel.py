"""The compiled event engine: its buffers, and the calls."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping
from time import perf_counter
from typing import Any
from weakref import finalize

import numpy as np
from numpy.typing import NDArray

from nmdeploy.emulator import compiled
from nmdeploy.emulator.compiled import NO_MEMORY, OVERFLOW, SLACK, address
from nmdeploy.emulator.event_order import InputEvents
from nmdeploy.emulator.event_tables import EventTables
from nmdeploy.emulator.layout import to_channels_first
from nmdeploy.emulator.timings import Timings

Array = NDArray[Any]
EVENT = np.dtype([("neuron", np.int32), ("cause", np.int32)])
"""nm_event of kernels/events.h."""
UNLIMITED = (1 << 63) - 1


class EventOverflow(Exception):
    """An integer left its format, or a neuron sent more spikes than it may; the reference tells which."""


class EventKernel:
    """The compiled event engine with the buffers of one sample; see `EventReference` for what its methods mean.

    Args:
        tables: as from `event_tables`.
        kernels: which kernels run.
        block: most steps of one `run`.
        counted, recorded: populations of which `counts` and `potentials` are asked.
        counts_fit, timings: as for `EventReference`.
    """

    origin = "emulated (compiled event engine)"

    def __init__(
        self,
        tables: tuple[EventTables, ...],
        kernels: compiled.Kernels,
        block: int,
        *,
        counted: frozenset[str],
        recorded: frozenset[str],
        counts_fit: bool = True,
        timings: Timings | None = None,
    ) -> None:
        self._kernels, self._timings, self._length = kernels, timings, 0
        self._tables = {each.population.name: each for each in tables}
        self._numbers = {name: number for number, name in enumerate(self._tables)}
        # Of each row-major number, the number channels last.
        self._places = {
            name: np.argsort(each.neurons) for name, each in self._tables.items() if each.population.is_input
        }
        self._records = (compiled.EventPopulation * len(tables))()
        self._kept: list[Any] = []
        self._buffers: dict[str, _Buffers] = {}
        for number, (name, each) in enumerate(self._tables.items()):
            self._records[number], kept = each.record()
            self._kept += kept
            if not each.population.is_input:
                steps = (block if name in counted else 0, block if name in recorded else 0)
                self._buffers[name] = _Buffers(each, *steps)
                self._buffers[name].give_to(
                    self._records[number], each.population.spike_range[1] if counts_fit else UNLIMITED
                )
        finalize(self, _forget, self._records)
        self.begin()

    def begin(self) -> None:
        """Start a fresh sample."""
        for buffers in self._buffers.values():
            buffers.begin()

    def run(self, given: Mapping[str, InputEvents], steps: int, start: int = 0, sample: int = 0) -> None:
        """Run the next `steps` steps.

        Raises:
            EventOverflow: without a place.
            MemoryError: when queues cannot grow.
        """
        self._length = steps
        kept = [self._give(name, events) for name, events in given.items()]
        if self._timings is None:
            self._call(0, len(self._records), 0, steps)
        else:
            for step in range(steps):
                for number, name in enumerate(self._tables):
                    began = perf_counter()
                    self._call(number, number + 1, step, step + 1)
                    self._tell(self._timings, name, perf_counter() - began)
        del kept  # the kernels have read it

    def _give(self, name: str, events: InputEvents) -> list[Array]:
        """Hand over an input's events; what is returned must live as long as they are read."""
        number = self._numbers[name]
        given = np.empty(max(1, len(events.neurons)), EVENT)
        given["neuron"][: len(events.neurons)] = self._places[name][events.neurons]
        given["cause"][: len(events.neurons)] = events.numbers
        first = np.ascontiguousarray(events.first, np.int64)
        self._records[number].given, self._records[number].given_first = address(given), address(first)
        return [given, first]

    def _call(self, first: int, end: int, begin: int, stop: int) -> None:
        where = ctypes.addressof(self._records)
        outcome = compiled.events(self._kernels.address, where, first, end, begin, stop)
        if outcome == OVERFLOW:
            raise EventOverflow
        if outcome == NO_MEMORY:
            raise MemoryError("no memory for the events of one step")

    def _tell(self, timings: Timings, name: str, seconds: float) -> None:
        if name in self._buffers:
            timings.add(name, seconds)
            timings.add_kernels(name, {"event": 1})

    def counts(self, name: str) -> Array:
        """As `EventReference.counts`."""
        return self._shaped(name, self._buffers[name].spikes[: self._length])

    def potentials(self, name: str) -> Array:
        """As `EventReference.potentials`."""
        return self._shaped(name, self._buffers[name].recorded[: self._length])

    def total(self, name: str) -> Array:
        """As `EventReference.total`."""
        return self._shaped(name, self._buffers[name].totals)

    def potential(self, name: str) -> Array:
        """As `EventReference.potential`."""
        return self._shaped(name, self._buffers[name].potential)

    def sent(self, name: str) -> tuple[Array, Array]:
        """As `EventReference.sent`."""
        record = self._records[self._numbers[name]]
        if not record.count:
            return np.zeros(0, np.int64), np.zeros(0, np.int64)
        held = (ctypes.c_byte * (EVENT.itemsize * record.count)).from_address(record.events)
        events = np.frombuffer(held, EVENT)
        return self._tables[name].neurons[events["neuron"]], events["cause"].astype(np.int64)

    def _shaped(self, name: str, values: Array) -> Array:
        return to_channels_first(values, self._tables[name].population.shape)


class _Buffers:
    """One population's buffers, for one sample.

    Attributes:
        potential: `[neurons]`, as all of these channels last.
        totals: int64 `[neurons]`, events so far.
        spikes: int32 `[counted, neurons]`.
        recorded: `[recorded, neurons]`, potentials.
    """

    def __init__(self, tables: EventTables, counted: int, recorded: int) -> None:
        size, kind = tables.population.size, tables.initial.dtype
        self._initial = tables.initial
        self._padded = np.zeros(size + SLACK, kind)
        self.potential = self._padded[:size]
        self.totals = np.zeros(size, np.int64)
        self.spikes = np.zeros((counted, size), np.int32)
        self.recorded = np.zeros((recorded, size), kind)
        self._fired, self._counts = np.zeros(size, np.int32), np.zeros(size, np.int32)
        self._heads = np.zeros(max(1, len(tables.maps)), np.int64)

    def begin(self) -> None:
        """The state before the first event."""
        self.potential[:] = self._initial
        self.totals.fill(0)

    def give_to(self, record: Any, largest: int) -> None:
        """Let a record point to them."""
        record.potential, record.totals = address(self._padded), address(self.totals)
        record.fired, record.counts, record.heads = address(self._fired), address(self._counts), address(self._heads)
        record.spikes = address(self.spikes) if len(self.spikes) else None
        record.recorded = address(self.recorded) if len(self.recorded) else None
        record.largest = largest


def _forget(records: Any) -> None:
    compiled.forget_events(ctypes.addressof(records), len(records))
