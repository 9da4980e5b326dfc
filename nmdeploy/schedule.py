"""When populations may spike: a promise, by which design rules tell what can arrive in the same step.

Nothing that has to be right stands on it. The emulator's types and the proofs of exactness
are of networks whose populations may spike at any step, so a promise that is broken makes no
run wrong; `off_schedule` counts how often a run broke it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from nmdeploy.errors import UsageError
from nmdeploy.structure import Record

if TYPE_CHECKING:
    from nmdeploy.emulator.result import Result
    from nmdeploy.network import Network

LONGEST_CYCLE = 1 << 20
"""Steps after which schedules have to repeat together; beyond, everything may arrive in the same step."""


@dataclass(frozen=True, eq=False, repr=False)
class Schedule(Record):
    """The steps in which a population may spike; in all others it does not.

    Attributes:
        spans: (first step, number of steps) of each; none for a population that never spikes.
        period: the spans come again every so many steps, before the first ones too; None: once.
    """

    spans: tuple[tuple[int, int], ...] = ()
    period: int | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "spans", tuple((int(start), int(length)) for start, length in self.spans))

    @property
    def end(self) -> int:
        """The step after the last one of the spans as they are given."""
        return max((start + length for start, length in self.spans), default=0)

    def faults(self) -> list[str]:
        """What is wrong with the schedule by itself."""
        if self.period is not None and self.period < 1:
            return [f"the schedule's period is {self.period}, it must be at least 1"]
        most = math.inf if self.period is None else self.period
        return [
            f"the schedule's span {span} is no first step from 0 on with a length of at least 1, at most the period"
            for span in self.spans
            if span[0] < 0 or not 1 <= span[1] <= most
        ]

    def allows(self, steps: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Whether the population may spike in each of `steps`."""
        allowed = np.zeros(steps.shape, dtype=bool)
        for start, length in self.spans:
            since = steps - start if self.period is None else (steps - start) % self.period
            allowed |= (since >= 0) & (since < length)
        return allowed

    def later(self, steps: int) -> Schedule:
        """The schedule of a population that does the same `steps` steps later."""
        return replace(self, spans=tuple((start + steps, length) for start, length in self.spans))


def coincidences(arrivals: Sequence[tuple[Schedule | None, int]]) -> tuple[tuple[int, ...], ...]:
    """Which of several sources can act in the same step.

    Args:
        arrivals: schedule and delay of each source; a schedule of None allows every step.

    Returns:
        Groups of indices, none of them part of another: what acts in a step is one of them, or
        part of one.
    """
    schedules = [each for each, _ in arrivals if each is not None]
    cycle = math.lcm(*(each.period for each in schedules if each.period is not None))
    delays = max((delay for _, delay in arrivals), default=0)
    horizon = cycle + delays + max((each.end for each in schedules if each.period is None), default=0)
    if horizon > LONGEST_CYCLE or not schedules:
        return (tuple(range(len(arrivals))),)
    steps = np.arange(horizon)
    acting = [
        np.ones(horizon, dtype=bool) if schedule is None else schedule.allows(steps - delay)
        for schedule, delay in arrivals
    ]
    groups = {frozenset(np.flatnonzero(each).tolist()) for each in np.unique(np.array(acting), axis=1).T}
    largest = [group for group in groups if not any(group < other for other in groups)]
    return tuple(sorted(tuple(sorted(group)) for group in largest))


def off_schedule(network: Network, result: Result) -> dict[str, int]:
    """How many spikes of a run came when their population had promised none.

    Args:
        network: what ran.
        result: its run from the first step on, recorded with `spikes=("*",)`.

    Returns:
        By population that has a schedule; sums of spike magnitudes.

    Raises:
        UsageError: for a run whose spikes were not kept at every step.
    """
    found = {}
    for population in network.populations:
        if population.schedule is None:
            continue
        spikes = result.spikes.get(population.name)
        if spikes is None or len(spikes) != result.steps:
            hint = 'record spikes=("*",) at all steps'
            raise UsageError("the run does not tell every spike", where=population.name, hint=hint)
        broken = ~population.schedule.allows(np.arange(result.steps))
        found[population.name] = int(np.abs(spikes[broken].astype(np.int64)).sum())
    return found
