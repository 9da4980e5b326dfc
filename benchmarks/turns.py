"""Timing rivals fairly: one process, one round after the other, everyone once a round."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field


@dataclass
class Times:
    """Seconds of each run of one rival: of the processor (all threads of this process) and of the clock."""

    cpu: list[float] = field(default_factory=list)
    wall: list[float] = field(default_factory=list)

    @property
    def cpu_median(self) -> float:
        """Median processor time."""
        return statistics.median(self.cpu)

    @property
    def wall_median(self) -> float:
        """Median time of the clock."""
        return statistics.median(self.wall)


def take_turns(rivals: Mapping[str, Callable[[], object]], repeats: int) -> dict[str, Times]:
    """Time every rival once a round, so that a busy machine is busy for all of them."""
    times = {name: Times() for name in rivals}
    for _ in range(repeats):
        for name, run in rivals.items():
            cpu, wall = time.process_time(), time.perf_counter()
            run()
            times[name].cpu.append(time.process_time() - cpu)
            times[name].wall.append(time.perf_counter() - wall)
    return times
