"""From a checked network and its inputs to a run on compiled kernels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from nmdeploy.emulator import compiled
from nmdeploy.emulator.batches import run_batches
from nmdeploy.emulator.compiled_engine import Program, Workspaces
from nmdeploy.emulator.engine import Tiling
from nmdeploy.emulator.inputs import Selection, Stimulus
from nmdeploy.emulator.memo import Memo
from nmdeploy.emulator.plan import StagePlan, plan_stages
from nmdeploy.emulator.prepare import integer_stages
from nmdeploy.emulator.recorder import Recorder
from nmdeploy.emulator.result import Result
from nmdeploy.emulator.timings import Timings
from nmdeploy.emulator.widths import Widths
from nmdeploy.errors import UsageError
from nmdeploy.network import Network
from nmdeploy.progress import Progress

LONGEST_BLOCK = 32
"""Steps at a time; their spikes, of one sample, fit a core's second-level cache."""

BATCH = 32
"""Samples at a time where kernels compute everything: enough that Python's share is small."""

INTERPRETED_BATCH = 64
"""The same where Python acts in every step."""

BATCH_BYTES = 1 << 26
"""Aim for the buffers of one batch."""


@dataclass(frozen=True)
class Run:
    """A checked run.

    Attributes:
        network: integer network.
        stimulus: inputs, steps and samples.
        selected: what to keep.
        proven: as from `prove_widths`.
    """

    network: Network
    stimulus: Stimulus
    selected: Selection
    proven: Mapping[str, Widths]


def run_compiled(
    run: Run, batch: int | None, threads: int, progress: Progress | None, timings: Timings | None
) -> Result:
    """Run on the fastest kernels that this processor has.

    Raises:
        UsageError: for a batch below 1.
        EmulationOverflow: the earliest of the first batch that has one.
    """
    network, stimulus, kernels = run.network, run.stimulus, compiled.sets()[0]
    plans = _plans(run)
    ends = stimulus.until is not None
    recorder = Recorder(network, run.selected, stimulus.samples, np.dtype(np.int64), ends=ends, channels_last=True)
    tiling = tile(network, plans, stimulus, batch, threads)
    program = Program(network, plans, stimulus, run.selected, recorder, tiling, kernels, timings)

    def tell(done: int) -> None:
        if progress is not None:
            progress(done, stimulus.samples)

    run_batches(stimulus.samples, tiling.batch, threads, Workspaces(program).run, tell)
    return recorder.result(stimulus.steps, "emulated (compiled engine)")


_PLANS: Memo[tuple[StagePlan, ...]] = Memo()


def _plans(run: Run) -> tuple[StagePlan, ...]:
    """The plan of a run, with its weights laid out; kept for the next run of the same length."""
    network, steps = run.network, run.stimulus.steps
    stepping = frozenset(name for name, variable in run.selected.potentials.values() if variable != "v")

    def make() -> tuple[StagePlan, ...]:
        return plan_stages(network, integer_stages(network, run.proven), run.proven, steps, stepping)

    return _PLANS.get(network, (steps, stepping), make)


def tile(network: Network, plans: tuple[StagePlan, ...], stimulus: Stimulus, batch: int | None, threads: int) -> Tiling:
    """Blocks and batches of bounded memory, and no thread without a batch.

    Raises:
        UsageError: for a batch below 1.
    """
    if batch is not None and batch < 1:
        raise UsageError("a batch has at least one sample", where="batch", found=batch)
    block = 1 if network.has_cycle else min(LONGEST_BLOCK, stimulus.steps)
    fused = all(plan.fused or plan.is_input for plan in plans)
    best = BATCH if fused and not network.has_cycle else INTERPRETED_BATCH
    in_memory = BATCH_BYTES // sum(_bytes_per_sample(plan, block) for plan in plans)
    chosen = batch or max(1, min(best, in_memory, -(-stimulus.samples // threads)))
    return Tiling(min(chosen, stimulus.samples), block)


def _bytes_per_sample(plan: StagePlan, block: int) -> int:
    """Spikes, potentials and counts, and where the model's own `step` runs its currents."""
    spikes = block * (4 * plan.population.size if plan.valued else plan.population.size // 8)
    currents = 0 if plan.fused else 8 * block * plan.population.size
    return 64 + spikes + currents + 16 * plan.population.size


def check_threads(threads: int | None) -> int:
    """The number of threads; None is 1.

    Raises:
        UsageError: for fewer than 1.
    """
    if threads is not None and threads < 1:
        raise UsageError("a run has at least one thread", where="threads", found=threads)
    return threads or 1
