"""Where a network leaves the range in which all that matters of the chip is published: warnings, with what is unknown.

Inside it, no potential leaves 16 bits or stays at its threshold after a spike, and every
event has one place in the order of its core.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from nmdeploy.network import Network
from nmdeploy.schedule import coincidences
from nmdeploy.target import Chip, Rule, Violation, warning
from quantize import IntegerFormat
from targets.dynapcnn.layer import SpeckNeuron
from targets.dynapcnn.rules.structure import layers_of_links, readable_links
from targets.dynapcnn.rules.values import speck_populations


def _weighted(network: Network) -> Iterator[tuple[str, SpeckNeuron, int, int]]:
    """Layers with their neuron, smallest and largest weight."""
    for name, entering in layers_of_links(network):
        neuron = network[name].neuron
        if isinstance(neuron, SpeckNeuron):
            weights = [each.conv.weight for each in entering]
            yield name, neuron, min(int(w.min()) for w in weights), max(int(w.max()) for w in weights)


def whole_windows(network: Network, chip: Chip) -> list[Violation]:
    """Pooling windows cover the map of neurons: an event of the rest has no address in the next map."""
    return [
        warning(
            "DYN040",
            each.projection.name,
            "pooling leaves rows or columns over; what the chip does with their events is not published, "
            "sinabs and the emulator drop them",
            f"{each.sent[1]} x {each.sent[2]} by {each.pooling[0]}",
            f"{each.covered[0]} x {each.covered[1]}",
            "pad or crop so that the map is a multiple of the pooling",
        )
        for each in readable_links(network)
        if each.covered[0] < each.sent[1] or each.covered[1] < each.sent[2]
    ]


def weights_below_threshold(network: Network, chip: Chip) -> list[Violation]:
    """No weight is above the threshold, so that a spike takes a potential below it again."""
    message = (
        "a weight is above the threshold, so a potential can stay above it after the spike; whether an event of "
        "weight 0 or below then fires the neuron is not published (`fires_on_any`)"
    )
    return [
        warning("DYN041", name, message, largest, threshold, "quantize with a smaller scale of the weights, or clip")
        for name, neuron, _, largest in _weighted(network)
        if largest > (threshold := int(np.min(neuron.threshold_high))) and not neuron.return_to_zero
    ]


def room_above_threshold(network: Network, chip: Chip) -> list[Violation]:
    """No potential leaves 16 bits at the top: threshold and largest weight stay within them together."""
    form = IntegerFormat(chip.limit("state_bits"))
    message = "a potential can leave 16 bits; whether it saturates or wraps is not published (`overflow`)"
    found = []
    for name, neuron, _, largest in _weighted(network):
        threshold = int(np.max(neuron.threshold_high))
        if largest > threshold and not neuron.return_to_zero:
            growth, hint = (
                f"{largest - threshold} more with every event",
                "quantize with a smaller scale of the weights",
            )
            found.append(warning("DYN042", name, message, growth, form.maximum, hint))
        elif threshold - 1 + max(largest, 0) > form.maximum:
            highest, hint = threshold - 1 + largest, f"a threshold of {form.maximum + 1 - largest} or less"
            found.append(warning("DYN042", name, message, highest, form.maximum, hint))
    return found


def room_below_floor(network: Network, chip: Chip) -> list[Violation]:
    """No potential leaves 16 bits at the bottom before the floor holds it."""
    form = IntegerFormat(chip.limit("state_bits"))
    message = (
        "a potential can leave 16 bits before the floor holds it; what happens there is not published (`overflow`)"
    )
    return [
        warning(
            "DYN043", name, message, floor + smallest, form.minimum, f"a floor of {form.minimum - smallest} or above"
        )
        for name, neuron, smallest, _ in _weighted(network)
        if (floor := int(np.min(neuron.threshold_low))) + min(smallest, 0) < form.minimum
    ]


def initial_potentials(network: Network, chip: Chip) -> list[Violation]:
    """Initial potentials lie between floor and threshold."""
    message = "an initial potential is not between floor and threshold; it is compared only when an event arrives"
    found = []
    for population, neuron in speck_populations(network):
        low, high = int(np.max(neuron.threshold_low)), int(np.min(neuron.threshold_high)) - 1
        values = np.asarray(neuron.v_init)
        outside = values[(values < low) | (values > high)]
        if outside.size:
            hint = "start from a potential below the threshold"
            found.append(warning("DYN044", population.name, message, int(outside.flat[0]), f"{low}..{high}", hint))
    return found


def one_source(network: Network, chip: Chip) -> list[Violation]:
    """A core has one source at a time: events of two meet in an order that the chip does not repeat."""
    message = "events of several sources meet in an order that is not even the same from run to run"
    hint = "compare over many runs, or see how far it matters: nmdeploy run --orders"
    found = []
    for name, entering in layers_of_links(network):
        together = coincidences([(network[each.projection.source].schedule, 0) for each in entering])
        meeting = max(map(len, together))
        if meeting > 1:
            found.append(warning("DYN045", name, message, meeting, 1, hint))
    return found


def no_rising_leak(network: Network, chip: Chip) -> list[Violation]:
    """No tick of the slow clock brings a potential to its threshold."""
    message = "a bias can bring a potential to its threshold; whether a tick fires a neuron is not published"
    hint = "the emulator's policy is `fires_on_tick`; train without biases to be sure"
    return [
        warning("DYN046", population.name, message, int(np.max(neuron.leak)), 0, hint)
        for population, neuron in speck_populations(network)
        if np.any(np.greater(neuron.leak, 0))
    ]


def sensor_destinations(network: Network, chip: Chip) -> list[Violation]:
    """The sensor feeds two cores at most; the host can send its events to any."""
    limit = chip.limit("destinations")
    return [
        warning(
            "DYN047",
            population.name,
            "the on-chip sensor cannot feed so many cores, only the host can",
            len(network.out_of(population.name)),
            limit,
            "merge the first layers into one",
        )
        for population in network.inputs
        if len(network.out_of(population.name)) > limit
    ]


RULES: tuple[Rule, ...] = (
    whole_windows,
    weights_below_threshold,
    room_above_threshold,
    room_below_floor,
    initial_potentials,
    one_source,
    no_rising_leak,
    sensor_destinations,
)
