"""What NetX and Lava make of a dense layer's integers; the values were seen in lava-dl 0.6.0 and Lava 0.10.0."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from targets.loihi.netx.weights import UnusableWeights, clip, in_use, recurrent_in_use


@pytest.mark.parametrize(
    ("weight", "stored", "exponent"),
    [
        ([127, -128], [254, -256], -1),  # signed 8 bits fill the synapse
        ([3, -4], [192, -256], -6),
        ([254, -1], [254, -1], 0),  # 9 bits: odd weights of both signs stay
        ([255, 1], [255, 1], 0),
        ([1], [128], -7),
        ([-3, 0], [-192, 0], -6),
        ([-200, 0, -4], [-200, 0, -4], 0),
        ([-127, 0, -3], [-254, 0, -6], -1),
        ([300, -3], [254, -3], 0),  # clipped
        ([300, -300], [254, -256], 0),
    ],
)
def test_weights_as_seen_in_lava(weight, stored, exponent):
    used = in_use(np.array([weight]))
    np.testing.assert_array_equal(used.stored, [stored])
    assert used.exponent == exponent
    assert used.keeps(np.array([weight])) == (max(weight) <= 254 or min(weight) >= 0)


@pytest.mark.parametrize(
    ("weight", "stored"),
    [
        ([-1, -1], [0, 0]),  # shifted to -256, clipped to -255, and the low bits cut off
        ([-128, -3], [-254, -6]),
        ([-256, -2], [-254, -2]),
        ([-128, 0, -3], [-255, 0, -6]),
    ],
)
def test_weights_none_above_zero_lose_a_negative_power_of_two(weight, stored):
    used = in_use(np.array([weight]))
    np.testing.assert_array_equal(used.stored, [stored])
    assert not used.keeps(np.array([weight]))


@pytest.mark.parametrize(
    ("weight", "reason"),
    [
        ([0, 0], "all weights are 0"),
        ([256], "beyond 8 bits"),
        ([-257, -1], "beyond 8 bits"),
        ([-300, 0], "beyond 8 bits"),
        ([-200, 0, -3], "9 bits"),
    ],
)
def test_unusable_weights(weight, reason):
    with pytest.raises(UnusableWeights, match=reason):
        in_use(np.array([weight]))


@given(st.lists(st.integers(-128, 127), min_size=1, max_size=8))
def test_signed_bytes_with_one_above_zero_stay(weights):
    weight = np.array([[*weights, 1]])
    used = in_use(weight)
    assert used.keeps(weight)
    assert abs(used.stored.astype(int)).max() <= 256
    assert used.stored.max() <= 254 or weight.min() >= 0


@given(st.lists(st.integers(-400, 400), min_size=1, max_size=6))
def test_clipping_touches_both_signs_only(weights):
    weight = np.array(weights)
    one_sign = weight.min() >= 0 or weight.max() <= 0
    expected = weight if one_sign else np.clip(weight, -256, 254)
    np.testing.assert_array_equal(clip(weight), expected)


def test_recurrent_weights_are_shifted_as_one_matrix():
    first, second = recurrent_in_use(np.array([[3, -4]]), np.array([[-5]]))
    assert (first.exponent, second.exponent) == (-5, -5)
    np.testing.assert_array_equal(first.stored, [[96, -128]])
    np.testing.assert_array_equal(second.stored, [[-160]])


def test_a_recurrent_part_can_be_unusable():
    with pytest.raises(UnusableWeights, match="all weights are 0"):
        recurrent_in_use(np.zeros((1, 2), dtype=int), np.zeros((1, 1), dtype=int))
    with pytest.raises(UnusableWeights, match="beyond 8 bits"):
        recurrent_in_use(np.array([[300, 1]]), np.array([[1]]))
    with pytest.raises(UnusableWeights, match="9 bits"):
        recurrent_in_use(np.array([[-200, 3]]), np.array([[-3]]))
