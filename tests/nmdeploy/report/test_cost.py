"""The section on cost: every row and total of the record, said with its kind."""

import json
from dataclasses import replace

import pytest

from nmdeploy.cost import Cost, CostItem, Range, cost_in, exactly
from nmdeploy.report import build_report, cost_line, render_json, render_text
from nmdeploy.report.cost import cost_section


@pytest.fixture
def cost(deployment):
    return cost_in(deployment.figures)


def test_the_section_says_how_its_numbers_came_about(cost):
    section = cost_section(cost)
    assert section.title == "Cost of one inference (modelled from emulated events)"
    assert section.lines == (
        "Mean over 5 samples of 10 steps; events counted in a run (emulated (numpy engine)).",
        "Energy: 3.9 to 4.93 nJ (modelled), of which events 900 to 929 pJ, static power 3 to 4 nJ.",
        "Time: 3 to 4 us (modelled), cores working in parallel.",
        "Rate: 250,000 to 333,000 inferences/s (modelled), one after the other.",
        "Energy-delay product: 0.0117 to 0.0197 pJ s (modelled).",
        "Toys are never wound up.",
    )
    assert section.rows[0] == (
        "synaptic operations in->conv",
        "900.4 to 928.8",
        "900 to 929 pJ",
        "1.8 to 1.86 us",
        "Toys 2020, table 1",
        "pre-silicon",
    )
    assert section.rows[2] == ("spikes between chips", "42.6", "-", "-", "-", "-")


UNKNOWN = Cost("toy2", "run by Toy 1.0 on CPU", 1, 1, (CostItem("packets", exactly(7)),), None, None, ("Nothing.",))


def test_a_chip_without_prices_has_events_alone():
    section = cost_section(UNKNOWN)
    assert section.title == "Cost of one inference (modelled from events of a run)"
    assert section.lines[1:] == ("Nothing.",)
    assert section.rows == (("packets", "7", "-", "-", "-", "-"),)


def test_a_deployment_without_a_cost_has_no_section(deployment):
    report = build_report(deployment.with_(figures={}))
    assert "Cost" not in render_text(report)
    assert json.loads(render_json(report))["cost"] is None


def test_json_has_everything_in_si_units(deployment, cost):
    plain = json.loads(render_json(build_report(deployment)))["cost"]
    for key, range_ in (
        ("energy_J", cost.energy),
        ("dynamic_energy_J", cost.dynamic_energy),
        ("static_energy_J", cost.static_energy),
        ("time_s", cost.time),
        ("inferences_per_s", cost.rate),
        ("energy_delay_product_J_s", cost.energy_delay_product),
    ):
        assert plain[key] == {"least": range_.least, "most": range_.most}
    assert (plain["kind"], plain["events_from"]) == ("modelled", "emulated (numpy engine)")
    assert (plain["chip"], plain["samples"], plain["steps"]) == ("toy1", 5, 10)
    assert plain["assumptions"] == ["Toys are never wound up."]
    assert [item["event"] for item in plain["items"]] == [item.event for item in cost.items]
    assert plain["items"][1]["time_s"] == {"least": 2.5e-6, "most": 2.5e-6}
    assert plain["items"][1]["status"] == "paper"
    assert plain["items"][2]["energy_J"] is plain["items"][2]["status"] is plain["items"][3]["count"] is None


def test_the_line_gives_energy_and_time_with_what_they_rest_on(cost):
    assert cost_line(cost) == (
        "cost per inference: 3.9 to 4.93 nJ, 3 to 4 us "
        "(modelled from 5 samples; coefficients: pre-silicon, paper, estimate)"
    )
    assert cost_line(UNKNOWN).startswith("cost per inference: unknown, nothing is published of toy2")
    assert cost_line(replace(cost, energy=None)).startswith("cost per inference: energy unknown, 3 to 4 us (modelled")


def test_ranges_of_equal_ends_are_one_number():
    assert cost_section(Cost("toy1", "emulated", 1, 1, (), Range(2e-12, 2e-12), exactly(0.0))).lines[1:] == (
        "Energy: 2 pJ (modelled).",
        "Time: 0 s (modelled), cores working in parallel.",
        "Energy-delay product: 0 J s (modelled).",
    )
