"""Which layers of the `conv` profile are on `IF_curr_exp`, with weights in the core itself, and why others are not."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from nmdeploy.network import Network, Projection
from nmdeploy.neurons import IF
from nmdeploy.synapses import Conv2d, Dense, Reshape, SumPool2d
from nmdeploy.target import Chip, Severity, Violation
from targets.spinnaker.connection import kernels, pooled_dense
from targets.spinnaker.local_only import departure_from_convolution
from targets.spinnaker.ring_buffer import SHARED_KERNEL

VERSION = "sPyNNaker 7.4.1"
"""What the conditions were found on."""

MATRIX_SHARE = 2
"""Pooled dense weights take at most one part in so many of a core's memory; else rows in SDRAM are better."""

_POOLS = "square windows side by side that fill the map"


def kernel_layers(network: Network, chip: Chip) -> tuple[frozenset[str], list[Violation]]:
    """The populations that share weights in the core's own memory, and a remark on every layer.

    Args:
        network: ideal, with the chip's delays.
        chip: the board.
    """
    obstacles = {each.name: _obstacles(network, each.name, chip) for each in network.populations if not each.is_input}
    # A layer that falls back to rows can make its images unfit as sources of the next one.
    while odd := _odd_sources(network, obstacles):
        obstacles |= odd
    remarks = [_remark(name, reasons) for name, reasons in obstacles.items()]
    return frozenset(name for name, reasons in obstacles.items() if not reasons), remarks


def _remark(name: str, obstacles: list[str]) -> Violation:
    if obstacles:
        message = f"on IF_trunc_delta with rows of synapses ({VERSION}): {'; '.join(dict.fromkeys(obstacles))}"
        return Violation("SPI106", name, message, severity=Severity.WARNING)
    message = f"on IF_curr_exp, weights in the core ({VERSION}): of each sign, one unit is lost in a step; no floor"
    return Violation("SPI105", name, message, severity=Severity.WARNING)


def _odd_sources(network: Network, obstacles: dict[str, list[str]]) -> dict[str, list[str]]:
    """Layers chosen so far whose source would be on `IF_trunc_delta` in images of an odd number of neurons."""
    found = {}
    for projection in network.projections:
        height_width = network[projection.source].shape[1:]
        if not obstacles[projection.target] and obstacles.get(projection.source) and math.prod(height_width) % 2:
            why = f"{projection.source} is on IF_trunc_delta, and a core cannot hold an even part of its images"
            found[projection.target] = [why]
    return found


def _obstacles(network: Network, name: str, chip: Chip) -> list[str]:
    """Why a population cannot share weights; empty when it can."""
    neuron = network[name].neuron
    if not isinstance(neuron, IF):
        return ["a read-out that only integrates must not leak"]
    if neuron.v_min is not None:
        return ["IF_curr_exp has no floor"]
    incoming = network.into(name)
    as_images = [why for each in incoming for why in convolution_obstacles(network, each)]
    dense = [why for each in incoming for why in _pool_dense_obstacles(network, each, chip)]
    if as_images and dense:
        is_dense = any(isinstance(synapse, Dense) for each in incoming for synapse in each.synapses)
        return dense if is_dense else as_images
    return []


def convolution_obstacles(network: Network, projection: Projection) -> Iterator[str]:
    """Why a projection cannot be `ConvolutionConnector`s, one for each pair of channels; nothing when it can."""
    source, target = network[projection.source].shape, network[projection.target].shape
    pool, rest = _split(projection)
    if len(source) != 3 or len(target) != 3 or len(rest) != 1 or not isinstance(rest[0], Conv2d):
        yield "not a convolution of images"
        return
    conv = rest[0]
    if conv.dilation != (1, 1):
        yield "kernels are dilated"
    if len(set(conv.padding)) > 1:
        yield "padding differs between sides"
    window = (1, 1) if pool is None else pool.kernel
    padding = (conv.padding[0], conv.padding[2])
    kernel = (conv.weight.shape[2], conv.weight.shape[3])
    reason = departure_from_convolution(source[1:], target[1:], kernel, padding, conv.stride, window)
    if reason is not None:
        yield reason
    elif kernels(projection, source) is None:
        yield f"the pool before the convolution is none that the chip has ({_POOLS})"
    yield from _weight_obstacles(conv.weight)


def _pool_dense_obstacles(network: Network, projection: Projection, chip: Chip) -> Iterator[str]:
    """Why a projection cannot be `PoolDenseConnector`s, one for each channel; nothing when it can."""
    source, target = network[projection.source], network[projection.target]
    _, rest = _split(projection)
    if len(source.shape) != 3 or [type(synapse) for synapse in rest] != [Reshape, Dense]:
        yield "not a dense map of images"
        return
    given = pooled_dense(projection, source.shape)
    if given is None:
        yield f"the pool before the dense map is none that the chip has ({_POOLS})"
        return
    size = 2 * math.prod(given.weight.shape[1:]) * min(target.size, chip.limit("neurons"))
    limit = chip.limit("dtcm") // MATRIX_SHARE
    if size > limit:
        yield f"the weights would take {size} bytes of a core's memory, more than {limit}"
    yield from _weight_obstacles(given.weight)


def _split(projection: Projection) -> tuple[SumPool2d | None, tuple[object, ...]]:
    chain = projection.synapses
    if chain and isinstance(chain[0], SumPool2d):
        return chain[0], chain[1:]
    return None, chain


def _weight_obstacles(weight: np.ndarray[tuple[int, ...], np.dtype[np.integer]]) -> Iterator[str]:
    if not SHARED_KERNEL.holds(weight):
        yield f"a weight is beyond {SHARED_KERNEL.minimum}..{SHARED_KERNEL.maximum}"
