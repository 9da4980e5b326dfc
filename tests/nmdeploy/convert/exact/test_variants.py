"""The approximations of exact mode, each alone."""

from dataclasses import replace

import numpy as np
import pytest

from nmdeploy.ann.execute import run as run_graph
from nmdeploy.coding import DeterministicRate
from nmdeploy.convert.calibrate.rates import activations
from nmdeploy.convert.exact.quantize import quantize_activations
from nmdeploy.convert.exact.recipe import counts_of
from nmdeploy.convert.exact.variants import (
    ALL,
    BOUNDED,
    COUNTED,
    INPUT,
    NARROWED,
    NOT_NARROWED,
    TRAINED,
    WEIGHTS,
    exact_variants,
)
from nmdeploy.convert.spiking import to_spiking

LEVELS, STEPS = 6, 10


@pytest.fixture
def images(rng):
    return rng.random((300, 1, 8, 8), dtype=np.float32)


@pytest.fixture
def spiking(digits_like, images):
    return to_spiking(digits_like, images, readout="potential", percentile=95)


@pytest.fixture
def narrow_rules(rules_of):
    """Loihi with potentials so narrow that layers have to be scaled down."""
    return replace(rules_of("loihi1"), read_out=1500, step_sum=900)


@pytest.fixture
def forms(spiking, narrow_rules):
    return exact_variants(spiking, narrow_rules, DeterministicRate(), levels=LEVELS, input_steps=STEPS)


def test_their_names_are_in_order(forms):
    assert list(forms) == [TRAINED, BOUNDED, COUNTED, INPUT, WEIGHTS, NARROWED, NOT_NARROWED, ALL]


def test_without_any_it_is_the_trained_network(forms, digits_like, images):
    np.testing.assert_allclose(
        forms[TRAINED].scores(images), run_graph(digits_like, images)["fc"], rtol=1e-4, atol=1e-4
    )


def test_with_all_it_is_the_quantized_network(forms, spiking, images, narrow_rules):
    ann = quantize_activations(spiking, narrow_rules, levels=LEVELS, input_steps=STEPS)
    wanted = ann.scores(counts_of(DeterministicRate(), images, STEPS))
    np.testing.assert_allclose(forms[ALL].scores(images), wanted, rtol=0)
    assert any("scaled down" in note for note in ann.network.notes)


def test_only_the_activations_are_bounded(forms, spiking, images):
    name = spiking.inputs[0].name
    inside = np.minimum(activations(spiking, "conv", {name: images}), 1)
    assert np.mean(inside == 1) > 0.02
    expected = activations(spiking, "fc", {"conv": inside})
    np.testing.assert_allclose(forms[BOUNDED].scores(images), expected, rtol=1e-4, atol=1e-4)
    assert not np.allclose(forms[TRAINED].scores(images), expected, rtol=1e-2)


def test_only_the_activations_are_counted(forms, spiking, images):
    name = spiking.inputs[0].name
    reals = np.clip(activations(spiking, "conv", {name: images}).astype(np.float64), 0, 1)
    expected = activations(spiking, "fc", {"conv": (np.floor(LEVELS * reals + 0.5) / LEVELS).astype(np.float32)})
    found = forms[COUNTED].scores(images)
    # A count may fall either way where float32 and float64 round differently.
    assert np.mean(np.isclose(found, expected, rtol=1e-4, atol=1e-4)) > 0.99


def test_only_the_input_is_counted(forms, digits_like, images):
    counted = counts_of(DeterministicRate(), images, STEPS) / STEPS
    expected = run_graph(digits_like, counted.astype(np.float32))["fc"]
    np.testing.assert_allclose(forms[INPUT].scores(images), expected, rtol=1e-4, atol=1e-4)
    assert not np.allclose(forms[TRAINED].scores(images), expected, rtol=1e-3)


def test_only_the_weights_are_rounded(forms, spiking):
    """To integers of 8 bits, or to fewer of them where the layer is scaled down."""
    for place, projection in enumerate(spiking.projections):
        real = weights(projection)
        fine, coarse = (
            np.abs(weights(forms[title].network.projections[place]) - real).max() / np.abs(real).max()
            for title in (WEIGHTS, NARROWED)
        )
        assert 0 < fine < 0.6 / 127
        assert coarse > 1.1 * fine
    assert forms[WEIGHTS].levels is None
    assert not forms[WEIGHTS].counted_input


def weights(projection):
    return next(each.weight for each in projection.synapses if each.weight is not None)


def test_all_but_narrowing_has_the_finer_weights(forms, spiking, images):
    roomy, narrowed = forms[NOT_NARROWED].ann, forms[ALL].ann
    assert not any("scaled down" in note for note in roomy.network.notes)
    assert (roomy.levels, roomy.input_steps) == (LEVELS, STEPS)
    assert all(roomy.network[name].potential_scale < narrowed.network[name].potential_scale for name in ("conv", "fc"))
    found = replace(forms[WEIGHTS], counted_input=True, levels=LEVELS).scores(images)
    # In float a sum that is exactly half a step may round the other way.
    assert np.mean(np.isclose(found, forms[NOT_NARROWED].scores(images), rtol=1e-6, atol=1e-6)) > 0.8


def test_sampled_bounds_narrow_less(forms, spiking, images, narrow_rules):
    counts = counts_of(DeterministicRate(), images, STEPS)
    found = exact_variants(spiking, narrow_rules, DeterministicRate(), levels=LEVELS, input_steps=STEPS, samples=counts)
    ann = quantize_activations(spiking, narrow_rules, levels=LEVELS, input_steps=STEPS, samples=counts)
    assert found[ALL].ann.network["fc"].potential_scale < forms[ALL].ann.network["fc"].potential_scale
    np.testing.assert_allclose(found[ALL].scores(images), ann.scores(counts), rtol=0)


def test_residual_and_concatenated_layers(branched, rng, rules_of):
    samples = rng.random((40, 2, 6, 6), dtype=np.float32)
    network = to_spiking(branched, samples, readout="potential")
    found = exact_variants(network, rules_of("loihi1"), DeterministicRate(), levels=LEVELS, input_steps=STEPS)
    ann = quantize_activations(network, rules_of("loihi1"), levels=LEVELS, input_steps=STEPS)
    wanted = ann.scores(counts_of(DeterministicRate(), samples, STEPS))
    np.testing.assert_allclose(found[ALL].scores(samples), wanted, rtol=0)
    trained = run_graph(branched, samples, ["conv2"])["conv2"].reshape(40, -1)
    np.testing.assert_allclose(found[BOUNDED].scores(samples), trained, rtol=0.5, atol=0.6)
