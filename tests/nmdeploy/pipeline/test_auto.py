"""`auto`: the recipes measured, the best built, and the table it chose from kept."""

from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest

from nmdeploy.ann.execute import run as run_graph
from nmdeploy.ann.graph import AnnGraph, Linear, Node, Rectify, Source
from nmdeploy.bundle import load, save
from nmdeploy.data import Samples
from nmdeploy.errors import FitError, UsageError
from nmdeploy.inference import infer
from nmdeploy.pipeline import Recipe, build, measure, place
from nmdeploy.pipeline.selection import candidates as candidates_of
from nmdeploy.pipeline.selection.held_out import hold_out
from nmdeploy.registry import chip
from nmdeploy.report import build_report, render_json, render_text
from nmdeploy.report.selection import FIGURE, selection_in
from nmdeploy.synapses import Dense

ASKED = Recipe(method="auto", steps=8, energy_weight=0.25, seed=1)
RATES = Recipe(method="auto", steps=8, energy_weight=1.0, v_init_fraction=0.5)
"""Quick: only `rate` starts from an initial potential; the other recipes are refused."""


@pytest.fixture(scope="module")
def built(graph, decided):
    return build(graph, decided.x, chip("loihi1"), ASKED, labels=decided.y)


def test_the_best_of_what_was_measured_is_built(built):
    selection = built.selection
    ran = [trial for trial in selection.trials if not trial.refused]
    assert {trial.method for trial in ran} == {"rate", "rate-calibrated", "exact"}
    assert selection.best.score >= max(trial.score for trial in ran) - selection.margin
    assert built.recipe.method == selection.best.method != "auto"
    assert built.deployment.steps == selection.best.steps <= 8
    assert all(trial.steps <= 8 for trial in ran)
    assert selection.by_labels
    assert selection.by_energy
    assert (selection.samples, selection.converted_on, selection.trained) == (60, 60, 60)


def test_a_trial_is_what_the_recipe_gives_by_name(graph, decided, built):
    """Building the candidate by its name, on the part that converts, decides the other part just so."""
    held_out = hold_out(graph, decided.x, decided.y, ASKED.seed)
    again = build(graph, held_out.converting, chip("loihi1"), Recipe(steps=4, readout="potential", seed=1))
    run = infer(again.deployment, held_out.judging)
    (trial,) = (each for each in built.selection.trials if each.settings == "potential, 4 input steps")
    assert trial.accuracy.correct == int(run.decision.right(held_out.wanted).sum())
    operations = sum(counts.sum() for counts in run.result.synaptic_operations.values()) / len(held_out.judging)
    assert trial.operations == pytest.approx(operations)


def test_the_one_taken_is_converted_with_all_samples(graph, decided, built):
    named = build(graph, decided.x, chip("loihi1"), built.recipe)
    for projection, other in zip(
        built.deployment.network.projections, named.deployment.network.projections, strict=True
    ):
        for synapse, same in zip(projection.synapses, other.synapses, strict=True):
            np.testing.assert_array_equal(synapse.weight, same.weight)


def test_the_same_samples_and_seed_choose_the_same(graph, decided):
    first, again = (
        build(graph, decided.x, chip("loihi1"), replace(ASKED, steps=5, readout="potential")) for _ in range(2)
    )
    assert again.selection == first.selection
    assert again.deployment == first.deployment


def test_levels_that_leave_no_input_step_are_a_line_in_the_table(built):
    refused = [trial for trial in built.selection.trials if trial.refused]
    assert [trial.settings for trial in refused] == ["8 levels", "16 levels"]
    assert not any("\n" in trial.refused for trial in refused)
    assert "found 9 steps, limit 8 steps" in refused[0].refused


def test_the_bundle_tells_auto_and_the_recipe_it_took(built, tmp_path):
    save(built.deployment, tmp_path / "auto.nmd")
    deployment = load(tmp_path / "auto.nmd")
    assert deployment.provenance["auto"] == "steps=8, energy_weight=0.25"
    assert Recipe.from_provenance(deployment.provenance) == built.recipe
    assert selection_in(deployment.figures) == built.selection
    report = build_report(deployment)
    assert "What the recipe auto chose from" in render_text(report)
    assert '"selection": {' in render_json(report)


def test_a_deployment_of_auto_moves_to_another_chip_by_the_recipe_it_took(built):
    recipe = Recipe.from_provenance(built.deployment.provenance)
    _, moved = place(built.deployment.source, chip("loihi1/subtract"), recipe)
    assert FIGURE not in moved.figures


def test_measuring_keeps_the_table(built, decided):
    deployment = measure(built, decided.first(30), ASKED)
    assert selection_in(deployment.figures) == built.selection
    assert deployment.figures["accuracy.chip"]["value"] > 0.8


def test_without_labels_the_trained_network_judges(graph, decided):
    stages = build(graph, decided.x, chip("loihi1"), RATES)
    assert not stages.selection.by_labels
    assert stages.selection.trained == stages.selection.samples == 60


def test_a_heavy_weight_takes_the_cheapest(graph, decided):
    taken = {}
    for weight in (0.0, 1000.0):
        selection = build(graph, decided.x, chip("loihi1"), replace(RATES, energy_weight=weight)).selection
        taken[weight] = selection.best
        cheapest = min(trial.energy.most for trial in selection.trials if not trial.refused)
    assert taken[1000.0].energy.most == cheapest < taken[0.0].energy.most
    assert taken[1000.0].accuracy.correct < taken[0.0].accuracy.correct


def test_chips_without_published_energies_are_judged_by_synaptic_operations(graph, decided):
    stages = build(graph, decided.x, chip("loihi2"), RATES)
    assert not stages.selection.by_energy
    assert all(trial.energy is None for trial in stages.selection.trials)
    assert all(trial.operations for trial in stages.selection.trials if not trial.refused)


def test_what_does_not_go_with_the_rest_is_a_line_in_the_table(graph, decided):
    selection = build(graph, decided.x, chip("loihi1"), RATES).selection
    reasons = {trial.method: trial.refused for trial in selection.trials if "4 input steps" in trial.settings}
    assert "the recipe finds initial potentials by itself" in reasons["rate-calibrated"]
    assert "exact mode sets initial potentials by itself" in reasons["exact"]


def test_what_takes_longer_than_it_said_is_refused(graph, decided, monkeypatch):
    """A chip on which exact mode needs more steps than its phases."""
    monkeypatch.setattr(candidates_of, "phases", lambda graph: 0)
    selection = build(graph, decided.x, chip("loihi1"), replace(ASKED, steps=7, readout="potential")).selection
    reasons = [trial.refused for trial in selection.trials if trial.settings == "16 levels, 7 input steps"]
    assert "an inference takes more steps than the budget (found 23, limit 7)" in reasons[0]


def test_stages_name_the_candidates(graph, decided):
    titles, told = [], []

    @contextmanager
    def stage(title):
        titles.append(title)
        yield lambda done, total: told.append((title, done, total))

    build(graph, decided.x, chip("loihi1"), replace(RATES, readout="potential"), stage)
    assert titles == [
        "trying rate, potential, 8 input steps (1 of 7)",
        "trying rate, potential, 4 input steps (2 of 7)",
        "trying rate-calibrated, 8 input steps (3 of 7)",
        "trying rate-calibrated, 4 input steps (4 of 7)",
        "trying exact, 4 levels, 4 input steps (5 of 7)",
        "converting",
        "mapping to Loihi 1",
    ]
    assert {title for title, _, _ in told} == {*titles[:2], "converting"}


def test_an_interrupt_passes_through(graph, decided):
    @contextmanager
    def stage(title):
        if title.startswith("trying rate-calibrated"):
            raise KeyboardInterrupt
        yield lambda _done, _total: None

    with pytest.raises(KeyboardInterrupt):
        build(graph, decided.x, chip("loihi1"), RATES, stage)


@pytest.fixture
def too_large():
    """More outputs than the chip has neurons."""
    rng = np.random.default_rng(0)
    wide = Dense(rng.normal(size=(140_000, 2)).astype(np.float32))
    nodes = (Node("x", Source((2,))), Node("out", Linear(wide), ("x",)))
    return AnnGraph("large", nodes, "out"), rng.random((20, 2)).astype(np.float32)


def test_where_nothing_fits_the_violations_are_told_as_for_a_named_recipe(too_large):
    graph, samples = too_large
    asked, named = (Recipe(method=method, steps=1, readout="potential") for method in ("auto", "rate"))
    told = []
    for recipe in (named, asked):
        with pytest.raises(FitError) as caught:
            build(graph, samples, chip("loihi1"), recipe)
        told.append(caught.value.violations)
    assert set(told[0]) <= set(told[1])
    assert len(told[1]) == len(set(told[1]))


def test_where_all_are_refused_all_reasons_are_told(graph, decided):
    asked = Recipe(method="auto", steps=2, readout="count", v_init_fraction=2.0)
    with pytest.raises(UsageError) as caught:
        build(graph, decided.x, chip("loihi1"), asked)
    message = str(caught.value)
    assert message.startswith("loihi1/chip: every recipe is refused:")
    assert "rate, count, 2 input steps: v_init_fraction is a share of the threshold" in message
    assert "rate-calibrated, 2 input steps: rate-calibrated: the recipe finds initial potentials by itself" in message
    assert "exact, 4 levels: phases of exact mode (1 x 4 steps) and one input step exceed the budget" in message


def test_a_reason_that_all_share_is_the_error(graph, decided):
    with pytest.raises(UsageError, match="unknown normalization"):
        build(graph, decided.x, chip("loihi1"), Recipe(method="auto", steps=32, normalization="none"))


def test_placing_needs_a_named_recipe(built):
    with pytest.raises(UsageError, match="chooses while a model is converted"):
        place(built.spiking, chip("loihi1"), ASKED)


def test_the_energy_weight_goes_with_auto_only():
    with pytest.raises(UsageError, match="energy_weight: the energy weight goes with the recipe 'auto' only"):
        Recipe(energy_weight=1.0)


@pytest.mark.parametrize("weight", [-1.0, np.nan, np.inf])
def test_an_energy_weight_is_a_number_of_points(weight):
    with pytest.raises(UsageError, match="a number of points, 0 or more"):
        Recipe(method="auto", energy_weight=weight)


def test_a_network_without_hidden_layers_can_be_chosen_for():
    rng = np.random.default_rng(3)
    nodes = (Node("x", Source((6,))), Node("out", Linear(Dense(rng.normal(size=(3, 6)))), ("x",)))
    graph, x = AnnGraph("flat", nodes, "out"), rng.random((40, 6)).astype(np.float32)
    labels = run_graph(graph, x)["out"].argmax(axis=1)
    stages = build(graph, x, chip("loihi1"), Recipe(method="auto", steps=7, readout="potential"), labels=labels)
    assert {trial.steps for trial in stages.selection.trials} == {7}
    assert measure(stages, Samples(x, labels), ASKED).figures["accuracy.chip"]["value"] > 0.7


def test_a_rectifier_at_the_end_is_no_obstacle(graph, decided):
    ending = AnnGraph("ending", (*graph.nodes, Node("last", Rectify(), ("out",))), "last")
    selection = build(ending, decided.x, chip("loihi1"), RATES).selection
    assert selection.best.accuracy.value > 0.5
