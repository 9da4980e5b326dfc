"""The files of a script that runs a deployment on a board: configuration, network, events, and the code for samna."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from nmdeploy.deployment import CoreLoad, Deployment
from nmdeploy.linear_maps import Array
from nmdeploy.network import Network, Population
from nmdeploy.synapses import Reshape
from targets.dynapcnn.chips import chips
from targets.dynapcnn.configuration import Configuration, configuration, to_json
from targets.dynapcnn.event_arrays import EVENT, Events, raster_to_events
from targets.dynapcnn.layer import ChipLayer, layers
from targets.dynapcnn.link import Map, as_map
from targets.dynapcnn.pace import Pace

RUN = '''\
"""Runs the events in inputs.npz on a board, through samna; see README.md and `python run.py --help`."""

from pathlib import Path

from nmdeploy_samna.driver import main

if __name__ == "__main__":
    main(Path(__file__).resolve().parent)
'''


def script_files(deployment: Deployment, steps: int, step_us: int) -> dict[str, bytes]:
    """What is needed to run a deployment on a board, by path in the script's folder; inputs apart.

    Args:
        deployment: on a chip of the family.
        steps: time steps of a sample.
        step_us: length of a step, in microseconds.

    Raises:
        UsageError: for what no configuration can express.
    """
    tree = configuration(deployment)
    code = Path(__file__).parent / "samna"
    support = {f"nmdeploy_samna/{path.name}": path.read_bytes() for path in sorted(code.glob("*.py"))}
    network = json.dumps(_network(deployment, tree, steps, step_us), indent=1) + "\n"
    return {"run.py": RUN.encode(), "configuration.json": to_json(tree).encode(), "network.json": network.encode()} | (
        support
    )


def _network(deployment: Deployment, tree: Configuration, steps: int, step_us: int) -> dict[str, object]:
    """`network.json`; see `targets.dynapcnn.samna.driver.Setup`."""
    network, chip = deployment.network, chips()[deployment.chip]
    cores = [
        _core(layer, load, chip.limit(f"neuron_words_{load.core}"))
        for layer in layers(network)
        for load in deployment.placement.of(layer.name)
    ]
    ticks = any(layer.leak_enable for layer in tree.cnn_layers.values())
    return {
        "chip": deployment.chip,
        "entries": {population.name: _entries(deployment, population) for population in network.inputs},
        "cores": cores,
        "outputs": [name for name in network.outputs if not network[name].is_input],
        "duration_us": steps * step_us,
        "slow_clock_hz": 1e6 / step_us if ticks else 0,
    }


def _core(layer: ChipLayer, load: CoreLoad, words: int) -> list[object]:
    """A core, its neurons a block of the layer's channels; see `targets.dynapcnn.samna.stream.Core`."""
    _, height, width = layer.output_shape
    pixels = height * width
    first = int(load.neurons.min()) // pixels
    return [load.core, layer.name, first, [len(load.neurons) // pixels, height, width], words]


def _entries(deployment: Deployment, source: Population) -> list[list[object]]:
    """Where the events of an input enter, in the order of the projections."""
    return [
        [load.core, list(each.pooling), each.feature_shift, list(layer.input_shape[1:])]
        for layer in layers(deployment.network)
        for each in layer.sources
        if each.population == source.name
        for load in deployment.placement.of(layer.name)
    ]


def input_map(network: Network, source: Population) -> Map:
    """Channels, height and width by which the events of an input are addressed."""
    first = [projection.synapses[0] for projection in network.out_of(source.name) if projection.synapses]
    reshaped = [each.shape for each in first if isinstance(each, Reshape)]
    return as_map(reshaped[0] if reshaped else source.shape)


def input_events(network: Network, spikes: Mapping[str, Array], pace: Pace) -> dict[str, list[Events]]:
    """The events of each input, sample by sample, in sinabs' order.

    Args:
        network: the network.
        spikes: by input, counts of events `[T, N, *shape]`.
        pace: when they are sent.
    """
    return {
        source.name: [
            pace.timed(raster_to_events(sample.reshape(len(sample), *input_map(network, source)), pace.step_us))
            for sample in np.moveaxis(spikes[source.name], 1, 0)
        ]
        for source in network.inputs
    }


def packed(samples: Mapping[str, list[Events]]) -> dict[str, Array]:
    """Samples as arrays of an `.npz` file: `NAME.events`, all in a row, and `NAME.ends`, where each sample ends."""
    arrays: dict[str, Array] = {}
    for name, parts in samples.items():
        arrays[f"{name}.events"] = np.concatenate([np.empty(0, EVENT), *parts])
        arrays[f"{name}.ends"] = np.cumsum([len(part) for part in parts], dtype=np.int64)
    return arrays


def unpacked(arrays: Mapping[str, Array], name: str) -> list[Events]:
    """The samples of one population; the reverse of `packed`."""
    events, ends = arrays[f"{name}.events"], arrays[f"{name}.ends"]
    starts = [0, *ends.tolist()][: len(ends)]
    return [events[start:end] for start, end in zip(starts, ends.tolist(), strict=True)]
