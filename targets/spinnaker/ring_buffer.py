"""Synaptic input on its way into a neuron: 16-bit weights, ring buffers that saturate, shifts, delays.

A core adds weights to one 16-bit buffer for each neuron, sign and step; excitation and inhibition have
buffers of their own. Each addition saturates at 65535, and as all of them are of the same sign, the order of
packets does not matter: the buffer ends at min(sum, 65535). What is read is shifted left, by one shift for each
sign, into an accum. From sPyNNaker 7.4.1: `PopulationVertex.get_ring_buffer_shifts`, `SynapseDynamicsStatic`,
`ConvolutionConnector`, and the neuron binaries.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmdeploy.errors import QuantizationError, UsageError
from quantize import IntegerFormat, OutOfRange, Rounding, round_to_integer
from targets.spinnaker.fixed_point import FRACTION_BITS, Integers, Operand, wrap

RING = IntegerFormat(16, signed=False)
"""What a ring buffer holds, and the magnitude of a weight in a synaptic row."""
SHARED_KERNEL = IntegerFormat(16)
"""A weight of a convolution kernel or pool-dense matrix, sign included."""
LARGEST_SHIFT = 31


def saturated(sums: Operand) -> Integers:
    """What the buffers hold after a step whose weights of one sign add up to `sums` >= 0."""
    return np.asarray(np.minimum(sums, RING.maximum), dtype=np.int64)


def into_accum(sums: Operand, shift: Operand) -> Integers:
    """What the neuron reads from buffers that received `sums`: min(sums, 65535) << shift, in 32 bits."""
    held = saturated(sums)
    return held if np.ndim(shift) == 0 and shift == 0 else wrap(np.left_shift(held, shift))


def ring_shift(largest_sum: float) -> int:
    """The shift that sPyNNaker chooses for a `max_expected_summed_weight`: the least s with 2**s above it.

    Args:
        largest_sum: sum of weights of one sign in one step, in PyNN's units.
    """
    if largest_sum <= 0:
        return 0
    power = math.ceil(max(0.0, math.log2(largest_sum)))
    return power + 1 if 2**power <= largest_sum else power


def largest_expected_sum(shift: int) -> float:
    """A `max_expected_summed_weight` that makes sPyNNaker choose `shift`: 0.75 * 2**shift."""
    return 0.75 * 2.0**shift


def weight_unit(shift: int) -> float:
    """PyNN's weight for one unit of a ring buffer: 2**(shift - 15)."""
    return 2.0 ** (shift - FRACTION_BITS)


def row_weights(weights: NDArray[np.floating[Any]], shift: int) -> Integers:
    """Magnitudes of PyNN weights as synaptic rows hold them: rint(|w| * 2**(15 - shift)), half to even.

    Args:
        weights: of any shape; the sign only chooses the buffer.
        shift: of that buffer.

    Raises:
        QuantizationError: above 65535, where sPyNNaker would keep the low 16 bits without a word.
    """
    return _stored(np.abs(weights), shift, RING, "a synaptic row")


def kernel_weights(weights: NDArray[np.floating[Any]], shift: int) -> Integers:
    """PyNN weights as kernels and pool-dense matrices hold them: rint(w * 2**(15 - shift)), half to even.

    Raises:
        QuantizationError: beyond 16 bits with sign, where sPyNNaker would wrap without a word.
    """
    return _stored(weights, shift, SHARED_KERNEL, "a shared kernel")


def _stored(values: NDArray[Any], shift: int, form: IntegerFormat, where: str) -> Integers:
    scaled = np.asarray(values, dtype=np.float64) / weight_unit(shift)
    try:
        return np.asarray(form.apply(round_to_integer(scaled, Rounding.HALF_EVEN)), dtype=np.int64)
    except OutOfRange as error:
        raise QuantizationError(
            "weight does not fit",
            where=where,
            found=error.found,
            limit=f"{form.minimum}..{form.maximum}",
            hint="use smaller weights or a larger ring-buffer shift",
        ) from error


def delay_steps(milliseconds: float, time_step: float = 1.0) -> int:
    """Steps from a spike to its arrival: rint(milliseconds / time_step), half to even, and at least 1.

    Args:
        milliseconds: PyNN's delay.
        time_step: in milliseconds.

    Raises:
        UsageError: for a delay that rounds to less than one step.
    """
    steps = int(np.rint(milliseconds / time_step))
    if steps < 1:
        raise UsageError("a spike takes at least one step", where="delay", found=f"{milliseconds} ms", limit=time_step)
    return steps
