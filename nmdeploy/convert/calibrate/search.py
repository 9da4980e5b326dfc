"""The search for a layer's threshold and initial potential: all candidates on few samples, the best on all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
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


def candidates(thresholds: bool = True, starts: bool = True) -> tuple[Candidate, ...]:
    """Those of `CANDIDATES` that change only what may be changed; a threshold that may not stays as it is."""
    found = CANDIDATES
    if not thresholds:
        found = tuple(Candidate(1.0, v_init) for v_init in dict.fromkeys(each.v_init for each in found))
    return found if starts else tuple(each for each in found if each.v_init == 0)


def trials(samples: int, among: Sequence[Candidate] | None = None) -> int:
    """How many trials a search over so many samples takes; default: among all `CANDIDATES`."""
    count = len(CANDIDATES if among is None else among)
    return count + (min(count, FINALISTS) if _first_round(samples) < samples else 0)


def search(trial: Trial, samples: int, among: Sequence[Candidate] | None = None) -> tuple[Candidate, Fit]:
    """The candidate with the smallest error; of equals the first; default: among all `CANDIDATES`."""
    among = CANDIDATES if among is None else among
    few = _first_round(samples)
    fits = [trial(candidate, few) for candidate in among]
    order = sorted(range(len(among)), key=lambda index: fits[index].error)
    if few == samples:
        return among[order[0]], fits[order[0]]
    finalists = [among[index] for index in sorted(order[:FINALISTS])]
    final = [trial(candidate, samples) for candidate in finalists]
    best = min(range(len(final)), key=lambda index: final[index].error)
    return finalists[best], final[best]


def _first_round(samples: int) -> int:
    return min(samples, max(LEAST_SAMPLES, samples // FIRST_SHARE))
