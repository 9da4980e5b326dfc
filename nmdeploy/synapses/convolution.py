"""Synapses with windows: convolution, transposed convolution, sum pooling."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from nmdeploy import linear_maps
from nmdeploy.errors import ShapeError
from nmdeploy.linear_maps import Array, Padding, Pair
from nmdeploy.synapses.base import Shape, Synapse, check_geometry, check_rank, check_weight, four_sides, pair


def _axis_pairs(
    size_in: int, size_out: int, kernel: int, stride: int, before: int, dilation: int
) -> tuple[Array, Array, Array]:
    """One axis of a convolution: all legal (output, tap, input) index triples."""
    outputs, taps = np.indices((size_out, kernel))
    inputs = outputs * stride - before + taps * dilation
    legal = (inputs >= 0) & (inputs < size_in)
    return outputs[legal], taps[legal], inputs[legal]


@dataclass(frozen=True, eq=False, repr=False)
class Conv2d(Synapse):
    """Cross-correlation with shared kernels (1-D is height 1); see `linear_maps.conv2d`.

    Attributes:
        weight: `[C_out, C_in // groups, kh, kw]`.
        stride, dilation: (vertical, horizontal); one number means both.
        padding: zeros at (top, bottom, left, right); one number or a pair as in torch.
        groups: channel groups; C_in for a depthwise layer.
    """

    kind: ClassVar[str] = "Conv2d"
    weight: Array
    stride: Pair = (1, 1)
    padding: Padding = (0, 0, 0, 0)
    dilation: Pair = (1, 1)
    groups: int = 1

    def __post_init__(self) -> None:
        check_weight(self.kind, self.weight, "(C_out, C_in/groups, kh, kw)")
        object.__setattr__(self, "stride", pair(self.stride))
        object.__setattr__(self, "dilation", pair(self.dilation))
        object.__setattr__(self, "padding", four_sides(self.padding))
        check_geometry(self, ("stride", "dilation", "groups"), ("padding",))
        if self.weight.shape[0] % self.groups:
            raise ShapeError(
                "Conv2d: output channels are no multiple of groups", found=self.weight.shape[0], limit=self.groups
            )
        super().__post_init__()

    def out_shape(self, in_shape: Shape) -> Shape:
        check_rank(self.kind, in_shape, 3)
        filters, depth, kernel_h, kernel_w = self.weight.shape
        if in_shape[0] != depth * self.groups:
            raise ShapeError("Conv2d: input channels differ", found=in_shape[0], limit=depth * self.groups)
        top, bottom, left, right = self.padding
        height = (in_shape[1] + top + bottom - self.dilation[0] * (kernel_h - 1) - 1) // self.stride[0] + 1
        width = (in_shape[2] + left + right - self.dilation[1] * (kernel_w - 1) - 1) // self.stride[1] + 1
        if height < 1 or width < 1:
            raise ShapeError(
                "Conv2d: the kernel is larger than the padded input", found=in_shape, limit=(kernel_h, kernel_w)
            )
        return (filters, height, width)

    def apply(self, values: Array) -> Array:
        return linear_maps.conv2d(values, self.weight, self.stride, self.padding, self.dilation, self.groups)

    def _axes(self, in_shape: Shape) -> tuple[tuple[Array, Array, Array], tuple[Array, Array, Array]]:
        _, height, width = self.out_shape(in_shape)
        _, _, kernel_h, kernel_w = self.weight.shape
        vertical = _axis_pairs(in_shape[1], height, kernel_h, self.stride[0], self.padding[0], self.dilation[0])
        horizontal = _axis_pairs(in_shape[2], width, kernel_w, self.stride[1], self.padding[2], self.dilation[1])
        return vertical, horizontal

    def entries(self, in_shape: Shape) -> tuple[Array, Array, Array]:
        filters, depth, _, _ = self.weight.shape
        (out_y, tap_y, in_y), (out_x, tap_x, in_x) = self._axes(in_shape)
        _, height, width = self.out_shape(in_shape)
        f, c, a, b = (index.ravel() for index in np.indices((filters, depth, len(out_y), len(out_x))))
        channel = f // (filters // self.groups) * depth + c
        rows = (f * height + out_y[a]) * width + out_x[b]
        columns = (channel * in_shape[1] + in_y[a]) * in_shape[2] + in_x[b]
        return rows, columns, self.weight[f, c, tap_y[a], tap_x[b]]

    def fan_out(self, in_shape: Shape) -> NDArray[np.int64]:
        (_, _, in_y), (_, _, in_x) = self._axes(in_shape)
        image = np.outer(np.bincount(in_y, minlength=in_shape[1]), np.bincount(in_x, minlength=in_shape[2]))
        per_position = image * (self.weight.shape[0] // self.groups)
        return np.broadcast_to(per_position, in_shape).astype(np.int64)


@dataclass(frozen=True, eq=False, repr=False)
class ConvTranspose2d(Synapse):
    """Transposed convolution; see `linear_maps.conv_transpose2d`.

    Attributes:
        weight: `[C_in, C_out // groups, kh, kw]`.
        stride, dilation: (vertical, horizontal).
        padding: rows and columns cut off at (top, bottom, left, right).
        output_padding: extra rows at the bottom, columns at the right.
        groups: channel groups.
    """

    kind: ClassVar[str] = "ConvTranspose2d"
    weight: Array
    stride: Pair = (1, 1)
    padding: Padding = (0, 0, 0, 0)
    output_padding: Pair = (0, 0)
    dilation: Pair = (1, 1)
    groups: int = 1

    def __post_init__(self) -> None:
        check_weight(self.kind, self.weight, "(C_in, C_out/groups, kh, kw)")
        for name in ("stride", "output_padding", "dilation"):
            object.__setattr__(self, name, pair(getattr(self, name)))
        object.__setattr__(self, "padding", four_sides(self.padding))
        check_geometry(self, ("stride", "dilation", "groups"), ("padding", "output_padding"))
        if self.weight.shape[0] % self.groups:
            raise ShapeError(
                "ConvTranspose2d: input channels are no multiple of groups",
                found=self.weight.shape[0],
                limit=self.groups,
            )
        super().__post_init__()

    def out_shape(self, in_shape: Shape) -> Shape:
        check_rank(self.kind, in_shape, 3)
        channels, depth, *kernel = self.weight.shape
        if in_shape[0] != channels:
            raise ShapeError("ConvTranspose2d: input channels differ", found=in_shape[0], limit=channels)
        cut = (self.padding[0] + self.padding[1], self.padding[2] + self.padding[3])
        sizes = [
            (in_shape[axis + 1] - 1) * self.stride[axis]
            + self.dilation[axis] * (kernel[axis] - 1)
            + 1
            + self.output_padding[axis]
            - cut[axis]
            for axis in (0, 1)
        ]
        if min(sizes) < 1:
            raise ShapeError("ConvTranspose2d: padding cuts everything off", found=in_shape)
        return (depth * self.groups, sizes[0], sizes[1])

    def apply(self, values: Array) -> Array:
        return linear_maps.conv_transpose2d(
            values, self.weight, self.stride, self.padding, self.output_padding, self.dilation, self.groups
        )

    def _axes(self, in_shape: Shape) -> tuple[tuple[Array, Array, Array], tuple[Array, Array, Array]]:
        # The transpose of a convolution: inputs and outputs trade places.
        _, height, width = self.out_shape(in_shape)
        _, _, kernel_h, kernel_w = self.weight.shape
        vertical = _axis_pairs(height, in_shape[1], kernel_h, self.stride[0], self.padding[0], self.dilation[0])
        horizontal = _axis_pairs(width, in_shape[2], kernel_w, self.stride[1], self.padding[2], self.dilation[1])
        return vertical, horizontal

    def entries(self, in_shape: Shape) -> tuple[Array, Array, Array]:
        channels, depth, _, _ = self.weight.shape
        (in_y, tap_y, out_y), (in_x, tap_x, out_x) = self._axes(in_shape)
        _, height, width = self.out_shape(in_shape)
        c, j, a, b = (index.ravel() for index in np.indices((channels, depth, len(in_y), len(in_x))))
        f = c // (channels // self.groups) * depth + j
        rows = (f * height + out_y[a]) * width + out_x[b]
        columns = (c * in_shape[1] + in_y[a]) * in_shape[2] + in_x[b]
        return rows, columns, self.weight[c, j, tap_y[a], tap_x[b]]

    def fan_out(self, in_shape: Shape) -> NDArray[np.int64]:
        (in_y, _, _), (in_x, _, _) = self._axes(in_shape)
        image = np.outer(np.bincount(in_y, minlength=in_shape[1]), np.bincount(in_x, minlength=in_shape[2]))
        return np.broadcast_to(image * self.weight.shape[1], in_shape).astype(np.int64)


@dataclass(frozen=True, eq=False, repr=False)
class SumPool2d(Synapse):
    """Sum of each channel's windows; average pooling is this with 1/area in the next weights.

    Attributes:
        kernel: (height, width) of the window.
        stride: (vertical, horizontal); None means the kernel.
        padding: zeros at (top, bottom, left, right).
    """

    kind: ClassVar[str] = "SumPool2d"
    kernel: Pair
    stride: Pair | None = None
    padding: Padding = (0, 0, 0, 0)

    def __post_init__(self) -> None:
        object.__setattr__(self, "kernel", pair(self.kernel))
        object.__setattr__(self, "stride", pair(self.kernel if self.stride is None else self.stride))
        object.__setattr__(self, "padding", four_sides(self.padding))
        check_geometry(self, ("kernel", "stride"), ("padding",))
        super().__post_init__()

    @property
    def steps(self) -> Pair:
        """The stride, never None."""
        return self.kernel if self.stride is None else self.stride

    def out_shape(self, in_shape: Shape) -> Shape:
        check_rank(self.kind, in_shape, 3)
        top, bottom, left, right = self.padding
        height = (in_shape[1] + top + bottom - self.kernel[0]) // self.steps[0] + 1
        width = (in_shape[2] + left + right - self.kernel[1]) // self.steps[1] + 1
        if height < 1 or width < 1:
            raise ShapeError("SumPool2d: the window is larger than the padded input", found=in_shape, limit=self.kernel)
        return (in_shape[0], height, width)

    def apply(self, values: Array) -> Array:
        return linear_maps.sum_pool2d(values, self.kernel, self.steps, self.padding)

    def _axes(self, in_shape: Shape) -> tuple[tuple[Array, Array, Array], tuple[Array, Array, Array]]:
        _, height, width = self.out_shape(in_shape)
        vertical = _axis_pairs(in_shape[1], height, self.kernel[0], self.steps[0], self.padding[0], 1)
        horizontal = _axis_pairs(in_shape[2], width, self.kernel[1], self.steps[1], self.padding[2], 1)
        return vertical, horizontal

    def entries(self, in_shape: Shape) -> tuple[Array, Array, Array]:
        (out_y, _, in_y), (out_x, _, in_x) = self._axes(in_shape)
        _, height, width = self.out_shape(in_shape)
        c, a, b = (index.ravel() for index in np.indices((in_shape[0], len(out_y), len(out_x))))
        rows = (c * height + out_y[a]) * width + out_x[b]
        columns = (c * in_shape[1] + in_y[a]) * in_shape[2] + in_x[b]
        return rows, columns, np.ones(len(rows), dtype=np.int8)

    def fan_out(self, in_shape: Shape) -> NDArray[np.int64]:
        (_, _, in_y), (_, _, in_x) = self._axes(in_shape)
        image = np.outer(np.bincount(in_y, minlength=in_shape[1]), np.bincount(in_x, minlength=in_shape[2]))
        return np.broadcast_to(image, in_shape).astype(np.int64)
