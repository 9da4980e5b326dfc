"""Lowering: an integer network of ideal neurons becomes one of Loihi's.

Weights keep their sum in Loihi's storage: a signed 8-bit weight w is stored as 2w, an
even number in -256..254 (mixed signs lose the lowest bit), with weight exponent -1, so
that a spike still counts w. Potentials, shifted left by 6 like every input, then count
1/64 of a weight unit.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from nmdeploy.errors import FitError, UsageError
from nmdeploy.latency import with_layer_latency
from nmdeploy.linear_maps import Array
from nmdeploy.lowering import neuron_refusals, slower_loop, steps_within
from nmdeploy.network import Network, Population, Projection
from nmdeploy.neurons import IF, Integrator, Number
from nmdeploy.target import Chip, Lowered, Profile, Violation, warning
from quantize import smallest_dtype
from targets.loihi.neuron import ALIGNMENT, EDGE, LoihiLIF, LoihiLIFSubtract

BIAS_EXPONENT = 6
"""Puts the bias mantissa in weight units, since inputs are shifted by 6 too."""
WEIGHT_EXPONENT = -1
"""Undoes the doubling of stored weights."""

FLOOR = 1 - (EDGE >> ALIGNMENT)
"""The v_min that saturation at -(2^23 - 1) amounts to, in weight units.

A potential that saturated is 1/64 above a whole number of weight units; with 63/64 added it stays
whole, and v > vth * 64 is true of the one where it is of the other.
"""

_SEMANTICS = (
    ("range", "design rules keep the network where Lava 0.10.0 and the chip agree"),
    ("synapses", "signed 8-bit weights, stored doubled with exponent -1; sums of at most 16 bits"),
    ("current", "u := a << 6, 24 bits, lasts one step"),
    ("potential", "v := v + u + bias, saturates at +-(2^23 - 1); one weight unit is 64"),
    ("fire", "v > vth * 64"),
    ("reset", "to zero, the overshoot is lost"),
    ("latency", "one step a synapse layer"),
)
_BY_SUBTRACTION = (
    "v := v - subtrahend * 64, the overshoot is kept; on Loihi 1 by two compartments a neuron (NxTF), "
    "on Loihi 2 by microcode of your own"
)
PROFILES = {
    "chip": Profile("loihi/chip", _SEMANTICS),
    "subtract": Profile("loihi/subtract", tuple({**dict(_SEMANTICS), "reset": _BY_SUBTRACTION}.items())),
}
"""The semantics by name."""


def lower(network: Network, chip: Chip, profile: str = "chip") -> Lowered:
    """`network` with Loihi neurons, stored weights and a step of latency a layer.

    A network of Loihi's own neurons is in the chip's terms already and stays as it is;
    its profile is that of its neurons.

    Args:
        network: integers, with `IF` and `Integrator` neurons, or with Loihi's own.
        chip: the chip.
        profile: `chip`: all neurons reset to zero; `subtract`: those that ask for it reset
            by subtraction.

    Raises:
        UsageError: for a float network.
        FitError: with everything that Loihi's neuron cannot express.
    """
    if not network.is_integer:
        hint = "quantize it first (nmdeploy.to_integers)"
        raise UsageError("only an integer network can be lowered", where=network.name, hint=hint)
    neurons = {p.name: p.neuron for p in network.populations if p.neuron is not None}
    if all(isinstance(neuron, LoihiLIF) for neuron in neurons.values()):
        subtracts = any(isinstance(neuron, LoihiLIFSubtract) for neuron in neurons.values())
        return Lowered(network, PROFILES["subtract" if subtracts else "chip"])
    return _lower_ideal(network, chip, profile)


def _lower_ideal(network: Network, chip: Chip, profile: str) -> Lowered:
    found = [each for population in network.populations for each in neuron_violations(population)]
    found += [each for projection in network.projections for each in projection_violations(projection)]
    if found:
        raise FitError(chip.title, found)
    neurons = {p.name: p.neuron for p in network.populations if isinstance(p.neuron, (IF, Integrator))}
    subtracts = profile == "subtract"
    timed, in_time = with_layer_latency(network)
    populations = tuple(_lower_population(each, neurons.get(each.name), chip, subtracts) for each in timed.populations)
    projections = tuple(_lower_projection(each) for each in timed.projections)
    remarks = [each for name, neuron in neurons.items() for each in _remarks(network, name, neuron, chip)]
    remarks += [] if subtracts else [each for name, neuron in neurons.items() for each in _overshoot(name, neuron)]
    remarks += [] if in_time else [slower_loop(network, "LOI104")]
    lowered = replace(network, populations=populations, projections=projections)
    return Lowered(lowered, PROFILES[profile], tuple(remarks))


def neuron_violations(population: Population) -> list[Violation]:
    """What Loihi's LIF cannot express of a population's neuron."""
    found, neuron = neuron_refusals(population, LoihiLIF, "LOI"), population.neuron
    return [*found, *_firing_violations(neuron, population.name)] if isinstance(neuron, IF) else found


def _firing_violations(neuron: IF, where: str) -> list[Violation]:
    found = []
    if neuron.v_min is not None and np.any(np.not_equal(neuron.v_min, FLOOR)):
        hint = "convert without v_min"
        message = "Loihi's potential has no floor but its lower end"
        found.append(Violation("LOI112", where, message, float(np.min(neuron.v_min)), f"none, or {FLOOR}", hint))
    if neuron.refractory:
        hint = "convert with refractory=0"
        message = "refractory steps are not supported (Lava has no fixed-point model of them)"
        found.append(Violation("LOI113", where, message, neuron.refractory, 0, hint))
    return found


def projection_violations(projection: Projection) -> list[Violation]:
    """What Loihi's synapses cannot express of a projection."""
    if projection.accumulator is None:
        return []
    found = f"{projection.accumulator.bits} bits"
    hint = "leave the accumulator's format to the chip"
    return [Violation("LOI115", projection.name, "the projection has an accumulator of its own", found, "none", hint)]


def _lower_population(
    population: Population, neuron: IF | Integrator | None, chip: Chip, subtracts: bool
) -> Population:
    if neuron is None:
        return population
    scale = population.potential_scale / (1 << ALIGNMENT)
    return replace(population, neuron=_lower_neuron(neuron, chip, subtracts), potential_scale=scale)


def _lower_neuron(neuron: IF | Integrator, chip: Chip, subtracts: bool) -> LoihiLIF:
    v_init = np.multiply(neuron.v_init, 1 << ALIGNMENT, dtype=np.int64)
    common: dict[str, Any] = {
        "bias_mant": _compact(neuron.bias),
        "bias_exp": BIAS_EXPONENT,
        "v_init": _compact(v_init),
    }
    if isinstance(neuron, Integrator):
        return LoihiLIF(chip.limit("threshold_mantissa"), **common)
    # One number where all thresholds agree, as Lava's LIF has it.
    alike = np.size(np.unique(neuron.threshold)) == 1
    threshold = int(np.max(neuron.threshold)) if alike else _compact(neuron.threshold)
    # In integers v >= threshold is v > threshold - 1; v is a multiple of 64 as the threshold is.
    vth = _compact(np.subtract(threshold, neuron.fire == ">=", dtype=np.int64))
    if subtracts and neuron.reset == "subtract":
        return LoihiLIFSubtract(vth, **common, subtrahend=threshold)
    return LoihiLIF(vth, **common)


def _compact(value: Number) -> int | Array:
    """An integer, or an array of the smallest integer type."""
    array = np.asarray(value, dtype=np.int64)
    return int(array) if array.ndim == 0 else array.astype(smallest_dtype(int(array.min()), int(array.max())))


def _lower_projection(projection: Projection) -> Projection:
    chain = list(projection.synapses)
    for index in reversed(range(len(chain))):
        weight = chain[index].weight
        if weight is not None:
            chain[index] = chain[index].with_weight(_doubled(weight))
            exponent = projection.exponent + WEIGHT_EXPONENT
            return replace(projection, synapses=tuple(chain), exponent=exponent)
    return projection  # weights of 1 throughout: one sign, so no bit is lost


def _doubled(weight: Array) -> Array:
    doubled = weight.astype(np.int64) << -WEIGHT_EXPONENT
    return doubled.astype(smallest_dtype(int(doubled.min()), int(doubled.max())))


def _remarks(network: Network, where: str, neuron: IF | Integrator, chip: Chip) -> list[Violation]:
    """What lowering changes of population `where`, as warnings."""
    found = []
    if isinstance(neuron, Integrator):
        found += _horizon(network, where, neuron, chip)
    schedule = network[where].schedule
    renewed = schedule is not None and schedule.period is not None
    if np.any(neuron.v_init) and not renewed:
        message = "the initial potential is not 0; the host must write it again before every sample"
        found.append(warning("LOI103", where, message, int(np.max(np.abs(neuron.v_init))), 0))
    return found


def _overshoot(where: str, neuron: IF | Integrator) -> list[Violation]:
    """What a reset to zero loses of a population that resets by subtraction."""
    if isinstance(neuron, Integrator) or neuron.reset != "subtract":
        return []
    message = "reset by subtraction becomes reset to zero: the overshoot is lost, accuracy may fall"
    hint = "deploy on loihi1/subtract, convert with reset='zero', or raise the threshold"
    return [warning("LOI101", where, message, "subtract", "zero", hint)]


def _horizon(network: Network, where: str, neuron: Integrator, chip: Chip) -> list[Violation]:
    """For how many steps an integrator provably neither reaches the largest threshold nor saturates."""
    room = chip.limit("threshold_mantissa") - int(np.max(np.abs(neuron.v_init)))
    steps = steps_within(network, where, neuron, room)
    if steps is None:
        return []
    message = "an integrator becomes a LIF of the largest threshold; it cannot reach it within this many steps"
    hint = "run no longer than that, or check that final potentials stay small"
    return [warning("LOI102", where, message, f"{steps} steps", None, hint)]
