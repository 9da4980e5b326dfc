"""SpiNNaker's design rules over a lowered network, each a small function with a code.

They hold for sPyNNaker 7.4.1. Errors are what its host code refuses, silently changes, or computes otherwise than
the emulator; warnings are emulated exactly, but hardly meant.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from nmdeploy.errors import NetworkError
from nmdeploy.latency import LATENCY
from nmdeploy.network import Network, Population, Projection
from nmdeploy.target import Chip, Rule, Violation, warning
from targets.spinnaker.chips import chips
from targets.spinnaker.connection import Form, form_of, kernels
from targets.spinnaker.fixed_point import FRACTION_BITS, LARGEST, ONE
from targets.spinnaker.layout import delay_slots, layout
from targets.spinnaker.mapper.load import busiest_events, events_in_time, tick_instructions
from targets.spinnaker.mapper.memory import dtcm, sdram
from targets.spinnaker.mapper.wiring import Wiring
from targets.spinnaker.neuron import IFCurrDelta, IFCurrExp, IFTruncDelta, SpinnakerNeuron
from targets.spinnaker.ring_buffer import RING, SHARED_KERNEL
from targets.spinnaker.ring_load import ring_bounds

MODELS = (IFTruncDelta, IFCurrDelta, IFCurrExp)
_MOST_KERNELS = (1 << 13) - 1
"""A core counts its connectors in 13 bits (`LocalOnlyConvolution.write_parameters`)."""


def known_neurons(network: Network, chip: Chip) -> list[Violation]:
    """Every population has one of SpiNNaker's neuron models."""
    limit = ", ".join(model.kind for model in MODELS)
    hint = "lower the network first"
    return [
        Violation("SPI001", population.name, "not a neuron of the chip", population.neuron.kind, limit, hint)
        for population in network.populations
        if population.neuron is not None and not isinstance(population.neuron, MODELS)
    ]


def spike_values(network: Network, chip: Chip) -> list[Violation]:
    """A source sends a spike or none."""
    return [
        Violation(
            "SPI002", each.name, "a spike has no value", f"{each.minimum}..{each.maximum}", "0..1", "encode as spikes"
        )
        for each in network.inputs
        if each.spike_range != (0, 1)
    ]


def plain_sums(network: Network, chip: Chip) -> list[Violation]:
    """Weights go to ring buffers as they are: one synapse with weights in a chain, no exponent, no accumulator."""
    found = []
    for projection in network.projections:
        weighted = sum(synapse.weight is not None for synapse in projection.synapses)
        if weighted > 1:
            message, hint = "a chain with several synapses that have weights", "multiply them into one"
            found.append(Violation("SPI003", projection.name, message, weighted, 1, hint))
        if projection.exponent or projection.accumulator is not None:
            message, hint = "the sum has an exponent or a format of its own", "put the exponent into the weights"
            found.append(Violation("SPI004", projection.name, message, projection.exponent, 0, hint))
    return found


def weight_range(network: Network, chip: Chip) -> list[Violation]:
    """A weight fits 16 bits: its magnitude in a row, with its sign in a kernel; the host would cut off the rest."""
    found = []
    for projection in network.projections:
        shared = form_of(network, projection.target) is not Form.ROWS
        weights = _weights(network, projection, shared)
        form = SHARED_KERNEL if shared else RING
        if not form.holds(weights if shared else np.abs(weights)):
            worst = int(weights[np.argmax(np.abs(weights))])
            limit = f"{form.minimum}..{form.maximum}" if shared else form.maximum
            hint = "use smaller weights; overlapping pools add weights up"
            found.append(Violation("SPI005", projection.name, "a weight does not fit 16 bits", worst, limit, hint))
    return found


def _weights(network: Network, projection: Projection, shared: bool) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
    if not shared:
        return np.asarray(projection.matrix(network[projection.source].shape).data, dtype=np.int64)
    weighted = [each.weight.ravel() for each in projection.synapses if each.weight is not None]
    return np.concatenate(weighted).astype(np.int64)


def _neurons(network: Network) -> Iterator[tuple[Population, SpinnakerNeuron]]:
    for population in network.populations:
        if isinstance(population.neuron, SpinnakerNeuron):
            yield population, population.neuron


def _largest_sums(network: Network, name: str) -> tuple[int, int]:
    """The largest sums of a step by sign, proven; 0 where `plain_sums` or `spike_values` tells why they are not."""
    try:
        excitatory, inhibitory = ring_bounds(network, name)
    except NetworkError:
        return 0, 0
    return int(excitatory.max()), int(inhibitory.max())


def ring_sums(network: Network, chip: Chip) -> list[Violation]:
    """No step brings more than a ring buffer holds, whatever spikes on schedule; else sums may saturate."""
    hint = "quantize with nmdeploy.to_integers, which widens scales until this is proven"
    return [
        warning("SPI006", population.name, f"{sign} input of a step may saturate", largest, RING.maximum, hint)
        for population, _ in _neurons(network)
        for sign, largest in zip(("excitatory", "inhibitory"), _largest_sums(network, population.name), strict=True)
        if largest > RING.maximum
    ]


def one_shift(network: Network, chip: Chip) -> list[Violation]:
    """The ring buffers of a population share one shift for each sign."""
    return [
        Violation(
            "SPI007",
            population.name,
            f"{name} differs between neurons",
            int(np.max(getattr(neuron, name))),
            "one value",
        )
        for population, neuron in _neurons(network)
        for name in ("shift_exc", "shift_inh")
        if np.min(getattr(neuron, name)) != np.max(getattr(neuron, name))
    ]


def time_step(network: Network, chip: Chip) -> list[Violation]:
    """A step is 1 ms."""
    return [
        Violation("SPI010", population.name, "a step is 1 ms", int(np.max(neuron.time_step)), ONE)
        for population, neuron in _neurons(network)
        if np.any(np.not_equal(neuron.time_step, ONE))
    ]


def initial_input(network: Network, chip: Chip) -> list[Violation]:
    """Synaptic input starts at 0."""
    return [
        Violation("SPI011", population.name, "synaptic input before the first step is not written", "isyn", 0)
        for population, neuron in _neurons(network)
        if np.any(neuron.isyn_exc) or np.any(neuron.isyn_inh)
    ]


def unit_threshold(network: Network, chip: Chip) -> list[Violation]:
    """`IF_trunc_delta` has v_thresh = 1.0: its binary takes the time step for the threshold."""
    hint = "keep v_thresh at 1.0 and set the effective threshold by v_reset, or by R = tau_m / cm"
    message = "sPyNNaker 7.4.1 takes the time step (1.0) for v_thresh"
    return [
        Violation("SPI012", population.name, message, int(np.max(neuron.v_thresh)), ONE, hint)
        for population, neuron in _neurons(network)
        if isinstance(neuron, IFTruncDelta) and np.any(np.not_equal(neuron.v_thresh, ONE))
    ]


def even_cores(network: Network, chip: Chip) -> list[Violation]:
    """Cores of `IF_trunc_delta` hold an even number of neurons, or one gets an input of 1.0 in the first step."""
    found = []
    for population, neuron in _neurons(network):
        sizes = {part.atoms_per_core for part in layout(network, population.name)}
        if isinstance(neuron, IFTruncDelta) and any(size % 2 for size in sizes):
            message = "an odd number of neurons on a core: one gets an input of 1.0 in the first step"
            hint = "feed the layer behind by rows (profile chip), or pad the image to an even side"
            found.append(Violation("SPI013", population.name, message, max(sizes), "even", hint))
    return found


def input_times_resistance(network: Network, chip: Chip) -> list[Violation]:
    """Input times R stays below 65536, or it wraps."""
    found = []
    for population, neuron in _neurons(network):
        if _largest_product(neuron, (RING.maximum, RING.maximum)) <= LARGEST:
            continue
        product = _largest_product(neuron, _largest_sums(network, population.name))
        if product > LARGEST:
            message, hint = "input times R may wrap in 32 bits", "use a smaller tau_m / cm, or smaller weights"
            found.append(warning("SPI014", population.name, message, product, LARGEST, hint))
    return found


def _largest_product(neuron: SpinnakerNeuron, sums: tuple[int, int]) -> int:
    """Input times R, raw, when one step brings these sums."""
    shifts = (neuron.shift_exc, neuron.shift_inh)
    arriving = (
        (min(largest, RING.maximum) << int(np.max(shift))) // _gain(neuron)
        for largest, shift in zip(sums, shifts, strict=True)
    )
    offset = int(np.max(np.abs(np.asarray(neuron.i_offset, dtype=np.int64))))
    return (max(arriving) + offset) * int(np.max(neuron.resistance)) >> FRACTION_BITS


def _gain(neuron: SpinnakerNeuron) -> int:
    """By what a synapse of `IF_curr_exp` divides its input at least."""
    if not isinstance(neuron, IFCurrExp):
        return 1
    largest = max(int(np.max(fraction)) for fraction in neuron.input_fractions)
    return max(1, (1 << 32) // max(1, largest + 1))


def leak(network: Network, chip: Chip) -> list[Violation]:
    """tau_m is at most 32768 ms in leaky models: beyond, the leak rounds to none and v never changes."""
    hint = "use tau_m = 32768 ms, or IF_trunc_delta, which does not leak"
    return [
        Violation(
            "SPI015",
            population.name,
            "the leak rounds to 0, and v never changes",
            int(np.max(neuron.tau_m)),
            ONE * ONE,
            hint,
        )
        for population, neuron in _neurons(network)
        if isinstance(neuron, (IFCurrDelta, IFCurrExp)) and np.any(np.greater_equal(neuron.membrane_decay, ONE))
    ]


def delays(network: Network, chip: Chip) -> list[Violation]:
    """A delay is at least one step, and no longer than a core's ring buffers; long ones take cores of few neurons."""
    found = []
    for projection in network.projections:
        if projection.delay < LATENCY:
            message, hint = "a spike takes a step at least", "lower the network"
            found.append(Violation("SPI016", projection.name, message, projection.delay, LATENCY, hint))
        slots = min(delay_slots(part.atoms_per_core) for part in layout(network, projection.target))
        if projection.delay > slots:
            message = "the delay is longer than a core's ring buffers"
            found.append(Violation("SPI017", projection.name, message, projection.delay, slots))
    return found


def kernel_count(network: Network, chip: Chip) -> list[Violation]:
    """A core numbers the kernels that it holds in 13 bits."""
    found = []
    for population, _ in _neurons(network):
        if form_of(network, population.name) is Form.CONVOLUTION:
            entering = [kernels(each, network[each.source].shape) for each in network.into(population.name)]
            count = sum(each.weight.shape[1] for each in entering if each is not None)
            if count > _MOST_KERNELS:
                message, hint = "too many kernels for one core", "deploy on the profile chip"
                found.append(Violation("SPI018", population.name, message, count, _MOST_KERNELS, hint))
    return found


def memories(network: Network, chip: Chip) -> list[Violation]:
    """What a core holds fits its 64 KB (which sPyNNaker's mapper does not check) and its chip's SDRAM."""
    wiring, found = Wiring(network), []
    for population, neuron in _neurons(network):
        for part in wiring.populations[population.name]:
            incoming = wiring.incoming[part.label]
            sizes = {"dtcm": dtcm(part, neuron, incoming, chip), "sdram": sdram(part, neuron, incoming)}
            for code, (name, size) in zip(("SPI040", "SPI041"), sizes.items(), strict=True):
                limit = chip.limit(name) - (chip.limit("monitor_sdram") if name == "sdram" else 0)
                if size > limit:
                    message = f"a core would need too much {name.upper()}"
                    hint = "split the population, use shorter delays, or deploy on the profile chip"
                    found.append(Violation(code, part.label, message, size, limit, hint))
    return found


def real_time(network: Network, chip: Chip) -> list[Violation]:
    """A core works off what a step can bring within the step, or the step has to last longer."""
    wiring, found = Wiring(network), []
    events: dict[str, int] = {}
    for population, _ in _neurons(network):
        parts = wiring.populations[population.name]
        work = max(tick_instructions(part.atoms_per_core, chip) for part in parts)
        if work > chip.limit("tick_instructions"):
            message, hint = "updating the neurons of a core takes longer than a step", "set time_scale_factor above 1"
            found.append(warning("SPI042", population.name, message, work, chip.limit("tick_instructions"), hint))
        events[population.name] = max(busiest_events(network, wiring.incoming[part.label]) for part in parts)
    worst, limit = max(events, key=events.__getitem__, default=""), events_in_time(chip)
    if worst and events[worst] > limit:
        message = "if all its sources spike in one step that may, a core's synapses take longer than the step"
        factor = math.ceil(events[worst] / limit)
        hint = f"time_scale_factor={factor} is enough whatever spikes on schedule; the cost tells what a run needs"
        found.append(warning("SPI043", worst, message, events[worst], limit, hint))
    return found


def router_entries(network: Network, chip: Chip) -> list[Violation]:
    """Every PyNN population that sends takes an entry in the routers on its way."""
    sending = {projection.source for projection in network.projections}
    count, limit = sum(len(layout(network, name)) for name in sending), chip.limit("router_entries")
    if count <= limit:
        return []
    message = "more populations send than a router has entries: tables fit only where few of them pass a chip"
    return [warning("SPI044", network.name, message, count, limit, "deploy on the profile chip")]


HOST_RULES: tuple[Rule, ...] = (
    known_neurons,
    spike_values,
    plain_sums,
    weight_range,
    one_shift,
    time_step,
    initial_input,
    unit_threshold,
    even_cores,
    leak,
    delays,
    kernel_count,
)
"""What sPyNNaker's host code refuses, silently changes, or lays out so that the chip computes otherwise."""

RULES: tuple[Rule, ...] = (*HOST_RULES, ring_sums, input_times_resistance, memories, real_time, router_entries)
"""All design rules."""


def host_violations(network: Network) -> list[Violation]:
    """Everything that stands against writing a lowered network in sPyNNaker's form, the same for every board."""
    board = next(iter(chips().values()))
    return [each for rule in HOST_RULES for each in rule(network, board)]
