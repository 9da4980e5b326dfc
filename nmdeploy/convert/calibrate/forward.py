"""What a layer's rates stand for goes into the weights and biases of the layers behind it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from nmdeploy.convert.calibrate.fit import Fit
from nmdeploy.convert.fold import fold
from nmdeploy.convert.spiking import compact_bias
from nmdeploy.linear_maps import Array
from nmdeploy.network import Network, Population, Projection
from nmdeploy.neurons import NeuronModel
from nmdeploy.synapses import OneToOne, Shape


def with_neuron(network: Network, name: str, **changes: Any) -> Network:
    """The network with other parameters of one population's neuron."""
    return _changed(network, {name: _with_parameters(network[name], **changes)})


def passed_on(network: Network, name: str, fit: Fit) -> Network:
    """The network whose layers behind `name` take gain * rate + offset of it for its activation.

    Gains go into weights (exactly, as factors per channel pass any linear map), offsets
    into biases, which differ at borders where a convolution pads with zeros.
    """
    behind = network.out_of(name)
    changes = {name: replace(network[name], rate_scale=network[name].rate_scale * fit.layer_gain)}
    if np.any(fit.offset):
        for target in {projection.target: None for projection in behind}:
            offset = _per_channel(fit.offset, network[name].shape)
            shift = sum(_response(network, each, offset) for each in behind if each.target == target)
            bias = np.broadcast_to(getattr(network[target].neuron, "bias", 0), network[target].shape)
            changes[target] = _with_parameters(network[target], bias=compact_bias(bias.astype(np.float64) + shift))
    projections = tuple(_scaled(network, each, fit) if each.source == name else each for each in network.projections)
    return _changed(replace(network, projections=projections), changes)


def scaled_biases(network: Network, factor: float) -> Network:
    """The network with all biases times a factor."""
    return _changed(network, {p.name: _scaled_bias(p, factor) for p in network.populations if p.neuron is not None})


def _scaled_bias(population: Population, factor: float) -> Population:
    bias = np.asarray(getattr(population.neuron, "bias", 0), np.float64) * factor
    return _with_parameters(population, bias=bias.astype(np.float32) if bias.ndim else float(bias))


def _changed(network: Network, changes: dict[str, Population]) -> Network:
    return replace(network, populations=tuple(changes.get(each.name, each) for each in network.populations))


def _with_parameters(population: Population, **changes: Any) -> Population:
    neuron: Any = population.neuron
    changed: NeuronModel = replace(neuron, **changes)
    return replace(population, neuron=changed)


def _response(network: Network, projection: Projection, offset: Array) -> Array:
    """What a projection delivers when every neuron of its source is at its channel's offset."""
    values: Array = projection.apply(np.broadcast_to(offset, network[projection.source].shape)[None])[0]
    return values


def _per_channel(values: Array, shape: Shape) -> Array:
    """A value for each channel, so that it broadcasts to the shape."""
    return values.reshape(-1, *[1] * (len(shape) - 1))


def _scaled(network: Network, projection: Projection, fit: Fit) -> Projection:
    shape = network[projection.source].shape
    chain = fold((OneToOne(_per_channel(fit.gain, shape)), *projection.synapses), shape, (projection.name,))
    single = (each if each.weight is None else each.with_weight(each.weight.astype(np.float32)) for each in chain)
    return replace(projection, synapses=tuple(single))
