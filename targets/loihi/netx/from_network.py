"""A lowered network as the layers of a `.net` file, or everything that such a file cannot say."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from nmdeploy.latency import LATENCY
from nmdeploy.linear_maps import Array
from nmdeploy.network import Network, Population, Projection
from nmdeploy.synapses import Shape
from targets.loihi.connection import as_convolution
from targets.loihi.netx.dense_weights import check_sum, check_weights, matrix_of, whole
from targets.loihi.netx.faults import Faults
from targets.loihi.netx.schema import (
    BIAS_EXPONENT,
    CONV,
    DENSE,
    FLATTEN,
    INPUT,
    RECURRENT,
    LifSettings,
    NetFile,
    NetLayer,
)
from targets.loihi.netx.sequence import arguments_of, drive_sign, drives_biases, in_sequence
from targets.loihi.neuron import DECAY_OFFSET_U, LoihiLIF, LoihiLIFReset
from targets.loihi.weights import CHANNEL_FORMAT, CONV_FORMAT

MOST_WEIGHTS = 1 << 27
"""Most weights of one dense layer: a matrix of 1 GiB while it is checked."""
KERNEL_RANGE = (-256, 255)
"""Weights of a Loihi synapse; NetX uses those of a convolution as they are."""
_BIAS_RANGE = (-(1 << 15), (1 << 15) - 1)  # Lava keeps bias mantissas as int16


def layers_of(network: Network) -> NetFile:
    """The layers, and NetX's arguments, with which NetX runs `network`.

    Raises:
        FitError: with everything that a `.net` file cannot say.
    """
    populations = in_sequence(network)
    source, first = populations[:2]
    driven = drives_biases(source, first, list(network.into(first.name)))
    builder = _Builder(network)
    arguments = arguments_of(populations, biases_driven=driven, faults=builder.faults)
    if driven:
        builder.add_driven(source, first)
    else:
        builder.add_input(source)
    for before, here in list(pairwise(populations))[driven:]:
        builder.add(before, here)
    builder.faults.check()
    return NetFile(tuple(builder.layers), arguments)


@dataclass
class _Builder:
    """The layers so far.

    Attributes:
        network: what is written.
        layers: of the file.
        shape: of NetX's last layer: (N,) after a dense one, also where the population is (C, H, W).
        faults: found so far.
    """

    network: Network
    layers: list[NetLayer] = field(default_factory=list)
    shape: Shape = ()
    faults: Faults = field(default_factory=Faults)

    def add_input(self, source: Population) -> None:
        """An input of spikes."""
        self._append(NetLayer(INPUT, source.shape))

    def add_driven(self, source: Population, target: Population) -> None:
        """An input of neurons whose biases the host writes as weight * x + bias, 0 <= x <= 1."""
        weight = np.array(source.maximum * drive_sign(self.network.into(target.name)[0]))
        bias = self._bias(target)
        first = None if bias is None else np.array(bias.flat[0])
        self._append(NetLayer(INPUT, target.shape, self._neuron(target), weight, bias=first))

    def add(self, source: Population, target: Population) -> None:
        """The layer between two populations: a convolution, or else dense."""
        entering = self.network.into(target.name)
        projections = [p for p in entering if p.source == source.name]
        loops = [p for p in entering if p.source == target.name]
        neuron = self._neuron(target)
        if loops or not self._convolution(projections, source, target, neuron):
            self._dense(projections, loops, source, target, neuron)

    def _append(self, layer: NetLayer) -> None:
        self.layers.append(layer)
        self.shape = layer.shape

    def _neuron(self, population: Population) -> LifSettings:
        neuron, where = population.neuron, population.name
        if not isinstance(neuron, LoihiLIF) or type(neuron) not in (LoihiLIF, LoihiLIFReset):
            kind = neuron.kind if neuron else None
            self.faults.add("LOI311", where, "NetX has only LIF neurons that reset to zero", kind)
            return LifSettings(0, 0, 0)
        values = [np.unique(getattr(neuron, name)) for name in ("vth", "du", "dv")]
        if any(len(each) > 1 for each in values):
            self.faults.add("LOI310", where, "thresholds or decays differ between the neurons of a layer")
        if np.any(neuron.u_init) or np.any(neuron.v_init):
            self.faults.add(
                "LOI309", where, "u and v start from 0 in NetX", hint="convert with an initial potential of 0"
            )
        vth, du, dv = (int(each[0]) for each in values)
        return LifSettings(du + DECAY_OFFSET_U, dv, vth)

    def _bias(self, population: Population) -> Array | None:
        """Biases in weight units, int64 of the population's shape; None where there are none."""
        neuron = population.neuron
        if not isinstance(neuron, LoihiLIF) or not np.any(neuron.bias):
            return None
        bias = np.broadcast_to(neuron.bias, population.shape)
        units: Array = bias >> BIAS_EXPONENT
        odd = bias[units << BIAS_EXPONENT != bias]
        if odd.size:
            message = "NetX gives all biases the exponent 6: whole weight units"
            self.faults.add("LOI308", population.name, message, f"{odd[0]}/64", "multiples of 64/64")
        elif units.min() < _BIAS_RANGE[0] or units.max() > _BIAS_RANGE[1]:
            message, found = "Lava keeps biases in 16 bits", f"{units.min()}..{units.max()}"
            self.faults.add("LOI308", population.name, message, found, "{}..{}".format(*_BIAS_RANGE))
        return units

    def _convolution(
        self, projections: list[Projection], source: Population, target: Population, neuron: LifSettings
    ) -> bool:
        """Append a convolution; False when it is none, or NetX's last layer has no (C, H, W)."""
        projection = projections[0]
        if len(projections) > 1 or projection.delay != LATENCY or len(self.shape) != 3 or len(target.shape) != 3:
            return False
        folded = as_convolution(projection.synapses, source.shape)
        if folded is None:
            return False
        weight = whole(projection, folded.weight, self.faults)
        if weight.min() < KERNEL_RANGE[0] or weight.max() > KERNEL_RANGE[1]:
            message, found = "NetX uses kernel weights as they are", f"{weight.min()}..{weight.max()}"
            hint = "quantize to signed 8-bit weights; overlapping sum pools add weights up"
            self.faults.add("LOI305", projection.name, message, found, "{}..{}".format(*KERNEL_RANGE), hint)
        check_sum(projection, weight, source, CONV_FORMAT, self.faults)
        bias = self._bias(target)
        layer = NetLayer(
            CONV,
            target.shape,
            neuron,
            weight,
            bias=None if bias is None else _channel_bias(bias),
            stride=folded.stride,
            padding=(folded.padding[0], folded.padding[2]),
            dilation=folded.dilation,
            groups=folded.groups,
        )
        self._append(layer)
        return True

    def _dense(
        self,
        projections: list[Projection],
        loops: list[Projection],
        source: Population,
        target: Population,
        neuron: LifSettings,
    ) -> None:
        """Append a dense layer, after a flatten where NetX's last layer has (C, H, W)."""
        if target.size * max(source.size, target.size if loops else 0) > MOST_WEIGHTS:
            message, size = "no convolution, and too large for a matrix", target.size * source.size
            self.faults.add("LOI302", projections[0].name, message, size, MOST_WEIGHTS)
            return
        weight, delay = matrix_of(projections, source, self.faults)
        check_sum(projections[0], weight, source, CHANNEL_FORMAT, self.faults)
        weight_rec = self._loop(loops, target, delay) if loops else None
        check_weights(weight, weight_rec, target.name, self.faults)
        if len(self.shape) == 3:
            self.layers.append(NetLayer(FLATTEN, (math.prod(self.shape),)))
        bias = self._bias(target)
        layer = NetLayer(
            DENSE if weight_rec is None else RECURRENT,
            (target.size,),
            neuron,
            weight,
            weight_rec,
            bias=None if bias is None else bias.reshape(-1),
            delay=delay if delay.any() else None,
        )
        self._append(layer)

    def _loop(self, loops: list[Projection], target: Population, delay: Array) -> Array:
        """The weights with which a population projects to itself; with them, NetX loses delays."""
        weight, own_delay = matrix_of(loops, target, self.faults)
        check_sum(loops[0], weight, target, CHANNEL_FORMAT, self.faults)
        longest = int(max(delay.max(), own_delay.max()))
        if longest:
            message = "NetX loses the weight exponent of a recurrent layer with delays"
            self.faults.add("LOI312", loops[0].name, message, longest, 0)
        return weight


def _channel_bias(bias: Array) -> Array:
    """One bias a channel, or, where they differ within one, all in NetX's order (W, H, C)."""
    channels: Array = bias[:, 0, 0]
    if np.array_equal(bias, np.broadcast_to(channels[:, np.newaxis, np.newaxis], bias.shape)):
        return channels
    return np.ascontiguousarray(bias.transpose(2, 1, 0))
