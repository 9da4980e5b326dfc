"""What calibration data, labels and networks can have wrong: every recipe says so, and names the place."""

from dataclasses import replace

import numpy as np
import pytest

from nmdeploy.ann.graph import AnnGraph, Linear, Node, Rectify, Source
from nmdeploy.convert.methods import AUTO, METHODS
from nmdeploy.data import Samples
from nmdeploy.errors import DataError, ModelError, ShapeError
from nmdeploy.pipeline import Recipe, build, measure
from nmdeploy.registry import chip
from nmdeploy.synapses import Dense

RECIPES = {
    "rate": Recipe(steps=8),
    "rate-calibrated": Recipe(method="rate-calibrated", steps=4, readout="potential"),
    "exact": Recipe(method="exact", levels=4, steps=4),
    "exact, sampled": Recipe(method="exact", levels=4, steps=4, bounds="sampled"),
    "auto": Recipe(method="auto", steps=7, readout="potential"),
}
FITTED = ("rate-calibrated", "exact, sampled", "auto")
"""Recipes that have to look at differences between samples."""
every_recipe = pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)


def test_every_recipe_is_tried_here():
    assert {recipe.method for recipe in RECIPES.values()} == set(METHODS)


def notes(graph, samples, recipe):
    return build(graph, samples, chip("loihi1"), recipe).deployment.network.notes


@every_recipe
@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        (lambda x: x[:0], DataError, "calibration data: there are no samples"),
        (lambda x: x[0], ShapeError, r"calibration data: calibration data is a set of samples.*limit \[N, 9\]"),
        (lambda x: x[:, :8], ShapeError, r"samples have another shape.*found \[N, 8\], limit \[N, 9\]"),
        (lambda x: np.where(x == x[3, 2], np.nan, x), DataError, "NaN or infinite values .found 1 of 1080"),
        (lambda x: np.where(x == x[3, 2], np.inf, x), DataError, "NaN or infinite values .found 1 of 1080"),
        (lambda x: 3 * x, DataError, r"samples leave the input range.*limit 0..1"),
        (lambda x: x - 0.5, DataError, r"samples leave the input range.*limit 0..1"),
        (lambda x: x.astype(str), DataError, "samples are numbers"),
    ],
    ids=["none", "one sample", "shape", "NaN", "infinite", "too large", "too small", "text"],
)
def test_samples_that_cannot_be_used_are_refused(graph, decided, recipe, change, error, words):
    with pytest.raises(error, match=words):
        build(graph, change(decided.x), chip("loihi1"), recipe)


@pytest.mark.parametrize("name", RECIPES)
def test_one_sample_is_too_few_or_told(graph, decided, name):
    if name in FITTED:
        with pytest.raises(DataError, match="calibration data: too few samples"):
            build(graph, decided.x[:1], chip("loihi1"), RECIPES[name])
    else:
        told = notes(graph, decided.x[:1], RECIPES[name])
        assert "calibration data: 1 samples only; 50 or more give steadier scales and gains" in told


@every_recipe
def test_few_samples_are_told(graph, decided, recipe):
    told = notes(graph, decided.x[:30], recipe)
    assert [note for note in told if "samples only" in note] == [
        "calibration data: 30 samples only; 50 or more give steadier scales and gains"
    ]


@pytest.mark.parametrize("name", RECIPES)
@pytest.mark.parametrize("value", [None, 0.0])
def test_samples_that_are_all_the_same_are_refused_or_told(graph, decided, name, value):
    same = np.repeat(decided.x[:1] if value is None else np.full((1, 9), value), 60, axis=0)
    if name in FITTED:
        with pytest.raises(DataError, match="calibration data: all samples are the same"):
            build(graph, same, chip("loihi1"), RECIPES[name])
    else:
        words = "all 60 samples are the same" if value is None else "all values are 0"
        assert any(words in note for note in notes(graph, same, RECIPES[name]))


@every_recipe
@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda y: y[:-1], r"labels: labels are one integer for each sample .found int64 \(119,\), limit \(120,\)"),
        (lambda y: y.astype(float), r"labels are one integer for each sample .found float64"),
        (lambda y: y + 1, r"labels beyond the network's outputs .found 1..3, limit 0..2"),
        (lambda y: y - 1, r"labels beyond the network's outputs .found -1..1, limit 0..2"),
    ],
    ids=["length", "reals", "too large", "negative"],
)
def test_labels_that_cannot_be_are_refused(graph, decided, recipe, change, words):
    with pytest.raises(DataError, match=words):
        build(graph, decided.x, chip("loihi1"), recipe, labels=change(decided.y))


@pytest.fixture(scope="module")
def rated(graph, decided):
    return build(graph, decided.x, chip("loihi1"), RECIPES["rate"])


@pytest.mark.parametrize(("labels", "words"), [(np.zeros(9, int), "one integer"), (np.full(10, 3), "beyond")])
def test_labels_of_test_samples_are_checked_too(rated, decided, labels, words):
    with pytest.raises(DataError, match=words):
        measure(rated, Samples(decided.x[:10], labels), RECIPES["rate"])


@pytest.mark.parametrize(
    ("x", "error"),
    [(np.full((5, 9), np.nan), DataError), (np.full((5, 9), 2.0), DataError), (np.zeros((5, 8)), ShapeError)],
    ids=["NaN", "range", "shape"],
)
def test_test_samples_that_cannot_be_used_are_refused(rated, x, error):
    with pytest.raises(error):
        measure(rated, Samples(x.astype(np.float32), np.zeros(5, np.int64)), RECIPES["rate"])


def with_hidden_bias(graph, bias):
    nodes = [
        replace(node, operation=Linear(node.operation.synapse, bias)) if node.name == "hidden" else node
        for node in graph.nodes
    ]
    return AnnGraph("dead", tuple(nodes), graph.output)


@every_recipe
def test_a_layer_that_is_never_active_is_named(graph, decided, recipe):
    told = notes(with_hidden_bias(graph, np.full(12, -50.0)), decided.x, recipe)
    assert "hidden: never active on the calibration data; its scale is 1" in told


@every_recipe
def test_a_layer_that_is_partly_dead_is_named_with_the_share(graph, decided, recipe):
    bias = np.array(graph["hidden"].operation.bias)
    bias[:3] = -50.0
    told = notes(with_hidden_bias(graph, bias), decided.x, recipe)
    assert "hidden: 3 of 12 channels (25%) never active on the calibration data" in told


def test_a_dead_layer_is_named_whatever_the_normalization(graph, decided):
    dead = with_hidden_bias(graph, np.full(12, -50.0))
    told = notes(dead, decided.x, Recipe(steps=8, normalization="fixed", factor=2.0))
    assert "hidden: never active on the calibration data" in told


@every_recipe
def test_weights_that_are_not_finite_name_their_layer(graph, decided, recipe):
    with pytest.raises(ModelError, match="hidden: a bias that is NaN or infinite"):
        build(with_hidden_bias(graph, np.full(12, np.nan)), decided.x, chip("loihi1"), recipe)


def deep_graph(layers):
    rng = np.random.default_rng(2)
    nodes = [Node("x", Source((5,)))]
    for number in range(layers):
        nodes += [
            Node(f"fc{number}", Linear(Dense(rng.normal(size=(5, 5)) + 0.3)), (nodes[-1].name,)),
            Node(f"relu{number}", Rectify(), (f"fc{number}",)),
        ]
    nodes.append(Node("out", Linear(Dense(rng.normal(size=(2, 5)))), (nodes[-1].name,)))
    return AnnGraph("deep", tuple(nodes), "out"), rng.random((60, 5)).astype(np.float32)


@pytest.mark.parametrize("method", ["rate", "rate-calibrated"])
def test_a_network_deeper_than_the_run_is_long_names_the_first_layer_that_is_late(method):
    graph, samples = deep_graph(4)
    recipe = Recipe(method=method, steps=2, readout="potential")
    late = [note for note in notes(graph, samples, recipe) if "its first input arrives" in note]
    assert late == [
        "fc1: its first input arrives at step 2, after the 2 input steps; "
        "the network is deeper than the run is long: use more steps"
    ]


def test_a_run_that_is_long_enough_is_not_late():
    graph, samples = deep_graph(2)
    assert not any("its first input arrives" in note for note in notes(graph, samples, Recipe(steps=8)))


def test_phases_beyond_the_budget_are_refused_with_the_figure():
    graph, samples = deep_graph(4)
    selection = build(graph, samples, chip("loihi1"), Recipe(method=AUTO, steps=7, v_init_fraction=0.5)).selection
    refused = [trial.refused for trial in selection.trials if trial.settings == "4 levels"]
    assert "phases of exact mode (4 x 4 steps) and one input step exceed the budget (found 17 steps" in refused[0]
