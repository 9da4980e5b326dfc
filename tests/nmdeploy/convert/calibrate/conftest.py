"""Chips for calibrations: Loihi, and one whose arithmetic is that of the ideal neuron, without any latency."""

from dataclasses import replace

import numpy as np
import pytest

import nmdeploy
from nmdeploy.convert.integers import to_integers
from nmdeploy.convert.spiking import to_spiking
from nmdeploy.target import Chip, Choice, Lowered, Precision, Profile, Target
from quantize import IntegerFormat


class PlainTarget(Target):
    """Integers as they are: no latency, reset to zero, with or without biases (by the profile)."""

    name = "plain"

    def chips(self):
        return {"plain1": Chip("plain1", "Plain", {})}

    def neuron_models(self):
        return ()

    def precision(self, chip, profile):
        bias = IntegerFormat(16) if profile == "bias" else None
        return Precision(IntegerFormat(8), IntegerFormat(16, signed=False), bias, resets=("zero",))

    def lower(self, network, chip, profile):
        return Lowered(network, Profile(f"plain/{profile}", ()))

    def rules(self, chip):
        return ()

    def map(self, network, chip, chips=1):
        raise NotImplementedError

    def check(self, network, placement, chip):
        return ()


@pytest.fixture
def loihi():
    return nmdeploy.chip("loihi1")


@pytest.fixture(params=["bias", "no bias"])
def plain(request):
    target = PlainTarget()
    return Choice(target, target.chips()["plain1"], request.param)


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


@pytest.fixture
def without_biases():
    """A float network with all biases taken away."""

    def strip(network):
        populations = tuple(
            each if each.neuron is None else replace(each, neuron=replace(each.neuron, bias=0.0))
            for each in network.populations
        )
        return replace(network, populations=populations)

    return strip
