"""The one Lava connection that a projection becomes: a convolution, or a matrix.

Lava has no sum pooling, no transposed convolution, no chains of linear maps: between two
populations lies a single Process. A chain that is one convolution (pools and scales
folded into its kernel) becomes a Lava `Conv`; every other one its unrolled matrix, as
`Dense` or `Sparse`, with delays as `DelayDense` or `DelaySparse`.

Lava orders space (W, H, C), nmdeploy (C, H, W); what leaves this module is in Lava's order.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from nmdeploy.latency import LATENCY
from nmdeploy.linear_maps import Array, Pair
from nmdeploy.network import Population, Projection
from nmdeploy.structure import Record
from nmdeploy.synapses import Conv2d, OneToOne, Reshape, Shape, SumPool2d, Synapse

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

INT8 = (-128, 127)
"""Range of kernel weights: Lava's Conv takes them as they are, without exponent (`lava/proc/conv/models.py`)."""
LARGEST_GEOMETRY = 127
"""Lava keeps kernel sizes, strides, paddings and dilations of a Conv as int8."""
DENSE_SHARE = 0.5
"""A matrix with at least this share of entries is sent as `Dense`."""


@dataclass(frozen=True, eq=False, repr=False)
class Convolution(Record):
    """A Lava `Conv`; takes one step.

    Attributes:
        weight: `(C_out, kW, kH, C_in / groups)`, flipped in space as Lava wants it.
        input_shape: `(W, H, C)`.
        stride, padding, dilation: (horizontal, vertical); padding is the same at both sides.
        groups: channel groups.
    """

    weight: Array
    input_shape: Shape
    stride: Pair
    padding: Pair
    dilation: Pair
    groups: int


@dataclass(frozen=True, eq=False)
class Matrix:
    """A Lava `Dense` or `Sparse`, or their forms with delay.

    Attributes:
        weights: `[target neurons, source neurons]`, both flattened in Lava's order.
        exponent: `weight_exp`; Lava shifts the sum by it.
        delay: steps beyond the one that every connection takes.
        dense: whether it is to be a `Dense`.
    """

    weights: csr_matrix
    exponent: int
    delay: int
    dense: bool


Connection = Convolution | Matrix


def connection(projection: Projection, source: Population, target: Population) -> Connection:
    """The single Lava connection that delivers what `projection` does.

    Args:
        projection: of a lowered network, with a delay of at least one step.
        source, target: its populations.
    """
    delay = projection.delay - LATENCY
    if delay == 0 and len(source.shape) == len(target.shape) == 3:
        folded = as_convolution(projection.synapses, source.shape)
        kernel = None if folded is None else scaled_to_int8(folded.weight, projection.exponent)
        if folded is not None and kernel is not None:
            return lava_convolution(folded, kernel, source.shape)
    weights = projection.matrix(source.shape)[lava_order(target.shape)][:, lava_order(source.shape)].tocsr()
    weights.eliminate_zeros()
    dense = weights.nnz >= DENSE_SHARE * math.prod(weights.shape)
    return Matrix(weights, projection.exponent, delay, dense)


def lava_shape(shape: Shape) -> Shape:
    """(C, H, W) as (W, H, C); (N,) as it is."""
    return shape[::-1]


def lava_order(shape: Shape) -> Array:
    """For each neuron in Lava's flat order, its row-major index in a population of `shape`."""
    return np.arange(math.prod(shape)).reshape(shape).T.ravel()


def lava_convolution(convolution: Conv2d, kernel: Array, in_shape: Shape) -> Convolution:
    """A `Conv2d` from `as_convolution` in Lava's order of axes.

    Args:
        convolution: gives the geometry; its padding is the same on opposite sides.
        kernel: weights in the layout of `Conv2d`.
        in_shape: `(C, H, W)`.
    """
    top, _, left, _ = convolution.padding
    return Convolution(
        weight=kernel.transpose(0, 3, 2, 1)[:, ::-1, ::-1, :],
        input_shape=lava_shape(in_shape),
        stride=convolution.stride[::-1],
        padding=(left, top),
        dilation=convolution.dilation[::-1],
        groups=convolution.groups,
    )


def scaled_to_int8(weight: Array, exponent: int) -> Array | None:
    """`weight * 2**exponent` as int8; None where that is not whole or does not fit."""
    if exponent < 0 and np.any(weight & ((1 << -exponent) - 1)):
        return None
    scaled = weight << exponent if exponent >= 0 else weight >> -exponent
    return scaled.astype(np.int8) if scaled.min() >= INT8[0] and scaled.max() <= INT8[1] else None


def as_convolution(synapses: Sequence[Synapse], in_shape: Shape) -> Conv2d | None:
    """The one convolution that equals a chain of maps on inputs of `in_shape`, where there is one.

    Sum pools, weights per channel and reshapes that are undone again are folded into the
    kernel, which grows; a fold that would differ at the edges is not made.

    Args:
        synapses: the chain, in order of application.
        in_shape: `(C, H, W)`.

    Returns:
        A `Conv2d` with int64 weights and the same padding on opposite sides, of a geometry
        that Lava's `Conv` can hold; None when the chain is no such convolution.
    """
    found: Conv2d | None = None
    shape, reshaped = in_shape, in_shape
    for synapse in synapses:
        out_shape = synapse.out_shape(reshaped)
        if not isinstance(synapse, Reshape):
            step = _single(synapse, shape) if reshaped == shape else None
            if step is not None and found is not None:
                step = _compose(found, step, in_shape, shape)
            if step is None:
                return None
            found, shape = step, out_shape
        reshaped = out_shape
    if reshaped != shape:
        return None
    return _symmetric(found or _identity(in_shape[0]), in_shape)


def _identity(channels: int) -> Conv2d:
    return Conv2d(np.ones((channels, 1, 1, 1), dtype=np.int64), groups=channels)


def _single(synapse: Synapse, in_shape: Shape) -> Conv2d | None:
    """One map as a convolution of int64 weights."""
    channels = in_shape[0]
    if isinstance(synapse, Conv2d):
        return replace(synapse, weight=synapse.weight.astype(np.int64))
    if isinstance(synapse, SumPool2d):
        ones = np.ones((channels, 1, *synapse.kernel), dtype=np.int64)
        return Conv2d(ones, stride=synapse.steps, padding=synapse.padding, groups=channels)
    if isinstance(synapse, OneToOne):
        weights = np.broadcast_to(synapse.weight, in_shape).astype(np.int64)
        if np.array_equal(weights, np.broadcast_to(weights[:, :1, :1], in_shape)):
            return Conv2d(weights[:, :1, :1].reshape(channels, 1, 1, 1), groups=channels)
    return None


def _compose(first: Conv2d, second: Conv2d, in_shape: Shape, mid_shape: Shape) -> Conv2d | None:
    """The convolution that does `first`, then `second`; None where one of them is not per channel or edges differ."""
    if not (_per_channel(first) or _per_channel(second)):
        return None
    out_shape = second.out_shape(mid_shape)
    for axis in (0, 1):
        if _edges_differ(first, second, axis, in_shape[axis + 1], mid_shape[axis + 1], out_shape[axis + 1]):
            return None
    kernel = _composed_kernel(first, second)
    stride = (first.stride[0] * second.stride[0], first.stride[1] * second.stride[1])
    padding = []
    for axis in (0, 1):
        before = first.padding[2 * axis] + second.padding[2 * axis] * first.stride[axis]
        reach = (out_shape[axis + 1] - 1) * stride[axis] + kernel.shape[axis + 2]
        padding += [before, max(0, reach - in_shape[axis + 1] - before)]
    groups = second.groups if _per_channel(first) else first.groups
    composed = Conv2d(kernel, stride, tuple(padding), groups=groups)
    return composed if _positions(composed, in_shape) == list(out_shape[1:]) else None


def _per_channel(convolution: Conv2d) -> bool:
    """Whether every channel is mapped to itself alone."""
    return (convolution.groups, 1) == convolution.weight.shape[:2]


def _edges_differ(first: Conv2d, second: Conv2d, axis: int, size: int, mid: int, out: int) -> bool:
    """Whether zeros that `second` pads `first`'s result with would become sums of inputs in the folded kernel."""
    outputs, taps = np.indices((out, second.weight.shape[axis + 2]))
    middle = outputs * second.stride[axis] - second.padding[2 * axis] + taps * second.dilation[axis]
    padded = middle[(middle < 0) | (middle >= mid)]
    taps_of_first = np.arange(first.weight.shape[axis + 2]) * first.dilation[axis]
    inputs = padded[:, None] * first.stride[axis] - first.padding[2 * axis] + taps_of_first
    return bool(np.any((inputs >= 0) & (inputs < size)))


def _composed_kernel(first: Conv2d, second: Conv2d) -> Array:
    """Weights `[C_out, C_in / groups, kh, kw]` of both convolutions in one, dilations spelled out as zeros."""
    spacing = [second.dilation[axis] * first.stride[axis] for axis in (0, 1)]
    inner = _spelled_out(first)
    size = [spacing[axis] * (second.weight.shape[axis + 2] - 1) + inner.shape[axis + 2] for axis in (0, 1)]
    if _per_channel(first):
        filters, depth = second.weight.shape[:2]
        group = np.arange(filters) // (filters // second.groups)
        inner = inner[group[:, None] * depth + np.arange(depth), 0]
    kernel = np.zeros((*np.broadcast_shapes(inner.shape[:2], second.weight.shape[:2]), *size), dtype=np.int64)
    for i, j in np.ndindex(*second.weight.shape[2:]):
        y, x = i * spacing[0], j * spacing[1]
        tap = second.weight[:, :, i, j, None, None]
        kernel[:, :, y : y + inner.shape[2], x : x + inner.shape[3]] += tap * inner
    return kernel


def _spelled_out(convolution: Conv2d) -> Array:
    """The weights with dilation as zeros between the taps."""
    *outer, height, width = convolution.weight.shape
    down, right = convolution.dilation
    spread = np.zeros((*outer, down * (height - 1) + 1, right * (width - 1) + 1), dtype=np.int64)
    spread[:, :, ::down, ::right] = convolution.weight
    return spread


def _symmetric(convolution: Conv2d, in_shape: Shape) -> Conv2d | None:
    """The same map with equal padding on opposite sides, as Lava's Conv has it, made up for by zero taps."""
    top, bottom, left, right = convolution.padding
    sides = (top, top, left, left)
    even = replace(convolution, padding=sides)
    if _positions(even, in_shape) != _positions(convolution, in_shape):
        wider = [(max(0, bottom - top), max(0, top - bottom)), (max(0, right - left), max(0, left - right))]
        rows, columns = max(top, bottom), max(left, right)
        kernel = np.pad(_spelled_out(convolution), [(0, 0), (0, 0), *wider])
        even = replace(convolution, weight=kernel, padding=(rows, rows, columns, columns), dilation=(1, 1))
    largest = max(*even.weight.shape[2:], *even.stride, *even.padding, *even.dilation, even.groups)
    return even if largest <= LARGEST_GEOMETRY else None


def _positions(convolution: Conv2d, in_shape: Shape) -> list[int]:
    """Height and width of the result; 0 and below where the kernel is larger than the padded image."""
    reach = _spelled_out(convolution).shape[2:]
    padded = [in_shape[axis + 1] + sum(convolution.padding[2 * axis : 2 * axis + 2]) for axis in (0, 1)]
    return [(padded[axis] - reach[axis]) // convolution.stride[axis] + 1 for axis in (0, 1)]
