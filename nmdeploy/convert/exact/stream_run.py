"""Streams on chips: an exact network deployed for sample after sample, and decisions from one run."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmdeploy.backend import Backend
from nmdeploy.bundle import make_vectors
from nmdeploy.coding import Decision, MembranePotential, Streamed
from nmdeploy.convert.exact.spiking import ExactNetwork
from nmdeploy.convert.exact.streaming import stream, streamed_potentials
from nmdeploy.deployment import Deployment, deploy
from nmdeploy.emulator.result import ALL, Recording
from nmdeploy.emulator.run import emulate
from nmdeploy.errors import UsageError
from nmdeploy.inference import Inference
from nmdeploy.target import Choice


def deploy_stream(
    exact: ExactNetwork, chip: Choice | str, *, samples: NDArray[Any] | None = None, **extra: Any
) -> Deployment:
    """An exact network on a chip, for sample after sample in one run; samples one by one run on it as well.

    Args:
        exact: for that chip.
        chip: target, chip and profile, or their name.
        samples: a few, `[N, *shape]`: their stream becomes the deployment's test vectors.
        extra: what else `nmdeploy.deploy` takes.

    Raises:
        UsageError: for a chip on which samples cannot follow each other.
        FitError: with every violation, when the network does not fit.
    """
    streamed = stream(exact)
    deployment = deploy(
        streamed.network,
        chip,
        encoder=streamed.encoder,
        readout=MembranePotential(),
        steps=streamed.encoder.steps,
        **extra,
    )
    return deployment if samples is None else make_vectors(deployment, streamed.inputs(samples))


def infer_stream(deployment: Deployment, samples: NDArray[Any], *, backend: Backend | None = None) -> Inference:
    """Decisions on samples that follow each other in one run.

    Args:
        deployment: from `deploy_stream`, perhaps loaded from a bundle.
        samples: `[N, *shape]`, in the encoder's range.
        backend: what runs it; None for the emulator.

    Returns:
        Decisions on the samples; the result is that of the one run, all its spikes recorded.

    Raises:
        UsageError: for another deployment, one with several outputs, or without samples.
        DataError: from the encoder.
    """
    network, encoder = deployment.network, deployment.encoder
    if not isinstance(encoder, Streamed) or len(network.outputs) != 1:
        hint = "deploy it with nmdeploy.convert.exact.deploy_stream"
        raise UsageError("no stream with one output", where=network.name, hint=hint)
    spikes = encoder.stream([population.name for population in network.inputs], samples)
    record = Recording(spikes=(ALL,), potentials=network.outputs)
    if backend is None:
        result = emulate(network, spikes, record=record)
    else:
        result = backend.run(deployment, spikes, record=record)
    output = network[network.outputs[0]]
    values = streamed_potentials(network, output.name, result, len(samples)) * np.asarray(output.potential_scale)
    return Inference(Decision.of_scores(values.reshape(len(samples), -1)), result)
