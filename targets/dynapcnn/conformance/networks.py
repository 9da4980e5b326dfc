"""A recorded net, rebuilt from its float parameters."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from nmdeploy.errors import DataError, NmdeployError
from nmdeploy.linear_maps import Array
from nmdeploy.network import Network, Population, Projection
from nmdeploy.neurons import IF
from nmdeploy.synapses import Conv2d, Dense, Reshape, SumPool2d, Synapse
from targets.dynapcnn.configuration.dvs import DvsInput
from targets.dynapcnn.configuration.tree import CnnLayer
from targets.dynapcnn.conformance.vectors import Recording

INPUT = "input"


def build_network(recording: Recording) -> Network:
    """The float network, from the parameters as they were before sinabs touched them.

    Geometry, pooling and the kind of reset are read from the recorded configuration. Average pooling
    is a sum here, with its factor in the weights of the next layer, as in sinabs.

    Raises:
        DataError: when its layers do not fit each other.
    """
    try:
        names = {layer: layer_name(layer) for layer in recording.cores}
        entry = Population(INPUT, _entry_shape(recording), maximum=max(1, int(sensor_output(recording).max(initial=0))))
        populations = [entry, *(_population(recording, layer) for layer in recording.cores)]
        outputs = [names[layer] for layer in recording.cores if min(recording.destinations[str(layer)], default=0) < 0]
        return Network(recording.name, tuple(populations), tuple(_projections(recording)), tuple(outputs))
    except (NmdeployError, KeyError, IndexError) as error:
        raise DataError(f"the net cannot be built: {error}", where=recording.name) from error


def layer_name(layer: int) -> str:
    """The population that holds a recorded layer."""
    return f"layer{layer}"


def sensor_input(recording: Recording) -> DvsInput | None:
    """The recorded sensor section; None for a net that the host feeds."""
    sensor = recording.configuration.dvs_layer
    if "dvs" not in recording.destinations:
        return None
    cut, origin, pooling, mirror = sensor.cut, sensor.origin, sensor.pooling, sensor.mirror
    if cut is None or origin is None or pooling is None or mirror is None:
        raise DataError("the sensor's section is not complete", where=recording.name)
    height, width = recording["input"].shape[2:]
    return DvsInput(
        size=(height, width),
        pooling=(pooling.y, pooling.x),
        crop=((origin.y, cut.y + 1), (origin.x, cut.x + 1)),
        merge=bool(sensor.merge),
        mirror_y=mirror.y,
        mirror_x=mirror.x,
        swap_xy=bool(sensor.mirror_diagonal),
        sensor=sensor.pass_sensor_events,
    )


def sensor_output(recording: Recording) -> Array:
    """What enters the network, `[T, C, H, W]`: the input, through the sensor's section where there is one."""
    sensor = sensor_input(recording)
    return recording["input"].astype(np.int64) if sensor is None else sensor.apply(recording["input"])


def _entry_shape(recording: Recording) -> tuple[int, ...]:
    sensor = sensor_input(recording)
    return recording["input"].shape[1:] if sensor is None else sensor.shape


def _core(recording: Recording, layer: int) -> CnnLayer:
    return recording.configuration.cnn_layers[recording.cores[layer]]


def _module(recording: Recording, layer: int) -> str:
    """Where a layer's float parameters lie: modules are numbered apart from layers, in the same order."""
    numbers = (key.removeprefix("raw.").removesuffix(".weight") for key in recording.arrays if key.startswith("raw."))
    modules = sorted(int(number) for number in numbers if number.isdigit())
    return f"raw.{modules[sorted(recording.cores).index(layer)]}"


def _population(recording: Recording, layer: int) -> Population:
    shape = recording[f"disc_spikes.L{layer}"].shape[1:]
    module = _module(recording, layer)
    dense = recording[f"{module}.weight"].ndim == 2
    bias = recording.arrays.get(f"{module}.bias")
    start = recording.arrays.get(f"float.L{layer}.v_mem")
    floor = recording.arrays.get(f"float.L{layer}.min_v_mem")
    parameters: dict[str, Any] = {
        "bias": 0.0 if bias is None else bias if dense else bias.reshape(-1, 1, 1),
        "v_init": 0.0 if start is None else start[0].reshape(-1) if dense else start[0],
        "v_min": None if floor is None else float(floor),
        "reset": "zero" if _core(recording, layer).return_to_zero else "subtract",
    }
    neuron = IF(float(recording[f"float.L{layer}.threshold"]), **parameters)
    return Population(layer_name(layer), shape[:1] if dense else shape, neuron)


def _projections(recording: Recording) -> Iterator[Projection]:
    entered = {target for targets in recording.destinations.values() for target in targets}
    for layer in recording.cores:
        if "dvs" not in recording.destinations and layer not in entered:
            yield Projection(INPUT, layer_name(layer), _synapses(recording, layer, 1))
    for source, targets in recording.destinations.items():
        real = [target for target in targets if target >= 0]
        for index, target in enumerate(real):
            pooling = 1 if source == "dvs" else _core(recording, int(source)).destinations[index].pooling
            name = INPUT if source == "dvs" else layer_name(int(source))
            yield Projection(name, layer_name(target), _synapses(recording, target, pooling))


def _synapses(recording: Recording, layer: int, pooling: int) -> tuple[Synapse, ...]:
    weight = recording[f"{_module(recording, layer)}.weight"]
    weight = weight * weight.dtype.type(recording.rescale[layer])
    pools: tuple[Synapse, ...] = () if pooling == 1 else (SumPool2d((pooling, pooling)),)
    if weight.ndim == 2:
        return (*pools, Reshape((weight.shape[1],)), Dense(weight))
    geometry = _core(recording, layer).dimensions
    stride, padding = (geometry.stride.y, geometry.stride.x), (geometry.padding.y, geometry.padding.x)
    return (*pools, Conv2d(weight, stride, (padding[0], padding[0], padding[1], padding[1])))
