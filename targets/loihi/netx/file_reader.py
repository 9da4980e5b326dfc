"""Reading a `.net` file that is not trusted into records, as NetX's `NetDict` and `create_*` read it."""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from nmdeploy.bundle.plain_hdf5 import naming, opened_hdf5, place
from nmdeploy.errors import BundleError, ModelError
from nmdeploy.linear_maps import Array
from nmdeploy.synapses import Shape
from targets.loihi.netx.datasets import INT32_EDGE, NetDatasets
from targets.loihi.netx.schema import (
    CONV,
    DENSE,
    FLATTEN,
    INPUT,
    INTEGRATOR,
    LARGEST_KERNEL_STEP,
    LIF_TYPES,
    LONGEST_DELAY,
    RECURRENT,
    Arguments,
    LifSettings,
    NetFile,
    NetLayer,
)

MOST_LAYERS = 1000
"""More layers are taken for a damaged file."""

_KINDS = (INPUT, CONV, FLATTEN, DENSE, RECURRENT)


def read_file(path: Path, *, num_layers: int | None = None) -> NetFile:
    """The layers of a `.net` file; the file is data, nothing in it is run or followed.

    Args:
        path: of the file.
        num_layers: read only the first so many layers, as the argument of NetX; None for all.

    Raises:
        ModelError: naming file and layer, when it is missing, torn, foreign, or says
            something that NetX or Loihi's LIF cannot do.
    """
    try:
        with naming(path), opened_hdf5(path, "is no .net file: not an HDF5 file") as (file, size):
            return _NetReader(file, size, path).whole(num_layers)
    except BundleError as error:
        raise ModelError(
            error.what, where=error.where, found=error.found, limit=error.limit, hint=error.hint
        ) from error


class _NetReader(NetDatasets):
    """An open `.net` file."""

    def whole(self, num_layers: int | None) -> NetFile:
        if "layer" not in list(self._file):
            raise BundleError("is no .net file: an HDF5 file without the group 'layer'")
        layers = self.group(self._file, "layer")
        names = list(layers)
        if not 0 < len(names) <= MOST_LAYERS:
            raise BundleError("the number of layers is absurd", found=len(names), limit=f"1..{MOST_LAYERS}")
        missing = sorted({str(index) for index in range(len(names))} - set(names))
        if missing:
            raise BundleError("layers are numbered from 0 without gaps", where="/layer", found=f"no {missing[0]}")
        count = len(names) if num_layers is None else min(num_layers, len(names))
        found = tuple(self._layer(self.group(layers, str(index)), index) for index in range(count))
        return NetFile(found, self._arguments())

    def _arguments(self) -> Arguments:
        if "arguments" not in list(self._file):
            return Arguments()
        group = self.group(self._file, "arguments")
        known = [name for name in Arguments.__dataclass_fields__ if name in list(group)]
        return Arguments(**{name: self.whole_number(group, name, 0, INT32_EDGE - 1) for name in known})

    def _layer(self, group: Any, index: int) -> NetLayer:
        kind = self.text(group, "type")
        if kind not in _KINDS:
            hint = f"num_layers={index} reads the layers before it" if index else None
            limit = ", ".join(_KINDS)
            raise BundleError(
                "NetX cannot build this type of layer", where=group.name, found=kind, limit=limit, hint=hint
            )
        shape = self.shape(group) if "shape" in list(group) or kind in (CONV, DENSE, RECURRENT) else ()
        if kind == FLATTEN:
            return NetLayer(kind)
        neuron, remarks = self._neuron(group, kind)
        if kind == INPUT:
            return self._input(group, shape, neuron, remarks)
        build = self._convolution if kind == CONV else self._dense
        return build(group, kind, shape, neuron, remarks)

    def _input(self, group: Any, shape: Shape, neuron: LifSettings | None, remarks: list[str]) -> NetLayer:
        if neuron is None:
            return NetLayer(INPUT, shape, remarks=tuple(remarks))
        if not shape:
            raise BundleError("an input with neurons needs a shape", where=group.name)
        weight, bias = self._one(group, "weight", 64, remarks), self._one(group, "bias", 0, remarks)
        return NetLayer(INPUT, shape, neuron, weight, bias=bias, remarks=tuple(remarks))

    def _one(self, group: Any, name: str, default: int, remarks: list[str]) -> Array:
        """A single number, cut to an integer as NetX does."""
        if name not in list(group):
            return np.array(default)
        values = self.integers(group, name, remarks)
        if values.size != 1:
            raise BundleError("is one number", where=place(group, name), found=values.shape)
        return values.reshape(())

    def _convolution(
        self, group: Any, kind: str, shape: Shape, neuron: LifSettings | None, remarks: list[str]
    ) -> NetLayer:
        weight = self.integers(group, "weight", remarks)
        if weight.ndim < 4 or math.prod(weight.shape[4:]) != 1 or len(shape) != 3:
            limit = "weight (C_out, C_in/groups, kh, kw), shape (C, H, W)"
            raise BundleError("a convolution's sizes", where=group.name, found=(weight.shape, shape), limit=limit)
        return NetLayer(
            kind,
            shape,
            neuron,
            weight.reshape(weight.shape[:4]),
            bias=self._bias(group, ((shape[0],), shape[::-1]), remarks),
            stride=self.pair(group, "stride", 1),
            padding=self.pair(group, "padding", 0),
            dilation=self.pair(group, "dilation", 1),
            groups=self.whole_number(group, "groups", 1, LARGEST_KERNEL_STEP),
            remarks=tuple(remarks),
        )

    def _dense(self, group: Any, kind: str, shape: Shape, neuron: LifSettings | None, remarks: list[str]) -> NetLayer:
        outputs = math.prod(shape)
        weight = self._matrix(group, "weight", outputs, remarks)
        delay = self._delay(group, weight.shape, remarks)
        weight_rec = self._recurrent(group, outputs, delay, remarks) if kind == RECURRENT else None
        return NetLayer(
            kind,
            (outputs,),
            neuron or INTEGRATOR,
            weight,
            weight_rec,
            bias=self._bias(group, ((outputs,), (1,), ()), remarks),
            delay=delay,
            remarks=tuple(remarks),
        )

    def _recurrent(self, group: Any, outputs: int, delay: Array | None, remarks: list[str]) -> Array:
        weight = self._matrix(group, "weight_rec", outputs, remarks)
        where = place(group, "weight_rec")
        if weight.shape != (outputs, outputs):
            limit = (outputs, outputs)
            raise BundleError("the recurrent weights do not fit", where=where, found=weight.shape, limit=limit)
        if delay is not None:
            message = "delays of a recurrent layer: NetX loses the weight exponent there"
            raise BundleError(message, where=place(group, "delay"), hint="leave out the delays")
        return weight

    def _matrix(self, group: Any, name: str, outputs: int, remarks: list[str]) -> Array:
        weight = self.integers(group, name, remarks)
        if weight.ndim == 1 and weight.size and weight.size % outputs == 0:
            weight = weight.reshape(outputs, -1)
        if weight.ndim != 2 or len(weight) != outputs or not weight.size:
            limit = f"({outputs}, N_in)"
            raise BundleError(
                "the weights do not fit the shape", where=place(group, name), found=weight.shape, limit=limit
            )
        return weight

    def _delay(self, group: Any, shape: tuple[int, ...], remarks: list[str]) -> Array | None:
        if "delay" not in list(group):
            return None
        where = place(group, "delay")
        given = self.numbers(group, "delay")
        if given.size and given.max() > LONGEST_DELAY:
            remarks.append(f"{where}: delays up to {given.max():g} are clipped to {LONGEST_DELAY}, as NetX does")
            given = np.clip(given, 0, LONGEST_DELAY)
        delay: Array = given.astype(np.int64)
        if delay.size and delay.min() < 0:
            raise BundleError("a delay is negative", where=where, found=int(delay.min()), limit=f"0..{LONGEST_DELAY}")
        # NetX tries outputs first: in a square layer one delay a neuron is one an output.
        for form in ((), (shape[0],), (shape[1],), shape):
            if delay.shape == form:
                column = delay[:, np.newaxis] if form == (shape[0],) else delay
                return np.array(np.broadcast_to(column, shape))
        raise BundleError("the delays do not fit the weights", where=where, found=delay.shape, limit=shape)

    def _bias(self, group: Any, forms: Iterable[Shape], remarks: list[str]) -> Array | None:
        if "bias" not in list(group):
            return None
        bias = self.integers(group, "bias", remarks)
        if bias.shape not in forms:
            limit = " or ".join(str(form) for form in forms)
            raise BundleError(
                "the biases do not fit the shape", where=place(group, "bias"), found=bias.shape, limit=limit
            )
        return bias

    def _neuron(self, group: Any, kind: str) -> tuple[LifSettings | None, list[str]]:
        if "neuron" not in list(group):
            if kind == CONV:
                raise BundleError("NetX needs the neurons of a convolution", where=group.name)
            if kind == INPUT:
                return None, []
            return None, [f"{group.name}: no neurons stored; NetX gives it integrators with a threshold of 131072"]
        neuron = self.group(group, "neuron")
        names = list(neuron)
        form = self.text(neuron, "type")
        if form not in LIF_TYPES:
            raise BundleError("is no LIF neuron", where=neuron.name, found=form, limit=", ".join(LIF_TYPES))
        if "messageBits" in names and self.whole_number(neuron, "messageBits", 0, 32):
            raise BundleError("LIF neurons with graded spikes are not supported", where=place(neuron, "messageBits"))
        unused = {"refDelay": 1, "wgtExp": 0, "weight_exp": 0, "gradedSpike": 0}
        remarks = [
            f"{place(neuron, name)} is {value:g}, which NetX ignores"
            for name, usual in unused.items()
            if name in names and (value := float(self.numbers(neuron, name).sum())) != usual
        ]
        settings = LifSettings(
            self.whole_number(neuron, "iDecay", 0, 4097),
            self.whole_number(neuron, "vDecay", 0, 4096),
            self.whole_number(neuron, "vThMant", -INT32_EDGE, INT32_EDGE - 1),
        )
        return settings, remarks
