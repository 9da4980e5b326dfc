"""How NetX and Lava turn a layer's integers into the weights in use.

Sources: lava-dl 0.6.0, `netx/utils.py`, `optimize_weight_bits`; then Lava's own path,
see `targets.loihi.weights`. NetX shifts a dense layer's weights left to fill the
synapse and undoes it by the weight exponent; its sign mode is dropped and Lava guesses
again, differently for a layer whose largest weight is 0. Convolutions are left alone.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from nmdeploy.linear_maps import Array
from quantize import smallest_dtype
from targets.loihi.weights import STORED_BITS, SignMode, sign_mode_of, stored_weights

MIXED_RANGE = (-256, 254)
"""NetX clips weights of both signs to it when they leave it at either end."""

_ALL_ZERO = "all weights are 0; NetX divides by the largest (OverflowError in optimize_weight_bits)"
_NEGATIVE_SHIFT = (
    "a weight beyond 8 bits in a layer of one sign; NetX shifts by a negative number, all weights become 0"
)
_TOO_MANY_BITS = "odd weights, none above 0, some 0, the least below -128: NetX asks for 9 bits, all weights become 0"


class UnusableWeights(ValueError):
    """Integers that NetX cannot load, or turns into nothing; the message says why."""


@dataclass(frozen=True, eq=False)
class WeightsInUse:
    """The weights of one dense layer as Lava uses them.

    Attributes:
        stored: what the synapses hold, same shape as given, of the smallest integer type.
        exponent: power of two applied to the sum, 0 or below.
    """

    stored: Array
    exponent: int

    def keeps(self, weight: Array) -> bool:
        """Whether every synapse holds exactly weight * 2**-exponent, so that a spike counts `weight`."""
        return np.array_equal(self.stored, weight.astype(np.int64) << -self.exponent)


def in_use(weight: Array) -> WeightsInUse:
    """What NetX and Lava make of the weights of a dense layer.

    Args:
        weight: integers `[N_out, N_in]`; of a recurrent layer with `weight_rec` beside it.

    Raises:
        UnusableWeights: when NetX cannot load them or all would become 0.
    """
    clipped = clip(weight.astype(np.int64))
    shift, bits = _shift_and_bits(clipped)
    if shift < 0:
        raise UnusableWeights(_NEGATIVE_SHIFT)
    stored = _as_lava_stores(clipped << shift, bits)
    return WeightsInUse(stored.astype(smallest_dtype(int(stored.min()), int(stored.max()))), -shift)


def recurrent_in_use(weight: Array, weight_rec: Array) -> tuple[WeightsInUse, WeightsInUse]:
    """The two parts of a recurrent layer: shifted as one matrix, but each with the sign mode that Lava guesses for it.

    Raises:
        UnusableWeights: as from `in_use`.
    """
    clipped = clip(np.hstack([weight, weight_rec]).astype(np.int64))
    shift, bits = _shift_and_bits(clipped)
    if shift < 0:
        raise UnusableWeights(_NEGATIVE_SHIFT)
    inputs = weight.shape[1]
    parts = [_as_lava_stores(part << shift, bits) for part in (clipped[:, :inputs], clipped[:, inputs:])]
    first, second = (part.astype(smallest_dtype(int(part.min()), int(part.max()))) for part in parts)
    return WeightsInUse(first, -shift), WeightsInUse(second, -shift)


def clip(weight: Array) -> Array:
    """Weights of both signs that leave -256..254, brought into it; others as they are."""
    least, most = int(weight.min()), int(weight.max())
    leaves = (most > MIXED_RANGE[1] and least < 0) or (least < MIXED_RANGE[0] and most > 0)
    return np.clip(weight, *MIXED_RANGE) if leaves else weight


def _shift_and_bits(weight: Array) -> tuple[int, int]:
    """The left shift and the number of weight bits that `optimize_weight_bits` finds."""
    least, most = int(weight.min()), int(weight.max())
    if least == most == 0:
        raise UnusableWeights(_ALL_ZERO)
    signed = least < 0 <= most  # NetX calls a layer mixed whose largest weight is 0
    if signed:
        scale = min(127 / most if most else math.inf, -128 / least)
    elif least < 0:
        scale = -256 / least
    else:
        scale = 255 / most
    shift = math.floor(math.log2(scale)) + signed
    multiple = int(np.bitwise_or.reduce(np.abs(weight), axis=None))
    zero_bits = min(STORED_BITS, (multiple & -multiple).bit_length() - 1)
    return shift, STORED_BITS - shift - (zero_bits - signed)


def _as_lava_stores(weight: Array, bits: int) -> Array:
    mode = sign_mode_of(weight)
    if bits > STORED_BITS + (mode is SignMode.MIXED):
        raise UnusableWeights(_TOO_MANY_BITS)
    return stored_weights(weight, mode, bits)
