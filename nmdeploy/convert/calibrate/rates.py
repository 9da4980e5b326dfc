"""What a float spiking network's rates stand for: the activations of the network it came from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmdeploy.coding import Bernoulli, ConstantCurrent, DeterministicRate, Encoder
from nmdeploy.coding.ranges import unit_values
from nmdeploy.network import Network
from nmdeploy.neurons import Integrator

_BATCH = 64


def mean_input(encoder: Encoder, samples: NDArray[Any], spikes: NDArray[Any]) -> NDArray[np.float32]:
    """The input's value per step `[N, *shape]` that the encoder stands for, free of its rounding where it is known.

    Args:
        encoder: made the spikes.
        samples: `[N, ...]` as the encoder took them.
        spikes: `[T, N, *shape]`.
    """
    if isinstance(encoder, DeterministicRate | Bernoulli | ConstantCurrent):
        unit = unit_values(samples, encoder.low, encoder.high, "calibration data")
        return (unit * encoder.largest).astype(np.float32)
    mean: NDArray[np.float32] = spikes.mean(axis=0, dtype=np.float32)
    return mean


def activations(
    network: Network, name: str, rates: Mapping[str, NDArray[Any]], ceiling: float | None = None
) -> NDArray[np.float32]:
    """What population `name` computes from the rates of its sources, as a layer of the trained network.

    Args:
        network: float network, biases per input step.
        name: the population.
        rates: activations `[N, *shape]` of its sources.
        ceiling: of the rectifier, for a bounded one.

    Returns:
        max(sum + bias, 0) `[N, *shape]`, or the sum alone where the population never fires.
    """
    population = network[name]
    samples = len(next(iter(rates.values())))
    total = np.empty((samples, *population.shape), np.float32)
    for start in range(0, samples, _BATCH):
        part = slice(start, start + _BATCH)
        sums = [projection.apply(rates[projection.source][part]) for projection in network.into(name)]
        total[part] = sum(sums) + np.asarray(getattr(population.neuron, "bias", 0))
    return total if isinstance(population.neuron, Integrator) else np.clip(total, 0, ceiling)
