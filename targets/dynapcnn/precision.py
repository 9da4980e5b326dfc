"""The integers of a chip under each of its profiles."""

from __future__ import annotations

from nmdeploy.target import Chip, Precision
from quantize import IntegerFormat

GRADED_INPUT = 255
"""Events of one pixel in one time step of a raster; sinabs' rasters hold counts, which become that many events."""


def precision(chip: Chip, profile: str = "chip") -> Precision:
    """The formats of `chip`: weights of 8 bits, thresholds of 16, biases only where the profile has ticks or steps.

    The bias has the 8 bits that sinabs gives it (discretize.py); the width of the chip's
    register is not published. One threshold holds for all neurons of a core.
    """
    has_bias = profile in ("leak", "step")
    return Precision(
        weights=IntegerFormat(chip.limit("weight_bits")),
        threshold=IntegerFormat(chip.limit("state_bits")),
        bias=IntegerFormat(chip.limit("bias_bits")) if has_bias else None,
        resets=("subtract", "zero"),
        graded_input=GRADED_INPUT,
        without_bias="train without biases, or have them tick with the slow clock (profile 'leak')",
    )
