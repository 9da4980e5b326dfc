"""What an inference costs on a chip: time and energy modelled from counted events."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from nmdeploy.target import Status


@dataclass(frozen=True)
class Range:
    """A least and a most; equal where only one figure is known.

    Attributes:
        least, most: in SI units (joule, second).
    """

    least: float
    most: float

    def __add__(self, other: Range) -> Range:
        return Range(self.least + other.least, self.most + other.most)

    def times(self, factor: float) -> Range:
        """Both ends multiplied by a factor of at least 0."""
        return Range(self.least * factor, self.most * factor)


@dataclass(frozen=True)
class CostItem:
    """One kind of event: how often in one inference, and what that takes.

    Attributes:
        event: in words (`synaptic operations`).
        count: per inference, mean over the samples; counted in a run (emulated).
        energy: joules of all of them (modelled); None when no coefficient is published.
        time: seconds of all of them if nothing ran in parallel (modelled); None likewise.
        source: where the coefficients were published; empty when there are none.
        status: how they came to be known; None when there are none.
    """

    event: str
    count: float
    energy: Range | None = None
    time: Range | None = None
    source: str = ""
    status: Status | None = None


@dataclass(frozen=True)
class Cost:
    """The cost of one inference, mean over the samples of a run.

    Attributes:
        chip: name of the chip.
        samples: inferences that the events were counted in.
        steps: steps of one inference.
        items: the events.
        energy: joules of one inference, static power included where it is known; None when unknown.
        time: seconds of one inference; None when unknown.
        assumptions: what the model takes for granted or leaves out, a sentence each.
    """

    chip: str
    samples: int
    steps: int
    items: tuple[CostItem, ...]
    energy: Range | None
    time: Range | None
    assumptions: tuple[str, ...] = ()


def total(ranges: Sequence[Range | None]) -> Range | None:
    """The sum of what is known; None when nothing is."""
    known = [each for each in ranges if each is not None]
    return sum(known[1:], start=known[0]) if known else None
