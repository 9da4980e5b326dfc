"""Reading the data specification of sPyNNaker 7.4.1: the words that would be loaded into each core's memory.

`ds.sqlite3` holds every region of every core as bytes. Regions are decoded as the shipped
binaries read them, not with sPyNNaker's code: population table, rows of synapses, shared
kernels, pooled dense weights, neuron parameters. Synapses come out one by one, whatever
form they are kept in.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nmdeploy.errors import RunError
from targets.spinnaker.local_only import convolution_map, pool_dense_map

Words = NDArray[np.uint32]
Regions = Mapping[str, Words]
"""Words of a core's regions by their label."""
Place = tuple[int, int, int]
"""x, y of the chip and p of the core."""

PARAMETERS, CORE, SYNAPSES = "neuron_params", "Neuron Core Params", "SynapseParams"
TABLE, BLOCKS = "PopTable", "SynBlocks"
LOCAL, KERNELS, POOL_DENSE = "local_only", "LocalOnlyConvolution", "LocalOnlyPoolDense"

_ADDRESS_UNIT = 4
"""Words that an address of the population table counts (16 bytes)."""
_ROW_HEADER = 3
_SOURCE_WORDS, _CONNECTOR_WORDS = 10, 9
_POOL_SOURCE_WORDS, _POOL_DIMENSION_WORDS = 5, 9
_DIVISORS = 1 << 10


@dataclass(frozen=True)
class Entry:
    """A source in a population table.

    Attributes:
        key: routing key of its spikes, without the part that names core and neuron.
        core_mask, core_shift: where the core's number is in a key.
        neurons: rows of each of its cores.
        blocks: (address in words, words of a row without its header) of each matrix of rows.
    """

    key: int
    core_mask: int
    core_shift: int
    neurons: int
    blocks: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Synapses:
    """Synapses that arrive at one core from one source, as the chip applies them.

    Attributes:
        key: of the source.
        source: row of the source neuron, counted through its cores.
        target: neuron on the core; in the whole of the target's grid where not `on_core`.
        sign: 0 excitatory, 1 inhibitory.
        delay: in steps.
        weight: magnitude.
        words: words that they were read from.
        rows_per_core: rows of each core of the source; 0 where `source` is a pixel of the source's grid instead.
        on_core: see `target`.
    """

    key: int
    source: NDArray[np.int64]
    target: NDArray[np.int64]
    sign: NDArray[np.int64]
    delay: NDArray[np.int64]
    weight: NDArray[np.int64]
    words: int
    rows_per_core: int = 0
    on_core: bool = True


def read_regions(path: Path, places: Sequence[Place]) -> dict[Place, dict[str, Words]]:
    """The regions of the cores at `places` that have content.

    Args:
        path: of `ds.sqlite3`.
        places: cores.

    Raises:
        RunError: when the file has another form.
    """
    query = "SELECT region_label, content FROM region WHERE x=? AND y=? AND p=? AND content IS NOT NULL"
    try:
        with closing(sqlite3.connect(path.resolve().as_uri() + "?mode=ro", uri=True)) as base:
            return {
                place: {label: np.frombuffer(content, "<u4") for label, content in base.execute(query, place)}
                for place in places
            }
    except (sqlite3.Error, ValueError, TypeError) as error:
        raise RunError(f"sPyNNaker's data specification has another form ({error})", where=path.name) from error


def core_shifts(regions: Regions) -> tuple[int, ...]:
    """The shifts of a core's ring buffers; none where the region is missing."""
    words = regions.get(CORE, np.zeros(5, "<u4"))
    return tuple(int(word) for word in words[5 : 5 + int(words[4])])


def synapses_of(regions: Regions, grids: Mapping[int, tuple[int, int]], post: tuple[int, int]) -> list[Synapses]:
    """All synapses that arrive at a core.

    Args:
        regions: of the core.
        grids: (height, width) of the sources' grids, by key; of no meaning for sources on no grid.
        post: (height, width) of the target's grid, likewise.

    Raises:
        RunError: when a region has another form.
    """
    try:
        return list(_decoded(regions, grids, post))
    except (IndexError, KeyError, ValueError, StopIteration) as error:
        raise RunError(
            f"sPyNNaker's data specification has another form ({error!r})", where=", ".join(regions)
        ) from error


def _decoded(regions: Regions, grids: Mapping[int, tuple[int, int]], post: tuple[int, int]) -> Iterator[Synapses]:
    if KERNELS in regions:
        yield from _kernel_synapses(regions, grids, post)
    elif POOL_DENSE in regions:
        yield from _pool_dense_synapses(regions, grids)
    else:
        yield from _row_synapses(regions)


def entries(table: Words) -> list[Entry]:
    """The sources in a population table (`_MasterPopEntryCType`, `_AddressListEntryCType`)."""
    count = int(table[0])
    rows, addresses = table[2 : 2 + 5 * count].reshape(count, 5), table[2 + 5 * count :]
    found = []
    for key, _, start_count, cores, sizes in rows.tolist():
        start = start_count & 0x1FFF
        listed = addresses[start : start + (start_count >> 16)].tolist()
        blocks = tuple(((each >> 8) * _ADDRESS_UNIT, (each & 0xFF) + 1) for each in listed)
        found.append(Entry(key, cores & 0xFFFF, cores >> 16, sizes & 0xFFFF, blocks))
    return found


def _row_synapses(regions: Regions) -> Iterator[Synapses]:
    """Rows: number of plastic, fixed and mixed words, then `weight << 16 | delay | sign | neuron`."""
    if TABLE not in regions or BLOCKS not in regions:
        return
    blocks, settings = regions[BLOCKS], regions[SYNAPSES]
    index_bits, sign_bits = int(settings[2]), int(settings[3])
    sources = entries(regions[TABLE])
    starts = sorted({address for entry in sources for address, _ in entry.blocks} | {len(blocks)})
    for entry in sources:
        for address, length in entry.blocks:
            if address >= len(blocks):
                continue  # no rows on this core
            end = next(start for start in starts if start > address)
            size = _ROW_HEADER + length
            rows = blocks[address : address + (end - address) // size * size].reshape(-1, size)
            filled = np.arange(length) < rows[:, 1:2]
            source, place = np.nonzero(filled)
            word = rows[:, _ROW_HEADER:][source, place].astype(np.int64)
            low = word & 0xFFFF
            yield Synapses(
                entry.key,
                source,
                low & ((1 << index_bits) - 1),
                low >> index_bits & ((1 << sign_bits) - 1),
                low >> (index_bits + sign_bits),
                word >> 16,
                len(word),
                entry.neurons,
            )


def _kernel_synapses(
    regions: Regions, grids: Mapping[int, tuple[int, int]], post: tuple[int, int]
) -> Iterator[Synapses]:
    """Shared kernels (`LocalOnlyConvolution.write_parameters`), spread over the grid as the binary does."""
    words, slots = regions[KERNELS], _delay_slots(regions)
    sources, connectors = int(words[3]), int(words[4])
    table = words[6 : 6 + _SOURCE_WORDS * sources].reshape(sources, _SOURCE_WORDS)
    begin = 6 + _SOURCE_WORDS * sources
    given = words[begin : begin + _CONNECTOR_WORDS * connectors].reshape(connectors, _CONNECTOR_WORDS)
    weights = words[begin + _CONNECTOR_WORDS * connectors :].view("<i2")
    for key, _, counts, *_ in table.tolist():
        first, count = counts & 0x1FFF, counts >> 16
        for connector in given[first : first + count]:
            halves = connector.view("<u2").tolist()
            height, width, pad_y, pad_x = halves[:4]
            delay, index = halves[7], halves[8]
            stride, pool = _divisors(connector[5:7]), _divisors(connector[7:9])
            kernel = weights[index : index + height * width].reshape(height, width).astype(np.int64)
            spread = convolution_map(kernel, grids[key], post, (pad_y, pad_x), stride, pool)
            everywhere = spread.reshape(grids[key][0] * grids[key][1], -1)
            yield replace(_spread(key, everywhere, delay or slots, kernel.size), on_core=False)


def _pool_dense_synapses(regions: Regions, grids: Mapping[int, tuple[int, int]]) -> Iterator[Synapses]:
    """Pooled dense weights (`LocalOnlyPoolDense.write_parameters`), one row for each pooled pixel."""
    words, slots = regions[POOL_DENSE], _delay_slots(regions)
    targets, sources = int(words[0]), int(words[1])
    begin, owners = 3, []
    for _ in range(sources):
        owners += [int(words[begin])] * (int(words[begin + 2]) >> 16)
        begin += _POOL_SOURCE_WORDS + _POOL_DIMENSION_WORDS * int(words[begin + 4])
    for key in owners:
        dimensions, count, _, _, _, delay = words[begin : begin + 3].view("<u2").tolist()
        pool_x, pool_y = _divisors(words[begin + 3 : begin + 3 + dimensions])
        begin += 3 + dimensions
        stored = words[begin : begin + (count + 1) // 2].view("<i2")[:count]
        begin += (count + 1) // 2
        matrix = stored.reshape(-1, targets).astype(np.int64)
        spread = pool_dense_map(matrix, grids[key], (pool_y, pool_x))
        yield _spread(key, spread.reshape(-1, targets), delay or slots, count)


def _spread(key: int, weights: NDArray[np.int64], delay: int, words: int) -> Synapses:
    """Synapses of a matrix `[sources, targets]` of signed weights."""
    source, target = np.nonzero(weights)
    weight = weights[source, target]
    delays = np.full(len(weight), delay)
    return Synapses(key, source, target, (weight < 0).astype(np.int64), delays, np.abs(weight), words)


def _delay_slots(regions: Regions) -> int:
    """Steps of delay in the ring buffers of a core with weights of its own; the last is stored as 0."""
    return 1 << int(regions[LOCAL][2])


def _divisors(words: Words) -> tuple[int, int]:
    """The two numbers whose reciprocals the host wrote (`get_div_const`)."""
    first, second = (_RECIPROCALS[int(word)] for word in words)
    return first, second


def _reciprocal(divisor: int) -> int:
    """`get_div_const`: two shifts and a 16-bit factor that divide by `divisor`."""
    bits = (divisor - 1).bit_length()
    factor = ((1 << 16) * ((1 << bits) - divisor)) // divisor + 1
    return max(bits - 1, 0) << 24 | min(bits, 1) << 16 | factor


_RECIPROCALS = {_reciprocal(divisor): divisor for divisor in range(1, _DIVISORS)}
