"""Chains of linear maps in the chip's terms: pooling (of the source's destination), then one convolution.

A core convolves a map (features, y, x). A dense layer is a convolution whose kernel is the
whole map, in the order feature, y, x that flattening has; a connection without
weights is a convolution of 1x1.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from nmdeploy.convert.merging import channel_factors, is_weighted
from nmdeploy.linear_maps import Array
from nmdeploy.synapses import Conv2d, Dense, OneToOne, Reshape, Shape, SumPool2d, Synapse

Chain = tuple[Synapse, ...]


class Inexpressible(Exception):
    """A chain that the chip's cores cannot carry out: a code and the parts of a violation."""

    def __init__(self, code: str, message: str, found: object = None, limit: object = None, hint: str | None = None):
        super().__init__(message)
        self.code, self.message, self.hint = code, message, hint
        self.found = found if found is None else str(found)
        self.limit = limit if limit is None else str(limit)


@dataclass(frozen=True)
class Origin:
    """Where a chain starts.

    Attributes:
        view: the shape that the chain takes, `(C, H, W)` or `(N,)`.
        laid: the same neurons as the chip has them, `(C, H, W)`, in the same row-major order.
        is_input: whether it is an input, which keeps its shape.
        free: whether the host may address it as any map (an input that no other chain reads).
        kernel: the largest kernel of the chip.
        channels: the most channels of the chip.
    """

    view: Shape
    laid: Shape
    is_input: bool
    free: bool
    kernel: int
    channels: int


def convolution(chain: Chain, origin: Origin) -> tuple[Chain, Shape]:
    """A chain as (reshape of an input's addresses, pooling, convolution), the first two only where there are any.

    Returns:
        The chain, which starts from `origin.laid` (an input's from its own shape), and the
        shape it ends in.

    Raises:
        Inexpressible: naming what the chip cannot do.
    """
    found = _Walk(origin)
    for synapse in chain:
        found.take(synapse)
    return found.finished()


class _Walk:
    """What a chain has come to, synapse by synapse.

    Attributes:
        view: the shape that the next synapse takes.
        laid: the map as the chip has it.
        pool: pixels that are summed, of all pools so far.
        conv: the convolution, once the weights have come.
        addresses: the map that the source's events are addressed as.
    """

    def __init__(self, origin: Origin) -> None:
        self.origin, self.view, self.laid = origin, origin.view, origin.laid
        self.pools: list[SumPool2d] = []
        self.conv: Conv2d | None = None
        self.addresses = origin.laid

    def take(self, synapse: Synapse) -> None:
        """Go on by one synapse."""
        after = synapse.out_shape(self.view)
        if isinstance(synapse, Reshape):
            self.view = after
            return
        if self.conv is not None:
            self._refuse_behind_weights(synapse)
        match synapse:
            case SumPool2d():
                self._lay_out(synapse.kind)
                self._pool(synapse)
            case Conv2d():
                self._lay_out(synapse.kind)
                self.conv = synapse
            case Dense():
                self.conv = self._whole_map(synapse.weight)
            case OneToOne():
                self.conv = self._pixelwise(synapse)
            case _:
                hint = "use convolutions of stride 1 or more, pooling and dense layers"
                raise Inexpressible("DYN120", "the chip's cores convolve and pool only", synapse.kind, None, hint)
        self.view = after
        self.laid = after if self.conv is None else self.conv.out_shape(self.laid)

    def finished(self) -> tuple[Chain, Shape]:
        """The chain and the shape it ends in; one without weights gets a 1x1 convolution of weight 1."""
        conv = self.conv
        if conv is None:
            conv = self._pixelwise(OneToOne(np.ones(1, dtype=np.int8)))
        begin = self.origin.view if self.origin.is_input else self.origin.laid
        reshape = () if self.addresses == begin else (Reshape(self.addresses),)
        return (*reshape, *self.pools, conv), self.laid

    def _refuse_behind_weights(self, synapse: Synapse) -> None:
        if is_weighted(synapse):
            hint = "multiply the maps into one (nmdeploy's conversion does), or put neurons between them"
            raise Inexpressible("DYN121", "several maps with weights between two populations", synapse.kind, 1, hint)
        hint = "pool behind the neurons, or convolve with a larger stride"
        raise Inexpressible("DYN122", "a core has neurons right behind its convolution", synapse.kind, None, hint)

    def _lay_out(self, kind: str) -> None:
        """Make the chip's map the one that a convolution or pool works on."""
        if self.laid == self.view:
            return
        if self.origin.free and not self.pools:
            self.addresses = self.laid = self.view
            return
        hint = "give the layer in front of it this shape by a convolution"
        raise Inexpressible("DYN123", f"{kind} on neurons that have another arrangement", self.laid, self.view, hint)

    def _pool(self, pool: SumPool2d) -> None:
        """Pools in a row that tile their maps are one, of the product of their sizes."""
        last = self.pools[-1] if self.pools else None
        if last is not None and _tiles(last) and _tiles(pool):
            joined = (last.kernel[0] * pool.kernel[0], last.kernel[1] * pool.kernel[1])
            self.pools[-1] = SumPool2d(joined)
        elif pool.kernel != (1, 1) or not _tiles(pool):
            self.pools.append(pool)

    def _whole_map(self, weight: Array) -> Conv2d:
        """A dense layer as a convolution with a kernel as large as the map."""
        fits = self.laid[1] == self.laid[2] <= self.origin.kernel
        pixels = math.prod(self.laid)
        if not fits and self.origin.free and not self.pools and pixels <= self.origin.channels:
            self.addresses = self.laid = (pixels, 1, 1)
        return Conv2d(weight.reshape(len(weight), *self.laid))

    def _pixelwise(self, scale: OneToOne) -> Conv2d:
        """Factors of channels as a 1x1 convolution."""
        factors = channel_factors(OneToOne(np.broadcast_to(scale.weight, self.view).reshape(self.laid)), self.laid)
        if factors is None:
            hint = "use one weight for each channel"
            message = "one-to-one weights that differ within a channel"
            raise Inexpressible("DYN124", message, f"weights {scale.weight.shape}", None, hint)
        if len(factors) > self.origin.channels:
            message = "a one-to-one connection needs a channel for each of its neurons"
            raise Inexpressible("DYN126", message, len(factors), self.origin.channels, "use maps with fewer channels")
        weight = np.zeros((len(factors), len(factors), 1, 1), dtype=factors.dtype)
        weight[np.arange(len(factors)), np.arange(len(factors)), 0, 0] = factors
        return Conv2d(weight)


def _tiles(pool: SumPool2d) -> bool:
    """Whether windows neither overlap nor leave gaps nor reach beyond the map."""
    return pool.kernel == pool.steps and not any(pool.padding)


def with_one_geometry(chains: list[Chain]) -> list[Chain]:
    """Convolutions into one population with kernels of one size, padding and stride, where zeros can make them so.

    All sources of a core meet the same kernel geometry; a smaller kernel becomes a larger
    one with zeros around it. Where that is not possible the chains stay as they are.
    """
    convs: list[Any] = [chain[-1] for chain in chains]
    largest = max(convs, key=lambda conv: conv.weight.shape[2:])
    widened = [_embedded(conv, largest) for conv in convs]
    return [chain if conv is None else (*chain[:-1], conv) for chain, conv in zip(chains, widened, strict=True)]


def _embedded(conv: Conv2d, model: Conv2d) -> Conv2d | None:
    """The convolution with zeros around its kernel, so that kernel and padding are the model's; None if impossible."""
    plain = conv.groups == model.groups == 1 and conv.dilation == model.dilation == (1, 1)
    if not plain or conv.stride != model.stride:
        return None
    before = (model.padding[0] - conv.padding[0], model.padding[2] - conv.padding[2])
    room = tuple(model.weight.shape[axis + 2] - conv.weight.shape[axis + 2] - before[axis] for axis in (0, 1))
    after = (model.padding[1] - conv.padding[1], model.padding[3] - conv.padding[3])
    if min(*before, *room) < 0 or room != after:
        return None
    zeros = ((0, 0), (0, 0), (before[0], room[0]), (before[1], room[1]))
    return replace(conv, weight=np.pad(conv.weight, zeros), padding=model.padding)
