"""Builds nets with sinabs on the stand-in for samna and records what it makes of them.

Run in a process of its own: `python sinabs_driver.py FOLDER`, with the stand-in on PYTHONPATH. FOLDER
holds `specs.json` (see `test_live_sinabs.py`) and `parameters.npz`. For every net that sinabs takes, a
recording is written as `nmdeploy conformance dynapcnn` reads it; `outcomes.json` tells of all.
"""

import contextlib
import io
import json
import sys
from pathlib import Path

import numpy as np
import torch
from sinabs import layers as sl
from sinabs.activation import MembraneReset, MembraneSubtract, MultiSpike, SingleSpike
from sinabs.backend.dynapcnn import DynapcnnNetwork
from torch import nn

DEVICE = "speck2fdevkit"


class Net(nn.Module):
    """The net of a spec; `sources` name layers, -1 is the input."""

    def __init__(self, spec, parameters):
        super().__init__()
        self.spec = spec
        for index, layer in enumerate(spec["layers"]):
            prefix = f"{spec['name']}.{index}."
            arrays = {key.removeprefix(prefix): value for key, value in parameters.items() if key.startswith(prefix)}
            setattr(self, f"weight{index}", weighted(layer, arrays))
            setattr(self, f"spike{index}", spiking(layer, arrays))
            setattr(self, f"merge{index}", sl.Merge())
            if layer["kind"] == "dense":
                setattr(self, f"flatten{index}", nn.Flatten())
            for number, source in enumerate(layer["sources"]):
                for place, (kind, size, stride) in enumerate(source["pools"]):
                    pool = nn.AvgPool2d(size, stride) if kind == "avg" else sl.SumPool2d(size, stride)
                    setattr(self, f"pool{index}_{number}_{place}", pool)

    def forward(self, x):
        made = {-1: x}
        for index, layer in enumerate(self.spec["layers"]):
            arriving = []
            for number, source in enumerate(layer["sources"]):
                value = made[source["layer"]]
                for place in range(len(source["pools"])):
                    value = getattr(self, f"pool{index}_{number}_{place}")(value)
                arriving.append(value)
            value = arriving[0] if len(arriving) == 1 else getattr(self, f"merge{index}")(*arriving)
            if layer["kind"] == "dense" and value.ndim == 4:
                value = getattr(self, f"flatten{index}")(value)
            made[index] = getattr(self, f"spike{index}")(getattr(self, f"weight{index}")(value))
        read = {source["layer"] for layer in self.spec["layers"] for source in layer["sources"]}
        return tuple(made[index] for index in range(len(self.spec["layers"])) if index not in read)


def weighted(layer, arrays):
    weight = torch.from_numpy(arrays["weight"])
    if layer["kind"] == "dense":
        module = nn.Linear(weight.shape[1], weight.shape[0], bias="bias" in arrays)
    else:
        geometry = {key: tuple(layer[key]) for key in ("stride", "padding")}
        module = nn.Conv2d(
            weight.shape[1] * layer["groups"],
            weight.shape[0],
            tuple(weight.shape[2:]),
            bias="bias" in arrays,
            groups=layer["groups"],
            **geometry,
        )
    module.weight.data = weight
    if "bias" in arrays:
        module.bias.data = torch.from_numpy(arrays["bias"])
    return module


def spiking(layer, arrays):
    module = sl.IAFSqueeze(
        batch_size=1,
        spike_threshold=torch.tensor(layer["threshold"]),
        min_v_mem=None if layer["min_v_mem"] is None else torch.tensor(layer["min_v_mem"]),
        spike_fn=MultiSpike if layer["multi"] else SingleSpike,
        reset_fn=MembraneReset() if layer["reset"] == "zero" else MembraneSubtract(),
    )
    if "v_mem" in arrays:
        state = torch.from_numpy(arrays["v_mem"])
        module.init_state_with_shape(state.shape)
        module.v_mem.data = state
    return module


def record(spec, parameters):
    """The recording of one net: JSON content and arrays."""
    with contextlib.redirect_stdout(io.StringIO()):
        plain = DynapcnnNetwork(Net(spec, parameters), tuple(spec["input"]), batch_size=1, discretize=False)
        net = DynapcnnNetwork(Net(spec, parameters), tuple(spec["input"]), batch_size=1)
        configuration, _ = net._make_config(device=DEVICE)
    arrays = {"input": parameters[f"{spec['name']}.input"]}
    for name, each in (("float", plain), ("disc", net)):
        for index, layer in each.dynapcnn_layers.items():
            arrays |= {f"{name}.L{index}.{key}": value for key, value in state_of(layer, name == "disc").items()}
    arrays |= simulate(net, arrays["input"])
    indices = {index: place_of(layer, spec, parameters) for index, layer in plain.dynapcnn_layers.items()}
    for index, place in indices.items():
        for what in ("weight", "bias"):
            if f"{spec['name']}.{place}.{what}" in parameters:
                arrays[f"raw.{index}.{what}"] = parameters[f"{spec['name']}.{place}.{what}"]
    cores = {str(index): core for index, core in net.layer2core_map.items()}
    tree = json.loads(configuration.to_json())
    return {
        "device": DEVICE,
        "layer2core_map": cores,
        "destination_map": {str(index): list(found) for index, found in net.layer_destination_map.items()},
        "rescale_weights": {str(index): float(each.rescale_weights) for index, each in net.dynapcnn_layers.items()},
        "spec_index": {str(index): place for index, place in indices.items()},
        "cnn_layers": {str(core): tree["cnn_layers"][core] for core in cores.values()},
        "dvs_layer": tree["dvs_layer"],
    }, arrays


def place_of(layer, spec, parameters):
    """The spec's layer that became this one, told by its weights."""
    for place in range(len(spec["layers"])):
        weight = parameters[f"{spec['name']}.{place}.weight"]
        scaled = torch.from_numpy(weight) * layer.rescale_weights
        if weight.size == layer.conv_layer.weight.numel() and torch.equal(
            scaled.reshape(layer.conv_layer.weight.shape), layer.conv_layer.weight
        ):
            return place
    raise RuntimeError("a layer of sinabs' is none of the spec's")


def state_of(layer, discretized):
    """Parameters of a layer, integers where it is discretized."""
    values = {"weight": layer.conv_layer.weight, "threshold": layer.spk_layer.spike_threshold}
    if layer.conv_layer.bias is not None:
        values["bias"] = layer.conv_layer.bias
    if layer.spk_layer.min_v_mem is not None:
        values["min_v_mem"] = layer.spk_layer.min_v_mem
    if layer.spk_layer.is_state_initialised():
        values["v_mem"] = layer.spk_layer.v_mem
    arrays = {name: value.detach().numpy().copy() for name, value in values.items()}
    return {name: value.astype(np.int32) for name, value in arrays.items()} if discretized else arrays


def simulate(net, raster):
    """Spikes before pooling and final potentials of sinabs' own simulation, of integers held exactly by float32."""
    spikes = {}
    for index, layer in net.dynapcnn_layers.items():
        layer.spk_layer.register_forward_hook(lambda _m, _i, out, index=index: spikes.__setitem__(index, out))
    with torch.no_grad():
        net(torch.from_numpy(raster.astype(np.float32)), return_complete=True)
    arrays = {}
    for index, layer in net.dynapcnn_layers.items():
        state = layer.spk_layer.v_mem[0].numpy()
        if np.abs(state).max() >= 2**23:
            raise RuntimeError("the simulation left the integers that float32 holds")
        arrays[f"disc_spikes.L{index}"] = spikes[index].numpy().astype(np.uint16)
        arrays[f"disc_vmem_final.L{index}"] = state.astype(np.int32)
    return arrays


def main(folder):
    specs = json.loads((folder / "specs.json").read_text())
    with np.load(folder / "parameters.npz", allow_pickle=False) as file:
        parameters = dict(file)
    outcomes = {}
    for spec in specs:
        try:
            content, arrays = record(spec, parameters)
        except Exception as error:  # noqa: BLE001  whatever it is, it is what sinabs says
            outcomes[spec["name"]] = f"{type(error).__name__}: {error}"
            continue
        outcomes[spec["name"]] = None
        (folder / f"{spec['name']}.config.json").write_text(json.dumps(content))
        np.savez(folder / f"{spec['name']}.npz", **arrays)
    (folder / "outcomes.json").write_text(json.dumps(outcomes))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
