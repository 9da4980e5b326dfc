"""Judging a run of a chip that need not repeat every bit: by its class of exactness, and never by a hidden tolerance.

Class A must be equal. Class B must lie, in the spike count of every output neuron and
sample, within the band that the candidate orders of events span. Class C is tested for a
shift of the spike counts, and the test says what shift it could have found.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmdeploy.deployment import Deployment
from nmdeploy.emulator.run import emulate
from nmdeploy.network import Network
from nmdeploy.registry import targets
from nmdeploy.target import Exactness, Grade

Array = NDArray[Any]
Counts = Mapping[str, NDArray[np.int64]]
"""Spikes of every output neuron in every sample, `[N, *shape]`, by population."""

ALPHA = 0.01
"""Share of sound runs that the test of class C rejects, at most."""
POWER = 0.8
"""Share of runs with the detectable shift that it finds."""


@dataclass(frozen=True)
class Judgement:
    """What a run that is not equal to the emulator's is worth.

    Attributes:
        grade: class of exactness of the deployment.
        passed: whether it is as near as its class demands.
        words: by what it was judged, with the figures.
        reasons: why the deployment is of that class.
    """

    grade: Grade
    passed: bool
    words: str
    reasons: tuple[str, ...]

    def __str__(self) -> str:
        return f"class {self.grade.value}: {self.words}"


def exactness_of(deployment: Deployment) -> Exactness:
    """The class of a deployment; A where its chip family is not installed, or says nothing else."""
    target = targets().get(deployment.target)
    return Exactness() if target is None else target.exactness(deployment)


def judge(deployment: Deployment, inputs: Mapping[str, Array], found: Counts, steps: int | None = None) -> Judgement:
    """Judge the spike counts of a run whose spikes are not all those of the emulator.

    Args:
        deployment: what ran.
        inputs: what went in, `[T, N, *shape]` by input population.
        found: the counts of the run, of all outputs.
        steps: of the run; None as `emulate` has it.
    """
    exactness = exactness_of(deployment)
    if exactness.grade is Grade.EXACT:
        return Judgement(exactness.grade, False, "every spike must be equal", exactness.reasons)
    if exactness.grade is Grade.UP_TO_ORDER:
        passed, words = within_band(_under_every_order(deployment, inputs, steps), found)
    else:
        passed, words = without_shift(_counts(deployment.network, inputs, steps), found)
    return Judgement(exactness.grade, passed, words, exactness.reasons)


def within_band(runs: Sequence[Counts], found: Counts) -> tuple[bool, str]:
    """Whether every count lies between the least and the most of several runs, and in words."""
    outside = neurons = 0
    widest = 0
    for name, counts in found.items():
        candidates = np.stack([run[name] for run in runs])
        low, high = candidates.min(axis=0), candidates.max(axis=0)
        outside += int(np.count_nonzero((counts < low) | (counts > high)))
        widest = max(widest, int((high - low).max(initial=0)))
        neurons += counts.size
    words = (
        f"{neurons - outside} of {neurons} spike counts lie within the band of {len(runs)} candidate orders "
        f"(at most {widest} spikes wide)"
    )
    return outside == 0, words


def without_shift(emulated: Counts, found: Counts) -> tuple[bool, str]:
    """Whether spike counts show no shift against the emulator's, and in words.

    With e and f the summed counts of emulator and run, z = (f - e) / sqrt(e + f) is
    compared with the normal distribution, as for two Poisson counts; chips scatter less
    than that, so sound runs are rejected more rarely than `ALPHA`. The shift that is found
    with probability `POWER` is (z(1 - ALPHA/2) + z(POWER)) * sqrt(e + f).
    """
    expected = sum(int(counts.sum()) for counts in emulated.values())
    seen = sum(int(found[name].sum()) for name in emulated)
    if expected + seen == 0:
        return True, "neither the emulator nor the run has output spikes"
    normal = NormalDist()
    edge, spread = normal.inv_cdf(1 - ALPHA / 2), math.sqrt(expected + seen)
    z = (seen - expected) / spread
    smallest = (edge + normal.inv_cdf(POWER)) * spread
    share = f"{smallest / expected:.1%}" if expected else "any share"
    words = (
        f"{seen} output spikes, {expected} emulated, z = {z:.2f} (limit {edge:.2f}, level {ALPHA:.0%}); "
        f"a shift of {smallest:.0f} spikes ({share}) would have been found with probability {POWER:.0%}"
    )
    return abs(z) <= edge, words


def _under_every_order(deployment: Deployment, inputs: Mapping[str, Array], steps: int | None) -> list[Counts]:
    target = targets()[deployment.target]
    candidates = target.orders(deployment.network) or {"": deployment.network}
    return [_counts(network, inputs, steps) for network in candidates.values()]


def _counts(network: Network, inputs: Mapping[str, Array], steps: int | None) -> Counts:
    return emulate(network, dict(inputs), steps=steps).counts
