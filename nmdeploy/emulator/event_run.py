"""Event-driven networks on rasters: samples, steps and recording around `EventReference` or the compiled engine."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from threading import local
from typing import Any, NoReturn, Protocol

import numpy as np
from numpy.typing import NDArray

from nmdeploy.emulator import compiled
from nmdeploy.emulator.batches import run_batches
from nmdeploy.emulator.engines import check_engine
from nmdeploy.emulator.event_kernel import EventKernel, EventOverflow
from nmdeploy.emulator.event_order import InputEvents, raster_inputs
from nmdeploy.emulator.event_reference import EventReference
from nmdeploy.emulator.event_tables import event_tables
from nmdeploy.emulator.inputs import Selection, Stimulus
from nmdeploy.emulator.recorder import Recorder
from nmdeploy.emulator.result import Result
from nmdeploy.emulator.timings import Timings
from nmdeploy.errors import UsageError
from nmdeploy.network import Network

Array = NDArray[Any]
BLOCK = 32
"""Steps at a time."""
BATCH = 16
"""Samples whose inputs are made at a time."""


class Machine(Protocol):
    """What runs one sample after the other: `EventReference`, which says what its methods mean, or `EventKernel`."""

    def begin(self) -> None: ...
    def run(self, given: Mapping[str, InputEvents], steps: int, start: int = 0, sample: int = 0) -> None: ...
    def counts(self, name: str) -> Array: ...
    def potentials(self, name: str) -> Array: ...
    def total(self, name: str) -> Array: ...
    def potential(self, name: str) -> Array: ...
    def sent(self, name: str) -> tuple[Array, Array]: ...


@dataclass(frozen=True)
class EventRun:
    """A checked run of an event-driven network.

    Attributes:
        network: as `check_event_network` accepts it.
        stimulus: inputs, steps and samples.
        selected: what to keep.
        engine: `fast`, `compiled`, `numpy` or `reference`; the last two are the same here.
        timings: gets the seconds of every population, or None.
    """

    network: Network
    stimulus: Stimulus
    selected: Selection
    engine: str = "fast"
    timings: Timings | None = None


def run_events(run: EventRun, batch: int | None, threads: int, progress: Callable[[int, int], None] | None) -> Result:
    """Run all samples.

    Args:
        run: what to run.
        batch: samples at a time; None for 16.
        threads: batches at a time.
        progress: called with (samples done, samples in all) after every batch.

    Raises:
        UsageError: for a batch below 1, state variables other than v, or `compiled` where a
            projection is too large for it.
        EmulationOverflow: the earliest of the first sample that has one.
    """
    if batch is not None and batch < 1:
        raise UsageError("a batch has at least one sample", where="batch", found=batch)
    network, stimulus, selected = run.network, run.stimulus, run.selected
    for key, (_, variable) in selected.potentials.items():
        if variable != "v":
            raise UsageError("event by event, v is the only state variable", where="Recording", found=key)
    recorder = Recorder(network, selected, stimulus.samples, np.dtype(np.int64), ends=stimulus.until is not None)
    make, origin = machines(network, run.engine, selected=selected, timings=run.timings)
    workers = _Workers(partial(_Worker, run, recorder, make))

    def tell(done: int) -> None:
        if progress is not None:
            progress(done, stimulus.samples)

    run_batches(stimulus.samples, batch or min(BATCH, -(-stimulus.samples // threads)), threads, workers.run, tell)
    return recorder.result(stimulus.steps, origin)


def machines(
    network: Network,
    engine: str,
    *,
    block: int = BLOCK,
    selected: Selection | None = None,
    counts_fit: bool = True,
    timings: Timings | None = None,
) -> tuple[Callable[[], Machine], str]:
    """What makes machines of the asked engine, and its origin: compiled where that can be, or the reference.

    Args:
        network: as `check_event_network` accepts it.
        engine: `fast`, `compiled`, `numpy` or `reference`; the last two are the same here.
        block: most steps of one `run`.
        selected: what is recorded at every step; None for nothing.
        counts_fit, timings: as for `EventReference`.

    Raises:
        UsageError: for `compiled` where a projection is too large for it, or nothing was compiled.
    """
    check_engine(engine)
    kernels = compiled.sets()
    tables = event_tables(network) if kernels and engine in ("fast", "compiled") else None
    if tables is None:
        if engine == "compiled":
            hint = "use engine='reference'"
            raise UsageError("a projection is too large for the compiled event engine", where=network.name, hint=hint)
        return partial(EventReference, network, counts_fit=counts_fit, timings=timings), EventReference.origin
    counted = frozenset(selected.spikes if selected else ())
    recorded = frozenset(name for name, _ in selected.potentials.values()) if selected else frozenset()
    make = partial(
        EventKernel,
        tables,
        kernels[0],
        block,
        counted=counted,
        recorded=recorded,
        counts_fit=counts_fit,
        timings=timings,
    )
    return make, EventKernel.origin


class _Workers(local):
    """Each thread's own machine, used again for its next batch."""

    def __init__(self, make: Callable[[], _Worker]) -> None:
        self._make = make
        self._worker: _Worker | None = None

    def run(self, samples: slice) -> None:
        if self._worker is None:
            self._worker = self._make()
        self._worker.run(samples)


class _Worker:
    """A machine, and where its results go."""

    def __init__(self, run: EventRun, recorder: Recorder, make: Callable[[], Machine]) -> None:
        self.network, self.stimulus, self.selected = run.network, run.stimulus, run.selected
        self.recorder, self.machine = recorder, make()

    def run(self, samples: slice) -> None:
        """All samples of a batch."""
        given = self.stimulus.batch(samples)
        for place in range(samples.stop - samples.start):
            self._run_sample({name: spikes[:, place] for name, spikes in given.items()}, samples.start + place)

    def _run_sample(self, rasters: dict[str, Array], sample: int) -> None:
        steps = self.stimulus.steps
        self.machine.begin()
        start = 0
        while start < steps and not self._decided(rasters, start):
            length = self.stimulus.length(start, BLOCK)
            try:
                self.machine.run(raster_inputs(self.network, rasters, start, length), length, start, sample)
            except EventOverflow:
                tell_overflow(self.network, raster_inputs(self.network, rasters, 0, steps), steps, sample)
            self._record(rasters, sample, start, length)
            start += length
        here = slice(sample, sample + 1)
        self.recorder.end(here, start)
        for population in self.network.populations:
            total = self._total(rasters, population.name, start)
            self.recorder.totals(population.name, here, total[None])
            if population.name in self.recorder.final_potentials:
                self.recorder.final_potentials[population.name][here] = self.machine.potential(population.name)[None]
        for index, projection in enumerate(self.network.projections):
            self.recorder.operations(index, here, self._total(rasters, projection.source, start)[None])

    def _decided(self, rasters: dict[str, Array], steps: int) -> bool:
        until = self.stimulus.until
        return until is not None and until.decided(steps, self._total(rasters, until.population, steps))

    def _total(self, rasters: dict[str, Array], name: str, steps: int) -> Array:
        """Events of each neuron in the first `steps` steps, int64 `[*shape]`."""
        if name in rasters:
            total: Array = rasters[name][:steps].sum(axis=0, dtype=np.int64)
            return total
        return self.machine.total(name)

    def _record(self, rasters: dict[str, Array], sample: int, start: int, length: int) -> None:
        here = slice(sample, sample + 1)
        for name in self.selected.spikes:
            counts = rasters[name][start : start + length] if name in rasters else self.machine.counts(name)
            self.recorder.block(name, here, start, counts[:, None])
        for name in {name for name, _ in self.selected.potentials.values()}:
            for step, potential in enumerate(self.machine.potentials(name), start):
                self.recorder.potential(name, here, step, {"v": potential[None]})


def tell_overflow(
    network: Network, given: Mapping[str, InputEvents], steps: int, sample: int = 0, *, counts_fit: bool = True
) -> NoReturn:
    """Raise the overflow that the compiled engine met in a sample, with its place.

    Raises:
        EmulationOverflow: always; an AssertionError would be a difference between the engines.
    """
    EventReference(network, counts_fit=counts_fit).run(given, steps, 0, sample)
    raise AssertionError("the compiled event engine found an overflow that the reference does not have")
