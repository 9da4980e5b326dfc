"""The public entry: emulate an integer network or a deployment, bit by bit."""

from __future__ import annotations

from typing import Literal

import numpy as np

from nmdeploy.deployment import Deployment
from nmdeploy.emulator.engine import run_stages, tile
from nmdeploy.emulator.inputs import Inputs, check_inputs, select
from nmdeploy.emulator.prepare import integer_stages
from nmdeploy.emulator.reference import emulate_reference
from nmdeploy.emulator.result import DEFAULT_RECORDING, Recording, Result
from nmdeploy.emulator.widths import check_integer, prove_widths
from nmdeploy.errors import UsageError
from nmdeploy.network import Network
from nmdeploy.progress import Progress


def emulate(
    network: Network | Deployment,
    inputs: Inputs,
    *,
    steps: int | None = None,
    record: Recording = DEFAULT_RECORDING,
    engine: Literal["fast", "reference"] = "fast",
    batch: int | None = None,
    progress: Progress | None = None,
) -> Result:
    """Run an integer network, or a deployment's, exactly as `emulate_reference` defines it.

    Args:
        network: integer network, or a deployment whose lowered network is run.
        inputs: spikes by input population, integers `[T_in, N, *shape]`; the array
            alone when there is one input. Inputs are silent after T_in.
        steps: steps to run; None means T_in plus `network.latency()`.
        record: what to keep.
        engine: `fast`, or `reference` for the plain definition (slow; keeps all spikes
            and potentials of the run in memory). Both give the same integers.
        batch: samples at a time in the fast engine; None chooses by the size of the network.
        progress: called with (samples done, samples in all) after every batch.

    Returns:
        The run.

    Raises:
        UsageError: for a float network, wrong names, an unknown engine, a batch below
            1, or numbers that int64 may not hold.
        ShapeError, DataError: for inputs that do not fit the network.
        EmulationOverflow: where a format's rule is `raise`, naming population or
            projection, step, sample and neuron: the earliest of the first batch that has one.
    """
    plain = network.network if isinstance(network, Deployment) else network
    if engine == "reference":
        result = emulate_reference(plain, inputs, steps=steps, record=record)
        if progress is not None:
            progress(result.samples, result.samples)
        return result
    if engine != "fast":
        raise UsageError("unknown engine", found=repr(engine), limit="'fast', 'reference'")
    check_integer(plain)
    stimulus = check_inputs(plain, inputs, steps)
    selected = select(plain, record, stimulus.steps)
    return run_stages(
        plain,
        integer_stages(plain, prove_widths(plain, stimulus.steps)),
        stimulus,
        selected,
        tile(plain, stimulus.samples, batch),
        potential_type=np.dtype(np.int64),
        origin="emulated (numpy engine)",
        progress=progress,
    )
