"""A deployment as the configuration of its chip."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import replace

import numpy as np

from nmdeploy.deployment import CoreLoad, Deployment
from nmdeploy.emulator.result import ALL
from nmdeploy.errors import UsageError
from nmdeploy.linear_maps import Array
from nmdeploy.linear_maps import Pair as Axes
from targets.dynapcnn.chips import chips
from targets.dynapcnn.configuration.dvs import DvsInput
from targets.dynapcnn.configuration.tree import (
    CnnLayer,
    Configuration,
    Destination,
    Dimensions,
    DvsLayer,
    Pair,
    Readout,
    Shape,
)
from targets.dynapcnn.layer import ChipLayer, layers
from targets.dynapcnn.link import as_map

Channels = slice
"""Features of a population that one core holds."""
SPIKES_DECIDE = Readout(
    enable=True, threshold=0, readout_configuration_sel=0b11, output_mode_sel=0b01, low_pass_filter_disable=True
)
"""The read-out block tells of every class that spiked in a slow tick: the settings of sinabs' notebook
`using_readout_layer`, with a threshold of 0."""


def configuration(
    deployment: Deployment,
    *,
    monitor: Collection[str] | None = None,
    sensor: DvsInput | None = None,
    readout: Readout | None = None,
) -> Configuration:
    """All that has to be written into the chip for a deployment.

    The initial potentials, biases and thresholds are those of the network's neurons. Bit for bit what
    sinabs 3.1.3 writes for the same integers and cores, but for `feature_shift`, which sinabs never uses.

    Args:
        deployment: of a chip of this family, with its placement.
        monitor: populations whose spikes the host sees, inputs that the sensor feeds included; `"*"` for all
            of them; None for the network's outputs.
        sensor: how the chip's sensor feeds the network's input; None when the host sends all events.
        readout: settings of the chip's read-out block, which the profile `readout` feeds; None for `SPIKES_DECIDE`.

    Raises:
        UsageError: for a network or a placement that no configuration can express, a population that is
            not there, a sensor whose map is not the input's, and a read-out block that nothing feeds.
    """
    network = deployment.network
    chip_layers = layers(network)
    cores = {layer.name: _placed(deployment, layer) for layer in chip_layers}
    watched = _watched(deployment, network.outputs if monitor is None else monitor)
    found = {
        load.core: _cnn_layer(layer, load, cores, layer.name in watched)
        for layer in chip_layers
        for load in cores[layer.name]
    }
    if chips()[deployment.chip].figures.get("kill_bits"):
        found = {core: _with_kill_bits(layer) for core, layer in found.items()}
    found, readout = _with_readout(deployment, found, readout)
    whole = Configuration(deployment.chip, _dvs_layer(deployment, sensor, cores, watched), found, readout=readout)
    faults = whole.faults()
    if faults:
        raise UsageError("; ".join(faults), where=network.name, hint="see what the design rules say (nmdeploy.deploy)")
    return whole


def _placed(deployment: Deployment, layer: ChipLayer) -> tuple[CoreLoad, ...]:
    """The cores of a layer, which hold each of its neurons once."""
    loads = deployment.placement.of(layer.name)
    placed = np.sort(np.concatenate([load.neurons for load in loads])) if loads else np.zeros(0)
    if not np.array_equal(placed, np.arange(math.prod(layer.output_shape))):
        raise UsageError("the placement does not hold every neuron of the layer once", where=layer.name)
    return loads


def _watched(deployment: Deployment, monitor: Collection[str]) -> set[str]:
    names = {population.name for population in deployment.network.populations}
    unknown = sorted(set(monitor) - names - {ALL})
    if unknown:
        raise UsageError("there is no such population to monitor", found=unknown[0], limit=", ".join(sorted(names)))
    return names if ALL in monitor else set(monitor)


def _cnn_layer(
    layer: ChipLayer, load: CoreLoad, cores: Mapping[str, tuple[CoreLoad, ...]], monitored: bool
) -> CnnLayer:
    """The core that holds the features of `load`."""
    part = _channels(layer, load)
    biases = np.zeros(layer.output_shape[0], dtype=np.int64) if layer.biases is None else layer.biases
    return CnnLayer(
        dimensions=_dimensions(layer, part),
        destinations=tuple(
            Destination(target.core, True, _square(each.pooling, "pooling", layer.name), shift or None)
            for each in layer.destinations
            for target in cores[each.population]
            for shift in [each.feature_shift + part.start]
        ),
        weights=_stored(layer.weights[part].swapaxes(2, 3), np.int8, layer.name),
        biases=_stored(biases[part], np.int16, layer.name),
        leak_enable=bool(biases.any()),
        return_to_zero=layer.return_to_zero,
        threshold_high=layer.threshold_high,
        threshold_low=layer.threshold_low,
        monitor_enable=monitored,
        neurons_initial_value=_stored(layer.initial_values[part].swapaxes(1, 2), np.int16, layer.name),
    )


def _channels(layer: ChipLayer, load: CoreLoad) -> Channels:
    """The features on a core, which holds whole maps of neighbouring features."""
    _, height, width = layer.output_shape
    first, last = int(load.neurons.min()), int(load.neurons.max()) + 1
    area = height * width
    if first % area or last % area or len(load.neurons) != last - first:
        raise UsageError("a core holds whole features, one behind the other", where=f"{layer.name}, core {load.core}")
    return slice(first // area, last // area)


def _dimensions(layer: ChipLayer, part: Channels) -> Dimensions:
    channels, height, width = layer.input_shape
    _, rows, columns = layer.output_shape
    return Dimensions(
        input_shape=Shape(Pair(x=width, y=height), channels),
        output_shape=Shape(Pair(x=columns, y=rows), part.stop - part.start),
        padding=Pair(x=layer.padding[1], y=layer.padding[0]),
        stride=Pair(x=layer.stride[1], y=layer.stride[0]),
        kernel_size=_square(layer.kernel, "kernel", layer.name),
    )


def _square(axes: Axes, what: str, where: str) -> int:
    if axes[0] != axes[1]:
        raise UsageError(f"the {what} must be as high as wide", where=where, found=axes)
    return axes[0]


def _stored(values: Array, kind: type[np.integer], where: str) -> Array:
    """`values` in the type of the chip's memory."""
    stored = values.astype(kind)
    if not np.array_equal(stored, values):
        raise UsageError(f"integers beyond {8 * stored.itemsize} bits", where=where, found=int(np.abs(values).max()))
    return stored


def _with_kill_bits(layer: CnnLayer) -> CnnLayer:
    """The dialect of the development kit: entries that are 0 are switched off, neurons never.

    Each bit stands where its weight stands. sinabs 2.0.3 wrote those of the weights with x and y exchanged
    (`set_kill_bits` took them before the exchange that it made for the weights), which differs where a kernel
    has a 0 that its transpose has not.
    """
    return replace(
        layer,
        weights_kill_bit=layer.weights == 0,
        biases_kill_bit=layer.biases == 0,
        neurons_value_kill_bit=np.zeros(layer.neurons_initial_value.shape, dtype=bool),
    )


def _with_readout(
    deployment: Deployment, found: dict[int, CnnLayer], readout: Readout | None
) -> tuple[dict[int, CnnLayer], Readout | None]:
    """The cores, an output that was widened for the read-out block feeding it, and the block's settings."""
    network = deployment.network
    feeding = [name for name in network.outputs if network[name].readout_step > 1]
    if not feeding:
        if readout is not None:
            hint = "deploy with the profile 'readout'"
            raise UsageError("nothing feeds the read-out block", where=network.name, hint=hint)
        return found, None
    block = Destination(chips()[deployment.chip].limit("readout_layer"), True, 1)
    fed = {load.core for name in feeding for load in deployment.placement.of(name)}
    cores = {
        core: replace(layer, destinations=(*layer.destinations, block)) if core in fed else layer
        for core, layer in found.items()
    }
    return cores, readout or SPIKES_DECIDE


def _dvs_layer(
    deployment: Deployment,
    sensor: DvsInput | None,
    cores: Mapping[str, tuple[CoreLoad, ...]],
    watched: set[str],
) -> DvsLayer:
    """The sensor section; the sensor is shut off where the host sends all events."""
    if sensor is None:
        return DvsLayer()
    network = deployment.network
    if len(network.inputs) != 1:
        raise UsageError("the sensor feeds one input", where=network.name, found=f"{len(network.inputs)} inputs")
    source = network.inputs[0]
    fed = [
        (load.core, each.pooling, each.feature_shift)
        for layer in layers(network)
        for each in layer.sources
        if each.population == source.name
        for load in cores[layer.name]
    ]
    if any(pooling != (1, 1) or shift for _, pooling, shift in fed):
        hint = "pool in the sensor (DvsInput.pooling)"
        raise UsageError("the sensor's destinations neither pool nor shift", where=source.name, hint=hint)
    shaped = replace(source, shape=as_map(source.shape))
    return sensor.layer(shaped, tuple(core for core, _, _ in fed), source.name in watched)
