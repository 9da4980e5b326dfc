from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nmdeploy.deployment import deploy
from nmdeploy.emulator.result import Recording
from nmdeploy.emulator.run import emulate
from nmdeploy.errors import FitError, UsageError
from nmdeploy.latency import lateness
from nmdeploy.network import Network, Population, Projection
from nmdeploy.neurons import IF, Integrator
from nmdeploy.schedule import Schedule
from nmdeploy.synapses import Conv2d, Dense, OneToOne, Reshape, SumPool2d
from nmdeploy.target import Severity
from quantize import IntegerFormat
from targets.loihi import TARGET
from targets.loihi.lower import FLOOR
from targets.loihi.neuron import LoihiLIF, LoihiLIFReset, LoihiLIFSubtract

EVERYTHING = Recording(spikes=("*",), potentials=("*",))


class Foreign(IF):
    """A neuron of another chip."""

    kind = "foreign.IF"

    def step(self, state, current):
        raise AssertionError("never run")


def dense(rng, outputs, inputs):
    return Dense(rng.integers(-128, 128, (outputs, inputs)).astype(np.int8))


def neuron(rng, shape, biased):
    threshold = int(rng.integers(1, 300))
    fire = str(rng.choice([">=", ">"]))
    bias = rng.integers(-40, 60, (shape[0],) + (1,) * (len(shape) - 1)) if biased else 0
    v_init = int(rng.integers(-50, threshold)) if biased else 0
    return IF(threshold, bias=bias, v_init=v_init, reset="zero", fire=fire)


def chain(rng, biased):
    """Convolution, sum pool and convolution, flattened into two dense layers, the last one an integrator."""
    maps = [("in", (1, 7, 8)), ("a", (2, 6, 6)), ("b", (3, 2, 2)), ("c", (5,)), ("d", (4,))]
    populations = [Population("in", (1, 7, 8))]
    populations += [Population(name, shape, neuron(rng, shape, biased)) for name, shape in maps[1:4]]
    populations.append(Population("d", (4,), Integrator(bias=rng.integers(-3, 3, 4) if biased else 0)))
    kernels = [rng.integers(-128, 128, size).astype(np.int8) for size in ((2, 1, 2, 3), (3, 2, 2, 2))]
    projections = [
        Projection("in", "a", (Conv2d(kernels[0]),), int(rng.integers(0, 2))),
        Projection("a", "b", (SumPool2d((2, 2)), Conv2d(kernels[1]))),
        Projection("b", "c", (Reshape((12,)), dense(rng, 5, 12))),
        Projection("c", "d", (dense(rng, 4, 5),)),
    ]
    return Network("chain", tuple(populations), tuple(projections))


def residual(rng, biased):
    """A branch around two layers, and a plain one-to-one connection without weights."""
    populations = [Population("in", (6,))]
    populations += [Population(name, (6,), neuron(rng, (6,), biased)) for name in "abc"]
    projections = [
        Projection("in", "a", (dense(rng, 6, 6),)),
        Projection("a", "b", (dense(rng, 6, 6),)),
        Projection("b", "c", (dense(rng, 6, 6),), exponent=1),
        Projection("a", "c"),
        Projection("in", "c", (OneToOne(rng.integers(-128, 128, 6).astype(np.int8)),), int(rng.integers(0, 3))),
    ]
    return Network("residual", tuple(populations), tuple(projections))


def recurrent(rng, biased):
    """A population that feeds itself, and two that feed each other."""
    populations = [Population("in", (5,))]
    populations += [Population(name, (5,), neuron(rng, (5,), biased)) for name in "ab"]
    projections = [
        Projection("in", "a", (dense(rng, 5, 5),)),
        Projection("a", "a", (dense(rng, 5, 5),), delay=int(rng.integers(1, 3))),
        Projection("a", "b", (dense(rng, 5, 5),)),
        Projection("b", "a", (dense(rng, 5, 5),), delay=int(rng.integers(2, 4))),
    ]
    return Network("recurrent", tuple(populations), tuple(projections), outputs=("b",))


def random_spikes(rng, network, steps=14, samples=2):
    shape = network.inputs[0].shape
    return rng.integers(0, 2, (steps, samples, *shape)).astype(np.uint8)


def with_delays_of(network, other):
    """`network` with the delays of `other`, which has the same projections."""
    pairs = zip(network.projections, other.projections, strict=True)
    return replace(network, projections=tuple(replace(mine, delay=its.delay) for mine, its in pairs))


@pytest.mark.parametrize("build", [chain, residual, recurrent])
@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=25)
def test_spikes_and_potentials_are_those_of_the_ideal_network_with_its_delays(loihi1, build, seed):
    rng = np.random.default_rng(seed)
    ideal = build(rng, biased=True)
    lowered = TARGET.lower(ideal, loihi1).network
    spikes = random_spikes(rng, ideal)
    wanted = emulate(with_delays_of(ideal, lowered), spikes, steps=24, record=EVERYTHING)
    found = emulate(lowered, spikes, steps=24, record=EVERYTHING)
    for population in ideal.populations:
        np.testing.assert_array_equal(found.spikes[population.name], wanted.spikes[population.name])
        if not population.is_input:
            # One weight unit is 64 units of Loihi's potential.
            np.testing.assert_array_equal(found.potentials[population.name], 64 * wanted.potentials[population.name])


@pytest.mark.parametrize("build", [chain, residual, recurrent])
@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=25)
def test_without_biases_every_population_is_only_late(loihi1, build, seed):
    rng = np.random.default_rng(seed)
    ideal = build(rng, biased=False)
    spikes = random_spikes(rng, ideal)
    late = lateness(ideal)
    wanted = emulate(ideal, spikes, steps=20, record=EVERYTHING)
    found = emulate(TARGET.lower(ideal, loihi1).network, spikes, steps=20 + max(late.values()), record=EVERYTHING)
    for name, steps in late.items():
        np.testing.assert_array_equal(found.spikes[name][steps : steps + 20], wanted.spikes[name])
        assert not found.spikes[name][:steps].any() or name == "in"


def two_layers(neuron, **projection):
    weight = np.array([[3, -4], [5, 127]], dtype=np.int8)
    populations = (Population("in", (2,)), Population("out", (2,), neuron, potential_scale=0.5))
    return Network("two layers", populations, (Projection("in", "out", (Dense(weight),), **projection),))


def test_weights_are_stored_doubled_with_exponent_minus_one(loihi1):
    lowered = TARGET.lower(two_layers(IF(10, reset="zero")), loihi1)
    projection = lowered.network.projections[0]
    np.testing.assert_array_equal(projection.synapses[0].weight, [[6, -8], [10, 254]])
    assert projection.synapses[0].weight.dtype == np.int16
    assert (projection.exponent, projection.delay) == (-1, 1)
    assert lowered.remarks == ()
    assert lowered.profile.name == "loihi/chip"


def test_the_neuron_is_a_plain_integrate_and_fire(loihi1):
    out = TARGET.lower(two_layers(IF(10, bias=np.array([1, -2]), reset="zero")), loihi1).network["out"]
    wanted = LoihiLIF(9, du=4095, dv=0, bias_mant=np.array([1, -2], np.int8), bias_exp=6)
    assert out.neuron == wanted
    assert out.potential_scale == 0.5 / 64
    above = TARGET.lower(two_layers(IF(np.array([10, 10]), reset="zero", fire=">")), loihi1).network["out"]
    assert above.neuron.vth == 10


def test_soft_reset_becomes_a_warning(loihi1):
    remarks = TARGET.lower(two_layers(IF(10)), loihi1).remarks
    assert [(remark.code, remark.severity) for remark in remarks] == [("LOI101", Severity.WARNING)]


def test_an_integrator_tells_for_how_long_it_is_safe(loihi1):
    lowered = TARGET.lower(two_layers(Integrator(bias=-2)), loihi1)
    assert lowered.network["out"].neuron.vth == 131071
    assert [remark.code for remark in lowered.remarks] == ["LOI102"]
    # At most 5 + 127 a step upwards less the bias: 130; 4 + 2 downwards.
    assert lowered.remarks[0].found == f"{131071 // 130} steps"
    silent = Network(
        "silent",
        (Population("in", (1,)), Population("out", (1,), Integrator())),
        (Projection("in", "out", (Dense(np.zeros((1, 1), np.int8)),)),),
    )
    assert TARGET.lower(silent, loihi1).remarks == ()


def test_an_initial_potential_is_kept_and_told(loihi1):
    lowered = TARGET.lower(two_layers(IF(10, v_init=5, reset="zero")), loihi1)
    assert lowered.network["out"].neuron.v_init == 320
    assert [remark.code for remark in lowered.remarks] == ["LOI103"]


@settings(max_examples=60)
@given(seed=st.integers(0, 2**32 - 1), reset=st.sampled_from(["zero", "subtract"]), fire=st.sampled_from([">=", ">"]))
def test_a_floor_at_the_lower_end_is_the_chip_s_saturation(seed, reset, fire):
    """Strong inhibition, then excitation up to the threshold and around it: the same spikes at every step."""
    rng = np.random.default_rng(seed)
    threshold = int(rng.integers(1, 400))
    neuron = IF(threshold, v_init=int(rng.integers(-500, 1)), v_min=FLOOR, reset=reset, fire=fire)
    populations = (
        Population("down", (2,)),
        Population("up", (8,)),
        Population("fine", (6,)),
        Population("out", (3,), neuron),
    )
    fine = rng.integers(-20, 61, (3, 6))
    projections = (
        Projection("down", "out", (Dense(np.full((3, 2), -127, np.int8)),), exponent=8),
        Projection("up", "out", (Dense(np.full((3, 8), 64, np.int8)),), exponent=6),
        Projection("fine", "out", (Dense(fine.astype(np.int8)),)),
    )
    network = Network("floor", populations, projections)
    inputs = {each.name: rng.integers(0, 2, (90, 4, each.size), dtype=np.uint8) for each in network.inputs}
    inputs["down"][:] = 0
    inputs["down"][:4] = inputs["down"][60:64] = 1  # 8 spikes of 32,512 units reach the lower end
    inputs["up"][:] = 0
    inputs["up"][4:8] = inputs["up"][64:68] = 1  # from the lower end to 1
    profile = "subtract" if reset == "subtract" else "chip"
    lowered = TARGET.lower(network, TARGET.chips()["loihi1"], profile).network
    record = Recording(potentials=("out",))
    ideal, chip = emulate(network, inputs, record=record), emulate(lowered, inputs, record=record)
    np.testing.assert_array_equal(chip.spikes["out"][1:], ideal.spikes["out"])
    lost = 64 * ideal.potentials["out"] - chip.potentials["out"][1:]
    assert {*np.unique(lost)} <= {0, 63}
    assert (lost == 63).any()
    assert chip.spikes["out"].any()


def test_a_population_that_is_restored_needs_no_host(loihi1):
    network = two_layers(IF(10, v_init=5, reset="zero"))
    out = replace(network["out"], schedule=Schedule(((3, 2),), 9))
    network = replace(network, populations=tuple(out if each.name == "out" else each for each in network.populations))
    lowered = TARGET.lower(network, loihi1)
    assert lowered.remarks == ()
    assert lowered.network["out"].schedule == Schedule(((4, 2),), 9)


@pytest.mark.parametrize(
    ("network", "code"),
    [
        (two_layers(Foreign(3)), "LOI110"),
        (two_layers(IF(10, potential=IntegerFormat(16))), "LOI111"),
        (two_layers(IF(10, v_min=0)), "LOI112"),
        (two_layers(IF(10, refractory=2)), "LOI113"),
        (two_layers(IF(10), accumulator=IntegerFormat(16)), "LOI115"),
    ],
)
def test_what_loihi_cannot_express_is_refused(loihi1, network, code):
    with pytest.raises(FitError) as caught:
        TARGET.lower(network, loihi1)
    assert [violation.code for violation in caught.value.violations] == [code]
    assert caught.value.exit_code == 3


def test_everything_that_is_wrong_is_told_at_once(loihi1):
    with pytest.raises(FitError, match="3 violations"):
        TARGET.lower(two_layers(IF(10, v_min=0, refractory=1), accumulator=IntegerFormat(16)), loihi1)


def test_a_float_network_is_refused(loihi1):
    with pytest.raises(UsageError, match="to_integers"):
        TARGET.lower(two_layers(IF(1.5)), loihi1)


def test_a_loop_without_time_for_its_layers_becomes_slower(loihi1):
    ring = (
        Projection("in", "a", (Dense(np.ones((1, 1), np.int8)),)),
        Projection("a", "b", (Dense(np.ones((1, 1), np.int8)),)),
        Projection("b", "a", (Dense(np.ones((1, 1), np.int8)),), delay=1),
    )
    populations = (Population("in", (1,)), *(Population(name, (1,), IF(1, reset="zero")) for name in "ab"))
    network = Network("ring", populations, ring, outputs=("b",))
    lowered = TARGET.lower(network, loihi1)
    assert [remark.code for remark in lowered.remarks] == ["LOI104"]


def own_terms(*neurons):
    """A chain of Loihi's own neurons, one population each."""
    names = [f"layer{index}" for index in range(len(neurons))]
    populations = [Population(name, (2,), neuron) for name, neuron in zip(names, neurons, strict=True)]
    weight = np.array([[2, -4], [6, 8]], np.int16)
    projections = [
        Projection(source, target, (Dense(weight),), delay=1, exponent=-1)
        for source, target in zip(["in", *names], names, strict=False)
    ]
    return Network("own", (Population("in", (2,)), *populations), tuple(projections))


@pytest.mark.parametrize(
    ("neurons", "profile"),
    [
        ((LoihiLIF(3), LoihiLIFReset(3, interval=4)), "loihi/chip"),
        ((LoihiLIF(3, du=7, dv=9), LoihiLIFSubtract(3, subtrahend=4)), "loihi/subtract"),
    ],
)
@pytest.mark.parametrize("asked", ["chip", "subtract"])
def test_a_network_in_loihis_terms_stays_as_it_is(loihi1, neurons, profile, asked):
    network = own_terms(*neurons)
    lowered = TARGET.lower(network, loihi1, asked)
    assert lowered.network is network
    assert (lowered.profile.name, lowered.remarks) == (profile, ())


def test_a_network_in_loihis_terms_can_be_deployed():
    deployment = deploy(own_terms(LoihiLIF(3), LoihiLIFReset(3, interval=4)), "loihi1")
    assert deployment.profile.name == "loihi/chip"
    assert deployment.network["layer1"].neuron.interval == 4


def test_ideal_neurons_beside_loihis_own_are_refused(loihi1):
    network = own_terms(LoihiLIF(3), IF(3), LoihiLIF(4))
    with pytest.raises(FitError, match="lower the ideal network as a whole") as caught:
        TARGET.lower(network, loihi1)
    assert [(each.code, each.where) for each in caught.value.violations] == [("LOI116", "layer0"), ("LOI116", "layer2")]


# --- reset by subtraction ---


def subtracting(network):
    """The network with reset by subtraction."""

    def changed(population):
        if not isinstance(population.neuron, IF):
            return population
        return replace(population, neuron=replace(population.neuron, reset="subtract"))

    return replace(network, populations=tuple(map(changed, network.populations)))


@pytest.mark.parametrize("build", [chain, residual, recurrent])
@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=25)
def test_reset_by_subtraction_is_the_ideal_networks(loihi1, build, seed):
    rng = np.random.default_rng(seed)
    ideal = subtracting(build(rng, biased=True))
    lowered = TARGET.lower(ideal, loihi1, "subtract").network
    spikes = random_spikes(rng, ideal)
    wanted = emulate(with_delays_of(ideal, lowered), spikes, steps=24, record=EVERYTHING)
    found = emulate(lowered, spikes, steps=24, record=EVERYTHING)
    for population in ideal.populations:
        np.testing.assert_array_equal(found.spikes[population.name], wanted.spikes[population.name])
        if not population.is_input:
            np.testing.assert_array_equal(found.potentials[population.name], 64 * wanted.potentials[population.name])


@pytest.mark.parametrize(("fire", "vth"), [(">=", 9), (">", 10)])
def test_the_threshold_is_subtracted_whatever_fires(loihi1, loihi2, fire, vth):
    for chip in (loihi1, loihi2):
        lowered = TARGET.lower(two_layers(IF(10, bias=3, fire=fire)), chip, "subtract")
        assert lowered.network["out"].neuron == LoihiLIFSubtract(vth, bias_mant=3, bias_exp=6, subtrahend=10)
        assert (lowered.profile.name, lowered.remarks) == ("loihi/subtract", ())
        assert dict(lowered.profile.semantics)["reset"].startswith("v := v - subtrahend * 64")


def test_a_neuron_that_asks_for_a_reset_to_zero_gets_it(loihi1):
    neuron = TARGET.lower(two_layers(IF(10, reset="zero")), loihi1, "subtract").network["out"].neuron
    assert neuron == LoihiLIF(9, bias_exp=6)


def test_thresholds_by_neuron_are_kept(loihi1):
    lowered = TARGET.lower(two_layers(IF(np.array([10, 300]))), loihi1, "subtract").network["out"].neuron
    np.testing.assert_array_equal(lowered.vth, [9, 299])
    np.testing.assert_array_equal(lowered.subtrahend, [10, 300])
    alike = TARGET.lower(two_layers(IF(np.array([10, 10]))), loihi1, "subtract").network["out"].neuron
    assert (alike.vth, alike.subtrahend) == (9, 10)


def test_a_pool_before_a_dense_layer_is_part_of_its_synapse(loihi1):
    """The chain stays; what cores get is its unrolled matrix, the pool folded into the weights."""
    weight = np.array([[1, -2, 3, 127]], np.int8)
    chain_of_maps = (SumPool2d(2), Reshape((4,)), Dense(weight))
    populations = (Population("in", (1, 4, 4)), Population("out", (1,), IF(9, reset="zero")))
    network = Network("pooled", populations, (Projection("in", "out", chain_of_maps),))
    (projection,) = TARGET.lower(network, loihi1).network.projections
    assert [synapse.kind for synapse in projection.synapses] == ["SumPool2d", "Reshape", "Dense"]
    unrolled = projection.matrix((1, 4, 4)).toarray().reshape(4, 4)
    np.testing.assert_array_equal(unrolled, 2 * np.kron(weight.reshape(2, 2), np.ones((2, 2), int)))


def test_weights_before_a_pool_are_stored_doubled_too(loihi1):
    chain_of_maps = (Conv2d(np.array([[[[3]]]], np.int8)), SumPool2d(2), Reshape((4,)))
    populations = (Population("in", (1, 4, 4)), Population("out", (4,), IF(9, reset="zero")))
    network = Network("pooled", populations, (Projection("in", "out", chain_of_maps),))
    (projection,) = TARGET.lower(network, loihi1).network.projections
    assert (projection.synapses[0].weight.item(), projection.exponent) == (6, -1)
    assert projection.synapses[1:] == chain_of_maps[1:]
