import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from nmdeploy.errors import ShapeError
from nmdeploy.network import Projection
from nmdeploy.synapses import Conv2d, Dense, Reshape, SumPool2d
from targets.spinnaker.local_only import (
    connector_kernel,
    connector_shape,
    convolution_addresses,
    convolution_map,
    departure_from_convolution,
    is_plain_convolution,
    pool_dense_map,
    pool_dense_matrix,
    pool_dense_rows,
    reciprocal_quotient,
)

ONCE = (1, 1)
pairs = st.tuples(st.integers(1, 3), st.integers(1, 3))


def layer_map(kernel, pre_shape, padding, stride, pool):
    """What one spike of each source neuron gives in sum pooling and cross-correlation."""
    (top, left) = padding
    layer = Conv2d(kernel[None, None], stride, padding=(top, top, left, left))
    projection = Projection("source", "target", (SumPool2d(pool), layer))
    shape = (1, *pre_shape)
    post_shape = projection.shapes(shape)[-1][1:]
    return projection.matrix(shape).toarray().T.reshape(*pre_shape, *post_shape)


def numbered(shape):
    """Weights that are all different and not 0."""
    return np.arange(1, np.prod(shape) + 1).reshape(shape)


@given(st.integers(0, 65_535), st.integers(1, 65_535))
def test_the_reciprocal_divides_16_bit_numbers(value, divisor):
    quotient = value // divisor
    assert reciprocal_quotient(np.array([value]), divisor) == quotient - ((quotient & 0x8000) << 1)


def test_negative_numbers_are_divided_by_one_only():
    assert reciprocal_quotient(np.array([-3]), 1) == -3
    assert reciprocal_quotient(np.array([-1, -2]), 2).tolist() == [32_767, 32_766]


def test_a_spike_reaches_the_neighbourhood_of_its_own_place():
    kernel = numbered((3, 3))
    found = convolution_map(kernel, (4, 4), (4, 4), ONCE, ONCE, ONCE)
    np.testing.assert_array_equal(found[1, 2, 0:3, 1:4], kernel)
    assert np.count_nonzero(found[1, 2]) == 9
    np.testing.assert_array_equal(found[0, 0, :2, :2], kernel[1:, 1:])


@given(st.integers(0, 2), pairs, pairs, pairs, pairs)
def test_a_convolution_is_called_plain_exactly_when_every_address_is_that_of_the_layer(
    half, size, padding, pool, extra
):
    kernel = numbered((2 * half + 1, 2 * half + 1))
    pre_shape = tuple((s + 2 * half) * p + e - 1 for s, e, p in zip(size, extra, pool, strict=True))
    meant = layer_map(kernel, pre_shape, padding, ONCE, pool)
    post_shape = meant.shape[2:]
    made = convolution_map(connector_kernel(kernel), pre_shape, post_shape, padding, ONCE, pool)
    plain = is_plain_convolution(pre_shape, post_shape, kernel.shape, padding, ONCE, pool)
    assert plain == np.array_equal(made, meant)
    assert connector_shape(pre_shape, kernel.shape, padding, ONCE, pool) == post_shape


@given(st.integers(1, 4), st.integers(1, 4), pairs, pairs)
def test_what_is_called_no_convolution_is_none(kernel_h, kernel_w, stride, padding):
    kernel = numbered((kernel_h, kernel_w))
    pre_shape = (9, 10)
    odd_square = kernel_h == kernel_w and kernel_h % 2 == 1
    assume(not (odd_square and stride == ONCE) and kernel_h * kernel_w > 1)
    meant = layer_map(kernel, pre_shape, padding, stride, ONCE)
    post_shape = meant.shape[2:]
    reason = departure_from_convolution(pre_shape, post_shape, kernel.shape, padding, stride, ONCE)
    assert reason is not None
    made = convolution_map(connector_kernel(kernel), pre_shape, post_shape, padding, stride, ONCE)
    assert not np.array_equal(made, meant)


@pytest.mark.parametrize(
    ("pre", "post", "kernel", "padding", "stride", "pool", "reason"),
    [
        ((8, 8), (6, 8), (3, 1), (0, 0), (1, 1), (1, 1), "the kernel is 3x1; only square"),
        ((8, 8), (7, 7), (2, 2), (0, 0), (1, 1), (1, 1), "the kernel is 2x2; the chip would read beyond"),
        ((8, 8), (6, 3), (3, 3), (0, 0), (1, 2), (1, 1), "the stride is 1x2"),
        ((8, 8), (6, 5), (3, 3), (0, 0), (1, 1), (1, 1), "sPyNNaker wants a target of 6x6, it has 6x5"),
        ((9, 8), (4, 4), (3, 3), (1, 1), (1, 1), (2, 2), "windows of 2x2 do not fill 9x8"),
        ((8, 8), (2, 2), (3, 3), (0, 0), (1, 1), (2, 2), None),
    ],
)
def test_the_reason_is_told(pre, post, kernel, padding, stride, pool, reason):
    found = departure_from_convolution(pre, post, kernel, padding, stride, pool)
    assert found is reason is None or found.startswith(reason)
    assert is_plain_convolution(pre, post, kernel, padding, stride, pool) == (reason is None)


def test_rows_that_fill_no_window_can_be_harmless():
    # The last row, which no window of the layer takes, lands outside the target here.
    kernel = numbered((1, 1))
    made = convolution_map(kernel, (3, 2), (1, 1), (0, 0), ONCE, (2, 2))
    np.testing.assert_array_equal(made, layer_map(kernel, (3, 2), (0, 0), ONCE, (2, 2)))
    assert is_plain_convolution((3, 2), (1, 1), (1, 1), (0, 0), ONCE, (2, 2))


def test_kernels_of_even_size_are_read_beyond_their_end():
    addresses = convolution_addresses((4, 4), (3, 3), (2, 2), (0, 0), ONCE, ONCE)
    assert addresses.weight.max() == 6
    assert np.all(convolution_map(numbered((2, 2)), (4, 4), (3, 3), (0, 0), ONCE, ONCE) <= 4)


def test_the_first_axis_of_a_kernel_is_written_as_its_width():
    assert connector_shape((8, 12), (3, 1), (0, 0), ONCE, ONCE) == (8, 10)
    kernel = numbered((3, 1))
    found = convolution_map(kernel, (3, 5), (3, 3), (0, 0), ONCE, ONCE)
    assert found[1, 2, 1].tolist() == [1, 2, 3]


def test_a_target_one_smaller_is_asked_for_where_the_stride_divides():
    assert connector_shape((5, 6), (3, 3), (0, 0), (2, 2), ONCE) == (1, 2)
    assert connector_shape((2, 2), (3, 3), (0, 0), (2, 2), ONCE) == (1, 1)


@given(st.integers(1, 3), pairs, pairs)
def test_a_reordered_dense_layer_is_the_layer_that_was_meant(outputs, pooled, pool):
    pre_shape = (pooled[0] * pool[0], pooled[1] * pool[1])
    weights = numbered((outputs, *pooled))
    found = pool_dense_map(pool_dense_matrix(weights), pre_shape, pool)
    size = pooled[0] * pooled[1]
    chain = (SumPool2d(pool), Reshape((size,)), Dense(weights.reshape(outputs, size)))
    meant = Projection("source", "target", chain).matrix((1, *pre_shape)).toarray().T
    np.testing.assert_array_equal(found, meant.reshape(*pre_shape, outputs))


def test_pool_dense_rows_are_counted_column_by_column():
    assert pool_dense_rows((2, 3), ONCE).tolist() == [[0, 2, 4], [1, 3, 5]]
    assert pool_dense_rows((2, 4), (2, 2)).tolist() == [[0, 0, 1, 1]] * 2


def test_windows_that_do_not_fill_the_map_are_refused():
    with pytest.raises(ShapeError, match="pool windows must fill the map"):
        pool_dense_rows((3, 4), (2, 2))
