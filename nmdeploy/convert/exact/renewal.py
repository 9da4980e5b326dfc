"""How a layer that has been read gets ready for the next sample: brought to its floor, then lifted to its start."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from nmdeploy.linear_maps import Array
from nmdeploy.neurons import IF
from quantize import MantissaExponentFormat

CLEAR, RESTORE, TRIM = "clear", "restore", "trim"
"""What clocks of a renewal do; the last part of their populations' names."""


@dataclass(frozen=True, eq=False)
class Pulses:
    """Clock neurons, what each adds to the neurons of a layer, and when.

    Attributes:
        role: `CLEAR`, `RESTORE` or `TRIM`.
        weights: int64 `[neurons, clocks]`.
        train: their spikes, uint8 `[steps, clocks]`.
    """

    role: str
    weights: Array
    train: Array


@dataclass(frozen=True, eq=False)
class Renewal:
    """Clearing at a floor, which leaves nothing of what a potential was, and restoring from there.

    Attributes:
        neuron: of the layer, with the floor.
        clear: begins in the step after the layer's last; takes every potential to the floor.
        restore: begin one step after the last of `clear`.
        steps: from the first clearing step until the next sample's spikes may arrive.
    """

    neuron: IF
    clear: Pulses
    restore: tuple[Pulses, ...]
    steps: int

    def pulses(self) -> Iterator[tuple[int, Pulses]]:
        """All of them, with the step of the renewal in which each begins."""
        yield 0, self.clear
        yield from ((len(self.clear.train), each) for each in self.restore)


def repeated(role: str, weights: Array, steps: int) -> Pulses:
    """Clocks that all fire in each of `steps` steps."""
    return Pulses(role, weights, np.ones((steps, weights.shape[1]), np.uint8))


def lifting(amount: Array, control: MantissaExponentFormat, step_sum: int) -> tuple[Pulses, ...]:
    """Clocks that add a number of its own to every neuron, in the fewest steps.

    In k steps each, with the largest weights m * 2**e of a synapse and a number a::

        coarse  q = floor(a / (k * 2**e))     weights q * 2**e, divided among clocks of at most m each
        fine    r = a - q * k * 2**e          weight floor(r / k)
        units   r mod k                       once, in the first step

    Args:
        amount: at least 0, int64 `[neurons]`.
        control: what a synapse can add: m and e; numbers below 2**e and below k have to be mantissas.
        step_sum: largest sum of a step.
    """
    exponent = min(control.mantissa_bits, (1 << control.exponent_bits) - 1)
    most = (1 << control.mantissa_bits) - 1
    clocks = step_sum // (most << exponent)
    steps = int(amount.max()) // ((clocks * most + 1) << exponent) + 1
    coarse, rest = np.divmod(amount, steps << exponent)
    shares = [np.clip(coarse - index * most, 0, most) << exponent for index in range(clocks)]
    fine = np.stack([rest // steps, rest % steps], axis=1)
    once = np.ones((steps, 2), np.uint8)
    once[1:, 1] = 0
    found = (repeated(RESTORE, np.stack(shares, axis=1), steps), Pulses(TRIM, fine, once))
    return tuple(used for each in found if (used := _used(each)).weights.size)


def _used(pulses: Pulses) -> Pulses:
    """Without clocks that add nothing to any neuron."""
    used = pulses.weights.any(axis=0)
    return Pulses(pulses.role, pulses.weights[:, used], pulses.train[:, used])
