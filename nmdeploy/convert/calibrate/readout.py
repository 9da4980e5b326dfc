"""The last layer: read out by its potential, or by the spikes of neurons that fire."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmdeploy.coding import Decision
from nmdeploy.convert.calibrate.layers import CalibratedLayer, LayerByLayer
from nmdeploy.convert.statistics import Distribution
from nmdeploy.inference import default_readout
from nmdeploy.network import Network
from nmdeploy.neurons import IF

_PERCENTILE = 99.9


def with_best_readout(run: LayerByLayer, name: str, logits: NDArray[np.float32]) -> list[CalibratedLayer]:
    """Let an output that integrates fire instead, where that decides more often like the trained network.

    Both are run on the calibration samples; a tie is no decision. Of equals the
    potential wins: it is a finer number, and its neurons need no threshold.

    Args:
        run: the calibration, all layers but this one done; its network is left with the better output.
        name: the output.
        logits: what the trained network gives `[N, *shape]`.

    Returns:
        The output as a calibrated layer if it fires now, else nothing.
    """
    distribution = Distribution()
    distribution.add(logits)
    scale = distribution.percentile(_PERCENTILE)
    if not scale:
        return []
    integrating = run.network
    wanted = Decision.of_scores(logits.reshape(len(logits), -1)).labels
    by_potential = _differing(run, name, wanted)
    run.network = _firing(integrating, name, scale, run.loop.chip.precision.resets[0])
    layer = run.calibrate(name, np.maximum(logits, 0))
    if _differing(run, name, wanted) < by_potential:
        return [layer]
    run.network = integrating
    return []


def _firing(network: Network, name: str, threshold: float, reset: Any) -> Network:
    neuron = IF(threshold, getattr(network[name].neuron, "bias", 0), reset=reset)
    changed = tuple(replace(each, neuron=neuron) if each.name == name else each for each in network.populations)
    return replace(network, populations=changed)


def _differing(run: LayerByLayer, name: str, wanted: NDArray[np.int64]) -> int:
    """On how many samples the chip decides otherwise than the trained network."""
    layer = run.loop.layer(run.in_time(), name, run.spikes)
    result = run.loop.run(layer, run.spikes)
    decision = default_readout(run.network).decide(result, layer[name])
    return int(np.count_nonzero((decision.labels != wanted) | decision.tied))
