"""Recorded neurons: parameters, ring buffers of every step, and what the binary made of them.

Neurons are rows, steps columns. `exc` and `inh` are the ring buffers' content of each step. Recorded are the derived
constants (`R`, `t_refract`, `exp_tc`, `dec_*`, `init_*`), and for each step synaptic input (`exc_in`, `inh_in`), the
potential before (`v_rec`, as sPyNNaker records it) and after the update (`v_after`), the refractory counter and
spikes.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from nmdeploy.conformance import ConformanceReport
from nmdeploy.emulator.result import Recording
from nmdeploy.emulator.run import Engine, emulate
from nmdeploy.errors import DataError, NmdeployError
from nmdeploy.linear_maps import Array
from nmdeploy.network import Network, Population, Projection
from nmdeploy.synapses import OneToOne
from targets.spinnaker.conformance.vectors import Vectors
from targets.spinnaker.fixed_point import Integers
from targets.spinnaker.neuron import IFCurrDelta, IFCurrExp, IFTruncDelta, SpinnakerNeuron
from targets.spinnaker.ring_buffer import RING

RECORDED = "v_after"
"""A file with this array holds neurons."""
_PARAMETERS = {
    "v_init": "vinit",
    "cm": "cm",
    "tau_m": "tau_m",
    "i_offset": "i_offset",
    "v_reset": "v_reset",
    "tau_refrac": "tau_ref",
    "v_thresh": "v_thresh",
    "isyn_exc": "isyn_e0",
    "isyn_inh": "isyn_i0",
    "time_step": "dt",
}
_LEAKY = {"v_rest": "vrest"}
_SYNAPSES = {"tau_syn_exc": "tau_syn_e", "tau_syn_inh": "tau_syn_i"}
_TIMER = "neurons.refract_timer"


def replay_neurons(report: ConformanceReport, vectors: Vectors, engines: tuple[Engine, ...]) -> None:
    """Compare derived constants, synaptic input, and every engine's potentials, counters and spikes."""
    neuron = _neuron(vectors)
    network, inputs = _network(vectors, neuron)
    count, steps = vectors.integers(RECORDED, None, None).shape
    _compare_constants(report, vectors, neuron, count)
    _compare_input(report, vectors, neuron, inputs)
    for engine in engines:
        _compare_run(report, vectors, network, inputs, engine)
    report.nets += 1
    report.neuron_steps += count * steps


def _neuron(vectors: Vectors) -> SpinnakerNeuron:
    model: type[SpinnakerNeuron] = IFTruncDelta
    names = dict(_PARAMETERS)
    if "vrest" in vectors.arrays:
        model, names = IFCurrDelta, names | _LEAKY
    if "tau_syn_e" in vectors.arrays:
        model, names = IFCurrExp, names | _SYNAPSES
    count = len(vectors.integers("vinit", None))
    parameters: dict[str, Any] = {name: vectors.integers(key, count) for name, key in names.items()}
    shifts = vectors.integers("shift", count, 2)
    return model(**parameters, shift_exc=shifts[:, 0], shift_inh=shifts[:, 1])


def _network(vectors: Vectors, neuron: SpinnakerNeuron) -> tuple[Network, dict[str, Array]]:
    """The neurons, fed by inputs whose values are the rings' content; and these values, `[T, 1, neurons]`."""
    count, steps = vectors.integers(RECORDED, None, None).shape
    inputs = {name: vectors.integers(name, count, steps).T[:, np.newaxis] for name in ("exc", "inh")}
    if any(np.any((values < 0) | (values > RING.maximum)) for values in inputs.values()):
        raise DataError("a ring buffer holds 16 bits", where=str(vectors.path), limit=RING.maximum)
    populations = (
        *(Population(name, (count,), maximum=RING.maximum) for name in inputs),
        Population("neurons", (count,), neuron),
    )
    signs = (OneToOne(np.ones(1, np.int8)), OneToOne(-np.ones(1, np.int8)))
    projections = tuple(Projection(name, "neurons", (sign,)) for name, sign in zip(inputs, signs, strict=True))
    try:
        return Network(neuron.kind, populations, projections), inputs
    except NmdeployError as error:
        raise DataError(f"the neurons cannot be built: {error}", where=str(vectors.path)) from error


def _compare_constants(report: ConformanceReport, vectors: Vectors, neuron: SpinnakerNeuron, count: int) -> None:
    found: dict[str, Integers] = {"R": neuron.resistance, "t_refract": neuron.refractory_steps}
    if isinstance(neuron, (IFCurrDelta, IFCurrExp)):
        found["exp_tc"] = neuron.membrane_decay
    if isinstance(neuron, IFCurrExp):
        found["dec_e"], found["dec_i"] = neuron.synaptic_decays
        found["init_e"], found["init_i"] = neuron.input_fractions
    for key, values in found.items():
        report.compare_values(vectors.file, neuron.kind, key, vectors.integers(key, count), values)


def _compare_input(
    report: ConformanceReport, vectors: Vectors, neuron: SpinnakerNeuron, inputs: dict[str, Array]
) -> None:
    """Synaptic input, which is no state at the end of a step, from the model itself."""
    steps, _, count = inputs["exc"].shape
    state = neuron.initial_state((1, count), np.dtype(np.int64))
    found = np.zeros((2, steps, count), dtype=np.int64)
    for step in range(steps):
        current = np.stack([inputs["exc"][step], inputs["inh"][step]])
        found[:, step] = np.stack(neuron.synaptic_input(state, current))[:, 0]
        neuron.step(state, current)
    for key, values in zip(("exc_in", "inh_in"), found, strict=True):
        report.compare(vectors.file, neuron.kind, key, vectors.integers(key, count, steps).T, values)


def _compare_run(
    report: ConformanceReport, vectors: Vectors, network: Network, inputs: dict[str, Array], engine: Engine
) -> None:
    steps, _, count = inputs["exc"].shape
    counts_down = np.any(vectors.integers("t_refract", count))
    record = Recording(("neurons",), ("neurons", _TIMER) if counts_down else ("neurons",))
    result = emulate(network, inputs, steps=steps, record=record, engine=engine)
    v = result.potentials["neurons"][:, 0]
    # sPyNNaker records v before the update, nmdeploy at the end of the step.
    before = np.concatenate([vectors.integers("vinit", count)[np.newaxis], v[:-1]])
    found = {
        "v_rec": before,
        "v_after": v,
        "refrac_after": result.potentials[_TIMER][:, 0] if counts_down else np.zeros_like(v),
        "spikes": result.spikes["neurons"][:, 0],
    }
    for key, values in found.items():
        variable = f"{key} ({engine})"
        report.compare(vectors.file, network.name, variable, vectors.integers(key, count, steps).T, values)
