"""Samples divided: some convert, others judge."""

import numpy as np
import pytest

from nmdeploy.ann.execute import run as run_graph
from nmdeploy.errors import DataError
from nmdeploy.pipeline.selection.held_out import LEAST_SAMPLES, MOST_CONVERTING, MOST_JUDGING, hold_out


def rows(samples):
    return {row.tobytes() for row in samples}


def test_half_converts_and_half_judges_and_none_does_both(graph, decided):
    found = hold_out(graph, decided.x, None, seed=0)
    assert len(found.converting) == len(found.judging) == 60
    assert not rows(found.converting) & rows(found.judging)
    assert rows(found.converting) | rows(found.judging) == rows(decided.x)


def test_without_labels_the_trained_network_judges(graph, decided):
    found = hold_out(graph, decided.x, None, seed=0)
    assert not found.by_labels
    np.testing.assert_array_equal(found.wanted, run_graph(graph, found.judging)["out"].argmax(axis=1))
    assert found.trained == 60


def test_labels_judge_where_they_are_given(graph, decided):
    wrong = (decided.y + 1) % 3
    found = hold_out(graph, decided.x, wrong, seed=0)
    by_row = {row.tobytes(): label for row, label in zip(decided.x, wrong, strict=True)}
    assert found.by_labels
    assert found.trained == 0
    assert [by_row[row.tobytes()] for row in found.judging] == found.wanted.tolist()


def test_each_class_has_its_share_in_both_parts(graph, decided):
    labels = np.repeat([0, 1, 2], [60, 40, 20])
    found = hold_out(graph, decided.x, labels, seed=0)
    assert np.bincount(found.wanted).tolist() == [30, 20, 10]


def test_the_seed_decides_who_judges(graph, decided):
    first, again, other = (hold_out(graph, decided.x, None, seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first.judging, again.judging)
    np.testing.assert_array_equal(first.converting, again.converting)
    assert rows(first.judging) != rows(other.judging)


def test_no_more_judge_or_convert_than_is_needed(graph):
    many = np.random.default_rng(0).random((1200, 9)).astype(np.float32)
    found = hold_out(graph, many, None, seed=0)
    assert (len(found.judging), len(found.converting)) == (MOST_JUDGING, MOST_CONVERTING)


def test_too_few_cannot_be_divided(graph, decided):
    with pytest.raises(DataError, match=rf"too few samples.*found 19, limit {LEAST_SAMPLES}"):
        hold_out(graph, decided.x[:19], None, seed=0)
    assert len(hold_out(graph, decided.x[:20], None, seed=0).judging) == 10
