"""The table that the recipe auto chose from: kept, restored, shown."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nmdeploy.cost import Range
from nmdeploy.errors import DataError
from nmdeploy.report import build_report, render_json, render_markdown, render_text
from nmdeploy.report.figures import Accuracy, Kind
from nmdeploy.report.render import text_section
from nmdeploy.report.selection import FIGURE, Selection, Trial, selection_in, selection_section

ENERGY = Range(1e-6, 2e-6)


def trial(correct=97, steps=16, energy=ENERGY, operations=1234.5, score=96.5):
    accuracy = Accuracy("chip", correct, 100, 2, Kind.EMULATED, steps)
    return Trial("rate", "count, 16 input steps", steps, accuracy, energy, operations, score)


REFUSED = Trial("exact", "8 levels", refused="the chip's neuron cannot do exact mode")


def selection(**changes):
    settings = {
        "trials": (trial(), REFUSED, trial(90, energy=None, score=89.0)),
        "chosen": 0,
        "budget": 32,
        "energy_weight": 0.5,
        "by_labels": True,
        "by_energy": True,
        "samples": 100,
        "trained": 98,
        "converted_on": 101,
        "margin": 1.75,
    }
    return Selection(**{**settings, **changes})


@given(st.integers(0, 98), st.floats(0, 100), st.booleans(), st.booleans(), st.integers(0, 2))
def test_what_is_kept_comes_back(correct, weight, by_labels, by_energy, chosen):
    made = selection(
        trials=(trial(correct), REFUSED, trial(energy=None)),
        energy_weight=weight,
        by_labels=by_labels,
        by_energy=by_energy,
        chosen=chosen,
    )
    stored = json.loads(json.dumps({FIGURE: made.figure()}))
    assert selection_in(stored) == made
    assert selection_in({}) is None


@pytest.mark.parametrize("change", [{"trials": 3}, {"chosen": 7}, {"budget": None}, {"samples": 0}, {"margin": "much"}])
def test_what_is_no_selection_is_refused(change):
    with pytest.raises(DataError, match=r"selection: the figure is no selection|needs samples|do not add up"):
        selection_in({FIGURE: {**selection().figure(), **change}})


def test_a_figure_that_lacks_something_is_refused():
    stored = selection().figure()
    del stored["trained"]
    with pytest.raises(DataError, match="KeyError"):
        selection_in({FIGURE: stored})


def test_the_table_has_a_line_for_each_candidate_and_says_how_they_were_judged():
    shown = text_section(selection_section(selection()))
    (taken,) = (line for line in shown.splitlines() if line.endswith("taken"))
    for words in ("rate", "count, 16 input steps", "97.00", "1 to 2 uJ", "1,23", "96.50"):
        assert words in taken
    (refused,) = (line for line in shown.splitlines() if "refused: the chip's neuron cannot do exact mode" in line)
    assert refused.startswith("exact")
    for words in (
        "(emulated, energy modelled)",
        "Budget: 32 steps of one inference, phases of exact mode included, the chip's latency not.",
        "Judged on 100 held-out calibration samples by their labels, 98 of which the trained network decides rightly",
        "101 others converted the candidates.",
        "accuracy in points - 0.5 x log2(cost / least cost); the cost is energy (modelled, the middle of its range)",
        "within a standard error (1.75 points)",
        "Guarantee of rate: no accuracy is guaranteed",
        "Guarantee of exact: counts of every neuron",
    ):
        assert words in shown
    assert "Guarantee of rate-calibrated" not in shown


def test_without_labels_or_energies_or_weight_the_table_says_so():
    shown = text_section(selection_section(selection(by_labels=False, by_energy=False, energy_weight=0.0)))
    assert "by agreement with the trained network's decisions" in shown
    assert "Score: accuracy in points.\n" in shown
    assert "Of equal scores the cheapest is taken; the cost is synaptic operations (emulated)." in shown


def test_every_form_of_the_report_has_the_table_once(deployment):
    kept = deployment.with_(figures={**deployment.figures, FIGURE: selection().figure()})
    report = build_report(kept)
    assert report.selection == selection()
    assert FIGURE not in report.figures
    for rendered in (render_text(report), render_markdown(report)):
        assert rendered.count("What the recipe auto chose from") == 1
    assert json.loads(render_json(report))["selection"] == selection().figure()
    assert json.loads(render_json(build_report(deployment)))["selection"] is None
