"""Which trial is the best: accuracy against cost."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from nmdeploy.report.selection import Trial


@dataclass(frozen=True)
class Ranking:
    """Trials with their scores.

    Attributes:
        trials: as given, those that ran with a score.
        chosen: index of the best.
        by_energy: whether costs are energies; else synaptic operations.
        margin: scores nearer to the best than this are ties, in points.
    """

    trials: tuple[Trial, ...]
    chosen: int
    by_energy: bool
    margin: float


def rank(trials: Sequence[Trial], energy_weight: float) -> Ranking:
    """Score trials and choose the best; one at least has run.

    score = accuracy in points - energy_weight * log2(cost / least cost)

    The cost is the middle of the modelled energy, or where a trial has none the synaptic
    operations. With an energy weight, scores within one standard error of the best one's
    accuracy are ties (see `Accuracy.standard_error`), else only equal ones are. Of ties the cheapest
    is taken, then the more accurate, then the first.
    """
    ran = [index for index, trial in enumerate(trials) if trial.accuracy is not None]
    by_energy = all(trials[index].energy is not None for index in ran)
    cost = {index: _cost(trials[index], by_energy) for index in ran}
    least = min((each for each in cost.values() if each), default=1.0)
    points = {index: _points(trials[index]) for index in ran}
    score = {each: points[each] - energy_weight * math.log2(max(cost[each], least) / least) for each in ran}
    best = max(ran, key=lambda index: (score[index], -cost[index]))
    margin = _standard_error(trials[best]) if energy_weight else 0.0
    tied = [index for index in ran if score[index] >= score[best] - margin]
    chosen = min(tied, key=lambda index: (cost[index], -points[index], index))
    scored = tuple(replace(trial, score=score.get(index)) for index, trial in enumerate(trials))
    return Ranking(scored, chosen, by_energy, margin)


def _cost(trial: Trial, by_energy: bool) -> float:
    if by_energy and trial.energy is not None:
        return (trial.energy.least + trial.energy.most) / 2
    return trial.operations or 0.0


def _points(trial: Trial) -> float:
    return 0.0 if trial.accuracy is None else 100 * trial.accuracy.value


def _standard_error(trial: Trial) -> float:
    return 0.0 if trial.accuracy is None else 100 * trial.accuracy.standard_error
