"""What a core takes of its chip's SDRAM and of its own memory.

SDRAM follows the sizes that sPyNNaker 7.4.1 reserves (`PopulationVertex`, `NeuronRecorder`,
`MasterPopTableAsBinarySearch`, `LocalOnlyConvolution`, `LocalOnlyPoolDense`), the same for each core of a PyNN
population, without the recordings and spikes to be sent, which grow with the run. Its mapper does not look at the
64 KB of a core's own memory (DTCM); what is told of that is an estimate.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from nmdeploy.neurons import NeuronModel
from nmdeploy.target import Chip
from targets.spinnaker.layout import PynnPopulation, index_bits
from targets.spinnaker.mapper.wiring import Incoming, Kernel, Matrix, Rows
from targets.spinnaker.neuron import IFCurrDelta, IFCurrExp, IFTruncDelta

_WORD = 4
_HALF = 2
_SYSTEM = 412 + 124
"""Bytes of the regions for running and recording, of any core with neurons."""
_OF_ROWS = 112 + 4 + 4 + 36 + 92 + 8 + 8
"""Bytes of the fixed part of provenance, profile, currents, synapse parameters, expander, tables, filters."""
_OF_LOCAL_ONLY = 64 + 4 + 4 + 20
"""The same, of cores with weights of their own."""
_SPIKE_RECORD = 8
"""Bytes that a recorded variable takes before the first step."""
_SOURCE = 512
"""Bytes of a core that plays back spikes, without them."""
_KEYS_OF_MESSAGE, _MESSAGE_HEADER = 63, 6
_SPIKE_BUFFER = 256 * _WORD
"""sPyNNaker's `incoming_spike_buffer_size`, in words."""
_ROW_HEADER = 3 * _WORD
_ALIGNMENT = 16
"""Blocks of rows begin at multiples of it (`MasterPopTableAsBinarySearch`)."""

_REGIONS: Mapping[type[NeuronModel], tuple[int, int, int]] = {
    IFTruncDelta: (12, 312, 248),
    IFCurrDelta: (13, 336, 256),
    IFCurrExp: (15, 384, 272),
}
"""By model: words of a neuron's parameters; bytes for making them on the chip, of each neuron and of any core."""


def source_sdram(neurons: int) -> int:
    """Bytes of a core that plays back spikes, for a step in which all its neurons send."""
    return _SOURCE + _MESSAGE_HEADER * -(-neurons // _KEYS_OF_MESSAGE) + _WORD * neurons


def sdram(part: PynnPopulation, neuron: NeuronModel, incoming: Sequence[Incoming]) -> int:
    """Bytes that sPyNNaker reserves for one core of a PyNN population, the same for each.

    Args:
        part: the population.
        neuron: its model.
        incoming: what enters it.
    """
    n = part.atoms_per_core
    words, each, base = _REGIONS[type(neuron)]
    parameters, recording = _WORD * (words * n + 1), 52 + 8 * _even(n)
    # Parameters are written twice, as they are and for a reset; the builder that could make them has room besides.
    builder = each * n + base + recording
    keys = 28 + _WORD * n
    total = _SYSTEM + _SPIKE_RECORD + keys + recording + 2 * parameters + builder
    if incoming and not isinstance(incoming[0], Rows):
        return total + _OF_LOCAL_ONLY + local_only_bytes(incoming, n)
    rows = [each for each in incoming if isinstance(each, Rows)]
    return total + _OF_ROWS + _tables(rows) + synapse_bytes(rows)


def synapse_bytes(rows: Iterable[Rows]) -> int:
    """Bytes of the blocks of rows: for each source core, a row for each of its neurons, all as long as the longest."""
    address = 2 * _WORD
    for each in rows:
        block = each.source.atoms_per_core * (_ROW_HEADER + _WORD * each.longest)
        for _ in range(each.source.cores):
            address = -(-address // _ALIGNMENT) * _ALIGNMENT + block
    return address


def _tables(rows: Sequence[Rows]) -> int:
    """Bytes that grow with sources and projections: population table, keys, filters by source neuron."""
    sources = _distinct(rows)
    filters = sum(_WORD * (8 + -(-source.size // 32)) for source in sources)
    return (20 + _WORD) * len(sources) + _WORD * len(rows) + filters


def _distinct(incoming: Sequence[Incoming]) -> list[PynnPopulation]:
    return list({each.source.label: each.source for each in incoming}.values())


def local_only_bytes(incoming: Sequence[Incoming], neurons: int) -> int:
    """Bytes of kernels or matrices with their headers, in SDRAM and again in the core's own memory."""
    sources = len(_distinct(incoming))
    kernels = [each for each in incoming if isinstance(each, Kernel)]
    matrices = [each for each in incoming if isinstance(each, Matrix)]
    if kernels:
        weights = _HALF * _even(sum(each.weights for each in kernels))
        return 28 + 40 * sources + 36 * len(kernels) + weights
    return 12 + 92 * sources + sum(20 + _HALF * _even(each.inputs * neurons) for each in matrices)


def dtcm(part: PynnPopulation, neuron: NeuronModel | None, incoming: Sequence[Incoming], chip: Chip) -> int:
    """Bytes of a core's own memory, estimated: program data, stack, neurons, ring buffers, rows or weights."""
    n = part.atoms_per_core
    fixed = chip.limit("static_dtcm") + chip.limit("stack")
    if neuron is None:
        return fixed + _WORD * n
    words = _REGIONS[type(neuron)][0]
    recorded = 2 * _WORD * n
    total = fixed + _SPIKE_BUFFER + _WORD * (words + 1) * n + recorded + ring_bytes(n, incoming)
    if incoming and not isinstance(incoming[0], Rows):
        return total + local_only_bytes(incoming, n)
    rows = [each for each in incoming if isinstance(each, Rows)]
    in_flight = 2 * (_ROW_HEADER + _WORD * max((each.longest for each in rows), default=0))
    return total + _tables(rows) + in_flight


def ring_bytes(neurons: int, incoming: Sequence[Incoming]) -> int:
    """Bytes of the ring buffers: 16 bits for each neuron, sign and step of delay, all rounded up to powers of two."""
    delay = max((each.delay for each in incoming), default=1)
    return _HALF << (index_bits(neurons) + 1 + index_bits(delay))


def _even(count: int) -> int:
    return count + count % 2
