from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nmdeploy.bundle import load, save
from nmdeploy.coding import MembranePotential
from nmdeploy.deployment import deploy
from nmdeploy.emulator.result import Recording
from nmdeploy.emulator.run import emulate
from nmdeploy.errors import FitError, UsageError
from nmdeploy.network import Network, Population, Projection
from nmdeploy.neurons import IF, Integrator
from nmdeploy.synapses import Conv2d, Dense, OneToOne, Reshape, SumPool2d
from nmdeploy.target import Severity
from quantize import IntegerFormat
from targets.spinnaker import TARGET
from targets.spinnaker.connection import Form, form_of
from targets.spinnaker.lower import INTEGRATOR_ZERO, LONGEST_TAU_M, lower
from targets.spinnaker.neuron import IFCurrExp, IFTruncDelta

EVERYTHING = Recording(spikes=("*",), potentials=("*",))


class Foreign(IF):
    kind = "foreign.IF"

    def step(self, state, current):
        raise AssertionError("never run")


def pair(neuron, weight=((40, -30), (20, 10)), **projection):
    weight = np.asarray(weight)
    populations = (Population("in", (weight.shape[1],)), Population("out", (weight.shape[0],), neuron))
    return Network("pair", populations, (Projection("in", "out", (Dense(weight),), **projection),))


def _chain(network):
    return network.projections[0].synapses


def codes(lowered):
    return [remark.code for remark in lowered.remarks]


def with_delays_of(network, lowered):
    ends = zip(network.projections, lowered.projections, strict=True)
    return replace(network, projections=tuple(replace(each, delay=low.delay) for each, low in ends))


def same_run(ideal, lowered, inputs):
    """Whether spikes agree at every step, and potentials once their offset is taken off."""
    wanted = emulate(with_delays_of(ideal, lowered), inputs, record=EVERYTHING)
    found = emulate(lowered, inputs, steps=wanted.steps, record=EVERYTHING)
    for name, values in wanted.potentials.items():
        np.testing.assert_array_equal(found.spikes[name], wanted.spikes[name])
        np.testing.assert_array_equal(found.potentials[name] - lowered[name].potential_offset, values)
    return wanted


@given(st.integers(0, 10**6), st.sampled_from([">=", ">"]), st.integers(0, 3), st.integers(0, 2))
def test_neurons_that_reset_to_zero_and_have_a_floor_there_are_exact(spin5, seed, fire, refractory, delay):
    rng = np.random.Generator(np.random.PCG64(seed))
    middle = IF(
        rng.integers(1, 200, 6), rng.integers(-20, 60, 6), rng.integers(-50, 250, 6), 0, "zero", fire, refractory
    )
    populations = (
        Population("in", (9,)),
        Population("middle", (6,), middle),
        Population("out", (3,), Integrator(rng.integers(-5, 5, 3), rng.integers(-5, 5, 3))),
    )
    projections = (
        Projection("in", "middle", (Dense(rng.integers(-90, 91, (6, 9))),), delay),
        Projection("middle", "out", (Dense(rng.integers(-90, 91, (3, 6))),)),
        Projection("in", "out", (Dense(rng.integers(-90, 91, (3, 9))),)),
    )
    network = Network("net", populations, projections)
    spikes = (rng.random((15, 2, 9)) < 0.4).astype(np.uint8)
    same_run(network, lower(network, spin5).network, spikes)


def test_convolutions_strides_and_pools_are_exact_as_rows(spin5, ideal_images, rng):
    floored = tuple(
        replace(each, neuron=replace(each.neuron, v_min=0)) if isinstance(each.neuron, IF) else each
        for each in ideal_images.populations
    )
    network = replace(ideal_images, populations=floored)
    lowered = lower(network, spin5)
    run = same_run(network, lowered.network, (rng.random((20, 2, 2, 12, 8)) < 0.5).astype(np.uint8))
    assert all(run.spikes[name].any() for name in ("same", "pooled", "strided", "flat"))
    assert codes(lowered) == ["SPI103"]
    assert lowered.profile.name == "spinnaker/chip"


def test_parameters_of_trunc_delta(spin5):
    lowered = lower(pair(IF(700, bias=-5, v_init=9, v_min=0, reset="zero", refractory=4)), spin5).network["out"]
    neuron = lowered.neuron
    assert isinstance(neuron, IFTruncDelta)
    assert (neuron.v_thresh, neuron.v_reset, neuron.v_init, neuron.i_offset) == (32768, 32068, 32077, -5)
    assert (neuron.resistance, neuron.refractory_steps, neuron.shift_exc, neuron.shift_inh) == (32768, 4, 0, 0)
    assert lowered.potential_offset == 32068


def test_an_integrator_never_fires_nor_meets_its_floor_within_its_horizon(spin5):
    network = pair(Integrator(bias=20000), ((45535, 0), (-65535, 0)))
    lowered = lower(network, spin5)
    (remark,) = lowered.remarks
    steps = int(str(remark.found).split()[0])
    assert remark.code == "SPI103"
    assert steps == 2**30 // 65535
    neuron, room = lowered.network["out"].neuron, 2**30
    assert steps * 65535 <= room < (steps + 1) * 65535
    assert neuron.v_init == INTEGRATOR_ZERO
    same_run(network, lowered.network, np.ones((50, 1, 2), np.uint8))


def test_an_integrator_without_input_has_no_horizon(spin5):
    assert lower(pair(Integrator(), np.zeros((2, 2), int)), spin5).remarks == ()


def test_scores_do_not_see_the_offset(spin5, rng):
    network = pair(Integrator(), rng.integers(-50, 50, (4, 3)))
    scaled = replace(network["out"], potential_scale=rng.random(4))
    network = replace(network, populations=(network["in"], scaled))
    lowered = lower(network, spin5).network
    spikes = rng.integers(0, 2, (9, 5, 3)).astype(np.uint8)
    wanted = MembranePotential().decide(emulate(network, spikes), network["out"])
    found = MembranePotential().decide(emulate(lowered, spikes), lowered["out"])
    np.testing.assert_array_equal(found.scores, wanted.scores)


def test_what_is_lost_is_told(spin5):
    assert codes(lower(pair(IF(10)), spin5)) == ["SPI101", "SPI102"]
    assert codes(lower(pair(IF(10, reset="zero", v_min=0)), spin5)) == []
    assert all(remark.severity is Severity.WARNING for remark in lower(pair(IF(10)), spin5).remarks)


def test_short_paths_wait_and_loops_are_slower(spin5):
    neuron = IF(10, reset="zero", v_min=0)
    populations = (Population("in", (1,)), Population("a", (1,), neuron), Population("b", (1,), neuron))
    one = (Dense(np.ones((1, 1), int)),)
    skip = (Projection("in", "a", one), Projection("a", "b", one), Projection("in", "b", one))
    lowered = lower(Network("skip", populations, skip, ("b",)), spin5)
    assert [each.delay for each in lowered.network.projections] == [1, 1, 2]
    loop = (Projection("in", "a", one), Projection("a", "b", one), Projection("b", "a", one, delay=1))
    lowered = lower(Network("loop", populations, loop, ("b",)), spin5)
    assert [each.delay for each in lowered.network.projections] == [1, 1, 2]
    assert codes(lowered) == ["SPI104"]


def test_exponents_go_into_weights(spin5, rng):
    neuron = IF(100, reset="zero", v_min=0)
    network = pair(neuron, exponent=3)
    lowered = lower(network, spin5).network
    np.testing.assert_array_equal(lowered.projections[0].synapses[0].weight, [[320, -240], [160, 80]])
    same_run(network, lowered, rng.integers(0, 2, (9, 2, 2)).astype(np.uint8))
    reshaped = replace(
        network, projections=(replace(network.projections[0], synapses=(*_chain(network), Reshape((2,)))),)
    )
    same_run(reshaped, lower(reshaped, spin5).network, rng.integers(0, 2, (9, 2, 2)).astype(np.uint8))
    populations = (Population("in", (2,)), Population("out", (2,), neuron))
    plain = Network("plain", populations, (Projection("in", "out", (), exponent=5),))
    lowered = lower(plain, spin5).network
    assert isinstance(lowered.projections[0].synapses[0], OneToOne)
    same_run(plain, lowered, rng.integers(0, 2, (9, 2, 2)).astype(np.uint8))


def test_a_network_of_the_chips_own_neurons_stays_as_it_is(spin5):
    trunc, exponential = pair(IFTruncDelta(), delay=1), pair(IFCurrExp(), delay=1)
    assert lower(trunc, spin5).network is trunc
    assert lower(trunc, spin5, "conv").profile.name == "spinnaker/chip"
    assert lower(exponential, spin5).network is exponential
    assert lower(exponential, spin5).profile.name == "spinnaker/conv"


def test_what_the_chip_cannot_express_is_refused_all_at_once(spin5):
    with pytest.raises(UsageError, match="only an integer network"):
        lower(pair(IF(0.5)), spin5)
    tight = IntegerFormat(12)
    populations = (
        Population("in", (2,)),
        Population("foreign", (2,), Foreign(3)),
        Population("own", (2,), IFTruncDelta()),
        Population("format", (2,), Integrator(potential=tight)),
        Population("floor", (2,), IF(9, v_min=-3)),
        Population("slow", (2,), IF(9, refractory=65536)),
        Population("large", (2,), IF(1 << 30, bias=-(1 << 30), v_init=1 << 31)),
    )
    one = (Dense(np.ones((2, 2), int)),)
    projections = [Projection("in", each.name, one) for each in populations[1:]]
    projections[0] = replace(projections[0], accumulator=tight, exponent=-1)
    with pytest.raises(FitError) as error:
        lower(Network("all", populations, tuple(projections)), spin5)
    found = [violation.code for violation in error.value.violations]
    assert found == ["SPI110", "SPI116", "SPI111", "SPI112", "SPI113", *["SPI114"] * 3, "SPI115", "SPI117"]


def by_hand(sums, threshold, bias, v_init, refractory):
    """`IF_curr_exp` as lowering sets it, for one neuron, from its description."""
    v, silent, spikes, potentials = v_init, 0, [], []
    for excitatory, inhibitory in sums:
        if silent:
            silent -= 1
        else:
            arrived = max(excitatory - 1, 0) - max(inhibitory - 1, 0) + bias
            v += arrived - (v - (threshold - 16384)) // 16384
        fired = v >= threshold
        v, silent = (0, refractory) if fired else (v, silent)
        spikes.append(fired)
        potentials.append(v)
    return spikes, potentials


@given(st.integers(0, 10**6), st.integers(1, 16383), st.integers(-300, 300), st.integers(0, 2))
def test_curr_exp_loses_one_unit_a_sign_and_leaks_outside_its_band(spin5, seed, threshold, bias, refractory):
    rng = np.random.Generator(np.random.PCG64(seed))
    kernel = rng.integers(-9000, 9000, (1, 1, 3, 3))
    neuron = IF(threshold, bias, int(rng.integers(-30000, threshold)), reset="zero", refractory=refractory)
    populations = (Population("in", (1, 4, 4)), Population("out", (1, 4, 4), neuron))
    synapse = Conv2d(kernel, padding=(1, 1, 1, 1))
    network = Network("image", populations, (Projection("in", "out", (synapse,)),))
    lowered = lower(network, spin5, "conv").network
    assert isinstance(lowered["out"].neuron, IFCurrExp)
    spikes = rng.integers(0, 2, (12, 1, 1, 4, 4)).astype(np.uint8)
    run = emulate(lowered, spikes, record=EVERYTHING)
    sums = [Conv2d(np.maximum(sign * kernel, 0), padding=(1, 1, 1, 1)).apply(spikes[:, 0]) for sign in (1, -1)]
    for place in ((0, 0, 0), (0, 2, 1)):
        every = (slice(None), *place)
        arriving = [(0, 0), *((int(e), int(i)) for e, i in zip(*(each[every] for each in sums), strict=True))]
        fired, potentials = by_hand(arriving[: run.steps], threshold, bias, neuron.v_init, refractory)
        np.testing.assert_array_equal(run.spikes["out"][:, 0][every], fired)
        np.testing.assert_array_equal(run.potentials["out"][:, 0][every], potentials)


def test_the_conv_profile_says_for_each_layer_where_it_is_and_why(spin5, ideal_images):
    lowered = lower(ideal_images, spin5, "conv")
    kinds = {each.name: type(each.neuron) for each in lowered.network.populations if each.neuron}
    assert [name for name, kind in kinds.items() if kind is IFCurrExp] == ["same", "pooled", "flat"]
    forms = {name: form_of(lowered.network, name) for name in kinds}
    assert forms["same"] is forms["pooled"] is Form.CONVOLUTION
    assert forms["flat"] is Form.POOL_DENSE
    assert forms["strided"] is forms["out"] is Form.ROWS
    told = {remark.where: remark for remark in lowered.remarks if remark.code in ("SPI105", "SPI106")}
    assert set(told) == set(kinds)
    assert "stride is 2x2" in told["strided"].message
    assert "only integrates" in told["out"].message
    assert lowered.profile.name == "spinnaker/conv"
    assert lowered.network["same"].neuron.tau_m == LONGEST_TAU_M


def layer(synapses, source=(2, 6, 6), target=(2, 6, 6), **neuron):
    populations = (Population("in", source), Population("out", target, IF(50, reset="zero", **neuron)))
    return Network("layer", populations, (Projection("in", "out", tuple(synapses)),))


def kernel(*shape, value=1):
    return np.full(shape, value)


@pytest.mark.parametrize(
    ("network", "why"),
    [
        (layer([Conv2d(kernel(2, 2, 3, 3), padding=(1, 1, 1, 1))], v_min=0), "no floor"),
        (layer([Conv2d(kernel(2, 2, 2, 2))], target=(2, 5, 5)), "kernel is 2x2"),
        (layer([Conv2d(kernel(2, 2, 3, 1), padding=(1, 1, 0, 0))]), "kernel is 3x1"),
        (layer([Conv2d(kernel(2, 2, 3, 3), padding=(1, 1, 1, 0))], target=(2, 6, 5)), "padding differs"),
        (layer([Conv2d(kernel(2, 2, 3, 3), dilation=(2, 2), padding=(2, 2, 2, 2))]), "dilated"),
        (layer([SumPool2d((1, 2)), Conv2d(kernel(2, 2, 1, 1))], target=(2, 6, 3)), "none that the chip has"),
        (layer([Conv2d(kernel(2, 2, 1, 1, value=40000))]), "beyond -32768..32767"),
        (layer([Reshape((72,)), Dense(kernel(3, 72, value=40000))], target=(3,)), "beyond -32768..32767"),
        (layer([SumPool2d((1, 2)), Reshape((36,)), Dense(kernel(3, 36))], target=(3,)), "none that the chip has"),
        (layer([Dense(kernel(3, 9))], source=(9,), target=(3,)), "not a dense map of images"),
        (layer([Reshape((800,)), Dense(kernel(60, 800))], source=(8, 10, 10), target=(60,)), "96000 bytes"),
    ],
)
def test_layers_that_cannot_share_weights_get_rows_and_a_reason(spin5, network, why):
    lowered = lower(network, spin5, "conv")
    assert isinstance(lowered.network["out"].neuron, IFTruncDelta)
    (remark,) = (each for each in lowered.remarks if each.code == "SPI106")
    assert why in remark.message
    assert "7.4.1" in remark.message


def test_images_of_an_odd_number_of_neurons_cannot_come_from_trunc_delta(spin5):
    populations = (
        Population("in", (1, 6, 6)),
        Population("odd", (1, 3, 3), IF(5, reset="zero")),
        Population("next", (1, 3, 3), IF(5, reset="zero")),
        Population("last", (1, 3, 3), IF(5, reset="zero")),
    )
    same = (Conv2d(kernel(1, 1, 3, 3), padding=(1, 1, 1, 1)),)
    strided = (Conv2d(kernel(1, 1, 2, 2), stride=(2, 2)),)
    projections = (Projection("in", "odd", strided), Projection("odd", "next", same), Projection("next", "last", same))
    lowered = lower(Network("odd", populations, projections), spin5, "conv")
    # Each fallback makes the next layer's source odd, down the chain.
    assert all(isinstance(each.neuron, IFTruncDelta) for each in lowered.network.populations if each.neuron)
    assert "even part" in next(each.message for each in lowered.remarks if each.where == "last")


def test_residual_images_share_kernels_only_if_all_their_inputs_do(spin5):
    populations = (
        Population("in", (1, 4, 4)),
        Population("a", (1, 4, 4), IF(5, reset="zero")),
        Population("sum", (1, 4, 4), IF(5, reset="zero")),
    )
    same = (Conv2d(kernel(1, 1, 3, 3), padding=(1, 1, 1, 1)),)
    both = (Projection("in", "a", same), Projection("a", "sum", same), Projection("in", "sum", same))
    lowered = lower(Network("residual", populations, both), spin5, "conv").network
    assert form_of(lowered, "sum") is Form.CONVOLUTION
    direct = (*both[:2], Projection("in", "sum", (OneToOne(np.array([3])),)))
    lowered = lower(Network("residual", populations, direct), spin5, "conv").network
    assert isinstance(lowered["sum"].neuron, IFTruncDelta)


def test_offsets_survive_a_bundle(spin5, ideal_dense, tmp_path):
    deployment = deploy(ideal_dense([4, 6, 3]), "spin5")
    save(deployment, tmp_path / "net.nmd")
    loaded = load(tmp_path / "net.nmd")
    assert loaded.network == deployment.network
    assert loaded.network["l0"].potential_offset.shape == (6,)
    assert loaded.network["l1"].potential_offset == INTEGRATOR_ZERO


def test_the_target_lowers_and_names_its_profiles(spin5, ideal_dense):
    network = ideal_dense([4, 6, 3])
    assert TARGET.profiles(spin5) == ("chip", "conv")
    assert TARGET.lower(network, spin5, "chip").network == lower(network, spin5).network
