from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nmdeploy.deployment import deploy
from nmdeploy.errors import FitError
from nmdeploy.network import Network, Population, Projection
from nmdeploy.neurons import IF
from nmdeploy.synapses import Conv2d, Dense, OneToOne, Reshape, SumPool2d
from targets.loihi import TARGET
from targets.loihi.neuron import LoihiLIF
from targets.loihi.resources import axon_words, index_bits, list_words
from targets.loihi.tiling import box_of, tilings


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


def test_blocks_of_64_synapses_fill_whole_words():
    # 64 synapses of 14 bits and 10 header bits: 906 bits, 15 words; one more synapse: another word.
    np.testing.assert_array_equal(list_words(np.array([1, 3, 4, 64, 65, 128]), 14), [1, 1, 2, 15, 16, 30])
    # 54 bits of synapses fill a word with the header, 55 do not.
    np.testing.assert_array_equal(list_words(np.array([6, 54, 55]), 1), [1, 1, 2])
    np.testing.assert_array_equal(list_words(np.array([5]), 11), [2])


def test_indices_have_no_bits_or_at_least_six():
    assert [index_bits(n) for n in (1, 2, 64, 65, 1024)] == [0, 6, 6, 7, 10]


def test_axons_take_the_cheaper_of_sparse_and_dense_lists():
    # 3 of 8: 3 * 14 + 10 = 52 bits sparse. 8 of 8: 8 * 8 + 10 = 74 bits dense, 122 sparse.
    np.testing.assert_array_equal(axon_words(np.array([3, 8]), 8, 8, delayed=False), [1, 2])
    np.testing.assert_array_equal(axon_words(np.array([40]), 40, 8, delayed=False), [6])
    np.testing.assert_array_equal(axon_words(np.array([64]), 64, 8, delayed=True), [15])  # 64 * 14 + 10 bits


@given(st.tuples(st.integers(1, 9), st.integers(1, 9), st.integers(1, 9)), st.data())
@settings(max_examples=60)
def test_boxes_cover_the_population_evenly(shape, data):
    parts = tuple(data.draw(st.integers(1, size)) for size in shape)
    boxes = box_of(shape, parts).reshape(shape)
    assert len(np.unique(boxes)) == np.prod(parts)
    for box in range(int(np.prod(parts))):
        for axis, (size, count) in enumerate(zip(shape, parts, strict=True)):
            along = np.unique(np.argwhere(boxes == box)[:, axis])
            assert len(along) in (size // count, -(-size // count))
            np.testing.assert_array_equal(along, np.arange(along[0], along[0] + len(along)))


def test_tilings_come_by_number_of_cores_with_channels_cut_last():
    found = tilings((4, 3, 3), 2, 4)
    assert found == [
        (1, 1, 2),
        (1, 2, 1),
        (2, 1, 1),
        (1, 1, 3),
        (1, 3, 1),
        (3, 1, 1),
        (1, 2, 2),
        (2, 1, 2),
        (2, 2, 1),
        (4, 1, 1),
    ]
    assert tilings((5,), 1, 3) == [(1,), (2,), (3,)]


def test_a_small_network_takes_one_core_a_layer_and_counts_by_hand(loihi1):
    net = network(Population("in", (5,)), lif("a", 40), lif("b", 3), fully("in", "a", 40, 5), fully("a", "b", 3, 40))
    placement = TARGET.map(net, loihi1)
    assert [(load.chip, load.core, load.population) for load in placement.cores] == [(0, 0, "a"), (0, 1, "b")]
    assert placement.off_chip == ("in",)
    # Dense lists: 40 * 8 + 10 bits are 6 words; 3 * 8 + 10 bits are 1 word.
    assert placement.cores[0].used == {
        "compartments": 40,
        "input_axons": 5,
        "output_axons": 40,
        "synaptic_words": 30,
    }
    assert placement.cores[1].used == {"compartments": 3, "input_axons": 40, "output_axons": 0, "synaptic_words": 40}
    assert placement.limits["synaptic_words"] == 16384
    assert TARGET.check(net, placement, loihi1) == []


def test_each_limit_splits_a_layer(loihi1):
    compartments = network(Population("in", (1,)), lif("a", 1025), fully("in", "a", 1025, 1))
    assert TARGET.map(compartments, loihi1).core_count == 2
    # 4096 axons of 32 synapses: 32 * 8 + 10 bits are 5 words each, too many; of 16: 3 words.
    words = network(Population("in", (4096,)), lif("a", 32), fully("in", "a", 32, 4096))
    assert TARGET.map(words, loihi1).core_count == 2
    # One input a neuron: 1 word, 4096 input axons at most, so compartments decide.
    inputs = network(
        Population("in", (5000,)), lif("a", 5000), Projection("in", "a", (OneToOne(np.array([2], np.int16)),), delay=1)
    )
    assert [load.used["input_axons"] for load in TARGET.map(inputs, loihi1).cores] == [1000] * 5


def test_output_axons_split_the_source(loihi1):
    # 'b' takes 5 cores, and each of the 40 neurons of 'a' an axon to each of them: 4 neurons have 20.
    tiny = {"compartments": 8, "output_axons": 20}
    figures = {**loihi1.figures, **{name: replace(loihi1.figures[name], value=value) for name, value in tiny.items()}}
    chip = replace(loihi1, figures=figures)
    net = network(Population("in", (1,)), lif("a", 40), lif("b", 40), fully("in", "a", 40, 1), fully("a", "b", 40, 40))
    placement = TARGET.map(net, chip)
    assert (len(placement.of("a")), len(placement.of("b"))) == (10, 5)
    assert {load.used["output_axons"] for load in placement.of("a")} == {20}
    assert TARGET.check(net, placement, chip) == []
    # Sending to itself, 'b' has an axon to each of its own cores too: 3 neurons on each of 14 cores would
    # send 42, and ever finer cuts need ever more axons; one neuron on each of 40 cores sends 40.
    loop = network(
        Population("in", (1,)), lif("b", 40), fully("in", "b", 40, 1), fully("b", "b", 40, 40), outputs=("b",)
    )
    with pytest.raises(FitError, match=r"LOI020 error: b: .*output axons"):
        TARGET.map(loop, chip)


def test_long_delays_leave_room_for_fewer_neurons(loihi1, loihi2):
    def delayed(delay):
        return network(Population("in", (1,)), lif("a", 1024), fully("in", "a", 1024, 1, delay))

    assert TARGET.map(delayed(9), loihi1).core_count == 1  # 8 steps beyond the layer's own
    assert TARGET.map(delayed(10), loihi1).core_count == 2
    assert TARGET.check(delayed(2), TARGET.map(delayed(2), loihi1), loihi1) == []
    assert TARGET.map(delayed(63), loihi1).core_count == 8  # 8192 // 62 = 132 neurons
    assert TARGET.map(delayed(63), loihi2).core_count == 1


def test_zero_weights_take_nothing(loihi1):
    weight = weights(4, 6)
    weight[:, 2:] = 0
    net = network(Population("in", (6,)), lif("a", 4), Projection("in", "a", (Dense(weight),), delay=1))
    assert TARGET.map(net, loihi1).cores[0].used["input_axons"] == 2


def test_loihi_2_has_no_published_axon_limits(loihi2):
    net = network(Population("in", (5,)), lif("a", 40), fully("in", "a", 40, 5))
    placement = TARGET.map(net, loihi2)
    assert set(placement.limits) == {"compartments", "synaptic_words"}
    assert set(placement.cores[0].used) == set(placement.limits)


def test_a_neuron_with_too_many_inputs_fits_no_core(loihi1):
    net = network(Population("in", (4097,)), lif("a", 3), fully("in", "a", 3, 4097))
    with pytest.raises(FitError) as caught:
        TARGET.map(net, loihi1)
    (violation,) = caught.value.violations
    assert (violation.code, violation.where, violation.found, violation.limit) == ("LOI020", "a", 4097, 4096)
    assert "input axons" in violation.message
    assert "1 less" in violation.hint


def test_a_layer_larger_than_the_chip(loihi1):
    net = network(Population("in", (1,)), lif("a", 128 * 1024 + 1), fully("in", "a", 128 * 1024 + 1, 1))
    with pytest.raises(FitError, match=r"LOI020 error: a: the layer alone needs more cores .*found 129, limit 128"):
        TARGET.map(net, loihi1)


def test_too_many_cores_name_the_largest_layer(loihi1):
    def two_layers(channels):
        shape = (channels, 32, 32)  # a core a channel
        one_to_one = (OneToOne(np.array([2], np.int16)),)
        return network(
            Population("in", shape),
            lif("a", *shape),
            lif("b", *shape),
            Projection("in", "a", one_to_one, delay=1),
            Projection("a", "b", one_to_one, delay=1),
        )

    assert TARGET.map(two_layers(64), loihi1).core_count == 128
    with pytest.raises(FitError) as caught:
        TARGET.map(two_layers(96), loihi1)
    (violation,) = caught.value.violations
    assert (violation.code, violation.found, violation.limit) == ("LOI021", 192, 128)
    assert violation.hint == "'b' takes most, 96: use about 32 channels there"


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
    assert placement.core_count <= 128
    assert sum(len(load.neurons) for load in placement.cores) == 20 * 576 + 32 * 64 + 512 + 510


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=15)
def test_random_networks_pass_the_independent_check(loihi1, seed):
    rng = np.random.default_rng(seed)
    channels, side = int(rng.integers(1, 40)), int(rng.integers(4, 14))
    flat = channels * (side // 2) ** 2
    wide = int(rng.integers(1, 1500))
    kernel = rng.integers(-2, 3, (channels, 1, 3, 3)) * 2
    loop = Projection("wide", "wide", (OneToOne(weights(wide)),), delay=int(rng.integers(1, 20)))
    net = network(
        Population("in", (1, side, side)),
        lif("maps", channels, side, side),
        lif("wide", wide),
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


def sparse(rng, outputs, inputs):
    weight = rng.integers(-60, 61, (outputs, inputs)) * 2
    return np.where(rng.random((outputs, inputs)) < 0.1, weight, 0).astype(np.int16)
