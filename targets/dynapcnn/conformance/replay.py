"""Replaying recordings of sinabs: configuration, core map and time-step simulation, integer by integer.

The simulation judges the profile `step` alone. What the chip itself does with events nobody has
published; the profiles `chip` and `leak` share weights, thresholds, cores and configuration with `step`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from nmdeploy.conformance import ConformanceReport, vector_files
from nmdeploy.deployment import Deployment
from nmdeploy.emulator.result import ALL, Result
from nmdeploy.emulator.result import Recording as Record
from nmdeploy.emulator.run import Engine, emulate
from nmdeploy.errors import DataError, NmdeployError
from nmdeploy.linear_maps import Array
from nmdeploy.network import Network, Population
from nmdeploy.target import Chip
from targets.dynapcnn.chips import chips
from targets.dynapcnn.configuration.build import configuration
from targets.dynapcnn.configuration.leaves import leaves
from targets.dynapcnn.configuration.tree import Configuration
from targets.dynapcnn.conformance.networks import INPUT, build_network, layer_name, sensor_input, sensor_output
from targets.dynapcnn.conformance.tables import DISCRETIZER, MAPPER, compare_discretizer, compare_mapper
from targets.dynapcnn.conformance.vectors import SUFFIX, Recording, read_recording
from targets.dynapcnn.lower import lower
from targets.dynapcnn.mapper import place_like_sinabs
from targets.dynapcnn.neuron import SpeckStepIAF
from targets.dynapcnn.quantizers import quantizers

PROFILE = "step"
_TABLES = {DISCRETIZER: compare_discretizer, MAPPER: compare_mapper}
_OTHER = {
    "index.json": "a table of contents",
    "write_set.json": "names of samna's fields, no vectors",
    "rejections.json": "what sinabs refuses, for the design rules",
}


def conformance(files: Sequence[Path], profile: str | None = None, engine: Engine = "fast") -> ConformanceReport:
    """Compare what nmdeploy makes of float parameters with recordings of sinabs 3.1.3, in every integer.

    Every net goes the whole way: float network, quantizer `sinabs`, lowering, placement with sinabs'
    core numbers, configuration, emulation. Compared are the configuration, the core of each layer, and of
    the simulation the spikes of all layers at all steps and the potentials at the end.

    Args:
        files: `<net>.config.json` with `<net>.npz` beside it (either name will do), `discretize_vectors.json`,
            `mapping_vectors.json`, or folders of them.
        profile: `step`, or None for the same.
        engine: which emulator replays, see `nmdeploy.emulator.run.emulate`.

    Raises:
        UsageError: for another profile or a path that does not exist.
        DataError: for a file that is no recording.
    """
    hint = "sinabs simulates time steps; of the chip's own events there are no recordings"
    report = ConformanceReport.under("dynapcnn", profile, (PROFILE,), hint)
    for path in _vectors(files):
        if path.name in _OTHER:
            report.skipped.append(f"{path.name}: {_OTHER[path.name]}")
            continue
        report.files += 1
        if path.name in _TABLES:
            _TABLES[path.name](report, path)
            continue
        recording = read_recording(path)
        report.nets += 1
        compare(report, path.name, recording, build_network(recording), engine)
    return report


def _vectors(files: Sequence[Path]) -> Iterator[Path]:
    """The files, a simulation by the configuration beside it."""
    seen = set()
    for path in vector_files(files, ".json"):
        named = path.with_name(path.stem + SUFFIX) if path.suffix == ".npz" else path
        if not (named.name.endswith(SUFFIX) or named.name in {*_TABLES, *_OTHER}):
            limit = ", ".join((f"*{SUFFIX}", *_TABLES))
            raise DataError("not a recording of sinabs", where=str(named), limit=limit)
        if named not in seen:
            seen.add(named)
            yield named


def compare(
    report: ConformanceReport, file: str, recording: Recording, network: Network, engine: Engine = "fast"
) -> None:
    """Compare one recorded net with what nmdeploy makes of a float network.

    Args:
        report: takes the counts.
        file: where the recording lives.
        recording: of sinabs.
        network: float; population `layer3` is the recorded layer 3, the populations stand in its order.
        engine: which emulator replays.

    Raises:
        DataError: when no deployment can be made of it.
    """
    try:
        deployment = deployed(recording, network)
        ours = configuration(deployment, monitor=_monitored(recording, network), sensor=sensor_input(recording))
    except NmdeployError as error:
        raise DataError(f"no deployment: {error}", where=f"{file} {recording.name}") from error
    _compare_cores(report, file, recording, deployment)
    _compare_configurations(report, file, recording, ours)
    _compare_runs(report, file, recording, deployment.network, engine)


def deployed(recording: Recording, network: Network) -> Deployment:
    """The float network with sinabs' integers, lowered to its simulation, on the cores that sinabs takes."""
    chip = _chip(recording)
    integers = quantizers(chip, PROFILE)["sinabs-discretizer"](network, None)
    lowered = lower(integers, chip, PROFILE)
    exact = _with_spike_functions(lowered.network, recording)
    return Deployment(exact, "dynapcnn", chip.name, lowered.profile, place_like_sinabs(exact, chip))


def _chip(recording: Recording) -> Chip:
    found = [chip for name, chip in chips().items() if recording.device.startswith(name)]
    if not found:
        raise DataError("unknown chip", where=recording.name, found=recording.device, limit=", ".join(chips()))
    return found[0]


def _with_spike_functions(network: Network, recording: Recording) -> Network:
    """Neurons that fire once or several times a step, as recorded: neither is visible in a configuration.

    Where nothing fired twice in a step, both are the same: n = trunc(v / threshold) <= 1 is [v >= threshold].
    """

    def changed(population: Population) -> Population:
        if not isinstance(population.neuron, SpeckStepIAF):
            return population
        spikes = recording[f"disc_spikes.L{population.name.removeprefix('layer')}"]
        return replace(population, neuron=replace(population.neuron, multi_spike=bool(spikes.max(initial=0) > 1)))

    return replace(network, populations=tuple(map(changed, network.populations)))


def _monitored(recording: Recording, network: Network) -> tuple[str, ...]:
    """All populations, where more than the outputs were monitored; else the outputs."""
    watched = sum(layer.monitor_enable for layer in recording.configuration.cnn_layers.values())
    names = [layer_name(layer) for layer in recording.cores]
    return tuple(names) if watched > len(network.outputs) else network.outputs


def _compare_cores(report: ConformanceReport, file: str, recording: Recording, deployment: Deployment) -> None:
    expected = np.array(list(recording.cores.values()))
    found = np.array([deployment.placement.of(layer_name(layer))[0].core for layer in recording.cores])
    report.compare_values(file, recording.name, "core of each layer", expected, found)


def _compare_configurations(report: ConformanceReport, file: str, recording: Recording, ours: Configuration) -> None:
    expected, found = leaves(recording.configuration), leaves(ours)
    for path in (*expected, *sorted(set(found) - set(expected))):
        nothing = np.zeros(0, dtype=np.int64)
        report.compare_values(file, recording.name, path, expected.get(path, nothing), found.get(path))


def _compare_runs(report: ConformanceReport, file: str, recording: Recording, network: Network, engine: Engine) -> None:
    raster = sensor_output(recording)
    if "dvs" in recording.destinations:
        report.compare(file, recording.name, "sensor output", recording["disc_spikes.Ldvs"].astype(np.int64), raster)
    result = _run(network, raster, engine)
    for layer in recording.cores:
        spikes = recording[f"disc_spikes.L{layer}"].astype(np.int64)
        found = result.spikes[layer_name(layer)][:, 0].reshape(spikes.shape)
        report.compare(file, recording.name, f"layer {layer} spikes", spikes, found)
        report.neuron_steps += spikes.size
        potentials = recording[f"disc_vmem_final.L{layer}"].astype(np.int64)
        last = result.final_potentials[layer_name(layer)][0].reshape(potentials.shape)
        report.compare_values(file, recording.name, f"layer {layer} final potential", potentials, last)


def _run(network: Network, raster: Array, engine: Engine) -> Result:
    names = tuple(population.name for population in network.populations if not population.is_input)
    kind = np.uint8 if raster.max(initial=0) < 256 else np.int64
    spikes = raster[:, np.newaxis].astype(kind)
    reading_all = replace(network, outputs=names)
    return emulate(reading_all, {INPUT: spikes}, steps=len(raster), record=Record(spikes=(ALL,)), engine=engine)
