"""A synapse's unrolled matrix in blocks of rows, so that a large layer is never unrolled at once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from nmdeploy.synapses import Conv2d, Dense, Synapse
from nmdeploy.synapses.base import Shape

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

MOST_ENTRIES = 1 << 22
"""Synapses unrolled at a time, where the kind of synapse can be cut."""


def row_blocks(synapse: Synapse, in_shape: Shape) -> Iterator[tuple[slice, csr_matrix]]:
    """Consecutive rows of `synapse.matrix(in_shape)` with their range; all of them together are the matrix.

    Dense layers are cut by neuron, convolutions without groups by channel; others are not cut.
    """
    cuttable = isinstance(synapse, Dense) or (isinstance(synapse, Conv2d) and synapse.groups == 1)
    entries = int(synapse.fan_out(in_shape).sum())
    if not cuttable or synapse.weight is None or entries <= MOST_ENTRIES:
        matrix = synapse.matrix(in_shape)
        yield slice(0, matrix.shape[0]), matrix
        return
    channels = len(synapse.weight)
    step = max(1, channels * MOST_ENTRIES // entries)
    row = 0
    for first in range(0, channels, step):
        part = replace(synapse, weight=synapse.weight[first : first + step])  # type: ignore[type-var]
        matrix = part.matrix(in_shape)
        yield slice(row, row + matrix.shape[0]), matrix
        row += matrix.shape[0]
