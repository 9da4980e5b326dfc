"""From training to the chip: plain layers, a trainer of one's own, and not one count that differs."""

from dataclasses import dataclass

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

import nmdeploy  # noqa: E402
from nmdeploy import from_torch, to_spiking  # noqa: E402
from nmdeploy.convert.exact import quantize_activations  # noqa: E402
from nmdeploy.convert.exact.capability import CountRules  # noqa: E402
from nmdeploy.convert.exact.recipe import counts_of  # noqa: E402
from nmdeploy.convert.finetune import finetune, finish, prepare  # noqa: E402
from nmdeploy.convert.names import population_names  # noqa: E402
from nmdeploy.convert.terms import pre_activations  # noqa: E402
from nmdeploy.pipeline import Recipe, build, measure  # noqa: E402
from quantize import IntegerFormat  # noqa: E402


@dataclass(frozen=True)
class Unlimited(CountRules):
    """A chip that holds every sum, with weights so fine that next to nothing is rounded."""

    def step(self, wanted):
        return int(wanted)

    def excess(self, layer, levels, reach):
        return 0.0


@pytest.fixture(scope="module")
def shortcut(residual, loader):
    """A residual network of 8 levels and 6 bits."""
    return finetune(residual, loader(), levels=8, weight_bits=6, epochs=1, input_steps=16)


@pytest.fixture(scope="module")
def tuned(digits, cnn):
    """A network of 4 levels and 4 bits, trained by a loop that is not ours."""
    torch.set_num_threads(1)
    training = digits[0]
    prepared = prepare(cnn, training.x[:200], levels=4, weight_bits=4, input_steps=8)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        optimizer = torch.optim.SGD(prepared.parameters(), lr=0.02, momentum=0.9)
        x, y = torch.from_numpy(training.x), torch.from_numpy(training.y)
        for index in torch.randperm(len(x)).split(50):
            optimizer.zero_grad()
            nn.functional.cross_entropy(prepared(x[index]), y[index]).backward()
            optimizer.step()
    return finish(prepared)


def test_a_trainer_of_ones_own(tuned, digits, accuracy):
    assert accuracy(tuned.prepared, digits[1]) > 0.9
    assert tuned.history == ()
    assert tuned.bounds == tuned.prepared.bounds


def test_the_result_has_plain_layers_only(tuned):
    kinds = {type(module) for module in tuned.model.children()}
    assert kinds == {nn.Conv2d, nn.Hardtanh, nn.AvgPool2d, nn.Flatten, nn.Linear}
    assert not tuned.model.training
    assert tuned.model.get_submodule("relu1").max_val == tuned.bounds["relu1"]


def test_weights_have_few_values(tuned):
    for name, value in tuned.model.named_parameters():
        if name.endswith("weight"):
            assert len(torch.unique(value)) <= 2**4 - 1


def test_finishing_leaves_the_training_as_it_is(tuned, digits):
    x = torch.from_numpy(digits[1].x[:20])
    with torch.no_grad():
        before = tuned.prepared(x)
        again = finish(tuned.prepared)
        after = tuned.prepared(x)
        np.testing.assert_array_equal(before, after)
        np.testing.assert_array_equal(again.model(x), tuned.model(x))


def test_the_recipe_says_what_training_saw(tuned, mlp, digits):
    recipe = tuned.recipe()
    assert (recipe.method, recipe.levels, recipe.steps, recipe.normalization) == ("exact", 4, 8, "bounds")
    assert tuned.recipe(steps=12, bounds="sampled").steps == 12
    shifted = finish(prepare(mlp, digits[0].x[:20], input_range=(-1.0, 2.0))).recipe()
    assert (shifted.low, shifted.high, shifted.steps) == (-1.0, 2.0, Recipe().steps)


def differing(tuned, rules, x):
    """Share and size of what differs between counts of the integers and of the training; how often logits do."""
    graph = from_torch(tuned.model, x[:1])
    spiking = to_spiking(graph, x, normalization="bounds", readout="potential")
    ann = quantize_activations(spiking, rules, levels=tuned.levels, input_steps=tuned.input_steps)
    given = counts_of(tuned.recipe().encoder, x, tuned.input_steps)
    counts, wanted = ann.counts(given), tuned.prepared.counts(torch.from_numpy(x))
    names = population_names(graph, pre_activations(graph, rectify_output=False))
    assert len(wanted) == len(counts) - 2
    differences = np.concatenate([np.abs(counts[names[path]] - each.numpy()).ravel() for path, each in wanted.items()])
    with torch.no_grad():
        scores = tuned.prepared(torch.from_numpy(x)).numpy()
    off = np.abs(ann.scores(given) - scores).max(axis=1) > 1e-3 * np.abs(scores).max()
    return np.mean(differences > 0), differences.max(), np.mean(off)


def test_counts_are_those_of_the_training_but_for_rounded_scales(tuned, shortcut, digits, rules_of_loihi):
    """Where nothing is rounded nothing differs; on the chip a few counts in a hundred do, most by one."""
    for each in (tuned, shortcut):
        share, most, logits = differing(each, Unlimited(IntegerFormat(30)), digits[1].x)
        assert share < 1e-4
        assert most <= 1
        assert logits < 0.1
        share, most, _ = differing(each, rules_of_loihi, digits[1].x)
        assert 0 < share < 0.05
        assert most <= 2


@pytest.fixture(scope="module")
def rules_of_loihi():
    choice = nmdeploy.chip("loihi1")
    return choice.target.exact_rules(choice.chip, choice.profile)


@pytest.mark.parametrize("chip", ["loihi1", "spinnaker"])
def test_not_one_count_differs_on_the_chip(tuned, shortcut, digits, accuracy, chip):
    for each in (tuned, shortcut):
        few, recipe = digits[1].first(60), each.recipe()
        stages = build(from_torch(each.model, few.x[:1]), digits[0].x[:100], nmdeploy.chip(chip), recipe)
        figures = measure(stages, few, recipe).figures
        assert figures["exact.mismatches"]["value"] == 0
        assert figures["accuracy.chip"]["value"] == figures["accuracy.quantized ANN"]["value"]
        assert abs(figures["accuracy.chip"]["value"] - accuracy(each.prepared, few)) <= 0.05
