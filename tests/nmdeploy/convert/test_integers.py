"""Float networks to integers: what is kept, what is told, what is refused."""

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nmdeploy.bounds import population_bound
from nmdeploy.convert.integers import to_integers
from nmdeploy.errors import QuantizationError, UsageError
from nmdeploy.network import Network, Population, Projection
from nmdeploy.neurons import IF, Integrator, NeuronModel
from nmdeploy.synapses import Conv2d, ConvTranspose2d, Dense, OneToOne, Reshape, SumPool2d
from nmdeploy.target import Precision
from quantize import IntegerFormat, MantissaExponentFormat, Rounding, ScaleMethod

BYTE = Precision(IntegerFormat(8), IntegerFormat(17, signed=False), IntegerFormat(13))
CHANNELS = replace(BYTE, per_channel=True)
SEEDS = st.integers(0, 2**32 - 1)


def dense(weight, neuron=None, **settings):
    """One layer `in -> out`."""
    weight = np.asarray(weight, dtype=np.float64)
    populations = (Population("in", weight.shape[1:]), Population("out", weight.shape[:1], neuron or IF(1.0)))
    return Network("net", populations, (Projection("in", "out", (Dense(weight),)),), **settings)


def cnn(rng, neuron=None):
    """Convolution, a residual branch without weights, pooling into a dense read-out."""
    populations = (
        Population("in", (2, 6, 6), rate_scale=0.5),
        Population("conv", (2, 6, 6), neuron or IF(1.0, bias=rng.normal(size=(2, 1, 1)) * 0.1), rate_scale=2.0),
        Population("out", (3,), Integrator(bias=rng.normal(size=3), v_init=0.25)),
    )
    projections = (
        Projection("conv", "out", (SumPool2d(2), Reshape((18,)), Dense(rng.normal(size=(3, 18))))),
        Projection("in", "conv", (Conv2d(rng.normal(size=(2, 2, 3, 3)), padding=1),), delay=1),
        Projection("in", "conv", ()),
    )
    return Network("cnn", populations, projections, notes=("imported",))


def weights_of(projection):
    return next(synapse.weight for synapse in projection.synapses if synapse.weight is not None)


def play(network, spikes):
    """Spikes and potentials of every population, step by step; undelayed projections only."""
    kind = np.dtype(np.int64 if network.is_integer else np.float64)
    shape = {p.name: (spikes.shape[1], *p.shape) for p in network.populations}
    states = {p.name: p.neuron.initial_state(shape[p.name], kind) for p in network.populations if p.neuron}
    record = []
    for now in spikes:
        sent = {network.inputs[0].name: now}
        for population in network.order():
            if population.neuron:
                arriving = [p.apply(sent[p.source].astype(kind)) for p in network.into(population.name)]
                sent[population.name] = population.neuron.step(states[population.name], sum(arriving))
        record.append({name: (sent[name], state["v"]) for name, state in states.items()})
    return record


# --- what is kept ---


@settings(max_examples=40)
@given(SEEDS, st.sampled_from([BYTE, CHANNELS]), st.integers(3, 8))
def test_weights_come_back_within_half_a_step(seed, precision, bits):
    network = cnn(np.random.default_rng(seed))
    integers = to_integers(network, replace(precision, weights=IntegerFormat(bits)))
    assert integers.is_integer
    for before, after in zip(network.projections, integers.projections, strict=True):
        assert (before.name, before.delay) == (after.name, after.delay)
        step = np.asarray(integers[after.target].potential_scale)
        shape = network[before.source].shape
        was = before.matrix(shape).toarray()
        steps = np.broadcast_to(step, network[before.target].shape).reshape(-1, 1)
        came_back = after.matrix(shape).toarray() * steps
        assert np.all(np.abs(came_back - was) <= steps / 2 * (1 + 1e-9))


@settings(max_examples=40)
@given(SEEDS)
def test_parameters_come_back_within_half_a_step(seed):
    rng = np.random.default_rng(seed)
    neuron = IF(
        rng.uniform(1, 2, (2, 1, 1)), bias=rng.normal(size=(2, 6, 6)), v_init=0.3, v_min=-0.77, reset="zero", fire=">",
        refractory=2,
    )  # fmt: skip
    integers = to_integers(cnn(rng, neuron), BYTE)["conv"]
    for name in ("threshold", "bias", "v_init", "v_min"):
        was, now = getattr(neuron, name), getattr(integers.neuron, name)
        assert np.all(np.abs(now * integers.potential_scale - was) <= integers.potential_scale / 2 * (1 + 1e-9))
        assert type(now) is int or now.dtype == np.int64
    assert (integers.neuron.reset, integers.neuron.fire, integers.neuron.refractory) == ("zero", ">", 2)


@settings(max_examples=40)
@given(SEEDS, st.sampled_from([-12, -7, 0, 3]), st.sampled_from(["subtract", "zero"]), st.sampled_from([">=", ">"]))
def test_integers_times_a_scale_are_kept_to_the_bit(seed, exponent, reset, fire):
    """Weights k * 2**e with |k| up to 127: every spike and every potential is the same."""
    rng, step = np.random.default_rng(seed), 2.0**exponent
    kernel, readout = rng.integers(-126, 127, (2, 1, 3, 3)), rng.integers(-126, 127, (3, 8))
    kernel.flat[0], readout.flat[0] = 127, -128
    neuron = IF(step * 90, step * rng.integers(-9, 9, (2, 1, 1)), step * 45, -step * 100, reset, fire)
    network = Network(
        "net",
        (Population("in", (1, 6, 6)), Population("conv", (2, 4, 4), neuron), Population("out", (3,), Integrator(step))),
        (
            Projection("in", "conv", (Conv2d(kernel * step),)),
            Projection("conv", "out", (SumPool2d(2), Reshape((8,)), Dense(readout * step))),
        ),
    )
    integers = to_integers(network, BYTE)
    np.testing.assert_array_equal(weights_of(integers.projections[0]), kernel)
    np.testing.assert_array_equal(weights_of(integers.projections[1]), readout)
    spikes = rng.integers(0, 2, (12, 3, 1, 6, 6))
    for real, whole in zip(play(network, spikes), play(integers, spikes), strict=True):
        for name in ("conv", "out"):
            np.testing.assert_array_equal(real[name][0], whole[name][0])
            np.testing.assert_array_equal(real[name][1], whole[name][1] * step)


def test_the_smallest_types_and_what_rides_along(rng):
    integers = to_integers(cnn(rng), BYTE)
    assert [weights_of(p).dtype for p in integers.projections] == [np.int8] * 3
    assert type(integers["conv"].neuron.threshold) is int
    assert integers["conv"].neuron.bias.dtype == np.int64
    assert type(integers["conv"].potential_scale) is float
    assert (integers["in"], integers["conv"].rate_scale) == (cnn(rng)["in"], 2.0)
    assert integers.notes[0] == "imported"
    assert (integers.name, integers.outputs) == ("cnn", ("out",))
    nine = to_integers(cnn(rng), replace(BYTE, weights=IntegerFormat(9)))
    assert weights_of(nine.projections[0]).dtype == np.int16


def test_an_earlier_scale_is_carried_on():
    network = dense([[127.0, -64.0]], IF(100.0))
    scaled = replace(network, populations=(network["in"], replace(network["out"], potential_scale=0.25)))
    assert to_integers(scaled, BYTE)["out"].potential_scale == 0.25


@pytest.mark.parametrize(
    ("rounding", "expected"),
    [(Rounding.HALF_EVEN, [127, 2, -2]), (Rounding.FLOOR, [127, 2, -3]), (Rounding.HALF_AWAY, [127, 3, -3])],
)
def test_rounding_is_the_chips(rounding, expected):
    integers = to_integers(dense([[127.0, 2.5, -2.5]], IF(10.5, bias=-0.5)), replace(BYTE, rounding=rounding))
    np.testing.assert_array_equal(weights_of(integers.projections[0])[0], expected)
    assert integers["out"].neuron.threshold == (11 if rounding is Rounding.HALF_AWAY else 10)
    assert integers["out"].neuron.bias == (0 if rounding is Rounding.HALF_EVEN else -1)


# --- scales ---


def test_projections_into_one_population_share_the_widest_scale():
    populations = (Population("a", (2,)), Population("b", (2,)), Population("out", (2,), IF(60.0)))
    projections = (
        Projection("a", "out", (Dense(np.array([[12.7, 0.1], [0.1, 0.1]])),)),
        Projection("b", "out", (Dense(np.array([[127.0, 1.0], [1.0, 1.0]])),)),
    )
    integers = to_integers(Network("net", populations, projections), BYTE)
    assert integers["out"].potential_scale == 1.0
    np.testing.assert_array_equal(weights_of(integers.projections[0]), [[13, 0], [0, 0]])
    np.testing.assert_array_equal(weights_of(integers.projections[1]), [[127, 1], [1, 1]])


def test_a_scale_for_each_channel_of_a_convolution(rng):
    kernel = rng.normal(size=(3, 2, 3, 3)) * np.array([1.0, 10.0, 0.1]).reshape(3, 1, 1, 1)
    populations = (Population("in", (2, 6, 6)), Population("out", (3, 2, 2), IF(1.0, v_init=0.5)))
    network = Network("net", populations, (Projection("in", "out", (Conv2d(kernel), SumPool2d(2))),))
    integers = to_integers(network, CHANNELS)
    expected = np.maximum(kernel.max(axis=(1, 2, 3)) / 127, -kernel.min(axis=(1, 2, 3)) / 128)
    scale = integers["out"].potential_scale
    assert scale.shape == (3, 1, 1)
    np.testing.assert_allclose(scale.ravel(), expected, rtol=1e-15)
    np.testing.assert_array_equal(integers["out"].neuron.threshold, np.rint(1 / scale))
    np.testing.assert_array_equal(integers["out"].neuron.v_init, np.rint(0.5 / scale))
    np.testing.assert_array_equal(weights_of(integers.projections[0]), np.rint(kernel / scale[..., None]))


def test_a_scale_for_each_neuron_of_a_dense_layer():
    integers = to_integers(dense([[127.0, 1.0], [12.7, 0.1], [0.0, 0.0]], IF(50.0)), CHANNELS)
    np.testing.assert_allclose(integers["out"].potential_scale, [1.0, 0.1, 50 / 131071], rtol=1e-15)
    np.testing.assert_array_equal(integers["out"].neuron.threshold, [50, 500, 131071])
    np.testing.assert_array_equal(weights_of(integers.projections[0]), [[127, 1], [127, 1], [0, 0]])


def test_scales_for_channels_of_grouped_transposed_and_shared_weights(rng):
    spread = np.array([1.0, 10.0, 100.0, 1000.0])
    kernel = rng.uniform(0.5, 1, (2, 2, 1, 1)) * spread.reshape(2, 2, 1, 1)
    populations = (Population("in", (2, 3, 3)), Population("skip", (4, 3, 3)), Population("out", (4, 3, 3), IF(500.0)))
    projections = (
        Projection("in", "out", (ConvTranspose2d(kernel, groups=2),)),
        Projection("skip", "out", (OneToOne(np.array([0.1])),)),
    )
    integers = to_integers(Network("net", populations, projections), CHANNELS)
    scale = integers["out"].potential_scale.ravel()
    np.testing.assert_allclose(scale, kernel.ravel() / 127, rtol=1e-15)
    np.testing.assert_array_equal(weights_of(integers.projections[0]), np.full((2, 2, 1, 1), 127))
    skip = weights_of(integers.projections[1])
    np.testing.assert_array_equal(skip, np.rint(0.1 / scale).reshape(4, 1, 1))


def test_channels_reshaped_behind_the_weights_share_a_scale(rng):
    populations = (Population("in", (1, 4, 4)), Population("out", (18,), IF(1.0)))
    mixing = (Conv2d(rng.normal(size=(2, 1, 2, 2))), Reshape((18,)))
    keeping = (Reshape((16,)), Dense(rng.normal(size=(18, 16))))
    projections = (Projection("in", "out", mixing), Projection("in", "out", keeping))
    integers = to_integers(Network("net", populations, projections), CHANNELS)
    assert type(integers["out"].potential_scale) is float
    assert integers.notes == ("out: one scale for all channels, since a projection reshapes them after its weights",)


@pytest.mark.parametrize("method", list(ScaleMethod))
def test_methods_reach_the_weights(method, rng):
    weight = np.append(rng.normal(size=999), 40.0).reshape(1, -1)
    precision = replace(BYTE, weights=IntegerFormat(4))
    integers = to_integers(dense(weight, IF(50.0)), precision, method=method, percentile=99)
    clips = method in (ScaleMethod.PERCENTILE, ScaleMethod.MSE)
    assert any("of the weights are clipped" in note for note in integers.notes) == clips
    assert weights_of(integers.projections[0]).max() == (5 if method is ScaleMethod.POWER_OF_TWO else 7)
    if method is ScaleMethod.POWER_OF_TWO:
        assert integers["out"].potential_scale == 8.0


def test_the_share_of_clipped_weights_is_told():
    weight = np.append(np.linspace(0.01, 1, 199), 100.0).reshape(1, -1)
    integers = to_integers(dense(weight, IF(1.0)), BYTE, method="percentile", percentile=99)
    assert integers.notes == ("in->out: 1.00% of the weights are clipped",)


# --- projections without weights ---


def test_pooling_alone_gets_its_weight():
    populations = (Population("in", (2, 4, 4)), Population("out", (2, 2, 2), IF(2.5)))
    network = Network("net", populations, (Projection("in", "out", (SumPool2d(2),)),))
    integers = to_integers(network, BYTE)
    assert integers.projections[0].synapses == (SumPool2d(2), OneToOne(np.array([127], dtype=np.int8)))
    assert integers["out"].neuron.threshold == round(2.5 * 127)


def test_a_residual_branch_keeps_its_share(rng):
    integers = to_integers(cnn(rng), BYTE)
    branch = integers.projections[2]
    assert branch.synapses[0].weight == round(1 / integers["conv"].potential_scale)
    channels = to_integers(cnn(rng), CHANNELS)
    np.testing.assert_array_equal(
        channels.projections[2].synapses[0].weight, np.rint(1 / channels["conv"].potential_scale)
    )


def test_a_branch_that_would_vanish_is_refused():
    populations = (Population("in", (2,)), Population("out", (2,), IF(400.0)))
    projections = (Projection("in", "out", (Dense(np.full((2, 2), 260.0)),)), Projection("in", "out", ()))
    with pytest.raises(QuantizationError, match="in->out: the projection's weight of 1 rounds to 0"):
        to_integers(Network("net", populations, projections), BYTE)


# --- compromises ---


def test_a_large_threshold_widens_the_scale():
    precision = replace(BYTE, threshold=IntegerFormat(10, signed=False))
    integers = to_integers(dense([[1.0, -0.5]], IF(32.0)), precision)
    assert integers["out"].neuron.threshold == 1023
    assert integers["out"].potential_scale == pytest.approx(32 / 1023)
    np.testing.assert_array_equal(weights_of(integers.projections[0]), [[32, -16]])
    assert integers.notes == (
        "out: its threshold needs a scale 3.97 times that of the weights; the weights use 7 of 8 bits",
    )


def test_a_large_bias_widens_the_scale():
    integers = to_integers(dense([[1.0, 0.5]], IF(1.0, bias=-128.0)), BYTE)
    assert integers["out"].neuron.bias == -4096
    assert integers["out"].potential_scale == 1 / 32
    assert integers.notes == (
        "out: its bias needs a scale 3.97 times that of the weights; the weights use 7 of 8 bits",
    )


def test_of_two_parameters_only_the_one_that_decides_is_told():
    precision = replace(BYTE, threshold=IntegerFormat(10, signed=False))
    integers = to_integers(dense([[1.0, 0.5]], IF(32.0, bias=-256.0)), precision)
    assert integers["out"].potential_scale == 1 / 16
    assert [note.split(" needs")[0] for note in integers.notes] == ["out: its bias"]


def test_a_scale_found_beforehand_is_taken():
    network = dense([[2.0, -0.5]], IF(1.0, bias=0.25))
    made = to_integers(network, BYTE, scales={"out": 0.25})
    assert made["out"].potential_scale == 0.25
    assert (made["out"].neuron.threshold, made["out"].neuron.bias) == (4, 1)
    np.testing.assert_array_equal(made.projections[0].synapses[0].weight, [[8, -2]])
    clipped = to_integers(network, BYTE, scales={"out": 0.01})
    np.testing.assert_array_equal(clipped.projections[0].synapses[0].weight, [[127, -50]])
    assert "50.00% of the weights are clipped" in clipped.notes[-1]
    assert to_integers(network, BYTE, scales={"other": 9.0}) == to_integers(network, BYTE)


def test_a_scale_found_beforehand_holds_for_all_channels():
    network = dense([[2.0], [0.5]])
    assert to_integers(network, CHANNELS, scales={"out": 0.25})["out"].potential_scale == 0.25


def test_a_scale_found_beforehand_is_widened_for_the_parameters():
    made = to_integers(dense([[2.0]], IF(1.0, bias=4096.0)), BYTE, scales={"out": 0.5})
    assert made["out"].potential_scale == pytest.approx(4096 / 4095)
    assert any("its bias needs a scale" in note for note in made.notes)


def test_widening_keeps_a_power_of_two_and_tells_channels():
    precision = replace(CHANNELS, threshold=IntegerFormat(10, signed=False))
    network = dense([[1.0], [100.0]], IF(32.0))
    integers = to_integers(network, precision, method=ScaleMethod.POWER_OF_TWO)
    np.testing.assert_array_equal(integers["out"].potential_scale, [2.0**-4, 1.0])
    np.testing.assert_array_equal(integers["out"].neuron.threshold, [512, 32])
    assert integers.notes == (
        "out: its threshold needs a scale 4 times that of the weights in 1 of 2 channels; the weights use 8 of 8 bits",
    )


def test_bits_of_unsigned_weights():
    precision = replace(BYTE, weights=IntegerFormat(8, signed=False), threshold=IntegerFormat(8, signed=False))
    integers = to_integers(dense([[1.0]], IF(8.0)), precision)
    assert integers.notes[0].endswith("the weights use 6 of 8 bits")


def test_silent_layers_are_told_and_take_their_scale_from_the_threshold():
    integers = to_integers(dense(np.zeros((2, 3)), IF(0.25)), BYTE)
    assert integers["out"].neuron.threshold == 131071
    assert integers.notes == ("in->out: every weight is 0 after rounding",)
    assert to_integers(dense(np.zeros((2, 3)), Integrator(0.0)), BYTE)["out"].potential_scale == 1.0


def test_weights_lost_beside_others_are_told():
    populations = (Population("in", (2,)), Population("out", (2,), IF(400.0)))
    projections = tuple(Projection("in", "out", (Dense(np.full((2, 2), size)),)) for size in (260.0, 1.0))
    integers = to_integers(Network("net", populations, projections), BYTE)
    assert integers.notes == ("in->out: every weight is 0 after rounding",)


# --- refusals ---


def test_a_threshold_that_rounds_to_0_is_refused():
    with pytest.raises(
        QuantizationError, match=r"^out: threshold rounds to 0 \(found 0.49 units of a weight, .*\); its"
    ):
        to_integers(dense([[127.0]], IF(np.array([0.49]))), BYTE)
    assert to_integers(dense([[127.0]], IF(0.51)), BYTE)["out"].neuron.threshold == 1


def test_a_chip_without_bias_refuses_one():
    no_bias = replace(BYTE, bias=None)
    with pytest.raises(QuantizationError, match=r"out: the chip's neurons have no bias \(found biases up to 0.5\)"):
        to_integers(dense([[1.0]], IF(1.0, bias=-0.5)), no_bias)
    assert to_integers(dense([[1.0]], IF(1.0, bias=np.zeros(1))), no_bias)["out"].neuron.bias == 0


@dataclass(frozen=True, eq=False, repr=False)
class ChipNeuron(NeuronModel):
    kind: ClassVar[str] = "test.ChipNeuron"
    leak: float

    def initial_state(self, shape, dtype):
        return {"v": np.zeros(shape, dtype)}

    def step(self, state, current):
        return (current > self.leak).astype(np.uint8)


def test_only_ideal_neurons_become_integers():
    with pytest.raises(QuantizationError, match=r"out: only ideal neurons .* \(found test.ChipNeuron\)"):
        to_integers(dense([[1.0]], ChipNeuron(0.5)), BYTE)


def test_negative_weights_in_an_unsigned_format():
    with pytest.raises(QuantizationError, match="out: -1 in an unsigned format"):
        to_integers(dense([[-1.0]]), replace(BYTE, weights=IntegerFormat(8, signed=False)))


def test_options_that_are_none():
    with pytest.raises(QuantizationError, match="method: 'best' is no ScaleMethod; it is one of max"):
        to_integers(dense([[1.0]]), BYTE, method="best")
    with pytest.raises(QuantizationError, match="percentile"):
        to_integers(dense([[1.0]]), BYTE, method="percentile", percentile=0)


def test_parameters_beyond_every_integer():
    with pytest.raises(QuantizationError, match=r"out: magnitude .* does not fit int64"):
        to_integers(dense([[1e-300]], IF(1e-300, v_init=1.0)), BYTE)


# --- networks that are integer already ---


def whole(weight, neuron):
    network = dense(weight, neuron)
    return replace(network, projections=(Projection("in", "out", (Dense(np.asarray(weight)),), delay=1),))


def test_an_integer_network_that_fits_is_returned_as_it_is(rng):
    integers = to_integers(cnn(rng), BYTE)
    assert to_integers(integers, BYTE) is integers
    mine = whole([[3, -128]], IF(5))
    assert to_integers(mine, BYTE) is mine


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (whole([[3, 128]], IF(5)), r"in->out: Dense weights of .* 8 bits \(found 3..128, limit -128..127\)"),
        (whole([[3]], IF(2**17)), "out: threshold of .* 17 bits"),
        (whole([[3]], Integrator(np.array([-4097]))), "out: bias of .* 13 bits"),
    ],
)
def test_an_integer_network_that_does_not_fit_is_refused(network, message):
    with pytest.raises(QuantizationError, match=message):
        to_integers(network, BYTE)


def test_an_integer_network_with_a_bias_the_chip_lacks():
    with pytest.raises(QuantizationError, match="no bias"):
        to_integers(whole([[3]], IF(5, bias=1)), replace(BYTE, bias=None))


class TestSumOfOneStep:
    """Scales widen until the worst sum of one step is proven to stay within the accumulator."""

    LIMITED = replace(BYTE, step_sum=300)

    @given(SEEDS, st.sampled_from(ScaleMethod), st.booleans(), st.integers(40, 3000))
    @settings(max_examples=60)
    def test_the_worst_case_fits_and_as_little_as_possible_is_lost(self, seed, method, per_channel, limit):
        generator = np.random.Generator(np.random.PCG64(seed))
        free = replace(BYTE, per_channel=per_channel)
        source = cnn(generator)
        network = to_integers(source, replace(free, step_sum=limit), method=method)
        plain = to_integers(source, free, method=method)
        for name in ("conv", "out"):
            worst = population_bound(network, name).interval.magnitude
            assert worst <= limit
            if population_bound(plain, name).interval.magnitude <= limit:
                assert network[name] == plain[name]
            elif method is ScaleMethod.MAX and not per_channel and limit > 1000:
                assert worst > 0.9 * limit

    def test_it_is_told(self):
        network = to_integers(dense(np.ones((1, 10)) * 0.5), self.LIMITED)
        assert population_bound(network, "out").interval.magnitude == 300
        assert "out: its sum of one step needs a scale 4.25 times that of the weights" in network.notes[0]
        assert "6 of 8 bits" in network.notes[0]

    def test_a_sum_at_the_limit_stays(self):
        network = to_integers(dense([[1.0, 1.0]]), replace(BYTE, step_sum=254))
        assert population_bound(network, "out").interval.magnitude == 254
        assert not network.notes

    def test_what_no_scale_can_bring_under_the_limit_keeps_only_zeros(self):
        network = to_integers(dense(np.ones((1, 10)), IF(100.0)), replace(BYTE, step_sum=1))
        np.testing.assert_array_equal(weights_of(network.projections[0]), 0)
        assert any("every weight is 0" in note for note in network.notes)


# --- scales per channel where they cost something ---


def test_channels_get_scales_of_their_own_where_asked_or_free(rng):
    network = dense(rng.normal(size=(3, 5)) * [[1], [10], [100]])
    costly = replace(CHANNELS, per_channel_costs=True)
    one, many = to_integers(network, BYTE)["out"], to_integers(network, CHANNELS)["out"]
    assert to_integers(network, costly)["out"] == to_integers(network, CHANNELS, per_channel=False)["out"] == one
    assert to_integers(network, costly, per_channel=True)["out"] == many
    assert len(np.unique(many.neuron.threshold)) == 3
    assert np.size(one.neuron.threshold) == 1


def test_scales_per_channel_are_refused_where_thresholds_cannot_differ(rng):
    network = dense(rng.normal(size=(3, 5)))
    with pytest.raises(UsageError, match="cannot differ within a population"):
        to_integers(network, BYTE, per_channel=True)
    assert to_integers(network, BYTE, per_channel=False) == to_integers(network, BYTE)


# --- thresholds of a mantissa and an exponent ---

MANTISSA = replace(BYTE, threshold=MantissaExponentFormat(8, 3))


class TestMantissa:
    @given(SEEDS, st.floats(0.05, 80), st.sampled_from(["max", "percentile", "mse"]), st.booleans())
    @settings(max_examples=60)
    def test_a_threshold_of_full_mantissa_is_exact_for_less_than_1_percent_of_scale(
        self, seed, threshold, method, per_channel
    ):
        rng = np.random.default_rng(seed)
        network = dense(rng.normal(size=(4, 6)), IF(threshold))
        free = replace(BYTE, per_channel=True, threshold=IntegerFormat(17, signed=False))
        chosen = replace(free, threshold=MANTISSA.threshold)
        was = to_integers(network, free, method=ScaleMethod(method), per_channel=per_channel)["out"]
        found = to_integers(network, chosen, method=ScaleMethod(method), per_channel=per_channel)
        now = found["out"]
        kept = np.asarray(now.neuron.threshold)
        assert chosen.threshold.holds(kept)
        exact = np.abs(kept * now.potential_scale / threshold - 1) < 1e-9
        assert np.all(exact | (kept < 128 + 1))
        wider = np.asarray(now.potential_scale) / np.asarray(was.potential_scale)
        fits = np.asarray(was.neuron.threshold) <= MANTISSA.threshold.maximum
        assert np.all((wider >= 1 - 1e-12) & ((wider < 1 + 2**-7) | ~fits))
        assert any("rounded by" in note for note in found.notes) == (not exact.all())

    def test_a_threshold_below_the_full_mantissa_is_rounded_and_told(self):
        network = dense([[1.0, -0.5]], IF(0.7))  # 127 * 0.7 = 88.9
        integers = to_integers(network, MANTISSA)
        assert integers["out"].neuron.threshold == 89
        assert integers.notes == ("out: its threshold is rounded by up to 0.11%, to a mantissa times a power of two",)

    def test_powers_of_two_keep_their_scale_and_round(self):
        integers = to_integers(dense([[1.0, -0.5]], IF(8.05)), MANTISSA, method=ScaleMethod.POWER_OF_TWO)
        assert integers["out"].potential_scale == 2.0**-6
        assert integers["out"].neuron.threshold == 516  # 515.2 in steps of 4
        assert integers.notes == ("out: its threshold is rounded by up to 0.16%, to a mantissa times a power of two",)

    def test_thresholds_that_differ_under_one_scale_are_rounded(self):
        integers = to_integers(dense([[1.0], [1.0]], IF(np.array([1.0, 3.03]))), MANTISSA)
        np.testing.assert_array_equal(integers["out"].neuron.threshold, [127, 384])
        assert len(integers.notes) == 1

    def test_the_largest_threshold_widens_the_scale(self):
        integers = to_integers(dense([[1.0]], IF(1000.0)), MANTISSA)
        assert integers["out"].neuron.threshold == 255 * 128
        assert integers.notes[0].startswith("out: its threshold needs a scale 3.89 times that of the weights")

    def test_read_outs_have_no_threshold_to_keep(self):
        integers = to_integers(dense([[1.0]], Integrator()), MANTISSA)
        assert (integers["out"].potential_scale, integers.notes) == (1 / 127, ())

    def test_an_integer_network_must_have_such_thresholds(self):
        assert to_integers(dense_integers(258), MANTISSA)["out"].neuron.threshold == 258
        with pytest.raises(QuantizationError, match=r"257\.\.257, limit 0\.\.32640, a mantissa times a power of two"):
            to_integers(dense_integers(257), MANTISSA)


def dense_integers(threshold):
    populations = (Population("in", (1,)), Population("out", (1,), IF(threshold)))
    return Network("net", populations, (Projection("in", "out", (Dense(np.ones((1, 1), np.int8)),)),))


@given(SEEDS, st.integers(2000, 40000), st.booleans(), st.sampled_from(["subtract", "zero"]))
@settings(max_examples=60)
def test_a_subtraction_that_comes_as_an_input_counts_in_the_sum(seed, limit, mantissa, reset):
    rng = np.random.default_rng(seed)
    network = dense(rng.normal(size=(3, 200)), IF(20.0, reset=reset))
    plain = replace(MANTISSA if mantissa else BYTE, step_sum=limit)
    apart = to_integers(network, plain)
    joined = to_integers(network, replace(plain, subtraction_in_sum=True))
    bound = population_bound(joined, "out")
    threshold = joined["out"].neuron.threshold
    worst = max(int(bound.upper.max()), int(np.max(threshold - bound.lower)))
    if reset == "zero":
        assert joined == apart
    else:
        assert worst <= limit
        assert joined["out"].potential_scale >= apart["out"].potential_scale
