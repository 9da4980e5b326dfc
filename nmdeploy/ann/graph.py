"""The imported network: a graph of float operations, small enough to read.

Every linear layer, whatever framework it came from, is one `Linear`: a synapse of
the IR plus a bias. Batch-norm is a `OneToOne` per channel, average pooling a
`SumPool2d` followed by a `OneToOne` of 1/area, padding a depthwise identity
`Conv2d`, flattening a `Reshape`. What remains is what is not linear.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from nmdeploy.errors import ModelError, ShapeError
from nmdeploy.linear_maps import Array, Padding, Pair, windows
from nmdeploy.structure import Record
from nmdeploy.synapses import Shape, Synapse


class Operation(Record, ABC):
    """One float operation. Shapes are without the leading sample axis, in the IR's layout."""

    kind: ClassVar[str]

    @abstractmethod
    def out_shape(self, shapes: Sequence[Shape]) -> Shape:
        """Shape of the result for operands of these shapes; ShapeError if they do not fit."""

    @abstractmethod
    def run(self, operands: Sequence[Array]) -> Array:
        """The operation on arrays `[N, *shape]`."""


@dataclass(frozen=True, eq=False, repr=False)
class Source(Operation):
    """The network's input of a fixed shape."""

    kind: ClassVar[str] = "Source"
    shape: Shape

    def out_shape(self, shapes: Sequence[Shape]) -> Shape:
        return self.shape

    def run(self, operands: Sequence[Array]) -> Array:
        return operands[0]


@dataclass(frozen=True, eq=False, repr=False)
class Linear(Operation):
    """synapse(x) + bias.

    Attributes:
        synapse: the linear map.
        bias: broadcasts to the output shape, or None.
    """

    kind: ClassVar[str] = "Linear"
    synapse: Synapse
    bias: Array | None = None

    def out_shape(self, shapes: Sequence[Shape]) -> Shape:
        return self.synapse.out_shape(shapes[0])

    def run(self, operands: Sequence[Array]) -> Array:
        out = self.synapse.apply(operands[0])
        return out if self.bias is None else out + self.bias.astype(out.dtype, copy=False)


@dataclass(frozen=True, eq=False, repr=False)
class Rectify(Operation):
    """min(max(x, 0), maximum): ReLU, or ReLU6 and hardtanh with a maximum."""

    kind: ClassVar[str] = "Rectify"
    maximum: float | None = None

    def out_shape(self, shapes: Sequence[Shape]) -> Shape:
        return shapes[0]

    def run(self, operands: Sequence[Array]) -> Array:
        return np.clip(operands[0], 0, self.maximum)


@dataclass(frozen=True, eq=False, repr=False)
class MaxPool2d(Operation):
    """Maximum over windows of each channel; padding never wins."""

    kind: ClassVar[str] = "MaxPool2d"
    kernel: Pair
    stride: Pair
    padding: Padding = (0, 0, 0, 0)

    def out_shape(self, shapes: Sequence[Shape]) -> Shape:
        channels, height, width = shapes[0]
        rows = (height + self.padding[0] + self.padding[1] - self.kernel[0]) // self.stride[0] + 1
        columns = (width + self.padding[2] + self.padding[3] - self.kernel[1]) // self.stride[1] + 1
        return (channels, rows, columns)

    def run(self, operands: Sequence[Array]) -> Array:
        top, bottom, left, right = self.padding
        widths = [(0, 0), (0, 0), (top, bottom), (left, right)]
        padded = np.pad(operands[0], widths, constant_values=-np.inf)
        best: Array = windows(padded, self.kernel, self.stride, (1, 1)).max(axis=(-2, -1))
        return best


@dataclass(frozen=True, eq=False, repr=False)
class Add(Operation):
    """Sum of two or more operands of one shape."""

    kind: ClassVar[str] = "Add"

    def out_shape(self, shapes: Sequence[Shape]) -> Shape:
        if len(set(shapes)) != 1:
            raise ShapeError("operands of an addition differ in shape", found=tuple(shapes))
        return shapes[0]

    def run(self, operands: Sequence[Array]) -> Array:
        return sum(operands[1:], start=operands[0])


@dataclass(frozen=True, eq=False, repr=False)
class Concat(Operation):
    """Operands one behind the other along the channel (first) axis."""

    kind: ClassVar[str] = "Concat"

    def out_shape(self, shapes: Sequence[Shape]) -> Shape:
        if len({shape[1:] for shape in shapes}) != 1:
            raise ShapeError("operands of a concatenation differ beyond the channel axis", found=tuple(shapes))
        return (sum(shape[0] for shape in shapes), *shapes[0][1:])

    def run(self, operands: Sequence[Array]) -> Array:
        return np.concatenate(operands, axis=1)


@dataclass(frozen=True)
class Node:
    """One operation in its place.

    Attributes:
        name: unique, speaks of the layer (`conv1`, `blocks.0.relu`).
        operation: what is computed.
        inputs: names of the nodes it takes, in order.
        origin: where it stood in the imported model, for error messages.
    """

    name: str
    operation: Operation
    inputs: tuple[str, ...] = ()
    origin: str = ""


@dataclass(frozen=True)
class AnnGraph:
    """A trained float network, nodes in order of computation.

    Attributes:
        name: what reports call it.
        nodes: each after the nodes it takes.
        output: name of the node that is the result.
        notes: what the importer changed or dropped, one sentence each.
        shapes: shape of every node's result, without the sample axis (derived).

    Raises:
        ModelError: when names repeat, an operand is missing, or shapes do not fit.
    """

    name: str
    nodes: tuple[Node, ...]
    output: str
    notes: tuple[str, ...] = ()
    shapes: dict[str, Shape] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        for node in self.nodes:
            missing = [name for name in node.inputs if name not in self.shapes]
            if node.name in self.shapes or missing:
                reason = f"operand {missing[0]!r} does not come before it" if missing else "the name is used twice"
                raise ModelError(reason, where=node.name)
            try:
                self.shapes[node.name] = node.operation.out_shape([self.shapes[name] for name in node.inputs])
            except ShapeError as error:
                raise ModelError(str(error), where=node.origin or node.name) from error
        if self.output not in self.shapes:
            raise ModelError(f"the output {self.output!r} is no node", where=self.name)

    def __getitem__(self, name: str) -> Node:
        for node in self.nodes:
            if node.name == name:
                return node
        raise KeyError(name)

    @property
    def sources(self) -> tuple[Node, ...]:
        """The input nodes."""
        return tuple(node for node in self.nodes if isinstance(node.operation, Source))

    @property
    def size(self) -> int:
        """Number of weights and biases."""
        linear = [node.operation for node in self.nodes if isinstance(node.operation, Linear)]
        arrays = [array for op in linear for array in (op.synapse.weight, op.bias) if array is not None]
        return sum(math.prod(array.shape) for array in arrays)
