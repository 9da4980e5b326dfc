"""What must hold of the deployment, wherever it runs: `pytest`, or `pytest --nm-on board`."""

from pathlib import Path

import numpy as np
import pytest

import nmdeploy as nm
from nmdeploy.data import load_samples

ROOT = Path(__file__).resolve().parents[1]
BUNDLE = ROOT / "net.nmd"


@pytest.fixture(scope="module")
def deployment():
    return nm.load(BUNDLE)


def test_every_spike_of_the_stored_vectors(nm_replay):
    nm_replay(BUNDLE)


def test_accuracy_on_images_that_calibration_never_saw(deployment, nm_run):
    samples = load_samples(ROOT / "digits.npz", "test", (1, 8, 8)).stratified(100, seed=0)
    spikes = deployment.encoder.encode(samples.x, deployment.steps)
    result = nm_run(deployment, spikes)
    decision = deployment.readout.decide(result, deployment.network[deployment.network.outputs[0]])
    assert np.mean(decision.right(samples.y)) >= 0.9


def test_the_budget(deployment):
    assert deployment.placement.core_count <= 4
    assert deployment.steps + deployment.network.latency() <= 24
