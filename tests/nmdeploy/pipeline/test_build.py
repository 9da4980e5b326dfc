"""The recipe that travels with a bundle, and measuring every stage."""

import numpy as np
import pytest

from nmdeploy.ann.execute import run as run_graph
from nmdeploy.ann.graph import AnnGraph, Linear, Node, Rectify, Source
from nmdeploy.coding import ConstantCurrent, DeterministicRate, MembranePotential, SpikeCount
from nmdeploy.data import Samples
from nmdeploy.emulator.result import Recording
from nmdeploy.emulator.run import emulate
from nmdeploy.errors import UsageError
from nmdeploy.network import Network, Population, Projection
from nmdeploy.neurons import IF
from nmdeploy.pipeline import Recipe, build, measure, place
from nmdeploy.registry import chip
from nmdeploy.synapses import Dense
from targets.loihi.neuron import LoihiLIF, LoihiLIFSubtract


def test_a_recipe_comes_back_from_the_provenance_it_left():
    recipe = Recipe(steps=32, normalization="fixed", factor=2.5, input="current", low=-1.0, readout="potential", seed=9)
    assert Recipe.from_provenance(recipe.provenance()) == recipe


def test_what_an_older_release_did_not_tell_has_its_default():
    told = Recipe(steps=7, reset="zero", per_channel=True).provenance()
    del told["recipe.reset"], told["recipe.per_channel"]
    assert Recipe.from_provenance(told) == Recipe(steps=7)


@pytest.mark.parametrize("provenance", [{}, {"nmdeploy": "0.1.0"}, {"recipe.magic": "1"}])
def test_provenance_without_a_known_recipe_is_refused(provenance):
    with pytest.raises(UsageError, match="does not tell a recipe"):
        Recipe.from_provenance(provenance)


@pytest.mark.parametrize(
    ("name", "reset", "chosen", "model"),
    [
        ("loihi1", "auto", "zero", LoihiLIF),
        ("loihi1/subtract", "auto", "subtract", LoihiLIFSubtract),
        ("loihi1/subtract", "zero", "zero", LoihiLIF),
        ("loihi1", "subtract", "subtract", LoihiLIF),
    ],
)
def test_the_chips_best_reset_is_chosen_and_stored(name, reset, chosen, model):
    integers, deployment = place(spiking_network(), chip(name), Recipe(reset=reset))
    assert integers["hidden"].neuron.reset == chosen
    assert type(deployment.network["hidden"].neuron) is model
    assert deployment.provenance["reset"] == chosen
    assert Recipe.from_provenance(deployment.provenance).reset == reset
    assert any("neurons have reset" in note for note in deployment.network.notes) == (reset == "auto")
    assert any(remark.code == "LOI101" for remark in deployment.remarks) == ((name, reset) == ("loihi1", "subtract"))


def test_a_deployment_can_move_to_a_chip_that_resets_in_another_way():
    _, first = place(spiking_network(), chip("loihi1"), Recipe())
    _, second = place(first.source, chip("loihi1/subtract"), Recipe.from_provenance(first.provenance))
    assert isinstance(second.network["hidden"].neuron, LoihiLIFSubtract)
    told = [note for note in second.network.notes if "neurons have reset" in note]
    assert told == ["neurons have reset by subtraction: the best that loihi1/subtract can do"]


def test_scales_per_channel_reach_the_chip():
    _, deployment = place(spiking_network(), chip("loihi1"), Recipe(per_channel=True))
    assert len(np.unique(deployment.network["hidden"].neuron.vth)) == 6
    _, deployment = place(spiking_network(), chip("loihi1"), Recipe())
    assert np.size(deployment.network["hidden"].neuron.vth) == 1


def test_no_core_holds_more_thresholds_than_it_can():
    rng = np.random.default_rng(2)
    populations = (Population("in", (5,)), Population("out", (20,), IF(1.0)))
    network = Network("wide", populations, (Projection("in", "out", (Dense(rng.normal(size=(20, 5))),)),))
    _, deployment = place(network, chip("loihi1"), Recipe(per_channel=True))
    thresholds = deployment.network["out"].neuron.vth
    held = [len(np.unique(thresholds[load.neurons])) for load in deployment.placement.of("out")]
    assert sum(held) >= len(np.unique(thresholds)) > 8
    assert max(held) <= 8
    assert [remark.code for remark in deployment.remarks] == ["LOI009"]
    assert place(network, chip("loihi1"), Recipe())[1].placement.core_count == 1


@pytest.mark.parametrize(
    ("name", "per_channel"), [("loihi1", True), ("loihi1/subtract", None), ("loihi1/subtract", True)]
)
def test_what_the_chip_does_is_what_its_integers_say(name, per_channel):
    """Spikes of the lowered network are those of the integer network, only late."""
    integers, deployment = place(spiking_network(), chip(name), Recipe(per_channel=per_channel))
    spikes = np.random.default_rng(1).integers(0, 2, (30, 2, 8)).astype(np.uint8)
    wanted = emulate(integers, spikes, record=Recording(spikes=("*",)))
    found = emulate(deployment, spikes, record=Recording(spikes=("*",)))
    np.testing.assert_array_equal(found.spikes["hidden"][1:31], wanted.spikes["hidden"])
    np.testing.assert_array_equal(found.spikes["out"][2:32], wanted.spikes["out"])
    assert wanted.spikes["out"].any()


def spiking_network():
    rng = np.random.default_rng(0)
    populations = (Population("in", (8,)), Population("hidden", (6,), IF(1.0)), Population("out", (3,), IF(1.0)))
    projections = (
        Projection("in", "hidden", (Dense(rng.normal(size=(6, 8)) * 0.5 + 0.2),)),
        Projection("hidden", "out", (Dense(rng.normal(size=(3, 6)) * 0.5 + 0.3),)),
    )
    return Network("small", populations, projections)


def test_the_encoder_follows_the_recipe():
    assert Recipe(low=-1.0, high=2.0).encoder == DeterministicRate(low=-1.0, high=2.0)
    assert Recipe(input="current").encoder == ConstantCurrent()


class TestCalibratedRecipe:
    """`rate-calibrated`, from graph to deployment."""

    @pytest.fixture
    def graph(self):
        rng = np.random.default_rng(4)
        hidden, out = rng.normal(size=(12, 9)) / 2, rng.normal(size=(3, 12)) / 2
        nodes = (
            Node("x", Source((9,))),
            Node("hidden", Linear(Dense(hidden), rng.normal(size=12) / 5), ("x",)),
            Node("relu", Rectify(), ("hidden",)),
            Node("out", Linear(Dense(out)), ("relu",)),
        )
        return AnnGraph("small", nodes, "out")

    @pytest.fixture
    def samples(self):
        x = np.random.default_rng(5).random((120, 9)).astype(np.float32)
        return Samples(x, np.zeros(120, np.int64))

    def test_the_chip_decides_like_the_trained_network(self, graph, samples):
        labels = run_graph(graph, samples.x)["out"].argmax(axis=1)
        test = Samples(samples.x[60:], labels[60:])
        accuracy = {}
        for method in ("rate", "rate-calibrated"):
            recipe = Recipe(method=method, steps=8)
            stages = build(graph, samples.x[:60], chip("loihi1"), recipe)
            deployment = measure(stages, test, recipe)
            accuracy[method] = deployment.figures["accuracy.chip"]["value"]
            assert Recipe.from_provenance(deployment.provenance) == recipe
        assert accuracy["rate-calibrated"] > max(0.8, accuracy["rate"])
        assert deployment.readout == MembranePotential()
        assert any("calibrated for loihi1/chip and 8 steps" in note for note in deployment.network.notes)

    @pytest.mark.parametrize("readout", ["count", "potential"])
    def test_the_read_out_can_be_given(self, graph, samples, readout):
        recipe = Recipe(method="rate-calibrated", steps=4, readout=readout)
        deployment = build(graph, samples.x, chip("loihi1"), recipe).deployment
        assert deployment.readout == (SpikeCount() if readout == "count" else MembranePotential())

    def test_the_loop_quantizes_as_the_recipe_says(self, graph, samples):
        recipe = Recipe(method="rate-calibrated", steps=4, per_channel=True)
        deployment = build(graph, samples.x, chip("loihi1"), recipe).deployment
        assert len(np.unique(deployment.network["hidden"].neuron.vth)) > 1

    def test_an_initial_potential_cannot_be_given(self, graph, samples):
        with pytest.raises(UsageError, match="finds initial potentials by itself"):
            build(graph, samples.x, chip("loihi1"), Recipe(method="rate-calibrated", v_init_fraction=0.5))

    def test_there_are_no_other_recipes(self, graph, samples):
        with pytest.raises(UsageError, match=r"unknown recipe.*found 'magic'.*rate, rate-calibrated"):
            build(graph, samples.x, chip("loihi1"), Recipe(method="magic"))
