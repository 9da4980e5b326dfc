"""The weights of the last layer, refitted to what the chip delivers to it.

Least squares without labels: the change D of the weights and the shift of the bias that
bring the potentials nearest to the trained network's outputs y,

    min over D  |y - (W + D) x|^2 + penalty |D|^2

x being the rates that arrive (ridge regression towards the weights W that are there).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmdeploy.convert.calibrate.forward import with_neuron
from nmdeploy.convert.spiking import compact_bias
from nmdeploy.network import Network, Projection
from nmdeploy.synapses import Dense

Reals = NDArray[np.float64]

PENALTIES = (0.01, 0.1, 1.0, 10.0)
"""Penalties that are tried, in units of the mean square of a rate times the number of samples."""

FOLDS = 5
"""The penalty is chosen by cross-validation over so many parts of the samples."""

LEAST_SAMPLES = 20
"""With fewer samples the weights stay as they are."""


def refitted(
    network: Network, name: str, goal: NDArray[Any], spikes: Mapping[str, NDArray[Any]], steps: int, offsets: bool
) -> Network:
    """The network with the weights into `name` refitted, or as it was where that would not help.

    Args:
        network: float network; biases count for each of the input steps.
        name: an output whose projections all end in a dense map; others stay as they are.
        goal: what the trained network gives, `[N, classes]`.
        spikes: of the population's sources on the chip, `[T, N, *shape]`.
        steps: input steps.
        offsets: whether the bias may change (some chips have none).
    """
    entering = network.into(name)
    dense = [each.synapses[-1] for each in entering if each.synapses and isinstance(each.synapses[-1], Dense)]
    if len(goal) < LEAST_SAMPLES or len(dense) < len(entering):
        return network
    parts = [_arriving(each, spikes[each.source], steps) for each in entering]
    rates = np.concatenate(parts, axis=1)
    weights = np.concatenate([each.weight for each in dense], axis=1, dtype=np.float64)
    bias = np.asarray(getattr(network[name].neuron, "bias", 0), np.float64)
    left = goal.astype(np.float64) - (rates @ weights.T + bias)
    penalty = _best_penalty(rates, left, offsets)
    if penalty is None:
        return network
    change, shift = _ridge(rates, left, penalty, offsets)
    changes = np.split(
        (weights + change.T).astype(np.float32), np.cumsum([part.shape[1] for part in parts])[:-1], axis=1
    )
    found = {id(each): _with_last(each, weight) for each, weight in zip(entering, changes, strict=True)}
    changed = replace(network, projections=tuple(found.get(id(each), each) for each in network.projections))
    return with_neuron(changed, name, bias=compact_bias(np.broadcast_to(bias + shift, network[name].shape)))


def _arriving(projection: Projection, spikes: NDArray[Any], steps: int) -> Reals:
    """What arrives at the dense map of a projection, per input step, `[N, inputs]`."""
    in_time = spikes[: len(spikes) - projection.delay]
    values: NDArray[Any] = in_time.sum(axis=0, dtype=np.float64) / steps
    for synapse in projection.synapses[:-1]:
        values = synapse.apply(values)
    return values


def _with_last(projection: Projection, weight: NDArray[np.float32]) -> Projection:
    return replace(projection, synapses=(*projection.synapses[:-1], Dense(weight)))


def _best_penalty(x: Reals, y: Reals, offsets: bool) -> float | None:
    """The penalty that leaves least on samples that were not fitted; None where no change leaves less."""
    errors = np.zeros(len(PENALTIES))
    for fold in range(FOLDS):
        held = np.arange(len(x)) % FOLDS == fold
        for index, penalty in enumerate(PENALTIES):
            change, shift = _ridge(x[~held], y[~held], penalty, offsets)
            errors[index] += np.sum(np.square(y[held] - x[held] @ change - shift))
    best = int(np.argmin(errors))
    return PENALTIES[best] if errors[best] < np.sum(np.square(y)) else None


def _ridge(x: Reals, y: Reals, penalty: float, offsets: bool) -> tuple[Reals, Reals]:
    """D `[inputs, classes]` and the shift `[classes]` that make x D + shift come nearest to y."""
    x_rest, y_rest = (x.mean(axis=0), y.mean(axis=0)) if offsets else (np.zeros(x.shape[1]), np.zeros(y.shape[1]))
    left, values, right = np.linalg.svd(x - x_rest, full_matrices=False)
    squares = np.square(values)
    width = penalty * max(float(squares.sum()) / x.shape[1], float(np.finfo(np.float64).tiny))
    change: Reals = right.T @ ((values / (squares + width))[:, None] * (left.T @ (y - y_rest)))
    return change, y_rest - x_rest @ change
