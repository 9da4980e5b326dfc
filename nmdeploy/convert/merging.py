"""Rules that make a chain of linear maps shorter without changing the map.

A chain is read in order of application. A rule gets the rest of a chain and the shape
that enters it, and returns an equal chain, or None where it does not apply. No
linear map of the IR has an offset, so zero padding, pooling, enlarging and reshaping
commute with a factor per channel, borders included.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import TypeGuard

import numpy as np

from nmdeploy.linear_maps import Array
from nmdeploy.synapses import (
    Conv2d,
    ConvTranspose2d,
    Dense,
    OneToOne,
    Reshape,
    Shape,
    SumPool2d,
    Synapse,
    Upsample2d,
)

Chain = tuple[Synapse, ...]
Rule = Callable[[Chain, Shape], Chain | None]


def is_pointwise(synapse: Synapse) -> TypeGuard[Conv2d]:
    """Whether the map is a 1x1 convolution of stride 1; it may pad."""
    return isinstance(synapse, Conv2d) and synapse.weight.shape[2:] == (1, 1) and synapse.stride == (1, 1)


def is_diagonal(synapse: Synapse) -> TypeGuard[Conv2d]:
    """Whether the map is a 1x1 convolution with one factor for each channel; it may pad."""
    return is_pointwise(synapse) and synapse.groups == len(synapse.weight) and synapse.weight.shape[1] == 1


def is_padding(synapse: Synapse) -> TypeGuard[Conv2d]:
    """Whether the map only surrounds images with zeros."""
    return is_diagonal(synapse) and bool(np.all(synapse.weight == 1))


def is_weighted(synapse: Synapse) -> bool:
    """Whether the map needs weights on a chip."""
    return synapse.weight is not None


def padding_of(channels: int, padding: tuple[int, int, int, int]) -> Conv2d:
    """The map that surrounds images of some channels with zeros."""
    return Conv2d(np.ones((channels, 1, 1, 1)), padding=padding, groups=channels)


def channel_factors(scale: OneToOne, shape: Shape) -> Array | None:
    """The factor of each channel, `[C]`, or None where it varies within a channel."""
    factors = np.broadcast_to(scale.weight, shape).reshape(shape[0], -1)
    return factors[:, 0] if bool(np.all(factors == factors[:, :1])) else None


def per_channel(factors: Array, rank: int) -> OneToOne:
    """A factor for each channel as a map on `(C,)` or `(C, H, W)`."""
    return OneToOne(factors.reshape(-1, *[1] * (rank - 1)))


def ungrouped(conv: Conv2d) -> Array:
    """The convolution's weights `[C_out, C_in, kh, kw]` as if it had one group."""
    filters, depth, *kernel = conv.weight.shape
    full = np.zeros((conv.groups, filters // conv.groups, conv.groups, depth, *kernel))
    blocks = conv.weight.reshape(conv.groups, filters // conv.groups, depth, *kernel)
    for group in range(conv.groups):
        full[group, :, group] = blocks[group]
    return full.reshape(filters, conv.groups * depth, *kernel)


def _scaled_inputs(synapse: Synapse, factors: Array) -> Synapse | None:
    """The weighted map after a factor for each of its input channels."""
    match synapse:
        case Dense():
            return Dense(synapse.weight * factors)
        case Conv2d():
            repeats = len(synapse.weight) // synapse.groups
            table = np.repeat(factors.reshape(synapse.groups, -1), repeats, axis=0)
            return synapse.with_weight(synapse.weight * table[:, :, None, None])
        case ConvTranspose2d():
            return synapse.with_weight(synapse.weight * factors[:, None, None, None])
    return None


def _scaled_outputs(synapse: Synapse, factors: Array) -> Synapse | None:
    """The weighted map before a factor for each of its output channels."""
    match synapse:
        case Dense():
            return Dense(synapse.weight * factors[:, None])
        case Conv2d():
            return synapse.with_weight(synapse.weight * factors[:, None, None, None])
        case ConvTranspose2d():
            repeats = len(synapse.weight) // synapse.groups
            table = np.repeat(factors.reshape(synapse.groups, -1), repeats, axis=0)
            return synapse.with_weight(synapse.weight * table[:, :, None, None])
    return None


def drop_idle(chain: Chain, shape: Shape) -> Chain | None:
    """Leave out maps that change nothing."""
    match chain:
        case (Reshape(shape=same), *rest) if same == shape:
            return tuple(rest)
        case (OneToOne(weight=factors), *rest) if bool(np.all(factors == 1)):
            return tuple(rest)
        case (Upsample2d(factor=(1, 1)), *rest):
            return tuple(rest)
        case (SumPool2d(kernel=(1, 1), stride=(1, 1), padding=(0, 0, 0, 0)), *rest):
            return tuple(rest)
    return None


def split_diagonal(chain: Chain, shape: Shape) -> Chain | None:
    """A factor for each channel that is written as a convolution becomes OneToOne and padding."""
    match chain:
        case (first, *rest) if is_diagonal(first) and not (is_padding(first) and any(first.padding)):
            scale = per_channel(first.weight[:, 0, 0, 0], 3)
            pad = (padding_of(len(first.weight), first.padding),) if any(first.padding) else ()
            return (scale, *pad, *rest)
    return None


def join_scales(chain: Chain, shape: Shape) -> Chain | None:
    """Two factors become their product."""
    match chain:
        case (OneToOne(weight=first), OneToOne(weight=second), *rest):
            return (OneToOne(first * second), *rest)
    return None


def join_reshapes(chain: Chain, shape: Shape) -> Chain | None:
    """Of two reshapes the last decides."""
    match chain:
        case (Reshape(), Reshape() as second, *rest):
            return (second, *rest)
    return None


def join_dense(chain: Chain, shape: Shape) -> Chain | None:
    """Two dense maps become the product of their matrices."""
    match chain:
        case (Dense(weight=first), Dense(weight=second), *rest):
            return (Dense(second @ first), *rest)
    return None


def scale_into_weights(chain: Chain, shape: Shape) -> Chain | None:
    """A factor for each channel goes into the weights behind it."""
    match chain:
        case (OneToOne() as scale, second, *rest) if not is_padding(second):
            factors = channel_factors(scale, shape)
            scaled = None if factors is None else _scaled_inputs(second, factors)
            return None if scaled is None else (scaled, *rest)
    return None


def weights_take_scale(chain: Chain, shape: Shape) -> Chain | None:
    """A factor for each channel goes into the weights before it."""
    match chain:
        case (first, OneToOne() as scale, *rest) if not is_padding(first):
            return _taken(first, scale, tuple(rest), shape)
    return None


def padding_takes_scale(chain: Chain, shape: Shape) -> Chain | None:
    """A factor for each channel goes into the ones of a padding that is there anyway."""
    match chain:
        case (first, OneToOne() as scale, *rest) if is_padding(first):
            return _taken(first, scale, tuple(rest), shape)
    return None


def _taken(first: Synapse, scale: OneToOne, rest: Chain, shape: Shape) -> Chain | None:
    factors = channel_factors(scale, first.out_shape(shape))
    scaled = None if factors is None else _scaled_outputs(first, factors)
    return None if scaled is None else (scaled, *rest)


def scale_moves_on(chain: Chain, shape: Shape) -> Chain | None:
    """A factor passes a map without weights, towards the weights behind it."""
    match chain:
        case (OneToOne() as scale, Reshape() as second, *rest):
            factors = np.broadcast_to(scale.weight, shape).reshape(second.shape)
            return (second, _compact(factors), *rest)
        case (OneToOne() as scale, second, *rest) if isinstance(second, SumPool2d | Upsample2d) or is_padding(second):
            channels = channel_factors(scale, shape)
            return None if channels is None else (second, per_channel(channels, 3), *rest)
    return None


def scale_moves_back(chain: Chain, shape: Shape) -> Chain | None:
    """A factor passes a map without weights, towards the weights before it."""
    match chain:
        case (Reshape() as first, OneToOne() as scale, *rest):
            factors = np.broadcast_to(scale.weight, first.shape).reshape(shape)
            return (_compact(factors), first, *rest)
        case (SumPool2d() | Upsample2d() as first, OneToOne() as scale, *rest):
            channels = channel_factors(scale, first.out_shape(shape))
            return None if channels is None else (per_channel(channels, 3), first, *rest)
    return None


def _compact(factors: Array) -> OneToOne:
    """Factors for each neuron, or for each channel where that says the same."""
    channels = channel_factors(OneToOne(factors), factors.shape)
    return OneToOne(factors) if channels is None else per_channel(channels, factors.ndim)


def join_padding(chain: Chain, shape: Shape) -> Chain | None:
    """Padding goes into the padding of the convolution or pool behind it."""
    match chain:
        case (first, Conv2d() | SumPool2d() as second, *rest) if is_padding(first):
            return (dataclasses.replace(second, padding=_sum(first.padding, second.padding)), *rest)
    return None


def _sum(first: tuple[int, int, int, int], second: tuple[int, int, int, int]) -> tuple[int, int, int, int]:
    return (first[0] + second[0], first[1] + second[1], first[2] + second[2], first[3] + second[3])


def join_pointwise(chain: Chain, shape: Shape) -> Chain | None:
    """A 1x1 convolution goes into the convolution behind or before it."""
    match chain:
        case (first, Conv2d() as second, *rest) if is_pointwise(first):
            mixed = np.einsum("fcij,cb->fbij", ungrouped(second), ungrouped(first)[:, :, 0, 0], optimize=True)
            padding = _sum(first.padding, second.padding)
            return (dataclasses.replace(second, weight=mixed, padding=padding, groups=1), *rest)
        case (Conv2d() as first, Conv2d() as second, *rest) if second.weight.shape[2:] == (1, 1):
            if any(second.padding):
                return None
            mixed = np.einsum("gf,fcij->gcij", ungrouped(second)[:, :, 0, 0], ungrouped(first), optimize=True)
            stride = (first.stride[0] * second.stride[0], first.stride[1] * second.stride[1])
            return (dataclasses.replace(first, weight=mixed, stride=stride, groups=1), *rest)
    return None


def pointwise_passes_pool(chain: Chain, shape: Shape) -> Chain | None:
    """Pool first, then mix channels: the same map with fewer operations."""
    match chain:
        case (first, SumPool2d() as second, *rest) if _only_mixes(first):
            return (second, first, *rest)
    return None


def pointwise_passes_upsample(chain: Chain, shape: Shape) -> Chain | None:
    """Enlarge first, then mix channels: more operations, but the mixing can join what follows."""
    match chain:
        case (first, Upsample2d() as second, *rest) if _only_mixes(first):
            return (second, first, *rest)
    return None


def join_pointwise_with_dense(chain: Chain, shape: Shape) -> Chain | None:
    """A 1x1 convolution goes into the dense map behind a flattening."""
    match chain:
        case (first, Reshape(shape=(_,)), Dense(weight=weight), *rest) if _only_mixes(first):
            mix = ungrouped(first)[:, :, 0, 0]
            by_channel = weight.reshape(len(weight), len(mix), -1)
            joined = np.einsum("ofp,fc->ocp", by_channel, mix, optimize=True).reshape(len(weight), -1)
            return (Reshape((math.prod(shape),)), Dense(joined), *rest)
    return None


def _only_mixes(synapse: Synapse) -> TypeGuard[Conv2d]:
    return is_pointwise(synapse) and not any(synapse.padding) and not is_diagonal(synapse)


FORWARD: tuple[Rule, ...] = (
    drop_idle,
    split_diagonal,
    join_scales,
    join_reshapes,
    scale_into_weights,
    weights_take_scale,
    scale_moves_on,
    join_padding,
    join_dense,
    join_pointwise,
    pointwise_passes_pool,
    join_pointwise_with_dense,
)
"""Rules that always help; factors move on to the weights behind them."""

BACKWARD: tuple[Rule, ...] = (drop_idle, join_scales, weights_take_scale, padding_takes_scale, scale_moves_back)
"""For factors with no weights behind them: they move back."""
