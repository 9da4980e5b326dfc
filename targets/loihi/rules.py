"""Loihi's design rules over a lowered network, each a small function with a code.

They keep a network in the range where Lava 0.10.0, nengo-loihi's emulator and
Brian2Loihi agree with each other, and so with the chip (Michaelis et al. 2022,
Frontiers in Neuroinformatics 16:1015624, for the latter two).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from nmdeploy.bounds import population_bound
from nmdeploy.linear_maps import Array
from nmdeploy.network import Network, Population, Projection
from nmdeploy.target import Chip, Rule, Violation
from targets.loihi.neuron import ALIGNMENT, DECAY_BITS, DECAY_OFFSET_U, EDGE, LoihiLIF
from targets.loihi.resources import WORD_BITS, synapse_count
from targets.loihi.weights import STORED_BITS, SignMode, sign_mode_of, stored_weights

PLACEABLE = ("Dense", "Conv2d", "ConvTranspose2d", "SumPool2d", "Upsample2d", "OneToOne", "Reshape")
"""Synapse kinds whose unrolled matrix the mapper places."""


def known_synapses(network: Network, chip: Chip) -> list[Violation]:
    """Every synapse is of a kind that can be placed on cores."""
    return [
        Violation("LOI001", projection.name, "the synapse kind cannot be placed", synapse.kind, ", ".join(PLACEABLE))
        for projection in network.projections
        for synapse in projection.synapses
        if synapse.kind not in PLACEABLE
    ]


def known_neurons(network: Network, chip: Chip) -> list[Violation]:
    """Every population has one of Loihi's neuron models."""
    hint = "lower the network first"
    return [
        Violation("LOI002", population.name, "not a neuron of the chip", population.neuron.kind, LoihiLIF.kind, hint)
        for population in network.populations
        if population.neuron is not None and not isinstance(population.neuron, LoihiLIF)
    ]


def compartments(network: Network, chip: Chip) -> list[Violation]:
    """All neurons together fit the chip's compartments."""
    total = sum(population.size for population in network.populations if not population.is_input)
    limit = chip.limit("cores") * chip.limit("compartments")
    if total <= limit:
        return []
    largest = max((p for p in network.populations if not p.is_input), key=lambda population: population.size)
    hint = f"{largest.name!r} has most, {largest.size}: use fewer channels, or a larger stride before it"
    return [Violation("LOI003", network.name, "more neurons than the chip has compartments", total, limit, hint)]


def synaptic_memory(network: Network, chip: Chip) -> list[Violation]:
    """All synapses together fit the chip's synaptic memory, headers left aside."""
    counts = {projection.name: synapse_count(network, projection) for projection in network.projections}
    limit = most_synapses(chip)
    total = sum(counts.values())
    if total <= limit:
        return []
    largest = max(counts, key=lambda name: counts[name])
    hint = f"{largest!r} has most, {counts[largest]}: use fewer channels or smaller kernels there"
    return [Violation("LOI004", network.name, "more synapses than the chip has memory for", total, limit, hint)]


def most_synapses(chip: Chip) -> int:
    """The number of synapses that the whole chip's memory holds at most."""
    return chip.limit("cores") * chip.limit("synaptic_words") * WORD_BITS // chip.limit("weight_bits")


def unrolled(network: Network, chip: Chip) -> Iterator[tuple[Projection, Array]]:
    """Projections with the weights of their unrolled synapses, as stored; those that can never fit are left out."""
    for projection in network.projections:
        if synapse_count(network, projection) <= most_synapses(chip):
            weights: Array = projection.matrix(network[projection.source].shape).data
            if weights.size:
                yield projection, weights


def storable_weights(network: Network, chip: Chip) -> list[Violation]:
    """Stored weights are 0..255, -255..0, or, of both signs, even and in -256..254 (Lava `clip_weights`)."""
    found = []
    largest = 1 << STORED_BITS
    for projection, weights in unrolled(network, chip):
        as_mixed, as_guessed = (stored_weights(weights, mode) for mode in (SignMode.MIXED, None))
        lost = weights[as_guessed != weights] if np.any(as_mixed != weights) else weights[:0]
        if lost.size:
            mode = sign_mode_of(weights)
            limit = {"exc": f"0..{largest - 1}", "inh": f"{1 - largest}..0"}.get(
                mode.value, f"even, {-largest}..{largest - 2}"
            )
            hint = "quantize to signed 8-bit weights; overlapping sum pools add weights up"
            message = "a stored weight cannot be kept"
            found.append(Violation("LOI005", projection.name, message, int(lost[0]), limit, hint))
    return found


def whole_weights(network: Network, chip: Chip) -> list[Violation]:
    """Weights times 2**exponent are integers: the chip shifts each synapse, Lava the sum."""
    found = []
    for projection, weights in unrolled(network, chip):
        fraction = (1 << max(0, -projection.exponent)) - 1
        odd = weights[weights & fraction != 0]
        if odd.size:
            limit = f"multiples of {fraction + 1}"
            message = f"the weight exponent {projection.exponent} cuts bits off a weight"
            hint = "scale the weights up, or use a larger exponent"
            found.append(Violation("LOI006", projection.name, message, int(odd[0]), limit, hint))
    return found


def lif_populations(network: Network) -> Iterator[tuple[Population, LoihiLIF]]:
    """The populations of Loihi neurons."""
    for population in network.populations:
        if isinstance(population.neuron, LoihiLIF):
            yield population, population.neuron


def step_sum(network: Network, chip: Chip) -> list[Violation]:
    """What a neuron receives in one step fits the dendritic accumulator, in the worst case."""
    found = []
    limit = chip.limit("step_sum")
    for population, _ in lif_populations(network):
        bound = population_bound(network, population.name).interval.magnitude
        if bound > limit:
            hint = "fewer inputs a neuron, or smaller weights (fewer bits)"
            message = "the sum of one step may overflow the accumulator"
            found.append(Violation("LOI007", population.name, message, bound, limit, hint))
    return found


def threshold_range(network: Network, chip: Chip) -> list[Violation]:
    """Threshold mantissas are in 0..131071."""
    limit = chip.limit("threshold_mantissa")
    return [
        Violation(
            "LOI008",
            population.name,
            "the threshold is out of range",
            _worst(neuron.vth, 0, limit),
            f"0..{limit}",
            "use fewer weight bits, which scales thresholds down",
        )
        for population, neuron in lif_populations(network)
        if _worst(neuron.vth, 0, limit) is not None
    ]


def one_threshold(network: Network, chip: Chip) -> list[Violation]:
    """All neurons of a population share one threshold."""
    limit = chip.limit("thresholds_per_population")
    hint = "quantize with one scale a layer (per_channel=False)"
    return [
        Violation("LOI009", population.name, "different thresholds", len(np.unique(neuron.vth)), limit, hint)
        for population, neuron in lif_populations(network)
        if len(np.unique(neuron.vth)) > limit
    ]


def bias_range(network: Network, chip: Chip) -> list[Violation]:
    """Bias mantissas have 13 bits with sign, exponents are 0..7."""
    half = 1 << (chip.limit("bias_mantissa_bits") - 1)
    found = []
    for population, neuron in lif_populations(network):
        for name, low, high in (("bias_mant", -half, half - 1), ("bias_exp", 0, chip.limit("bias_exponent"))):
            worst = _worst(getattr(neuron, name), low, high)
            if worst is not None:
                hint = "a smaller bias: fewer weight bits scale it down"
                found.append(
                    Violation("LOI010", population.name, f"{name} is out of range", worst, f"{low}..{high}", hint)
                )
    return found


def decay_range(network: Network, chip: Chip) -> list[Violation]:
    """Decays are in 0..4095."""
    limit = chip.limit("decay")
    return [
        Violation("LOI011", population.name, f"{name} is out of range", worst, f"0..{limit}")
        for population, neuron in lif_populations(network)
        for name in ("du", "dv")
        if (worst := _worst(getattr(neuron, name), 0, limit)) is not None
    ]


def current_range(network: Network, chip: Chip) -> list[Violation]:
    """u, and u with the bias added, stay below 2**23 in magnitude in the worst case.

    A current that keeps a share k of itself in every step sums up to at most
    (arriving magnitude) / (1 - k), here times 4096 / (du + 1); rounding toward zero only
    makes it smaller.
    """
    limit = (1 << (chip.limit("current_bits") - 1)) - 1
    found = []
    for population, neuron in lif_populations(network):
        arriving = population_bound(network, population.name).interval.magnitude << ALIGNMENT
        forgotten = int(np.min(neuron.du)) + DECAY_OFFSET_U
        if forgotten < 1:
            continue  # never forgets: `decay_range` tells
        settled = -(-(arriving << DECAY_BITS) // forgotten)
        bound = max(settled, int(np.max(np.abs(neuron.u_init)))) + int(np.max(np.abs(neuron.bias)))
        if bound > limit:
            hint = "smaller weights or bias, or a faster decay of the current"
            found.append(Violation("LOI012", population.name, "current and bias may overflow", bound, limit, hint))
    return found


def initial_state(network: Network, chip: Chip) -> list[Violation]:
    """Initial u and v lie within -(2**23 - 1)..2**23 - 1."""
    limit = EDGE - 1
    return [
        Violation(
            "LOI013",
            population.name,
            f"{name} is out of range",
            worst,
            f"{-limit}..{limit}",
            "a smaller initial potential; it counts 64 a weight unit",
        )
        for population, neuron in lif_populations(network)
        for name in ("u_init", "v_init")
        if (worst := _worst(getattr(neuron, name), -limit, limit)) is not None
    ]


def delay_range(network: Network, chip: Chip) -> list[Violation]:
    """Every projection takes one step, and at most 62 more."""
    low, high = 1, 1 + chip.limit("delay_steps")
    hint = "shorten the delay, or the paths that run beside it"
    return [
        Violation("LOI014", projection.name, "the delay is out of range", projection.delay, f"{low}..{high}", hint)
        for projection in network.projections
        if not low <= projection.delay <= high
    ]


def spike_values(network: Network, chip: Chip) -> list[Violation]:
    """Inputs send spike values that the chip can carry."""
    limit = chip.limit("spike_payload")
    hint = "use a binary encoder such as DeterministicRate" if limit == 1 else None
    return [
        Violation("LOI015", population.name, "graded spikes", "{}..{}".format(*population.spike_range), limit, hint)
        for population in network.inputs
        if population.minimum < 0 or population.maximum > limit
    ]


RULES: tuple[Rule, ...] = (
    known_synapses,
    known_neurons,
    compartments,
    synaptic_memory,
    storable_weights,
    whole_weights,
    step_sum,
    threshold_range,
    one_threshold,
    bias_range,
    decay_range,
    current_range,
    initial_state,
    delay_range,
    spike_values,
)
"""All design rules, in the order of their codes."""


def _worst(value: object, low: int, high: int) -> int | None:
    """The value furthest out of low..high; None when none is."""
    values = np.asarray(value)
    if values.min() < low:
        return int(values.min())
    return int(values.max()) if values.max() > high else None
