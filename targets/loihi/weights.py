"""Lava's path from weights as passed to weights in use.

Sources: Lava 0.10.0, `lava/utils/weightutils.py` (`determine_sign_mode`, `clip_weights`,
`truncate_weights`) as used by Dense, Sparse and DelayDense; `lava/proc/conv/models.py`
for convolutions, which clip and truncate nothing.
"""

from __future__ import annotations

from enum import Enum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmdeploy.linear_maps import Array
from quantize import IntegerFormat, Overflow

STORED_BITS = 8
"""Bits of a stored weight's magnitude (Lava `max_num_weight_bits`)."""
CHANNEL_FORMAT = IntegerFormat(32, overflow=Overflow.WRAP)
"""Lava sends a dense layer's sums through an int32 channel."""
CONV_FORMAT = IntegerFormat(24, overflow=Overflow.WRAP)
"""Lava's Conv wraps its sums to signed 24 bits (`utils.signed_clamp`)."""


class SignMode(str, Enum):
    """Which signs the weights of one Lava connection may have."""

    NULL = "null"
    """Lava's NULL: treated as excitatory."""
    MIXED = "mixed"
    """Both signs; the lowest bit is lost: even numbers in -256..254."""
    EXCITATORY = "exc"
    """0..255."""
    INHIBITORY = "inh"
    """-255..0."""


def sign_mode_of(weights: Array) -> SignMode:
    """The sign mode Lava guesses when none is passed."""
    if np.min(weights) >= 0:
        return SignMode.EXCITATORY
    return SignMode.INHIBITORY if np.max(weights) <= 0 else SignMode.MIXED


def stored_weights(weights: Array, mode: SignMode | None = None, num_weight_bits: int = STORED_BITS) -> Array:
    """The weights a Dense, Sparse or DelayDense layer really uses.

    Clipped to the range of the sign mode, then `8 - num_weight_bits` low bits (one more
    when mixed) are dropped: toward minus infinity, for inhibitory ones toward zero.

    Args:
        weights: as passed to Lava, real or integer; reals lose their fraction toward zero.
        mode: the sign mode; None lets Lava guess.
        num_weight_bits: bits of a weight, 1 to 8.

    Returns:
        int64 array of the same shape.
    """
    whole: NDArray[np.int64] = np.trunc(weights).astype(np.int64)
    mode = sign_mode_of(whole) if mode is None else mode
    mixed = mode is SignMode.MIXED
    flip = -1 if mode is SignMode.INHIBITORY else 1
    largest = (1 << STORED_BITS) - 1
    clipped = np.clip(flip * whole, -(1 << STORED_BITS) if mixed else 0, largest)
    dropped = STORED_BITS - num_weight_bits + mixed
    kept: NDArray[Any] = flip * ((clipped >> dropped) << dropped)
    return kept


def is_storable(weights: Array) -> bool:
    """Whether one sign mode keeps all integer `weights` as they are: the one that Lava guesses, or mixed."""
    return any(np.array_equal(stored_weights(weights, mode), weights) for mode in (None, SignMode.MIXED))


def to_conv2d(kernel: Array) -> Array:
    """A Lava Conv kernel `(C_out, kX, kY, C_in/groups)` as a `Conv2d` weight `[C_out, C_in/groups, kY, kX]`.

    Lava convolves (kernel flipped in both spatial axes), `Conv2d` correlates. The weights
    are used as they are: Lava's Conv ignores `weight_exp` and `num_weight_bits`.
    """
    flipped: Array = kernel[:, ::-1, ::-1, :].transpose(0, 3, 2, 1)
    return flipped
