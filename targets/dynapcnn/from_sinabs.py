"""Models of sinabs as networks: sequences of torch layers and IAF neurons, and finished `DynapcnnNetwork`s.

Modules are told by the names of their classes, so neither torch nor sinabs is imported.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from nmdeploy.errors import ModelError
from nmdeploy.linear_maps import Array
from nmdeploy.network import Network, Population, Projection
from nmdeploy.neurons import IF
from nmdeploy.synapses import Conv2d, Dense, Reshape, Shape, SumPool2d, Synapse
from targets.dynapcnn.configuration.dvs import DvsInput
from targets.dynapcnn.neuron import SpeckIAF, SpeckStepIAF
from targets.dynapcnn.precision import GRADED_INPUT

INPUT = "input"
_IGNORED = ("Dropout", "Dropout1d", "Dropout2d", "Identity")
_NEURONS = ("IAFSqueeze", "IAF")
_KNOWN = ("Conv2d", "Linear", "AvgPool2d", "SumPool2d", "Flatten", *_NEURONS, *_IGNORED)


def from_sinabs(model: Any, input_shape: Shape | None = None, *, profile: str = "chip") -> Network:
    """A model of sinabs 3.1.3 as a network.

    A `DynapcnnNetwork` becomes an integer network in the chip's terms, with sinabs' own integers. A
    `torch.nn.Sequential` of layers and IAF neurons, or a `sinabs.Network` of one, becomes a float
    network of ideal neurons, for `nmdeploy.deploy` with the quantizer `sinabs` (the same integers) or any other.

    Args:
        model: the model; it is not changed.
        input_shape: (C, H, W) of one sample; None where the model knows it.
        profile: of a `DynapcnnNetwork`: `chip` and `leak` for the chip's events, `step` for sinabs' simulation.

    Raises:
        ModelError: naming the module that the chip does not have, or that nmdeploy does not read.
    """
    if hasattr(model, "dynapcnn_layers"):
        return _from_dynapcnn(model, profile)
    sequence = getattr(model, "spiking_model", model)
    shape = input_shape or getattr(model, "input_shape", None)
    if shape is None:
        raise ModelError("the shape of the input is not known", where=type(model).__name__, hint="give input_shape")
    reader = _Sequence(tuple(int(size) for size in shape))
    for name, module in _flat(sequence, ""):
        reader.take(name, module)
    return reader.network(type(model).__name__)


def sensor_of(model: Any) -> DvsInput | None:
    """How the sensor feeds a `DynapcnnNetwork`; None when it does not."""
    layer = model.dvs_layer
    if layer is None:
        return None
    (top, bottom), (left, right) = layer.get_roi()
    vertical, horizontal = layer.get_pooling()
    return DvsInput(
        size=(int(layer.input_shape[1]), int(layer.input_shape[2])),
        pooling=(int(vertical), int(horizontal)),
        crop=((int(top), int(bottom)), (int(left), int(right))),
        merge=bool(layer.merge_polarities),
        mirror_y=bool(layer.flip_layer.flip_y),
        mirror_x=bool(layer.flip_layer.flip_x),
        swap_xy=bool(layer.get_swap_xy()),
        sensor=not layer.disable_pixel_array,
    )


def _kind(module: Any) -> str:
    """The class that counts: the first of a module's classes that is known, or its own."""
    names = [each.__name__ for each in type(module).__mro__]
    return next((name for name in names if name in _KNOWN), names[0])


def _flat(module: Any, name: str) -> Iterator[tuple[str, Any]]:
    """The modules of nested sequences, in order."""
    if "Sequential" not in [each.__name__ for each in type(module).__mro__]:
        yield name, module
        return
    for child, each in module.named_children():
        yield from _flat(each, f"{name}.{child}" if name else child)


def _array(tensor: Any) -> Array:
    values: Array = tensor.detach().cpu().numpy()
    return values


@dataclass
class _Sequence:
    """Collects layers up to their neurons.

    Attributes:
        shape: of what the next module receives.
        populations, projections: so far.
        chain: synapses since the last neurons.
        bias: of the weights in the chain.
        factor: that average pools in the chain leave to the next weights.
    """

    shape: Shape
    populations: list[Population] = field(default_factory=list)
    projections: list[Projection] = field(default_factory=list)
    chain: list[Synapse] = field(default_factory=list)
    bias: Array | None = None
    factor: float = 1.0

    def __post_init__(self) -> None:
        self.populations.append(Population(INPUT, self.shape, maximum=GRADED_INPUT))

    def take(self, name: str, module: Any) -> None:
        """The next module of the sequence."""
        kind = _kind(module)
        where = f"{name} ({type(module).__name__})"
        if kind in _IGNORED:
            return
        if kind == "Conv2d":
            self._add(_convolution(module, self.factor, where), module.bias)
        elif kind == "Linear":
            self._flatten()
            self._add(Dense(_scaled(module.weight, self.factor)), module.bias)
        elif kind == "Flatten":
            self._flatten()
        elif kind in ("AvgPool2d", "SumPool2d"):
            pool = _pool(module, where)
            self.factor *= 1 / (pool.kernel[0] * pool.kernel[1]) if kind == "AvgPool2d" else 1.0
            self._append(pool)
        elif kind in _NEURONS:
            self._fire(name, module, where)
        else:
            hint = "fold normalizations, and convert activations with sinabs.from_torch.from_model"
            raise ModelError("no such module on the chip", where=where, limit=", ".join(_KNOWN), hint=hint)

    def _append(self, synapse: Synapse) -> None:
        self.chain.append(synapse)
        self.shape = synapse.out_shape(self.shape)

    def _add(self, synapse: Synapse, bias: Any) -> None:
        self._append(synapse)
        self.bias, self.factor = None if bias is None else _array(bias), 1.0

    def _flatten(self) -> None:
        if len(self.shape) > 1:
            self._append(Reshape((int(np.prod(self.shape)),)))

    def _fire(self, name: str, module: Any, where: str) -> None:
        weighted = [synapse for synapse in self.chain if synapse.weight is not None]
        if len(weighted) != 1:
            raise ModelError("neurons stand behind one layer of weights", where=where, found=f"{len(weighted)} layers")
        threshold, floor, start = _neuron_values(module, where)
        bias = 0.0 if self.bias is None else self.bias.reshape(-1, *[1] * (len(self.shape) - 1))
        neuron = IF(threshold, bias=bias, v_init=start, v_min=floor, reset=_reset(module, where))
        source = self.populations[-1].name
        self.populations.append(Population(f"neurons_{name}".replace(".", "_"), self.shape, neuron))
        self.projections.append(Projection(source, self.populations[-1].name, tuple(self.chain)))
        self.chain, self.bias = [], None

    def network(self, name: str) -> Network:
        """The finished network."""
        if self.chain:
            hint = "end with IAF neurons, as sinabs.from_torch.from_model(add_spiking_output=True) does"
            raise ModelError("the model does not end with neurons", where=name, hint=hint)
        return Network(name, tuple(self.populations), tuple(self.projections))


def _scaled(weight: Any, factor: float) -> Array:
    """Float32 weights times what average pooling leaves to them, as sinabs multiplies."""
    values = _array(weight)
    scaled: Array = values * values.dtype.type(factor)
    return scaled


def _convolution(module: Any, factor: float, where: str) -> Conv2d:
    if isinstance(module.padding, str) or module.padding_mode != "zeros":
        raise ModelError("padding is a number of zeros", where=where, found=f"{module.padding}, {module.padding_mode}")
    vertical, horizontal = module.padding
    return Conv2d(
        _scaled(module.weight, factor),
        stride=module.stride,
        padding=(vertical, vertical, horizontal, horizontal),
        dilation=module.dilation,
        groups=module.groups,
    )


def _pool(module: Any, where: str) -> SumPool2d:
    if module.ceil_mode or np.any(getattr(module, "padding", 0)):
        hint = "sinabs would leave both out without a word"
        raise ModelError("pools have no padding and drop what fills no window", where=where, hint=hint)
    return SumPool2d(module.kernel_size, module.stride)


def _neuron_values(module: Any, where: str) -> tuple[float, float | None, Any]:
    """Threshold, floor and initial potentials (of the first sample) of IAF neurons."""
    threshold = _array(module.spike_threshold)
    if threshold.size != 1:
        raise ModelError("the chip has one threshold for all neurons of a core", where=where, found=threshold.shape)
    floor = None if module.min_v_mem is None else float(module.min_v_mem)
    start = _array(module.v_mem)[0] if module.is_state_initialised() else np.zeros(1)
    return float(threshold), floor, start if start.any() else 0.0


def _reset(module: Any, where: str) -> Any:
    """`subtract` or `zero`."""
    reset = module.reset_fn
    kind = type(reset).__name__
    if kind == "MembraneSubtract" and reset.subtract_value is None:
        return "subtract"
    if kind == "MembraneReset" and reset.reset_value == 0:
        return "zero"
    raise ModelError("a spike subtracts the threshold, or resets to 0", where=where, found=repr(reset))


def _from_dynapcnn(model: Any, profile: str) -> Network:
    layers = dict(model.dynapcnn_layers)
    populations = [Population(INPUT, _entry_shape(model), maximum=GRADED_INPUT)]
    populations += [_chip_population(index, layer, profile) for index, layer in layers.items()]
    outputs = [f"layer{index}" for index in layers if min(model.layer_destination_map[index], default=0) < 0]
    projections = [
        Projection(source, f"layer{target}", (*pools, _chip_convolution(layers[target], f"layer{target}")))
        for source, target, pools in _ways(model, layers)
    ]
    return Network(type(model).__name__, tuple(populations), tuple(projections), tuple(outputs))


def _entry_shape(model: Any) -> Shape:
    sensor = sensor_of(model)
    return tuple(int(size) for size in model.input_shape) if sensor is None else sensor.shape


def _ways(model: Any, layers: dict[int, Any]) -> Iterator[tuple[str, int, tuple[Synapse, ...]]]:
    """Source, target and pools of every connection, in sinabs' order of destinations."""
    fed = model.layer_destination_map.get("dvs", model.dynapcnn_module.entry_points)
    for target in sorted(index for index in fed if index in layers):
        yield INPUT, target, ()
    for index, layer in layers.items():
        for target, pool in zip(model.layer_destination_map[index], layer.pool, strict=True):
            if target >= 0:
                yield f"layer{index}", target, () if tuple(pool) == (1, 1) else (SumPool2d(tuple(pool)),)


def _chip_population(index: int, layer: Any, profile: str) -> Population:
    where = f"layer {index}"
    threshold, floor, start = _neuron_values(layer.spk_layer, where)
    bias = layer.conv_layer.bias
    parameters: dict[str, Any] = {
        "threshold_high": _integer(threshold, where),
        "threshold_low": -(1 << 15) if floor is None else _integer(floor, where),
        "return_to_zero": _reset(layer.spk_layer, where) == "zero",
        "v_init": _integers(np.asarray(start), where) if np.any(start) else 0,
        "leak": 0 if bias is None else _integers(_array(bias), where).reshape(-1, 1, 1),
    }
    shape = tuple(int(size) for size in layer.get_neuron_shape())
    if profile != "step":
        return Population(f"layer{index}", shape, SpeckIAF(**parameters))
    multi = layer.spk_layer.spike_fn.__name__ == "MultiSpike"
    return Population(f"layer{index}", shape, SpeckStepIAF(**parameters, multi_spike=multi))


def _chip_convolution(layer: Any, where: str) -> Conv2d:
    synapse = _convolution(layer.conv_layer, 1.0, where)
    weight: Any = synapse.weight
    return Conv2d(
        _integers(weight, where), synapse.stride, synapse.padding, dilation=synapse.dilation, groups=synapse.groups
    )


def _integer(value: float, where: str) -> int:
    return int(_integers(np.asarray(value), where))


def _integers(values: Array, where: str) -> Array:
    whole = np.rint(values).astype(np.int64)
    if not np.array_equal(whole, values):
        hint = "build it with discretize=True, or give the model it was built from"
        raise ModelError("a DynapcnnNetwork with values that are no integers", where=where, hint=hint)
    return whole
