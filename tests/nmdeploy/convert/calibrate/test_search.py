"""Which candidates are tried, and which wins."""

import numpy as np
import pytest

from nmdeploy.convert.calibrate.fit import Fit
from nmdeploy.convert.calibrate.search import CANDIDATES, FINALISTS, LEAST_SAMPLES, Candidate, search, trials


def with_error(error):
    return Fit(np.ones(1), np.zeros(1), 1.0, error, error)


def test_the_grid_is_the_documented_one():
    assert sorted({each.threshold for each in CANDIDATES}) == pytest.approx(np.arange(0.3, 1.45, 0.1))
    assert sorted({each.v_init for each in CANDIDATES}) == [0, 0.25, 0.5]
    assert len(CANDIDATES) == 36


@pytest.mark.parametrize("samples", [10, LEAST_SAMPLES, 400])
def test_all_are_tried_on_few_samples_and_the_best_on_all(samples):
    tried = []

    def trial(candidate, count):
        tried.append((candidate, count))
        return with_error(abs(candidate.threshold - 0.8) + candidate.v_init)

    winner, fit = search(trial, samples)
    assert winner == Candidate(0.8, 0.0)
    assert fit.error == 0
    assert len(tried) == trials(samples)
    assert [each for each, _ in tried[: len(CANDIDATES)]] == list(CANDIDATES)
    first = {count for _, count in tried[: len(CANDIDATES)]}
    assert first == {min(samples, max(LEAST_SAMPLES, samples // 8))}
    assert [count for _, count in tried[len(CANDIDATES) :]] == [samples] * (FINALISTS if samples > LEAST_SAMPLES else 0)


def test_the_last_word_is_that_of_all_samples():
    """The best of the first round loses the second."""

    def trial(candidate, count):
        first = abs(candidate.threshold - 0.8) + candidate.v_init
        return with_error(first if count < 400 else abs(candidate.threshold - 0.9))

    assert search(trial, 400)[0] == Candidate(0.9, 0.0)


def test_of_equals_the_first_wins():
    assert search(lambda *_: with_error(0.5), 400)[0] == CANDIDATES[0]
