"""Accuracy against cost: which trial wins."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nmdeploy.cost import Range, exactly
from nmdeploy.pipeline.selection.score import rank
from nmdeploy.report.figures import Accuracy
from nmdeploy.report.selection import Trial


def trial(correct, energy=None, operations=1.0, samples=200):
    known = None if energy is None else exactly(energy)
    return Trial("rate", "", 8, Accuracy("chip", correct, samples), known, operations)


REFUSED = Trial("exact", "", refused="no")


def test_without_weight_accuracy_alone_decides():
    ranking = rank([trial(190, 1.0), REFUSED, trial(191, 99.0)], 0.0)
    assert (ranking.chosen, ranking.margin, ranking.by_energy) == (2, 0.0, True)
    assert [each.score for each in ranking.trials] == [95.0, None, 95.5]


def test_of_equal_accuracies_the_cheapest_is_taken():
    assert rank([trial(190, 3.0), trial(190, 2.0), trial(190, 4.0)], 0.0).chosen == 1


def test_of_equal_trials_the_first_is_taken():
    assert rank([REFUSED, trial(190, 2.0), trial(190, 2.0)], 1.0).chosen == 1


def test_the_weight_is_the_points_that_halving_the_energy_is_worth():
    ranking = rank([trial(200, 4.0), trial(100, 1.0), trial(150, 2.0)], 10.0)
    assert [each.score for each in ranking.trials] == [100 - 20.0, 50.0, 75 - 10.0]
    assert ranking.chosen == 0


def test_a_range_counts_by_its_middle():
    wide = Trial("rate", "", 8, Accuracy("chip", 200, 200), Range(1.0, 7.0), 1.0)
    assert rank([wide, trial(200, 1.0)], 1.0).trials[0].score == 98.0


def test_scores_within_a_standard_error_go_to_the_cheaper():
    close, far = trial(199, 4.0), trial(160, 1.0)
    assert rank([trial(200, 5.0), close, far], 0.01).chosen == 1
    assert rank([trial(200, 5.0), close, far], 0.0).chosen == 0


def test_the_standard_error_is_the_best_ones():
    ranking = rank([trial(1800, 1.0, samples=2000), trial(1000, 2.0, samples=2000)], 1.0)
    assert ranking.margin == pytest.approx(100 * math.sqrt(0.9 * 0.1 / 2000), rel=0.01)


def test_synaptic_operations_count_where_an_energy_is_unknown():
    ranking = rank([trial(200, 1e-3, operations=8), trial(200, None, operations=1)], 1.0)
    assert not ranking.by_energy
    assert [each.score for each in ranking.trials] == [97.0, 100.0]
    assert ranking.chosen == 1


def test_a_network_that_does_nothing_costs_as_much_as_the_least():
    ranking = rank([trial(10, None, 0.0), trial(190, None, 64.0)], 1.0)
    assert [each.score for each in ranking.trials] == [5.0, 95.0]
    assert rank([trial(10, None, 0.0)], 1.0).trials[0].score == 5.0


@given(
    st.lists(st.tuples(st.integers(0, 50), st.floats(1e-9, 1e-3)), min_size=1, max_size=8),
    st.floats(0, 20),
)
def test_nothing_better_and_cheaper_is_left(pairs, weight):
    trials = [trial(correct, energy, samples=50) for correct, energy in pairs]
    ranking = rank(trials, weight)
    taken = pairs[ranking.chosen]
    assert not any(correct > taken[0] and energy < taken[1] for correct, energy in pairs)
    best = max(each.score for each in ranking.trials)
    assert best - ranking.trials[ranking.chosen].score <= ranking.margin
