"""Accuracies with their intervals, and what of them a deployment keeps."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from nmdeploy.coding import Decision
from nmdeploy.errors import DataError
from nmdeploy.report.figures import STAGES, Accuracy, Kind, accuracies, accuracy_figures, is_accuracy


@given(st.integers(1, 10**6), st.data())
def test_the_interval_is_wilsons_and_holds_the_share(samples, data):
    correct = data.draw(st.integers(0, samples))
    accuracy = Accuracy("chip", correct, samples)
    low, high = accuracy.interval
    scipys = binomtest(correct, samples).proportion_ci(0.95, method="wilson")
    assert (low, high) == pytest.approx((scipys.low, scipys.high), rel=1e-9, abs=1e-12)
    assert 0 <= low <= accuracy.value <= high <= 1


def test_a_tie_is_not_right():
    decision = Decision(np.array([1, 2, 0, 3]), np.zeros((4, 4)), np.array([False, True, True, False]))
    found = Accuracy.of("chip", decision, np.array([1, 2, 5, 4]), "measured", 16, "digits")
    assert found == Accuracy("chip", 1, 4, 2, Kind.MEASURED, 16, "digits")
    assert found.value == decision.accuracy(np.array([1, 2, 5, 4]))


@pytest.mark.parametrize(
    ("counts", "message"),
    [
        ((0, 0), "chip: an accuracy needs samples"),
        ((5, 4), "counts of an accuracy do not add up .found 5 correct and 0 tied of 4"),
        ((-1, 4), "do not add up"),
        ((3, 4, 2), "found 3 correct and 2 tied of 4"),
        ((3, 4, -1), "do not add up"),
    ],
)
def test_counts_that_cannot_be(counts, message):
    with pytest.raises(DataError, match=message):
        Accuracy("chip", *counts)


def test_all_samples_may_be_tied_or_right():
    assert Accuracy("chip", 2, 4, 2).value == 0.5
    assert Accuracy("chip", 0, 4, 4).value == 0


def test_str():
    assert str(Accuracy("chip", 97, 100, 2)) == (
        "chip: 97.00% right (97 of 100, 2 tied, 95 % interval 91.55% to 98.97%; emulated)"
    )


@given(
    st.lists(
        st.builds(
            lambda stage, right, tied, wrong, kind, steps, on: Accuracy(
                stage, right, right + tied + wrong, tied, kind, steps, on
            ),
            st.one_of(st.sampled_from(STAGES), st.text(max_size=5)),
            st.integers(0, 50),
            st.integers(0, 50),
            st.integers(1, 50),
            st.sampled_from(Kind),
            st.integers(0, 999),
            st.text(max_size=5),
        ),
        unique_by=lambda accuracy: accuracy.stage,
    )
)
def test_figures_hold_everything_and_come_back_in_the_order_of_the_stages(given_stages):
    figures = json.loads(json.dumps(accuracy_figures(given_stages), sort_keys=True))
    found = accuracies({**figures, "activity": {}, "accuracy": {}})
    assert sorted(found, key=lambda each: each.stage) == sorted(given_stages, key=lambda each: each.stage)
    ranks = [STAGES.index(each.stage) if each.stage in STAGES else 9 for each in found]
    assert ranks == sorted(ranks)
    rest = [each.stage for each in found if each.stage not in STAGES]
    assert rest == sorted(rest)


@pytest.mark.parametrize(
    "figure",
    [
        {},
        {"value": 0.97, "kind": "measured", "on": "x"},
        "97 %",
        None,
        {"correct": 1, "samples": 2, "ties": 0, "steps": 0, "kind": "guessed", "on": ""},
    ],
)
def test_a_figure_that_is_no_accuracy_is_named(figure):
    with pytest.raises(DataError, match=r"accuracy\.chip: the figure is no accuracy"):
        accuracies({"accuracy.chip": figure})


def test_which_figures_are_accuracies():
    assert is_accuracy("accuracy.chip")
    assert not is_accuracy("accuracy")
    assert not is_accuracy("activity")


@given(st.integers(1, 400), st.data())
def test_the_standard_error_is_binomial_and_never_zero(samples, data):
    correct = data.draw(st.integers(0, samples))
    accuracy = Accuracy("chip", correct, samples)
    share = accuracy.value
    assert accuracy.standard_error > 1 / (2 * samples + 8)
    assert accuracy.standard_error == pytest.approx(Accuracy("chip", samples - correct, samples).standard_error)
    assert accuracy.standard_error == pytest.approx((share * (1 - share) / samples) ** 0.5, abs=1.4 / samples)
