"""The linear maps of the IR as plain numpy functions, for integers and reals alike.

Layout: samples, channels, height, width. Integer operands give the int64 result,
real ones are computed in their own type, so the same function defines a layer for
the reference emulator, the float network and the imported ANN. That an integer
result fits int64 is the caller's to prove (`quantize.bounds`).
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

# Unrolled windows of this size stay in the processor's cache.
_COLUMN_BYTES = 1 << 22
# Up to here every integer is a float64 (53-bit significand, IEEE 754).
_EXACT_IN_FLOAT64 = 1 << 53


def working_type(values: Array, weight: Array | None = None) -> np.dtype[Any]:
    """The type to compute in: int64 for integers, else the operands' common float type."""
    common = values.dtype if weight is None else np.result_type(values.dtype, weight.dtype)
    return np.dtype(np.int64) if common.kind in "iub" else common


def product_type(left: Array, right: Array, terms: int) -> np.dtype[Any]:
    """The type to multiply and sum `terms` pairs in without changing the result.

    numpy multiplies integer matrices without BLAS, some thirty times slower than
    float64. Where no partial sum can leave the integers that float64 holds exactly,
    float64 gives the same integers.
    """
    kind = working_type(left, right)
    if kind != np.int64:
        return kind
    largest = [max(abs(int(part.min(initial=0))), abs(int(part.max(initial=0)))) for part in (left, right)]
    return np.dtype(np.float64) if terms * largest[0] * largest[1] <= _EXACT_IN_FLOAT64 else kind


def product(left: Array, right: Array) -> Array:
    """The matrix product `left @ right`, of integers as int64."""
    kind = product_type(left, right, left.shape[-1])
    out: Array = np.matmul(left.astype(kind, copy=False), right.astype(kind, copy=False))
    return out.astype(working_type(left, right), copy=False)


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
    filters, depth, kernel_h, kernel_w = weight.shape
    terms = depth * kernel_h * kernel_w
    kind = product_type(images, weight, terms)
    matrix = weight.astype(kind, copy=False).reshape(groups, filters // groups, terms)
    view = windows(pad2d(images, padding), (kernel_h, kernel_w), stride, dilation).transpose(0, 1, 4, 5, 2, 3)
    height, width = view.shape[-2:]
    out = np.empty((len(images), groups, filters // groups, height * width), dtype=kind)
    chunk = max(1, _COLUMN_BYTES // max(1, groups * terms * height * width * kind.itemsize))
    for start in range(0, len(images), chunk):
        columns = view[start : start + chunk].astype(kind, order="C").reshape(-1, groups, terms, height * width)
        np.matmul(matrix, columns, out=out[start : start + chunk])
    return out.reshape(len(images), filters, height, width).astype(working_type(images, weight), copy=False)


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
    channels, depth, kernel_h, kernel_w = weight.shape
    count, _, height, width = images.shape
    grouped = images.reshape(count, groups, channels // groups, height * width)
    taps = weight.reshape(groups, channels // groups, depth, kernel_h, kernel_w)
    full_h = (height - 1) * stride[0] + dilation[0] * (kernel_h - 1) + 1 + output_padding[0]
    full_w = (width - 1) * stride[1] + dilation[1] * (kernel_w - 1) + 1 + output_padding[1]
    full = np.zeros((count, groups * depth, full_h, full_w), dtype=working_type(images, weight))
    for i in range(kernel_h):
        for j in range(kernel_w):
            part = product(taps[..., i, j].transpose(0, 2, 1), grouped)
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
