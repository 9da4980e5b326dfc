"""The search for a layer's threshold and initial potential: all candidates on few samples, the best on all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from nmdeploy.convert.calibrate.fit import Fit

_THRESHOLDS = tuple(tenths / 10 for tenths in range(3, 15))
_INITIAL = (0.0, 0.25, 0.5)


@dataclass(frozen=True)
class Candidate:
    """One setting of a layer.

    Attributes:
        threshold: as a multiple of the uncalibrated one.
        v_init: initial potential as a share of this threshold.
    """

    threshold: float
    v_init: float


CANDIDATES = tuple(Candidate(threshold, v_init) for v_init in _INITIAL for threshold in _THRESHOLDS)
"""Thresholds of 0.3 to 1.4 times the uncalibrated one; starts at 0, 1/4 and 1/2 of them."""

FINALISTS = 4
"""Candidates that are tried on all samples."""

FIRST_SHARE = 8
"""The first round sees one sample in so many."""

LEAST_SAMPLES = 24
"""The first round sees no fewer samples than this."""

Trial = Callable[[Candidate, int], Fit]
"""Runs a candidate on that many of the samples, the first ones."""


def trials(samples: int) -> int:
    """How many trials a search over so many samples takes."""
    return len(CANDIDATES) + (FINALISTS if _first_round(samples) < samples else 0)


def search(trial: Trial, samples: int) -> tuple[Candidate, Fit]:
    """The candidate with the smallest error; of equals the first of `CANDIDATES`."""
    few = _first_round(samples)
    fits = [trial(candidate, few) for candidate in CANDIDATES]
    order = sorted(range(len(CANDIDATES)), key=lambda index: fits[index].error)
    if few == samples:
        return CANDIDATES[order[0]], fits[order[0]]
    finalists = [CANDIDATES[index] for index in sorted(order[:FINALISTS])]
    final = [trial(candidate, samples) for candidate in finalists]
    best = min(range(len(final)), key=lambda index: final[index].error)
    return finalists[best], final[best]


def _first_round(samples: int) -> int:
    return min(samples, max(LEAST_SAMPLES, samples // FIRST_SHARE))
