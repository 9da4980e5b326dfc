"""Lowering: an integer network of ideal neurons becomes one of cores, each a convolution with neurons behind it.

Populations become maps `(features, y, x)`, a flat one `(N,)` N features of one pixel (inputs
keep their shape). All delays are 0: an event goes through the chip at once.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from nmdeploy.errors import FitError, UsageError
from nmdeploy.linear_maps import Array
from nmdeploy.lowering import neuron_refusals
from nmdeploy.network import Network, Population, Projection
from nmdeploy.neurons import IF, Integrator, NeuronModel, Number
from nmdeploy.synapses import Shape
from nmdeploy.target import Chip, Lowered, Violation
from quantize import smallest_dtype
from targets.dynapcnn.chains import Chain, Inexpressible, Origin, convolution, with_one_geometry
from targets.dynapcnn.link import as_map
from targets.dynapcnn.neuron import NO_FLOOR, STATE, ChipNeuron, SpeckIAF, SpeckStepIAF
from targets.dynapcnn.profiles import PROFILES
from targets.dynapcnn.readout import readout_violations, with_readout
from targets.dynapcnn.remarks import remarks


def lower(network: Network, chip: Chip, profile: str = "chip") -> Lowered:
    """`network` with the chip's neurons, every projection pooling and one convolution.

    A network of the chip's own neurons is in its terms already and stays as it is; its
    profile is that of its neurons.

    Args:
        network: integers, with `IF` and `Integrator` neurons, or with the family's own.
        chip: the chip.
        profile: `chip`: event by event; `leak`: with biases as ticks of the slow clock; `readout`: as
            `chip`, with the read-out block of the chip; `step`: as sinabs simulates.

    Raises:
        UsageError: for a float network, or one of both kinds of the family's neurons.
        FitError: with everything that the chip's cores cannot express.
    """
    if not network.is_integer:
        hint = "quantize it first (nmdeploy.to_integers)"
        raise UsageError("only an integer network can be lowered", where=network.name, hint=hint)
    neurons = [p.neuron for p in network.populations if p.neuron is not None]
    if all(isinstance(neuron, (SpeckIAF, SpeckStepIAF)) for neuron in neurons):
        return Lowered(network, PROFILES[_profile_of(network, neurons)])
    if network.has_cycle:
        message = "spikes come back to a population they left; an event goes round such a loop without end"
        loop = Violation("DYN117", network.name, message, hint="train a network without recurrence")
        raise FitError(chip.title, [loop])
    layout = Layout(network, chip)
    found = [each for p in network.populations for each in neuron_violations(p, layout.shapes[p.name], profile)]
    found += [each for projection in network.projections for each in projection_violations(projection)]
    if found or layout.refused:
        raise FitError(chip.title, [*found, *layout.refused])
    populations = tuple(_lower_population(p, layout.shapes[p.name], profile) for p in network.populations)
    projections = tuple(
        replace(projection, synapses=chain, delay=0)
        for projection, chain in zip(network.projections, layout.chains, strict=True)
    )
    lowered = replace(network, populations=populations, projections=projections)
    told = remarks(network, lowered)
    if profile == "readout":
        found = readout_violations(lowered, chip)
        if found:
            raise FitError(chip.title, found)
        lowered, remark = with_readout(lowered, chip)
        told.append(remark)
    return Lowered(lowered, PROFILES[profile], tuple(told))


def _profile_of(network: Network, neurons: list[NeuronModel]) -> str:
    steps = {isinstance(neuron, SpeckStepIAF) for neuron in neurons}
    if len(steps) > 1:
        hint = "give all populations the same kind"
        raise UsageError("neurons that take events beside neurons that take steps", where=network.name, hint=hint)
    if steps == {True}:
        return "step"
    if any(network[name].readout_step > 1 for name in network.outputs):
        return "readout"
    return "leak" if any(np.any(getattr(neuron, "leak", 0)) for neuron in neurons) else "chip"


def neuron_violations(population: Population, shape: Shape, profile: str) -> list[Violation]:
    """What the chip's neuron cannot express of a population's, which the chip has in `shape`."""
    found, neuron = neuron_refusals(population, ChipNeuron, "DYN"), population.neuron
    if not isinstance(neuron, (IF, Integrator)):
        return found
    if isinstance(neuron, IF) and neuron.refractory:
        hint = "convert with refractory=0"
        message = "the chip has no refractory steps"
        found.append(Violation("DYN112", population.name, message, neuron.refractory, 0, hint))
    return [*found, *_bias_violations(neuron.bias, population, shape, profile)]


def _bias_violations(bias: Number, population: Population, shape: Shape, profile: str) -> list[Violation]:
    if not np.any(bias):
        return []
    largest = int(np.max(np.abs(bias)))
    if profile not in ("leak", "step"):
        message = "a bias is a leak that ticks with the slow clock, which this profile leaves off"
        hint = "train without biases, or ask for the clock with the profile 'leak'"
        return [Violation("DYN113", population.name, message, largest, 0, hint)]
    full = np.broadcast_to(bias, population.shape).reshape(shape[0], -1)
    if np.any(full != full[:, :1]):
        message = "the bias differs within a feature; a core has one for each feature"
        hint = "train without zero padding in front of this layer, or without an offset of the input"
        return [Violation("DYN114", population.name, message, f"up to {largest}", "one a feature", hint)]
    return []


def projection_violations(projection: Projection) -> list[Violation]:
    """What the chip's synapses cannot express of a projection, its chain of maps aside."""
    found = []
    if projection.accumulator is not None:
        message, bits = "the projection has an accumulator of its own", f"{projection.accumulator.bits} bits"
        hint = "leave the accumulator's format to the chip"
        found.append(Violation("DYN115", projection.name, message, bits, "none", hint))
    if projection.exponent:
        hint = "quantize for this chip"
        found.append(Violation("DYN118", projection.name, "weights have no exponent", projection.exponent, 0, hint))
    return found


class Layout:
    """Maps for all populations, and chains between them.

    Attributes:
        shapes: of each population, as lowered.
        chains: of each projection, as lowered; unfinished where `refused` tells why.
        refused: what could not be expressed.
    """

    def __init__(self, network: Network, chip: Chip) -> None:
        self.network, self.chip = network, chip
        self.refused: list[Violation] = []
        self.shapes = {p.name: p.shape if p.is_input else as_map(p.shape) for p in network.populations}
        made: dict[int, Chain] = {}
        for population in network.order() or ():
            if not population.is_input:
                made |= self._enter(population)
        self.chains = [made.get(id(projection), projection.synapses) for projection in network.projections]

    def _enter(self, population: Population) -> dict[int, Chain]:
        """The chains into a population, which takes the shape that they end in."""
        entering, chains, shapes = self.network.into(population.name), [], []
        for projection in entering:
            try:
                chain, shape = convolution(projection.synapses, self._origin(projection))
            except Inexpressible as reason:
                violation = Violation(
                    reason.code, projection.name, reason.message, reason.found, reason.limit, reason.hint
                )
                self.refused.append(violation)
                return {}
            chains.append(chain)
            shapes.append(shape)
        if len(set(shapes)) > 1:
            message = "what enters the population is arranged in different ways"
            hint = "let all its sources come through convolutions, or all through dense layers"
            self.refused.append(
                Violation("DYN125", population.name, message, " and ".join(map(str, shapes)), hint=hint)
            )
        self.shapes[population.name] = shapes[0]
        return {id(each): chain for each, chain in zip(entering, with_one_geometry(chains), strict=True)}

    def _origin(self, projection: Projection) -> Origin:
        source = self.network[projection.source]
        return Origin(
            view=source.shape,
            laid=as_map(self.shapes[source.name]),
            is_input=source.is_input,
            free=source.is_input and len(self.network.out_of(source.name)) == 1,
            kernel=self.chip.limit("kernel_size"),
            channels=self.chip.limit("channels"),
        )


def _lower_population(population: Population, shape: Shape, profile: str) -> Population:
    if not isinstance(population.neuron, (IF, Integrator)):
        return population
    scale = population.potential_scale
    if isinstance(scale, np.ndarray):
        scale = _laid_out(scale, population.shape, shape)
        scale = scale if scale.ndim else float(scale)
    return replace(population, shape=shape, neuron=_lower_neuron(population, shape, profile), potential_scale=scale)


def _lower_neuron(population: Population, shape: Shape, profile: str) -> SpeckIAF | SpeckStepIAF:
    neuron: Any = population.neuron
    old = population.shape
    common: dict[str, Any] = {
        "v_init": _compact(_laid_out(neuron.v_init, old, shape)),
        "leak": _leak(neuron.bias, old, shape),
    }
    if isinstance(neuron, IF):
        # In integers v > threshold is v >= threshold + 1.
        threshold = np.add(neuron.threshold, neuron.fire == ">", dtype=np.int64)
        common["threshold_high"] = _compact(_laid_out(threshold, old, shape))
        common["threshold_low"] = _compact(_laid_out(NO_FLOOR if neuron.v_min is None else neuron.v_min, old, shape))
        common["return_to_zero"] = neuron.reset == "zero"
    else:
        common["threshold_high"] = STATE.maximum
    return SpeckStepIAF(**common) if profile == "step" else SpeckIAF(**common)


def _laid_out(value: Number, old: Shape, new: Shape) -> Array:
    """A parameter of a population whose shape changes, as few numbers as it takes."""
    array = np.asarray(value)
    if array.size == 1:
        return array.reshape(())
    full = np.broadcast_to(array, old).reshape(new)
    if np.all(full == full.flat[0]):
        return np.asarray(full.flat[0])
    alike = bool(np.all(full == full[:, :1, :1]))
    return full[:, :1, :1] if alike else full


def _leak(bias: Number, old: Shape, new: Shape) -> int | Array:
    """A bias for each feature, also of equal ones: they take bias memory, as a single 0 does not."""
    if np.ndim(bias) == 0:
        return int(bias)
    return _compact(np.broadcast_to(bias, old).reshape(new)[:, :1, :1])


def _compact(array: Array) -> int | Array:
    """An integer, or an array of the smallest integer type."""
    return int(array) if array.ndim == 0 else array.astype(smallest_dtype(int(array.min()), int(array.max())))
