"""What a lava-dl NetX `.net` file says, as records.

A `.net` file is HDF5: a group `layer` of groups `0`, `1`, ..., one after the other from
input to output. Sources: lava-dl 0.6.0, `lava/lib/dl/netx/hdf5.py` (`Network`, which
reads it), `netx/utils.py` (`NetDict`) and `slayer/block/base.py` (`export_hdf5`, which
writes it). Space is stored as (C, H, W); NetX turns it into Lava's (W, H, C).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from nmdeploy.linear_maps import Array
from nmdeploy.synapses import Shape

INPUT, CONV, FLATTEN, DENSE, RECURRENT = "input", "conv", "flatten", "dense", "dense_rec"

LIF_TYPES = ("LOIHI", "CUBA")
"""Neuron types that NetX builds as Lava's LIF."""

BIAS_EXPONENT = 6
"""NetX gives every LIF this bias exponent, so a bias counts weight units."""

LONGEST_DELAY = 62
"""NetX clips synaptic delays to 0..62 steps."""

LARGEST_KERNEL_STEP = 127
"""Lava's Conv keeps stride, padding and dilation as int8."""


@dataclass(frozen=True)
class LifSettings:
    """The LIF neurons of a layer, as stored under `neuron`.

    Attributes:
        i_decay: Lava's du + 1; 4096 forgets the current within the step.
        v_decay: Lava's dv.
        v_th_mant: Lava's vth, in weight units.
    """

    i_decay: int
    v_decay: int
    v_th_mant: int


INTEGRATOR = LifSettings(0, 4096, 1 << 17)
"""What NetX gives a dense layer without `neuron` (its `1 << 18 - 1` is 2**17): u sums up, v follows u."""


@dataclass(frozen=True, eq=False)
class NetLayer:
    """One layer of a file.

    Attributes:
        kind: `input`, `conv`, `flatten`, `dense` or `dense_rec`.
        shape: (C, H, W) or (N,), of the output; () when not stored.
        neuron: None for an input that is spikes, and for `flatten`.
        weight: int64; conv `[C_out, C_in/groups, kh, kw]` as in PyTorch, dense `[N_out, N_in]`,
            an input's single number.
        weight_rec: int64 `[N_out, N_out]`, of `dense_rec`.
        bias: int64, weight units: `[C_out]`, `[W, H, C]` (in this order), `[N_out]` or one number;
            None for no bias.
        delay: int64 `[N_out, N_in]`, steps beyond the layer's own one; None for no delays.
        stride, padding, dilation: (vertical, horizontal), of `conv`.
        groups: of `conv`.
        remarks: what the file says that NetX does not do, one sentence each.
    """

    kind: str
    shape: Shape = ()
    neuron: LifSettings | None = None
    weight: Array | None = None
    weight_rec: Array | None = None
    bias: Array | None = None
    delay: Array | None = None
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int] = (0, 0)
    dilation: tuple[int, int] = (1, 1)
    groups: int = 1
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True)
class Arguments:
    """What NetX wants to be told beside the file, as keyword arguments of its `Network`.

    nmdeploy also stores them in the file, in a group `arguments` that NetX ignores.

    Attributes:
        reset_interval: steps between two clearings of u and v; None for none.
        reset_offset: phase of the clearing in the first layer, counted from 0; each
            following layer clears one step later.
        input_message_bits: bits of a graded input spike; 0 for binary spikes.
    """

    reset_interval: int | None = None
    reset_offset: int = 0
    input_message_bits: int = 0

    def given(self) -> Mapping[str, int]:
        """Those that differ from NetX's defaults."""
        values = {
            "reset_interval": self.reset_interval,
            "reset_offset": self.reset_offset,
            "input_message_bits": self.input_message_bits,
        }
        return {name: value for name, value in values.items() if value}


@dataclass(frozen=True, eq=False)
class NetFile:
    """A whole file.

    Attributes:
        layers: from input to output.
        arguments: as stored by nmdeploy; NetX's defaults in other files.
    """

    layers: tuple[NetLayer, ...]
    arguments: Arguments = field(default_factory=Arguments)
