"""Example inputs for what is saved or emitted: the test vectors of a deployment, or random spikes."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from nmdeploy.bundle.replay import record_vectors
from nmdeploy.coding import Clocked
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
    if deployment.vectors is not None:
        return deployment.vectors
    steps, encoder = deployment.steps or EXAMPLE_STEPS, deployment.encoder
    inputs = _random_inputs(deployment.network, steps)
    if isinstance(encoder, Clocked):
        # Clocks out of time would show what the network never does.
        inputs = encoder.with_clocks(inputs[encoder.input][: encoder.input_steps], steps)
    return record_vectors(deployment, inputs)


def example_arrays(deployment: Deployment, keys: Mapping[str, str]) -> dict[str, Array]:
    """The example as a script's `inputs.npz` holds it: `KEY`, an input's spikes, and `KEY.expected`, an output's.

    Args:
        deployment: what the script runs.
        keys: by population, its name in the script.
    """
    given = example_vectors(deployment)
    inputs = {keys[name]: spikes for name, spikes in given.inputs.items()}
    return inputs | {f"{keys[name]}.expected": spikes for name, spikes in given.spikes.items()}


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
