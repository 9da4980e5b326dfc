"""The linear maps equal torch's own on integers, in every geometry."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nmdeploy import linear_maps

torch = pytest.importorskip("torch")
functional = torch.nn.functional

SMALL = st.integers(1, 3)
PAIR = st.tuples(SMALL, SMALL)
PADDING = st.tuples(*[st.integers(0, 3)] * 4)


def integers(seed, shape, largest=127):
    generator = np.random.Generator(np.random.PCG64(seed))
    return generator.integers(-largest, largest + 1, size=shape)


def padded_by_torch(images, padding):
    top, bottom, left, right = padding
    return functional.pad(torch.from_numpy(images), (left, right, top, bottom))


@st.composite
def convolutions(draw):
    """(images, weight, stride, padding, dilation, groups) for which the kernel fits the padded image."""
    groups, depth, filters = draw(SMALL), draw(SMALL), draw(SMALL)
    kernel, stride, dilation, padding = draw(PAIR), draw(PAIR), draw(PAIR), draw(PADDING)
    reach = [d * (k - 1) + 1 for k, d in zip(kernel, dilation, strict=True)]
    least = [max(1, reach[0] - sum(padding[:2])), max(1, reach[1] - sum(padding[2:]))]
    size = [least[axis] + draw(st.integers(0, 4)) for axis in (0, 1)]
    seed, largest = draw(st.integers(0, 2**32)), draw(st.sampled_from([1, 127, 2**28]))
    images = integers(seed, (draw(SMALL), groups * depth, *size), largest)
    weight = integers(seed + 1, (groups * filters, depth, *kernel), largest)
    return images, weight, stride, padding, dilation, groups


@given(convolutions())
@settings(max_examples=150)
def test_conv2d_equals_torch(case):
    images, weight, stride, padding, dilation, groups = case
    expected = functional.conv2d(
        padded_by_torch(images, padding),
        torch.from_numpy(weight),
        stride=stride,
        dilation=dilation,
        groups=groups,
    )
    out = linear_maps.conv2d(images, weight, stride, padding, dilation, groups)
    assert out.dtype == np.int64
    np.testing.assert_array_equal(out, expected.numpy())


@st.composite
def transposed(draw):
    """(images, weight, stride, padding, output padding, dilation, groups) that torch accepts."""
    groups, depth, filters = draw(SMALL), draw(SMALL), draw(SMALL)
    kernel, stride, dilation = draw(PAIR), draw(PAIR), draw(PAIR)
    extra = tuple(draw(st.integers(0, max(s, d) - 1)) for s, d in zip(stride, dilation, strict=True))
    size = draw(PAIR)
    full = [(n - 1) * s + d * (k - 1) + e for n, s, d, k, e in zip(size, stride, dilation, kernel, extra, strict=True)]
    cut = tuple(draw(st.integers(0, min(3, length // 2))) for length in full)
    seed = draw(st.integers(0, 2**32))
    images = integers(seed, (draw(SMALL), groups * depth, *size))
    weight = integers(seed + 1, (groups * depth, filters, *kernel))
    return images, weight, stride, cut, extra, dilation, groups


@given(transposed())
@settings(max_examples=150)
def test_conv_transpose2d_equals_torch(case):
    images, weight, stride, cut, extra, dilation, groups = case
    expected = functional.conv_transpose2d(
        torch.from_numpy(images),
        torch.from_numpy(weight),
        stride=stride,
        padding=cut,
        output_padding=extra,
        groups=groups,
        dilation=dilation,
    )
    sides = (cut[0], cut[0], cut[1], cut[1])
    out = linear_maps.conv_transpose2d(images, weight, stride, sides, extra, dilation, groups)
    assert out.dtype == np.int64
    np.testing.assert_array_equal(out, expected.numpy())


def test_conv_transpose2d_cuts_each_side_by_its_own_amount():
    images, weight = integers(0, (1, 2, 3, 4)), integers(1, (2, 3, 3, 3))
    whole = linear_maps.conv_transpose2d(images, weight, (1, 1), (0, 0, 0, 0), (0, 0), (1, 1), 1)
    out = linear_maps.conv_transpose2d(images, weight, (1, 1), (0, 1, 2, 0), (0, 0), (1, 1), 1)
    np.testing.assert_array_equal(out, whole[:, :, :-1, 2:])


@given(st.data())
@settings(max_examples=150)
def test_sum_pool2d_equals_torch(data):
    kernel, stride, padding = data.draw(PAIR), data.draw(PAIR), data.draw(PADDING)
    size = [k + data.draw(st.integers(0, 5)) for k in kernel]
    images = integers(data.draw(st.integers(0, 2**32)), (2, 3, *size))
    expected = functional.avg_pool2d(padded_by_torch(images, padding), kernel, stride, divisor_override=1)
    out = linear_maps.sum_pool2d(images, kernel, stride, padding)
    assert out.dtype == np.int64
    np.testing.assert_array_equal(out, expected.numpy())


@given(PAIR, st.integers(0, 2**32))
@settings(max_examples=30)
def test_upsample2d_equals_torch(factor, seed):
    images = integers(seed, (2, 3, 4, 2))
    expected = functional.interpolate(torch.from_numpy(images).double(), scale_factor=factor)
    np.testing.assert_array_equal(linear_maps.upsample2d(images, factor), expected.numpy())


@pytest.mark.parametrize(
    ("left", "right", "expected"),
    [
        (np.full((1, 2), 2**26), np.full((2, 1), 2**26), 2**53),  # the last bound that float64 holds
        (np.array([[2**26 + 1, 1]]), np.array([[2**27 + 1], [0]]), (2**26 + 1) * (2**27 + 1)),  # odd, beyond it
        (np.array([[2**62, 1]]), np.array([[1], [1]]), 2**62 + 1),
        (np.array([[-(2**63), 1]]), np.array([[1], [1]]), 1 - 2**63),
        (np.zeros((1, 0), int), np.zeros((0, 1), int), 0),
    ],
)
def test_the_integer_product_is_exact_on_both_sides_of_the_float64_bound(left, right, expected):
    out = linear_maps.product(left, right)
    assert out.dtype == np.int64
    assert out.item() == expected


def test_the_type_of_a_product_follows_the_bound():
    ones = np.ones(1, np.int64)
    assert linear_maps.product_type(ones * 2**26, ones * 2**27, 1) == np.float64
    assert linear_maps.product_type(ones * 2**26, ones * 2**27, 2) == np.int64
    assert linear_maps.product_type(np.ones(1, np.float32), np.ones(1, np.float32), 2**60) == np.float32


def test_narrow_integers_are_widened_before_they_are_multiplied():
    images, weight = np.full((1, 1, 2, 2), 255, np.uint8), np.full((1, 1, 2, 2), -128, np.int8)
    out = linear_maps.conv2d(images, weight, (1, 1), (0, 0, 0, 0), (1, 1), 1)
    assert out.item() == 4 * 255 * -128
    assert linear_maps.sum_pool2d(images, (2, 2), (1, 1), (0, 0, 0, 0)).item() == 4 * 255


def test_real_operands_keep_their_type():
    images, weight = np.ones((1, 1, 2, 2), np.float32), np.ones((1, 1, 2, 2), np.float32)
    assert linear_maps.conv2d(images, weight, (1, 1), (0, 0, 0, 0), (1, 1), 1).dtype == np.float32
    assert linear_maps.conv_transpose2d(images, weight, (1, 1), (0,) * 4, (0, 0), (1, 1), 1).dtype == np.float32


def test_a_batch_larger_than_one_chunk_is_the_same_as_its_samples(monkeypatch):
    images, weight = integers(0, (5, 2, 6, 6)), integers(1, (3, 2, 3, 3))
    whole = linear_maps.conv2d(images, weight, (1, 1), (1, 1, 1, 1), (1, 1), 1)
    monkeypatch.setattr(linear_maps, "_COLUMN_BYTES", 2 * 2 * 9 * 36 * 8)
    np.testing.assert_array_equal(linear_maps.conv2d(images, weight, (1, 1), (1, 1, 1, 1), (1, 1), 1), whole)
