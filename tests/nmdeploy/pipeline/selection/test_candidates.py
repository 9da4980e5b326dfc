"""Which recipes are tried, within which budget."""

import numpy as np
import pytest

from nmdeploy.ann.graph import Add, AnnGraph, Linear, Node, Rectify, Source
from nmdeploy.pipeline import Recipe
from nmdeploy.pipeline.selection.candidates import candidates, phases
from nmdeploy.synapses import Dense

ASKED = Recipe(method="auto", steps=32, energy_weight=0.5, low=-1.0, bounds="sampled", seed=3)


def tried(graph, **changes):
    asked = Recipe(**{"method": "auto", "steps": 32, **changes})
    return [(each.recipe.method, each.recipe.steps, each.settings) for each in candidates(asked, graph)]


@pytest.fixture
def residual():
    """Two hidden layers behind each other, and a shortcut past the second."""
    rng = np.random.default_rng(1)

    def linear():
        return Linear(Dense(rng.normal(size=(4, 4))))

    nodes = (
        Node("x", Source((4,))),
        Node("a", linear(), ("x",)),
        Node("relu_a", Rectify(), ("a",)),
        Node("b", linear(), ("relu_a",)),
        Node("relu_b", Rectify(), ("b",)),
        Node("sum", Add(), ("relu_a", "relu_b")),
        Node("out", linear(), ("sum",)),
    )
    return AnnGraph("residual", nodes, "out")


def test_phases_are_the_hidden_layers_behind_each_other(graph, residual):
    assert phases(graph) == 1
    assert phases(residual) == 2


def test_an_output_behind_a_relu_is_no_phase(graph):
    ending = AnnGraph("ending", (*graph.nodes, Node("last", Rectify(), ("out",))), "last")
    assert phases(ending) == 1


def test_every_method_is_tried_with_whole_half_and_quarter_budget(residual):
    found = tried(residual)
    assert [steps for method, steps, _ in found if method == "rate"] == [32, 16, 8, 32, 16, 8]
    assert [steps for method, steps, _ in found if method == "rate-calibrated"] == [32, 16, 8]
    assert [words for method, _, words in found if method == "exact"] == [
        "4 levels, 24 input steps",
        "4 levels, 8 input steps",
        "8 levels, 16 input steps",
        "16 levels",
    ]


def test_levels_whose_phases_exceed_the_budget_are_refused_with_the_figure(residual):
    (refused,) = (each for each in candidates(ASKED, residual) if each.refused is not None)
    assert refused.settings == "16 levels"
    assert "(2 x 16 steps) and one input step exceed the budget" in str(refused.refused)
    assert "found 33 steps, limit 32 steps" in str(refused.refused)


def test_words_count_their_steps(graph):
    assert "4 levels, 1 input step" in [words for _, _, words in tried(graph, steps=5)]


@pytest.mark.parametrize("steps", [1, 2, 3, 9, 33, 200])
def test_no_candidate_takes_more_steps_than_the_budget(residual, steps):
    for each in candidates(Recipe(method="auto", steps=steps), residual):
        extra = 2 * each.recipe.levels if each.recipe.method == "exact" else 0
        assert each.refused is not None or 1 <= each.recipe.steps + extra <= steps


@pytest.mark.parametrize(
    ("steps", "found"), [(1, [1]), (3, [3]), (7, [7]), (8, [8, 4]), (15, [15, 7]), (16, [16, 8, 4])]
)
def test_no_part_of_the_budget_is_too_short_for_rates(residual, steps, found):
    assert [steps for method, steps, _ in tried(residual, steps=steps) if method == "rate-calibrated"] == found


def test_what_was_asked_for_holds_for_all(residual):
    for each in candidates(ASKED, residual):
        assert (each.recipe.low, each.recipe.bounds, each.recipe.seed) == (-1.0, "sampled", 3)
        assert each.recipe.energy_weight == 0.0


def test_a_readout_that_was_asked_for_is_the_only_one(residual):
    assert [words for method, _, words in tried(residual, readout="count") if method == "rate"] == [
        "count, 32 input steps",
        "count, 16 input steps",
        "count, 8 input steps",
    ]


def test_levels_that_were_asked_for_are_tried_too(residual):
    words = [words for _, _, words in tried(residual, levels=2)]
    assert "2 levels, 28 input steps" in words
    assert "8 levels, 16 input steps" in words
