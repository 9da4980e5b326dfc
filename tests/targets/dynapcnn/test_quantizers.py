"""The chip's own schemes by name, through the whole path."""

import numpy as np
import pytest

from nmdeploy.ann.execute import run as run_graph
from nmdeploy.ann.graph import AnnGraph, Linear, Node, Rectify, Source
from nmdeploy.cli.main import run
from nmdeploy.data import Samples
from nmdeploy.errors import UsageError
from nmdeploy.pipeline import Recipe, build, measure, place
from nmdeploy.registry import chip
from nmdeploy.synapses import Conv2d, Dense, Reshape, SumPool2d
from targets.dynapcnn import TARGET

SCHEMES = ("sinabs", "sinabs-discretizer", "best")


@pytest.fixture
def graph():
    rng = np.random.default_rng(3)
    nodes = (
        Node("x", Source((1, 6, 6))),
        Node("conv", Linear(Conv2d(rng.normal(size=(4, 1, 3, 3)))), ("x",)),
        Node("relu", Rectify(), ("conv",)),
        Node("pool", Linear(SumPool2d(2)), ("relu",)),
        Node("flat", Linear(Reshape((16,))), ("pool",)),
        Node("dense", Linear(Dense(rng.normal(size=(12, 16)) / 4)), ("flat",)),
        Node("relu2", Rectify(), ("dense",)),
        Node("out", Linear(Dense(rng.normal(size=(3, 12)) / 2)), ("relu2",)),
    )
    return AnnGraph("small", nodes, "out")


@pytest.fixture
def samples():
    return np.random.default_rng(5).random((60, 1, 6, 6)).astype(np.float32)


def test_the_schemes_of_every_profile():
    for model in TARGET.chips().values():
        for profile in TARGET.profiles(model):
            assert tuple(TARGET.quantizers(model, profile)) == SCHEMES


@pytest.mark.parametrize("scale", ["max", "sinabs", "best"])
def test_a_scheme_by_name_from_graph_to_bundle(scale, graph, samples):
    recipe = Recipe(steps=12, scale=scale)
    stages = build(graph, samples, chip("speck2f"), recipe)
    wanted = {"max": "neurons have reset", "sinabs": "weight bits in use", "best": "off by"}[scale]
    assert any(wanted in note for note in stages.deployment.network.notes)
    assert Recipe.from_provenance(stages.deployment.provenance) == recipe
    floors = [p.neuron.v_min for p in stages.integers.populations if p.neuron is not None]
    assert all((floor is None) == (scale != "sinabs") for floor in floors)
    labels = run_graph(graph, samples)["out"].argmax(axis=1)
    measured = measure(stages, Samples(samples, labels), recipe)
    assert measured.figures["accuracy.chip"]["value"] > 0.85


def test_a_bundle_without_its_samples_can_move_to_another_chip(graph, samples):
    first = build(graph, samples, chip("speck2f"), Recipe(steps=4, scale="best")).deployment
    _, second = place(first.source, chip("speck2e"), Recipe.from_provenance(first.provenance))
    assert any("want of calibration samples" in note for note in second.network.notes)


def test_a_scheme_that_there_is_not(graph, samples):
    choice, recipe = chip("speck2f"), Recipe(steps=4, scale="magic")
    spiking = build(graph, samples, choice, Recipe(steps=4)).spiking
    limit = "max, percentile, mse, power-of-two, sinabs, sinabs-discretizer, best"
    words = f"unknown scale for speck2f/chip .*'magic', limit {limit}"
    with pytest.raises(UsageError, match=words):
        build(graph, samples, choice, recipe)
    with pytest.raises(UsageError, match=words):
        place(spiking, choice, recipe)


def test_a_scheme_of_another_family(graph, samples):
    with pytest.raises(UsageError, match="unknown scale for loihi1/chip"):
        build(graph, samples, chip("loihi1"), Recipe(steps=4, scale="sinabs"))


def test_a_scheme_decides_by_itself_on_channels(graph, samples):
    with pytest.raises(UsageError, match="knows by itself"):
        build(graph, samples, chip("speck2f"), Recipe(steps=4, scale="best", per_channel=False))


@pytest.mark.parametrize(
    ("name", "scale"), [("speck2f", "max"), ("speck2f/step", "sinabs"), ("speck2f/readout", "best")]
)
def test_calibration_with_the_chip_in_the_loop(name, scale, graph, samples):
    readout = "count" if name.endswith("readout") else "auto"
    recipe = Recipe(method="rate-calibrated", steps=6, scale=scale, readout=readout)
    stages = build(graph, samples[:30], chip(name), recipe)
    labels = run_graph(graph, samples[30:])["out"].argmax(axis=1)
    measured = measure(stages, Samples(samples[30:], labels), recipe)
    assert measured.figures["accuracy.chip"]["value"] > 0.85
    if name.endswith("readout"):
        assert stages.deployment.network["out"].shape == (9, 1, 1)


def test_the_command_line_lists_the_schemes(capsys):
    assert run(["targets"]) == 0
    assert ", ".join(SCHEMES) in capsys.readouterr().out
