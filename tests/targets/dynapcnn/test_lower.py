from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from nmdeploy.coding import MembranePotential, SpikeCount
from nmdeploy.emulator.result import Recording
from nmdeploy.emulator.run import emulate
from nmdeploy.errors import FitError, UsageError
from nmdeploy.network import Network, Population, Projection
from nmdeploy.neurons import IF, Integrator
from nmdeploy.synapses import Conv2d, ConvTranspose2d, Dense, OneToOne, Reshape, SumPool2d, Upsample2d
from nmdeploy.target import Severity
from quantize import IntegerFormat
from targets.dynapcnn import TARGET
from targets.dynapcnn.neuron import NO_FLOOR, SpeckIAF, SpeckStepIAF

CHIP = TARGET.chips()["speck2f"]
EVERYTHING = Recording(spikes=("*",), counts=("*",), potentials=("*",))


class Foreign(IF):
    """A neuron of another chip."""

    kind = "foreign.IF"


def weights(rng, *shape):
    return rng.integers(-128, 128, shape).astype(np.int8)


def pair(in_shape, out_shape, *chain, neuron=None):
    """A network of one projection."""
    populations = (Population("in", in_shape), Population("out", out_shape, neuron or IF(50)))
    return Network("pair", populations, (Projection("in", "out", chain),))


def lowered(network, profile="step"):
    return TARGET.lower(network, CHIP, profile).network


def codes(network, profile="chip"):
    with pytest.raises(FitError) as raised:
        TARGET.lower(network, CHIP, profile)
    return [violation.code for violation in raised.value.violations]


def assert_same_maps(network, made):
    """Every projection connects the same neurons, counted row by row, with the same weights."""
    for before, after in zip(network.projections, made.projections, strict=True):
        old = before.matrix(network[before.source].shape).toarray()
        assert_array_equal(after.matrix(made[after.source].shape).toarray(), old)


def assert_in_chip_terms(made):
    for projection in made.projections:
        kinds = [synapse.kind for synapse in projection.synapses]
        assert kinds[-1] == "Conv2d"
        assert set(kinds[:-1]) <= {"Reshape", "SumPool2d"}
        assert "Reshape" not in kinds or made[projection.source].is_input
        assert projection.delay == 0
    assert all(len(p.shape) == 3 for p in made.populations if not p.is_input)


@st.composite
def networks(draw):
    """A map, a pooled map, and two flat layers, one of which also sees the first map (a residual by weights)."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    kernel, pool, stride = draw(st.integers(1, 3)), draw(st.sampled_from([1, 2])), draw(st.sampled_from([1, 2]))
    conv = Conv2d(weights(rng, 3, 2, kernel, kernel), stride=stride, padding=draw(st.integers(0, 1)))
    first = conv.out_shape((2, 8, 7))
    chain = (SumPool2d(pool), Conv2d(weights(rng, 2, 3, 1, 1)))
    second = chain[1].out_shape(chain[0].out_shape(first))
    size = int(np.prod(second))
    populations = [Population("in", (2, 8, 7))]
    for name, shape in (("a", first), ("b", second), ("c", (6,)), ("d", (6,)), ("e", (6,))):
        neuron = IF(
            int(rng.integers(1, 300)),
            rng.integers(-20, 30, (shape[0],) + (1,) * (len(shape) - 1)) if draw(st.booleans()) else 0,
            v_init=int(rng.integers(-50, 50)),
            v_min=int(rng.integers(-200, 1)) if draw(st.booleans()) else None,
            reset=draw(st.sampled_from(["subtract", "zero"])),
        )
        populations.append(Population(name, shape, neuron))
    projections = [
        Projection("in", "a", (conv,)),
        Projection("a", "b", chain),
        Projection("b", "c", (Reshape((size,)), Dense(weights(rng, 6, size)))),
        Projection("c", "d"),
        Projection("b", "d", (Reshape((size,)), Dense(weights(rng, 6, size)))),
        Projection("d", "e", (OneToOne(weights(rng, 6)) if draw(st.booleans()) else Dense(weights(rng, 6, 6)),)),
    ]
    return Network("net", tuple(populations), tuple(projections)), rng


def single_spikes(network):
    """The network with neurons that fire at most once a step, as ideal ones do."""
    made = [p if p.is_input else replace(p, neuron=replace(p.neuron, multi_spike=False)) for p in network.populations]
    return replace(network, populations=tuple(made))


@settings(max_examples=30)
@given(networks())
def test_steps_of_the_lowered_network_are_those_of_the_ideal_one(drawn):
    network, rng = drawn
    made = lowered(network)
    assert_in_chip_terms(made)
    assert_same_maps(network, made)
    inputs = rng.integers(0, 2, (6, 2, 2, 8, 7)).astype(np.uint8)
    low = NO_FLOOR  # far below what six steps reach
    expected = emulate(network, inputs, record=EVERYTHING)
    found = emulate(single_spikes(made), inputs, record=EVERYTHING)
    for name in ("a", "b", "c", "d", "e"):
        assert_array_equal(found.spikes[name].reshape(expected.spikes[name].shape), expected.spikes[name])
        assert_array_equal(found.potentials[name].reshape(expected.potentials[name].shape), expected.potentials[name])
        assert expected.potentials[name].min() > low


def test_a_dense_layer_is_a_convolution_over_the_whole_map(rng):
    weight = weights(rng, 5, 12)
    network = pair((3, 4, 4), (5,), SumPool2d(2), Reshape((12,)), Dense(weight))
    made = lowered(network, "chip")
    pool, conv = made.projections[0].synapses
    assert pool == SumPool2d(2)
    assert_array_equal(conv.weight, weight.reshape(5, 3, 2, 2))
    assert made["out"].shape == (5, 1, 1)
    assert_same_maps(network, made)


def test_a_flat_input_keeps_its_shape_and_is_addressed_as_channels(rng):
    network = pair((6,), (5,), Dense(weights(rng, 5, 6)))
    found = TARGET.lower(network, CHIP, "chip")
    assert found.network["in"].shape == (6,)
    assert found.network.projections[0].synapses[0] == Reshape((6, 1, 1))
    assert [remark.code for remark in found.remarks] == ["DYN106"]
    assert_same_maps(network, found.network)


def test_a_flat_input_read_twice(rng):
    populations = (Population("in", (6,)), Population("a", (5,), IF(9)), Population("b", (4,), IF(9)))
    projections = (
        Projection("in", "a", (Dense(weights(rng, 5, 6)),)),
        Projection("in", "b", (Dense(weights(rng, 4, 6)),)),
    )
    made = lowered(Network("two", populations, projections))
    assert_same_maps(Network("two", populations, projections), made)
    assert_in_chip_terms(made)


def test_a_flat_input_that_is_an_image(rng):
    network = pair((12,), (2, 2, 3), Reshape((2, 2, 3)), Conv2d(weights(rng, 2, 2, 1, 1)))
    made = lowered(network)
    assert made.projections[0].synapses[0] == Reshape((2, 2, 3))
    assert_same_maps(network, made)


@pytest.mark.parametrize(("shape", "addresses"), [((1, 28, 28), (784, 1, 1)), ((2, 6, 5), (60, 1, 1))])
def test_an_image_too_large_for_a_kernel_is_addressed_as_channels(shape, addresses, rng):
    size = int(np.prod(shape))
    network = pair(shape, (4,), Reshape((size,)), Dense(weights(rng, 4, size)))
    made = lowered(network)
    assert made.projections[0].synapses[0] == Reshape(addresses)
    assert_same_maps(network, made)


def test_an_image_of_more_pixels_than_channels_is_left_to_the_design_rules(rng):
    network = pair((3, 20, 20), (4,), Reshape((1200,)), Dense(weights(rng, 4, 1200)))
    assert lowered(network).projections[0].synapses[0].weight.shape == (4, 3, 20, 20)


def test_a_convolution_flattened_right_away_stays_a_map(rng):
    """Its neurons, (N,) in the network, are a map on the chip, and the next layer sees them as one."""
    populations = (
        Population("in", (1, 4, 4)),
        Population("a", (18,), IF(9, v_init=np.arange(18))),
        Population("b", (3,), IF(9)),
    )
    projections = (
        Projection("in", "a", (Conv2d(weights(rng, 2, 1, 2, 2)), Reshape((18,)))),
        Projection("a", "b", (Dense(weights(rng, 3, 18)),)),
    )
    network = Network("flat", populations, projections)
    made = lowered(network)
    assert made["a"].shape == (2, 3, 3)
    assert_array_equal(made["a"].neuron.v_init.ravel(), np.arange(18))
    assert made.projections[1].synapses[0].weight.shape == (3, 2, 3, 3)
    assert_same_maps(network, made)


def test_a_dense_layer_that_makes_an_image(rng):
    """Its neurons are channels on the chip; a dense layer can follow, a convolution cannot."""
    populations = (Population("in", (4,)), Population("a", (2, 2, 2), IF(9)), Population("b", (3,), IF(9)))
    first = Projection("in", "a", (Dense(weights(rng, 8, 4)), Reshape((2, 2, 2))))
    network = Network("up", populations, (first, Projection("a", "b", (Reshape((8,)), Dense(weights(rng, 3, 8))))))
    made = lowered(network)
    assert made["a"].shape == (8, 1, 1)
    assert_same_maps(network, made)
    image = replace(populations[2], shape=(3, 1, 1))
    chain = (Conv2d(weights(rng, 3, 2, 2, 2)),)
    assert codes(Network("up", (*populations[:2], image), (first, Projection("a", "b", chain)))) == ["DYN123"]


def test_pools_in_a_row_are_one(rng):
    network = pair((1, 9, 9), (2, 2, 2), SumPool2d(2), SumPool2d(1), SumPool2d(2), Conv2d(weights(rng, 2, 1, 1, 1)))
    made = lowered(network)
    assert made.projections[0].synapses[0] == SumPool2d(4)
    assert_same_maps(network, made)


def test_pools_that_overlap_stay_for_the_design_rules(rng):
    network = pair((1, 9, 9), (2, 3, 3), SumPool2d(3, stride=1), SumPool2d(2), Conv2d(weights(rng, 2, 1, 1, 1)))
    made = lowered(network)
    assert made.projections[0].synapses[:2] == (SumPool2d(3, stride=1), SumPool2d(2))


@pytest.mark.parametrize("chain", [(), (OneToOne(np.array([7], np.int8)),), (SumPool2d(2),)])
def test_a_connection_without_a_kernel_is_a_convolution_of_1x1(chain):
    out = (3, 2, 2) if SumPool2d(2) in chain else (3, 4, 4)
    network = pair((3, 4, 4), out, *chain)
    made = lowered(network)
    assert made.projections[0].synapses[-1].weight.shape == (3, 3, 1, 1)
    assert_same_maps(network, made)


def test_one_weight_for_each_channel():
    network = pair((2, 3, 3), (2, 3, 3), OneToOne(np.array([[[3]], [[-4]]], np.int8)))
    assert_same_maps(network, lowered(network))


def residual(rng, *, padding=1, stride=1):
    """A 3x3 convolution beside the identity."""
    conv = Conv2d(weights(rng, 2, 2, 3, 3), padding=padding, stride=stride)
    shape = conv.out_shape((2, 5, 5))
    populations = (
        Population("in", (2, 5, 5)),
        Population("a", (2, 5, 5), IF(9)),
        Population("b", shape, IF(9)),
    )
    beside = Conv2d(weights(rng, 2, 2, 1, 1), stride=stride)
    projections = (
        Projection("in", "a", (Conv2d(weights(rng, 2, 2, 1, 1)),)),
        Projection("a", "b", (conv,)),
        Projection("a", "b", (beside,)),
    )
    return Network("residual", populations, projections)


@pytest.mark.parametrize("stride", [1, 2])
def test_sources_of_one_core_meet_one_kernel(stride, rng):
    network = residual(rng, stride=stride)
    made = lowered(network)
    first, second = (projection.synapses[-1] for projection in made.into("b"))
    assert first.weight.shape == second.weight.shape
    assert first.padding == second.padding == (1, 1, 1, 1)
    assert np.count_nonzero(second.weight[:, :, 1, 1]) == np.count_nonzero(second.weight)
    assert_same_maps(network, made)


def test_kernels_that_zeros_cannot_make_alike_stay_for_the_design_rules(rng):
    populations = (Population("in", (2, 6, 6)), Population("a", (2, 3, 3), IF(9)))
    projections = (
        Projection("in", "a", (Conv2d(weights(rng, 2, 2, 2, 2), stride=2),)),
        Projection("in", "a", (Conv2d(weights(rng, 2, 2, 4, 4)),)),
        Projection("in", "a", (Conv2d(weights(rng, 2, 2, 4, 4), padding=(0, 0, 1, 1), stride=(1, 2)),)),
        Projection("in", "a", (Conv2d(weights(rng, 2, 1, 4, 4), groups=2),)),
    )
    network = Network("odd", populations, projections)
    made = lowered(network)
    assert [each.synapses for each in made.projections] == [each.synapses for each in network.projections]


def test_a_concatenation_stays_two_slices_of_weights(rng):
    populations = (
        Population("in", (1, 4, 4)),
        Population("a", (2, 4, 4), IF(9)),
        Population("b", (3, 4, 4), IF(9)),
        Population("c", (4, 4, 4), IF(9)),
    )
    projections = (
        Projection("in", "a", (Conv2d(weights(rng, 2, 1, 1, 1)),)),
        Projection("in", "b", (Conv2d(weights(rng, 3, 1, 1, 1)),)),
        Projection("a", "c", (Conv2d(weights(rng, 4, 2, 3, 3), padding=1),)),
        Projection("b", "c", (Conv2d(weights(rng, 4, 3, 3, 3), padding=1),)),
    )
    network = Network("concat", populations, projections)
    made = lowered(network)
    assert [each.synapses[-1].weight.shape[1] for each in made.into("c")] == [2, 3]
    assert_same_maps(network, made)


@pytest.mark.parametrize(
    ("profile", "kind"), [("chip", SpeckIAF), ("leak", SpeckIAF), ("readout", SpeckIAF), ("step", SpeckStepIAF)]
)
def test_profiles_have_their_neurons(profile, kind, rng):
    found = TARGET.lower(pair((2, 3, 3), (2, 1, 1), Conv2d(weights(rng, 2, 2, 3, 3))), CHIP, profile)
    assert type(found.network["out"].neuron) is kind
    assert found.profile.name == f"dynapcnn/{profile}"


def test_parameters_of_the_neuron(rng):
    neuron = IF(70, bias=np.array([[[3]], [[-2]]]), v_init=5, v_min=-40, reset="zero")
    network = pair((1, 3, 3), (2, 3, 3), Conv2d(weights(rng, 2, 1, 1, 1)), neuron=neuron)
    found = TARGET.lower(network, CHIP, "leak")
    made = found.network["out"].neuron
    assert (made.threshold_high, made.threshold_low, made.return_to_zero, made.v_init) == (70, -40, True, 5)
    assert_array_equal(made.leak, [[[3]], [[-2]]])
    assert [remark.code for remark in found.remarks] == ["DYN103", "DYN104"]
    assert "one tick a time step" in found.remarks[1].message


def test_without_a_floor_no_event_can_leave_16_bits(rng):
    made = lowered(pair((1, 3, 3), (2, 3, 3), Conv2d(weights(rng, 2, 1, 1, 1))), "chip")
    assert made["out"].neuron.threshold_low == NO_FLOOR


def test_biases_of_0_take_bias_memory_only_where_they_are_given(rng):
    conv = Conv2d(weights(rng, 2, 1, 1, 1))
    given_zeros = pair((1, 3, 3), (2, 3, 3), conv, neuron=IF(9, bias=np.zeros((2, 1, 1), np.int64)))
    assert_array_equal(lowered(given_zeros)["out"].neuron.leak, np.zeros((2, 1, 1)))
    assert lowered(pair((1, 3, 3), (2, 3, 3), conv))["out"].neuron.leak == 0


def test_scales_ride_along(rng):
    network = pair((1, 3, 3), (18,), Conv2d(weights(rng, 2, 1, 1, 1)), Reshape((18,)))
    scaled = replace(network["out"], potential_scale=np.full(18, 0.5), rate_scale=3.0)
    made = lowered(replace(network, populations=(network["in"], scaled)))["out"]
    assert (made.potential_scale, made.rate_scale, made.shape) == (0.5, 3.0, (2, 3, 3))
    differing = replace(scaled, potential_scale=np.arange(18) / 4)
    made = lowered(replace(network, populations=(network["in"], differing)))["out"]
    assert_array_equal(made.potential_scale, np.arange(18).reshape(2, 3, 3) / 4)


@pytest.mark.parametrize("reset", ["zero", "subtract"])
def test_firing_above_the_threshold(reset, rng):
    network = pair((1, 3, 3), (2, 3, 3), Conv2d(weights(rng, 2, 1, 1, 1)), neuron=IF(70, fire=">", reset=reset))
    found = TARGET.lower(network, CHIP, "chip")
    assert found.network["out"].neuron.threshold_high == 71
    assert [remark.code for remark in found.remarks] == (["DYN102"] if reset == "subtract" else [])


def test_an_integrator_has_the_largest_threshold_and_tells_how_long_that_holds(rng):
    weight = np.array([[100, -50]], np.int8)
    network = pair((2,), (1,), Dense(weight), neuron=Integrator(v_init=7))
    found = TARGET.lower(network, CHIP, "chip")
    assert found.network["out"].neuron.threshold_high == 32767
    remark = next(each for each in found.remarks if each.code == "DYN101")
    assert remark.found == f"{(32640 - 1 - 7) // 100} events"
    assert remark.severity is Severity.WARNING
    inputs = np.full((40, 1, 2), [8, 0], np.uint8)
    inputs_net = replace(found.network, populations=(replace(network["in"], maximum=8), found.network["out"]))
    run = emulate(inputs_net, inputs)
    assert run.final_potentials["out"].ravel() == [7 + 320 * 100]
    assert run.counts["out"].sum() == 0
    assert MembranePotential().decide(run, inputs_net["out"]).labels == [0]


def test_an_integrator_that_nothing_moves_has_no_horizon():
    network = pair((2,), (1,), Dense(np.zeros((1, 2), np.int8)), neuron=Integrator())
    assert [remark.code for remark in TARGET.lower(network, CHIP, "chip").remarks] == ["DYN106"]


def test_delays_are_told(rng):
    network = pair((1, 3, 3), (2, 3, 3), Conv2d(weights(rng, 2, 1, 1, 1)))
    late = replace(network, projections=(replace(network.projections[0], delay=2),))
    found = TARGET.lower(late, CHIP, "chip")
    assert found.network.projections[0].delay == 0
    assert [remark.code for remark in found.remarks] == ["DYN107"]


@pytest.mark.parametrize("profile", ["chip", "leak", "step"])
def test_a_network_of_the_chips_own_neurons_stays_as_it_is(profile, rng):
    neuron = SpeckStepIAF(9) if profile == "step" else SpeckIAF(9, leak=int(profile == "leak"))
    network = pair((1, 3, 3), (2, 3, 3), Conv2d(weights(rng, 2, 1, 1, 1)), neuron=neuron)
    found = TARGET.lower(network, CHIP, "chip")
    assert found.network is network
    assert found.profile.name == f"dynapcnn/{profile}"


def test_events_and_steps_do_not_mix(rng):
    conv = Conv2d(weights(rng, 2, 1, 1, 1))
    populations = (
        Population("in", (1, 3, 3)),
        Population("a", (2, 3, 3), SpeckIAF(9)),
        Population("b", (2, 3, 3), SpeckStepIAF(9)),
    )
    network = Network("mixed", populations, (Projection("in", "a", (conv,)), Projection("in", "b", (conv,))))
    with pytest.raises(UsageError, match="beside neurons that take steps"):
        TARGET.lower(network, CHIP, "chip")


def test_a_float_network_is_refused():
    network = pair((2,), (1,), Dense(np.ones((1, 2), np.float32)), neuron=IF(1.0))
    with pytest.raises(UsageError, match="only an integer network"):
        TARGET.lower(network, CHIP, "chip")


ONE = Conv2d(np.ones((2, 2, 1, 1), np.int8))
MAP = (2, 4, 4)


@pytest.mark.parametrize(
    ("network", "code"),
    [
        (pair(MAP, MAP, ONE, neuron=Foreign(9)), "DYN110"),
        (pair(MAP, MAP, ONE, neuron=IF(9, potential=IntegerFormat(20))), "DYN111"),
        (pair(MAP, MAP, ONE, neuron=IF(9, refractory=2)), "DYN112"),
        (pair(MAP, MAP, ONE, neuron=IF(9, bias=1)), "DYN113"),
        (pair(MAP, (2, 8, 8), Upsample2d(2), ONE), "DYN120"),
        (pair(MAP, (1, 5, 5), ConvTranspose2d(np.ones((2, 1, 2, 2), np.int8))), "DYN120"),
        (pair(MAP, MAP, ONE, ONE), "DYN121"),
        (pair(MAP, (2, 2, 2), ONE, SumPool2d(2)), "DYN122"),
        (pair(MAP, MAP, OneToOne(np.arange(16, dtype=np.int8).reshape(4, 4))), "DYN124"),
        (pair((2000,), (2000,)), "DYN126"),
    ],
)
def test_what_cannot_be_lowered(network, code):
    assert codes(network) == [code]


def test_a_bias_that_differs_within_a_feature():
    bias = np.arange(32).reshape(MAP)
    assert codes(pair(MAP, MAP, ONE, neuron=IF(9, bias=bias)), "leak") == ["DYN114"]
    flat = pair(MAP, (32,), ONE, Reshape((32,)), neuron=IF(9, bias=np.arange(32)))
    assert codes(flat, "step") == ["DYN114"]


def test_everything_wrong_at_once():
    network = pair(MAP, MAP, ONE, ONE, neuron=IF(9, bias=1, refractory=1))
    projection = replace(network.projections[0], exponent=1, accumulator=IntegerFormat(12))
    assert codes(replace(network, projections=(projection,))) == ["DYN112", "DYN113", "DYN115", "DYN118", "DYN121"]


def test_one_of_the_chips_neurons_beside_ideal_ones():
    populations = (Population("in", MAP), Population("a", MAP, SpeckIAF(9)), Population("b", MAP, IF(9)))
    network = Network("mixed", populations, (Projection("in", "a", (ONE,)), Projection("in", "b", (ONE,))))
    assert codes(network) == ["DYN116"]


def test_loops():
    populations = (Population("in", MAP), Population("a", MAP, IF(9)))
    network = Network("loop", populations, (Projection("in", "a", (ONE,)), Projection("a", "a", (ONE,), 1)), ("a",))
    assert codes(network) == ["DYN117"]


def test_neurons_arranged_in_two_ways(rng):
    populations = (Population("in", (1, 3, 3)), Population("a", (9,), IF(9)))
    projections = (
        Projection("in", "a", (Conv2d(np.ones((1, 1, 1, 1), np.int8)), Reshape((9,)))),
        Projection("in", "a", (Reshape((9,)), Dense(weights(rng, 9, 9)))),
    )
    assert codes(Network("ways", populations, projections)) == ["DYN125"]


def test_a_flat_layer_is_no_image_for_a_convolution(rng):
    populations = (Population("in", (4,)), Population("a", (8,), IF(9)), Population("b", (3, 1, 1), IF(9)))
    projections = (
        Projection("in", "a", (Dense(weights(rng, 8, 4)),)),
        Projection("a", "b", (Reshape((2, 2, 2)), Conv2d(weights(rng, 3, 2, 2, 2)))),
    )
    assert codes(Network("image", populations, projections)) == ["DYN123"]


def decided(network, inputs):
    return SpikeCount().decide(emulate(network, inputs), network[network.outputs[0]])


@settings(max_examples=15)
@given(st.integers(2, 15), st.booleans(), st.integers(0, 2**32 - 1))
def test_widening_for_the_read_out_block_decides_the_same(classes, apart, seed):
    rng = np.random.default_rng(seed)
    v_init = rng.integers(0, 50, classes) if apart else 0
    network = pair(MAP, (classes,), Reshape((32,)), Dense(weights(rng, classes, 32)), neuron=IF(60, v_init=v_init))
    plain = TARGET.lower(network, CHIP, "chip").network
    widened = TARGET.lower(network, CHIP, "readout")
    output = widened.network["out"]
    assert output.shape == (4 * (classes - 1) + 1, 1, 1)
    assert [remark.code for remark in widened.remarks][-1] == "DYN105"
    inputs = rng.integers(0, 2, (10, 6, *MAP)).astype(np.uint8)
    expected, found = emulate(plain, inputs), emulate(widened.network, inputs)
    assert_array_equal(found.spikes["out"][:, :, ::4], expected.spikes["out"])
    assert found.total_spikes["out"].sum() == expected.total_spikes["out"].sum()
    before, after = decided(plain, inputs), decided(widened.network, inputs)
    assert_array_equal(after.labels, before.labels)
    assert_array_equal(after.scores, before.scores)
    again = TARGET.lower(widened.network, CHIP, "chip")
    assert again.network is widened.network
    assert again.profile.name == "dynapcnn/readout"


def test_differing_thresholds_are_widened_for_the_design_rules_to_see(rng):
    network = pair((2,), (3,), Dense(weights(rng, 3, 2)), neuron=IF(np.array([5, 6, 7])))
    neuron = lowered(network, "readout")["out"].neuron
    assert_array_equal(neuron.threshold_high.ravel(), [5, 5, 5, 5, 6, 5, 5, 5, 7])


@pytest.mark.parametrize(
    ("network", "words"),
    [
        (pair(MAP, MAP, ONE), "a last layer of one pixel"),
        (pair((2,), (16,), Dense(np.ones((16, 2), np.int8))), "more classes"),
    ],
)
def test_outputs_that_the_read_out_block_cannot_take(network, words):
    with pytest.raises(FitError, match=words) as raised:
        TARGET.lower(network, CHIP, "readout")
    assert [violation.code for violation in raised.value.violations] == ["DYN119"]


def test_two_outputs_for_one_read_out_block():
    populations = (Population("in", (2,)), Population("a", (2,), IF(9)), Population("b", (2,), IF(9)))
    dense = (Dense(np.ones((2, 2), np.int8)),)
    network = Network("two", populations, (Projection("in", "a", dense), Projection("in", "b", dense)))
    assert codes(network, "readout") == ["DYN119"]


def test_a_chip_without_a_read_out_block():
    kit = TARGET.chips()["dynapcnndevkit"]
    with pytest.raises(FitError, match="no read-out block"):
        TARGET.lower(pair((2,), (2,), Dense(np.ones((2, 2), np.int8))), kit, "readout")


def test_parts_of_a_network_are_not_read_out():
    assert [TARGET.inner_profile(name) for name in ("chip", "leak", "readout", "step")] == [
        "chip",
        "leak",
        "chip",
        "step",
    ]
