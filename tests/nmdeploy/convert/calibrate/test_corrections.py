"""Each correction of a calibration alone changes what it says, and nothing else."""

from dataclasses import fields

import numpy as np
import pytest

from nmdeploy.convert.calibrate import Corrections, calibrate
from nmdeploy.convert.calibrate.fit import fit_rates
from nmdeploy.convert.calibrate.search import CANDIDATES, candidates, search, trials
from nmdeploy.convert.integers import to_integers
from nmdeploy.emulator.result import Recording
from nmdeploy.emulator.run import emulate

STEPS = 8
NAMES = [each.name for each in fields(Corrections)]


def changes(before, after, latency):
    """What differs between a network and its calibration, by the name of the correction."""
    conv, first = after["conv"].neuron, before["conv"].neuron
    dense = [each.projections[1].synapses[-1].weight for each in (before, after)]
    biases = [np.broadcast_to(each["fc"].neuron.bias, (5,)) for each in (before, after)]
    found = set()
    if conv.threshold != first.threshold:
        found.add("thresholds")
    if conv.v_init != first.v_init:
        found.add("starts")
    if not np.allclose(dense[0], dense[1], rtol=1e-6):
        found.add("weights")
    scaled = np.allclose(biases[1], biases[0] * STEPS / (STEPS + latency), rtol=1e-5)
    if not (scaled or np.allclose(*biases, rtol=1e-6)):
        found.add("biases")
    if not np.allclose(conv.bias, first.bias, rtol=1e-6):
        found.add("timing")
    return found


@pytest.mark.parametrize(
    ("name", "changed"),
    [
        (None, set()),
        ("timing", {"timing"}),
        ("thresholds", {"thresholds"}),
        ("starts", {"starts"}),
        ("gains", {"weights"}),
        ("offsets", {"biases"}),
        ("refit", {"weights", "biases"}),
    ],
)
def test_one_alone(spiking, images, loihi, on_chip, name, changed):
    corrections = Corrections.only(*([name] if name else []))
    told = []
    found = calibrate(
        spiking, images, loihi, steps=STEPS, corrections=corrections, progress=lambda *pair: told.append(pair)
    )
    assert changes(spiking, found.network, on_chip(spiking, loihi).latency()) == changed
    assert told[-1][0] == told[-1][1] == trials(80, candidates(corrections.thresholds, corrections.starts))


def test_all_are_the_default(spiking, images, loihi):
    assert Corrections() == Corrections.only(*NAMES)
    plain, all_of_them = (
        calibrate(spiking, images, loihi, steps=STEPS, **options)
        for options in ({}, {"corrections": Corrections.only(*NAMES)})
    )
    assert plain.layers == all_of_them.layers
    np.testing.assert_array_equal(*(each.network["fc"].neuron.bias for each in (plain, all_of_them)))


def test_none_leaves_the_chip_doing_what_it_did(spiking, images, loihi, on_chip):
    left = calibrate(spiking, images, loihi, steps=STEPS, corrections=Corrections.only()).network
    spikes = np.round(np.random.default_rng(0).random((STEPS, 3, 1, 8, 8))).astype(np.uint8)
    before, after = (emulate(on_chip(each, loihi), spikes, record=Recording(spikes=("*",))) for each in (spiking, left))
    for name, wanted in before.spikes.items():
        np.testing.assert_array_equal(after.spikes[name], wanted)
    np.testing.assert_array_equal(after.final_potentials["fc"], before.final_potentials["fc"])
    assert to_integers(left, loihi.precision).projections[0].delay == 1


def test_candidates_change_only_what_may_be_changed():
    assert candidates() == CANDIDATES
    assert {each.threshold for each in candidates(thresholds=False)} == {1.0}
    assert [each.v_init for each in candidates(thresholds=False)] == [0, 0.25, 0.5]
    assert {each.v_init for each in candidates(starts=False)} == {0}
    assert len(candidates(starts=False)) == 12
    (only,) = candidates(thresholds=False, starts=False)
    assert (only.threshold, only.v_init) == (1.0, 0.0)
    tried = []
    search(
        lambda candidate, count: tried.append(count) or fit_rates(np.ones((1, 1, 1)), np.ones((1, 1, 1))), 400, [only]
    )
    assert len(tried) == trials(400, [only]) == 2


@pytest.mark.parametrize("per_channel", [True, False])
@pytest.mark.parametrize("offsets", [True, False])
def test_without_gains_a_rate_stays_what_it_is(rng, per_channel, offsets):
    rates = rng.random((9, 3, 4))
    shift = np.array([0.1, -0.2, 0.3])
    fit = fit_rates(rates, rates + shift[:, None], per_channel=per_channel, offsets=offsets, gains=False)
    np.testing.assert_array_equal(fit.gain, np.ones(3))
    assert fit.layer_gain == 1
    expected = shift if per_channel and offsets else np.zeros(3)
    np.testing.assert_allclose(fit.offset, expected, atol=1e-12)
    assert fit.error == pytest.approx(np.mean(np.square(shift - expected)), abs=1e-12)
