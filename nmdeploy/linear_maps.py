"""The linear maps of the IR as plain numpy functions, for integers and reals alike.

Layout: samples, channels, height, width. Integer operands are
multiplied and added in int64, real ones in their own type (through BLAS), so the
same function defines a layer for the reference emulator, the float network and
the imported ANN. Exactness of a float call on integers is the caller's to prove
(`quantize.bounds`).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

Array = NDArray[Any]
Pair = tuple[int, int]
Padding = tuple[int, int, int, int]
"""Zero padding as (top, bottom, left, right)."""

_COLUMN_BYTES = 1 << 26


def working_type(values: Array, weight: Array | None = None) -> np.dtype[Any]:
    """The type to compute in: int64 for integers, else the operands' common float type."""
    common = values.dtype if weight is None else np.result_type(values.dtype, weight.dtype)
    return np.dtype(np.int64) if common.kind in "iub" else common


def pad2d(images: Array, padding: Padding) -> Array:
    """Surround the last two axes with zeros."""
    top, bottom, left, right = padding
    if not any(padding):
        return images
    widths = [(0, 0)] * (images.ndim - 2) + [(top, bottom), (left, right)]
    return np.pad(images, widths)


def windows(images: Array, kernel: Pair, stride: Pair, dilation: Pair) -> Array:
    """All kernel windows of padded images: view `[N, C, H_out, W_out, kh, kw]`."""
    reach = tuple(d * (k - 1) + 1 for k, d in zip(kernel, dilation, strict=True))
    view = sliding_window_view(images, reach, axis=(-2, -1))
    return view[..., :: stride[0], :: stride[1], :: dilation[0], :: dilation[1]]


def conv2d(images: Array, weight: Array, stride: Pair, padding: Padding, dilation: Pair, groups: int) -> Array:
    """Cross-correlation as in `torch.nn.functional.conv2d`.

    out[f,y,x] = sum_{c,i,j} weight[f,c,i,j] * in[c, y*s - p + i*d, x*s - p + j*d]

    Args:
        images: `[N, C, H, W]`.
        weight: `[F, C // groups, kh, kw]`.
        stride, dilation: (vertical, horizontal).
        padding: zeros at (top, bottom, left, right).
        groups: number of channel groups.

    Returns:
        `[N, F, H_out, W_out]`.
    """
    kind = working_type(images, weight)
    filters, _, *kernel = weight.shape
    matrix = weight.astype(kind, copy=False).reshape(groups, filters // groups, -1)
    view = windows(pad2d(images, padding), (kernel[0], kernel[1]), stride, dilation)
    height, width = view.shape[2:4]
    out = np.empty((len(images), filters, height, width), dtype=kind)
    column_bytes = images.shape[1] * kernel[0] * kernel[1] * height * width * kind.itemsize
    chunk = max(1, _COLUMN_BYTES // max(1, column_bytes))
    for start in range(0, len(images), chunk):
        part = view[start : start + chunk]
        columns = part.transpose(1, 4, 5, 0, 2, 3).astype(kind).reshape(groups, matrix.shape[2], -1)
        product = np.matmul(matrix, columns).reshape(filters, len(part), height, width)
        out[start : start + chunk] = product.transpose(1, 0, 2, 3)
    return out


def conv_transpose2d(
    images: Array,
    weight: Array,
    stride: Pair,
    padding: Padding,
    output_padding: Pair,
    dilation: Pair,
    groups: int,
) -> Array:
    """Transposed convolution as in `torch.nn.functional.conv_transpose2d`.

    Every input pixel (y, x) adds weight[c,f,i,j] * in[c,y,x] at (y*s - p + i*d, x*s - p + j*d).

    Args:
        images: `[N, C, H, W]`.
        weight: `[C, F // groups, kh, kw]`.
        stride, dilation: (vertical, horizontal).
        padding: rows and columns cut off at (top, bottom, left, right).
        output_padding: extra rows at the bottom and columns at the right.
        groups: number of channel groups.

    Returns:
        `[N, F, H_out, W_out]`.
    """
    kind = working_type(images, weight)
    channels, depth, kernel_h, kernel_w = weight.shape
    count, _, height, width = images.shape
    grouped = images.astype(kind, copy=False).reshape(count, groups, channels // groups, height * width)
    taps = weight.astype(kind, copy=False).reshape(groups, channels // groups, depth, kernel_h, kernel_w)
    full_h = (height - 1) * stride[0] + dilation[0] * (kernel_h - 1) + 1 + output_padding[0]
    full_w = (width - 1) * stride[1] + dilation[1] * (kernel_w - 1) + 1 + output_padding[1]
    full = np.zeros((count, groups * depth, full_h, full_w), dtype=kind)
    for i in range(kernel_h):
        for j in range(kernel_w):
            part = np.matmul(taps[..., i, j].transpose(0, 2, 1), grouped)
            top, left = i * dilation[0], j * dilation[1]
            rows = slice(top, top + height * stride[0], stride[0])
            columns = slice(left, left + width * stride[1], stride[1])
            full[:, :, rows, columns] += part.reshape(count, groups * depth, height, width)
    top, bottom, left, right = padding
    return full[:, :, top : full_h - bottom, left : full_w - right]


def sum_pool2d(images: Array, kernel: Pair, stride: Pair, padding: Padding) -> Array:
    """Sum over windows of each channel; rows and columns that fill no window are dropped."""
    padded = pad2d(images, padding).astype(working_type(images), copy=False)
    height = (padded.shape[-2] - kernel[0]) // stride[0] + 1
    width = (padded.shape[-1] - kernel[1]) // stride[1] + 1
    out = np.zeros((*padded.shape[:-2], height, width), dtype=padded.dtype)
    for i in range(kernel[0]):
        for j in range(kernel[1]):
            rows = slice(i, i + (height - 1) * stride[0] + 1, stride[0])
            columns = slice(j, j + (width - 1) * stride[1] + 1, stride[1])
            out += padded[..., rows, columns]
    return out


def upsample2d(images: Array, factor: Pair) -> Array:
    """Repeat every pixel `factor` times (nearest neighbour)."""
    return images.repeat(factor[0], axis=-2).repeat(factor[1], axis=-1)
