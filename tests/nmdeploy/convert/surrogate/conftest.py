"""A small network that has something to learn, and samples that teach it."""

import numpy as np
import pytest
from plain_chip import plain_chip

import nmdeploy
from nmdeploy.ann.execute import run as run_graph
from nmdeploy.convert.spiking import to_spiking
from nmdeploy.data import Samples


@pytest.fixture
def loihi():
    return nmdeploy.chip("loihi1")


@pytest.fixture
def wide():
    """Ideal neurons with weights so wide that rounding hardly matters."""
    return plain_chip("wide")


@pytest.fixture
def images(rng):
    """Smooth images in 0..1."""
    x = rng.random((240, 1, 8, 8), dtype=np.float32)
    return (x + np.roll(x, 1, 2) + np.roll(x, 1, 3)) / 3


@pytest.fixture
def taught(digits_like, images):
    """Samples labelled by the trained network, its largest output above the mean of all samples."""
    scores = run_graph(digits_like, images)["fc"]
    return Samples(images, (scores - scores.mean(axis=0)).argmax(axis=1).astype(np.int64))


@pytest.fixture
def spiking(digits_like, images):
    return to_spiking(digits_like, images, readout="potential", reset="zero")
