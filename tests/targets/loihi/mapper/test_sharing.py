"""Lists found from structure are those found in the unrolled synapses; small ones are counted by hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nmdeploy.network import Network, Population, Projection
from nmdeploy.synapses import Conv2d, ConvTranspose2d, Dense, OneToOne, Reshape, SumPool2d, Upsample2d
from targets.loihi.mapper.sharing import synapse_lists, used_weights
from targets.loihi.mapper.sharing_conv import ConvLists
from targets.loihi.mapper.sharing_dense import DenseLists
from targets.loihi.mapper.sharing_unrolled import UnrolledLists
from targets.loihi.mapper.tiling import Box, Tiling
from targets.loihi.neuron import LoihiLIF


def network(source, *chain, delay=1):
    projection = Projection("in", "out", chain, delay=delay)
    shape = projection.shapes(source)[-1]
    return Network("net", (Population("in", source), Population("out", shape, LoihiLIF(9))), (projection,))


def lists(net, chip):
    return synapse_lists(net, net.projections[0], chip)


def whole(net):
    shape = net["out"].shape
    return Box(shape, tuple((0, size) for size in shape))


@st.composite
def networks(draw):
    """Pools, then a convolution (grouped, strided, padded, dilated) or a dense layer; some weights are 0."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    channels = draw(st.sampled_from([1, 2, 4]))
    side = draw(st.integers(5, 10))
    source = (channels, side, draw(st.integers(5, 10)))
    chain = []
    if draw(st.booleans()):
        stride = draw(st.integers(2, 3))
        chain.append(SumPool2d((2, 2), stride=(stride, 2), padding=draw(st.integers(0, 1))))
    shape = chain[-1].out_shape(source) if chain else source

    def weights(*size):
        return (rng.integers(-9, 10, size) * (rng.random(size) < draw(st.sampled_from([0.4, 1.0])))).astype(np.int8)

    if draw(st.booleans()):
        groups = draw(st.sampled_from([1, channels]))
        filters = groups * draw(st.integers(1, 3))
        kernel = (draw(st.integers(1, min(3, shape[1]))), draw(st.integers(1, min(3, shape[2]))))
        stride, padding = (draw(st.integers(1, 2)), draw(st.integers(1, 2))), draw(st.integers(0, 2))
        dilation = draw(st.integers(1, 2)) if min(shape[1:]) > 4 else 1
        weight = weights(filters, channels // groups, *kernel)
        chain.append(Conv2d(weight, stride=stride, padding=padding, dilation=dilation, groups=groups))
    else:
        size = int(np.prod(shape))
        chain += [Reshape((size,)), Dense(weights(draw(st.integers(1, 70)), size))]
    return network(source, *chain, delay=draw(st.integers(1, 2)))


@given(networks(), st.data())
@settings(max_examples=120, deadline=None)
def test_structure_tells_what_unrolling_finds(loihi1, net, data):
    known = lists(net, loihi1)
    assert isinstance(known, (ConvLists, DenseLists))
    unrolled = UnrolledLists(net, net.projections[0], loihi1)
    shape = net["out"].shape
    tiling = Tiling(shape, tuple(data.draw(st.integers(1, min(size, 3))) for size in shape))
    for box in tiling.boxes:
        assert known.use(box) == unrolled.use(box)
    np.testing.assert_array_equal(known.cores_reached(tiling), unrolled.cores_reached(tiling))
    np.testing.assert_array_equal(known.fan_in, unrolled.fan_in)
    np.testing.assert_array_equal(known.fan_out, unrolled.fan_out)
    assert known.weights == unrolled.weights
    least = min(np.count_nonzero(net.projections[0].matrix(net["in"].shape).toarray(), axis=1))
    assert known.own_weights <= least


@given(networks())
@settings(max_examples=60, deadline=None)
def test_used_weights_are_those_of_the_unrolled_synapses(net):
    projection = net.projections[0]
    matrix = projection.matrix(net["in"].shape)
    found = used_weights(net, projection)
    assert set(found[found != 0].tolist()) == set(matrix.data[matrix.data != 0].tolist())


def test_positions_of_a_convolution_share_one_list(loihi1):
    # 1x1 kernel, 8 channels: every position has the same list of 8 neurons, 80 bits, 2 words.
    use = lists(network((1, 4, 4), Conv2d(np.full((8, 1, 1, 1), 2))), loihi1).use
    found = use(Box((8, 4, 4), ((0, 8), (0, 4), (0, 4))))
    assert (found.axons, found.words, found.longest, found.forms) == (16, 2, 2, {"dense"})


def test_kinds_of_rows_and_columns_of_a_3x3_kernel(loihi1):
    # No padding: 5x5 inputs, 3x3 outputs. A row reaches {0}, {0,1}, {0,1,2}, {1,2} or {2}, a column likewise:
    # 25 lists of (1, 2, 3, 2, 1) x (1, 2, 3, 2, 1) synapses. Up to 3 synapses take 1 word (52 bits), 4 take 2
    # (66 bits, or 2 runs), 2 rows of 3 are one run of 64 bits, 3 rows of 2 take 2 words (94 bits), all 9 are
    # one run of 88 bits.
    found = lists(network((1, 5, 5), Conv2d(np.full((1, 1, 3, 3), 2))), loihi1).use(
        Box((1, 3, 3), ((0, 1), (0, 3), (0, 3)))
    )
    assert found.axons == 25
    assert found.words == 16 * 1 + 4 * 2 + 2 * 1 + 2 * 2 + 1 * 2


def test_neurons_behind_one_pool_share_a_list(loihi1):
    weight = np.arange(1, 11).reshape(10, 1)
    found = lists(network((1, 2, 2), SumPool2d((2, 2)), Reshape((1,)), Dense(weight)), loihi1).use(
        Box((10,), ((0, 10),))
    )
    assert (found.axons, found.words) == (4, 2)


def test_equal_numbers_are_not_the_same_weight(loihi1):
    found = lists(network((4,), Dense(np.full((3, 4), 2))), loihi1).use(Box((3,), ((0, 3),)))
    assert (found.axons, found.words) == (4, 4)


def test_zero_weights_take_no_axon(loihi1):
    weight = np.full((4, 6), 2)
    weight[:, 2:] = 0
    net = network((6,), Dense(weight))
    assert lists(net, loihi1).use(whole(net)).axons == 2
    np.testing.assert_array_equal(lists(net, loihi1).fan_out, [4, 4, 0, 0, 0, 0])
    empty = network((2, 3, 3), Conv2d(np.zeros((1, 2, 2, 2), dtype=np.int8)))
    use = lists(empty, loihi1).use(whole(empty))
    assert (use.axons, use.words, use.longest, use.forms) == (0, 0, 0, frozenset())


@pytest.mark.parametrize(
    ("source", "chain", "axons", "words"),
    [
        ((6,), (), 6, 1),  # the same weight of 1 throughout: one list, shifted
        ((2, 2, 2), (OneToOne(np.array([[[2]], [[3]]])),), 8, 2),  # a weight a channel
        ((2, 2, 2), (OneToOne(np.arange(1, 9).reshape(2, 2, 2)),), 8, 8),
        ((1, 4, 4), (SumPool2d((2, 2)),), 16, 1),
        ((1, 2, 2), (Upsample2d((2, 2)),), 4, 2),  # 4 neurons in 2 rows: 66 bits sparse, or two runs
    ],
)
def test_other_chains_are_unrolled(loihi1, source, chain, axons, words):
    net = network(source, *chain)
    found = lists(net, loihi1)
    assert isinstance(found, UnrolledLists)
    use = found.use(whole(net))
    assert (use.axons, use.words) == (axons, words)


def test_overlapping_pools_and_transposed_convolutions_are_unrolled(loihi1):
    overlapping = network((1, 5, 5), SumPool2d((3, 3), stride=1), Conv2d(np.ones((2, 1, 2, 2), dtype=np.int8)))
    transposed = network((2, 3, 3), ConvTranspose2d(np.ones((2, 3, 2, 2), dtype=np.int8)))
    weighted = network((4,), Dense(np.ones((3, 4), dtype=np.int8)), Dense(np.ones((2, 3), dtype=np.int8)))
    repeated = network((1, 2, 2), Upsample2d(2), Reshape((16,)), Dense(np.ones((2, 16), dtype=np.int8)))
    for net in (overlapping, transposed, weighted, repeated):
        found = lists(net, loihi1)
        assert isinstance(found, UnrolledLists)
        assert found.own_weights == 0
        dense = net.projections[0].matrix(net["in"].shape).toarray()
        np.testing.assert_array_equal(found.fan_in, np.count_nonzero(dense, axis=1))
        assert found.use(whole(net)).axons == np.count_nonzero(dense.any(axis=0))
        np.testing.assert_array_equal(np.unique(used_weights(net, net.projections[0])), np.unique(dense[dense != 0]))
