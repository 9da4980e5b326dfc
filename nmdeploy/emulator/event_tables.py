"""An event-driven network as the tables of the compiled event engine (kernels/events.h)."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmdeploy.emulator import compiled
from nmdeploy.emulator.compiled import RAISE, SATURATE, WRAP, address, padded
from nmdeploy.emulator.event_network import WIDE, firing_order, initial_potential, rule_of, ticks
from nmdeploy.emulator.event_paths import LOST, Path
from nmdeploy.emulator.memo import Memo
from nmdeploy.emulator.windows import Windows, channels_last, windows_of
from nmdeploy.network import Network, Population, Projection
from nmdeploy.neurons import EventRule
from nmdeploy.synapses import Conv2d, Dense, Shape
from quantize import IntegerFormat, Overflow

Array = NDArray[Any]
LARGEST_UNROLLED = 1 << 26
"""Synapses of the largest projection that is unrolled into rows."""
LARGEST_TABLE = (1 << 31) - 1
"""Weights of the largest projection: kernels count them in 32 bits."""
INT16 = np.iinfo(np.int16)
NEVER, LOWEST = (1 << 62) - 1, -(1 << 62)
"""A potential that none is above, and one that none is below."""
FORMATS = {Overflow.WRAP: WRAP, Overflow.SATURATE: SATURATE, Overflow.RAISE: RAISE}


@dataclass(frozen=True, eq=False)
class EventMapTables:
    """One projection.

    Attributes:
        source: number of the population it comes from.
        unrolled: whether `arrays` hold rows of targets instead of windows.
        arrays: fields of nm_event_map by name; weights int64, to be brought to the potential's type.
    """

    source: int
    unrolled: bool
    arrays: dict[str, Array]


@dataclass(frozen=True, eq=False)
class EventTables:
    """One population.

    Attributes:
        population: name, shape, neurons.
        neurons: row-major numbers, channels last.
        maps: the projections that enter, those of one source behind each other.
        initial: potential before the first event, channels last; of an input, nothing.
        fields: numbers of nm_event_population.
        arrays: what its addresses point to.
    """

    population: Population
    neurons: NDArray[np.int64]
    maps: tuple[EventMapTables, ...]
    initial: Array
    fields: dict[str, int]
    arrays: dict[str, Array]

    def record(self) -> tuple[Any, list[Any]]:
        """A new nm_event_population without buffers, and what must live as long as it does."""
        maps = (compiled.EventMap * len(self.maps))()
        for record, each in zip(maps, self.maps, strict=True):
            record.source, record.unrolled = each.source, each.unrolled
            for name, array in each.arrays.items():
                setattr(record, name, address(array))
        pointers = {name: address(array) for name, array in self.arrays.items()}
        made = compiled.EventPopulation(**self.fields, **pointers, maps=len(maps), map=ctypes.addressof(maps))
        return made, [maps, self]


_TABLES: Memo[tuple[EventTables, ...] | None] = Memo()


def event_tables(network: Network) -> tuple[EventTables, ...] | None:
    """The tables of a checked network, populations in order; None where a projection is too large to be unrolled."""
    return _TABLES.get(network, (), lambda: _make(network))


def _make(network: Network) -> tuple[EventTables, ...] | None:
    populations = network.order() or ()
    numbers = {population.name: number for number, population in enumerate(populations)}
    made = []
    for population in populations:
        neurons = channels_last(population.shape)
        if population.is_input:
            made.append(EventTables(population, neurons, (), np.zeros(0, np.int64), {"neurons": population.size}, {}))
            continue
        entering = network.into(population.name)
        sources = list(dict.fromkeys(projection.source for projection in entering))
        ordered = sorted(entering, key=lambda projection: sources.index(projection.source))
        maps = [_map(network, projection, numbers[projection.source]) for projection in ordered]
        found = [each for each in maps if each is not None]
        if len(found) < len(maps):
            return None
        made.append(_population(population, neurons, found))
    return tuple(made)


def _population(population: Population, neurons: NDArray[np.int64], maps: list[EventMapTables]) -> EventTables:
    rule, shape = rule_of(population), population.shape
    form = WIDE if rule.potential is None else rule.potential
    initial, weights = initial_potential(population)[neurons], [each.arrays["weights"] for each in maps]
    tables = _parameters(rule, population, neurons)
    narrow = _narrowed(tables, form, [initial, *weights])
    dtype = np.dtype(np.int64 if narrow is None else np.int16)
    arrays = {name: table.astype(dtype) for name, table in (narrow or tables).items()}
    if ticks(rule):
        arrays["leak"] = _each(rule.leak, population, neurons)
    arrays |= _ranks(firing_order(shape, rule.order), neurons)
    fields: dict[str, int] = {
        "neurons": population.size,
        "width": 8 * dtype.itemsize,
        "format": FORMATS[form.overflow],
        "minimum": form.minimum,
        "maximum": form.maximum,
        "mask": (1 << form.bits) - 1,
        "sign": 1 << (form.bits - 1) if form.signed else 0,
        "uniform": len(arrays["above"]) == 1,
        "zero": rule.subtract is None,
        "least": -(1 << 30) if narrow and rule.fires_on_any else LOWEST if rule.fires_on_any else 0,
        "fires_on_tick": rule.fires_on_tick,
    }
    typed = tuple(
        EventMapTables(each.source, each.unrolled, {**each.arrays, "weights": padded(each.arrays["weights"], dtype)})
        for each in maps
    )
    return EventTables(population, neurons, typed, initial.astype(dtype), fields, arrays)


def _parameters(rule: EventRule, population: Population, neurons: NDArray[np.int64]) -> dict[str, Array]:
    """The rule's tables in int64: one number each where it is the same for all neurons."""
    low = LOWEST if rule.low is None else rule.low
    given = {
        "above": NEVER if rule.threshold is None else np.asarray(rule.threshold) - 1,
        "subtract": 0 if rule.subtract is None else rule.subtract,
        "low": low if rule.clamps_events else LOWEST,
        "tick_low": low,
    }
    tables = {name: _each(value, population, neurons) for name, value in given.items()}
    if all(np.all(table == table[0]) for table in tables.values()):
        return {name: table[:1] for name, table in tables.items()}
    return tables


def _each(value: Any, population: Population, neurons: NDArray[np.int64]) -> Array:
    """A parameter for each neuron, channels last."""
    full: Array = np.broadcast_to(np.asarray(value, np.int64), population.shape).ravel()[neurons]
    return full


def _narrowed(tables: dict[str, Array], form: IntegerFormat, others: list[Array]) -> dict[str, Array] | None:
    """The tables with numbers of 16 bits, where potentials and everything else fit these; else None."""
    if form.minimum < INT16.min or form.maximum > INT16.max:
        return None
    # No potential is above the format's end or below its beginning, so that such limits may come nearer.
    above = np.minimum(tables["above"], INT16.max)
    subtract = tables["subtract"]
    narrow = {"above": above, "subtract": subtract}
    narrow |= {name: np.maximum(tables[name], INT16.min) for name in ("low", "tick_low")}
    lowest_left = above + 1 - subtract  # by a neuron that has fired
    within = [*narrow.values(), *others, np.minimum(lowest_left, INT16.max)]
    fits = all(array.size == 0 or (array.min() >= INT16.min and array.max() <= INT16.max) for array in within)
    return narrow if fits and subtract.min() >= 0 else None


def _ranks(in_order: NDArray[np.int64], neurons: NDArray[np.int64]) -> dict[str, Array]:
    """Rank of each neuron in the order of firing, and the neuron of each rank; nothing where they are the same."""
    if np.array_equal(in_order, neurons):
        return {}
    places = np.argsort(neurons)  # of row-major numbers, channels last
    ranked = places[in_order]
    return {"ranked": ranked.astype(np.int32), "ranks": np.argsort(ranked).astype(np.int32)}


def _map(network: Network, projection: Projection, source: int) -> EventMapTables | None:
    """The tables of a projection: by windows for a convolution or dense layer, else rows; None for too large ones."""
    path = Path.of(network, projection)
    before, target = network[projection.source].shape, network[projection.target].shape
    addresses = path.addresses[channels_last(before)]
    windows = None
    if isinstance(path.spread, Dense) or (
        isinstance(path.spread, Conv2d) and path.spread.out_shape(path.shape) == target
    ):
        windows = windows_of((path.spread,), path.shape, target)
    if windows is not None:
        if windows.weights.size > LARGEST_TABLE:
            return None
        return EventMapTables(source, False, _windowed(windows, addresses, path.shape))
    synapses = np.prod(path.shape) if path.spread is None else path.spread.fan_out(path.shape).sum()
    if int(synapses) > LARGEST_UNROLLED:
        return None
    return EventMapTables(source, True, _unrolled(path, addresses, channels_last(target)))


def _windowed(windows: Windows, addresses: NDArray[np.int64], shape: Shape) -> dict[str, Array]:
    """Places of addresses in front of a convolution (a dense layer has one pixel)."""
    found = addresses != LOST
    height, width = (1, 1) if isinstance(windows.synapse, Dense) else (shape[1], shape[2])
    channel, row, column = np.unravel_index(addresses[found], (windows.channels, height, width))
    places = np.full((len(addresses), 4), LOST, np.int32)
    currents = 0 if windows.bit_current is None else windows.bit_current[channel]
    places[found] = np.stack(
        (row, column, windows.bit_weight[channel], np.broadcast_to(currents, channel.shape)), axis=1
    )
    return {
        "places": places,
        "y_first": windows.vertical.first,
        "x_first": windows.horizontal.first,
        "y_runs": windows.vertical.runs,
        "x_runs": windows.horizontal.runs,
        "weights": windows.weights.ravel(),
    }


def _unrolled(path: Path, addresses: NDArray[np.int64], neurons: NDArray[np.int64]) -> dict[str, Array]:
    """A row of targets, channels last, for each address."""
    ranks = np.argsort(neurons)
    rows = path.rows(ranks)
    places = np.full((len(addresses), 4), LOST, np.int32)
    places[:, 0] = addresses
    return {
        "places": places,
        "first": rows.first.astype(np.int64),
        "targets": ranks[rows.targets].astype(np.int32),
        "weights": rows.weights,
    }
