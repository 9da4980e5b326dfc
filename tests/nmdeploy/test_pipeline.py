"""The recipe that travels with a bundle, and measuring every stage."""

import pytest

from nmdeploy.coding import ConstantCurrent, DeterministicRate, MembranePotential, SpikeCount
from nmdeploy.errors import UsageError
from nmdeploy.pipeline import Recipe


def test_a_recipe_comes_back_from_the_provenance_it_left():
    recipe = Recipe(steps=32, normalization="fixed", factor=2.5, input="current", low=-1.0, readout="potential", seed=9)
    assert Recipe.from_provenance(recipe.provenance()) == recipe


def test_what_an_older_release_did_not_tell_has_its_default():
    told = Recipe(steps=7, reset="zero").provenance()
    del told["recipe.reset"]
    assert Recipe.from_provenance(told) == Recipe(steps=7)


@pytest.mark.parametrize("provenance", [{}, {"nmdeploy": "0.1.0"}, {"recipe.magic": "1"}])
def test_provenance_without_a_known_recipe_is_refused(provenance):
    with pytest.raises(UsageError, match="does not tell a recipe"):
        Recipe.from_provenance(provenance)


def test_encoder_and_read_out_follow_the_recipe():
    assert Recipe(low=-1.0, high=2.0).encoder == DeterministicRate(low=-1.0, high=2.0)
    assert Recipe(input="current").encoder == ConstantCurrent()
    assert Recipe().decision == SpikeCount()
    assert Recipe(readout="potential").decision == MembranePotential()
