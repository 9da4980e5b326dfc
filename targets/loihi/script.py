"""The text of a Lava script that builds a lowered network, Process by Process."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from string import Template

import numpy as np

from nmdeploy.errors import FitError
from nmdeploy.latency import LATENCY
from nmdeploy.linear_maps import Array
from nmdeploy.network import Network, Population, Projection
from nmdeploy.neurons import Number
from nmdeploy.script_text import FRAME_NAMES, Identifiers, Script, framed, indented, quoted, tuple_text
from nmdeploy.target import Violation
from quantize import Overflow
from targets.loihi.connection import Connection, Convolution, Matrix, connection, lava_shape
from targets.loihi.neuron import LoihiLIF, LoihiLIFReset, LoihiLIFSubtract
from targets.loihi.weights import CONV_FORMAT, sign_mode_of, stored_weights

IMPORTS = {
    "csr_matrix": "scipy.sparse",
    "Conv": "lava.proc.conv.process",
    "Dense": "lava.proc.dense.process",
    "DelayDense": "lava.proc.dense.process",
    "LIF": "lava.proc.lif.process",
    "LIFReset": "lava.proc.lif.process",
    "Sparse": "lava.proc.sparse.process",
    "DelaySparse": "lava.proc.sparse.process",
    "SignMode": "lava.utils.weightutils",
}
"""Where the names that a script can use come from."""
LOCAL_NAMES = (*FRAME_NAMES, "inputs", *IMPORTS)

ABOUT = """\
The network {title} as Processes of Lava 0.10.0, made by nmdeploy.

Needs Python 3.10 and `pip install lava-nc==0.10.0`. Runs the spikes in inputs.npz:

    python run.py

See README.md beside this file, and `python run.py --help`.
"""
BUILD = Template('''\
def build(inputs):
    """Make the Processes and connect them.

    Args:
        inputs: by name, the port that sends the spikes of an input.

    Returns:
        The neurons, by name.
    """
    # Neurons. Their input is shifted left by 6 bits, so v counts 1/64 of a weight unit;
    # a neuron fires where v > vth * 64. With du = 4095 a current lasts one step.
$neurons

    # Connections. Each takes one step. Lava orders space as (width, height, channels);
    # the columns and rows of weight matrices are in that order already.
$connections''')


@dataclass
class _Writer:
    """A script while it is written: arrays and the names in use."""

    arrays: dict[str, Array] = field(default_factory=dict)
    names: Identifiers = field(default_factory=lambda: Identifiers(LOCAL_NAMES))
    used: set[str] = field(default_factory=set)

    def call(self, variable: str, process: str, **arguments: object) -> list[str]:
        """A Process made from keyword arguments, one a line; arrays go to the file."""
        self.used.add(process)
        lines = [f"{variable} = {process}("]
        for name, value in arguments.items():
            if isinstance(value, np.ndarray):
                self.arrays[f"{variable}.{name}"] = value
                value = f'arrays["{variable}.{name}"]'
            lines.append(f"    {name}={value},")
        return [*lines, ")"]


def make_script(network: Network) -> Script:
    """The script of a lowered network.

    Raises:
        FitError: with everything that Lava would compute differently.
    """
    connections = [connection(each, network[each.source], network[each.target]) for each in network.projections]
    found = [each for population in network.populations for each in _neuron_violations(population)]
    for projection, made in zip(network.projections, connections, strict=True):
        found += _connection_violations(projection, made)
    if found:
        raise FitError("Lava", found)
    writer = _Writer()
    keys = {population.name: writer.names.new(population.name) for population in network.populations}
    neurons = [line for each in network.populations if each.neuron for line in _neuron(writer, keys, each)]
    wiring: list[str] = []
    for projection, made in zip(network.projections, connections, strict=True):
        wiring += [*_connection(writer, keys, network, projection, made), ""]
    text = framed(
        network,
        keys,
        about=ABOUT.format(title=quoted(network.name)),
        imports=_imports(writer.used),
        build=BUILD.substitute(neurons=indented(neurons), connections=indented(wiring)),
        settings={"build": "build", "silence": max(each.delay for each in network.projections)},
    )
    return Script(text, writer.arrays, keys)


def _neuron_violations(population: Population) -> list[Violation]:
    """What Lava's LIF cannot be of a population's neuron."""
    neuron, known = population.neuron, (LoihiLIF, LoihiLIFReset, LoihiLIFSubtract)
    if neuron is None or type(neuron) in known:
        return []
    kinds = ", ".join(each.kind for each in known)
    return [Violation("LOI140", population.name, "Lava has no Process for the neuron", neuron.kind, kinds)]


def _connection_violations(projection: Projection, made: Connection) -> list[Violation]:
    """What Lava would compute differently of a projection, see `targets.loihi.weights`."""
    found, where = [], projection.name
    if projection.delay < LATENCY:
        hint = "lower the network first"
        found.append(Violation("LOI141", where, "a Lava connection takes a step", projection.delay, LATENCY, hint))
    form = projection.accumulator
    if form is not None and (form.overflow is not Overflow.WRAP or form.bits < CONV_FORMAT.bits):
        limit = f"none, or {CONV_FORMAT.bits} bits and more that wrap"
        found.append(Violation("LOI142", where, "Lava's sums have no format of their own", f"{form.bits} bits", limit))
    if isinstance(made, Matrix) and made.weights.nnz:
        kept = stored_weights(made.weights.data, sign_mode_of(made.weights.data))
        lost = made.weights.data[kept != made.weights.data]
        if lost.size:
            message = "Lava would change a weight"
            limit = "0..255, -255..0, or of both signs, even, -256..254"
            found.append(Violation("LOI143", where, message, int(lost[0]), limit))
    return found


def _neuron(writer: _Writer, keys: Mapping[str, str], population: Population) -> list[str]:
    neuron, key = population.neuron_as(LoihiLIF), keys[population.name]
    arguments: dict[str, object] = {"shape": tuple_text(lava_shape(population.shape))}
    for name in ("vth", "du", "dv"):
        arguments[name] = _parameter(getattr(neuron, name), population)
    if np.any(neuron.bias_mant):
        arguments["bias_mant"] = _parameter(neuron.bias_mant, population)
        arguments["bias_exp"] = _parameter(neuron.bias_exp, population)
    for name, value in (("u", neuron.u_init), ("v", neuron.v_init)):
        if np.any(value):
            arguments[name] = _parameter(value, population)
    comment, process = f"# {quoted(population.name)}: {population.size} neurons", "LIF"
    if isinstance(neuron, LoihiLIFReset):
        process = "LIFReset"
        arguments |= {"reset_interval": neuron.interval, "reset_offset": neuron.offset % neuron.interval}
    if isinstance(neuron, LoihiLIFSubtract):
        comment += "; a spike takes subtrahend * 64 off v (stock Lava resets to 0)"
        arguments["subtrahend"] = _parameter(neuron.subtrahend, population)
    return [comment, *writer.call(key, process, **arguments)]


def _parameter(value: Number, population: Population) -> int | Array:
    """A neuron's parameter: one number, or an array in Lava's order."""
    if np.ndim(value) == 0:
        return int(value)
    return np.ascontiguousarray(np.broadcast_to(value, population.shape).T)


def _connection(
    writer: _Writer, keys: Mapping[str, str], network: Network, projection: Projection, made: Connection
) -> list[str]:
    source, target = network[projection.source], network[projection.target]
    comment = f"# {quoted(source.name)} to {quoted(target.name)}"
    if isinstance(made, Matrix) and not made.weights.nnz:
        return [f"{comment}: all weights are 0, there is nothing to connect"]
    variable = writer.names.new(f"{keys[source.name]}_to_{keys[target.name]}")
    if isinstance(made, Convolution):
        lines, flat = _convolution(writer, variable, made, _message_bits(source)), False
    else:
        lines, flat = _matrix(writer, variable, made, _message_bits(source)), True
    sender = f'inputs["{keys[source.name]}"]' if source.is_input else f"{keys[source.name]}.s_out"
    flattened = ".flatten()" if flat and len(source.shape) == 3 else ""
    shaped = f".reshape({tuple_text(lava_shape(target.shape))})" if flat and len(target.shape) == 3 else ""
    lines += [
        f"{sender}{flattened}.connect({variable}.s_in)",
        f"{variable}.a_out{shaped}.connect({keys[target.name]}.a_in)",
    ]
    return [f"{comment}, {projection.delay} step{'s' if projection.delay > 1 else ''}", *lines]


def _message_bits(source: Population) -> int:
    """0 for binary spikes; for graded ones the bits of the largest value, which then counts as it is."""
    low, high = source.spike_range
    return 0 if (low, high) == (0, 1) else max(abs(low), abs(high)).bit_length()


def _convolution(writer: _Writer, variable: str, made: Convolution, message_bits: int) -> list[str]:
    return writer.call(
        variable,
        "Conv",
        weight=made.weight,
        input_shape=tuple_text(made.input_shape),
        stride=tuple_text(made.stride),
        padding=tuple_text(made.padding),
        dilation=tuple_text(made.dilation),
        groups=made.groups,
        num_message_bits=message_bits,
    )


def _matrix(writer: _Writer, variable: str, made: Matrix, message_bits: int) -> list[str]:
    matrix = made.weights.sorted_indices()
    writer.used.add("SignMode")
    mode = {"mixed": "MIXED", "exc": "EXCITATORY", "inh": "INHIBITORY"}[sign_mode_of(matrix.data).value]
    common = {"weight_exp": made.exponent, "sign_mode": f"SignMode.{mode}", "num_message_bits": message_bits}
    prefix = "Delay" if made.delay else ""
    if made.dense:
        delays = {"delays": made.delay} if made.delay else {}
        weights = matrix.toarray().astype(np.int16)
        return writer.call(variable, f"{prefix}Dense", weights=weights, **delays, **common)
    writer.used.add("csr_matrix")
    parts: dict[str, Array] = {"data": matrix.data.astype(np.int16), "indices": matrix.indices, "indptr": matrix.indptr}
    writer.arrays.update({f"{variable}.{name}": part for name, part in parts.items()})
    entries, shape = f"{variable}_entries", tuple_text(matrix.shape)
    where = ", ".join(f'arrays["{variable}.{name}"]' for name in ("indices", "indptr"))
    lines = [f"{entries} = {where}"]
    lines += [f'{variable}_weights = csr_matrix((arrays["{variable}.data"], *{entries}), shape={shape})']
    sparse: dict[str, object] = {"weights": f"{variable}_weights"}
    if made.delay:
        ones = f"np.full({matrix.nnz}, {made.delay})"
        lines += [f"{variable}_delays = csr_matrix(({ones}, *{entries}), shape={shape})"]
        sparse["delays"] = f"{variable}_delays"
    return [*lines, *writer.call(variable, f"{prefix}Sparse", **sparse, **common)]


def _imports(used: set[str]) -> str:
    """Import statements of the script, with those of Lava's names in use."""
    names: dict[str, list[str]] = {}
    for name in sorted(used):
        names.setdefault(IMPORTS[name], []).append(name)
    vendor = "\n".join(f"from {module} import {', '.join(names[module])}" for module in sorted(names))
    ours = "from nmdeploy_lava.driver import Network, main"
    return f"from pathlib import Path\n\nimport numpy as np\n{vendor}\n\n{ours}"
