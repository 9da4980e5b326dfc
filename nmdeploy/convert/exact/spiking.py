"""A quantized network as spikes: each layer integrates, then a clock turns its sums into counts.

A layer's neurons start so low that they cannot fire, and add up their inputs. When the
last of these has arrived, a gate lifts them all, and a drive adds d; the drive repeats
for L steps. A neuron of sum S is then L - j steps of d short of S in the j-th step, so it
reaches its threshold when floor(S / d) >= L - j + 1, fires and is reset; from there each
further drive makes it fire again. So it fires in exactly min(max(floor(S / d), 0), L) of
the L steps. The reset loses nothing: what is reset is no longer needed.

`nmdeploy.convert.exact.rules` tells where neurons start on which kind of chip. On chips without
time steps a layer takes two populations: `nmdeploy.convert.exact.pair`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from nmdeploy.coding import Clocked, Encoder
from nmdeploy.convert.exact.capability import CountRules
from nmdeploy.convert.exact.clocks import drive_of, gate_of
from nmdeploy.convert.exact.event_driven import EventDriven
from nmdeploy.convert.exact.layer import CountLayer
from nmdeploy.convert.exact.quantize import too_wide
from nmdeploy.convert.exact.quantized import QuantizedAnn
from nmdeploy.convert.exact.rules import ExactRules, Ramp, compact
from nmdeploy.errors import QuantizationError, UsageError
from nmdeploy.linear_maps import Array
from nmdeploy.network import Network, Population, Projection
from nmdeploy.neurons import IF, Integrator
from nmdeploy.schedule import Schedule
from nmdeploy.synapses import Dense, OneToOne, Reshape, Synapse
from quantize import MantissaExponentFormat, smallest_dtype


@dataclass(frozen=True, eq=False)
class ExactNetwork:
    """A spiking network whose counts are those of a quantized one.

    Attributes:
        network: integer; beside the input it has a gate and a drive for each hidden population,
            inputs that fire by the clock.
        encoder: makes the spikes of all its inputs.
        ann: what it computes.
        rules: of the chip that it is for.
    """

    network: Network
    encoder: Clocked
    ann: QuantizedAnn
    rules: CountRules

    @property
    def steps(self) -> int:
        """Steps of one inference, without the chip's latency."""
        return self.encoder.steps

    def inputs(self, samples: NDArray[np.floating]) -> Mapping[str, Array]:
        """The spikes of all inputs, `[steps, N, *shape]`, for samples `[N, *shape]`."""
        return self.encoder.inputs([each.name for each in self.network.inputs], samples, self.steps)


def to_exact(ann: QuantizedAnn, rules: CountRules, encoder: Encoder) -> ExactNetwork:
    """The spiking network of a quantized one.

    Args:
        ann: what it computes.
        rules: what the chip can do.
        encoder: of the input; binary.

    Raises:
        UsageError: for an encoder that is not binary.
        QuantizationError: naming a layer that the chip cannot hold, and the factor that is missing.
        FitError: for layers that the chip cannot lay out.
    """
    if encoder.largest != 1:
        raise UsageError("exact mode takes binary input spikes", where=encoder.kind, found=encoder.largest, limit=1)
    for population in ann.network.populations:
        if not population.is_input:
            _check_fit(ann, ann.layer(population.name), rules)
    hidden = _unfolded(ann, rules)
    start, end = windows(ann, {name: each.steps for name, each in hidden.items()})
    populations: list[Population] = []
    projections = [
        replace(each, target=hidden[each.target].entry) if each.target in hidden else each
        for each in ann.network.projections
    ]
    clocks: dict[str, Array] = {}
    total = max(end.values())
    for population in ann.network.populations:
        if population.is_input:
            populations.append(replace(population, schedule=Schedule(((0, ann.input_steps),))))
        elif population.name in hidden:
            unfolded, begin = hidden[population.name], start[population.name]
            populations += unfolded.populations(begin)
            projections += unfolded.projections()
            clocks |= unfolded.trains(begin, total)
        else:
            integrator = Integrator(v_init=compact(ann.layer(population.name).bias))
            populations.append(replace(population, neuron=integrator, schedule=Schedule()))
    notes = (*ann.network.notes, *(note for each in hidden.values() for note in each.notes()))
    network = replace(ann.network, populations=tuple(populations), projections=tuple(projections), notes=notes)
    source = ann.network.inputs[0].name
    return ExactNetwork(network, Clocked(encoder, source, ann.input_steps, clocks), ann, rules)


def _check_fit(ann: QuantizedAnn, layer: CountLayer, rules: CountRules) -> None:
    if layer.step is not None and not rules.has_step(layer.step):
        hint = f"the next smaller one is {rules.step(layer.step)}"
        message = "no synapse of a clock can add the layer's step"
        raise QuantizationError(message, where=layer.population.name, found=layer.step, hint=hint)
    excess = rules.excess(layer, ann.levels, ann.reach[layer.population.name])
    if excess > 1:
        what = f"weights, step and biases divided by {excess:.2f} would fit"
        raise too_wide(layer.population, excess, what)


def _unfolded(ann: QuantizedAnn, rules: CountRules) -> dict[str, _Unfolded]:
    """The hidden layers, by name."""
    geometries = rules.geometries(ann.network) if isinstance(rules, EventDriven) else {}
    found: dict[str, _Unfolded] = {}
    for population in ann.network.populations:
        if isinstance(population.neuron, IF):
            layer, name = ann.layer(population.name), population.name
            step, reach = layer.step or 0, ann.reach[name]
            if isinstance(rules, EventDriven):
                found[name] = rules.pair(layer, step, ann.levels, reach, geometries[name])
            elif isinstance(rules, ExactRules):
                ramp = rules.ramp(layer, step, ann.levels, reach)
                found[name] = _Ramped(population, ann.levels, step, ramp, rules.control)
    return found


class _Unfolded(Protocol):
    """A hidden layer as the chip runs it: one population or several, and their clocks."""

    @property
    def entry(self) -> str:
        """The name of the population that takes what enters the layer."""

    @property
    def steps(self) -> int:
        """How long it fires."""

    def populations(self, start: int) -> Iterator[Population]:
        """All of them, when its first step is `start`."""

    def projections(self) -> Iterator[Projection]:
        """Between them."""

    def trains(self, start: int, total: int) -> dict[str, Array]:
        """Spikes of the clocks, uint8 `[total, *shape]`."""

    def notes(self) -> Iterable[str]:
        """What a user should know of its cost."""


@dataclass(frozen=True, eq=False)
class _Ramped:
    """A hidden layer as one population that a gate lifts and a drive of d takes up a ramp of L steps."""

    population: Population
    steps: int
    step: int
    ramp: Ramp
    control: MantissaExponentFormat

    @property
    def entry(self) -> str:
        return self.population.name

    def populations(self, start: int) -> Iterator[Population]:
        name, fires = self.population.name, Schedule(((start, self.steps),))
        yield replace(self.population, neuron=self.ramp.neuron, schedule=fires)
        yield Population(gate_of(name), (self.ramp.gate.shape[1],), schedule=Schedule(((start, 1),)))
        yield Population(drive_of(name), (1,), schedule=fires)

    def projections(self) -> Iterator[Projection]:
        name = self.population.name
        drive = np.full((self.population.size, 1), self.step, dtype=np.int64)
        yield from_clock(gate_of(name), self.population, self.ramp.gate, self.control)
        yield from_clock(drive_of(name), self.population, drive, self.control)
        if self.ramp.feedback:
            back = OneToOne(_smallest(np.array([self.ramp.feedback])))
            yield Projection(name, name, (back,), delay=1)

    def trains(self, start: int, total: int) -> dict[str, Array]:
        name = self.population.name
        gates, drives = np.zeros((total, self.ramp.gate.shape[1]), np.uint8), np.zeros((total, 1), np.uint8)
        gates[start] = 1
        drives[start : start + self.steps] = 1
        return {gate_of(name): gates, drive_of(name): drives}

    def notes(self) -> Iterable[str]:
        return ()


def windows(ann: QuantizedAnn, steps: Mapping[str, int] | None = None) -> tuple[dict[str, int], dict[str, int]]:
    """The step in which each hidden population begins to fire, and that after its last; of inputs likewise.

    Args:
        ann: the quantized network.
        steps: how long each hidden population fires; None for L steps.
    """
    start: dict[str, int] = {}
    end = {ann.network.inputs[0].name: ann.input_steps}
    for population in ann.network.order() or ():
        if isinstance(population.neuron, IF):
            begins = max(end[each.source] for each in ann.network.into(population.name))
            length = ann.levels if steps is None else steps[population.name]
            start[population.name], end[population.name] = begins, begins + length
    return start, end


def from_clock(source: str, population: Population, weights: Array, control: MantissaExponentFormat) -> Projection:
    """The synapses `[neurons, clocks]` of a clock population with a population."""
    mantissas, exponent = _parts(weights, control)
    shaped: tuple[Synapse, ...] = () if len(population.shape) == 1 else (Reshape(population.shape),)
    return Projection(source, population.name, (Dense(mantissas), *shaped), exponent=exponent)


def _parts(weights: Array, control: MantissaExponentFormat) -> tuple[Array, int]:
    """Mantissas and the exponent of weights that the format has."""
    exponent = max(int(np.abs(weights).max()).bit_length() - control.mantissa_bits, 0)
    return _smallest(weights >> exponent), exponent


def _smallest(weights: Array) -> Array:
    return weights.astype(smallest_dtype(int(weights.min()), int(weights.max())))
