"""How a report looks, line by line, and that its JSON holds the sources' very numbers."""

import dataclasses
import json
from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from nmdeploy.bundle import load, save
from nmdeploy.deployment import CoreLoad, Placement
from nmdeploy.report import build_report, placement_table, render_json, render_markdown, render_text
from nmdeploy.report.activity import activity_in
from nmdeploy.report.figures import accuracies
from nmdeploy.target import Severity, Violation

GOLDEN = Path(__file__).with_name("golden")


def golden(name):
    return (GOLDEN / name).read_text(encoding="utf-8").rstrip("\n")


def test_the_text_is_the_golden_one(deployment):
    assert render_text(build_report(deployment)) == golden("small.txt")


def test_the_markdown_is_the_golden_one(deployment):
    assert render_markdown(build_report(deployment)) == golden("small.md")


def test_the_table_of_cores_is_the_golden_one(deployment):
    assert placement_table(deployment, every_core=True) == golden("cores.txt")
    assert golden("cores.txt").startswith(placement_table(deployment))


def test_a_bundle_alone_prints_the_same_report(deployment, tmp_path):
    save(deployment, tmp_path / "a.nmd")
    back = load(tmp_path / "a.nmd")
    for render in (render_text, render_markdown, render_json):
        assert render(build_report(back)) == render(build_report(deployment))


def test_the_order_of_dictionaries_does_not_show(deployment):
    placement = deployment.placement
    turned = deployment.with_(
        figures=dict(reversed(deployment.figures.items())),
        provenance=dict(reversed(deployment.provenance.items())),
        placement=dataclasses.replace(placement, limits=dict(reversed(placement.limits.items()))),
    )
    assert render_text(build_report(turned)) == render_text(build_report(deployment))
    assert render_json(build_report(turned)) == render_json(build_report(deployment))


def test_a_bare_deployment_has_a_report_without_the_sections_it_has_no_numbers_for(deployment):
    bare = deployment.with_(encoder=None, readout=None, figures={}, remarks=(), provenance={}, vectors=None)
    text = render_text(build_report(bare))
    assert "Encoder: none, spikes are fed as they are." in text
    assert "Read-out: none, output spikes are returned." in text
    for absent in ("Accuracy", "Activity", "Warnings", "Provenance", "Test vectors", "Further figures"):
        assert absent not in text
    plain = json.loads(render_json(build_report(bare)))
    assert plain["activity"] is plain["vectors"] is plain["inference"]["encoder"] is None
    assert plain["accuracy"] == plain["warnings"] == []


def test_a_network_all_on_the_chip_and_a_run_without_counts(deployment):
    cores = (CoreLoad(0, 0, "conv", np.arange(32), {"words": 1}),)
    stored = deployment.figures["activity"]
    layers = [[name, neurons, spikes, None] for name, neurons, spikes, _ in stored["populations"]]
    text = render_text(
        build_report(
            deployment.with_(
                placement=Placement("toy1", cores, {"words": 4}),
                figures={"activity": {**stored, "populations": layers}},
            )
        )
    )
    assert "1 core on 1 chip.\n\npopulation" in text
    assert "conv        212.6  0.6644               -" in text


def test_further_figures_are_shown_with_their_kind(deployment):
    figures = {"latency": {"value": 1.5, "kind": "modelled", "on": "toy1", "unit": "ms"}}
    text = render_text(build_report(deployment.with_(figures=figures)))
    assert "latency    1.5  modelled  toy1  unit=ms" in text


def test_a_population_that_never_spikes_is_named_with_a_remedy(deployment):
    assert (
        "REP001 warning: dead: the population never spikes (emulated, 5 samples) (found 0); "
        "calibrate on more data, or normalize by a lower percentile"
    ) in render_text(build_report(deployment))


def test_ties_are_told_for_every_stage_that_has_some(deployment):
    warnings = build_report(deployment).warnings
    assert [(each.code, each.where, each.found) for each in warnings] == [
        ("TOY001", "out", None),
        ("REP001", "dead", 0),
        ("REP002", "chip", 3),
    ]
    assert all(each.severity is Severity.WARNING for each in warnings)


def test_bounds_are_those_of_the_weights(deployment):
    conv = next(each for each in build_report(deployment).bounds if each.population == "conv")
    kernel = deployment.network.projections[0].synapses[0].weight.astype(int)
    positive = np.where(kernel > 0, kernel, 0).sum(axis=(1, 2, 3)).max()
    negative = np.where(kernel < 0, kernel, 0).sum(axis=(1, 2, 3)).min()
    assert (conv.lower, conv.upper) == (negative, positive)
    assert conv.bits == max(int(positive).bit_length(), int(-negative - 1).bit_length()) + 1


def test_a_float_network_has_no_bounds(deployment):
    network = deployment.network
    neuron = dataclasses.replace(network["dead"].neuron, threshold=0.5)
    populations = tuple(dataclasses.replace(p, neuron=neuron) if p.name == "dead" else p for p in network.populations)
    report = build_report(deployment.with_(network=dataclasses.replace(network, populations=populations)))
    assert report.bounds == ()


def test_json_holds_the_numbers_of_the_sources(deployment):
    plain = json.loads(render_json(build_report(deployment)))
    for stage, source in zip(plain["accuracy"], accuracies(deployment.figures), strict=True):
        assert stage["value"] == source.value
        assert stage["interval95"] == list(source.interval)
        assert (stage["stage"], stage["correct"], stage["samples"], stage["ties"], stage["steps"], stage["kind"]) == (
            source.stage,
            source.correct,
            source.samples,
            source.ties,
            source.steps,
            source.kind.value,
        )
    activity = activity_in(deployment.figures)
    for layer, source in zip(plain["activity"]["populations"], activity.populations, strict=True):
        assert layer["spikes_per_inference"] == activity.spikes(source)
        assert layer["rate"] == activity.rate(source)
        assert layer["silent_neurons"] == source.silent
    for layer, source in zip(plain["activity"]["projections"], activity.projections, strict=True):
        assert layer["operations_per_inference"] == activity.operations(source)
    assert plain["activity"]["spikes_per_inference"] == activity.total_spikes
    assert plain["activity"]["operations_per_inference"] == activity.total_operations
    assert plain["placement"]["cores"] == deployment.placement.core_count
    assert plain["placement"]["chips"] == deployment.placement.chip_count
    assert (plain["placement"]["least_cores"], plain["placement"]["optimality_gap"]) == (None, None)
    assert plain["profile"] == {
        "name": "toy/plain",
        "semantics": [["fire", "v > threshold"], ["overflow", "saturate | raise"]],
    }
    assert plain["inference"]["steps"] == deployment.steps
    assert plain["inference"]["latency"] == deployment.network.latency()
    assert plain["vectors"] == {"samples": 5, "steps": 10}
    assert plain["provenance"] == deployment.provenance
    assert plain["notes"] == list(deployment.network.notes)
    assert {plain[block]["kind"] for block in ("placement", "bounds")} == {"modelled"}
    assert plain["activity"]["kind"] == "emulated"


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 3), st.sampled_from("ab"), st.integers(0, 99)), max_size=8))
def test_json_holds_what_every_core_uses(deployment, rows):
    cores = tuple(CoreLoad(c, k, name, np.arange(1), {"words": words}) for c, k, name, words in rows)
    placement = Placement("toy1", cores, {"words": 50})
    plain = json.loads(render_json(build_report(deployment.with_(placement=placement))))["placement"]
    assert plain["cores"] == len({row[:2] for row in rows}) == len(plain["every_core"])
    for core in plain["every_core"]:
        held = [row for row in rows if row[:2] == (core["chip"], core["core"])]
        assert core["used"] == {"words": sum(row[3] for row in held)}
        assert core["neurons"] == len(held)
        assert core["fill"]["words"] == core["used"]["words"] / 50
        assert set(core["populations"]) == {row[2] for row in held}
    for use in plain["populations"]:
        amounts = [row[3] for row in rows if row[2] == use["population"]]
        assert (use["least"], use["most"], use["cores"]) == (min(amounts), max(amounts), len(amounts))
        assert use["mean"] == sum(amounts) / len(amounts)
        assert use["fill"] == max(amounts) / 50


def test_numpy_numbers_in_warnings_are_written_as_numbers(deployment):
    found = Violation("TOY002", "conv", "too many", np.int64(9), np.float32(0.5))
    plain = json.loads(render_json(build_report(deployment.with_(remarks=(found,)))))
    assert (plain["warnings"][0]["found"], plain["warnings"][0]["limit"]) == (9, 0.5)


def test_markdown_shows_special_letters_as_they_are(deployment):
    odd = deployment.with_(network=dataclasses.replace(deployment.network, notes=("a|b *c* [d] <e>\nf _g_ `h`",)))
    assert r"- a\|b \*c\* \[d] \<e> f \_g\_ \`h\`" in render_markdown(build_report(odd))
