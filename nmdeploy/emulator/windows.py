"""Where a spike's weights go: the tables by which the compiled kernels scatter.

A chain of an optional sum-pool and a convolution or dense layer is cut into the windows
of the pool. A window's spikes add rows of weights to a few runs of neighbouring
currents. Weights lie as [channel in][kernel y][kernel x][channel out], kernel columns in
the order in which outputs follow each other, so that one row of a kernel, over all its
outputs, is one run.

Neurons are counted channels last here: height, width, channel.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmdeploy.linear_maps import Pair
from nmdeploy.synapses import Conv2d, Dense, Reshape, Shape, SumPool2d, Synapse

Array = NDArray[Any]


@dataclass(frozen=True, eq=False)
class Axis:
    """One axis, vertical or horizontal.

    Attributes:
        spans: `[windows, 2]`, first and end row (or column) of the source in each window.
        first: `[windows + 1]`, where each window's runs begin in `runs`.
        runs: `[.., 2 or 3]`: first current, first weight, and horizontally the length.
    """

    spans: NDArray[np.int32]
    first: NDArray[np.int32]
    runs: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Windows:
    """A projection's chain as tables; see `nm_map` in kernels/nm.h.

    Attributes:
        channels, width: of the source (a dense layer without a pool sees one pixel).
        vertical, horizontal: the two axes.
        bit_weight: for each bit of a window's row, where its channel's weights begin.
        bit_current: the same for currents; None without channel groups.
        weights: int64, in the order described above.
        pool: the sum-pool in front, or None.
        synapse: the convolution or dense layer.
        column_order: the kernel column in each place of a row of weights.
    """

    channels: int
    width: int
    vertical: Axis
    horizontal: Axis
    bit_weight: NDArray[np.int32]
    bit_current: NDArray[np.int32] | None
    weights: Array
    pool: SumPool2d | None
    synapse: Conv2d | Dense
    column_order: NDArray[np.int64]

    @property
    def single(self) -> bool:
        """Whether every window is one neuron."""
        return self.channels == 1 and self.pool is None

    def column_window(self) -> NDArray[np.int32] | None:
        """For each column of the source its window, one beyond the last for none; None where windows overlap."""
        spans = self.horizontal.spans
        if np.any(spans[1:, 0] < spans[:-1, 1]):
            return None
        found = np.full(self.width, len(spans), np.int32)
        for window, (begin, end) in enumerate(spans):
            found[begin:end] = window
        return found


def channels_last(shape: Shape) -> NDArray[np.int64]:
    """For each neuron counted channels last, its number counted row-major (C, H, W)."""
    index = np.arange(int(np.prod(shape)))
    return index if len(shape) == 1 else index.reshape(shape).transpose(1, 2, 0).ravel()


def windows_of(chain: Sequence[Synapse], source: Shape, target: Shape) -> Windows | None:
    """The tables of a chain from a population of shape `source` to one of shape `target`; None for other chains."""
    first = chain[0] if chain else None
    pool = first if isinstance(first, SumPool2d) else None
    rest = chain if pool is None else chain[1:]
    shape = source if pool is None else pool.out_shape(source)
    if len(rest) == 1 and isinstance(rest[0], Conv2d):
        return _convolution(rest[0], pool, source, shape)
    layers = [synapse for synapse in rest if not isinstance(synapse, Reshape)]
    if len(layers) == 1 and isinstance(layers[0], Dense):
        return _dense(layers[0], pool, source, shape, target)
    return None


def _spans(pool: SumPool2d | None, windows: int, size: int, axis: int) -> NDArray[np.int32]:
    """First and end pixel of each window along an axis, cut at the image's edges."""
    kernel, stride, before = (
        (1, 1, 0) if pool is None else (pool.kernel[axis], pool.steps[axis], pool.padding[2 * axis])
    )
    begin = np.arange(windows) * stride - before
    return np.clip(np.stack((begin, begin + kernel), axis=1), 0, size).astype(np.int32)


def _bits(spans: NDArray[np.int32], channels: int) -> NDArray[np.int64]:
    """The channel of each bit of the longest window's row."""
    return np.tile(np.arange(channels), max(1, int((spans[:, 1] - spans[:, 0]).max())))


def _convolution(synapse: Conv2d, pool: SumPool2d | None, source: Shape, shape: Shape) -> Windows:
    filters, depth, kernel_h, kernel_w = synapse.weight.shape
    groups = synapse.groups
    share = filters // groups
    channels, height, width = shape
    _, out_h, out_w = synapse.out_shape(shape)
    order = kernel_columns(kernel_w, synapse.stride[1], synapse.dilation[1])
    weight = synapse.weight.reshape(groups, share, depth, kernel_h, kernel_w)[..., order]
    laid_out = np.ascontiguousarray(weight.transpose(0, 2, 3, 4, 1)).astype(np.int64)
    rows = _taps(height, out_h, kernel_h, synapse.stride[0], synapse.padding[0], synapse.dilation[0])
    columns = _taps(width, out_w, kernel_w, synapse.stride[1], synapse.padding[2], synapse.dilation[1])
    place = np.argsort(order)  # where each kernel column lies in a row
    y_runs = [[(y * out_w * filters, tap * kernel_w * share) for y, tap in taps] for taps in rows]
    x_runs = [_column_runs(taps, place, filters, share, merge=groups == 1) for taps in columns]
    spans = (_spans(pool, height, source[1], 0), _spans(pool, width, source[2], 1))
    channel = _bits(spans[1], channels)
    return Windows(
        channels,
        source[2],
        _axis(spans[0], y_runs, 2),
        _axis(spans[1], x_runs, 3),
        (channel * kernel_h * kernel_w * share).astype(np.int32),
        None if groups == 1 else (channel // depth * share).astype(np.int32),
        laid_out,
        pool,
        synapse,
        order,
    )


def kernel_columns(kernel: int, stride: int, dilation: int) -> NDArray[np.int64]:
    """The order of kernel columns in which those that one source column uses are neighbours.

    A source column x meets output column o through kernel column x + padding - o * stride
    (dilation 1): by phase of the stride, backwards. With dilation no two are neighbours.
    """
    index = np.arange(kernel)
    return index if dilation > 1 else np.lexsort((-index, index % stride))


def _taps(size: int, outputs: int, kernel: int, stride: int, before: int, dilation: int) -> list[list[tuple[int, int]]]:
    """For each source pixel along an axis: the (output, kernel tap) pairs that see it, by output."""
    found: list[list[tuple[int, int]]] = [[] for _ in range(size)]
    for output in range(outputs):
        for tap in range(kernel):
            pixel = output * stride - before + tap * dilation
            if 0 <= pixel < size:
                found[pixel].append((output, tap))
    return found


def _column_runs(
    taps: list[tuple[int, int]], place: NDArray[np.int64], filters: int, share: int, *, merge: bool
) -> list[tuple[int, int, int]]:
    """(first current, first weight, length) of one source column; neighbours in both join."""
    runs: list[tuple[int, int, int]] = []
    for output, tap in taps:
        current, weight = output * filters, int(place[tap]) * share
        if merge and runs and runs[-1][0] + runs[-1][2] == current and runs[-1][1] + runs[-1][2] == weight:
            runs[-1] = (*runs[-1][:2], runs[-1][2] + share)
        else:
            runs.append((current, weight, share))
    return runs


def _axis(spans: NDArray[np.int32], runs: Sequence[Sequence[tuple[int, ...]]], width: int) -> Axis:
    first = np.cumsum([0, *map(len, runs)]).astype(np.int32)
    flat = [run for window in runs for run in window]
    return Axis(np.ascontiguousarray(spans), first, np.array(flat, dtype=np.int64).reshape(-1, width))


def _dense(synapse: Dense, pool: SumPool2d | None, source: Shape, shape: Shape, target: Shape) -> Windows:
    outputs, inputs = synapse.weight.shape
    weight = synapse.weight[channels_last(target)].astype(np.int64)
    windows: Pair = (1, 1)
    spans = (np.array([[0, 1]], dtype=np.int32),) * 2
    channels, width = inputs, 1
    if pool is not None:
        channels, width, windows = shape[0], source[2], (shape[1], shape[2])
        spans = (_spans(pool, windows[0], source[1], 0), _spans(pool, windows[1], source[2], 1))
    laid_out = np.ascontiguousarray(weight[:, channels_last(shape)].T)
    row, step = windows[1] * channels * outputs, channels * outputs
    return Windows(
        channels,
        width,
        _axis(spans[0], [[(0, y * row)] for y in range(windows[0])], 2),
        _axis(spans[1], [[(0, x * step, outputs)] for x in range(windows[1])], 3),
        (_bits(spans[1], channels) * outputs).astype(np.int32),
        None,
        laid_out,
        pool,
        synapse,
        np.zeros(1, dtype=np.int64),
    )
