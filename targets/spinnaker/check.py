"""An independent re-walk of a finished placement.

Shares no code with the mapper: it unrolls every projection into single synapses, counts them core by core, and
bounds anew the memory that they take. It finds neurons that are missing or placed twice, cores that do not exist,
are taken twice or overfull, slices that sPyNNaker would not cut, and usage that was declared wrongly.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Any

import numpy as np

from nmdeploy.coverage import coverage_faults, place_of
from nmdeploy.deployment import CoreLoad, Placement
from nmdeploy.network import Network, Population
from nmdeploy.target import Chip, Violation

_TRUNC_DELTA = "spinnaker.IFTruncDelta"


def recheck(network: Network, placement: Placement, chip: Chip) -> list[Violation]:
    """Everything that is wrong with `placement`; empty when it is sound.

    Args:
        network: the lowered network.
        placement: what the mapper made of it.
        chip: the kind of board it was made for; boards are numbered from 0 without gaps.
    """
    found = coverage_faults(network, placement, chip, "SPI", inputs=True)
    if found:  # what is not where it should be cannot be counted
        return found
    found += [*_shared_cores(placement), *_chip_memory(placement, chip)]
    for population in network.populations:
        found += _cut(population, placement.of(population.name), chip)
    return found + list(_declared(network, placement, chip))


def _shared_cores(placement: Placement) -> Iterator[Violation]:
    """A core holds one slice."""
    for place, count in Counter((load.chip, load.core) for load in placement.cores).items():
        if count > 1:
            yield Violation("SPI035", f"chip {place[0]}, core {place[1]}", "a core holds one slice", count, 1)


def _cut(population: Population, loads: tuple[CoreLoad, ...], chip: Chip) -> Iterator[Violation]:
    """Slices are runs of neurons, or tiles of equal size of one channel, and even where they have to be."""
    trunc = population.neuron is not None and population.neuron.kind == _TRUNC_DELTA
    most = chip.limit("neurons" if trunc else "local_only_neurons")
    for load in loads:
        neurons = np.asarray(load.neurons)
        if len(neurons) > most:
            yield Violation("SPI036", place_of(load), "too many neurons", len(neurons), most)
        if not (_is_run(neurons) or _is_tile(neurons, population)):
            message = "neurons of a core are neither a run nor a tile of one channel"
            yield Violation("SPI038", place_of(load), message, load.population)
        padded = load.used.get("neurons", 0)
        if trunc and padded % 2:
            yield Violation("SPI039", place_of(load), "an odd number of IF_trunc_delta neurons", padded, "even")


def _is_run(neurons: np.ndarray[tuple[int, ...], np.dtype[np.int64]]) -> bool:
    return bool(np.all(np.diff(neurons) == 1))


def _is_tile(neurons: np.ndarray[tuple[int, ...], np.dtype[np.int64]], population: Population) -> bool:
    if len(population.shape) != 3:
        return False
    channel, row, column = np.unravel_index(neurons, population.shape)
    rows, columns = np.unique(row), np.unique(column)
    together = len(rows) * len(columns) == len(neurons) and len(np.unique(channel)) == 1
    return together and _is_run(rows) and _is_run(columns)


def _chip_memory(placement: Placement, chip: Chip) -> Iterator[Violation]:
    """The cores of a chip share its SDRAM."""
    sizes = np.full(chip.limit("board_chips"), chip.limit("chip_cores"))
    sizes[: int(sizes.sum()) - chip.limit("cores")] -= 1
    ends = np.cumsum(sizes)
    taken: dict[tuple[int, int], int] = defaultdict(int)
    for load in placement.cores:
        taken[load.chip, int(np.searchsorted(ends, load.core, side="right"))] += load.used.get("sdram", 0)
    limit = chip.limit("sdram") - chip.limit("monitor_sdram")
    for (board, index), size in taken.items():
        if size > limit:
            yield Violation("SPI036", f"board {board}, chip {index}", "too much SDRAM", size, limit)


def _declared(network: Network, placement: Placement, chip: Chip) -> Iterator[Violation]:
    """Usage is within limits, and as large as a recount makes it."""
    memory = _memory(network, placement)
    for index, load in enumerate(placement.cores):
        for name, limit in placement.limits.items():
            if load.used.get(name, 0) > limit:
                yield Violation("SPI036", place_of(load), f"too much of {name}", load.used[name], limit)
        work = load.used.get("neurons", 0) * chip.limit("neuron_instructions")
        ranges = {
            "neurons": (len(load.neurons), len(load.neurons) + 1),
            "sdram": memory[index],
            "tick_instructions": (0, 0) if network[load.population].is_input else (work, work),
        }
        for name, (least, most) in ranges.items():
            if not least <= load.used.get(name, -1) <= most:
                message = f"declared {name.replace('_', ' ')} differ from a recount"
                yield Violation("SPI037", place_of(load), message, load.used.get(name), f"{least}..{most}")


def _memory(network: Network, placement: Placement) -> list[tuple[int, int]]:
    """Least and most bytes of SDRAM for each load: its synapses, and what neurons and tables can take besides."""
    loads = {population.name: placement.of(population.name) for population in network.populations}
    largest = {name: max(len(load.neurons) for load in held) for name, held in loads.items()}
    least = {name: 0 if network[name].is_input else 400 * count for name, count in largest.items()}
    most = {name: 2000 + 500 * count for name, count in largest.items()}
    for projection in network.projections:
        source, target = network[projection.source], network[projection.target]
        matrix: Any = projection.matrix(source.shape).tocsr()
        for signed in (matrix > 0, matrix < 0):
            few, many = _block_bytes(signed, loads[source.name], loads[target.name])
            # Other neurons may have their weights in kernels, which take less.
            least[target.name] += few if target.neuron is not None and target.neuron.kind == _TRUNC_DELTA else 0
            most[target.name] += many
        weights = sum(np.size(each.weight) for each in projection.synapses if each.weight is not None)
        most[target.name] += 400 * len(loads[source.name]) + source.size + 2 * weights
    return [(least[load.population], most[load.population]) for load in placement.cores]


def _block_bytes(matrix: Any, sources: tuple[CoreLoad, ...], targets: tuple[CoreLoad, ...]) -> tuple[int, int]:
    """For each source neuron a row of three words, and as many as the longest row has synapses on one core.

    Least when each source core had rows of its own length, most when all were as long as the longest of all.
    """
    by_core = np.stack([np.asarray(matrix[load.neurons].sum(axis=0)).ravel() for load in targets])
    longest = [int(by_core[:, load.neurons].max()) for load in sources]
    rows = [len(load.neurons) for load in sources]
    least = sum(4 * count * (3 + length) for count, length in zip(rows, longest, strict=True) if length)
    return least, len(rows) * (16 + 4 * max(rows) * (3 + max(longest)))
