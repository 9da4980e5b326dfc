"""A quantized network as spikes: each layer integrates, then a clock turns its sums into counts.

A layer's neurons start so low that they cannot fire, and add up their inputs. When the
last of these has arrived, a gate lifts them all, and a drive adds d; the drive repeats
for L steps. A neuron of sum S is then L - j steps of d short of S in the j-th step, so it
reaches its threshold when floor(S / d) >= L - j + 1, fires and is reset; from there each
further drive makes it fire again. So it fires in exactly min(max(floor(S / d), 0), L) of
the L steps. The reset loses nothing: what is reset is no longer needed.

`nmdeploy.convert.exact.rules` tells where neurons start on which kind of chip.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from nmdeploy.coding import Clocked, Encoder
from nmdeploy.convert.exact.layer import CountLayer
from nmdeploy.convert.exact.quantize import too_wide
from nmdeploy.convert.exact.quantized import QuantizedAnn
from nmdeploy.convert.exact.rules import ExactRules, Ramp, compact
from nmdeploy.errors import UsageError
from nmdeploy.linear_maps import Array
from nmdeploy.network import Network, Population, Projection
from nmdeploy.neurons import IF, Integrator
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
    """

    network: Network
    encoder: Clocked
    ann: QuantizedAnn

    @property
    def steps(self) -> int:
        """Steps of one inference, without the chip's latency."""
        return self.encoder.steps

    def inputs(self, samples: NDArray[np.floating]) -> Mapping[str, Array]:
        """The spikes of all inputs, `[steps, N, *shape]`, for samples `[N, *shape]`."""
        return self.encoder.inputs([each.name for each in self.network.inputs], samples, self.steps)


def to_exact(ann: QuantizedAnn, rules: ExactRules, encoder: Encoder) -> ExactNetwork:
    """The spiking network of a quantized one.

    Args:
        ann: what it computes.
        rules: what the chip can do.
        encoder: of the input; binary.

    Raises:
        UsageError: for an encoder that is not binary.
        QuantizationError: naming a layer that the chip cannot hold, and the factor that is missing.
    """
    if encoder.largest != 1:
        raise UsageError("exact mode takes binary input spikes", where=encoder.kind, found=encoder.largest, limit=1)
    start, end = windows(ann)
    populations: list[Population] = []
    projections: list[Projection] = list(ann.network.projections)
    clocks: dict[str, Array] = {}
    total = max(end.values())
    for population in ann.network.populations:
        if population.is_input:
            populations.append(population)
            continue
        layer, name = ann.layer(population.name), population.name
        _check_fit(ann, layer, rules)
        if layer.step is None:
            populations.append(replace(population, neuron=Integrator(v_init=compact(layer.bias))))
            continue
        ramp = rules.ramp(layer, layer.step, ann.levels, ann.reach[name])
        populations += _populations(population, ramp)
        projections += _projections(population, layer.step, ramp, rules.control)
        clocks |= _trains(name, start[name], ann.levels, ramp, total)
    network = replace(ann.network, populations=tuple(populations), projections=tuple(projections))
    source = ann.network.inputs[0].name
    return ExactNetwork(network, Clocked(encoder, source, ann.input_steps, clocks), ann)


def _check_fit(ann: QuantizedAnn, layer: CountLayer, rules: ExactRules) -> None:
    excess = rules.excess(layer, ann.levels, ann.reach[layer.population.name])
    if excess > 1:
        what = f"weights, step and biases divided by {excess:.2f} would fit"
        raise too_wide(layer.population, excess, what)


def windows(ann: QuantizedAnn) -> tuple[dict[str, int], dict[str, int]]:
    """The step in which each hidden population begins to fire, and that after its last; of inputs likewise."""
    start: dict[str, int] = {}
    end = {ann.network.inputs[0].name: ann.input_steps}
    for population in ann.network.order() or ():
        if isinstance(population.neuron, IF):
            begins = max(end[each.source] for each in ann.network.into(population.name))
            start[population.name], end[population.name] = begins, begins + ann.levels
    return start, end


def _populations(population: Population, ramp: Ramp) -> Iterator[Population]:
    yield replace(population, neuron=ramp.neuron)
    yield Population(gate_of(population.name), (ramp.gate.shape[1],))
    yield Population(drive_of(population.name), (1,))


def gate_of(name: str) -> str:
    """The input population that opens the gate of a hidden one."""
    return f"{name}.gate"


def drive_of(name: str) -> str:
    """The input population that drives a hidden one."""
    return f"{name}.drive"


def _projections(
    population: Population, step: int, ramp: Ramp, control: MantissaExponentFormat
) -> Iterator[Projection]:
    drive = np.full((population.size, 1), step, dtype=np.int64)
    for source, weights in ((gate_of(population.name), ramp.gate), (drive_of(population.name), drive)):
        mantissas, exponent = _parts(weights, control)
        shaped: tuple[Synapse, ...] = () if len(population.shape) == 1 else (Reshape(population.shape),)
        yield Projection(source, population.name, (Dense(mantissas), *shaped), exponent=exponent)
    if ramp.feedback:
        back = OneToOne(_smallest(np.array([ramp.feedback])))
        yield Projection(population.name, population.name, (back,), delay=1)


def _parts(weights: Array, control: MantissaExponentFormat) -> tuple[Array, int]:
    """Mantissas and the exponent of weights that the format has."""
    exponent = max(int(np.abs(weights).max()).bit_length() - control.mantissa_bits, 0)
    return _smallest(weights >> exponent), exponent


def _smallest(weights: Array) -> Array:
    return weights.astype(smallest_dtype(int(weights.min()), int(weights.max())))


def _trains(name: str, start: int, levels: int, ramp: Ramp, total: int) -> dict[str, Array]:
    """Spikes `[total, neurons]` of gate and drive."""
    gates, drives = np.zeros((total, ramp.gate.shape[1]), np.uint8), np.zeros((total, 1), np.uint8)
    gates[start] = 1
    drives[start : start + levels] = 1
    return {gate_of(name): gates, drive_of(name): drives}
