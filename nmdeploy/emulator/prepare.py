"""Choosing, for an integer network, the fastest types that are proven exact."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from nmdeploy.emulator.stages import Map, Stage, in_order, with_parameters, with_weights
from nmdeploy.emulator.widths import INT32_LARGEST, Part, Widths, is_ideal, linear_type
from nmdeploy.network import Network
from nmdeploy.neurons import NeuronModel

INT32, INT64 = np.dtype(np.int32), np.dtype(np.int64)


def integer_stages(network: Network, proven: Mapping[str, Widths]) -> tuple[Stage, ...]:
    """The populations of an integer network, in order of computation, ready to run.

    Linear maps run in float32 or float64 where every partial sum is exact in them;
    ideal neurons step in int32 where nothing can leave it; formats that provably
    change nothing are left out.

    Args:
        network: the network.
        proven: as from `prove_widths`, for the length of this run.
    """
    stages = []
    for population in in_order(network):
        if population.neuron is None:
            stages.append(Stage(population, None, INT64, ()))
            continue
        widths = proven[population.name]
        neuron = _without_idle_format(population.neuron, widths)
        state = _state_type(neuron, widths)
        entering = tuple(tuple(_map(part, state) for part in whole) for whole in widths.entering)
        stages.append(Stage(population, with_parameters(neuron, state), state, entering))
    return tuple(stages)


def _map(part: Part, result: np.dtype[Any]) -> Map:
    projection, compute = part.projection, linear_type(part.magnitude)
    if projection.accumulator is not None and part.scaled.interval.fits(projection.accumulator):
        projection = replace(projection, accumulator=None)
    scaled = projection.exponent != 0 or projection.accumulator is not None
    return Map(with_weights(projection, compute), compute, result, scaled)


def _without_idle_format(neuron: NeuronModel, widths: Widths) -> NeuronModel:
    if not is_ideal(neuron) or neuron.potential is None or widths.potential is None:
        return neuron
    idle = neuron.potential.signed and widths.potential <= neuron.potential.maximum
    return replace(neuron, potential=None) if idle else neuron


def _state_type(neuron: NeuronModel, widths: Widths) -> np.dtype[Any]:
    # Formats work in int64, so a formatted potential gains nothing from int32.
    if not is_ideal(neuron) or neuron.potential is not None or widths.potential is None:
        return INT64
    return INT32 if widths.potential <= INT32_LARGEST else INT64
