"""How full ring buffers get: what is proven before a run, and what a run showed."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from nmdeploy.bounds import coincident_projections, projection_bound
from nmdeploy.emulator.signs import parts
from nmdeploy.linear_maps import Array
from nmdeploy.network import Network

Sums = tuple[Array, Array]
"""Excitatory and inhibitory, in weight units, of the population's shape."""


def ring_bounds(network: Network, name: str) -> Sums:
    """The largest sums that one step can bring to each neuron of a population, whatever spikes on schedule.

    Raises:
        NetworkError: for a chain whose signs cannot be told apart.
    """
    largest = np.zeros((2, *network[name].shape), dtype=np.int64)
    for together in coincident_projections(network, name):
        sums = np.zeros_like(largest)
        for projection in together:
            for sign, half in enumerate(parts(network, projection)):
                sums[sign] += projection_bound(network, half).upper
        largest = np.maximum(largest, sums)
    return largest[0], largest[1]


def ring_peaks(network: Network, name: str, spikes: Mapping[str, NDArray[np.uint8]]) -> tuple[int, int]:
    """The largest sums that one step of a run brought to a neuron of a population, before saturation.

    Args:
        network: the lowered network.
        name: a population that is no input.
        spikes: of its sources, every step of the run, `[T, N, *shape]`.

    Returns:
        Excitatory and inhibitory, in weight units.
    """
    halves = [parts(network, projection) for projection in network.into(name)]
    steps, samples = next(iter(spikes.values())).shape[:2]
    peaks = [0, 0]
    for sample in range(samples):
        for sign in range(2):
            sums = np.zeros((steps, *network[name].shape), dtype=np.int64)
            for half in (each[sign] for each in halves):
                sums[half.delay :] += half.apply(spikes[half.source][: steps - half.delay, sample])
            peaks[sign] = max(peaks[sign], int(sums.max(initial=0)))
    return peaks[0], peaks[1]
