"""What a Loihi core has, and the 64-bit words that a synapse list takes.

A list is the synapses of an input axon on one core, in blocks that fill whole words
(nengo-loihi `block.py`): a header of 10 bits, then for every synapse its weight, its
delay where the projection has one, and in a *sparse* block the index of its compartment.
A *dense* block holds consecutive compartments and names only the first (NxTF
`data_structures.py`, `SynEntry`: the index lies in the prefix), so a weight of 0 between
others is stored too. A block has at most 60 synapses (NxTF `optimization.py`). A list
takes the shorter of the two forms.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmdeploy.network import Population
from nmdeploy.target import Chip
from targets.loihi.neuron import LoihiLIFSubtract

RESOURCES = (
    "compartments",
    "input_axons",
    "output_axons",
    "synaptic_words",
    "synapse_formats",
    "threshold_profiles",
)
"""Names of the per-core resources, as in `chips.toml`; each adds up over the populations of a core."""
WORD_BITS = 64
BLOCK_HEADER_BITS = 10
"""4 bits of synapse format and 6 bits of count."""
SMALLEST_INDEX_BITS = 6
"""Compartment indices have no bits or at least these (nengo-loihi: 0, 6..12)."""
DELAY_BITS = 6
"""Bits of a synaptic delay of 1..62 steps."""

Counts = NDArray[np.int64]


def block_words(synapses: Any, synapse_bits: int, header_bits: int, block_synapses: int) -> Counts:
    """64-bit words of `synapses` that take `synapse_bits` each, in blocks of at most `block_synapses`."""
    full, rest = np.divmod(synapses, block_synapses)
    last = np.where(rest > 0, _words(rest * synapse_bits + header_bits), 0)
    words: Counts = full * _words(block_synapses * synapse_bits + header_bits) + last
    return words


def _words(bits: Any) -> Any:
    return -(-bits // WORD_BITS)


def index_bits(compartments: int) -> int:
    """Bits of a neuron's index among so many; none for a single one."""
    return max(SMALLEST_INDEX_BITS, (compartments - 1).bit_length()) if compartments > 1 else 0


@cache
def _run_words(consecutive: int, synapse_bits: int, header_bits: int, block_synapses: int) -> int:
    return int(block_words(consecutive, synapse_bits, header_bits, block_synapses))


class ListCoding:
    """The cost of synapse lists of one projection on a core.

    Args:
        chip: gives bits of a weight and synapses of a block.
        neurons: neurons of the target population on the core; their index takes that many bits.
        delayed: whether synapses carry a delay.
    """

    def __init__(self, chip: Chip, neurons: int, delayed: bool) -> None:
        self._weight = chip.limit("weight_bits") + (DELAY_BITS if delayed else 0)
        self._block, self._index = chip.limit("block_synapses"), index_bits(neurons)

    def sparse(self, synapses: Any) -> Counts:
        """Words of lists of so many synapses, each with its index."""
        return block_words(synapses, self._weight + self._index, BLOCK_HEADER_BITS, self._block)

    def run(self, consecutive: int) -> int:
        """Words of one run of so many consecutive compartments."""
        return _run_words(consecutive, self._weight, BLOCK_HEADER_BITS + self._index, self._block)

    def dense(self, consecutive: Any) -> Counts:
        """Words of runs of so many consecutive compartments."""
        return block_words(consecutive, self._weight, BLOCK_HEADER_BITS + self._index, self._block)


def compartments_of(population: Population, chip: Chip) -> int:
    """Compartments of one neuron: NxTF's reset by subtraction takes a dendrite and a soma."""
    two = isinstance(population.neuron, LoihiLIFSubtract) and "subtract_compartments" in chip.figures
    return chip.limit("subtract_compartments") if two else 1
