"""Where a conversion loses accuracy: each of its stages alone, and all together, on the same samples."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from nmdeploy.ann.graph import AnnGraph
from nmdeploy.coding import Decision
from nmdeploy.convert.checks import check_choice
from nmdeploy.convert.exact.recipe import SAMPLED, check_exact, counts_of
from nmdeploy.convert.exact.variants import Form, exact_variants
from nmdeploy.convert.methods import EXACT, RATE, RATE_CALIBRATED
from nmdeploy.convert.variants import calibrated_variants, variants
from nmdeploy.data import Samples
from nmdeploy.errors import DataError
from nmdeploy.inference import default_readout, infer
from nmdeploy.network import Network
from nmdeploy.pipeline.named import converted
from nmdeploy.pipeline.recipe import Recipe
from nmdeploy.progress import Progress
from nmdeploy.report.figures import Accuracy, Kind
from nmdeploy.target import Choice

PREFIX = "by stage: "
"""Begins the names of these accuracies, so that they stand apart from those of the whole path."""


def accuracy_by_stage(
    graph: AnnGraph,
    calibration: NDArray[Any],
    test: Samples,
    chip: Choice,
    recipe: Recipe,
    on: str = "",
    progress: Progress | None = None,
) -> tuple[Accuracy, ...]:
    """What each stage of a conversion gets right when it is switched on alone.

    The stages are those of `variants` (recipe `rate`), `calibrated_variants` (`rate-calibrated`)
    and `exact_variants` (`exact`). Add them to a deployment with
    `accuracy_figures`, and its report lists them.

    Args:
        graph: the trained network.
        calibration: samples `[N, *shape]` without labels.
        test: labelled test samples.
        chip: from `nmdeploy.chip`.
        recipe: how to convert.
        on: what the test samples are, in words.
        progress: called with (stages done, in all).

    Raises:
        DataError: without labels, or without samples.
        UsageError: for the recipe `auto`, which is none of its own.
        NmdeployError: whatever the stages find wrong.
    """
    check_choice("recipe whose stages are known", recipe.method, (RATE, RATE_CALIBRATED, EXACT))
    if test.y is None or not len(test):
        raise DataError("accuracy needs labelled samples", hint="add y to the data file")
    labels = test.y
    spiking = converted(graph, calibration, chip, recipe, _untold)
    if recipe.method == EXACT:
        forms = _count_forms(spiking, calibration, chip, recipe)
        decisions = ((title, Decision.of_scores(form.scores(test.x)), Kind.MEASURED) for title, form in forms.items())
        count = len(forms)
    else:
        networks = _networks(spiking, calibration, chip, recipe)
        decisions = (_decided(spiking, title, network, test, recipe) for title, network in networks.items())
        count = len(networks)
    found: list[Accuracy] = []
    for title, decision, kind in decisions:
        found.append(Accuracy.of(PREFIX + title, decision, labels, kind, recipe.steps, on))
        (progress or _untold)(len(found), count)
    return tuple(found)


def _untold(_done: int, _total: int) -> None:
    """Progress that nobody sees."""


def _count_forms(spiking: Network, calibration: NDArray[Any], chip: Choice, recipe: Recipe) -> dict[str, Form]:
    sampled = recipe.bounds == SAMPLED
    return exact_variants(
        spiking,
        check_exact(recipe, chip),
        recipe.encoder,
        levels=recipe.levels,
        input_steps=recipe.steps,
        samples=counts_of(recipe.encoder, calibration, recipe.steps) if sampled else None,
    )


def _decided(
    spiking: Network, title: str, network: Network, test: Samples, recipe: Recipe
) -> tuple[str, Decision, Kind]:
    readout = default_readout(spiking)
    run = infer(network, test.x, encoder=recipe.encoder, readout=readout, steps=recipe.steps)
    return title, run.decision, Kind.EMULATED if network.is_integer else Kind.SIMULATED


def _networks(spiking: Network, calibration: NDArray[Any], chip: Choice, recipe: Recipe) -> dict[str, Network]:
    if recipe.method == RATE:
        return variants(spiking, chip)
    return calibrated_variants(spiking, calibration, chip, steps=recipe.steps, encoder=recipe.encoder, seed=recipe.seed)
