"""Example inputs for what is saved or emitted: the test vectors of a deployment, or random spikes."""

from __future__ import annotations

import numpy as np

from nmdeploy.bundle.replay import make_vectors
from nmdeploy.deployment import Deployment, TestVectors
from nmdeploy.errors import EmulationOverflow
from nmdeploy.linear_maps import Array
from nmdeploy.network import Network

EXAMPLE_STEPS = 20
"""Steps of the example input of a deployment that carries no test vectors."""
EXAMPLE_DENSITY = 0.2
"""Share of the example's inputs that are not silent."""


def example_vectors(deployment: Deployment) -> TestVectors:
    """Inputs and the output that the emulator expects: the deployment's test vectors, or one sample made here."""
    if deployment.vectors is None:
        steps = deployment.steps or EXAMPLE_STEPS
        deployment = make_vectors(deployment, _random_inputs(deployment.network, steps))
    vectors = deployment.vectors
    assert vectors is not None  # noqa: S101  make_vectors sets them
    return vectors


def with_example_vectors(deployment: Deployment) -> Deployment:
    """The deployment with test vectors: its own, or else an example.

    One that cannot be emulated (not integer, or a format's rule is `raise` and the example meets it) stays without.
    """
    if deployment.vectors is not None or not deployment.network.is_integer:
        return deployment
    try:
        return deployment.with_(vectors=example_vectors(deployment))
    except EmulationOverflow:
        return deployment


def _random_inputs(network: Network, steps: int) -> dict[str, Array]:
    generator = np.random.Generator(np.random.PCG64(0))
    inputs = {}
    for population in network.inputs:
        values = generator.integers(population.minimum, population.maximum + 1, (steps, 1, *population.shape))
        quiet = generator.random(values.shape) >= EXAMPLE_DENSITY
        inputs[population.name] = np.where(quiet, np.clip(0, population.minimum, population.maximum), values)
    return inputs
