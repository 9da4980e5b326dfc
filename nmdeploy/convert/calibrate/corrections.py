"""The corrections that a calibration makes, each of which can be left out."""

from __future__ import annotations

from dataclasses import dataclass, fields


@dataclass(frozen=True)
class Corrections:
    """What a calibration may change; all of it by default.

    Attributes:
        timing: biases add up to the input steps times their value in a run that lasts longer.
        thresholds: a threshold for each layer.
        starts: an initial potential for each layer.
        gains: a factor for each channel, in the weights of the layers behind.
        offsets: a shift for each channel, in the biases of the layers behind.
        refit: the weights of an output that only integrates.
    """

    timing: bool = True
    thresholds: bool = True
    starts: bool = True
    gains: bool = True
    offsets: bool = True
    refit: bool = True

    @classmethod
    def only(cls, *names: str) -> Corrections:
        """These corrections and no others; no names for none."""
        return cls(**{each.name: each.name in names for each in fields(cls)})


ALL_CORRECTIONS = Corrections()
