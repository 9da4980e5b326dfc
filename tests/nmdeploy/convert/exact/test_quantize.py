"""Float networks as counts: what the numbers mean, and what is refused."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nmdeploy.convert.exact import QuantizedAnn, quantize_activations
from nmdeploy.convert.exact.reaching import Sampled
from nmdeploy.errors import QuantizationError, UsageError
from nmdeploy.network import Network, Population, Projection
from nmdeploy.neurons import IF, Integrator
from nmdeploy.synapses import Dense
from targets.loihi.neuron import LoihiLIF


def chain(weight=None, threshold=1.0, bias=0.0, out=None):
    rng = np.random.default_rng(0)
    weight = rng.normal(size=(6, 5)) if weight is None else np.asarray(weight)
    populations = (
        Population("in", (weight.shape[1],)),
        Population("hidden", (len(weight),), IF(threshold, bias=bias)),
        Population("out", (2,), out or Integrator(bias=np.array([0.5, -0.25]))),
    )
    projections = (
        Projection("in", "hidden", (Dense(weight),)),
        Projection("hidden", "out", (Dense(rng.normal(size=(2, len(weight)))),)),
    )
    return Network("chain", populations, projections)


@pytest.mark.parametrize("chip", ["loihi1", "spinnaker"])
def test_counts_are_rounded_activations(rules_of, chip):
    """n / L is the clipped activation to half a level, and logits times their scale are the float network's."""
    network, levels, steps = chain(bias=np.linspace(-0.3, 0.3, 6)), 64, 64
    ann = quantize_activations(network, rules_of(chip), levels=levels, input_steps=steps)
    given_counts = np.random.default_rng(1).integers(0, steps + 1, (200, 5))
    counts = ann.counts(given_counts)
    hidden = network.into("hidden")[0].apply(given_counts / steps) + network["hidden"].neuron.bias
    wanted = np.clip(hidden, 0, 1)
    assert np.abs(counts["hidden"] / levels - wanted).max() < 0.5 / levels + 0.02
    logits = network.into("out")[0].apply(counts["hidden"] / levels) + network["out"].neuron.bias
    assert np.abs(counts["out"] * ann.network["out"].potential_scale - logits).max() < 0.05


def test_weights_use_their_format_and_steps_are_those_of_a_clock(rules_of):
    rules = rules_of("loihi1")
    ann = quantize_activations(chain(), rules)
    weight = ann.network.into("hidden")[0].synapses[0].weight
    assert 120 <= np.abs(weight).max() <= 127
    step = ann.layer("hidden").step
    assert rules.control.holds(np.array([step]))
    assert not any("scaled down" in note for note in ann.network.notes)


@pytest.mark.parametrize("sampled", [False, True])
def test_wide_layers_are_scaled_down_and_it_is_told(rules_of, sampled):
    rng = np.random.default_rng(0)
    network = chain(weight=np.abs(rng.normal(size=(6, 400))))
    samples = rng.integers(0, 17, (10, 400)) if sampled else None
    ann = quantize_activations(network, rules_of("loihi1"), samples=samples)
    told = [note for note in ann.network.notes if note.startswith("hidden: scaled down")]
    assert len(told) == 1
    assert ("samples" if sampled else "proven") in told[0]
    assert rules_of("loihi1").excess(ann.layer("hidden"), 8, ann.reach["hidden"]) <= 1


@given(seed=st.integers(0, 2**32 - 1))
def test_no_partial_sum_goes_beyond_its_bound(seed):
    """In any order of the spikes, through two layers; and samples reach no further than what is proven."""
    rng = np.random.default_rng(seed)
    network = integers(rng)
    ann = QuantizedAnn.proven(network, 3, 4)
    given_counts = rng.integers(0, 5, (4, 5))
    counts = ann.counts(given_counts)
    sampled = Sampled({"in": given_counts})
    for name, source in (("hidden", "in"), ("out", "hidden")):
        layer, reach = ann.layer(name), ann.reach[name]
        for sample in counts[source]:
            order = rng.permutation(np.repeat(np.arange(len(sample)), sample))
            sums = np.cumsum(layer.projections[0].synapses[0].weight[:, order], axis=1)
            if sums.size:
                assert (sums.max(axis=1) <= reach.high).all()
                assert (sums.min(axis=1) >= reach.low).all()
        seen = sampled.of(layer)
        assert (seen.step_high == reach.step_high).all()
        sampled.add(layer, 3)
    np.testing.assert_array_equal(sampled.counts["out"], counts["out"])


def integers(rng):
    network = chain()
    populations = tuple(
        replace(each, neuron=IF(int(rng.integers(1, 60)), bias=rng.integers(-50, 50, 6)))
        if each.name == "hidden"
        else replace(each, neuron=Integrator())
        if each.name == "out"
        else each
        for each in network.populations
    )
    projections = (
        Projection("in", "hidden", (Dense(rng.integers(-127, 128, (6, 5))),)),
        Projection("hidden", "out", (Dense(rng.integers(-127, 128, (2, 6))),)),
    )
    return replace(network, populations=populations, projections=projections)


def test_a_neuron_that_cannot_fire_adds_nothing_to_the_bounds_behind(rng):
    network = integers(rng)
    silent = replace(network["hidden"], neuron=IF(10, bias=np.full(6, -100_000)))
    network = replace(network, populations=(network["in"], silent, network["out"]))
    reach = QuantizedAnn.proven(network, 8, 16).reach["out"]
    assert not reach.high.any()
    assert not reach.low.any()


def test_bad_networks_are_refused_by_name(rules_of):
    rules, good = rules_of("loihi1"), chain()
    hidden = good["hidden"]

    def with_hidden(**changes):
        return replace(good, populations=(good["in"], replace(hidden, **changes), good["out"]))

    per_channel = with_hidden(neuron=IF(np.array([1.0, 1, 1, 1, 1, 2])))
    leaky = with_hidden(neuron=LoihiLIF(10))
    firing_output = chain(out=IF(1.0))
    graded = replace(good, populations=(Population("in", (5,), maximum=255), *good.populations[1:]))
    late = replace(good, projections=(replace(good.projections[0], delay=2), good.projections[1]))
    loop = replace(good, projections=(*good.projections, Projection("hidden", "hidden", (), delay=1)))
    two = Network(
        "two",
        (Population("more", (5,)), *good.populations),
        (*good.projections, Projection("more", "hidden", (Dense(np.ones((6, 5))),))),
    )
    for network, words in (
        (per_channel, "hidden: .*one threshold a population|one threshold a population.*hidden"),
        (leaky, "wants IF here.*hidden|hidden.*wants IF here"),
        (firing_output, "wants Integrator here.*out|out.*wants Integrator here"),
        (graded, "binary input.*0..255|in: exact mode takes binary input"),
        (late, "feed-forward networks without delays"),
        (loop, "feed-forward networks without delays"),
        (two, "one input population"),
    ):
        with pytest.raises(UsageError, match=words):
            quantize_activations(network, rules)


def test_bad_numbers_are_refused(rules_of):
    rules = rules_of("loihi1")
    for sizes in ({"levels": 0}, {"input_steps": 0}):
        with pytest.raises(UsageError, match="at least 1"):
            quantize_activations(chain(), rules, **sizes)
    with pytest.raises(QuantizationError, match=r"leave no step.*hidden|hidden.*leave no step"):
        quantize_activations(chain(), rules, levels=100_000)
    with pytest.raises(QuantizationError, match=r"cannot hold"):
        quantize_activations(chain(weight=np.ones((4, 30_000))), rules)
    with pytest.raises(UsageError, match="starts from the float network"):
        quantize_activations(integers(np.random.default_rng(0)), rules)
    with pytest.raises(UsageError, match="not integer"):
        QuantizedAnn.proven(chain(), 8, 16)
