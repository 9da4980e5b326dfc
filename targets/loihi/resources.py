"""What neurons, axons and synapses take on a Loihi core.

The synaptic memory model is nengo-loihi's (`builder`, `block.py`): for every input axon,
synapses lie in blocks of up to 64 with a header of 10 bits, a block fills whole 64-bit
words, and a synapse has the weight, the index of its compartment, and the delay where
the axon's synapses have one. An axon that reaches (nearly) all compartments of the core
is cheaper as a dense list without indices; zero weights need no synapse in the other.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nmdeploy.network import Network, Projection
from nmdeploy.target import Chip

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

RESOURCES = ("compartments", "input_axons", "output_axons", "synaptic_words")
"""Names of the per-core resources, as in `chips.toml`."""
WORD_BITS = 64
BLOCK_SYNAPSES = 64
"""Synapses a block holds at most (nengo-loihi: 6 bits count them)."""
BLOCK_HEADER_BITS = 10
"""4 bits of synapse format and 6 bits of count."""
SMALLEST_INDEX_BITS = 6
"""Compartment indices have no bits or at least these (nengo-loihi: 0, 6..12)."""
DELAY_BITS = 6
"""Bits of a synaptic delay of 1..62 steps."""

Counts = NDArray[np.int64]


@dataclass(frozen=True)
class Connections:
    """The synapses of a projection, neuron by neuron.

    Attributes:
        source, target: population names.
        synapses: `[target neurons, source neurons]`, an entry for each weight that is not 0.
        delay: steps beyond the one that every synapse layer takes.
    """

    source: str
    target: str
    synapses: csr_matrix
    delay: int


def connections(network: Network, projection: Projection) -> Connections:
    """The projection's unrolled synapses."""
    synapses = projection.matrix(network[projection.source].shape)
    synapses.eliminate_zeros()
    return Connections(projection.source, projection.target, synapses, projection.delay - 1)


def synapse_count(network: Network, projection: Projection) -> int:
    """Number of synapses of the projection, without unrolling it; zero weights count."""
    return int(projection.fan_out(network[projection.source].shape).sum())


def list_words(synapses: Counts, synapse_bits: int) -> Counts:
    """64-bit words of lists of `synapses` that take `synapse_bits` each."""
    full, rest = np.divmod(synapses, BLOCK_SYNAPSES)
    last = np.where(rest > 0, _words(rest * synapse_bits + BLOCK_HEADER_BITS), 0)
    words: Counts = full * _words(np.int64(BLOCK_SYNAPSES * synapse_bits + BLOCK_HEADER_BITS)) + last
    return words


def _words(bits: Any) -> Any:
    return -(-bits // WORD_BITS)


def index_bits(compartments: int) -> int:
    """Bits of a compartment's index on a core with so many; none for a single one."""
    return max(SMALLEST_INDEX_BITS, (compartments - 1).bit_length()) if compartments > 1 else 0


def axon_words(synapses: Counts, compartments: int, weight_bits: int, delayed: bool) -> Counts:
    """64-bit words of axons with so many synapses, on a core of so many compartments.

    Whichever is smaller: a sparse list of the synapses, or a dense one of all compartments.
    """
    plain = weight_bits + (DELAY_BITS if delayed else 0)
    sparse = list_words(synapses, plain + index_bits(compartments))
    return np.minimum(sparse, list_words(np.array(compartments), plain))


def incoming_use(joined: Connections, neurons: Counts, weight_bits: int) -> tuple[int, int]:
    """Input axons and synaptic words that one projection takes on the core of `neurons` (flat indices)."""
    synapses = np.bincount(joined.synapses[neurons].indices, minlength=1)
    axons = synapses[synapses > 0]
    return len(axons), int(axon_words(axons, len(neurons), weight_bits, joined.delay > 0).sum())


def cores_reached(joined: Connections, target_core_of: Counts) -> Counts:
    """How many cores each source neuron sends to, for one projection."""
    cores, sources = int(target_core_of.max()) + 1, joined.synapses.shape[1]
    reached = np.zeros((sources, cores), dtype=bool)
    synapses_of_target = np.diff(joined.synapses.indptr)
    reached[joined.synapses.indices, np.repeat(target_core_of, synapses_of_target)] = True
    cores_of_source: Counts = np.count_nonzero(reached, axis=1).astype(np.int64)
    return cores_of_source


def most_neurons(chip: Chip, entering: list[Connections]) -> int:
    """Neurons that a core holds at most: delays share a fixed number of accumulator slots."""
    limit = chip.limit("compartments")
    delay = max((joined.delay for joined in entering), default=0)
    return min(limit, chip.limit("delay_slots") // delay) if delay and "delay_slots" in chip.figures else limit
