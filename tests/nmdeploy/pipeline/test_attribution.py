"""Accuracies of every stage of a conversion alone."""

import numpy as np
import pytest

import nmdeploy
from nmdeploy.convert.variants import ALONE, CALIBRATED, CHIP, NOT_CALIBRATED, SPIKES
from nmdeploy.data import Samples
from nmdeploy.errors import DataError, UsageError
from nmdeploy.pipeline import Recipe, build, measure
from nmdeploy.pipeline.attribution import PREFIX, accuracy_by_stage
from nmdeploy.report import accuracy_figures, build_report

STEPS = 6


@pytest.fixture
def loihi():
    return nmdeploy.chip("loihi1")


def by_title(found):
    return {each.stage.removeprefix(PREFIX): each for each in found}


@pytest.mark.parametrize(
    ("method", "first", "last", "count"),
    [
        ("rate", SPIKES, CHIP, 5),
        ("rate-calibrated", NOT_CALIBRATED, CALIBRATED, 2 + len(ALONE)),
        ("exact", "as trained", "quantized ANN", 8),
    ],
)
@pytest.mark.parametrize("bounds", ["proven", "sampled"])
def test_the_last_is_what_is_deployed(graph, decided, loihi, method, first, last, count, bounds):
    if bounds == "sampled" and method != "exact":
        return
    recipe = Recipe(method=method, steps=STEPS, levels=4, readout="potential", bounds=bounds)
    calibration, test = decided.split(60, 0)
    told = []
    found = by_title(
        accuracy_by_stage(graph, calibration.x, test, loihi, recipe, "these", progress=lambda *pair: told.append(pair))
    )
    assert next(iter(found)) == first
    assert list(found)[-1] == last
    assert told == [(done, count) for done in range(1, count + 1)]
    deployment = measure(build(graph, calibration.x, loihi, recipe), test, recipe)
    deployed = deployment.figures["accuracy.quantized ANN" if method == "exact" else "accuracy.chip"]
    assert (found[last].correct, found[last].ties) == (deployed["correct"], deployed["ties"])
    assert {each.on for each in found.values()} == {"these"}
    assert {each.steps for each in found.values()} == {STEPS}
    kinds = {each.kind.value for each in found.values()}
    assert kinds == {"rate": {"simulated", "emulated"}, "rate-calibrated": {"emulated"}, "exact": {"measured"}}[method]


def test_a_report_lists_them(graph, decided, loihi):
    recipe = Recipe(steps=STEPS)
    calibration, test = decided.split(60, 0)
    found = accuracy_by_stage(graph, calibration.x, test, loihi, recipe)
    deployment = build(graph, calibration.x, loihi, recipe).deployment
    told = build_report(deployment.with_(figures=accuracy_figures(found)))
    assert {each.stage for each in told.accuracies} == {each.stage for each in found}


def test_what_it_cannot_tell_is_refused(graph, decided, loihi):
    with pytest.raises(UsageError, match=r"unknown recipe whose stages are known.*auto"):
        accuracy_by_stage(graph, decided.x, decided, loihi, Recipe(method="auto"))
    for unlabelled in (Samples(decided.x, None), decided.take(np.zeros(0, np.int64))):
        with pytest.raises(DataError, match="accuracy needs labelled samples"):
            accuracy_by_stage(graph, decided.x, unlabelled, loihi, Recipe())
