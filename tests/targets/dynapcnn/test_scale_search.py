"""The scheme `best`: scales searched on calibration samples."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from nmdeploy.coding import DeterministicRate
from nmdeploy.emulator.run import emulate
from nmdeploy.errors import FitError, QuantizationError
from nmdeploy.network import Network, Population, Projection
from nmdeploy.neurons import IF, Integrator
from nmdeploy.synapses import Conv2d, Dense, Reshape, SumPool2d
from targets.dynapcnn import TARGET
from targets.dynapcnn.scale_search import SAMPLES, STEPS

CHIP = TARGET.chips()["speck2f"]
PROFILES = ("chip", "leak", "readout", "step")


def best(network, samples, profile="chip"):
    return TARGET.quantizers(CHIP, profile)["best"](network, samples)


def chain(rng, *, floor=-1.0, bias=False, readout=False):
    """A convolution, a pool and a dense layer, with a few large weights among many small ones."""
    kernel = (rng.standard_t(2, size=(4, 2, 3, 3)) * 0.15).astype(np.float32)
    weight = (rng.standard_t(2, size=(5, 36)) * 0.08).astype(np.float32)
    biases = (rng.normal(size=(4, 1, 1)) * 0.05).astype(np.float32) if bias else 0.0
    last = Integrator() if readout else IF(1.0, v_min=floor)
    populations = (
        Population("in", (2, 8, 8)),
        Population("a", (4, 6, 6), IF(1.0, biases, v_min=floor)),
        Population("b", (5,), last),
    )
    projections = (
        Projection("in", "a", (Conv2d(kernel),)),
        Projection("a", "b", (SumPool2d(2), Reshape((36,)), Dense(weight))),
    )
    return Network("chain", populations, projections)


def counts(network, samples, profile="chip"):
    """Spike counts of all layers of an integer network on the samples that the search sees."""
    from nmdeploy.emulator.result import Recording

    lowered = TARGET.lower(network, CHIP, profile).network
    inputs = DeterministicRate().encode(samples, STEPS)
    return emulate(lowered, inputs, record=Recording(counts=("*",))).counts


def first_layer(network):
    return replace(network, populations=network.populations[:2], projections=network.projections[:1], outputs=("a",))


def finely(network, units):
    """The layer in integers so fine, as multiples of `units` to the weight, that their rounding plays no part."""
    neuron = network["a"].neuron
    scaled = replace(neuron, threshold=int(units), v_min=-int(units), bias=0)
    weight = np.rint(network.projections[0].synapses[0].weight.astype(np.float64) * units).astype(np.int32)
    return replace(
        network,
        populations=(network["in"], replace(network["a"], neuron=scaled)),
        projections=(replace(network.projections[0], synapses=(Conv2d(weight),)),),
    )


def errors(network, samples):
    """Spikes by which each scheme's layer differs from one of much finer integers, which the search does not use."""
    goal = counts(finely(network, 2500), samples, "step")["a"]
    made = {name: scheme(network, samples) for name, scheme in TARGET.quantizers(CHIP, "step").items()}
    return {name: np.abs(counts(each, samples, "step")["a"] - goal).sum() for name, each in made.items()}


@pytest.mark.parametrize("seed", range(6))
def test_it_fires_no_less_like_the_layer_than_the_integers_of_sinabs(seed):
    rng = np.random.default_rng(seed)
    found = errors(first_layer(chain(rng)), rng.random((SAMPLES, 2, 8, 8)))
    assert found["best"] <= found["sinabs"]


def test_it_gives_up_a_large_weight_for_the_many_others(rng):
    """A large weight on a channel that hardly ever spikes costs sinabs most of the others' bits."""
    kernel = (rng.normal(size=(4, 2, 3, 3)) * 0.1).astype(np.float32)
    kernel[:, 1, 1, 1] = 3.0
    network = first_layer(chain(rng))
    network = replace(network, projections=(Projection("in", "a", (Conv2d(kernel),)),))
    samples = rng.random((SAMPLES, 2, 8, 8))
    samples[:, 1] *= 0.02
    found = errors(network, samples)
    assert found["best"] < 0.5 * found["sinabs"]
    assert "5.56% are clipped" in best(network, samples, "step").notes[0]


@pytest.mark.parametrize("profile", ["chip", "step"])
def test_it_is_never_worse_than_sinabs_by_what_it_searches(profile, rng):
    """Its own measure, told in the notes; sinabs' integers are one of the candidates."""
    network, samples = chain(rng), rng.random((SAMPLES, 2, 8, 8))
    told = [note for note in best(network, samples, profile).notes if "off by" in note]
    assert [note.partition(":")[0] for note in told] == ["a", "b"]
    offs = [float(note.partition("off by ")[2].partition("%")[0]) for note in told]
    assert max(offs) < 5
    assert all(f"on {SAMPLES} samples (emulated)" in note for note in told)


@pytest.mark.parametrize("profile", PROFILES)
def test_what_it_gives_fits_the_chip(profile, rng):
    network = chain(rng, bias=profile in ("leak", "step"))
    made = best(network, rng.random((20, 2, 8, 8)), profile)
    formats = TARGET.precision(CHIP, profile)
    assert made.is_integer
    assert [p.name for p in made.populations] == ["in", "a", "b"]
    assert made.outputs == network.outputs
    for projection in made.projections:
        weight = next(synapse.weight for synapse in projection.synapses if synapse.weight is not None)
        assert formats.weights.holds(weight)
    for name in ("a", "b"):
        neuron = made[name].neuron
        assert 1 <= neuron.threshold <= 32767
        assert neuron.v_min == pytest.approx(-neuron.threshold, abs=1)
        assert neuron.threshold == pytest.approx(1 / made[name].potential_scale, abs=0.5)
    if profile in ("leak", "step"):
        assert formats.bias.holds(made["a"].neuron.bias)
        assert made["a"].neuron.bias.any()


def test_the_same_samples_give_the_same_integers(rng):
    network, samples = chain(rng), rng.random((30, 2, 8, 8))
    assert best(network, samples) == best(network, samples.copy())


def test_without_samples_nothing_is_clipped(rng):
    network = chain(rng)
    for samples in (None, np.zeros((0, 2, 8, 8))):
        made = best(network, samples)
        assert "want of calibration samples" in made.notes[0]
        assert all("0.00% are clipped" in note for note in made.notes[1:])
        largest = [np.abs(p.synapses[-1].weight.astype(np.int64)).max() for p in made.projections]
        assert min(largest) >= 127


def test_a_network_of_two_inputs_is_not_searched(rng):
    weight = rng.normal(size=(3, 4)).astype(np.float32)
    populations = (Population("x", (4,)), Population("y", (4,)), Population("out", (3,), IF(1.0)))
    projections = (Projection("x", "out", (Dense(weight),)), Projection("y", "out", (Dense(-weight),)))
    made = best(Network("two", populations, projections), rng.random((5, 4)))
    assert "want of calibration samples" in made.notes[0]


@pytest.mark.parametrize("samples", [None, np.linspace(0, 1, 24).reshape(2, 12)])
def test_no_threshold_is_0(samples):
    """sinabs' integers for it have a threshold of 0, and those that clip nothing too."""
    weight = np.full((1, 12), 0.5, np.float32)
    weight[0, 3] = 500
    populations = (Population("in", (12,)), Population("out", (1,), IF(1.0, v_min=-1.0)))
    network = Network("large", populations, (Projection("in", "out", (Dense(weight),)),))
    with pytest.raises(QuantizationError, match="rounds to 0"):
        TARGET.quantizers(CHIP, "chip")["sinabs"](network, None)
    made = best(network, samples)
    assert made["out"].neuron.threshold >= 1
    assert "8.33% are clipped" in made.notes[-1]


def test_a_coarse_threshold_is_kept_exact(rng):
    """2.6 units become 3 and not 2.6 rounded, at the price of clipped weights."""
    weight = rng.uniform(30, 48, size=(4, 10)).astype(np.float32) * rng.choice([-1, 1], (4, 10))
    populations = (Population("in", (10,)), Population("out", (4,), IF(1.0)))
    network = Network("coarse", populations, (Projection("in", "out", (Dense(weight),)),))
    made = best(network, rng.random((8, 10)))
    assert made["out"].potential_scale * made["out"].neuron.threshold == pytest.approx(1)


def test_potentials_that_only_integrate_stay_within_16_bits(rng):
    """With scales that clip nothing they would reach the ends."""
    weight = np.abs(rng.normal(size=(3, 400))).astype(np.float32)
    populations = (Population("in", (400,)), Population("out", (3,), Integrator()))
    network = Network("sum", populations, (Projection("in", "out", (Dense(weight),)),))
    samples = np.ones((3, 400))
    made = best(network, samples)
    inputs = DeterministicRate().encode(samples, STEPS)
    exact = inputs.sum(axis=0) @ weight.T
    run = emulate(TARGET.lower(made, CHIP, "chip").network, inputs)
    found = run.final_potentials["out"].reshape(3, 3) * made["out"].potential_scale
    assert np.abs(found / exact - 1).max() < 0.05
    assert run.final_potentials["out"].max() > 4000
    assert "potentials off by" in made.notes[0]
    plain = emulate(TARGET.lower(best(network, None), CHIP, "chip").network, inputs)
    assert plain.counts["out"].min() > 0


def test_a_loop_is_refused_as_the_chip_does(rng):
    weight = (Dense(rng.normal(size=(3, 3)).astype(np.float32)),)
    populations = (Population("in", (3,)), Population("a", (3,), IF(1.0)), Population("b", (3,), IF(1.0)))
    projections = (
        Projection("in", "a", weight),
        Projection("a", "b", weight),
        Projection("b", "a", weight, 1),
    )
    with pytest.raises(FitError, match="DYN117"):
        best(Network("loop", populations, projections, ("b",)), rng.random((4, 3)))


def test_layers_that_stay_silent_take_the_scale_that_clips_nothing(rng):
    network = chain(rng)
    made = best(network, np.zeros((4, 2, 8, 8)))
    assert made.projections[0] == best(network, None).projections[0]
    assert "spike counts off by 0.00%" in made.notes[0]


def test_graded_inputs_and_samples_beyond_one(rng):
    network = chain(rng)
    graded = replace(network, populations=(replace(network["in"], maximum=3), *network.populations[1:]))
    for each, samples in ((graded, rng.random((4, 2, 8, 8))), (network, rng.normal(size=(4, 2, 8, 8)))):
        assert len([note for note in best(each, samples).notes if "off by" in note]) == 2


def test_an_integer_network_is_checked_and_kept(rng):
    made = best(chain(rng), None)
    assert best(made, None) is made


def test_weights_of_0(rng):
    network = first_layer(chain(rng))
    silent = replace(network, projections=(Projection("in", "a", (Conv2d(np.zeros((4, 2, 3, 3), np.float32)),)),))
    assert_array_equal(best(silent, rng.random((2, 2, 8, 8))).projections[0].synapses[0].weight, 0)
