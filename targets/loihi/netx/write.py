"""Writing a lowered network as a `.net` file."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from nmdeploy.bundle.atomic import write_replacing
from nmdeploy.bundle.hdf5_writer import in_memory
from nmdeploy.linear_maps import Array
from nmdeploy.network import Network
from quantize import smallest_dtype
from targets.loihi.netx.from_network import layers_of
from targets.loihi.netx.schema import CONV, DENSE, RECURRENT, Arguments, LifSettings, NetFile, NetLayer


def write_net(network: Network, path: str | os.PathLike[str]) -> Arguments:
    """Write `network` as a `.net` file, all or nothing; the same network gives the same bytes.

    Args:
        network: lowered to Loihi, a chain of populations.
        path: of the file, by custom `*.net`; an existing file is replaced.

    Returns:
        What lava-dl's `netx.hdf5.Network` has to be given beside the file.

    Raises:
        FitError: with everything that a `.net` file cannot say (`LOI301` and on).
        BundleError: when the file cannot be written.
    """
    file = layers_of(network)
    write_replacing(Path(path), image_of(file))
    return file.arguments


def image_of(file: NetFile) -> bytes:
    """The bytes of a `.net` file."""
    with in_memory() as (hdf5, image):
        layers = hdf5.create_group("layer")
        for index, layer in enumerate(file.layers):
            _add_layer(layers.create_group(str(index)), layer)
        if file.arguments.given():
            group = hdf5.create_group("arguments")
            for name, value in sorted(file.arguments.given().items()):
                _add(group, name, value)
        return image()


def _add_layer(group: Any, layer: NetLayer) -> None:
    _add(group, "type", np.array([layer.kind.encode("ascii")], dtype="S10"))
    _add(group, "shape", np.array(layer.shape))
    if layer.kind in (DENSE, RECURRENT) and layer.weight is not None:
        _add(group, "inFeatures", layer.weight.shape[1])
        _add(group, "outFeatures", layer.weight.shape[0])
    if layer.kind == CONV and layer.weight is not None:
        _add_geometry(group, layer)
    for name in ("weight", "weight_rec", "bias", "delay"):
        values: Array | None = getattr(layer, name)
        if values is not None:
            _add(group, name, values.astype(smallest_dtype(int(values.min()), int(values.max()))))
    if layer.neuron is not None:
        _add_neuron(group.create_group("neuron"), layer.neuron)


def _add_geometry(group: Any, layer: NetLayer) -> None:
    weight = np.asarray(layer.weight)
    _add(group, "inChannels", weight.shape[1] * layer.groups)
    _add(group, "outChannels", weight.shape[0])
    _add(group, "kernelSize", np.array(weight.shape[2:]))
    _add(group, "groups", layer.groups)
    for name in ("stride", "padding", "dilation"):
        _add(group, name, np.array(getattr(layer, name)))


def _add_neuron(group: Any, neuron: LifSettings) -> None:
    _add(group, "type", np.bytes_(b"CUBA"))
    _add(group, "iDecay", neuron.i_decay)
    _add(group, "vDecay", neuron.v_decay)
    _add(group, "vThMant", neuron.v_th_mant)
    _add(group, "refDelay", 1)
    _add(group, "gradedSpike", False)


def _add(group: Any, name: str, content: Any) -> None:
    group.create_dataset(name, data=np.asarray(content), track_times=False)
