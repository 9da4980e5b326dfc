"""How a projection becomes synapses on SpiNNaker: rows in SDRAM, shared kernels, or pooled dense weights.

Rows of single synapses (`FromListConnector`) can be anything. Shared kernels
(`ConvolutionConnector`) and pooled dense weights (`PoolDenseConnector`) live in the core's
own memory; in sPyNNaker 7.4.1 they exist for `IF_curr_exp` alone, and all projections into
such a population must be of the same form. Channels are then populations of their own.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

import numpy as np

from nmdeploy.linear_maps import Array
from nmdeploy.network import Network, Projection
from nmdeploy.structure import Record
from nmdeploy.synapses import Conv2d, Dense, Reshape, Shape, SumPool2d, Synapse
from targets.spinnaker.neuron import IFCurrExp


class Form(str, Enum):
    """How the synapses of a population are kept."""

    ROWS = "rows"
    CONVOLUTION = "convolution"
    POOL_DENSE = "pool dense"


@dataclass(frozen=True, eq=False, repr=False)
class Kernels(Record):
    """A stride-1 convolution, after a sum pool, as shared kernels.

    Attributes:
        weight: `[C_out, C_in / groups, k, k]` as in `Conv2d`; the chip wants it turned by 180 degrees.
        padding: zeros at each side, the same in both directions.
        pool: side of the square sum pool before it; 1 for none.
        groups: channel groups.
    """

    weight: Array
    padding: int
    pool: int
    groups: int


@dataclass(frozen=True, eq=False, repr=False)
class PooledDense(Record):
    """Dense weights on the pooled channels of an image.

    Attributes:
        weight: `[N_out, C, H_pooled, W_pooled]`.
        pool: side of the square sum pool; 1 for none.
    """

    weight: Array
    pool: int


def form_of(network: Network, target: str) -> Form:
    """The form of the synapses into population `target` of a lowered network."""
    incoming = network.into(target)
    if not isinstance(network[target].neuron, IFCurrExp):
        return Form.ROWS
    if all(kernels(each, network[each.source].shape) is not None for each in incoming):
        return Form.CONVOLUTION
    if all(pooled_dense(each, network[each.source].shape) is not None for each in incoming):
        return Form.POOL_DENSE
    return Form.ROWS


def in_channels(network: Network) -> frozenset[str]:
    """Names of the populations whose channels are populations of their own, on a grid."""
    found = set()
    for projection in network.projections:
        form = form_of(network, projection.target)
        if form is not Form.ROWS:
            found.add(projection.source)
        if form is Form.CONVOLUTION:
            found.add(projection.target)
    return frozenset(found)


def kernels(projection: Projection, shape: Shape) -> Kernels | None:
    """A projection from a population of `shape` as shared kernels; None where it is not such a convolution."""
    pool, rest = _pool(projection.synapses, shape)
    if pool is None or projection.exponent or len(rest) != 1 or not isinstance(rest[0], Conv2d):
        return None
    convolution = rest[0]
    height, width = convolution.weight.shape[2:]
    plain = convolution.stride == (1, 1) and convolution.dilation == (1, 1) and len(set(convolution.padding)) == 1
    if not plain or height != width or height % 2 == 0:
        return None
    return Kernels(convolution.weight, convolution.padding[0], pool, convolution.groups)


def pooled_dense(projection: Projection, shape: Shape) -> PooledDense | None:
    """A projection from a population of `shape` as pooled dense weights; None where it is none."""
    pool, rest = _pool(projection.synapses, shape)
    if pool is None or projection.exponent or len(rest) != 2:
        return None
    reshape, dense = rest
    if not isinstance(reshape, Reshape) or not isinstance(dense, Dense):
        return None
    pooled = (shape[0], shape[1] // pool, shape[2] // pool)
    return PooledDense(np.reshape(dense.weight, (len(dense.weight), *pooled)), pool)


def _pool(synapses: tuple[Synapse, ...], shape: Shape) -> tuple[int | None, tuple[Synapse, ...]]:
    """The side of a chain's leading sum pool, 1 for none, and what follows; None where the chip has no such pool."""
    if len(shape) != 3:
        return None, synapses
    if not synapses or not isinstance(synapses[0], SumPool2d):
        return 1, synapses
    pool = synapses[0]
    side = pool.kernel[0]
    square = pool.kernel == pool.steps == (side, side) and not any(pool.padding)
    whole = shape[1] % side == 0 and shape[2] % side == 0
    return (side if square and whole else None), synapses[1:]
