"""The named semantics of the family."""

from __future__ import annotations

from nmdeploy.target import Chip, Profile

_EVENTS = (
    ("time", "none: a core takes one event after the other; a time step of nmdeploy only groups input events"),
    ("synapses", "signed 8-bit weights, one convolution a core, sum pooling in front of it"),
    ("potential", "v := v + w at every event, 16 bits, saturates (not published)"),
    ("floor", "v := max(v, threshold_low) at every event (likely); without a floor of its own -32640"),
    ("fire", "v >= threshold_high, at most once an event"),
    ("reset", "by subtraction of threshold_high, or to zero; the overshoot of a subtraction is kept"),
    ("order", "the neurons that one event reaches fire in the order y, x, channel (not published)"),
    ("latency", "none in time steps: what one step's events cause belongs to that step"),
)
_LEAK = ("bias", "added at every tick of the slow clock, one tick a time step; a tick fires nothing (not published)")
_STEPS = (
    ("time", "time steps, as sinabs simulates; the chip has none"),
    ("synapses", "signed 8-bit weights, one convolution a core, sum pooling in front of it"),
    ("potential", "v := v + sum of the step + bias; no limit of 16 bits"),
    ("fire", "as often as threshold_high goes into v (several spikes a step)"),
    ("reset", "by subtraction of threshold_high for each spike, or to zero"),
    ("floor", "v := max(v, threshold_low) at the end of the step; without a floor of its own -32640"),
    ("latency", "none: all layers in the same step"),
)
_READOUT = ("read-out", "on the chip: class k listens to feature 4(k-1), the last layer is widened for it")
PROFILES = {
    "chip": Profile("dynapcnn/chip", (*_EVENTS, ("bias", "none"))),
    "leak": Profile("dynapcnn/leak", (*_EVENTS, _LEAK)),
    "readout": Profile("dynapcnn/readout", (*_EVENTS, ("bias", "none"), _READOUT)),
    "step": Profile("dynapcnn/step", (*_STEPS, ("bias", "added at every step"))),
}
"""The semantics by name."""

_NEEDED = {"leak": "slow_clock", "readout": "readout_classes"}
"""Figures without which a chip has not got a profile."""


def profiles_of(chip: Chip) -> tuple[str, ...]:
    """The names of a chip's profiles, the default first."""
    return tuple(name for name in PROFILES if _NEEDED.get(name, "cores") in chip.figures)
