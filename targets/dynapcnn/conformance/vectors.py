"""Reading recordings of sinabs: a configuration `<net>.config.json` beside the simulation `<net>.npz`.

The JSON file holds what sinabs' builder wrote (`cnn_layers` by core, `dvs_layer`), `layer2core_map` and
`destination_map` by layer, and the pooling factor `rescale_weights` of each layer. The other file holds
the input `[T, C, H, W]`, the float parameters before conversion (`raw.<module>.weight`, in the order of
the layers), thresholds and initial states (`float.L<layer>.*`), the integers that sinabs made
(`disc.L<layer>.*`), and its simulation of them: `disc_spikes.L<layer>` `[T, f, h, w]` before pooling, and
`disc_vmem_final.L<layer>`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nmdeploy.data import read_npz
from nmdeploy.errors import DataError
from nmdeploy.linear_maps import Array
from targets.dynapcnn.configuration.json_form import from_plain, read_plain
from targets.dynapcnn.configuration.tree import Configuration

SUFFIX = ".config.json"
_UNWRITTEN_CORE = (
    "leak_internal_slow_clk_enable",
    "input_congestion_balancer_enable",
    "output_decimator_enable",
    "output_decimator_interval",
)
_UNWRITTEN_SENSOR = ("raw_monitor_enable", "on_channel", "off_channel")


@dataclass(frozen=True)
class Recording:
    """One recorded net.

    Attributes:
        name: of the net.
        device: it was configured for, as sinabs names it (`speck2fdevkit`).
        cores: core of each layer.
        destinations: layers that each layer feeds, in order; negative ones are outputs. Key `dvs` is the sensor.
        rescale: factor that average pooling puts into each layer's weights.
        configuration: the fields that sinabs wrote.
        arrays: of the `.npz` file.
    """

    name: str
    device: str
    cores: Mapping[int, int]
    destinations: Mapping[str, tuple[int, ...]]
    rescale: Mapping[int, float]
    configuration: Configuration
    arrays: Mapping[str, Array]

    def __getitem__(self, key: str) -> Array:
        if key not in self.arrays:
            raise DataError(f"the recording has no {key!r}", where=self.name)
        return self.arrays[key]


def read_recording(path: Path) -> Recording:
    """The net of a `.config.json` file and the `.npz` file beside it.

    Raises:
        DataError: for files that are no such recording.
    """
    data = read_plain(path)
    name = path.name.removesuffix(SUFFIX)
    try:
        cores = {int(layer): int(core) for layer, core in data["layer2core_map"].items()}
        destinations = {layer: tuple(map(int, found)) for layer, found in data["destination_map"].items()}
        rescale = {int(layer): float(factor) for layer, factor in data["rescale_weights"].items()}
        device = str(data["device"])
        tree = {
            "chip": device,
            "dvs_layer": _sensor(data["dvs_layer"], "dvs" in destinations),
            "cnn_layers": {core: _core(layer) for core, layer in data["cnn_layers"].items()},
        }
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DataError(f"not a recording of sinabs ({error!r})", where=str(path)) from error
    if set(cores) != set(rescale):
        raise DataError("layers differ between its tables", where=str(path), found=sorted(rescale), limit=sorted(cores))
    arrays = read_npz(path.with_name(name + ".npz"))
    return Recording(name, device, cores, destinations, rescale, from_plain(tree, str(path)), arrays)


def _core(recorded: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a core that sinabs writes: the recorder's defaults of the others are no word of the vendor's."""
    kept = {name: value for name, value in recorded.items() if name not in _UNWRITTEN_CORE}
    names = ("layer", "enable", "pooling")
    kept["destinations"] = [{key: each[key] for key in names} for each in recorded["destinations"] if each["enable"]]
    return kept


def _sensor(recorded: Mapping[str, Any], used: bool) -> dict[str, Any]:
    if not used:
        return {"pass_sensor_events": recorded["pass_sensor_events"]}
    kept = {name: value for name, value in recorded.items() if name not in _UNWRITTEN_SENSOR}
    kept["destinations"] = [each for each in recorded["destinations"] if each["enable"]]
    if not kept.pop("monitor_enable"):
        return kept
    return {**kept, "monitor_enable": True}
