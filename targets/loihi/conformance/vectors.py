"""Reading recordings of Lava runs: one `.npz` file of many small nets.

A net `c000` is stored under keys `c000.meta` (JSON text), `c000.x` (input) and, for
layer J, `c000.lJ.weights`, `.bias_mant`, `.bias_exp`, optionally `.delays`, `.u0`,
`.v0`, and the recorded `.u`, `.v`, `.s`. Space is ordered (X, Y, C) as in Lava.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nmdeploy.data import read_npz
from nmdeploy.errors import DataError
from nmdeploy.linear_maps import Array
from targets.loihi.weights import SignMode

KINDS = ("dense", "sparse", "delay", "conv")
SIGN_MODES = ("auto", *(mode.value for mode in SignMode))
"""`auto` lets Lava guess."""
RECORDED = {"u": "u", "v": "v", "s": "spikes"}
"""Recorded arrays by key, in words."""

_SCALARS = {
    "sign_mode": "auto",
    "num_weight_bits": 8,
    "weight_exp": 0,
    "num_message_bits": 0,
    "flatten_in": False,
    "reset_interval": None,
    "reset_offset": 0,
}
_CONV_SCALARS = ("stride", "padding", "dilation", "groups")
_REQUIRED = ("weights", "bias_mant", "bias_exp", *RECORDED)


@dataclass(frozen=True)
class Layer:
    """One synapse layer and its neurons, as passed to Lava and as recorded.

    Attributes:
        scalars: kind, vth, du, dv and the other parameters by name.
        arrays: weights, biases, delays and initial states by key.
        recorded: u, v and s, `[T, *neuron shape]`.
    """

    scalars: Mapping[str, Any]
    arrays: Mapping[str, Array]
    recorded: Mapping[str, Array]

    def __getitem__(self, name: str) -> Any:
        return self.scalars[name]

    @property
    def shape(self) -> tuple[int, ...]:
        """The neurons' shape: (n,), or (X, Y, C)."""
        return self.recorded["v"].shape[1:]


@dataclass(frozen=True)
class Net:
    """One recorded net.

    Attributes:
        name: `c000`.
        inputs: what was sent, `[*input shape, T]`; column t acts on the first layer at step t + 1.
        layers: from input to output.
    """

    name: str
    inputs: Array
    layers: tuple[Layer, ...]


def read_nets(path: Path) -> list[Net]:
    """The nets of a recording, in the order of their names.

    Raises:
        DataError: for a file that is no such recording, naming the net and key at fault.
    """
    arrays = read_npz(path)
    names = sorted(key.removesuffix(".meta") for key in arrays if key.endswith(".meta"))
    if not names:
        listing = ", ".join(sorted(arrays)[:5]) or "no arrays"
        raise DataError("not a recording of Lava runs: no key ends in '.meta'", where=str(path), found=listing)
    return [_read_net(name, arrays, path) for name in names]


def _read_net(name: str, arrays: Mapping[str, Array], path: Path) -> Net:
    where = f"{path} {name}"
    meta = _read_meta(arrays[f"{name}.meta"], where)
    inputs = _integers(arrays, f"{name}.x", where)
    limit = f"T = {meta['T']}"
    if inputs.ndim not in (2, 4) or inputs.shape[-1] != meta["T"]:
        raise DataError("the input is [n, T] or [X, Y, C, T]", where=where, found=inputs.shape, limit=limit)
    layers = tuple(
        _read_layer(scalars, f"{name}.l{index}", arrays, meta["T"], where)
        for index, scalars in enumerate(meta["layers"])
    )
    return Net(name, inputs, layers)


def _read_meta(text: Array, where: str) -> dict[str, Any]:
    try:
        meta = json.loads(str(text))
    except json.JSONDecodeError as error:
        raise DataError(f"the net's description is no JSON ({error})", where=where) from error
    whole = isinstance(meta, dict) and isinstance(meta.get("T"), int) and isinstance(meta.get("layers"), list)
    if not whole or not meta["layers"] or not all(isinstance(layer, dict) for layer in meta["layers"]):
        raise DataError("the net's description needs T and a list of layers", where=where, found=str(text)[:80])
    return dict(meta)


def _read_layer(entry: Mapping[str, Any], prefix: str, arrays: Mapping[str, Array], steps: int, where: str) -> Layer:
    kind = entry.get("kind")
    if kind not in KINDS:
        raise DataError("unknown kind of layer", where=where, found=repr(kind), limit=", ".join(KINDS))
    names = ("kind", "vth", "du", "dv", *(_CONV_SCALARS if kind == "conv" else ()))
    missing = [name for name in names if name not in entry]
    if missing:
        raise DataError(f"{prefix} has no {missing[0]!r}", where=where)
    _check_scalars({**_SCALARS, **entry}, prefix, where)
    keys = [*_REQUIRED, *(("delays",) if kind == "delay" else ())]
    found = {key: _integers(arrays, f"{prefix}.{key}", where) for key in keys}
    found |= {key: _integers(arrays, f"{prefix}.{key}", where) for key in ("u0", "v0") if f"{prefix}.{key}" in arrays}
    recorded = {key: found.pop(key) for key in RECORDED}
    layer = Layer({**_SCALARS, **entry}, found, recorded)
    _check_shapes(layer, prefix, steps, where)
    return layer


def _check_scalars(scalars: Mapping[str, Any], prefix: str, where: str) -> None:
    for name, value in scalars.items():
        if name in ("vth", "du", "dv", "groups", *_SCALARS) and name != "sign_mode":
            legal = isinstance(value, int) or (name == "reset_interval" and value is None)
        elif name in ("stride", "padding", "dilation"):
            legal = isinstance(value, list) and len(value) == 2 and all(isinstance(part, int) for part in value)
        else:
            legal = name != "sign_mode" or value in SIGN_MODES
        if not legal:
            raise DataError(f"{prefix}: {name} cannot be used", where=where, found=repr(value))


def _check_shapes(layer: Layer, prefix: str, steps: int, where: str) -> None:
    for key, array in layer.recorded.items():
        if array.shape != (steps, *layer.shape):
            raise DataError(f"{prefix}.{key} is not [T, neurons]", where=where, found=array.shape, limit=steps)
    per_neuron = [key for key in layer.arrays if key not in ("weights", "delays")]
    for key in per_neuron:
        if math.prod(layer.arrays[key].shape) != math.prod(layer.shape):
            found, limit = layer.arrays[key].shape, layer.shape
            raise DataError(f"{prefix}.{key} is not one value a neuron", where=where, found=found, limit=limit)
    axes = 4 if layer["kind"] == "conv" else 2
    if layer.arrays["weights"].ndim != axes:
        raise DataError(f"{prefix}.weights has {axes} axes", where=where, found=layer.arrays["weights"].shape)
    if "delays" in layer.arrays and layer.arrays["delays"].shape != layer.arrays["weights"].shape:
        raise DataError(f"{prefix}.delays is shaped like the weights", where=where, found=layer.arrays["delays"].shape)


def _integers(arrays: Mapping[str, Array], key: str, where: str) -> Array:
    if key not in arrays:
        raise DataError(f"the recording has no {key!r}", where=where)
    if arrays[key].dtype.kind not in "iub":
        raise DataError(f"{key} holds no integers", where=where, found=arrays[key].dtype)
    return arrays[key]
