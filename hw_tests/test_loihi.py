"""A deployment on Loihi: on a board where there is one, else on Lava, else on the emulator, and it says which.

NMDEPLOY_LAVA_PYTHON names a Python that has Lava, where it is not the one that runs the tests.
"""

import os
from pathlib import Path

import numpy as np
import pytest

import nmdeploy as nm
from nmdeploy.backend import RunSettings
from nmdeploy.bundle import make_vectors, replay
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


def best_backend():
    """The board, else the vendor's software, else None for the emulator."""
    python = os.environ.get("NMDEPLOY_LAVA_PYTHON")
    backends = nm.chip("loihi2").target.backends(RunSettings(python=Path(python) if python else None))
    ready = [backends[name] for name in ("board", "vendor") if backends[name].availability().ready]
    return ready[0] if ready else None


def test_the_best_backend_meets_the_vectors(deployment, tmp_path, record_property):
    generator = np.random.Generator(np.random.PCG64(12))
    spikes = (generator.random((20, 3, 1, 8, 8)) < 0.3).astype(np.uint8)
    nm.save(make_vectors(deployment, {"input": spikes}), tmp_path / "small.nmd")
    backend = best_backend()
    report = replay(nm.load(tmp_path / "small.nmd"), backend)
    record_property("ran_on", report.origin)
    assert report.origin.startswith("emulated" if backend is None else "run by Lava")
    assert report.passed, str(report)


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
