"""A deployment on SpiNNaker: on a machine where one is named, else on the emulator; `--nm-on` says which.

A virtual board executes nothing and is never taken for a machine.
"""

import numpy as np
import pytest

import nmdeploy as nm
from nmdeploy.bundle import make_vectors
from nmdeploy.network import Network, Population, Projection
from nmdeploy.neurons import IF
from nmdeploy.synapses import Conv2d, Dense, Reshape, SumPool2d


@pytest.fixture(params=["chip", "conv"])
def deployment(request):
    generator = np.random.Generator(np.random.PCG64(11))
    network = Network(
        "small",
        (
            Population("input", (1, 8, 8)),
            Population("conv", (4, 8, 8), IF(600, reset="zero")),
            Population("out", (6,), IF(900, bias=5, reset="zero", v_min=0)),
        ),
        (
            Projection("input", "conv", (Conv2d(generator.integers(-100, 200, (4, 1, 3, 3)), padding=1),)),
            Projection("conv", "out", (SumPool2d(2), Reshape((64,)), Dense(generator.integers(-60, 127, (6, 64))))),
        ),
    )
    return nm.deploy(network, f"spin5/{request.param}")


def test_the_vectors_are_met(deployment, tmp_path, nm_replay):
    generator = np.random.Generator(np.random.PCG64(12))
    spikes = (generator.random((20, 3, 1, 8, 8)) < 0.3).astype(np.uint8)
    nm.save(make_vectors(deployment, {"input": spikes}), tmp_path / "small.nmd")
    nm_replay(tmp_path / "small.nmd")
