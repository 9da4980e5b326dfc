"""Synapses without windows: dense, one-to-one, upsampling, reshaping."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from nmdeploy import linear_maps
from nmdeploy.errors import ShapeError
from nmdeploy.linear_maps import Array, Pair
from nmdeploy.synapses.base import Shape, Synapse, check_geometry, check_rank, check_weight, pair


@dataclass(frozen=True, eq=False, repr=False)
class Dense(Synapse):
    """Fully connected: out[o] = sum_i weight[o,i] * in[i].

    Attributes:
        weight: `[N_out, N_in]`.
    """

    kind: ClassVar[str] = "Dense"
    weight: Array

    def __post_init__(self) -> None:
        check_weight(self.kind, self.weight, "(N_out, N_in)")
        super().__post_init__()

    def out_shape(self, in_shape: Shape) -> Shape:
        check_rank(self.kind, in_shape, 1)
        if in_shape[0] != self.weight.shape[1]:
            raise ShapeError("Dense weights and input differ", found=in_shape[0], limit=self.weight.shape[1])
        return (self.weight.shape[0],)

    def apply(self, values: Array) -> Array:
        return linear_maps.product(values, self.weight.T)

    def entries(self, in_shape: Shape) -> tuple[Array, Array, Array]:
        outputs, inputs = np.indices(self.weight.shape)
        return outputs.ravel(), inputs.ravel(), self.weight.ravel()

    def fan_out(self, in_shape: Shape) -> NDArray[np.int64]:
        return np.full(in_shape, self.weight.shape[0], dtype=np.int64)


@dataclass(frozen=True, eq=False, repr=False)
class Upsample2d(Synapse):
    """Nearest-neighbour enlargement: every pixel repeated `factor` times.

    Attributes:
        factor: (vertical, horizontal).
    """

    kind: ClassVar[str] = "Upsample2d"
    factor: Pair

    def __post_init__(self) -> None:
        object.__setattr__(self, "factor", pair(self.factor))
        check_geometry(self, ("factor",), ())
        super().__post_init__()

    def out_shape(self, in_shape: Shape) -> Shape:
        check_rank(self.kind, in_shape, 3)
        return (in_shape[0], in_shape[1] * self.factor[0], in_shape[2] * self.factor[1])

    def apply(self, values: Array) -> Array:
        return linear_maps.upsample2d(values.astype(linear_maps.working_type(values), copy=False), self.factor)

    def entries(self, in_shape: Shape) -> tuple[Array, Array, Array]:
        out_shape = self.out_shape(in_shape)
        c, y, x = (index.ravel() for index in np.indices(out_shape))
        columns = (c * in_shape[1] + y // self.factor[0]) * in_shape[2] + x // self.factor[1]
        return np.arange(len(c)), columns, np.ones(len(c), dtype=np.int8)

    def fan_out(self, in_shape: Shape) -> NDArray[np.int64]:
        return np.full(in_shape, self.factor[0] * self.factor[1], dtype=np.int64)


@dataclass(frozen=True, eq=False, repr=False)
class OneToOne(Synapse):
    """Element by element: out = weight * in.

    Attributes:
        weight: broadcastable to the input: a single weight `(1,)`, per channel
            `(C, 1, 1)`, or one per neuron.
    """

    kind: ClassVar[str] = "OneToOne"
    weight: Array

    def __post_init__(self) -> None:
        object.__setattr__(self, "weight", np.atleast_1d(self.weight))
        super().__post_init__()

    def out_shape(self, in_shape: Shape) -> Shape:
        try:
            fits = np.broadcast_shapes(self.weight.shape, in_shape) == tuple(in_shape)
        except ValueError:
            fits = False
        if not fits:
            raise ShapeError("OneToOne weights do not broadcast to the input", found=self.weight.shape, limit=in_shape)
        return in_shape

    def apply(self, values: Array) -> Array:
        kind = linear_maps.working_type(values, self.weight)
        out: Array = values.astype(kind, copy=False) * self.weight.astype(kind, copy=False)
        return out

    def entries(self, in_shape: Shape) -> tuple[Array, Array, Array]:
        index = np.arange(math.prod(in_shape))
        return index, index, np.broadcast_to(self.weight, in_shape).ravel()

    def fan_out(self, in_shape: Shape) -> NDArray[np.int64]:
        return np.ones(in_shape, dtype=np.int64)


@dataclass(frozen=True, eq=False, repr=False)
class Reshape(Synapse):
    """The same values in another shape, row-major (C, H, W); flattening is `Reshape((N,))`.

    Attributes:
        shape: the output shape.
    """

    kind: ClassVar[str] = "Reshape"
    shape: Shape

    def __post_init__(self) -> None:
        object.__setattr__(self, "shape", tuple(int(size) for size in self.shape))
        super().__post_init__()

    def out_shape(self, in_shape: Shape) -> Shape:
        if math.prod(in_shape) != math.prod(self.shape):
            raise ShapeError("Reshape keeps the number of values", found=in_shape, limit=self.shape)
        return self.shape

    def apply(self, values: Array) -> Array:
        kind = linear_maps.working_type(values)
        return values.astype(kind, copy=False).reshape(len(values), *self.shape)

    def entries(self, in_shape: Shape) -> tuple[Array, Array, Array]:
        index = np.arange(math.prod(in_shape))
        return index, index, np.ones(len(index), dtype=np.int8)

    def fan_out(self, in_shape: Shape) -> NDArray[np.int64]:
        return np.ones(in_shape, dtype=np.int64)
