"""From the pipeline's stages, through training, back to the pipeline."""

import json

import numpy as np
import pytest

from nmdeploy.bundle import load, save
from nmdeploy.convert.surrogate import train_stages
from nmdeploy.convert.surrogate.stages import TRAINING
from nmdeploy.errors import UsageError
from nmdeploy.pipeline import Recipe, build, measure

STEPS = 6


@pytest.fixture
def stages(digits_like, images, loihi):
    return build(digits_like, images[:40], loihi, Recipe(steps=STEPS, readout="potential", seed=4, per_channel=True))


@pytest.fixture
def trained(stages, taught, loihi):
    pytest.importorskip("torch")
    titles = []

    class Shown:
        def __init__(self, title):
            titles.append(title)

        def __enter__(self):
            return lambda _done, _total: None

        def __exit__(self, *_):
            return False

    found = train_stages(stages, taught.first(200), loihi, Shown, epochs=2, lr=0.05)
    assert titles == ["training on Loihi 1", "mapping to Loihi 1"]
    return found


def test_the_trained_network_is_placed_by_the_same_recipe(stages, trained):
    after, training = trained
    assert after.graph is stages.graph
    assert after.recipe is stages.recipe
    assert after.spiking is training.network
    assert after.deployment.source is training.network
    assert np.size(after.integers["conv"].potential_scale) > 1  # a scale a channel, as the recipe says
    assert training.network.notes[-1] in after.deployment.network.notes
    assert training.kept > 0


def test_it_can_be_measured_saved_and_read(trained, taught, tmp_path):
    after, training = trained
    deployment = measure(after, taught.take(np.arange(200, 240)), after.recipe)
    assert deployment.figures["accuracy.chip"]["samples"] == 40
    save(deployment, tmp_path / "trained.nmd")
    provenance = load(tmp_path / "trained.nmd").provenance
    assert json.loads(provenance[TRAINING]) == {
        "seed": 4,
        "epochs": 2,
        "lr": 0.05,
        "samples": 200,
        "kept": training.kept,
    }
    assert Recipe.from_provenance(provenance) == after.recipe


def test_exact_mode_is_trained_elsewhere(digits_like, images, taught, loihi):
    stages = build(digits_like, images[:40], loihi, Recipe(method="exact", steps=STEPS, levels=4))
    with pytest.raises(UsageError, match=r"exact mode has no rates.*finetune"):
        train_stages(stages, taught, loihi)
