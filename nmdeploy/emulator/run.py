"""The public entry: emulate an integer network or a deployment, bit by bit."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from nmdeploy.deployment import Deployment
from nmdeploy.emulator import compiled
from nmdeploy.emulator.compiled_run import Run, check_threads, run_compiled
from nmdeploy.emulator.engine import run_stages, tile
from nmdeploy.emulator.engines import ENGINES, Engine, check_engine
from nmdeploy.emulator.event_network import check_event_network, is_event_driven
from nmdeploy.emulator.event_run import EventRun, run_events
from nmdeploy.emulator.inputs import Inputs, Stimulus, check_inputs, select
from nmdeploy.emulator.prepare import integer_stages
from nmdeploy.emulator.reference import emulate_reference
from nmdeploy.emulator.result import DEFAULT_RECORDING, Recording, Result
from nmdeploy.emulator.timings import Timings
from nmdeploy.emulator.until import Until
from nmdeploy.emulator.widths import check_integer, prove_widths
from nmdeploy.errors import UsageError
from nmdeploy.network import Network
from nmdeploy.progress import Progress

__all__ = ["ENGINES", "Engine", "emulate"]


def emulate(
    network: Network | Deployment,
    inputs: Inputs,
    *,
    steps: int | None = None,
    record: Recording = DEFAULT_RECORDING,
    engine: Engine = "fast",
    batch: int | None = None,
    threads: int | None = None,
    until: Until | None = None,
    progress: Progress | None = None,
    timings: Timings | None = None,
) -> Result:
    """Run an integer network, or a deployment's, exactly as `emulate_reference` defines it.

    A network whose neurons take single events (`NeuronModel.event_rule`) runs event by event,
    as `EventReference` defines it; steps then group events, and values of spikes count them.

    Args:
        network: integer network, or a deployment whose lowered network is run.
        inputs: spikes by input population, integers `[T_in, N, *shape]`; the array
            alone when there is one input. Inputs are silent after T_in.
        steps: steps to run; None means T_in plus `network.latency()`.
        record: what to keep.
        engine: `fast` is the compiled engine where it was built, else the numpy engine;
            `compiled` and `numpy` ask for one of them, `reference` for the plain
            definition (slow; keeps all spikes and potentials of the run in memory). All
            give the same integers; `Result.origin` tells which ran. Event by event there is no
            numpy engine: `numpy` is the reference, and so is `fast` without compiled kernels.
        batch: samples at a time; None chooses by the size of the network.
        threads: batches at a time in the compiled engine; None means 1. The result is
            the same for any number. (BLAS, not this, decides the numpy engine's threads.)
        until: ends each sample's run when its decision is known; None runs all steps. Samples
            then run one at a time, whatever `batch` says. Not for the reference with time steps.
        progress: called with (samples done, samples in all) after every batch.
        timings: gets the seconds and kernels of every population; not from the reference.

    Returns:
        The run.

    Raises:
        UsageError: for a float network, wrong names, an unknown engine or one that was
            not built, a batch or threads below 1, or numbers that int64 may not hold.
        ShapeError, DataError: for inputs that do not fit the network.
        NetworkError: for what has no meaning event by event.
        EmulationOverflow: where a format's rule is `raise`, or a neuron sends more events in a
            step than its `largest_spike`, naming population or
            projection, step, sample and neuron: the earliest of the first batch that has one.
    """
    check_engine(engine)
    plain = network.network if isinstance(network, Deployment) else network
    if is_event_driven(plain):
        check_event_network(plain)
        stimulus = _stimulus(plain, inputs, steps, until)
        by_event = EventRun(plain, stimulus, select(plain, record, stimulus.steps), engine, timings)
        return run_events(by_event, batch, check_threads(threads), progress)
    if engine == "reference":
        if until is not None:
            raise UsageError("the reference runs all steps", where="until", found=until)
        result = emulate_reference(plain, inputs, steps=steps, record=record)
        if progress is not None:
            progress(result.samples, result.samples)
        return result
    check_integer(plain)
    stimulus = _stimulus(plain, inputs, steps, until)
    batch = batch if until is None else 1
    run = Run(plain, stimulus, select(plain, record, stimulus.steps), prove_widths(plain, stimulus.steps))
    if engine == "numpy" or (engine == "fast" and not compiled.sets()):
        return _on_numpy(run, batch, progress, timings)
    return run_compiled(run, batch, check_threads(threads), progress, timings)


def _stimulus(network: Network, inputs: Inputs, steps: int | None, until: Until | None) -> Stimulus:
    stimulus = check_inputs(network, inputs, steps)
    if until is None:
        return stimulus
    until.check(network)
    return replace(stimulus, until=until)


def _on_numpy(run: Run, batch: int | None, progress: Progress | None, timings: Timings | None) -> Result:
    return run_stages(
        run.network,
        integer_stages(run.network, run.proven),
        run.stimulus,
        run.selected,
        tile(run.network, run.stimulus.samples, batch),
        potential_type=np.dtype(np.int64),
        origin="emulated (numpy engine)",
        progress=progress,
        timings=timings,
    )
