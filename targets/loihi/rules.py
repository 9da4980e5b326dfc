"""Loihi's design rules over a lowered network, each a small function with a code.

They keep a network in the range where Lava 0.10.0, nengo-loihi's emulator and
Brian2Loihi agree with each other, and so with the chip (Michaelis et al. 2022,
Frontiers in Neuroinformatics 16:1015624, for the latter two).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeGuard

import numpy as np

from nmdeploy.bounds import coincident_bound
from nmdeploy.linear_maps import Array
from nmdeploy.network import Network, Population, Projection
from nmdeploy.target import Chip, Rule, Severity, Violation
from targets.loihi.chips import subtrahend_format
from targets.loihi.mapper.sharing import used_weights
from targets.loihi.neuron import ALIGNMENT, DECAY_BITS, DECAY_OFFSET_U, EDGE, FORGET, LoihiLIF, LoihiLIFSubtract
from targets.loihi.weights import STORED_BITS, SignMode, is_storable, sign_mode_of, stored_weights

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


def unrolled(network: Network, chip: Chip) -> Iterator[tuple[Projection, Array]]:
    """Projections with the weights of their synapses, each weight at least once."""
    for projection in network.projections:
        weights = used_weights(network, projection)
        if weights.size:
            yield projection, weights


def storable_weights(network: Network, chip: Chip) -> list[Violation]:
    """Stored weights are 0..255, -255..0, or, of both signs, even and in -256..254 (Lava `clip_weights`)."""
    found = []
    largest = 1 << STORED_BITS
    for projection, weights in unrolled(network, chip):
        if not is_storable(weights):
            lost = weights[stored_weights(weights) != weights]
            limit = {SignMode.EXCITATORY: f"0..{largest - 1}", SignMode.INHIBITORY: f"{1 - largest}..0"}.get(
                sign_mode_of(weights), f"even, {-largest}..{largest - 2}"
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
    """What a neuron receives in one step fits the dendritic accumulator, in the worst case that schedules leave."""
    found = []
    limit = chip.limit("step_sum")
    for population, neuron in lif_populations(network):
        bound = largest_arrival(network, population, neuron, chip)
        if bound > limit:
            hint = "fewer inputs a neuron, or smaller weights (fewer bits)"
            message = "the sum of one step may overflow the accumulator"
            found.append(Violation("LOI007", population.name, message, bound, limit, hint))
    return found


def largest_arrival(network: Network, population: Population, neuron: LoihiLIF, chip: Chip) -> int:
    """The largest magnitude of one step's sum, the subtraction included where it comes through a synapse."""
    bound = coincident_bound(network, population.name)
    if not subtracts_by_synapse(neuron, chip):
        return bound.interval.magnitude
    return max(int(bound.upper.max()), int(np.max(neuron.subtrahend - bound.lower)))


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


def threshold_profiles(network: Network, chip: Chip) -> list[Violation]:
    """Thresholds that differ within a population cost cores: a core has few different ones.

    The mapper counts them on every core (figure `threshold_profiles`); where a chip has no
    such figure, nobody has published how many a core can hold.
    """
    found = []
    for population, neuron in lif_populations(network):
        different = len(np.unique(neuron.vth))
        limit = chip.limit("threshold_profiles") if "threshold_profiles" in chip.figures else None
        if different == 1 or (limit and different <= limit):
            continue
        message, hint = "more different thresholds than a core holds", "quantize with one scale a layer"
        if limit is None:
            message = "thresholds differ within the population: how many a core can hold is not published"
        else:
            hint += f"; the layer takes at least {-(-different // limit)} cores"
        found.append(Violation("LOI009", population.name, message, different, limit, hint, Severity.WARNING))
    return found


def bias_range(network: Network, chip: Chip) -> list[Violation]:
    """Biases are a mantissa of 13 bits with sign times 2**0 to 2**7."""
    half, most = 1 << (chip.limit("bias_mantissa_bits") - 1), chip.limit("bias_exponent")
    limit = f"{-half}..{half - 1} times 2**0..2**{most}"
    hint = "a smaller bias: fewer weight bits scale it down"
    return [
        Violation("LOI010", population.name, "the bias is out of range", int(lost.flat[0]), limit, hint)
        for population, neuron in lif_populations(network)
        if (lost := _not_scaled(neuron.bias, -half, half - 1, most)).size
    ]


def _not_scaled(values: Array, low: int, high: int, exponents: int) -> Array:
    """Those of `values` that are no integer of low..high times 2**0 to 2**exponents."""
    kept = np.zeros(values.shape, dtype=bool)
    for exponent in range(exponents + 1):
        mantissa = values >> exponent
        kept |= (mantissa << exponent == values) & (mantissa >= low) & (mantissa <= high)
    return values[~kept]


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
        arriving = largest_arrival(network, population, neuron, chip) << ALIGNMENT
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
    """Inputs send spike values that the chip can carry: 0 and 1, or signed payloads."""
    most = chip.limit("spike_payload")
    least = 0 if most == 1 else -most
    hint = "use a binary encoder such as DeterministicRate" if most == 1 else None
    limit = f"{least}..{most}"
    return [
        Violation("LOI015", population.name, "graded spikes", "{}..{}".format(*population.spike_range), limit, hint)
        for population in network.inputs
        if population.minimum < least or population.maximum > most
    ]


def subtracts_by_synapse(neuron: LoihiLIF, chip: Chip) -> TypeGuard[LoihiLIFSubtract]:
    """Whether the neuron's reset comes through a recurrent synapse (two compartments a neuron)."""
    return isinstance(neuron, LoihiLIFSubtract) and "subtract_compartments" in chip.figures


def subtrahends(network: Network, chip: Chip) -> list[Violation]:
    """What a recurrent synapse subtracts is a mantissa of 8 bits times 2**0 to 2**7 (NxTF)."""
    found = []
    for population, neuron in lif_populations(network):
        if not subtracts_by_synapse(neuron, chip):
            continue
        form, values = subtrahend_format(chip), np.atleast_1d(neuron.subtrahend).ravel()
        lost = values[form.nearest(values) != values]
        if lost.size:
            limit = f"m * 2**e, m up to {(1 << form.mantissa_bits) - 1}, e up to {(1 << form.exponent_bits) - 1}"
            hint = f"the nearest is {int(form.nearest(lost[0]))}; quantize for {chip.name}/subtract"
            message = "no synapse can subtract this from the potential"
            found.append(Violation("LOI016", population.name, message, int(lost[0]), limit, hint))
    return found


def subtraction_in_time(network: Network, chip: Chip) -> list[Violation]:
    """A neuron of two compartments forgets its current at once and does not leak.

    The subtraction comes one step after the spike. It is then the same as an immediate
    one only if nothing decays in between, and if it acts in one step.
    """
    hint = "du = 4095 and dv = 0, or reset to zero"
    return [
        Violation("LOI017", population.name, f"{name} does not go with reset by subtraction", worst, limit, hint)
        for population, neuron in lif_populations(network)
        if subtracts_by_synapse(neuron, chip)
        for name, limit in (("du", FORGET), ("dv", 0))
        if (worst := _worst(getattr(neuron, name), limit, limit)) is not None
    ]


def own_microcode(network: Network, chip: Chip) -> list[Violation]:
    """Reset by subtraction on a chip without the two-compartment form is a matter of microcode."""
    message = f"reset by subtraction on {chip.title} needs your own neuron microcode"
    hint = "Lava on CPU and the emulator run it"
    return [
        Violation("LOI105", population.name, message, neuron.kind, None, hint, Severity.WARNING)
        for population, neuron in lif_populations(network)
        if isinstance(neuron, LoihiLIFSubtract) and not subtracts_by_synapse(neuron, chip)
    ]


RULES: tuple[Rule, ...] = (
    known_synapses,
    known_neurons,
    storable_weights,
    whole_weights,
    step_sum,
    threshold_range,
    threshold_profiles,
    bias_range,
    decay_range,
    current_range,
    initial_state,
    delay_range,
    spike_values,
    subtrahends,
    subtraction_in_time,
    own_microcode,
)
"""All design rules, in the order of their codes; LOI003 and LOI004 are the mapper's: it knows how many chips."""


def _worst(value: object, low: int, high: int) -> int | None:
    """The value furthest out of low..high; None when none is."""
    values = np.asarray(value)
    if values.min() < low:
        return int(values.min())
    return int(values.max()) if values.max() > high else None
