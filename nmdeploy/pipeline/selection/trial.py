"""One candidate: converted, placed and run on the samples that judge."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

from nmdeploy.ann.graph import AnnGraph
from nmdeploy.cost import cost_of, counted_samples
from nmdeploy.deployment import Deployment
from nmdeploy.errors import NmdeployError, UsageError
from nmdeploy.inference import infer
from nmdeploy.pipeline.named import build_named
from nmdeploy.pipeline.selection.candidates import Candidate, shortened
from nmdeploy.pipeline.selection.held_out import HeldOut
from nmdeploy.pipeline.stages import Stage
from nmdeploy.progress import Progress
from nmdeploy.report.activity import Activity
from nmdeploy.report.figures import Accuracy, Kind
from nmdeploy.report.selection import Trial
from nmdeploy.target import Choice


def refusal(candidate: Candidate, reason: NmdeployError) -> Trial:
    """A candidate that cannot be used, and why, on one line."""
    return Trial(candidate.recipe.method, candidate.settings, refused=" ".join(str(reason).split()))


def attempt(
    candidate: Candidate, graph: AnnGraph, held_out: HeldOut, chip: Choice, budget: int, progress: Progress
) -> tuple[Candidate, Trial | NmdeployError]:
    """What a candidate gets right, and what it costs; the error where it is refused.

    One that exceeds the budget is tried with so many input steps fewer, and returned as it was tried last.
    """
    try:
        deployment = build_named(graph, held_out.converting, chip, candidate.recipe, _within(progress)).deployment
        beyond = deployment.steps - budget
        shorter = shortened(candidate, beyond) if beyond > 0 else None
        if shorter is not None:
            return attempt(shorter, graph, held_out, chip, budget, progress)
        _check_budget(deployment, budget)
        return candidate, _measured(candidate, deployment, held_out, progress)
    except NmdeployError as error:
        return candidate, error


def _within(progress: Progress) -> Stage:
    """Stages that all show their progress in one display."""

    def stage(_title: str) -> AbstractContextManager[Progress]:
        return nullcontext(progress)

    return stage


def _check_budget(deployment: Deployment, budget: int) -> None:
    if deployment.steps > budget:
        raise UsageError("an inference takes more steps than the budget", found=deployment.steps, limit=budget)


def _measured(candidate: Candidate, deployment: Deployment, held_out: HeldOut, progress: Progress) -> Trial:
    run = infer(deployment, held_out.judging, every_spike_of=counted_samples(deployment), progress=progress)
    cost = cost_of(deployment, run.counted)
    return Trial(
        candidate.recipe.method,
        candidate.settings,
        deployment.steps,
        Accuracy.of("chip", run.decision, held_out.wanted, Kind.EMULATED, deployment.steps),
        None if cost is None else cost.energy,
        Activity.of(run.result, deployment.network).total_operations,
    )
