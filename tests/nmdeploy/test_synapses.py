"""Each synapse kind says its map three ways (`apply`, `matrix`, `fan_out`); all must agree."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nmdeploy.errors import ShapeError
from nmdeploy.synapses import (
    SYNAPSE_KINDS,
    Conv2d,
    ConvTranspose2d,
    Dense,
    OneToOne,
    Reshape,
    SumPool2d,
    Upsample2d,
)
from nmdeploy.synapses.base import four_sides, pair

SMALL = st.integers(1, 3)
PAIR = st.tuples(SMALL, SMALL)
PADDING = st.tuples(*[st.integers(0, 2)] * 4)


def weights(draw, *shape):
    generator = np.random.Generator(np.random.PCG64(draw(st.integers(0, 2**32))))
    return generator.integers(-3, 4, size=shape).astype(np.int8)  # zeros among them: they are synapses too


@st.composite
def dense(draw):
    size = draw(st.integers(1, 6))
    return Dense(weights(draw, draw(st.integers(1, 6)), size)), (size,)


@st.composite
def convolution(draw):
    groups, depth, filters = draw(SMALL), draw(SMALL), draw(SMALL)
    kernel, dilation, padding = draw(PAIR), draw(PAIR), draw(PADDING)
    size = [d * (k - 1) + 1 + draw(st.integers(0, 4)) for k, d in zip(kernel, dilation, strict=True)]
    weight = weights(draw, groups * filters, depth, *kernel)
    return Conv2d(weight, draw(PAIR), padding, dilation, groups), (groups * depth, *size)


@st.composite
def transposed(draw):
    groups, depth, filters = draw(SMALL), draw(SMALL), draw(SMALL)
    kernel, stride, dilation, size = draw(PAIR), draw(PAIR), draw(PAIR), draw(PAIR)
    extra = (draw(st.integers(0, 2)), draw(st.integers(0, 2)))
    full = [(n - 1) * s + d * (k - 1) + e for n, s, d, k, e in zip(size, stride, dilation, kernel, extra, strict=True)]
    top, left = draw(st.integers(0, full[0])), draw(st.integers(0, full[1]))
    cut = (top, draw(st.integers(0, full[0] - top)), left, draw(st.integers(0, full[1] - left)))
    weight = weights(draw, groups * depth, filters, *kernel)
    return ConvTranspose2d(weight, stride, cut, extra, dilation, groups), (groups * depth, *size)


@st.composite
def pooling(draw):
    kernel, padding = draw(PAIR), draw(PADDING)
    size = [k + draw(st.integers(0, 4)) for k in kernel]
    return SumPool2d(kernel, draw(st.none() | PAIR), padding), (draw(SMALL), *size)


@st.composite
def upsampling(draw):
    return Upsample2d(draw(PAIR)), (draw(SMALL), draw(SMALL), draw(SMALL))


@st.composite
def one_to_one(draw):
    shape = draw(st.sampled_from([(4,), (2, 3, 4)]))
    return OneToOne(weights(draw, *draw(st.sampled_from([(1,), (shape[0],) + (1,) * (len(shape) - 1), shape])))), shape


@st.composite
def reshape(draw):
    shape = draw(st.tuples(SMALL, SMALL, SMALL))
    return Reshape(draw(st.sampled_from([(math.prod(shape),), shape[::-1]]))), shape


CASES = {
    Dense: dense(),
    Conv2d: convolution(),
    ConvTranspose2d: transposed(),
    SumPool2d: pooling(),
    Upsample2d: upsampling(),
    OneToOne: one_to_one(),
    Reshape: reshape(),
}


def test_every_kind_is_tested():
    assert set(SYNAPSE_KINDS.values()) == set(CASES)


@pytest.mark.parametrize("kind", CASES, ids=lambda kind: kind.kind)
def test_matrix_equals_apply_and_fan_out_counts_its_columns(kind):
    @given(CASES[kind], st.integers(0, 2**32))
    @settings(max_examples=60)
    def check(case, seed):
        synapse, shape = case
        values = np.random.Generator(np.random.PCG64(seed)).integers(-9, 10, size=(2, *shape))
        out, matrix = synapse.apply(values), synapse.matrix(shape)
        assert out.dtype == np.int64
        assert out.shape == (2, *synapse.out_shape(shape))
        np.testing.assert_array_equal(out.reshape(2, -1), values.reshape(2, -1) @ matrix.toarray().T)
        rows, columns, entries = synapse.entries(shape)
        assert len(rows) == len(columns) == len(entries) == matrix.nnz  # no pair of neurons appears twice
        fan_out = synapse.fan_out(shape)
        assert (fan_out.shape, fan_out.dtype) == (shape, np.int64)
        np.testing.assert_array_equal(fan_out.ravel(), matrix.getnnz(axis=0))

    check()


@pytest.mark.parametrize("kind", CASES, ids=lambda kind: kind.kind)
def test_real_values_keep_their_type(kind):
    @given(CASES[kind])
    @settings(max_examples=5)
    def check(case):
        synapse, shape = case
        values = np.linspace(-1, 1, math.prod(shape), dtype=np.float32).reshape(1, *shape)
        if synapse.weight is not None:
            synapse = synapse.with_weight(synapse.weight.astype(np.float32))
        out = synapse.apply(values)
        assert out.dtype == np.float32
        expected = synapse.matrix(shape).toarray() @ values.ravel()
        np.testing.assert_allclose(out.ravel(), expected, rtol=1e-5, atol=1e-5)

    check()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Dense(np.zeros((2, 3))).out_shape((4,)), "Dense weights and input differ"),
        (lambda: Dense(np.zeros((2, 4))).out_shape((1, 2, 2)), r"Dense takes \(N,\)"),
        (lambda: Dense(np.zeros((0, 4))), "none of them empty"),
        (lambda: Conv2d(np.zeros((2, 3, 3))), r"\(C_out, C_in/groups, kh, kw\)"),
        (lambda: Conv2d(np.zeros((3, 1, 1, 1)), groups=2), "no multiple of groups"),
        (lambda: Conv2d(np.zeros((2, 3, 3, 3))).out_shape((2, 8, 8)), "input channels differ"),
        (lambda: Conv2d(np.zeros((2, 3, 3, 3))).out_shape((3, 2, 8)), "larger than the padded input"),
        (lambda: Conv2d(np.zeros((1, 1, 1, 1)), stride=0), "stride is at least 1"),
        (lambda: Conv2d(np.zeros((1, 1, 1, 1)), padding=-1), "padding is at least 0"),
        (lambda: Conv2d(np.zeros((1, 1, 1, 1)), padding=(1, 2, 3)), "padding is one number"),
        (lambda: Conv2d(np.zeros((1, 1, 1, 1)), stride=(1, 2, 3)), "one number or"),
        (lambda: Conv2d(np.zeros((1, 1, 1, 1)), stride=1.5), "whole numbers"),
        (lambda: ConvTranspose2d(np.zeros((3, 1, 1, 1)), groups=2), "no multiple of groups"),
        (lambda: ConvTranspose2d(np.zeros((3, 1, 1, 1))).out_shape((2, 4, 4)), "input channels differ"),
        (lambda: ConvTranspose2d(np.zeros((1, 1, 1, 1)), padding=2).out_shape((1, 4, 4)), "cuts everything off"),
        (lambda: SumPool2d(3).out_shape((1, 2, 5)), "window is larger"),
        (lambda: SumPool2d((2, 0)), "kernel is at least 1"),
        (lambda: Upsample2d(0), "factor is at least 1"),
        (lambda: OneToOne(np.zeros((3, 1, 1))).out_shape((2, 4, 4)), "do not broadcast"),
        (lambda: OneToOne(np.zeros((2, 4, 4))).out_shape((2, 1, 1)), "do not broadcast"),
        (lambda: Reshape((5,)).out_shape((2, 3)), "keeps the number of values"),
        (lambda: Reshape((5,)).with_weight(np.zeros(5)), "cannot take weights"),
    ],
)
def test_shapes_that_do_not_fit_are_told(make, message):
    with pytest.raises(ShapeError, match=message):
        make()


def test_sizes_may_be_one_number_a_pair_or_numpy_integers():
    assert pair(2) == pair((2, 2)) == pair(np.int64(2)) == (2, 2)
    assert four_sides(1) == (1, 1, 1, 1)
    assert four_sides((1, 2)) == (1, 1, 2, 2)
    assert four_sides([np.int32(1), 2, 3, 4]) == (1, 2, 3, 4)
    assert SumPool2d(2).steps == SumPool2d((2, 2), 2).steps == (2, 2)
