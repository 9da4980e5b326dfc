"""Recorded nets of dense layers, replayed as networks by every engine.

Net `caseN` has, for each layer L from 0 on, weights `wL` `[in, out]` (above 0 excitatory) in ring-buffer units,
`ioffL`, potentials `v(L+1)` after each step and spikes `s(L+1)`; `s0` is the input. `meta` holds the model (0
IF_trunc_delta, 1 IF_curr_delta), tau_refrac, shift, v_thresh, tau_m and cm.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from nmdeploy.conformance import ConformanceReport
from nmdeploy.emulator.result import ALL, Recording
from nmdeploy.emulator.run import Engine, emulate
from nmdeploy.errors import DataError, NmdeployError
from nmdeploy.network import Network, Population, Projection
from nmdeploy.synapses import Dense
from targets.spinnaker.conformance.vectors import Vectors
from targets.spinnaker.neuron import IFCurrDelta, IFTruncDelta, SpinnakerNeuron

RECORDED = "_s0"
"""A file with arrays of this ending holds nets."""
MODELS: tuple[type[SpinnakerNeuron], ...] = (IFTruncDelta, IFCurrDelta)


def replay_nets(report: ConformanceReport, vectors: Vectors, engines: tuple[Engine, ...]) -> None:
    """Compare potentials and spikes of every layer at every step, engine by engine."""
    for name in vectors.names(RECORDED):
        network, depth = recorded_network(vectors, name)
        inputs = vectors.integers(f"{name}_s0", None, network["layer0"].size)
        names = tuple(f"layer{layer}" for layer in range(1, depth + 1))
        for engine in engines:
            record = Recording((ALL,), names)
            result = emulate(network, inputs[:, np.newaxis], steps=len(inputs), record=record, engine=engine)
            for layer, population in enumerate(names, 1):
                found = {"v": result.potentials[population], "s": result.spikes[population]}
                for key, values in found.items():
                    expected = vectors.integers(f"{name}_{key}{layer}", len(inputs), network[population].size)
                    variable = f"layer {layer} {'spikes' if key == 's' else key} ({engine})"
                    report.compare(vectors.file, name, variable, expected, values[:, 0])
        report.nets += 1
        report.neuron_steps += len(inputs) * sum(network[population].size for population in names)


def recorded_network(vectors: Vectors, name: str) -> tuple[Network, int]:
    """The net, with one step of delay a layer, and its depth."""
    parameters = vectors.integers(f"{name}_meta", 6)
    depth = len([key for key in vectors.arrays if key.startswith(f"{name}_w")])
    if not 0 <= parameters[0] < len(MODELS):
        raise DataError("unknown neuron model", where=f"{vectors.path} {name}", found=int(parameters[0]), limit="0, 1")
    try:
        weights = [vectors.integers(f"{name}_w{layer}", None, None) for layer in range(depth)]
        populations = [Population("layer0", (len(weights[0]),) if weights else (1,))]
        for layer, matrix in enumerate(weights):
            neuron = _neuron(parameters, vectors.integers(f"{name}_ioff{layer}", matrix.shape[1]))
            populations.append(Population(f"layer{layer + 1}", (matrix.shape[1],), neuron))
        projections = [
            Projection(f"layer{layer}", f"layer{layer + 1}", (Dense(np.ascontiguousarray(matrix.T)),), delay=1)
            for layer, matrix in enumerate(weights)
        ]
        return Network(name, tuple(populations), tuple(projections)), depth
    except NmdeployError as error:
        raise DataError(f"the net cannot be built: {error}", where=f"{vectors.path} {name}") from error


def _neuron(parameters: Any, i_offset: Any) -> SpinnakerNeuron:
    model, tau_refrac, shift, v_thresh, tau_m, cm = (int(value) for value in parameters)
    return MODELS[model](
        v_thresh=v_thresh,
        i_offset=i_offset,
        cm=cm,
        tau_m=tau_m,
        tau_refrac=tau_refrac,
        shift_exc=shift,
        shift_inh=shift,
    )
