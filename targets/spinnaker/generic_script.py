"""The text of a PyNN script for plain simulators: floats, ordinary synapses, and no promise about bits."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from nmdeploy.linear_maps import Array
from nmdeploy.network import Network, Population, Projection
from nmdeploy.script_text import Script, quoted
from targets.spinnaker.fixed_point import ONE, real
from targets.spinnaker.neuron import IFCurrExp
from targets.spinnaker.pynn_script import Arrays, Keys, Part, neurons_call, pynn_script
from targets.spinnaker.script import EXPONENTIAL, MODELS, PARAMETERS, units

NO_LEAK_MS = 1e9
"""A tau_m under which nothing leaks."""

ABOUT = """\
The network {title} in PyNN for plain simulators, made by nmdeploy. NOT BIT-EXACT.

Simulators compute in floating point, without the chip's rounding, floor and saturation.
Needs PyNN 0.12 and a simulator: `pip install "PyNN==0.12.4" "neo<0.14" brian2`.

    python run.py --simulator brian2

See README.md beside this file, and `python run.py --help`.
"""
IMPORTS = """\
from importlib import import_module
from pathlib import Path

import numpy as np
from nmdeploy_pynn import generic as chip
from nmdeploy_pynn.driver import Network, main"""
DELAY_NOTE = "# Projections: (source, target) and weights; a spike takes one step of 1 ms, or the delay."


def make_generic_script(network: Network) -> Script:
    """The script of a lowered network.

    Raises:
        FitError: with everything that it cannot say; the same as on the chip.
    """
    return pynn_script(
        network,
        host="PyNN",
        about=ABOUT,
        imports=IMPORTS,
        returns="The neurons by name.",
        populations=Part("", _population),
        projections=Part(DELAY_NOTE, _projection),
        settings={"sim": 'lambda name: import_module(f"pyNN.{name}")', "exact": False},
    )


def generic_parameters(population: Population) -> tuple[str, dict[str, Array]]:
    """PyNN's standard cell type and its parameters `[neurons]`, `v` the initial potential.

    `IF_trunc_delta` and `IF_curr_delta` become PyNN's `IF_curr_delta`. The time constant is that of the leak
    that the chip's exp table gives, and cm makes R the chip's.
    """
    neuron = population.neuron_as(*MODELS)
    exponential = isinstance(neuron, IFCurrExp)
    fields = PARAMETERS | {"v_rest": "v_rest"} | (EXPONENTIAL if exponential else {})
    given = {}
    for name, field in fields.items():
        value = getattr(neuron, field, 0)  # IF_trunc_delta has no v_rest
        given[name] = real(np.broadcast_to(value, population.shape).ravel())
    # In PyNN dv/dt = (v_rest - v) / tau_m + i / cm; a step adds i * R * leak.
    leak = leaks(population)
    given["tau_m"] = np.where(leak > 0, -1 / np.log1p(-np.where(leak > 0, leak, 0.5)), NO_LEAK_MS)
    resistance = real(np.broadcast_to(neuron.resistance, population.shape).ravel())
    given["cm"] = np.where(leak > 0, given["tau_m"], 1.0) / resistance
    return "IF_curr_exp" if exponential else "IF_curr_delta", given


def leaks(population: Population) -> Array:
    """The share of its distance to rest that each neuron's potential loses in a step on the chip: 1 - exp_TC."""
    decay = getattr(population.neuron, "membrane_decay", ONE)  # IF_trunc_delta does not leak
    return 1 - np.asarray(real(np.broadcast_to(decay, population.shape).ravel()))


def _population(network: Network, population: Population, keys: Keys, arrays: Arrays) -> Iterator[str]:
    key = keys[population.name]
    if population.neuron is None:
        yield f"# {quoted(population.name)}: {population.size} inputs"
        yield f'{key} = chip.source(sim, "{key}", spikes["{key}"])'
        return
    model, given = generic_parameters(population)
    yield f"# {quoted(population.name)}: {population.size} neurons"
    yield from neurons_call(key, model, given, arrays)


def _projection(network: Network, projection: Projection, keys: Keys, arrays: Arrays, variable: str) -> Iterator[str]:
    source, target = network[projection.source], network[projection.target]
    matrix = projection.matrix(source.shape).tocoo()
    order = np.lexsort((matrix.row, matrix.col))
    pairs = np.stack([matrix.col, matrix.row], axis=1)[order].astype(np.int32)
    arrays[f"{variable}.pairs"], arrays[f"{variable}.weights"] = pairs, _weights(target, matrix.data[order], pairs)
    ends = f"{keys[source.name]}, {keys[target.name]}"
    values = f'arrays["{variable}.pairs"], arrays["{variable}.weights"]'
    yield f"# {quoted(source.name)} to {quoted(target.name)}"
    yield f"chip.rows(sim, {ends}, {values}, delay={projection.delay})"


def _weights(target: Population, raw: Array, pairs: Array) -> Array:
    """PyNN's weights: nA for exponential synapses, mV for delta synapses."""
    neuron = target.neuron_as(*MODELS)
    excitatory, inhibitory = units(neuron)
    weights: Array = np.where(raw < 0, raw * inhibitory, raw * excitatory)
    if isinstance(neuron, IFCurrExp):
        return weights
    leak = leaks(target)
    gain = real(np.broadcast_to(neuron.resistance, target.shape).ravel()) * np.where(leak > 0, leak, 1.0)
    scaled: Array = weights * gain[pairs[:, 1]]
    return scaled
