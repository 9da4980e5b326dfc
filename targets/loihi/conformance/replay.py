"""Replaying recorded Lava runs through nmdeploy's emulator."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np

from nmdeploy.conformance import ConformanceReport, vector_files
from nmdeploy.emulator.result import ALL, Recording, Result
from nmdeploy.emulator.run import emulate
from nmdeploy.errors import DataError, NmdeployError
from nmdeploy.linear_maps import Array
from nmdeploy.network import Network, Population, Projection
from nmdeploy.synapses import Conv2d, Dense, Reshape, Synapse
from nmdeploy.target import Chip
from targets.loihi.chips import chips
from targets.loihi.conformance.common_range import departures, in_storable_parts
from targets.loihi.conformance.vectors import RECORDED, Layer, Net, read_nets
from targets.loihi.neuron import LoihiLIF, LoihiLIFReset
from targets.loihi.weights import CHANNEL_FORMAT, CONV_FORMAT, SignMode, stored_weights, to_conv2d

PROFILES = ("lava", "chip")
"""`lava`: every net. `chip`: only nets whose recorded run stays where Lava and the chip agree."""
INPUT = "input"
Engine = Literal["fast", "reference"]


def conformance(files: Sequence[Path], profile: str | None = None, engine: Engine = "fast") -> ConformanceReport:
    """Compare u, v and spikes of every layer at every step with recordings of Lava 0.10.0.

    Args:
        files: `.npz` recordings, or folders of them.
        profile: one of `PROFILES`; None means `lava`.
        engine: which emulator replays, see `nmdeploy.emulator.run.emulate`.

    Raises:
        UsageError: for an unknown profile or a path that does not exist.
        DataError: for a file that is no recording.
    """
    report = ConformanceReport.under("loihi", profile, PROFILES)
    for path in vector_files(files, ".npz"):
        report.files += 1
        for net in read_nets(path):
            network = build_network(net, str(path))
            on_chip = report.profile == "chip"
            network = in_storable_parts(network) if on_chip else network
            result = _run(network, net, engine)
            departure = next(departures(network, result, _chip_of(net)), None) if on_chip else None
            if departure:
                report.skipped.append(f"{path.name} {net.name}: {departure}")
                continue
            report.nets += 1
            _compare(report, path.name, net, result)
    return report


def _chip_of(net: Net) -> Chip:
    """Loihi 1, or Loihi 2 for graded spikes, which Loihi 1 has not."""
    graded = any(layer["num_message_bits"] for layer in net.layers)
    return chips()["loihi2" if graded else "loihi1"]


def build_network(net: Net, file: str = "") -> Network:
    """The recorded net in nmdeploy's terms, space as (C, H, W) = (C, Y, X).

    Raises:
        DataError: when its layers do not fit each other.
    """
    try:
        populations = [_input_population(net)]
        projections: list[Projection] = []
        for index, layer in enumerate(net.layers):
            projections += _projections(layer, populations[-1], f"layer{index}")
            populations.append(Population(f"layer{index}", _chw(layer.shape), _neuron(layer)))
        return Network(net.name, tuple(populations), tuple(projections))
    except NmdeployError as error:
        raise DataError(f"the net cannot be built: {error}", where=f"{file} {net.name}") from error


def _input_population(net: Net) -> Population:
    values = _sent(net)
    shape = _chw(net.inputs.shape[:-1])
    return Population(INPUT, shape, minimum=min(int(values.min()), 0), maximum=max(int(values.max()), 1))


def _sent(net: Net) -> Array:
    """Input values as they act: without message bits every value but 0 counts as 1."""
    graded = net.layers[0]["num_message_bits"] > 0
    return net.inputs.astype(np.int64) if graded else (net.inputs != 0).astype(np.int64)


def _chw(shape: tuple[int, ...]) -> tuple[int, ...]:
    """(X, Y, C) as (C, H, W); (n,) as it is."""
    return shape[::-1]


def _neuron(layer: Layer) -> LoihiLIF:
    def per_neuron(key: str, dtype: Any = np.int64) -> Array:
        # Lava keeps biases as int16, whatever was passed.
        values = layer.arrays.get(key, np.zeros(layer.shape)).astype(dtype).astype(np.int64)
        return values.reshape(layer.shape).T

    parameters: dict[str, Any] = {
        "vth": layer["vth"],
        "du": layer["du"],
        "dv": layer["dv"],
        "bias_mant": per_neuron("bias_mant", np.int16),
        "bias_exp": per_neuron("bias_exp", np.int16),
        "u_init": per_neuron("u0"),
        "v_init": per_neuron("v0"),
    }
    if layer["reset_interval"] is None:
        return LoihiLIF(**parameters)
    return LoihiLIFReset(**parameters, interval=layer["reset_interval"], offset=layer["reset_offset"])


def _projections(layer: Layer, source: Population, target: str) -> Iterator[Projection]:
    """The layer's synapses; one projection for each delay, all with one step of latency."""
    weights = layer.arrays["weights"]
    if layer["kind"] == "conv":
        geometry: dict[str, Any] = {name: tuple(layer[name])[::-1] for name in ("stride", "padding", "dilation")}
        synapse = Conv2d(to_conv2d(weights), groups=layer["groups"], **geometry)
        yield Projection(source.name, target, (synapse,), delay=1, accumulator=CONV_FORMAT)
        return
    mode = None if layer["sign_mode"] == "auto" else SignMode(layer["sign_mode"])
    stored = stored_weights(weights, mode, layer["num_weight_bits"])
    flatten: tuple[Synapse, ...] = ()
    if len(source.shape) == 3:
        flatten = (Reshape((source.size,)),)
        stored = _from_xyc(stored, source.shape)
    delays = layer.arrays.get("delays", np.zeros_like(weights))
    for delay in np.unique(delays):
        chain = (*flatten, Dense(np.where(delays == delay, stored, 0)))
        yield Projection(source.name, target, chain, 1 + int(delay), layer["weight_exp"], CHANNEL_FORMAT)


def _from_xyc(weights: Array, shape: tuple[int, ...]) -> Array:
    """Columns of a dense layer after a flattened (X, Y, C) map, reordered for a flattened (C, H, W) map."""
    maps = weights.reshape(len(weights), *shape[::-1]).transpose(0, 3, 2, 1)
    return maps.reshape(len(weights), -1)


def _run(network: Network, net: Net, engine: Engine) -> Result:
    spikes = np.moveaxis(_sent(net), -1, 0)
    inputs = spikes.transpose(0, *range(spikes.ndim - 1, 0, -1))[:, np.newaxis]
    names = [population.name for population in network.populations if not population.is_input]
    record = Recording(spikes=(ALL,), potentials=(*names, *(f"{name}.u" for name in names)))
    return emulate(network, {INPUT: inputs}, steps=len(inputs), record=record, engine=engine)


def _compare(report: ConformanceReport, file: str, net: Net, result: Result) -> None:
    for index, layer in enumerate(net.layers):
        name = f"layer{index}"
        found = {"u": result.potentials[f"{name}.u"], "v": result.potentials[name], "s": result.spikes[name]}
        for key, words in RECORDED.items():
            # One sample; back to (X, Y, C).
            emulated = found[key][:, 0].transpose(0, *range(len(layer.shape), 0, -1))
            report.compare(file, net.name, f"layer {index} {words}", layer.recorded[key], emulated)
        report.neuron_steps += layer.recorded["v"].size
