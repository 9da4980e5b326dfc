"""Smaller networks to try when one does not fit: the same, with fewer channels in one population."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any

import numpy as np

from nmdeploy.network import Network, Population, Projection
from nmdeploy.synapses import Conv2d, Dense, Reshape, Shape, SumPool2d, Synapse


def widest_that_fits(network: Network, name: str, fits: Callable[[Network], bool]) -> int | None:
    """The largest number of channels (neurons of a flat population) of `name` with which the network fits.

    Found by bisection, so every number told has been tried.

    Args:
        network: one that does not fit.
        name: the population to make narrower.
        fits: tells whether a network fits.

    Returns:
        The number; None where the population cannot be cut or not even one channel fits.
    """
    low, high = 0, network[name].shape[0]  # `low` fits or is none, `high` does not
    while high - low > 1:
        middle = (low + high) // 2
        smaller = narrowed(network, name, middle)
        if smaller is None:
            return None
        low, high = (middle, high) if fits(smaller) else (low, middle)
    return low or None


def narrowed(network: Network, name: str, channels: int) -> Network | None:
    """The network with the first `channels` channels of `name`; None where its synapses cannot be cut."""
    changed: dict[int, Projection | None] = {}
    for index, projection in enumerate(network.projections):
        if projection.target == name == projection.source:
            return None
        if projection.target == name:
            changed[index] = _fewer_targets(projection, channels)
        elif projection.source == name:
            changed[index] = _fewer_sources(projection, network[name].shape, channels)
    if any(projection is None for projection in changed.values()):
        return None
    projections = tuple(changed.get(i) or projection for i, projection in enumerate(network.projections))
    populations = tuple(_cut(p, channels) if p.name == name else p for p in network.populations)
    return replace(network, populations=populations, projections=projections)


def _cut(population: Population, channels: int) -> Population:
    shape, neuron = population.shape, population.neuron
    if neuron is not None:
        cut = {f.name: _leading(getattr(neuron, f.name), shape, channels) for f in fields(neuron) if f.init}  # type: ignore[arg-type]
        neuron = replace(neuron, **cut)  # type: ignore[type-var]
    scale = _leading(population.potential_scale, shape, channels)
    return replace(population, shape=(channels, *shape[1:]), neuron=neuron, potential_scale=scale)


def _leading(value: Any, shape: Shape, channels: int) -> Any:
    whole = isinstance(value, np.ndarray) and value.ndim == len(shape) and value.shape[0] == shape[0] > 1
    return value[:channels] if whole else value


def _fewer_targets(projection: Projection, channels: int) -> Projection | None:
    last = projection.synapses[-1] if projection.synapses else None
    if not isinstance(last, (Conv2d, Dense)) or not _is_full(last):
        return None
    return replace(projection, synapses=(*projection.synapses[:-1], replace(last, weight=last.weight[:channels])))


def _fewer_sources(projection: Projection, shape: Shape, channels: int) -> Projection | None:
    chain: list[Synapse] = []
    reached: Shape = (channels, *shape[1:])
    for index, synapse in enumerate(projection.synapses):
        if isinstance(synapse, SumPool2d):
            chain.append(synapse)
        elif isinstance(synapse, Reshape) and len(synapse.shape) == 1:
            chain.append(Reshape((int(np.prod(reached)),)))
        elif isinstance(synapse, (Conv2d, Dense)) and _is_full(synapse):
            chain.append(replace(synapse, weight=synapse.weight[:, : reached[0]]))
            return replace(projection, synapses=(*chain, *projection.synapses[index + 1 :]))
        else:
            return None
        reached = chain[-1].out_shape(reached)
    return None


def _is_full(synapse: Conv2d | Dense) -> bool:
    """Whether every output channel takes every input channel."""
    return isinstance(synapse, Dense) or synapse.groups == 1
