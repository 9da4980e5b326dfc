"""Where the time of a run went: seconds and kernels, population by population."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from threading import Lock


class Timings:
    """A stop-watch for one or more runs; give one to `emulate(..., timings=...)`.

    A population's seconds are those of its currents, its neurons and the recording of
    its spikes. With several threads they are summed over the threads, so that shares
    are of work, not of waiting. What belongs to no population (checking inputs, laying
    out weights) is not in them.

    Attributes:
        seconds: by population.
        kernels: by population, how many sample-steps each kernel computed, by the
            kernel's name (`event`, `dense`, `numpy float32`, `silent`, ...). A population
            with several projections counts each of them.
    """

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self.kernels: dict[str, Counter[str]] = defaultdict(Counter)
        self._lock = Lock()  # batches that run in several threads add to the same figures

    def add(self, population: str, seconds: float) -> None:
        """Add seconds to a population."""
        with self._lock:
            self.seconds[population] += seconds

    def add_kernels(self, population: str, sample_steps: Mapping[str, int]) -> None:
        """Add sample-steps to a population, by the kernel that computed them."""
        with self._lock:
            self.kernels[population].update(sample_steps)
