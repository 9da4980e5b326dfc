"""The recipes by name: what each does, and what it guarantees."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

RATE, RATE_CALIBRATED, EXACT, AUTO = "rate", "rate-calibrated", "exact", "auto"


@dataclass(frozen=True)
class Method:
    """One way to convert.

    Attributes:
        title: what it does.
        guarantee: what is known of the result before it runs.
    """

    title: str
    guarantee: str


METHODS: Mapping[str, Method] = {
    RATE: Method(
        "activations become spike rates",
        "no accuracy is guaranteed; what the chip makes of the network is emulated bit by bit",
    ),
    RATE_CALIBRATED: Method(
        "rates, fitted layer by layer to what the chip makes of them",
        "no accuracy is guaranteed; fitted on the calibration samples for one number of steps, "
        "then emulated bit by bit",
    ),
    EXACT: Method(
        "spike counts equal a quantized network, integer for integer",
        "counts of every neuron and the logits are the quantized network's: with proven bounds for every input, with "
        "sampled bounds while no neuron fires too early, which every report counts",
    ),
    AUTO: Method(
        "the other recipes are tried on held-out calibration samples, and the best is taken",
        "what the recipe it takes guarantees, in no more steps than it was given; it cannot tell more than its "
        "held-out samples do, and says how many there were",
    ),
}
"""The recipes, by the names that users give."""
