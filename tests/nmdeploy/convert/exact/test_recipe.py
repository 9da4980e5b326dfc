"""The recipe `exact`, from graph to deployment, bundle and report."""

from dataclasses import replace

import numpy as np
import pytest

from nmdeploy.ann.execute import run as run_graph
from nmdeploy.ann.graph import AnnGraph, Linear, Node, Rectify, Source
from nmdeploy.bundle import load, save
from nmdeploy.coding import Clocked, MembranePotential
from nmdeploy.convert.exact import early_spikes
from nmdeploy.convert.exact.recipe import EARLY, MISMATCHES, early_remark, exact_figures
from nmdeploy.data import Samples
from nmdeploy.emulator.result import ALL, Recording
from nmdeploy.errors import UsageError
from nmdeploy.inference import infer
from nmdeploy.pipeline import Recipe, build, measure, place
from nmdeploy.registry import chip
from nmdeploy.synapses import Dense

RECIPE = Recipe(method="exact", levels=8, steps=16)


@pytest.fixture(scope="module")
def graph():
    rng = np.random.default_rng(4)
    nodes = (
        Node("x", Source((9,))),
        Node("first", Linear(Dense(rng.normal(size=(12, 9)) / 2), rng.normal(size=12) / 5), ("x",)),
        Node("relu", Rectify(), ("first",)),
        Node("second", Linear(Dense(rng.normal(size=(8, 12)) / 3), rng.normal(size=8) / 5), ("relu",)),
        Node("relu2", Rectify(), ("second",)),
        Node("out", Linear(Dense(rng.normal(size=(4, 8)) / 2)), ("relu2",)),
    )
    return AnnGraph("small", nodes, "out")


@pytest.fixture(scope="module")
def samples(graph):
    x = np.random.default_rng(5).random((120, 9)).astype(np.float32)
    return Samples(x, run_graph(graph, x)["out"].argmax(axis=1))


@pytest.mark.parametrize("name", ["loihi1", "spinnaker"])
@pytest.mark.parametrize("bounds", ["proven", "sampled"])
def test_the_chip_decides_like_the_quantized_network(graph, samples, name, bounds):
    recipe = replace(RECIPE, bounds=bounds)
    stages = build(graph, samples.x[:60], chip(name), recipe)
    deployment = measure(stages, samples.first(60), recipe, on="made up")
    figures = deployment.figures
    right = {stage: figures[f"accuracy.{stage}"]["correct"] for stage in ("quantized ANN", "integer SNN", "chip")}
    assert len(set(right.values())) == 1
    assert right["chip"] > 50
    assert "accuracy.float SNN" not in figures
    assert figures[MISMATCHES] == {"value": 0, "kind": "emulated", "on": "made up", "samples": 60}
    assert (EARLY in figures) == (bounds == "sampled")
    assert figures.get(EARLY, {"value": 0})["value"] == 0
    assert deployment.readout == MembranePotential()
    assert isinstance(deployment.encoder, Clocked)
    assert deployment.steps == 16 + 2 * 8
    assert Recipe.from_provenance(deployment.provenance) == recipe
    notes = "\n".join(deployment.network.notes)
    assert "exact mode: counts of 0..8 a neuron (0..16 an input)" in notes
    assert ("whatever the input" in notes) == (bounds == "proven")
    told = {
        "loihi1": "a sample every 33 steps\n",
        "spinnaker": "a sample every 25 steps (25 ms at 1 ms a step, modelled)\n",
    }
    assert f"streamed (nmdeploy.convert.exact.deploy_stream): {told[name]}" in f"{notes}\n"
    latency = deployment.network.latency()
    whole = f"{deployment.steps + latency} in all"
    assert f"{whole} ({deployment.steps + latency} ms" in notes if name == "spinnaker" else f"{whole};" in notes
    assert f"16 input steps, 2 phases of 8 steps one after the other, and {latency} steps of the chip's" in notes


def test_more_levels_come_closer_to_the_trained_network(graph, samples):
    right = []
    for levels in (1, 16):
        recipe = replace(RECIPE, levels=levels, steps=32)
        deployment = build(graph, samples.x, chip("loihi1"), recipe).deployment
        right.append(infer(deployment, samples.x).decision.accuracy(samples.y))
    assert right[1] > max(right[0], 0.9)


def test_the_bundle_runs_and_tests_itself(graph, samples, tmp_path):
    deployment = measure(build(graph, samples.x, chip("loihi1"), RECIPE), samples.first(20), RECIPE)
    save(deployment, tmp_path / "exact.nmd")
    loaded = load(tmp_path / "exact.nmd")
    assert loaded == deployment
    assert loaded.encoder == deployment.encoder
    first, second = (infer(each, samples.x[:10]).decision.scores for each in (loaded, deployment))
    np.testing.assert_array_equal(first, second)
    assert loaded.vectors is not None
    assert {*loaded.vectors.inputs} == {population.name for population in loaded.network.inputs}
    with pytest.raises(UsageError, match="the clocks need more steps"):
        infer(loaded, samples.x[:1], steps=20)


def test_a_proven_deployment_moves_to_another_chip_and_a_sampled_one_does_not(graph, samples):
    first = build(graph, samples.x, chip("loihi1"), RECIPE).deployment
    _, second = place(first.source, chip("spinnaker"), Recipe.from_provenance(first.provenance))
    assert second.target == "spinnaker"
    assert not any(early_spikes(second, samples.x[:5]).values())
    sampled = replace(RECIPE, bounds="sampled")
    with pytest.raises(UsageError, match="sampled bounds need samples"):
        place(first.source, chip("loihi1"), sampled)


def test_a_run_with_sampled_bounds_tells_of_early_spikes(graph, samples):
    weak = samples.x[:30] / 8
    sampled = replace(RECIPE, bounds="sampled", levels=2)
    deployment = build(graph, weak, chip("loihi1"), sampled).deployment
    assert "none came" in early_remark(deployment, weak)
    strong = np.vstack([np.ones((1, 9)), samples.x > 0.5])
    found = sum(early_spikes(deployment, strong).values())
    assert found > 0
    assert f"{found} came: counts are not those" in early_remark(deployment, strong)
    assert early_remark(build(graph, weak, chip("loihi1"), RECIPE).deployment, weak) is None


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"readout": "count"}, "reads out potentials"),
        ({"v_init_fraction": 0.5}, "sets initial potentials by itself"),
        ({"per_channel": True}, "one scale a layer"),
        ({"scale": "mse"}, "finds its scales by itself"),
        ({"bounds": "guessed"}, "unknown bounds"),
        ({"input": "current"}, "binary input"),
        ({"levels": 0}, "at least 1"),
    ],
)
def test_what_does_not_go_with_it_is_refused(graph, samples, changes, words):
    with pytest.raises(UsageError, match=words):
        build(graph, samples.x, chip("loihi1"), replace(RECIPE, **changes))


@pytest.mark.parametrize("name", ["speck2e/step", "speck2f/readout", "spin5/conv"])
def test_chips_that_cannot_do_it_are_named(graph, samples, name):
    with pytest.raises(UsageError, match=rf"{name}.*cannot do exact mode|cannot do exact mode.*{name}"):
        build(graph, samples.x, chip(name), RECIPE)


def test_figures_are_of_exact_mode_only(graph, samples):
    stages = build(graph, samples.x, chip("loihi1"), Recipe(steps=8, readout="potential"))
    run = infer(stages.deployment, samples.x[:2], record=Recording(counts=(ALL,))).result
    quantized = build(graph, samples.x, chip("loihi1"), RECIPE).quantized
    with pytest.raises(UsageError, match="not of exact mode"):
        exact_figures(quantized, stages.deployment, samples.first(2), run, "")


def test_differences_are_named_by_population(graph, samples):
    """Of a network whose gates do nothing every count is 0."""
    stages = build(graph, samples.x, chip("loihi1"), RECIPE)
    deployment = stages.deployment
    clocks = {name: np.zeros_like(train) for name, train in deployment.encoder.clocks.items()}
    broken = deployment.with_(encoder=replace(deployment.encoder, clocks=clocks))
    run = infer(broken, samples.x[:10], record=Recording(counts=(ALL,))).result
    found = exact_figures(stages.quantized, broken, samples.first(10), run, "")[MISMATCHES]
    hidden = [population.name for population in stages.quantized.network.populations[1:3]]
    assert set(hidden) < set(found)
    told = {"value", "kind", "on", "samples"}
    assert found["value"] == sum(value for name, value in found.items() if name not in told)
