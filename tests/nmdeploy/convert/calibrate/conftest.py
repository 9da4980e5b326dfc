"""Chips for calibrations: Loihi, and one whose arithmetic is that of the ideal neuron, without any latency."""

import numpy as np
import pytest
from plain_chip import plain_chip

import nmdeploy
from nmdeploy.convert.integers import to_integers
from nmdeploy.convert.spiking import to_spiking


@pytest.fixture
def loihi():
    return nmdeploy.chip("loihi1")


@pytest.fixture(params=["bias", "no bias"])
def plain(request):
    return plain_chip(request.param)


@pytest.fixture
def images(rng):
    """Smooth images in 0..1."""
    x = rng.random((80, 1, 8, 8))
    return (x + np.roll(x, 1, 2) + np.roll(x, 1, 3)) / 3


@pytest.fixture
def spiking(digits_like, images):
    return to_spiking(digits_like, images, readout="potential", reset="zero")


@pytest.fixture
def residual(branched, rng):
    """Addition, concatenation, depthwise convolution, padding and a bounded rectifier."""
    samples = rng.random((30, 2, 6, 6))
    return to_spiking(branched, samples, readout="potential", reset="zero"), samples


@pytest.fixture
def on_chip():
    """Lowers a float network as `deploy` does."""

    def lower(network, choice):
        integers = to_integers(network, choice.precision)
        return choice.target.lower(integers, choice.chip, choice.profile).network

    return lower
