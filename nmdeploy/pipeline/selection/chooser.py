"""The recipe `auto`, from candidates to the one that is taken."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from nmdeploy.ann.graph import AnnGraph
from nmdeploy.errors import FitError, NmdeployError, UsageError
from nmdeploy.pipeline.recipe import Recipe
from nmdeploy.pipeline.selection.candidates import Candidate, candidates
from nmdeploy.pipeline.selection.held_out import HeldOut, hold_out
from nmdeploy.pipeline.selection.score import rank
from nmdeploy.pipeline.selection.trial import attempt, refusal
from nmdeploy.pipeline.stages import Stage, silent
from nmdeploy.report.selection import Selection, Trial
from nmdeploy.target import Choice


@dataclass(frozen=True)
class Selected:
    """What `auto` chose.

    Attributes:
        recipe: the named recipe that was taken.
        selection: the table it was chosen from.
    """

    recipe: Recipe
    selection: Selection


def select(
    graph: AnnGraph,
    samples: NDArray[Any],
    chip: Choice,
    asked: Recipe,
    stage: Stage = silent,
    *,
    labels: NDArray[Any] | None = None,
) -> Selected:
    """Try the recipes that there are and choose one.

    The samples are divided (`hold_out`): one part converts every candidate, the other judges it,
    run on the chip's emulator. `rank` tells how accuracy and cost make a score.

    Args:
        graph: the trained network.
        samples: calibration samples `[N, *shape]`.
        chip: from `nmdeploy.chip`.
        asked: with `auto` as method; its steps are the budget, what else it says holds for all candidates.
        stage: opens a progress display for each candidate.
        labels: int `[N]`; without them agreement with the trained network's decisions judges.

    Raises:
        DataError: for too few samples, or samples that are all the same.
        ModelError: for a network that cannot be converted.
        NmdeployError: when every candidate is refused, with all reasons.
    """
    held_out = hold_out(graph, samples, labels, asked.seed)
    known = candidates(asked, graph)
    pairs: list[tuple[Candidate, Trial | NmdeployError]] = []
    for number, candidate in enumerate(known, 1):
        if candidate.refused is not None:
            pairs.append((candidate, candidate.refused))
            continue
        with stage(f"trying {candidate.title} ({number} of {len(known)})") as progress:
            pairs.append(attempt(candidate, graph, held_out, chip, asked.steps, progress))
    return _selected(pairs, held_out, chip, asked)


def _selected(
    pairs: Sequence[tuple[Candidate, Trial | NmdeployError]], held_out: HeldOut, chip: Choice, asked: Recipe
) -> Selected:
    reasons = {candidate.title: each for candidate, each in pairs if isinstance(each, NmdeployError)}
    if len(reasons) == len(pairs):
        raise _all_refused(reasons, chip)
    trials = [each if isinstance(each, Trial) else refusal(candidate, each) for candidate, each in pairs]
    ranking = rank(trials, asked.energy_weight)
    selection = Selection(
        ranking.trials,
        ranking.chosen,
        budget=asked.steps,
        energy_weight=float(asked.energy_weight),
        by_labels=held_out.by_labels,
        by_energy=ranking.by_energy,
        samples=len(held_out.judging),
        trained=held_out.trained,
        converted_on=len(held_out.converting),
        margin=ranking.margin,
    )
    return Selected(pairs[ranking.chosen][0].recipe, selection)


def _all_refused(reasons: Mapping[str, NmdeployError], chip: Choice) -> NmdeployError:
    """The one reason where there is only one; all violations where nothing fits; else a line for each candidate."""
    errors = list(reasons.values())
    if len({str(error) for error in errors}) == 1:
        return errors[0]
    violations = dict.fromkeys(each for error in errors if isinstance(error, FitError) for each in error.violations)
    if all(isinstance(error, FitError) for error in errors):
        return FitError(chip.chip.title, violations)
    lines = "".join(f"\n  {title}: {error}" for title, error in reasons.items())
    return UsageError(f"every recipe is refused:{lines}", where=chip.name)
