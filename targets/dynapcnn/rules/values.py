"""What the registers of a core hold."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from nmdeploy.network import Network, Population
from nmdeploy.target import Chip, Rule, Violation
from quantize import IntegerFormat
from targets.dynapcnn.layer import SpeckNeuron
from targets.dynapcnn.rules.structure import layers_of_links, readable_links


def speck_populations(network: Network) -> Iterator[tuple[Population, SpeckNeuron]]:
    """The populations with a neuron of the chip."""
    for population in network.populations:
        if isinstance(population.neuron, SpeckNeuron):
            yield population, population.neuron


def weight_range(network: Network, chip: Chip) -> list[Violation]:
    """Weights are signed 8-bit integers."""
    form = IntegerFormat(chip.limit("weight_bits"))
    hint = "quantize for this chip (nmdeploy.to_integers, or one of its own schemes)"
    return [
        Violation("DYN016", each.projection.name, "a weight is out of range", worst, _range(form), hint)
        for each in readable_links(network)
        if (worst := worst_outside(each.conv.weight, form.minimum, form.maximum)) is not None
    ]


def threshold_range(network: Network, chip: Chip) -> list[Violation]:
    """Thresholds are 1 to 32767: at 0 a neuron fires at every event, whatever its weight."""
    form = IntegerFormat(chip.limit("state_bits"))
    hint = "quantize with a smaller scale of the weights; a threshold of 0 comes from weights far above it"
    return [
        Violation("DYN017", population.name, "the threshold is out of range", worst, f"1..{form.maximum}", hint)
        for population, neuron in speck_populations(network)
        if (worst := worst_outside(neuron.threshold_high, 1, form.maximum)) is not None
    ]


def one_threshold(network: Network, chip: Chip) -> list[Violation]:
    """All neurons of a core have the same thresholds, those of a feature the same bias."""
    found = []
    for population, neuron in speck_populations(network):
        for name in ("threshold_high", "threshold_low"):
            different = len(np.unique(getattr(neuron, name)))
            if different > 1:
                message, hint = f"{name} differs between the neurons of a core", "quantize with one scale a layer"
                found.append(Violation("DYN018", population.name, message, f"{different} values", 1, hint))
        leak = np.broadcast_to(neuron.leak, population.shape).reshape(population.shape[0], -1)
        if np.any(leak != leak[:, :1]):
            message, hint = "the bias differs within a feature", "one bias for each feature"
            found.append(Violation("DYN018", population.name, message, None, None, hint))
    return found


def state_range(network: Network, chip: Chip) -> list[Violation]:
    """Floor and initial potentials are signed 16-bit integers."""
    form = IntegerFormat(chip.limit("state_bits"))
    return [
        Violation("DYN019", population.name, f"{name} is out of range", worst, _range(form), "use a smaller scale")
        for population, neuron in speck_populations(network)
        for name in ("threshold_low", "v_init")
        if (worst := worst_outside(getattr(neuron, name), form.minimum, form.maximum)) is not None
    ]


def bias_range(network: Network, chip: Chip) -> list[Violation]:
    """Biases are signed 8-bit integers, as sinabs writes them; the width of the register is not published."""
    form = IntegerFormat(chip.limit("bias_bits"))
    return [
        Violation("DYN024", population.name, "the bias is out of range", worst, _range(form), "use a smaller scale")
        for population, neuron in speck_populations(network)
        if (worst := worst_outside(neuron.leak, form.minimum, form.maximum)) is not None
    ]


def spike_values(network: Network, chip: Chip) -> list[Violation]:
    """Inputs send events, which have no sign: a count of 0 or more in each step."""
    hint = "give negative values a channel of their own, as sensors do with polarity"
    return [
        Violation("DYN025", population.name, "an event has no sign", population.minimum, 0, hint)
        for population in network.inputs
        if population.minimum < 0
    ]


def live_layers(network: Network, chip: Chip) -> list[Violation]:
    """Some weight of every layer is not 0: nothing would come through."""
    hint = "quantize with a larger scale, or look where the weights were lost"
    return [
        Violation("DYN026", population, "every weight of the layer is 0", 0, None, hint)
        for population, entering in layers_of_links(network)
        if not any(np.any(each.conv.weight) for each in entering)
    ]


def worst_outside(values: object, low: int, high: int) -> int | None:
    """The value furthest out of low..high; None when none is."""
    array = np.asarray(values)
    smallest, largest = int(array.min()), int(array.max())
    if smallest >= low and largest <= high:
        return None
    return smallest if low - smallest > largest - high else largest


def _range(form: IntegerFormat) -> str:
    return f"{form.minimum}..{form.maximum}"


RULES: tuple[Rule, ...] = (
    weight_range,
    threshold_range,
    one_threshold,
    state_range,
    bias_range,
    spike_values,
    live_layers,
)
