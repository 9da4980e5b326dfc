"""Gains and offsets by least squares."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nmdeploy.convert.calibrate.fit import GAIN_RANGE, fit_rates

seeds = st.integers(0, 2**32 - 1)


@given(seeds)
def test_a_gain_and_an_offset_for_each_channel_are_found_again(seed):
    rng = np.random.default_rng(seed)
    rates = rng.integers(0, 9, (12, 3, 5)) / 8
    rates[0, :, :2] = (0, 1)  # no channel is constant
    gain, offset = rng.uniform(0.9, 1.1, 3), rng.uniform(-0.01, 0.01, 3)
    fit = fit_rates(rates, gain[:, None] * rates + offset[:, None])
    np.testing.assert_allclose(fit.gain, gain)
    np.testing.assert_allclose(fit.offset, offset, atol=1e-12)
    assert fit.error < 1e-20
    assert fit.relative_error < 1e-9


@given(seeds, st.booleans())
def test_it_is_the_least_squares_solution_where_no_bound_holds_it(seed, offsets):
    rng = np.random.default_rng(seed)
    rates = rng.integers(0, 9, (30, 2, 2)) / 8
    goal = 1.3 * rates + rng.normal(size=rates.shape) * 0.05
    fit = fit_rates(rates, goal, offsets=offsets)
    for channel in range(2):
        x, y = rates[:, channel].ravel(), goal[:, channel].ravel()
        columns = np.stack([x, np.ones_like(x)], axis=1) if offsets else x[:, None]
        wanted = np.linalg.lstsq(columns, y, rcond=None)[0]
        np.testing.assert_allclose([fit.gain[channel], fit.offset[channel]], [wanted[0], wanted[1] if offsets else 0])
    best = fit.gain[:, None] * rates + fit.offset[:, None]
    assert fit.error == pytest.approx(np.mean((best - goal) ** 2))


def test_a_channel_that_runs_away_is_held_at_the_bounds():
    rates = np.tile(np.linspace(0, 1, 8), (4, 6, 1))
    goal = rates * np.array([1.0, 1.0, 1.0, 1.0, 30.0, 0.01])[:, None]
    fit = fit_rates(rates, goal)
    np.testing.assert_allclose(fit.gain[4:], np.array(GAIN_RANGE)[::-1] * fit.layer_gain)


def test_silent_channels_take_the_gain_of_the_layer_and_their_mean_as_offset():
    rates = np.zeros((4, 2, 3))
    rates[:, 0] = np.linspace(0, 1, 3)
    goal = np.full_like(rates, 0.25)
    goal[:, 0] = 2 * rates[:, 0]
    fit = fit_rates(rates, goal)
    assert fit.gain[1] == fit.layer_gain
    assert fit.offset[1] == 0.25


def test_one_gain_for_the_layer():
    rates = np.tile(np.linspace(0, 1, 8), (4, 2, 1))
    goal = rates * np.array([1.0, 3.0])[:, None]
    fit = fit_rates(rates, goal, per_channel=False)
    np.testing.assert_allclose(fit.gain, 2.0)
    np.testing.assert_array_equal(fit.offset, 0)
    assert fit.relative_error == pytest.approx((np.mean(rates**2) / np.mean(goal**2)) ** 0.5)


def test_silence_on_silence_is_no_error():
    fit = fit_rates(np.zeros((4, 2, 3)), np.zeros((4, 2, 3)))
    assert (fit.layer_gain, fit.error, fit.relative_error) == (1.0, 0.0, 0.0)
