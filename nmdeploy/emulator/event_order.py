"""Input events in order: from counts in a raster, or from a stream of single events."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmdeploy.errors import DataError, UsageError
from nmdeploy.network import Network, Population
from nmdeploy.synapses import Shape

Array = NDArray[Any]
FIELDS = ("x", "y", "p")
LARGEST_NUMBER = (1 << 31) - 1


@dataclass(frozen=True, eq=False)
class InputEvents:
    """The events that one population receives from outside, in order.

    Attributes:
        neurons: row-major numbers, int64.
        numbers: the number of each event within its step, over all inputs, int64, ascending.
        first: `[steps + 1]`, where the events of each step begin.
    """

    neurons: NDArray[np.int64]
    numbers: NDArray[np.int64]
    first: NDArray[np.int64]

    def only(self, step: int) -> InputEvents:
        """The events of one step."""
        neurons, numbers = self.step(step)
        return InputEvents(neurons, numbers, np.array([0, len(neurons)]))

    def step(self, step: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Neurons and numbers of one step."""
        piece = slice(self.first[step], self.first[step + 1])
        return self.neurons[piece], self.numbers[piece]


def events_in_order(raster: Array) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The events of a raster one by one.

    By time step; within a step the neurons of the highest count first, all neurons of that
    count in row-major order, and that sweep as often as the count says; then those of the
    next lower count. That is the order of `ChipFactory.raster_to_events` in sinabs 3.1.3
    (sinabs/backend/dynapcnn/chip_factory.py).

    Args:
        raster: how many events each neuron gets in each step, integers from 0, `[T, *shape]`.

    Returns:
        Step and neuron (row-major number) of each event.
    """
    flat = raster.reshape(len(raster), math.prod(raster.shape[1:]))
    steps, neurons = np.nonzero(flat)
    counts = flat[steps, neurons].astype(np.int64)
    if counts.max(initial=0) <= 1:
        return steps, neurons
    which = np.repeat(np.arange(len(counts)), counts)
    sweep = np.arange(len(which)) - np.repeat(np.cumsum(counts) - counts, counts)
    # `which` ascends by step and neuron already.
    order = which[np.lexsort((which, sweep, -counts[which], steps[which]))]
    return steps[order], neurons[order]


def raster_inputs(network: Network, rasters: dict[str, Array], start: int, steps: int) -> dict[str, InputEvents]:
    """The events of `steps` steps of one sample from `start` on; within a step the inputs come in the network's order.

    Args:
        network: its inputs.
        rasters: by input population, `[T, *shape]`; silent after T.
        start, steps: the piece of the run.
    """
    found: dict[str, InputEvents] = {}
    before = np.zeros(steps, np.int64)
    for population in network.inputs:
        when, neurons = events_in_order(rasters[population.name][start : start + steps])
        sent = np.bincount(when, minlength=steps)
        first = np.concatenate(([0], np.cumsum(sent)))
        numbers = np.arange(len(when)) - first[when] + before[when]
        found[population.name] = InputEvents(neurons, numbers, first)
        before += sent
    return found


def stream_inputs(network: Network, events: Array, tick: int | None) -> InputEvents:
    """A stream of events of the network's one input, in the order given.

    Args:
        network: it has one input.
        events: structured array with integer fields `x`, `y`, `p` and, with `tick`, `t`.
        tick: time between two ticks, in the unit of `t`, which then never falls; None for one step and no ticks.

    Raises:
        UsageError: for several inputs, or a tick below 1.
        DataError: for other arrays, events outside the input, or time that runs backwards.
    """
    if len(network.inputs) != 1:
        raise UsageError("a stream of events is for one input", found=len(network.inputs), limit=1)
    population = network.inputs[0]
    neurons = _neurons(population, events)
    steps = np.zeros(len(events), np.int64) if tick is None else _steps(population, events, tick)
    first = np.searchsorted(steps, np.arange((int(steps[-1]) if len(steps) else 0) + 2))
    return InputEvents(neurons, np.arange(len(neurons)), first)


def _steps(population: Population, events: Array, tick: int) -> NDArray[np.int64]:
    """The number of ticks before each event."""
    if tick < 1:
        raise UsageError("ticks of the slow clock are at least 1 apart", where="tick", found=tick)
    times = _field(population, events, "t")
    if np.any(np.diff(times) < 0) or times.min(initial=0) < 0:
        raise DataError("times of events start at 0 or later and never fall", where=population.name)
    steps: NDArray[np.int64] = times // tick
    return steps


def _neurons(population: Population, events: Array) -> NDArray[np.int64]:
    if not isinstance(events, np.ndarray) or events.ndim != 1 or not events.dtype.names:
        raise DataError("events are a structured array with the fields x, y, p", where=population.name)
    if len(events) > LARGEST_NUMBER:
        raise DataError("too many events for one stream", found=len(events), limit=LARGEST_NUMBER)
    x, y, p = (_field(population, events, name) for name in FIELDS)
    channels, height, width = _map(population.shape)
    for name, values, size in (("x", x, width), ("y", y, height), ("p", p, channels)):
        for extreme in (int(values.min(initial=0)), int(values.max(initial=0))):
            if not 0 <= extreme < size:
                where = f"{population.name}, field {name}"
                raise DataError("an event lies outside the input", where=where, found=extreme, limit=f"0..{size - 1}")
    return (p * height + y) * width + x


def _field(population: Population, events: Array, name: str) -> NDArray[np.int64]:
    if name not in (events.dtype.names or ()) or events[name].dtype.kind not in "iub":
        raise DataError("events have no such field of integers", where=population.name, found=name)
    return events[name].astype(np.int64)


def _map(shape: Shape) -> tuple[int, int, int]:
    """`(N,)` as N channels of one pixel."""
    return (shape[0], 1, 1) if len(shape) == 1 else (shape[0], shape[1], shape[2])


def coordinates(shape: Shape, neurons: NDArray[np.int64]) -> tuple[Array, Array, Array]:
    """x, y and p of row-major numbers."""
    _, height, width = _map(shape)
    return neurons % width, neurons // width % height, neurons // (width * height)
