"""The integers that a network becomes for SpiNNaker, and what keeps them exact.

One weight unit is one unit of a ring buffer: 1/32768 at shift 0 under `IF_trunc_delta`, whose v_thresh has to be
1.0; under `IF_curr_exp` shift 4 makes up for the sixteenth that its input keeps. A neuron's effective threshold
is then `v_thresh - v_reset`, any integer, since `v_reset` is free and may differ from neuron to neuron. So is
the resistance, but any other than 1 would only scale what `v_reset` scales without rounding.

A ring buffer holds 65535 units for each sign. Scales are widened until no step can bring more, whatever spikes:
then nothing saturates, and every integer is exact.
"""

from __future__ import annotations

from nmdeploy.convert.exact.rules import FlooredPotential
from nmdeploy.target import Chip, Precision
from quantize import IntegerFormat, MantissaExponentFormat
from targets.spinnaker.ring_buffer import RING, SHARED_KERNEL

LEAKLESS_BITS = 14
"""`IF_curr_exp` with tau_m = 32768 ms leaks floor((v - v_rest) / 2**14) a step: nothing within so many bits."""

ROWS = Precision(
    # A magnitude of 65536 cannot occur, since it is beyond the sum of one step.
    weights=IntegerFormat(RING.bits + 1),
    # v_reset = 32768 - threshold, and no sum of one step may wrap below it.
    threshold=IntegerFormat(30, signed=False),
    bias=IntegerFormat(30),
    per_channel=True,
    resets=("zero",),
    graded_input=1,
    step_sum=RING.maximum,
)
"""Every layer on `IF_trunc_delta`."""

KERNELS = Precision(
    weights=SHARED_KERNEL,
    threshold=IntegerFormat(LEAKLESS_BITS, signed=False),
    # Input times 2**14, the resistance, has to stay below 2**31.
    bias=IntegerFormat(17),
    per_channel=True,
    resets=("zero",),
    graded_input=1,
    step_sum=RING.maximum,
)
"""Layers on `IF_curr_exp` where it can be."""

EXACT = FlooredPotential(
    weights=IntegerFormat(8),
    control=MantissaExponentFormat(RING.bits, 1),
    step_sum=RING.maximum,
    # A read-out starts 2**30 units from either end; half of them are left alone.
    read_out=1 << 29,
    # A neuron's spike and the drive bring a whole threshold in one step.
    highest=RING.maximum,
)
"""Exact mode, on `IF_trunc_delta`; weights of 8 bits, so that sums of wide layers fit the 16 bits of a step."""


def precision(chip: Chip, profile: str = "chip") -> Precision:
    """The integers of a profile: `chip` or `conv`, the same on every board."""
    return KERNELS if profile == "conv" else ROWS
