"""The layers of a `.net` file as a network in Loihi's terms: what NetX would run in Lava."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from nmdeploy.errors import ModelError, NmdeployError, ShapeError
from nmdeploy.latency import LATENCY
from nmdeploy.linear_maps import Array
from nmdeploy.network import Network, Population, Projection
from nmdeploy.synapses import Conv2d, Dense, OneToOne, Reshape, Shape, Synapse
from quantize import IntegerFormat, smallest_dtype
from targets.loihi.netx.schema import (
    BIAS_EXPONENT,
    CONV,
    FLATTEN,
    INPUT,
    Arguments,
    LifSettings,
    NetFile,
    NetLayer,
)
from targets.loihi.netx.weights import UnusableWeights, WeightsInUse, in_use, recurrent_in_use
from targets.loihi.neuron import DECAY_OFFSET_U, FORGET, LoihiLIF, LoihiLIFReset
from targets.loihi.weights import CHANNEL_FORMAT, CONV_FORMAT, SignMode, sign_mode_of

INPUT_NAME = "input"
MOST_WEIGHTS = 1 << 29
"""Most weights of one dense layer, each delay counted; more would take memory far beyond the file's size."""


def network_of(file: NetFile, name: str, *, where: str, skip_layers: int = 0) -> Network:
    """The network that NetX would build.

    Args:
        file: the layers and NetX's arguments.
        name: of the network.
        where: of the file, for messages.
        skip_layers: leave out the first so many layers; their output becomes the input.

    Raises:
        ModelError: naming the layer that cannot be built.
    """
    chain = _Chain(file.arguments)
    for index, layer in enumerate(file.layers):
        try:
            chain.add(index, layer, skipped=index < skip_layers)
        except (NmdeployError, UnusableWeights) as error:
            raise ModelError(str(error), where=f"{where}: /layer/{index}") from error
    if chain.last is None:
        raise ModelError("no layers with neurons are left", where=where)
    return Network(name, tuple(chain.populations), tuple(chain.projections), notes=tuple(chain.notes))


@dataclass
class _Chain:
    """The network so far.

    Attributes:
        arguments: NetX's.
        shape: of what the next layer receives; () while nothing is known.
        flattened: whether a `flatten` came since the last layer.
        last: the last population that is not an input.
    """

    arguments: Arguments
    shape: Shape = ()
    flattened: bool = False
    last: Population | None = None
    populations: list[Population] = field(default_factory=list)
    projections: list[Projection] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def add(self, index: int, layer: NetLayer, *, skipped: bool) -> None:
        """Append a layer.

        Raises:
            ModelError, ShapeError, UnusableWeights: when NetX could not build it.
        """
        if layer.kind == FLATTEN:
            self.flattened = True
            return
        if layer.kind == INPUT and index:
            raise ModelError("an input is the first layer")
        if skipped or layer.neuron is None:  # an input without neurons is spikes
            self.shape, self.flattened = layer.shape, False
            return
        self.notes += layer.remarks
        population = Population(f"layer{index}", layer.shape, self._neuron(layer, layer.neuron))
        if layer.kind == INPUT:
            self._drive(population, layer)
        elif layer.kind == CONV:
            self._convolve(population, layer)
        else:
            self._connect(population, layer)
        self.populations.append(population)
        self.last, self.shape, self.flattened = population, layer.shape, False

    def _neuron(self, layer: NetLayer, settings: LifSettings) -> LoihiLIF:
        parameters: dict[str, Any] = {
            "vth": settings.v_th_mant,
            "du": FORGET if layer.kind == INPUT else settings.i_decay - DECAY_OFFSET_U,
            "dv": settings.v_decay,
            "bias_mant": self._bias(layer),
            "bias_exp": BIAS_EXPONENT,
        }
        interval, layers_before = self.arguments.reset_interval, sum(not each.is_input for each in self.populations)
        if not interval:
            return LoihiLIF(**parameters)
        offset = (self.arguments.reset_offset + 1 + layers_before) % interval
        return LoihiLIFReset(**parameters, interval=interval, offset=offset)

    def _bias(self, layer: NetLayer) -> int | Array:
        """Bias mantissas that broadcast to (C, H, W) or (N,), cut to int16 as in Lava."""
        if layer.bias is None:
            return 0
        held = layer.bias.astype(np.int16)
        if not np.array_equal(held, layer.bias):
            self.notes.append(f"layer {layer.shape}: biases beyond 16 bits wrap, as in Lava")
        if len(np.unique(held)) == 1:
            return int(held.flat[0])
        if layer.kind == CONV:
            held = held[:, np.newaxis, np.newaxis] if held.ndim == 1 else held.transpose(2, 1, 0)
        return np.ascontiguousarray(held).astype(smallest_dtype(int(held.min()), int(held.max())))

    def _source(self, shape: Shape) -> Population:
        """The last population, or an input of `shape` before the first."""
        if self.last is not None:
            return self.last
        largest = (1 << self.arguments.input_message_bits) - 1 if self.arguments.input_message_bits else 1
        self.populations.append(Population(INPUT_NAME, shape, maximum=largest))
        return self.populations[-1]

    def _drive(self, population: Population, layer: NetLayer) -> None:
        """An input with neurons: the host writes weight * x + bias as their bias mantissas, 0 <= x <= 1.

        weight * x, whole, arrives as a graded input of weight 1 or -1, shifted by 6 like
        every bias; u, which nothing else enters, has to forget it within the step.
        """
        weight, bias = (0 if value is None else int(value) for value in (layer.weight, layer.bias))
        self.populations.append(Population(INPUT_NAME, population.shape, maximum=max(abs(weight), 1)))
        sign = OneToOne(np.array([np.sign(weight)], dtype=np.int8))
        self.projections.append(Projection(INPUT_NAME, population.name, (sign,), delay=LATENCY))
        self.notes.append(
            f"{population.name}: the input is {abs(weight)} * x for samples 0 <= x <= 1; "
            f"users of NetX write {weight} * x + {bias} as biases of these neurons"
        )

    def _convolve(self, population: Population, layer: NetLayer) -> None:
        if len(self.shape) != 3:
            raise ModelError("a convolution needs an input of (C, H, W)", found=self.shape or "no input layer")
        source = self._source(self.shape)
        (top, left), largest = layer.padding, max(map(abs, source.spike_range))
        weight = np.asarray(layer.weight)
        synapse = Conv2d(weight, layer.stride, (top, top, left, left), layer.dilation, layer.groups)
        delivered = synapse.out_shape(source.shape)
        if delivered != layer.shape:
            raise ShapeError("the stored shape is not what the convolution gives", found=layer.shape, limit=delivered)
        used, form = _convolution_in_use(weight, largest)
        chain = (replace(synapse, weight=used.stored),)
        self.projections.append(
            Projection(source.name, population.name, chain, LATENCY, used.exponent, accumulator=form)
        )

    def _connect(self, population: Population, layer: NetLayer) -> None:
        weight = np.asarray(layer.weight)
        if self.shape and math.prod(self.shape) != weight.shape[1]:
            raise ShapeError("the weights do not fit what arrives", found=weight.shape, limit=self.shape)
        if self.last is not None and len(self.shape) == 3 and not self.flattened:
            raise ModelError("a dense layer after (C, H, W) needs a flatten layer before it", found=self.shape)
        source = self._source(self.shape or (weight.shape[1],))
        if layer.weight_rec is None:
            used = in_use(weight)
        else:
            used, again = recurrent_in_use(weight, layer.weight_rec)
            self._tell_changes(layer.weight_rec, again, population)
            self.projections += _dense_projections(population, population, again, None)
        self._tell_changes(weight, used, population)
        self.projections += _dense_projections(source, population, used, layer.delay)

    def _tell_changes(self, weight: Array, used: WeightsInUse, population: Population) -> None:
        changed = np.count_nonzero(used.stored != weight << -used.exponent)
        if changed:
            self.notes.append(f"{population.name}: NetX and Lava change {changed} of {weight.size} weights")


def _convolution_in_use(weight: Array, largest: int) -> tuple[WeightsInUse, IntegerFormat | None]:
    """Weights that Lava uses as they are, in the form in which Loihi stores them, and the format of the sum.

    Signed 8-bit weights are doubled, with exponent -1: the sum is the same, and a synapse
    of mixed sign can hold them. Where the sum could leave Lava's 24 bits they stay as they are.
    """
    kind = smallest_dtype(2 * int(weight.min()), 2 * int(weight.max()))
    sums = np.abs(weight).reshape(len(weight), -1).sum(axis=1) * largest
    if sums.max() >= 1 << (CONV_FORMAT.bits - 1):
        return WeightsInUse(weight.astype(kind), 0), CONV_FORMAT
    odd = bool(np.any(weight & 1)) and sign_mode_of(weight) is SignMode.MIXED
    if odd and weight.min() >= -128 and weight.max() <= 127:
        return WeightsInUse((weight << 1).astype(kind), -1), None
    return WeightsInUse(weight.astype(kind), 0), None


def _dense_projections(
    source: Population, target: Population, used: WeightsInUse, delay: Array | None
) -> Iterator[Projection]:
    """One projection for each delay, since every one is shifted and summed by itself."""
    flatten: tuple[Synapse, ...] = (Reshape((source.size,)),) if len(source.shape) == 3 else ()
    largest = max(map(abs, source.spike_range))
    sums = np.abs(used.stored.astype(np.int64)).sum(axis=1) * largest
    form = CHANNEL_FORMAT if sums.max() >= 1 << (CHANNEL_FORMAT.bits - 1) else None
    delays = np.zeros_like(used.stored, dtype=np.int64) if delay is None else delay
    different = np.unique(delays[used.stored != 0]) if np.any(used.stored) else np.array([0])
    if len(different) * used.stored.size > MOST_WEIGHTS:
        message = "too many delays for so many synapses"
        raise ModelError(message, found=f"{len(different)} x {used.stored.size}", limit=MOST_WEIGHTS)
    for steps in different:
        weight = np.where(delays == steps, used.stored, 0).astype(used.stored.dtype)
        chain = (*flatten, Dense(weight))
        yield Projection(source.name, target.name, chain, LATENCY + int(steps), used.exponent, accumulator=form)
