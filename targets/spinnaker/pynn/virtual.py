"""Maps a generated script's network on sPyNNaker's virtual board and writes down what came out; nothing runs.

Reads sPyNNaker 7.4.1's own records after `run`: placements, routing tables and keys, and
where the data specification lies that would have been loaded (`ds.sqlite3`).
"""

from __future__ import annotations

import json
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from .driver import Network, start_recording


def map_network(network: Network, steps: int, out: Path) -> None:
    """Map one sample's network.

    Args:
        network: of the script.
        steps: of a sample; recordings take memory for each.
        out: a JSON file: `version`, `data` (the path of `ds.sqlite3`), `boards`, `system_cores`, `routes`
            (entries of the routing table of each chip), `cores` and `populations`, see `cores` and `populations`.
    """
    sim = network.sim
    network.chip.setup(sim)
    # Every input spikes once: sources then need the memory for a step in which all of them do.
    spikes = {name: np.ones((1, *shape), dtype=np.uint8) for name, shape in network.inputs.items()}
    neurons = network.build(sim, spikes)
    start_recording(neurons, network.outputs, set(network.outputs))
    sim.run(float(steps + 1))
    out.write_text(json.dumps(mapping(neurons)), encoding="utf-8")
    sim.end()


def mapping(neurons: Any) -> dict[str, Any]:
    """What sPyNNaker made of the network, as JSON takes it."""
    from spynnaker.pyNN.data import SpynnakerDataView as View

    placed = list(View.iterate_placemements())
    machine = View.get_machine()
    used = {(each.x, each.y) for each in placed if each.vertex.app_vertex is not None}
    return {
        "version": version("sPyNNaker"),
        "data": str(Path(View.get_run_dir_path()) / "ds.sqlite3"),
        "boards": len(machine.ethernet_connected_chips),
        "chips": len(used),
        "system_cores": sum(each.vertex.app_vertex is None for each in placed),
        "routes": [table.number_of_entries for table in View.get_uncompressed().routing_tables],
        "cores": [core(each) for each in placed if each.vertex.app_vertex is not None],
        "populations": {part.label: population(part) for parts in neurons.values() for part in parts},
    }


def core(placement: Any) -> dict[str, Any]:
    """A core of the application: place, population, its neurons in their order on the core, program, memory, key.

    Memory is the SDRAM that is taken before the run; of a source, with a step in which all of it spikes.
    """
    from spynnaker.pyNN import model_binaries
    from spynnaker.pyNN.data import SpynnakerDataView as View

    vertex, binary = placement.vertex, placement.vertex.get_binary_file_name()
    # Programs of sources come with another package of sPyNNaker.
    is_source = type(vertex.app_vertex).__name__ == "SpikeSourceArrayVertex"
    program = Path(model_binaries.__file__).parent / binary
    keys = [each for each in View.get_routing_infos() if each.vertex is vertex]
    return {
        "x": placement.x,
        "y": placement.y,
        "p": placement.p,
        "label": vertex.app_vertex.label,
        "neurons": [int(index) for index in vertex.vertex_slice.get_raster_ids()],
        "binary": binary,
        "binary_exists": program.exists() or is_source,
        "sdram": int(vertex.sdram_required.get_total_sdram(0)),
        "key": int(keys[0].key) if keys else None,
    }


def population(part: Any) -> dict[str, Any]:
    """Shifts of the ring buffers, weights of one, steps of delay in the ring buffers."""
    vertex = part._vertex
    shifts = vertex.get_ring_buffer_shifts()
    return {
        "shifts": [int(shift) for shift in shifts],
        "scales": [float(scale) for scale in vertex.get_weight_scales(shifts)],
        "slots": int(vertex.splitter.max_support_delay()),
    }
