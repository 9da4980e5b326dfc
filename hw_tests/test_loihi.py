"""A deployment on Loihi: on a board where there is one, else on Lava, else on the emulator; `--nm-on` says which."""

import numpy as np
import pytest

import nmdeploy as nm
from nmdeploy.bundle import make_vectors
from nmdeploy.emulator.result import ALL, Recording
from nmdeploy.network import Network, Population, Projection
from nmdeploy.neurons import IF
from nmdeploy.synapses import Conv2d, Dense, Reshape, SumPool2d


@pytest.fixture
def deployment():
    generator = np.random.Generator(np.random.PCG64(11))
    network = Network(
        "small",
        (
            Population("input", (1, 8, 8)),
            Population("conv", (4, 8, 8), IF(90, bias=3, reset="zero")),
            Population("out", (5,), IF(400, reset="zero")),
        ),
        (
            Projection("input", "conv", (Conv2d(generator.integers(-100, 127, (4, 1, 3, 3)), padding=1),)),
            Projection("conv", "out", (SumPool2d(2), Reshape((64,)), Dense(generator.integers(-60, 127, (5, 64))))),
        ),
    )
    return nm.deploy(network, "loihi2")


def test_the_vectors_are_met(deployment, tmp_path, nm_replay):
    generator = np.random.Generator(np.random.PCG64(12))
    spikes = (generator.random((20, 3, 1, 8, 8)) < 0.3).astype(np.uint8)
    nm.save(make_vectors(deployment, {"input": spikes}), tmp_path / "small.nmd")
    nm_replay(tmp_path / "small.nmd")


def test_both_emulators_agree_on_the_deployment(deployment):
    generator = np.random.Generator(np.random.PCG64(13))
    spikes = (generator.random((20, 2, 1, 8, 8)) < 0.3).astype(np.uint8)
    record = Recording(spikes=(ALL,), potentials=("conv", "out"))
    runs = [nm.emulate(deployment, spikes, record=record, engine=engine) for engine in ("fast", "reference")]
    for name in ("input", "conv", "out"):
        assert runs[0].spikes[name].any()
        np.testing.assert_array_equal(runs[0].spikes[name], runs[1].spikes[name])
    for name in ("conv", "out"):
        np.testing.assert_array_equal(runs[0].potentials[name], runs[1].potentials[name])
