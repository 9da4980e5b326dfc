"""A layer's rates as the layers behind it see them: after pooling, which averages much of their rounding away."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nmdeploy.network import Network, Projection
from nmdeploy.synapses import SumPool2d

_BATCH = 64


def as_seen(network: Network, name: str, values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Values `[N, *shape]` of a population, averaged by the pools in front of each layer behind it.

    Returns:
        `[N, C, places]`: the places of all layers behind it, each different pooling once;
        the population's own where nothing is behind it.
    """
    found = [_leading_pools(projection) for projection in network.out_of(name)]
    pools = [chain for index, chain in enumerate(found) if chain not in found[:index]] or [()]
    seen = [_averaged(values, chain).reshape(*values.shape[:2], -1) for chain in pools]
    return np.concatenate(seen, axis=2)


def _leading_pools(projection: Projection) -> tuple[SumPool2d, ...]:
    pools: tuple[SumPool2d, ...] = ()
    for synapse in projection.synapses:
        if not isinstance(synapse, SumPool2d):
            break
        pools = (*pools, synapse)
    return pools


def _averaged(values: NDArray[np.float32], pools: tuple[SumPool2d, ...]) -> NDArray[np.float32]:
    """Values after the pools, each window's mean over the places that are not padding."""
    if not pools:
        return values
    parts = [_pooled(values[start : start + _BATCH], pools) for start in range(0, len(values), _BATCH)]
    averaged: NDArray[np.float32] = np.concatenate(parts) / _pooled(np.ones_like(values[:1]), pools)
    return averaged


def _pooled(values: NDArray[np.float32], pools: tuple[SumPool2d, ...]) -> NDArray[np.float32]:
    for pool in pools:
        values = pool.apply(values)
    return values
