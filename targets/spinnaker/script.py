"""The text of a PyNN script that builds a lowered network on sPyNNaker, population by population."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from nmdeploy.linear_maps import Array
from nmdeploy.network import Network, Population, Projection
from nmdeploy.script_text import Script, quoted
from nmdeploy.synapses import Shape
from targets.spinnaker.connection import Form, form_of, kernels, pooled_dense
from targets.spinnaker.layout import PynnPopulation, layout
from targets.spinnaker.neuron import IFCurrDelta, IFCurrExp, IFTruncDelta, SpinnakerNeuron
from targets.spinnaker.pynn_script import Arrays, Keys, Part, neurons_call, pynn_script
from targets.spinnaker.ring_buffer import weight_unit

PARAMETERS = {
    "v": "v_init",
    "i_offset": "i_offset",
    "v_reset": "v_reset",
    "v_thresh": "v_thresh",
    "cm": "cm",
    "tau_m": "tau_m",
    "tau_refrac": "tau_refrac",
}
"""Fields of our neurons by PyNN's parameter; `v` is the initial potential."""
LEAKY = {"v_rest": "v_rest"}
EXPONENTIAL = {"tau_syn_E": "tau_syn_exc", "tau_syn_I": "tau_syn_inh"}
MODELS: Mapping[type[SpinnakerNeuron], tuple[str, Mapping[str, str]]] = {
    IFTruncDelta: ("extra_models.IFTruncDelta", PARAMETERS),
    IFCurrDelta: ("extra_models.IFCurDelta", PARAMETERS | LEAKY),
    IFCurrExp: ("IF_curr_exp", PARAMETERS | LEAKY | EXPONENTIAL),
}
"""sPyNNaker's cell types, and their parameters, by our neuron."""

ABOUT = """\
The network {title} on SpiNNaker through sPyNNaker 7.4.1, made by nmdeploy.

Needs Python 3.11 and `pip install "sPyNNaker==1!7.4.1"`, and a machine that spynnaker.cfg names.
Runs the spikes in inputs.npz:

    python run.py

See README.md beside this file, and `python run.py --help`.
"""
IMPORTS = """\
from pathlib import Path

import numpy as np
import pyNN.spiNNaker as sim
from nmdeploy_pynn import spynnaker as chip
from nmdeploy_pynn.driver import Network, main"""
UNITS_NOTE = """\
# Parameters are integers that count 1/32768. Units are PyNN's weights for one unit of the
# excitatory and of the inhibitory ring buffer; they fix the buffers' shifts."""
DELAY_NOTE = "# Projections. A spike takes one step of 1 ms, or the delay."


def make_script(network: Network, time_scale_factor: int = 1) -> Script:
    """The script of a lowered network.

    Args:
        network: the network.
        time_scale_factor: at which the script runs it where it is not told otherwise.

    Raises:
        FitError: with everything that sPyNNaker would compute differently.
    """
    return pynn_script(
        network,
        host="sPyNNaker",
        about=ABOUT,
        imports=IMPORTS,
        returns="The neurons by name, each population as a list of its parts.",
        populations=Part(UNITS_NOTE, _population),
        projections=Part(DELAY_NOTE, _projection),
        settings={"sim": "sim", "exact": True, "time_scale_factor": time_scale_factor},
    )


def units(neuron: SpinnakerNeuron) -> tuple[float, float]:
    """PyNN's weight for one unit of a neuron's excitatory and inhibitory ring buffers."""
    return weight_unit(int(np.max(neuron.shift_exc))), weight_unit(int(np.max(neuron.shift_inh)))


def parameters(population: Population, parts: Sequence[PynnPopulation]) -> dict[str, Array]:
    """The neurons' parameters as raw int32 by PyNN's name, `[parts, neurons]`; what fills up a core is quiet."""
    neuron = population.neuron_as(*MODELS)
    found = {}
    for name, field in MODELS[type(neuron)][1].items():
        values = np.broadcast_to(getattr(neuron, field), population.shape).reshape(len(parts), -1)
        quiet = 0 if name in ("v", "i_offset", "v_reset") else values[0, 0]
        found[name] = np.pad(values, ((0, 0), (0, parts[0].padding)), constant_values=quiet).astype(np.int32)
    return found


def synapses(network: Network, projection: Projection) -> tuple[Array, dict[str, int]]:
    """The weights of a projection as integers, and what else the call that makes it says.

    Returns:
        Rows: (source, target, weight) int32 `[n, 3]`, by source and target. Shared kernels: as in `Kernels`.
        Pooled dense weights: as in `PooledDense`.
    """
    shape = network[projection.source].shape
    form = form_of(network, projection.target)
    if form is Form.CONVOLUTION and (shared := kernels(projection, shape)) is not None:
        extra = {"pool": shared.pool, "padding": shared.padding, "groups": shared.groups}
        return shared.weight.astype(np.int32), extra
    if form is Form.POOL_DENSE and (pooled := pooled_dense(projection, shape)) is not None:
        return pooled.weight.astype(np.int32), {"pool": pooled.pool}
    return synapse_list(projection, shape), {}


def synapse_list(projection: Projection, shape: Shape) -> Array:
    """The synapses of a projection from a population of `shape`: (source, target, weight) int32 `[n, 3]`, none of 0."""
    matrix = projection.matrix(shape).tocoo()
    listed = np.stack([matrix.col, matrix.row, matrix.data], axis=1).astype(np.int32)
    listed = listed[listed[:, 2] != 0]
    ordered: Array = listed[np.lexsort((listed[:, 1], listed[:, 0]))]
    return ordered


def _population(network: Network, population: Population, keys: Keys, arrays: Arrays) -> Iterator[str]:
    key, parts = keys[population.name], layout(network, population.name)
    first = parts[0]
    kind = "inputs" if population.neuron is None else "neurons"
    channels = f"{len(parts)} channels of " if first.grid else ""
    yield f"# {quoted(population.name)}: {channels}{first.size - first.padding} {kind}"
    if population.neuron is None:
        place = f"channels={len(parts)}, atoms={first.max_atoms}, grid={first.grid}"
        yield f'{key} = chip.source(sim, "{key}", spikes["{key}"], {place})'
        return
    neuron = population.neuron_as(*MODELS)
    options = {"units": units(neuron), "atoms": first.max_atoms, "grid": first.grid}
    yield from neurons_call(key, MODELS[type(neuron)][0], parameters(population, parts), arrays, options)


_CALLS = {Form.ROWS: "rows", Form.CONVOLUTION: "convolution", Form.POOL_DENSE: "pool_dense"}


def _projection(network: Network, projection: Projection, keys: Keys, arrays: Arrays, variable: str) -> Iterator[str]:
    neuron = network[projection.target].neuron_as(*MODELS)
    form = form_of(network, projection.target)
    arrays[variable], extra = synapses(network, projection)
    yield f"# {quoted(projection.source)} to {quoted(projection.target)}: {form.value}"
    yield f"chip.{_CALLS[form]}("
    yield "    sim,"
    yield f"    {keys[projection.source]},"
    yield f"    {keys[projection.target]},"
    yield f'    arrays["{variable}"],'
    yield f"    units={units(neuron)},"
    yield from (f"    {name}={value}," for name, value in extra.items())
    yield f"    delay={projection.delay},"
    yield ")"
    yield ""
