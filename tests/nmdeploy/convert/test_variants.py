"""Each stage of a conversion by itself."""

import numpy as np
import pytest

import nmdeploy
from nmdeploy.coding import DeterministicRate
from nmdeploy.convert.integers import to_integers
from nmdeploy.convert.spiking import to_spiking
from nmdeploy.convert.variants import BOTH, CHIP, RESET, SPIKES, WEIGHTS, variants
from nmdeploy.emulator.result import Recording
from nmdeploy.emulator.run import emulate


@pytest.fixture
def spiking(digits_like, rng):
    return to_spiking(digits_like, rng.random((20, 1, 8, 8)))


@pytest.mark.parametrize(("chip", "own"), [("loihi1", "zero"), ("loihi1/subtract", "subtract")])
def test_each_stage_changes_one_thing(spiking, chip, own):
    choice = nmdeploy.chip(chip)
    forms = variants(spiking, choice)
    assert list(forms) == [SPIKES, RESET, WEIGHTS, BOTH, CHIP]
    resets = {name: form["conv"].neuron.reset for name, form in forms.items() if name != CHIP}
    assert resets == {SPIKES: "subtract", RESET: own, WEIGHTS: "subtract", BOTH: own}
    assert {name for name, form in forms.items() if form.is_integer} == {WEIGHTS, BOTH, CHIP}
    for name in (SPIKES, RESET):
        assert forms[name].projections == spiking.projections
    assert forms[WEIGHTS].projections == to_integers(spiking, choice.precision).projections


def test_the_last_is_what_would_be_deployed(spiking, rng):
    choice = nmdeploy.chip("loihi1")
    deployed = nmdeploy.deploy(to_integers(variants(spiking, choice)[RESET], choice.precision), choice).network
    spikes = DeterministicRate().encode(rng.random((4, 1, 8, 8)), 12)
    everything = Recording(spikes=("*",))
    wanted = emulate(deployed, spikes, record=everything)
    found = emulate(variants(spiking, choice)[CHIP], spikes, record=everything)
    for name, expected in wanted.spikes.items():
        np.testing.assert_array_equal(found.spikes[name], expected)
