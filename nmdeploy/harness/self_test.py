"""A bundle tests itself: its vectors are run somewhere and held against what they must be."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np

from nmdeploy.backend import BOARD
from nmdeploy.bundle.replay import ReplayReport, check_vectors, replay
from nmdeploy.deployment import Deployment
from nmdeploy.emulator.result import ALL, Recording
from nmdeploy.errors import HardwareUnavailable, NmdeployError
from nmdeploy.harness.compare import Comparison, compare
from nmdeploy.harness.first_difference import Recorded
from nmdeploy.harness.runner import Runner
from nmdeploy.harness.tolerance import Judgement, judge
from nmdeploy.progress import Progress


@dataclass(frozen=True)
class SelfTest:
    """The outcome for one bundle.

    Attributes:
        name: of the bundle, as a user knows it.
        chip, profile: what it is deployed to.
        runner: what was asked to run it.
        replay: what came of it; None when it did not run to its end.
        comparison: where and why it differs, when it does.
        judgement: of a run on a board that differs: whether it is as near as the chip's class of exactness demands.
        error: why it did not run.
        seconds: it took.
    """

    name: str
    chip: str
    profile: str
    runner: Runner
    replay: ReplayReport | None
    comparison: Comparison | None = None
    judgement: Judgement | None = None
    error: str | None = None
    seconds: float = 0.0

    @property
    def passed(self) -> bool:
        """Whether it ran and every integer was right, or was judged to be near enough for the chip's class."""
        judged = self.judgement is not None and self.judgement.passed
        return self.replay is not None and (self.replay.passed or judged)

    @property
    def verdict(self) -> str:
        """`passed`, `failed` (it differs) or `error` (it did not run)."""
        return "passed" if self.passed else "failed" if self.replay is not None else "error"


def self_test(
    name: str, deployment: Deployment, runner: Runner, *, explains: bool = True, progress: Progress | None = None
) -> SelfTest:
    """Run the test vectors of `deployment`.

    Args:
        name: what reports call it.
        deployment: it carries vectors.
        runner: where they run.
        explains: whether a difference is examined.
        progress: called with (samples done, samples in all).

    Returns:
        The outcome; what fails while running is its `error`.

    Raises:
        DataError: when the deployment carries no vectors.
        HardwareUnavailable: when what was ready is gone before it began.
    """
    check_vectors(deployment)
    started = time.perf_counter()
    about = (name, deployment.chip, deployment.profile.name, runner)
    try:
        report = replay(deployment, runner.backend, progress)
    except HardwareUnavailable:
        raise
    except NmdeployError as error:
        return SelfTest(*about, None, error=str(error), seconds=time.perf_counter() - started)
    judgement = comparison = None
    if not report.passed and runner.on == BOARD:
        judgement = judge(deployment, check_vectors(deployment).inputs, report.counts, report.steps)
    if explains and not report.passed and not (judgement and judgement.passed):
        comparison = examine(deployment, runner)
    return SelfTest(*about, report, comparison, judgement, seconds=time.perf_counter() - started)


def examine(deployment: Deployment, runner: Runner) -> Comparison:
    """Where a run of the test vectors differs from the emulator's, and why.

    What ran is asked again for all it can record; a board often tells its outputs only. Where the
    emulator itself differs from the vectors, they are the run that is examined.
    """
    vectors = check_vectors(deployment)
    if runner.backend is None:
        return compare(deployment, vectors.inputs, Recorded(vectors.spikes))
    steps = max(len(spikes) for spikes in vectors.spikes.values())
    layers = [each.name for each in deployment.network.populations if not each.is_input]
    everything = Recording(spikes=(ALL,), potentials=tuple(layers), counts=())
    try:
        result = runner.backend.run(deployment, vectors.inputs, steps=steps, record=everything)
    except NmdeployError:
        result = runner.backend.run(deployment, vectors.inputs, steps=steps)
    spikes = {name: np.asarray(values) for name, values in result.spikes.items() if name in layers}
    return compare(deployment, vectors.inputs, Recorded(spikes, dict(result.potentials)))
