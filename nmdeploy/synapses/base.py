"""Synapse kinds: the linear maps a projection is made of.

Each kind states its map three ways that tests hold against each other: `apply`
(arrays in, arrays out), `matrix` (the unrolled sparse matrix, built from index
arithmetic alone) and `fan_out` (how many synapses one source spike drives).
"""

from __future__ import annotations

import dataclasses
import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from operator import index
from typing import TYPE_CHECKING, Any, ClassVar, cast

import numpy as np
from numpy.typing import NDArray

from nmdeploy import linear_maps
from nmdeploy.errors import ShapeError
from nmdeploy.linear_maps import Array, Padding, Pair
from nmdeploy.structure import Record

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

Shape = tuple[int, ...]


class Synapse(Record, ABC):
    """One linear map. Subclasses are frozen dataclasses of weights and geometry.

    Attributes:
        weight: the weights, or None for a kind that has none. Kinds with weights
            document their layout; dtype is any integer or float type.
    """

    kind: ClassVar[str]
    weight: Array | None = None

    @abstractmethod
    def out_shape(self, in_shape: Shape) -> Shape:
        """Shape of the output (without leading axes) for an input of `in_shape`.

        Raises:
            ShapeError: if the kind cannot take `in_shape`.
        """

    @abstractmethod
    def apply(self, values: Array) -> Array:
        """Map `[N, *in_shape]` to `[N, *out_shape]`; integers stay integers (int64)."""

    @abstractmethod
    def entries(self, in_shape: Shape) -> tuple[Array, Array, Array]:
        """The matrix's entries: (flat output index, flat input index, weight), one per synapse."""

    @abstractmethod
    def fan_out(self, in_shape: Shape) -> NDArray[np.int64]:
        """Synapses driven by one spike of each source, `[*in_shape]`; zero weights count."""

    def matrix(self, in_shape: Shape) -> csr_matrix:
        """The map as a sparse matrix `[prod(out_shape), prod(in_shape)]`, row-major indices."""
        from scipy.sparse import csr_matrix

        rows, columns, weights = self.entries(in_shape)
        size = (math.prod(self.out_shape(in_shape)), math.prod(in_shape))
        kind = linear_maps.working_type(weights)
        return csr_matrix((weights.astype(kind), (rows, columns)), shape=size)

    def with_weight(self, weight: Array) -> Synapse:
        """The same geometry with other weights of the same shape."""
        if self.weight is None or weight.shape != self.weight.shape:
            raise ShapeError(f"{self.kind} cannot take weights of shape {weight.shape}")
        return cast(Synapse, dataclasses.replace(cast(Any, self), weight=weight))

    def __post_init__(self) -> None:
        self.freeze_arrays()


def check_rank(kind: str, in_shape: Shape, rank: int) -> None:
    """Raise ShapeError unless `in_shape` has `rank` axes."""
    if len(in_shape) != rank:
        words = {1: "(N,)", 3: "(C, H, W)"}[rank]
        raise ShapeError(f"{kind} takes {words}", found=in_shape)


def check_weight(kind: str, weight: Array, layout: str) -> None:
    """Raise ShapeError unless the weights have the axes that `layout` names."""
    if weight.ndim != layout.count(",") + 1 or 0 in weight.shape:
        raise ShapeError(f"{kind} weights are {layout}, none of them empty", found=weight.shape)


def pair(value: int | Sequence[int]) -> Pair:
    """One number, or (vertical, horizontal), as (vertical, horizontal)."""
    parts = _whole_numbers(value)
    if len(parts) not in (1, 2):
        raise ShapeError("a size is one number or (vertical, horizontal)", found=value)
    return (parts[0], parts[-1])


def four_sides(value: int | Sequence[int]) -> Padding:
    """Padding given as one number, a pair or four, as (top, bottom, left, right)."""
    parts = _whole_numbers(value)
    if len(parts) == 4:
        return (parts[0], parts[1], parts[2], parts[3])
    if len(parts) not in (1, 2):
        raise ShapeError("padding is one number, (vertical, horizontal) or (top, bottom, left, right)", found=value)
    return (parts[0], parts[0], parts[-1], parts[-1])


def _whole_numbers(value: int | Sequence[int]) -> tuple[int, ...]:
    parts = tuple(value) if isinstance(value, Sequence) else (value,)
    try:
        return tuple(index(part) for part in parts)
    except TypeError as error:
        raise ShapeError("sizes, strides and padding are whole numbers", found=value) from error


def check_geometry(synapse: Synapse, positive: tuple[str, ...], non_negative: tuple[str, ...]) -> None:
    """Raise ShapeError for a named field below 1 (`positive`) or below 0 (`non_negative`)."""
    for names, least in ((positive, 1), (non_negative, 0)):
        for name in names:
            value = getattr(synapse, name)
            if any(part < least for part in (value if isinstance(value, tuple) else (value,))):
                raise ShapeError(f"{synapse.kind}: {name} is at least {least}", found=value)
