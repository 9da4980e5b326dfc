"""Each stage of a conversion by itself."""

from dataclasses import fields

import numpy as np
import pytest

import nmdeploy
from nmdeploy.coding import DeterministicRate
from nmdeploy.convert.calibrate import Corrections, calibrate
from nmdeploy.convert.integers import to_integers
from nmdeploy.convert.spiking import to_spiking
from nmdeploy.convert.variants import (
    ALONE,
    BOTH,
    CALIBRATED,
    CHIP,
    NOT_CALIBRATED,
    RESET,
    SPIKES,
    WEIGHTS,
    calibrated_variants,
    variants,
)
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


def test_each_correction_of_a_calibration_alone(digits_like, rng):
    choice = nmdeploy.chip("loihi1")
    images = rng.random((40, 1, 8, 8))
    network = to_spiking(digits_like, images, readout="potential", reset="zero")
    found = calibrated_variants(network, images, choice, steps=6)
    assert list(found) == [NOT_CALIBRATED, *ALONE.values(), CALIBRATED]
    assert set(ALONE) == {each.name for each in fields(Corrections)}
    assert all(form.is_integer for form in found.values())
    spikes = DeterministicRate().encode(images[:4], 6)
    for title, options in ((NOT_CALIBRATED, {"corrections": Corrections.only()}), (CALIBRATED, {})):
        calibrated = calibrate(network, images, choice, steps=6, **options).network
        deployed = nmdeploy.deploy(to_integers(calibrated, choice.precision), choice).network
        wanted, got = (emulate(each, spikes, record=Recording(spikes=("*",))) for each in (deployed, found[title]))
        for name, expected in wanted.spikes.items():
            np.testing.assert_array_equal(got.spikes[name], expected)
        np.testing.assert_array_equal(got.final_potentials["fc"], wanted.final_potentials["fc"])
    plain = found[NOT_CALIBRATED]["conv"].neuron
    assert found[ALONE["starts"]]["conv"].neuron.v_init > plain.v_init == 0
