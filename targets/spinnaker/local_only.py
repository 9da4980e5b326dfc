"""Which synapses a spike reaches in sPyNNaker's convolution and pool-dense binaries, address by address.

`IF_curr_exp_conv.aplx` and `IF_curr_exp_pool_dense.aplx` of sPyNNaker 7.4.1 keep weights in the core and compute
targets from coordinates. Their rules, found by running their machine code, are stated here, so that it can be known
beforehand when they are the layer that was meant. sPyNNaker counts neurons row by row and writes pairs as
(x, y); here shapes and pairs are (vertical, horizontal), as everywhere in nmdeploy.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nmdeploy.errors import ShapeError
from nmdeploy.linear_maps import Array, Pair
from targets.spinnaker.fixed_point import Integers

_INT16_EDGE = 1 << 15


class Addresses(NamedTuple):
    """Synapses as three arrays of equal length.

    Attributes:
        source, target: neurons, counted row by row.
        weight: index of the weight in memory, counted from the kernel's first; it can lie beyond the kernel.
    """

    source: Integers
    target: Integers
    weight: Integers


def reciprocal_quotient(values: Array, divisor: int) -> Integers:
    """`div`: values / divisor by a 16-bit reciprocal, cut to 16 bits with sign.

    Equals floor division for 0 <= value < 65536; negative values give garbage for divisors above 1. The constants
    are those of sPyNNaker's `get_div_const` (Granlund & Montgomery, PLDI 1994).

    Args:
        values: integers of at most 32 bits.
        divisor: 1..65535.
    """
    bits = (divisor - 1).bit_length()
    factor = ((1 << 16) * ((1 << bits) - divisor)) // divisor + 1
    word = np.asarray(values, dtype=np.int64) & 0xFFFFFFFF
    high = (word * factor & 0xFFFFFFFF) >> 16
    quotient = (((word - high & 0xFFFFFFFF) >> min(bits, 1)) + high & 0xFFFFFFFF) >> max(bits - 1, 0)
    low: Integers = quotient & 0xFFFF
    return low - 2 * (low & _INT16_EDGE)


def connector_shape(pre_shape: Pair, kernel_shape: Pair, padding: Pair, stride: Pair, pool: Pair) -> Pair:
    """The shape that `ConvolutionConnector.get_post_shape` asks the target to have.

    With H = pre // pool: max((H - (k - 1) + 2 * padding) // stride, 1), one less than usual where stride divides
    H - k + 2 * padding and is above 1.
    """
    sizes = zip(pre_shape, _as_written(kernel_shape), padding, stride, pool, strict=True)
    height, width = (
        max((pre // pooled - (kernel - 1) + 2 * pad) // step, 1) for pre, kernel, pad, step, pooled in sizes
    )
    return height, width


def convolution_addresses(
    pre_shape: Pair, post_shape: Pair, kernel_shape: Pair, padding: Pair, stride: Pair, pool: Pair
) -> Addresses:
    """Every synapse that the convolution binary makes, for all source neurons.

    A spike of (y, x) goes to (c_y + r, c_x + c) with c_y = div(div(y, pool) - floor(kh / 2) + padding, stride)
    and r from -floor(kh / 2) to floor(kh / 2), both included; likewise for x. The weight's index is
    (r + floor(kh / 2)) * kw + (c + floor(kw / 2)). The host writes kh and kw exchanged.

    Args:
        pre_shape, post_shape: of the populations.
        kernel_shape: of the array handed to the connector.
        padding, stride, pool: of the connector; pooling has the stride of its window.
    """
    kernel_h, kernel_w = _as_written(kernel_shape)
    vertical = _axis(pre_shape[0], post_shape[0], kernel_h, padding[0], stride[0], pool[0])
    horizontal = _axis(pre_shape[1], post_shape[1], kernel_w, padding[1], stride[1], pool[1])
    return _combined(vertical, horizontal, (pre_shape[1], post_shape[1], kernel_w))


def _combined(vertical: Addresses, horizontal: Addresses, widths: tuple[int, int, int]) -> Addresses:
    """Synapses of maps from those along each axis; `widths` of source, target and kernel."""
    axes = zip(vertical, horizontal, widths, strict=True)
    return Addresses(*((rows[:, np.newaxis] * width + columns).ravel() for rows, columns, width in axes))


def _axis(pre: int, post: int, kernel: int, padding: int, stride: int, pool: int) -> Addresses:
    """Every reachable pair along one axis, with the tap of the kernel."""
    half = kernel // 2
    source = np.arange(pre)
    centre = reciprocal_quotient(reciprocal_quotient(source, pool) - half + padding, stride)
    offsets = np.arange(-half, half + 1)
    target = centre[:, None] + offsets
    inside = (target >= 0) & (target < post)
    every_source, every_tap = np.broadcast_arrays(source[:, None], offsets + half)
    return Addresses(every_source[inside], target[inside], every_tap[inside])


def _as_written(kernel_shape: Pair) -> Pair:
    """(kh, kw) as the host writes them: the first axis as the width."""
    return kernel_shape[1], kernel_shape[0]


def convolution_map(
    kernel: NDArray[np.integer], pre_shape: Pair, post_shape: Pair, padding: Pair, stride: Pair, pool: Pair
) -> Integers:
    """What one spike of each source neuron adds to each target's ring buffers.

    Args:
        kernel: raw weights, as handed to the connector; the memory behind them is taken as 0.
        pre_shape, post_shape, padding, stride, pool: as for `convolution_addresses`.

    Returns:
        `[pre height, pre width, post height, post width]`: above 0 excitatory, below 0 inhibitory.
    """
    source, target, index = convolution_addresses(pre_shape, post_shape, kernel.shape, padding, stride, pool)
    stored = np.zeros(max(int(index.max(initial=0)) + 1, kernel.size), dtype=np.int64)
    stored[: kernel.size] = kernel.ravel()
    added = np.zeros((pre_shape[0] * pre_shape[1], post_shape[0] * post_shape[1]), dtype=np.int64)
    added[source, target] = stored[index]
    return added.reshape(*pre_shape, *post_shape)


def connector_kernel(kernel: Array) -> Array:
    """A cross-correlation's `[kh, kw]` kernel (PyTorch, Keras) as the connector wants it: flipped on both axes."""
    return kernel[::-1, ::-1]


def is_plain_convolution(
    pre_shape: Pair, post_shape: Pair, kernel_shape: Pair, padding: Pair, stride: Pair, pool: Pair
) -> bool:
    """Whether the binary, given `connector_kernel`, computes the cross-correlation that was meant, at every address."""
    return departure_from_convolution(pre_shape, post_shape, kernel_shape, padding, stride, pool) is None


def departure_from_convolution(
    pre_shape: Pair, post_shape: Pair, kernel_shape: Pair, padding: Pair, stride: Pair, pool: Pair
) -> str | None:
    """Why the binary does not compute the layer that was meant; None where it does, at every address.

    The layer is a sum over `pool` windows (their size as stride, incomplete ones dropped) followed by a
    cross-correlation with zero `padding` on all sides.

    Args:
        pre_shape: `(height, width)` of the source's map.
        post_shape: of the target's map.
        kernel_shape: `(kh, kw)`.
        padding, stride, pool: (vertical, horizontal).

    Returns:
        The reason as a short sentence.
    """
    if kernel_shape[0] != kernel_shape[1]:
        return f"the kernel is {kernel_shape[0]}x{kernel_shape[1]}; only square kernels are read in their order"
    if kernel_shape[0] % 2 == 0:
        return f"the kernel is {kernel_shape[0]}x{kernel_shape[1]}; the chip would read beyond kernels of even size"
    if stride != (1, 1):
        return f"the stride is {stride[0]}x{stride[1]}; with a stride above 1 every spike would reach a whole kernel"
    asked = connector_shape(pre_shape, kernel_shape, padding, stride, pool)
    if asked != tuple(post_shape):
        return f"sPyNNaker wants a target of {asked[0]}x{asked[1]}, it has {post_shape[0]}x{post_shape[1]}"
    made = convolution_addresses(pre_shape, post_shape, kernel_shape, padding, stride, pool)
    meant = _meant(pre_shape, post_shape, kernel_shape, padding, pool)
    if not np.array_equal(_in_order(made), _in_order(meant)):
        return f"windows of {pool[0]}x{pool[1]} do not fill {pre_shape[0]}x{pre_shape[1]}: the chip would use the rest"
    return None


def _meant(pre_shape: Pair, post_shape: Pair, kernel_shape: Pair, padding: Pair, pool: Pair) -> Addresses:
    """Synapses of the layer that was meant, at stride 1, by the weights of the flipped kernel."""
    axes = []
    for pre, post, kernel, pad, window in zip(pre_shape, post_shape, kernel_shape, padding, pool, strict=True):
        source, target = np.meshgrid(np.arange(pre // window * window), np.arange(post), indexing="ij")
        tap = source // window - target + pad
        inside = (tap >= 0) & (tap < kernel)
        axes.append(Addresses(source[inside], target[inside], kernel - 1 - tap[inside]))
    return _combined(axes[0], axes[1], (pre_shape[1], post_shape[1], kernel_shape[1]))


def _in_order(addresses: Addresses) -> Integers:
    """Synapses as rows, sorted."""
    rows = np.stack(addresses)
    return rows[:, np.lexsort(rows)]


def pool_dense_rows(pre_shape: Pair, pool: Pair) -> Integers:
    """The row of the weight matrix that each source neuron uses: (x // pool) * (H // pool) + y // pool.

    Rows are counted column by column of the pooled map, unlike a flattened image.

    Args:
        pre_shape: `(height, width)` of the source's map.
        pool: (vertical, horizontal), the windows' stride too.

    Returns:
        `[height, width]`.

    Raises:
        ShapeError: where windows do not fill the map: what the binary does then has not been examined.
    """
    if pre_shape[0] % pool[0] or pre_shape[1] % pool[1]:
        raise ShapeError("pool windows must fill the map", where="pool-dense", found=pre_shape, limit=pool)
    y, x = np.indices(pre_shape)
    rows: Integers = (x // pool[1]) * (pre_shape[0] // pool[0]) + y // pool[0]
    return rows


def pool_dense_matrix(weights: Array) -> Array:
    """Dense weights `[outputs, height, width]` of one channel (pooled) as the connector wants them.

    Returns:
        `[width * height, outputs]`, rows as in `pool_dense_rows`.
    """
    return weights.transpose(2, 1, 0).reshape(-1, len(weights))


def pool_dense_map(matrix: NDArray[np.integer], pre_shape: Pair, pool: Pair) -> Integers:
    """What one spike of each source neuron adds to each output's ring buffers.

    Args:
        matrix: raw weights `[rows, outputs]`, as handed to the connector.
        pre_shape, pool: as for `pool_dense_rows`.

    Returns:
        `[height, width, outputs]`: above 0 excitatory, below 0 inhibitory.
    """
    return np.asarray(matrix[pool_dense_rows(pre_shape, pool)], dtype=np.int64)
