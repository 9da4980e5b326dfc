"""Running a float network, on the same engine as the integers."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from nmdeploy.emulator.engine import run_stages, tile
from nmdeploy.emulator.inputs import Inputs, check_inputs, select
from nmdeploy.emulator.result import DEFAULT_RECORDING, Recording, Result
from nmdeploy.emulator.signs import parts
from nmdeploy.emulator.stages import Map, Stage, in_order, with_parameters, with_weights
from nmdeploy.errors import UsageError
from nmdeploy.network import Network, Population
from nmdeploy.progress import Progress
from nmdeploy.structure import field_names
from quantize import IntegerFormat


def simulate(
    network: Network,
    inputs: Inputs,
    *,
    steps: int | None = None,
    record: Recording = DEFAULT_RECORDING,
    precision: Literal["float32", "float64"] = "float64",
    batch: int | None = None,
    progress: Progress | None = None,
) -> Result:
    """Run a float network; the semantics of a step are those of `emulate_reference`, in reals.

    Sums of float32 weights are exact in float64 in all but extreme cases, so the
    default does not depend on the order in which BLAS adds; float32 is faster and may
    decide a spike at the very threshold differently.

    Args:
        network: float network.
        inputs: spikes by input population, integers `[T_in, N, *shape]`; the array
            alone when there is one input. Inputs are silent after T_in.
        steps: steps to run; None means T_in plus `network.latency()`.
        record: what to keep.
        precision: type of all arithmetic.
        batch: samples at a time; None chooses by the size of the network.
        progress: called with (samples done, samples in all) after every batch.

    Returns:
        The run, with potentials in `precision`.

    Raises:
        UsageError: for an integer network or one with integer formats, wrong names, an
            unknown precision, or a batch below 1.
        ShapeError, DataError: for inputs that do not fit the network.
    """
    _check_float(network)
    if precision not in ("float32", "float64"):
        raise UsageError("unknown precision", found=repr(precision), limit="'float32', 'float64'")
    kind = np.dtype(precision)
    stimulus = check_inputs(network, inputs, steps)
    return run_stages(
        network,
        tuple(_stage(network, population, kind) for population in in_order(network)),
        stimulus,
        select(network, record, stimulus.steps),
        tile(network, stimulus.samples, batch),
        potential_type=kind,
        origin="simulated in float",
        progress=progress,
    )


def _stage(network: Network, population: Population, kind: np.dtype[Any]) -> Stage:
    entering = tuple(
        tuple(Map(with_weights(part, kind), kind, kind) for part in parts(network, projection))
        for projection in network.into(population.name)
    )
    neuron = None if population.neuron is None else with_parameters(population.neuron, kind)
    return Stage(population, neuron, kind, entering)


def _check_float(network: Network) -> None:
    if network.is_integer:
        raise UsageError(
            "an integer network is emulated, not simulated", where=network.name, hint="use nmdeploy.emulate"
        )
    formatted = [p.name for p in network.projections if p.accumulator is not None or p.exponent]
    formatted += [
        population.name
        for population in network.populations
        if population.neuron is not None
        and any(isinstance(getattr(population.neuron, f), IntegerFormat) for f in field_names(population.neuron))
    ]
    if formatted:
        raise UsageError("integer formats and exponents have no meaning in a float network", where=", ".join(formatted))
