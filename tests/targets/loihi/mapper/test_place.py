from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nmdeploy.deployment import deploy
from nmdeploy.errors import FitError, UsageError
from nmdeploy.network import Network, Population, Projection
from nmdeploy.neurons import IF
from nmdeploy.synapses import Conv2d, Dense, OneToOne, Reshape, SumPool2d
from targets.loihi import TARGET
from targets.loihi.neuron import LoihiLIF, LoihiLIFSubtract


def weights(*shape):
    return np.full(shape, 2, np.int16)


def network(*parts, outputs=()):
    populations = [part for part in parts if isinstance(part, Population)]
    projections = [part for part in parts if isinstance(part, Projection)]
    return Network("net", tuple(populations), tuple(projections), outputs)


def lif(name, *shape):
    return Population(name, shape, LoihiLIF(10))


def fully(source, target, outputs, inputs, delay=1):
    return Projection(source, target, (Dense(weights(outputs, inputs)),), delay=delay)


def one_to_one(source, target, weight=None):
    return Projection(source, target, (OneToOne(weights(1) if weight is None else weight),), delay=1)


def with_limits(chip, **limits):
    return replace(chip, figures={**chip.figures, **{n: replace(chip.figures[n], value=v) for n, v in limits.items()}})


def refusal(net, chip, chips=1):
    with pytest.raises(FitError) as caught:
        TARGET.map(net, chip, chips)
    (violation,) = caught.value.violations
    return violation


def test_small_populations_share_a_core_and_count_by_hand(loihi1):
    net = network(Population("in", (5,)), lif("a", 40), lif("b", 3), fully("in", "a", 40, 5), fully("a", "b", 3, 40))
    placement = TARGET.map(net, loihi1)
    assert [(load.chip, load.core, load.population) for load in placement.cores] == [(0, 0, "a"), (0, 0, "b")]
    assert placement.off_chip == ("in",)
    assert (placement.core_count, placement.least_cores) == (1, 1)
    # Runs: 40 * 8 + 10 + 6 bits are 6 words; 3 * 8 + 10 + 6 bits are 1 word, as is 3 * 14 + 10.
    assert placement.cores[0].used == {
        "compartments": 40,
        "input_axons": 5,
        "output_axons": 40,
        "synaptic_words": 30,
        "synapse_formats": 1,
        "threshold_profiles": 1,
    }
    assert placement.cores[1].used == {
        "compartments": 3,
        "input_axons": 40,
        "output_axons": 0,
        "synaptic_words": 40,
        "synapse_formats": 1,
        "threshold_profiles": 1,
    }
    assert placement.limits["synaptic_words"] == 16384
    assert TARGET.check(net, placement, loihi1) == []


def test_each_limit_splits_a_layer(loihi1):
    compartments = network(Population("in", (1,)), lif("a", 1025), fully("in", "a", 1025, 1))
    assert TARGET.map(compartments, loihi1).core_count == 2
    # 4096 axons of 32 synapses: 32 * 8 + 16 bits are 5 words each, too many; of 16: 3 words.
    words = network(Population("in", (4096,)), lif("a", 32), fully("in", "a", 32, 4096))
    assert TARGET.map(words, loihi1).core_count == 2
    # One input a neuron: 1 word, 4096 input axons at most, so compartments decide.
    inputs = network(Population("in", (5000,)), lif("a", 5000), one_to_one("in", "a"))
    assert [load.used["input_axons"] for load in TARGET.map(inputs, loihi1).cores] == [1000] * 5
    thresholds = Population("a", (32,), LoihiLIF(np.arange(32)))
    profiles = network(Population("in", (1,)), thresholds, fully("in", "a", 32, 1))
    loads = TARGET.map(profiles, loihi1).cores
    assert [load.used["threshold_profiles"] for load in loads] == [8] * 4


def test_lists_of_a_core_have_a_longest_length(loihi1):
    net = network(Population("in", (1,)), lif("a", 600), fully("in", "a", 600, 1))
    assert TARGET.map(net, loihi1).core_count == 1  # 10 runs of 60: 80 words
    chip = with_limits(loihi1, list_words=40)
    placement = TARGET.map(net, chip)
    assert placement.core_count == 1  # halves of 40 words share the core
    assert len(placement.cores) == 2
    assert TARGET.check(net, placement, chip) == []


def test_output_axons_split_the_source(loihi1):
    # 'b' takes 5 cores, and each of the 40 neurons of 'a' an axon to each of them: 4 neurons have 20.
    chip = with_limits(loihi1, compartments=8, output_axons=20)
    net = network(Population("in", (1,)), lif("a", 40), lif("b", 40), fully("in", "a", 40, 1), fully("a", "b", 40, 40))
    placement = TARGET.map(net, chip)
    assert (len(placement.of("a")), len(placement.of("b"))) == (10, 5)
    assert {load.used["output_axons"] for load in placement.of("a")} == {20}
    assert TARGET.check(net, placement, chip) == []
    # Sending to itself, 'b' has an axon to each of its own cores too: ever finer cuts need ever more axons;
    # one neuron on each of 40 cores sends 40.
    loop = network(
        Population("in", (1,)), lif("b", 40), fully("in", "b", 40, 1), fully("b", "b", 40, 40), outputs=("b",)
    )
    violation = refusal(loop, chip)
    assert (violation.code, violation.where, violation.found, violation.limit) == ("LOI020", "b", 40, 20)
    assert "output axons" in violation.message


def test_a_target_is_cut_otherwise_where_its_source_has_too_few_output_axons(loihi1):
    # 'b' is cheapest by rows, which costs neurons of 'a' at the borders more axons; the limit of output axons
    # leaves one core a neuron of 'a' and so cuts by channels where nothing else goes.
    kernel = weights(4, 4, 3, 1)
    net = network(
        Population("in", (4, 8, 1)),
        lif("a", 4, 8, 1),
        lif("b", 4, 8, 1),
        one_to_one("in", "a"),
        Projection("a", "b", (Conv2d(kernel, padding=(1, 1, 0, 0)),), delay=1),
    )
    chip = with_limits(loihi1, compartments=16)
    free = TARGET.map(net, chip)
    assert (len(free.of("a")), len(free.of("b"))) == (2, 2)
    assert sum(load.used["output_axons"] for load in free.of("a")) == 32 + 4 * 2  # two rows send to both
    tight = with_limits(chip, output_axons=18)
    placement = TARGET.map(net, tight)
    assert max(load.used["output_axons"] for load in placement.of("a")) <= 18
    assert TARGET.check(net, placement, tight) == []


def test_several_targets_share_the_output_axons_of_their_source(loihi1):
    chip = with_limits(loihi1, compartments=8, output_axons=24)
    names = ("b", "c")
    net = network(
        Population("in", (1,)),
        lif("a", 24),
        *(lif(name, 16) for name in names),
        fully("in", "a", 24, 1),
        *(fully("a", name, 16, 24) for name in names),
    )
    placement = TARGET.map(net, chip)
    assert (len(placement.of("a")), len(placement.of("b")), len(placement.of("c"))) == (4, 2, 2)
    assert TARGET.check(net, placement, chip) == []
    tight = with_limits(chip, output_axons=3)
    violation = refusal(net, tight, None)
    assert (violation.code, violation.where, violation.found, violation.limit) == ("LOI020", "a", 4, 3)


def test_loops_over_several_populations_are_placed(loihi1):
    chip = with_limits(loihi1, compartments=8, output_axons=16)
    net = network(
        Population("in", (1,)),
        lif("a", 16),
        lif("b", 16),
        fully("in", "a", 16, 1),
        fully("a", "b", 16, 16),
        fully("b", "a", 16, 16),
        outputs=("b",),
    )
    placement = TARGET.map(net, chip)
    assert placement.core_count == 4
    assert TARGET.check(net, placement, chip) == []


def test_long_delays_leave_room_for_fewer_neurons(loihi1, loihi2):
    def delayed(delay):
        return network(Population("in", (1,)), lif("a", 1024), fully("in", "a", 1024, 1, delay))

    assert TARGET.map(delayed(9), loihi1).core_count == 1  # 8 steps beyond the layer's own
    assert TARGET.map(delayed(10), loihi1).core_count == 2
    assert TARGET.check(delayed(2), TARGET.map(delayed(2), loihi1), loihi1) == []
    assert TARGET.map(delayed(63), loihi1).core_count == 8  # 8192 // 62 = 132 neurons
    assert TARGET.map(delayed(63), loihi2).core_count == 1


def test_delayed_populations_keep_their_core_to_themselves(loihi1):
    net = network(Population("in", (1,)), lif("a", 8), lif("b", 8), fully("in", "a", 8, 1, 5), fully("a", "b", 8, 8))
    assert TARGET.map(net, loihi1).core_count == 2


def test_subtraction_takes_pairs_of_compartments_and_a_synapse_back(loihi1, loihi2):
    neuron = LoihiLIFSubtract(9, subtrahend=np.array([10] * 300 + [512] * 300))
    net = network(Population("in", (1,)), Population("a", (600,), neuron), fully("in", "a", 600, 1))
    placement = TARGET.map(net, loihi1)
    assert placement.core_count == placement.least_cores == 2
    # A dense format, and one for the recurrent synapses of each exponent: 10 = 10 * 2**0, 512 = 128 * 2**2.
    assert placement.cores[0].used == {
        "compartments": 600,
        "input_axons": 1 + 300,
        "output_axons": 300,
        "synaptic_words": 40 + 300,
        "synapse_formats": 2,
        "threshold_profiles": 2,
    }
    assert TARGET.check(net, placement, loihi1) == []
    assert TARGET.map(net, loihi2).cores[0].used["compartments"] == 600


def test_loihi_2_has_no_published_axon_limits(loihi2):
    net = network(Population("in", (5,)), lif("a", 40), fully("in", "a", 40, 5))
    placement = TARGET.map(net, loihi2)
    assert set(placement.limits) == {"compartments", "synaptic_words"}
    assert set(placement.cores[0].used) == set(placement.limits)


def test_several_chips_are_filled_one_after_the_other(loihi1):
    chip = with_limits(loihi1, cores=4, compartments=16)
    net = network(Population("in", (10, 4, 4)), lif("a", 10, 4, 4), one_to_one("in", "a"))
    placement = TARGET.map(net, chip, 3)
    assert placement.core_count == placement.least_cores == 10
    places = [(load.chip, load.core) for load in placement.cores]
    assert places == [divmod(index, 4) for index in range(10)]
    assert placement.chip_count == 3
    assert TARGET.check(net, placement, chip) == []
    assert TARGET.map(net, chip, None) == placement
    assert TARGET.map(network(Population("in", (1,)), lif("a", 3), fully("in", "a", 3, 1)), chip, 5).chip_count == 1
    with pytest.raises(UsageError, match="at least one chip"):
        TARGET.map(net, chip, 0)


def test_a_neuron_with_too_many_inputs_fits_no_core(loihi1):
    net = network(Population("in", (4100,)), lif("a", 3), fully("in", "a", 3, 4100))
    violation = refusal(net, loihi1)
    assert (violation.code, violation.where, violation.found, violation.limit) == ("LOI020", "a", 4100, 4096)
    assert "input axons" in violation.message
    assert violation.hint == "4096 instead of 4100 neurons in 'in' would fit"


def test_a_layer_larger_than_the_chip(loihi1):
    net = network(Population("in", (1,)), lif("a", 128 * 1024 + 1), fully("in", "a", 128 * 1024 + 1, 1))
    violation = refusal(net, loihi1)
    assert (violation.code, violation.where, violation.found) == ("LOI003", "net", 128 * 1024 + 1)
    assert violation.hint == "2 chips would do"


def test_more_weights_than_the_chip_holds(loihi1):
    # 64 cores of 8 words and 128 words in all; 7 weights need 64 bits of blocks.
    chip = with_limits(loihi1, cores=2, synaptic_words=8)
    net = network(Population("in", (4,)), lif("a", 40), lif("b", 2), fully("in", "a", 40, 4), fully("a", "b", 2, 40))
    violation = refusal(net, chip)
    assert (violation.code, violation.where, violation.found, violation.limit) == ("LOI004", "net", 21 + 11, 16)


def test_too_many_cores_name_what_would_do(loihi1):
    def two_layers(channels):
        return network(
            Population("in", (1, 4, 4)),
            lif("a", channels, 4, 4),  # a core a channel
            lif("b", 8, 4, 4),
            Projection("in", "a", (Conv2d(weights(channels, 1, 1, 1)),), delay=1),
            Projection("a", "b", (Conv2d(weights(8, channels, 1, 1)),), delay=1),
        )

    chip = with_limits(loihi1, cores=16, compartments=16)
    assert TARGET.map(two_layers(8), chip).core_count == 16
    violation = refusal(two_layers(11), chip)
    assert (violation.code, violation.found, violation.limit) == ("LOI003", 19 * 16, 16 * 16)
    assert violation.hint == "2 chips would do; 8 instead of 11 channels in 'a' would fit"


def test_too_many_cores_that_only_the_search_finds(loihi1):
    # 65 neurons fill a core of 100 compartments to two thirds each, since a neuron's inputs fill the axons.
    chip = with_limits(loihi1, cores=3, input_axons=60)
    net = network(
        Population("in", (40,)),
        lif("a", 8),
        lif("b", 8),
        lif("c", 8),
        lif("d", 8),
        *(fully("in", name, 8, 40) for name in "abcd"),
    )
    violation = refusal(net, chip)
    assert (violation.code, violation.found, violation.limit) == ("LOI021", 4, 3)
    assert violation.hint.startswith("2 chips would do")


def test_a_layer_that_alone_needs_too_many_cores(loihi1):
    chip = with_limits(loihi1, cores=2, threshold_profiles=1)
    thresholds = Population("a", (4,), LoihiLIF(np.arange(4)))
    violation = refusal(network(Population("in", (1,)), thresholds, fully("in", "a", 4, 1)), chip)
    assert (violation.code, violation.where, violation.found, violation.limit) == ("LOI020", "a", 3, 2)
    assert violation.hint == "2 chips would do"


def test_a_network_that_was_not_lowered_is_refused(loihi1):
    ideal = Population("a", (3,), IF(9))
    with pytest.raises(UsageError, match="a: not neurons of the chip"):
        TARGET.map(network(Population("in", (1,)), ideal, fully("in", "a", 3, 1)), loihi1)


def test_an_mnist_sized_network_deploys():
    """The layers of the sinabs tutorial's MNIST network."""
    rng = np.random.default_rng(1)

    def conv(*shape):
        return Conv2d(rng.integers(-8, 9, shape).astype(np.int8))

    def ideal(name, *shape):
        return Population(name, shape, IF(100, reset="zero"))

    pool = SumPool2d((2, 2))
    net = network(
        Population("in", (1, 28, 28)),
        ideal("conv1", 20, 24, 24),
        ideal("conv2", 32, 8, 8),
        ideal("conv3", 128, 2, 2),
        ideal("fc1", 500),
        ideal("fc2", 10),
        Projection("in", "conv1", (conv(20, 1, 5, 5),)),
        Projection("conv1", "conv2", (pool, conv(32, 20, 5, 5))),
        Projection("conv2", "conv3", (pool, conv(128, 32, 3, 3))),
        Projection("conv3", "fc1", (pool, Reshape((128,)), Dense(rng.integers(-8, 9, (500, 128)).astype(np.int8)))),
        Projection("fc1", "fc2", (Dense(rng.integers(-8, 9, (10, 500)).astype(np.int8)),)),
    )
    placement = deploy(net, "loihi1").placement
    assert (placement.core_count, placement.least_cores) == (18, 15)
    assert sum(len(load.neurons) for load in placement.cores) == 20 * 576 + 32 * 64 + 512 + 510


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=8, deadline=None)
def test_random_networks_pass_the_independent_check(loihi1, seed):
    rng = np.random.default_rng(seed)
    channels, side = int(rng.integers(1, 24)), int(rng.integers(4, 12))
    flat = channels * (side // 2) ** 2
    wide = int(rng.integers(1, 1200))
    kernel = rng.integers(-2, 3, (channels, 1, 3, 3)) * 2
    loop = Projection("wide", "wide", (OneToOne(weights(wide)),), delay=int(rng.integers(1, 20)))
    neurons = LoihiLIFSubtract(9, subtrahend=rng.integers(1, 255, wide)) if rng.integers(2) else LoihiLIF(9)
    net = network(
        Population("in", (1, side, side)),
        lif("maps", channels, side, side),
        Population("wide", (wide,), neurons),
        lif("out", 10),
        Projection("in", "maps", (Conv2d(kernel.astype(np.int16), padding=(1, 1, 1, 1)),), delay=1),
        Projection("maps", "wide", (SumPool2d((2, 2)), Reshape((flat,)), Dense(sparse(rng, wide, flat))), delay=1),
        fully("wide", "out", 10, wide),
        *([loop] if rng.integers(2) else []),
        outputs=("out",),
    )
    try:
        placement = TARGET.map(net, loihi1)
    except FitError as error:
        assert {violation.code for violation in error.violations} <= {"LOI020", "LOI021"}  # noqa: PT017
        return
    assert TARGET.check(net, placement, loihi1) == []
    assert placement.least_cores <= placement.core_count


def sparse(rng, outputs, inputs):
    weight = rng.integers(-60, 61, (outputs, inputs)) * 2
    return np.where(rng.random((outputs, inputs)) < 0.1, weight, 0).astype(np.int16)
