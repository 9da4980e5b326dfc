import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nmdeploy.synapses import Conv2d
from targets.loihi.weights import CHANNEL_FORMAT, CONV_FORMAT, SignMode, sign_mode_of, stored_weights, to_conv2d

GIVEN = np.array([-300, -3, -1, 1, 3, 255, 300])


@pytest.mark.parametrize(
    ("mode", "stored"),
    [
        (SignMode.MIXED, [-256, -4, -2, 0, 2, 254, 254]),
        (SignMode.EXCITATORY, [0, 0, 0, 1, 3, 255, 255]),
        (SignMode.INHIBITORY, [-255, -3, -1, 0, 0, 0, 0]),
        (SignMode.NULL, [0, 0, 0, 1, 3, 255, 255]),
        (None, [-256, -4, -2, 0, 2, 254, 254]),
    ],
)
def test_the_table_recorded_from_lava(mode, stored):
    np.testing.assert_array_equal(stored_weights(GIVEN, mode), stored)


@pytest.mark.parametrize(
    ("mode", "bits", "stored"),
    [
        (SignMode.MIXED, 6, [-256, -8, -8, 0, 0, 248, 248]),
        (SignMode.EXCITATORY, 6, [0, 0, 0, 0, 0, 252, 252]),
        (SignMode.INHIBITORY, 7, [-254, -2, 0, 0, 0, 0, 0]),
        (SignMode.EXCITATORY, 1, [0, 0, 0, 0, 0, 128, 128]),
    ],
)
def test_fewer_bits_drop_the_low_ones(mode, bits, stored):
    np.testing.assert_array_equal(stored_weights(GIVEN, mode, bits), stored)


def test_lava_guesses_the_sign_mode():
    assert sign_mode_of(np.array([0, 4])) is SignMode.EXCITATORY
    assert sign_mode_of(np.array([0, 0])) is SignMode.EXCITATORY
    assert sign_mode_of(np.array([0, -4])) is SignMode.INHIBITORY
    assert sign_mode_of(np.array([1, -1])) is SignMode.MIXED


def test_fractions_are_cut_toward_zero_before_the_low_bit_goes():
    np.testing.assert_array_equal(stored_weights(np.array([-5.7, 5.7])), [-6, 4])


@given(st.lists(st.integers(-128, 127), min_size=1, max_size=20))
def test_doubled_signed_8_bit_weights_are_kept(weights):
    doubled = 2 * np.array(weights)
    np.testing.assert_array_equal(stored_weights(doubled, SignMode.MIXED), doubled)


def test_a_lava_kernel_is_flipped_and_transposed(rng):
    kernel = rng.integers(-9, 9, (2, 3, 2, 4))  # (C_out, kX, kY, C_in)
    image = rng.integers(0, 2, (5, 6, 4))  # (X, Y, C)
    out = Conv2d(to_conv2d(kernel)).apply(image.transpose(2, 1, 0)[np.newaxis])[0]
    for f, y, x in np.ndindex(out.shape):
        window = image[x : x + 3, y : y + 2]
        assert out[f, y, x] == np.sum(kernel[f, ::-1, ::-1] * window)


def test_accumulators_wrap():
    np.testing.assert_array_equal(CONV_FORMAT.apply(np.array([2**23, -(2**23) - 1])), [-(2**23), 2**23 - 1])
    np.testing.assert_array_equal(CHANNEL_FORMAT.apply(np.array([2**31, -(2**31) - 1])), [-(2**31), 2**31 - 1])
