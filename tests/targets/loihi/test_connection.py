"""The one Lava connection of a projection equals its chain, entry by entry of the unrolled matrix."""

import numpy as np
import pytest
from hypothesis import assume, event, given
from hypothesis import strategies as st

from nmdeploy.errors import ShapeError
from nmdeploy.network import Population, Projection
from nmdeploy.neurons import IF
from nmdeploy.synapses import Conv2d, Dense, OneToOne, Reshape, SumPool2d, Upsample2d
from targets.loihi.connection import (
    Convolution,
    Matrix,
    as_convolution,
    connection,
    lava_order,
    lava_shape,
    scaled_to_int8,
)


def lava_convolve(images, convolution):
    """What Lava's Conv computes of images [W, H, C], spelled out from its documentation (true convolution)."""
    weight, (pad_x, pad_y) = convolution.weight.astype(np.int64), convolution.padding
    stride, dilation, groups = convolution.stride, convolution.dilation, convolution.groups
    padded = np.pad(images, [(pad_x, pad_x), (pad_y, pad_y), (0, 0)])
    filters, kernel_x, kernel_y, depth = weight.shape
    width, height = (
        (padded.shape[axis] - dilation[axis] * (weight.shape[axis + 1] - 1) - 1) // stride[axis] + 1 for axis in (0, 1)
    )
    out = np.zeros((width, height, filters), dtype=np.int64)
    for f, x, y in np.ndindex(filters, width, height):
        first = f // (filters // groups) * depth
        for i, j in np.ndindex(kernel_x, kernel_y):
            pixel = padded[x * stride[0] + i * dilation[0], y * stride[1] + j * dilation[1], first : first + depth]
            out[x, y, f] += weight[f, kernel_x - 1 - i, kernel_y - 1 - j] @ pixel
    return out


def deliver(found, spikes, in_shape, out_shape):
    """Spikes [C, H, W] or [N] through a connection, back in nmdeploy's order."""
    if isinstance(found, Convolution):
        return lava_convolve(spikes.transpose(2, 1, 0).astype(np.int64), found).transpose(2, 1, 0)
    sums = found.weights @ spikes.ravel()[lava_order(in_shape)].astype(np.int64)
    shifted = sums << found.exponent if found.exponent > 0 else sums >> -found.exponent
    out = np.empty_like(shifted)
    out[lava_order(out_shape)] = shifted
    return out.reshape(out_shape)


@st.composite
def chains(draw):
    """Up to four maps from a small image, of the kinds that fold and of those that do not."""
    rng = np.random.Generator(np.random.PCG64(draw(st.integers(0, 2**32 - 1))))
    in_shape = draw(st.sampled_from([(1, 5, 6), (2, 6, 5), (3, 4, 4), (2, 7, 7), (4, 1, 9)]))
    synapses, shape = [], in_shape
    sizes, sides = st.integers(1, 3), st.tuples(*[st.integers(0, 2)] * 4)
    for _ in range(draw(st.integers(0, 4))):
        kind = draw(st.sampled_from(["pool", "pool", "conv", "conv", "depthwise", "scale", "flatten", "upsample"]))
        stride, dilation = (draw(sizes), draw(sizes)), (draw(st.integers(1, 2)), draw(st.integers(1, 2)))
        channels = shape[0]
        if kind == "pool":
            synapse = SumPool2d((draw(sizes), draw(sizes)), draw(st.none() | st.just(stride)), draw(sides))
        elif kind == "conv":
            groups = draw(st.sampled_from([g for g in (1, 2, 3) if channels % g == 0]))
            weight = rng.integers(-9, 10, (groups * draw(sizes), channels // groups, draw(sizes), draw(sizes)))
            synapse = Conv2d(weight.astype(np.int8), stride, draw(sides), dilation, groups)
        elif kind == "depthwise":
            weight = rng.integers(-9, 10, (channels, 1, draw(sizes), draw(sizes)))
            synapse = Conv2d(weight, stride, draw(sides), dilation, channels)
        elif kind == "scale":
            each = draw(st.sampled_from([(1,), (channels, 1, 1), shape]))
            synapse = OneToOne(rng.integers(-3, 4, each))
        elif kind == "upsample":
            synapse = Upsample2d(1)
        else:
            synapses.append(Reshape((int(np.prod(shape)),)))
            synapse = Reshape(shape)
        try:
            after = synapse.out_shape(shape)
        except ShapeError:
            continue
        synapses, shape = [*synapses, synapse], after
    return tuple(synapses), in_shape, shape


@given(chains())
def test_the_folded_convolution_has_the_matrix_of_the_chain(case):
    synapses, in_shape, _ = case
    folded = as_convolution(synapses, in_shape)
    event(f"folded {folded is not None}, {len(synapses)} maps")
    assume(folded is not None)
    chain = Projection("a", "b", synapses).matrix(in_shape)
    assert (folded.matrix(in_shape) != chain).nnz == 0
    assert folded.padding[0] == folded.padding[1]
    assert folded.padding[2] == folded.padding[3]


@given(chains(), st.integers(-2, 2), st.integers(1, 3), st.integers(0, 2**32 - 1))
def test_the_connection_delivers_what_the_projection_does(case, exponent, delay, seed):
    synapses, in_shape, out_shape = case
    projection = Projection("a", "b", synapses, delay=delay, exponent=exponent)
    found = connection(projection, Population("a", in_shape), Population("b", out_shape, IF(1)))
    event(type(found).__name__)
    spikes = np.random.Generator(np.random.PCG64(seed)).integers(0, 2, in_shape)
    sums = projection.apply(spikes[None])[0]
    expected = sums << exponent if exponent >= 0 else sums >> -exponent
    np.testing.assert_array_equal(deliver(found, spikes, in_shape, out_shape), expected)
    if isinstance(found, Convolution):
        assert delay == 1
        assert found.weight.dtype == np.int8
    else:
        assert found.delay == delay - 1


@pytest.mark.parametrize(
    ("synapses", "kernel", "stride", "padding"),
    [
        ((SumPool2d(2), Conv2d(np.full((3, 2, 3, 3), 5))), (6, 6), (2, 2), 0),
        ((SumPool2d(2), Conv2d(np.full((3, 2, 3, 3), 5), padding=1)), (6, 6), (2, 2), 2),
        ((Conv2d(np.full((3, 2, 3, 3), 5)), SumPool2d(2)), (4, 4), (2, 2), 0),
        ((Reshape((128,)), Reshape((2, 8, 8)), SumPool2d(2), SumPool2d(2)), (4, 4), (4, 4), 0),
        ((), (1, 1), (1, 1), 0),
    ],
)
def test_pools_are_folded_into_the_kernel(synapses, kernel, stride, padding):
    folded = as_convolution(synapses, (2, 8, 8))
    assert folded.weight.shape[2:] == kernel
    assert folded.stride == stride
    assert folded.padding == (padding,) * 4


def test_a_fold_that_would_see_beyond_the_edge_is_not_made():
    # 5 pixels pool to 2 and drop one; the padding after them stands for nothing, the folded kernel would see the fifth.
    assert as_convolution((SumPool2d(2), Conv2d(np.ones((1, 1, 3, 3), int), padding=1)), (1, 5, 5)) is None
    # Overlapping windows: a window just outside still overlaps the image.
    chain = (SumPool2d(3, stride=1), Conv2d(np.ones((1, 1, 3, 3), int), padding=1))
    assert as_convolution(chain, (1, 6, 6)) is None


@pytest.mark.parametrize("padding", [(0, 1, 0, 1), (1, 0, 0, 2), (2, 0, 1, 1)])
@pytest.mark.parametrize("dilation", [1, 2])
@pytest.mark.parametrize("stride", [1, 2])
def test_uneven_padding_is_made_even(padding, dilation, stride):
    uneven = Conv2d(np.arange(1, 10).reshape(1, 1, 3, 3), stride, padding, dilation)
    folded = as_convolution((uneven,), (1, 7, 8))
    assert folded.padding[0] == folded.padding[1]
    assert folded.padding[2] == folded.padding[3]
    assert (folded.matrix((1, 7, 8)) != uneven.matrix((1, 7, 8))).nnz == 0


@pytest.mark.parametrize(
    "synapses",
    [
        (Upsample2d(2),),
        (Conv2d(np.ones((2, 2, 2, 2), int)), Conv2d(np.ones((2, 2, 2, 2), int))),
        (Reshape((128,)),),
        (Reshape((4, 4, 8)), SumPool2d(2)),
        (OneToOne(np.arange(128).reshape(2, 8, 8)),),
        (Reshape((128,)), Dense(np.ones((128, 128), int)), Reshape((2, 8, 8))),
    ],
)
def test_what_is_no_single_convolution(synapses):
    assert as_convolution(synapses, (2, 8, 8)) is None


def test_more_channel_groups_than_lava_can_hold():
    assert as_convolution((SumPool2d(2),), (127, 2, 2)) is not None
    assert as_convolution((SumPool2d(2),), (128, 2, 2)) is None


@pytest.mark.parametrize(
    ("weights", "exponent", "expected"),
    [
        ([2, -256, 254], -1, [1, -128, 127]),
        ([2, 3], -1, None),
        ([127, -128], 0, [127, -128]),
        ([128], 0, None),
        ([-129], 0, None),
        ([31, -32], 2, [124, -128]),
        ([32], 2, None),
    ],
)
def test_kernels_are_whole_and_of_eight_bits(weights, exponent, expected):
    scaled = scaled_to_int8(np.array(weights), exponent)
    assert expected is None if scaled is None else scaled.tolist() == expected


def test_dense_matrices_are_sent_dense_and_thin_ones_sparse():
    source, target = Population("a", (4,)), Population("b", (4,), IF(1))

    def kind(weight):
        found = connection(Projection("a", "b", (Dense(weight),), delay=3, exponent=-1), source, target)
        assert isinstance(found, Matrix)
        assert (found.delay, found.exponent) == (2, -1)
        return found.dense

    assert kind(np.ones((4, 4), int))
    assert not kind(np.eye(4, dtype=int))


def test_lava_orders_space_as_width_height_channels():
    assert lava_shape((2, 3, 5)) == (5, 3, 2)
    assert lava_shape((7,)) == (7,)
    image = np.arange(30).reshape(2, 3, 5)
    np.testing.assert_array_equal(image.ravel()[lava_order((2, 3, 5))], image.transpose(2, 1, 0).ravel())
