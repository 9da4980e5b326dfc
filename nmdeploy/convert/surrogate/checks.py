"""What must be right before a training on a chip begins."""

from __future__ import annotations

import math

import numpy as np

from nmdeploy.convert.calibrate.checks import check_network
from nmdeploy.convert.checks import check_labels, check_variety
from nmdeploy.data import Samples
from nmdeploy.errors import DataError, ShapeError, UsageError
from nmdeploy.network import Network
from nmdeploy.neurons import IF, Integrator

_WHERE = "training samples"


def check_trainable(network: Network) -> None:
    """Raise unless the network is a float one that can be trained: feed-forward, ideal neurons, with weights.

    Raises:
        UsageError, NetworkError: saying what it lacks.
    """
    check_network(network, "trained")
    for population in network.populations:
        if population.neuron is not None and not isinstance(population.neuron, (IF, Integrator)):
            found = population.neuron.kind
            message = "only ideal neurons are trained"
            raise UsageError(message, where=population.name, found=found, limit="IF, Integrator")
    weights = [synapse.weight for projection in network.projections for synapse in projection.synapses]
    if not any(weight is not None and np.any(weight) for weight in weights):
        raise UsageError("the network has no weights to train", where=network.name)


def check_settings(steps: int, epochs: int, batch: int, lr: float, held_out: float) -> None:
    """Raise UsageError for numbers that make no sense."""
    for name, value, least in (("steps", steps, 1), ("epochs", epochs, 1), ("batch", batch, 1)):
        if value < least:
            raise UsageError(f"{name} is too small", where=name, found=value, limit=f"at least {least}")
    if not (math.isfinite(lr) and lr > 0):
        raise UsageError("a learning rate is above 0", where="lr", found=lr)
    if not 0 < held_out < 1:
        message = "the best epoch is chosen on a share of the samples that is held out"
        raise UsageError(message, where="held_out", found=held_out, limit="0 < held_out < 1")


def divided(samples: Samples, network: Network, held_out: float, seed: int) -> tuple[Samples, Samples]:
    """The samples to train on, and those held out, each class in both by its share.

    Raises:
        DataError: without labels, for labels that do not fit the network's outputs, for samples
            or labels that are all the same, and for too few samples to divide.
        ShapeError: for samples of another shape than the network's input.
    """
    if samples.y is None:
        raise DataError("training needs labelled samples", where=_WHERE, hint="add y to the data file")
    shape = network.inputs[0].shape
    if samples.x.shape[1:] != shape:
        message = "samples have another shape than the network's input"
        raise ShapeError(message, where=_WHERE, found=samples.x.shape[1:], limit=shape)
    check_labels(samples.y, len(samples), network[network.outputs[0]].size, _WHERE)
    check_variety(samples.x, where=_WHERE)
    if samples.y.min() == samples.y.max():
        raise DataError("all samples have the same label", where=_WHERE, found=int(samples.y[0]))
    count = round(held_out * len(samples))
    if not 0 < count < len(samples):
        found = f"{held_out:g} of {len(samples)} samples"
        hint = "give more samples, or hold out another share of them"
        raise DataError("too few samples to hold some out", where=_WHERE, found=found, limit="at least 1", hint=hint)
    held, training = samples.split(count, seed)
    return training, held
