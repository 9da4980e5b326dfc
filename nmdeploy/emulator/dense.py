"""Many spikes in a step: the dense kernel's weights, and from how many spikes on it is used; `narrow` currents."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmdeploy.emulator.widths import INT16_LARGEST
from nmdeploy.emulator.windows import Windows
from nmdeploy.linear_maps import Pair
from nmdeploy.synapses import Conv2d, Dense

Array = NDArray[Any]
INT8_LARGEST = 127
OUTPUTS = 8
"""Output channels in one block of dense weights."""
PAIR = 2
"""Blocks that are computed together, whose weights lie side by side."""
QUAD = 4
"""Input bytes that one instruction multiplies for each channel."""
CHUNK = 4
"""Steps of a population that are computed at once, where that pays."""
LARGEST_SORTED = 1 << 18
"""Weights of the largest layer that is sorted for a tight bound."""


@dataclass(frozen=True, eq=False)
class DensePlan:
    """The dense alternative of a window map.

    Attributes:
        fields: of nm_map.
        weights: int8 `[pairs, kernel rows, quads, 2 blocks, 8 channels, 4]`.
        plane, bytes: scratch, in bytes.
    """

    fields: dict[str, int]
    weights: NDArray[np.int8]
    plane: int
    bytes: int


def plan_dense(windows: Windows, weights: Array, width: int) -> DensePlan | None:
    """The dense alternative of a convolution or a dense layer; None where there is none.

    Args:
        windows: the layer's tables.
        weights: as they are added, `[channels in, kernel y, kernel x, channels out]`
            with kernel columns in the windows' order.
        width: bits of the currents.
    """
    layer, pool = windows.synapse, windows.pool
    area = 1 if pool is None else pool.kernel[0] * pool.kernel[1]
    largest = int(np.abs(weights).max())
    pair = 2 * area * largest  # what two products add up to at most
    if area > INT8_LARGEST or largest > INT8_LARGEST or pair > INT16_LARGEST or largest == 0:
        return None
    if isinstance(layer, Dense):
        return _timed(windows, weights) if width == 16 and pool is None else None
    if layer.groups > 1 or layer.dilation[1] > 1:
        return None
    filters, channels, kernel_h, kernel_w = layer.weight.shape
    image = (len(windows.vertical.spans), len(windows.horizontal.spans))
    out = layer.out_shape((channels, *image))[1:]
    plane = _plane(layer, image, out)
    in_order = np.empty_like(weights.reshape(channels, kernel_h, kernel_w, filters))
    in_order[:, :, windows.column_order] = weights.reshape(in_order.shape)
    laid_out = _paired(in_order)
    # Sums that are proven to fit need no flush.
    flush = kernel_h * laid_out.shape[2] if width == 16 else INT16_LARGEST // pair
    fields = {
        **_weight_fields(laid_out, filters, flush),
        "plane_height": plane[0],
        "plane_width": plane[1],
        "top": layer.padding[0],
        "left": layer.padding[2],
        "stride_y": layer.stride[0],
        "stride_x": layer.stride[1],
        "dilation_y": layer.dilation[0],
        "out_height": out[0],
        "out_width": out[1],
        "out_channels": filters,
        "dense_above": _break_even(windows, laid_out, filters, out),
    }
    row = windows.width * channels
    return DensePlan(fields, laid_out, plane[0] * plane[1] * channels, row)


def _timed(windows: Windows, weights: Array) -> DensePlan:
    """A dense layer as a convolution of one pixel over an image whose pixels are steps, `CHUNK` at most."""
    channels, filters = weights.shape
    laid_out = _paired(weights.reshape(channels, 1, 1, filters))
    fields = {
        **_weight_fields(laid_out, filters, laid_out.shape[2]),
        "plane_height": 1,
        "plane_width": CHUNK,
        "stride_y": 1,
        "stride_x": 1,
        "dilation_y": 1,
        "out_height": 1,
        "timed": 1,
        "dense_above": _break_even(windows, laid_out, filters, (1, 1)),
    }
    return DensePlan(fields, laid_out, CHUNK * channels, 0)


def _weight_fields(laid_out: NDArray[np.int8], filters: int, flush: int) -> dict[str, int]:
    kernel_h, quads = laid_out.shape[1:3]
    return {"dense_blocks": -(-filters // OUTPUTS), "dense_rows": kernel_h, "dense_quads": quads, "flush": flush}


def _plane(layer: Conv2d, image: Pair, out: tuple[int, ...]) -> Pair:
    """Height and width of the padded image, which holds every pixel that the kernel meets."""
    sizes = []
    for axis in (0, 1):
        reach = (out[axis] - 1) * layer.stride[axis] + (layer.weight.shape[2 + axis] - 1) * layer.dilation[axis] + 1
        sizes.append(max(reach, layer.padding[2 * axis] + image[axis]))
    return sizes[0], sizes[1]


def _paired(weights: Array) -> NDArray[np.int8]:
    """`[channels, kh, kw, filters]` as `[pairs, kh, quads, 2, 8, 4]`, filled up with zeros."""
    channels, kernel_h, kernel_w, filters = weights.shape
    length = kernel_w * channels
    pairs, quads = -(-filters // (PAIR * OUTPUTS)), -(-length // QUAD)
    rows = np.zeros((kernel_h, quads * QUAD, pairs * PAIR * OUTPUTS), np.int8)
    rows[:, :length, :filters] = weights.transpose(1, 2, 0, 3).reshape(kernel_h, length, filters)
    split = rows.reshape(kernel_h, quads, QUAD, pairs, PAIR, OUTPUTS)
    return np.ascontiguousarray(split.transpose(3, 0, 1, 4, 5, 2))


PRODUCT, TILE_ROW, PLANE_BYTE = 0.36, 6.0, 0.1
SPIKE, ROW, ADD, STORE = 3.0, 1.0, 0.6, 1.1
"""Rough costs, in nanoseconds, fitted to layers of the sinabs MNIST CNN on an AMD EPYC (Zen 3) machine.

One multiply-add of 32 products, one kernel row of a tile, one byte of the plane; listing a spike, and
for it one row, one register of weights; loading and storing one register. They choose between two
kernels with the same result, so an error (as on NEON, never timed) costs time, nothing else."""


def _break_even(windows: Windows, laid_out: Array, filters: int, out: tuple[int, ...]) -> int:
    """Spikes in a step from which on the dense kernel is the faster one."""
    blocks, (kernel_h, quads) = -(-filters // OUTPUTS), laid_out.shape[1:3]
    tile_rows = -(-blocks // 2) * kernel_h * out[0] * -(-out[1] // 4)
    heights = windows.vertical.spans[:, 1] - windows.vertical.spans[:, 0]
    plane = int(heights.sum()) * windows.width * windows.channels
    dense = PRODUCT * blocks * kernel_h * quads * out[0] * out[1] + TILE_ROW * tile_rows + PLANE_BYTE * plane
    positions = len(windows.vertical.spans) * len(windows.horizontal.spans)
    rows = len(windows.vertical.runs) / len(windows.vertical.spans)
    registers = float(np.sum(-(-windows.horizontal.runs[:, 2] // 16))) / len(windows.horizontal.spans)
    spike, window = SPIKE + rows * (ROW + registers * ADD), rows * registers * STORE
    if dense < positions * (spike + window):  # about one spike in a window
        return int(dense / (spike + window))
    return int((dense - positions * window) / spike)


def plan_narrow(windows: Windows, weights: Array) -> dict[str, int]:
    """Up to how many spikes in an output's sight 16-bit currents hold, and how far it sees.

    However n spikes fall, no sum is larger than the n largest weights of one sign of
    one output, each counted as often as the pool has neurons.
    """
    layer, pool = windows.synapse, windows.pool
    area = 1 if pool is None else pool.kernel[0] * pool.kernel[1]
    positions = (len(windows.vertical.spans), len(windows.horizontal.spans))
    reach = positions
    if isinstance(layer, Conv2d):
        extents = [(k - 1) * d + 1 for k, d in zip(layer.weight.shape[2:], layer.dilation, strict=True)]
        reach = (extents[0], extents[1])
    by_output = weights.reshape(-1, weights.shape[-1])
    narrow = _spikes_within(by_output, area) if weights.size <= LARGEST_SORTED else 0
    simple = INT16_LARGEST // max(1, int(np.abs(weights).max()))
    return {"narrow": max(narrow, simple), "reach_y": reach[0], "reach_x": reach[1]}


def _spikes_within(weights: Array, area: int) -> int:
    """How many of the largest weights `[inputs, outputs]` of each sign, `area` of each, add up within 16 bits."""
    most: int = weights.shape[0] * area
    for signed in (weights, -weights):
        falling = np.sort(np.maximum(signed, 0), axis=0)[::-1]
        sums = area * np.cumsum(falling, axis=0)
        whole = (sums <= INT16_LARGEST).sum(axis=0)
        for output in np.flatnonzero(whole < len(falling)):
            below = int(sums[whole[output] - 1, output]) if whole[output] else 0
            part = (INT16_LARGEST - below) // int(falling[whole[output], output])
            most = min(most, int(whole[output]) * area + part)
    return most
