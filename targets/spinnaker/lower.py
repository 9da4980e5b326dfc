"""Lowering: an integer network of ideal neurons becomes one of SpiNNaker's.

On `IF_trunc_delta` (v_thresh = 1.0, R = 1, ring shift 0) an ideal neuron of threshold T that resets to zero and
has its floor there is exact: potentials are moved by v_reset = 32768 - T. `Population.potential_offset` tells by how
much, so that read-outs still see values.

On `IF_curr_exp` (tau_m = 32768 ms, cm = 2, tau_syn = 1/16 ms, ring shift 4) input lasts one step and loses one unit a
sign; v loses floor((v - v_rest) / 2**14) a step, which is nothing in the 2**14 units from v_rest = T - 2**14 on.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from nmdeploy.errors import FitError, UsageError
from nmdeploy.latency import with_layer_latency
from nmdeploy.linear_maps import Array
from nmdeploy.lowering import neuron_refusals, slower_loop, steps_within
from nmdeploy.network import Network, Population, Projection
from nmdeploy.neurons import IF, Integrator, Number
from nmdeploy.synapses import OneToOne
from nmdeploy.target import Chip, Lowered, Profile, Violation, warning
from quantize import smallest_dtype
from targets.spinnaker.fixed_point import ONE, SMALLEST
from targets.spinnaker.kernel_layers import kernel_layers
from targets.spinnaker.neuron import IFCurrExp, IFTruncDelta, SpinnakerNeuron
from targets.spinnaker.precision import LEAKLESS_BITS

INTEGRATOR_ZERO = SMALLEST // 2
"""The raw potential that stands for 0 in a neuron that never fires: as far from the floor as from the threshold."""
LONGEST_TAU_M = ONE * ONE
"""32768 ms: the longest time constant that leaks at all."""
HALF_RESISTANCE = 2 * ONE
"""cm = 2: with it R = 2**14, so that input times R times the leak 2**-14 is the input."""
ONE_STEP_TAU_SYN = ONE // 16
"""1/16 ms: synaptic input decays to 0 within a step; a sixteenth of it acts."""
KERNEL_SHIFT = 4
"""Ring shift that makes up for the sixteenth."""

_LONGEST_REFRACTORY = (1 << 16) - 1
_LARGEST_PARAMETER = 1 << 30

_COMMON = (
    ("range", "binaries and host code of sPyNNaker 7.4.1; time step 1 ms"),
    ("ring buffers", "16 bits a sign and step, additions saturate at 65535"),
    ("arithmetic", "s16.15, products rounded down, 32 bits wrap"),
    ("fire", "v >= v_thresh, also while refractory"),
    ("reset", "to v_reset, the overshoot is lost"),
    ("latency", "one step a synapse layer"),
)
_ROWS = (
    ("synapses", "IF_trunc_delta: rows made by the host, weights of 16 bits and a sign; 1 unit is 1/32768"),
    ("potential", "v := max(v + E - I + i_offset, v_reset), with v_thresh = 1.0 and R = 1; no leak"),
)
_KERNELS = (
    ("synapses", "IF_curr_exp: shared kernels of 16 bits where the layer allows; others on IF_trunc_delta as in chip"),
    ("input", "E = x - 1 and I = y - 1 where anything arrives (x, y: sums of weights), for one step"),
    ("potential", "v := v + E - I + i_offset - floor((v - v_rest) / 2^14), v_rest = v_thresh - 2^14; no floor"),
)
PROFILES = {
    "chip": Profile("spinnaker/chip", _ROWS + _COMMON),
    "conv": Profile("spinnaker/conv", _KERNELS + _COMMON),
}
"""The semantics by name."""


def lower(network: Network, chip: Chip, profile: str = "chip") -> Lowered:
    """`network` with SpiNNaker's neurons, an implementation for each layer, and a step of latency a layer.

    A network of SpiNNaker's own neurons is in the chip's terms already and stays as it is.

    Args:
        network: integers, with `IF` and `Integrator` neurons, or with SpiNNaker's own.
        chip: the board.
        profile: `chip`: all layers on `IF_trunc_delta`; `conv`: those that can share kernels on `IF_curr_exp`.

    Raises:
        UsageError: for a float network.
        FitError: with everything that SpiNNaker's neurons cannot express.
    """
    if not network.is_integer:
        hint = "quantize it first (nmdeploy.to_integers)"
        raise UsageError("only an integer network can be lowered", where=network.name, hint=hint)
    neurons = [p.neuron for p in network.populations if p.neuron is not None]
    if all(isinstance(neuron, SpinnakerNeuron) for neuron in neurons):
        kernels = any(isinstance(neuron, IFCurrExp) for neuron in neurons)
        return Lowered(network, PROFILES["conv" if kernels else "chip"])
    found = [each for population in network.populations for each in neuron_violations(population)]
    found += [each for projection in network.projections for each in projection_violations(projection)]
    if found:
        raise FitError(chip.title, found)
    return _lower_ideal(network, chip, profile)


def _lower_ideal(network: Network, chip: Chip, profile: str) -> Lowered:
    timed, in_time = with_layer_latency(network)
    timed = replace(timed, projections=tuple(_lower_projection(each) for each in timed.projections))
    chosen, remarks = kernel_layers(timed, chip) if profile == "conv" else (frozenset[str](), [])
    populations = tuple(_lower_population(each, each.name in chosen) for each in timed.populations)
    for population in timed.populations:
        remarks += _remarks(timed, population, population.name in chosen)
    remarks += [] if in_time else [slower_loop(network, "SPI104")]
    return Lowered(replace(timed, populations=populations), PROFILES[profile], tuple(remarks))


def neuron_violations(population: Population) -> list[Violation]:
    """What SpiNNaker's neurons cannot express of a population's."""
    found, neuron = neuron_refusals(population, SpinnakerNeuron, "SPI"), population.neuron
    if isinstance(neuron, IF):
        found += _firing_violations(neuron, population.name)
    return found + _parameter_violations(neuron, population.name) if isinstance(neuron, (IF, Integrator)) else found


def _firing_violations(neuron: IF, where: str) -> list[Violation]:
    found = []
    if neuron.v_min is not None and np.any(neuron.v_min):
        message = "the chip's floor is the potential that a spike resets to"
        hint = "convert with v_min=0 or without a floor"
        found.append(Violation("SPI112", where, message, float(np.min(neuron.v_min)), 0, hint))
    if neuron.refractory > _LONGEST_REFRACTORY:
        message = "the refractory time does not fit s16.15 milliseconds"
        found.append(Violation("SPI113", where, message, neuron.refractory, _LONGEST_REFRACTORY))
    return found


def _parameter_violations(neuron: IF | Integrator, where: str) -> list[Violation]:
    """Parameters so large that a potential could wrap."""
    hint = "use a wider scale (smaller integers)"
    return [
        Violation("SPI114", where, f"the {name} does not fit 30 bits", _largest(value), _LARGEST_PARAMETER - 1, hint)
        for name, value in (
            ("threshold", getattr(neuron, "threshold", 0)),
            ("bias", neuron.bias),
            ("v_init", neuron.v_init),
        )
        if _largest(value) >= _LARGEST_PARAMETER
    ]


def projection_violations(projection: Projection) -> list[Violation]:
    """What SpiNNaker's synapses cannot express of a projection."""
    found = []
    if projection.accumulator is not None:
        bits, hint = f"{projection.accumulator.bits} bits", "leave the accumulator's format to the chip"
        found.append(
            Violation("SPI115", projection.name, "the projection has an accumulator of its own", bits, "none", hint)
        )
    if projection.exponent < 0:
        message = "a negative exponent rounds the sum of a step, which the chip cannot do"
        found.append(Violation("SPI117", projection.name, message, projection.exponent, 0, "scale the weights down"))
    return found


def _lower_projection(projection: Projection) -> Projection:
    """With the exponent, at least 0, in the weights."""
    if not projection.exponent:
        return projection
    chain = list(projection.synapses)
    for index in reversed(range(len(chain))):
        weight = chain[index].weight
        if weight is not None:
            chain[index] = chain[index].with_weight(_compact_array(weight.astype(np.int64) << projection.exponent))
            return replace(projection, synapses=tuple(chain), exponent=0)
    scaled = OneToOne(_compact_array(np.array([1 << projection.exponent])))
    return replace(projection, synapses=(*chain, scaled), exponent=0)


def _lower_population(population: Population, kernels: bool) -> Population:
    neuron = population.neuron
    if isinstance(neuron, Integrator):
        zero = INTEGRATOR_ZERO
        lowered = IFTruncDelta(v_reset=SMALLEST, v_init=_plus(neuron.v_init, zero), i_offset=_compact(neuron.bias))
        return replace(population, neuron=lowered, potential_offset=zero)
    if not isinstance(neuron, IF):
        return population
    if kernels:
        return replace(population, neuron=_on_curr_exp(neuron))
    reset = _compact(ONE - _effective_threshold(neuron))
    lowered = IFTruncDelta(
        v_reset=reset,
        v_init=_plus(neuron.v_init, reset),
        i_offset=_compact(neuron.bias),
        tau_refrac=neuron.refractory * ONE,
    )
    return replace(population, neuron=lowered, potential_offset=reset)


def _on_curr_exp(neuron: IF) -> IFCurrExp:
    threshold = _effective_threshold(neuron)
    return IFCurrExp(
        v_thresh=_compact(threshold),
        v_rest=_compact(threshold - (1 << LEAKLESS_BITS)),
        v_init=_compact(neuron.v_init),
        i_offset=_compact(neuron.bias),
        tau_m=LONGEST_TAU_M,
        cm=HALF_RESISTANCE,
        tau_refrac=neuron.refractory * ONE,
        tau_syn_exc=ONE_STEP_TAU_SYN,
        tau_syn_inh=ONE_STEP_TAU_SYN,
        shift_exc=KERNEL_SHIFT,
        shift_inh=KERNEL_SHIFT,
    )


def _effective_threshold(neuron: IF) -> Array:
    """What a potential has to reach: in integers v > threshold is v >= threshold + 1."""
    return np.asarray(neuron.threshold, dtype=np.int64) + (neuron.fire == ">")


def _plus(value: Number, offset: Number) -> int | Array:
    return _compact(np.add(value, offset, dtype=np.int64))


def _compact(value: Number) -> int | Array:
    """An integer, or an array of the smallest integer type."""
    array = np.asarray(value, dtype=np.int64)
    return int(array) if array.ndim == 0 else _compact_array(array)


def _compact_array(array: Array) -> Array:
    return array.astype(smallest_dtype(int(array.min()), int(array.max())))


def _remarks(network: Network, population: Population, kernels: bool) -> list[Violation]:
    """What lowering changes of a population, as warnings; `network` is still ideal."""
    neuron, where = population.neuron, population.name
    if isinstance(neuron, Integrator):
        return _horizon(network, where, neuron)
    found: list[Violation] = []
    if not isinstance(neuron, IF):
        return found
    if neuron.reset == "subtract":
        message = "reset by subtraction becomes reset to a value: the overshoot is lost, accuracy may fall"
        hint = "convert with the recipe rate-calibrated"
        found.append(warning("SPI101", where, message, "subtract", "zero", hint))
    if neuron.v_min is None and not kernels:
        message = (
            "the potential has a floor at its reset value: what inhibition takes below it is lost, accuracy may fall"
        )
        hint = "convert with the recipe rate-calibrated"
        found.append(warning("SPI102", where, message, "no floor", "floor", hint))
    return found


def _horizon(network: Network, where: str, neuron: Integrator) -> list[Violation]:
    """For how many steps an integrator provably reaches neither its threshold nor its floor."""
    room = ONE - INTEGRATOR_ZERO - _largest(neuron.v_init) - 1
    room = min(room, INTEGRATOR_ZERO - SMALLEST - _largest(neuron.v_init))
    steps = steps_within(network, where, neuron, room)
    if steps is None:
        return []
    message = "an integrator becomes a neuron far below its threshold; it cannot reach it within this many steps"
    hint = "run no longer than that, or check that final potentials stay small"
    return [warning("SPI103", where, message, f"{steps} steps", None, hint)]


def _largest(value: Number) -> int:
    return max(abs(int(np.min(value))), abs(int(np.max(value))))
