"""The configuration of a chip as plain records.

Names, nesting and index order are samna's (sinabs 3.1.3, `backend/dynapcnn/chips/dynapcnn.py`, and the
samna pages of Speck2e and Speck2f). Fields stand in the order in which sinabs writes them; None means
"not written", so that the chip's own default stays.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

from nmdeploy.linear_maps import Array
from nmdeploy.structure import Record
from quantize import IntegerFormat
from targets.dynapcnn.neuron import STATE, WEIGHT

DESTINATIONS = 2
"""Destinations that one core can have."""
CORES = 9
"""Cores of the largest chip of the family."""


@dataclass(frozen=True)
class Entries:
    """What an array holds.

    Attributes:
        axes: how many it has.
        form: of its integers; None for booleans.
    """

    axes: int
    form: IntegerFormat | None = None


@dataclass(frozen=True)
class Pair:
    """A horizontal and a vertical number."""

    x: int
    y: int


@dataclass(frozen=True)
class Mirror:
    """Whether an axis is turned round."""

    x: bool
    y: bool


@dataclass(frozen=True)
class Shape:
    """A map: its size, and how many features (channels) it has."""

    size: Pair
    feature_count: int


@dataclass(frozen=True)
class Dimensions:
    """Geometry of a core's convolution.

    Attributes:
        input_shape: what arrives, after the source's pooling.
        output_shape: the core's neurons, before its own pooling.
        padding: on each side.
        stride: of the convolution.
        kernel_size: of both axes.
    """

    input_shape: Shape
    output_shape: Shape
    padding: Pair
    stride: Pair
    kernel_size: int


@dataclass(frozen=True)
class Destination:
    """Where a core sends its spikes.

    Attributes:
        layer: the core that receives them; 12 is the read-out.
        enable: whether they are sent.
        pooling: of the map, by summation.
        feature_shift: added to the feature of every spike.
    """

    layer: int
    enable: bool
    pooling: int
    feature_shift: int | None = None


@dataclass(frozen=True, eq=False, repr=False)
class CnnLayer(Record):
    """One core.

    Attributes:
        dimensions: of its convolution.
        destinations: at most two.
        weights: 8 bits, `[feature out, feature in, x, y]`.
        biases: `[feature out]`, added by every tick of the slow clock. sinabs makes 8 bits of them; the
            register's width is unpublished, SynSense's own scripts write 16.
        leak_enable: whether they are.
        return_to_zero: the reset; otherwise `threshold_high` is subtracted.
        threshold_high: a potential that reaches it fires.
        threshold_low: floor of the potential.
        monitor_enable: whether the spikes are also sent to the host, before pooling.
        neurons_initial_value: 16 bits, `[feature, x, y]`.
        leak_internal_slow_clk_enable: whether the chip makes the slow clock itself.
        input_congestion_balancer_enable: whether events are dropped while the core is busy (Speck2e, Speck2f).
        output_decimator_enable: whether only one of several spikes is passed on (Speck2e, Speck2f).
        output_decimator_interval: code of how many: one of 2, 4, 8, ... 512 for 0, 1, 2, ... 8.
        weights_kill_bit, biases_kill_bit, neurons_value_kill_bit: entries that are switched off, shaped as
            the values; only the development kit of samna before 0.46 has them.
    """

    dimensions: Dimensions
    destinations: tuple[Destination, ...]
    weights: Annotated[Array, Entries(4, WEIGHT)]
    biases: Annotated[Array, Entries(1, STATE)]
    leak_enable: bool
    return_to_zero: bool
    threshold_high: int
    threshold_low: int
    monitor_enable: bool
    neurons_initial_value: Annotated[Array, Entries(3, STATE)]
    leak_internal_slow_clk_enable: bool | None = None
    input_congestion_balancer_enable: bool | None = None
    output_decimator_enable: bool | None = None
    output_decimator_interval: int | None = None
    weights_kill_bit: Annotated[Array | None, Entries(4)] = None
    biases_kill_bit: Annotated[Array | None, Entries(1)] = None
    neurons_value_kill_bit: Annotated[Array | None, Entries(3)] = None

    def __post_init__(self) -> None:
        self.freeze_arrays()

    def faults(self) -> list[str]:
        """What does not go together in the layer."""
        shape, neurons, kernel = self.dimensions.input_shape, self.dimensions.output_shape, self.dimensions.kernel_size
        shapes = {
            "weights": (neurons.feature_count, shape.feature_count, kernel, kernel),
            "biases": (neurons.feature_count,),
            "neurons_initial_value": (neurons.feature_count, neurons.size.x, neurons.size.y),
        }
        pairs = [("weights_kill_bit", "weights"), ("biases_kill_bit", "biases")]
        shapes |= {name: shapes[of] for name, of in [*pairs, ("neurons_value_kill_bit", "neurons_initial_value")]}
        arrays = {name: getattr(self, name) for name in shapes}
        found = [
            f"{name} has shape {array.shape}, its dimensions make {shapes[name]}"
            for name, array in arrays.items()
            if array is not None and array.shape != shapes[name]
        ]
        found += [
            f"{name} is {getattr(self, name)}, beyond {STATE.bits} bits"
            for name in ("threshold_low", "threshold_high")
            if not STATE.minimum <= getattr(self, name) <= STATE.maximum
        ]
        if len(self.destinations) > DESTINATIONS:
            found.append(f"{len(self.destinations)} destinations, a core has {DESTINATIONS}")
        return found


@dataclass(frozen=True)
class DvsDestination:
    """Where the sensor's events go."""

    layer: int
    enable: bool


@dataclass(frozen=True)
class DvsLayer:
    """The sensor and what is done to its events before the first core.

    Attributes:
        merge: both polarities as one feature.
        mirror, mirror_diagonal: the axes turned round, and exchanged.
        cut, origin: last and first pixel that is kept, after pooling.
        pooling: of the sensor's pixels, by summation.
        pass_sensor_events: whether the sensor's events enter the network.
        destinations: at most two cores.
        monitor_enable: whether the events are also sent to the host, before pooling.
        raw_monitor_enable: the same, of the untouched events.
        on_channel, off_channel: whether a polarity is passed.
        monitor_sensor_enable: as `raw_monitor_enable`, on the oldest chips.
    """

    merge: bool | None = None
    mirror: Mirror | None = None
    mirror_diagonal: bool | None = None
    cut: Pair | None = None
    origin: Pair | None = None
    pooling: Pair | None = None
    pass_sensor_events: bool = False
    destinations: tuple[DvsDestination, ...] = ()
    monitor_enable: bool | None = None
    raw_monitor_enable: bool | None = None
    on_channel: bool | None = None
    off_channel: bool | None = None
    monitor_sensor_enable: bool | None = None


@dataclass(frozen=True)
class DvsFilter:
    """The noise filter behind the sensor."""

    enable: bool | None = None
    internal_slow_clk: bool | None = None
    hot_pixel_filter_enable: bool | None = None
    threshold: int | None = None


@dataclass(frozen=True)
class Readout:
    """The read-out that turns spikes of the last layer into a class.

    Attributes:
        enable: whether it runs.
        threshold: an average above it is a class.
        readout_configuration_sel: which read-out is used (0b11 for the one on pins).
        output_mode_sel: 0 off, 1 thresholds, 2 average of a selected class, 3 largest average.
        low_pass_filter_disable: no average over slow ticks.
        low_pass_filter32_not16: average over 32 instead of 16 slow ticks.
        monitor_enable, readout_pin_monitor_enable: what the host sees.
        internal_slow_clk: whether the chip makes the slow clock itself.
    """

    enable: bool | None = None
    threshold: int | None = None
    readout_configuration_sel: int | None = None
    output_mode_sel: int | None = None
    low_pass_filter_disable: bool | None = None
    low_pass_filter32_not16: bool | None = None
    monitor_enable: bool | None = None
    readout_pin_monitor_enable: bool | None = None
    internal_slow_clk: bool | None = None


@dataclass(frozen=True)
class FactoryConfig:
    """Settings of the chip itself; `io_sel` is 24 for the read-out of a network in flash."""

    io_sel: int | None = None


@dataclass(frozen=True, eq=False, repr=False)
class Configuration(Record):
    """All that is written into a chip.

    Attributes:
        chip: name of the chip.
        dvs_layer: the sensor.
        cnn_layers: by core, in the order of the network's layers; other cores are not written.
        dvs_filter, readout, factory_config: not written unless asked for.
    """

    chip: str
    dvs_layer: DvsLayer
    cnn_layers: Mapping[int, CnnLayer]
    dvs_filter: DvsFilter | None = None
    readout: Readout | None = None
    factory_config: FactoryConfig | None = None

    def faults(self) -> list[str]:
        """What does not go together, core by core."""
        found = [f"core {core}: {fault}" for core, layer in self.cnn_layers.items() for fault in layer.faults()]
        found += [f"core {core}: there are {CORES} cores" for core in self.cnn_layers if not 0 <= core < CORES]
        if len(self.dvs_layer.destinations) > DESTINATIONS:
            found.append(f"dvs_layer: {len(self.dvs_layer.destinations)} destinations, it has {DESTINATIONS}")
        return found
