"""Sums of what is known, and of nothing; what is derived of it; and how a bundle keeps it."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from runs import assert_equal_results

from nmdeploy import cost as module
from nmdeploy.cost import (
    Cost,
    CostItem,
    Range,
    cost_in,
    cost_of,
    counted_samples,
    exactly,
    modelled_cost,
    total,
    with_coefficients,
)
from nmdeploy.errors import DataError, UsageError
from nmdeploy.inference import infer
from nmdeploy.target import Status


def test_ranges_add_end_by_end():
    assert Range(1.0, 2.0) + Range(0.5, 4.0) == Range(1.5, 6.0)
    assert Range(1.0, 2.0).times(3) == Range(3.0, 6.0)
    assert exactly(2.0) == Range(2.0, 2.0)


@pytest.mark.parametrize("ends", [(2.0, 1.0), (-1.0, 1.0), (0.0, math.inf), (math.nan, 1.0), (0.0, math.nan)])
def test_a_range_has_two_finite_ends_in_order(ends):
    with pytest.raises(DataError, match="a least and a most"):
        Range(*ends)


@pytest.mark.parametrize(
    ("ranges", "expected"),
    [
        ([], None),
        ([None, None], None),
        ([Range(1.0, 2.0)], Range(1.0, 2.0)),
        ([None, Range(1.0, 2.0), None, Range(3.0, 3.0)], Range(4.0, 5.0)),
    ],
)
def test_the_total_leaves_out_what_nobody_published(ranges, expected):
    assert total(ranges) == expected


def cost(**changes):
    items = (
        CostItem("operations", Range(3, 4), Range(6e-9, 8e-9), exactly(1e-6), "Toys 2020", Status.PAPER),
        CostItem("packets", exactly(7)),
        CostItem("static power", None, Range(1e-9, 2e-9), None, "Toys 2021", Status.ESTIMATE),
    )
    made = Cost("toy1", "emulated", 2, 8, items, Range(7e-9, 10e-9), Range(2e-6, 4e-6), ("Toys.",))
    return replace(made, **changes)


def test_the_energy_of_events_and_the_static_one_are_told_apart():
    assert cost().dynamic_energy == Range(6e-9, 8e-9)
    assert cost().static_energy == Range(1e-9, 2e-9)
    assert cost(items=cost().items[1:2]).dynamic_energy is None


def test_rate_and_energy_delay_product_follow_from_energy_and_time():
    assert cost().rate == Range(1 / 4e-6, 1 / 2e-6)
    assert cost().energy_delay_product == Range(7e-9 * 2e-6, 10e-9 * 4e-6)
    assert (
        cost(time=None).rate is cost(time=None).energy_delay_product is cost(energy=None).energy_delay_product is None
    )
    assert cost(time=Range(0.0, 1.0)).rate is None


@pytest.mark.parametrize("change", [{"steps": 0}, {"samples": 0}])
def test_a_cost_is_of_steps_and_samples(change):
    with pytest.raises(DataError, match="needs steps and samples"):
        cost(**change)


def restored(made):
    return cost_in(json.loads(json.dumps({"cost": made.figure()}, sort_keys=True)))


RANGES = st.none() | st.tuples(st.floats(0, 1e9), st.floats(0, 1e9)).map(lambda ends: Range(*sorted(ends)))


@given(st.lists(st.builds(CostItem, st.text(), RANGES, RANGES, RANGES, st.text(), st.none() | st.sampled_from(Status))))
def test_the_figure_comes_back(items):
    made = cost(items=tuple(items), energy=None)
    assert restored(made) == made
    assert restored(cost()) == cost()
    assert cost_in({}) is None


@pytest.mark.parametrize(
    "change",
    [
        {"samples": 0},
        {"steps": "many"},
        {"energy": [1.0]},
        {"energy": 5},
        {"time": [2.0, 1.0]},
        {"time": ["fast", "slow"]},
        {"items": [["operations"]]},
        {"items": [["operations", None, None, None, "", "guessed"]]},
        {"items": None},
        {"assumptions": 3},
    ],
)
def test_a_figure_that_is_no_cost_is_refused(change):
    with pytest.raises(DataError, match=r"cost|least"):
        cost_in({"cost": {**cost().figure(), **change}})


def test_a_missing_entry_is_refused():
    stored = cost().figure()
    del stored["chip"]
    with pytest.raises(DataError, match=r"cost: the figure is no cost .*chip"):
        cost_in({"cost": stored})


class Recorded:
    """A target that tells what it was given."""

    def cost(self, deployment, result):
        return result


@pytest.fixture
def toy(monkeypatch):
    monkeypatch.setattr("nmdeploy.registry.targets", lambda: {"toy": Recorded()})


IMAGES = np.zeros((40, 1, 6, 6))


@pytest.mark.usefixtures("toy")
def test_every_spike_of_the_first_samples_is_kept(deployment):
    result = modelled_cost(deployment, IMAGES)
    assert result.samples == 32
    assert {len(spikes) for spikes in result.spikes.values()} == {result.steps} == {10}
    assert (
        set(result.spikes) == set(result.counts) == {population.name for population in deployment.network.populations}
    )
    assert modelled_cost(deployment, IMAGES[:3], steps=4).steps == 6


@pytest.mark.usefixtures("toy")
def test_a_run_that_keeps_every_spike_gives_the_same_cost_without_another(deployment, rng):
    images = rng.random((40, 1, 6, 6))
    run = infer(deployment, images, every_spike_of=counted_samples(deployment))
    found = cost_of(deployment, run.counted)
    assert found is run.counted
    assert_equal_results(found, modelled_cost(deployment, images))
    assert found.total_spikes["out"].any()
    assert cost_of(deployment, None) is None


@pytest.mark.usefixtures("toy")
@pytest.mark.parametrize(("most", "samples"), [(10 * 74 * 2, 2), (10 * 74 * 2 - 1, 1), (1, 1)])
def test_a_large_network_runs_fewer_samples_but_one_at_least(deployment, monkeypatch, most, samples):
    assert sum(population.size for population in deployment.network.populations) == 74
    monkeypatch.setattr(module, "MOST_SPIKES", most)
    assert modelled_cost(deployment, IMAGES).samples == samples


def test_no_target_and_no_samples_have_no_cost(deployment, monkeypatch):
    assert modelled_cost(deployment, IMAGES) is None
    monkeypatch.setattr("nmdeploy.registry.targets", lambda: {"toy": Recorded()})
    assert modelled_cost(deployment, IMAGES[:0]) is None


UNPRICED = Cost(
    "toy2",
    "emulated",
    1,
    1,
    (
        CostItem("synaptic operations in->a", Range(10, 20), None, exactly(1e-6), "Toys 2022", Status.PAPER),
        CostItem("synaptic operations a->b", exactly(5)),
        CostItem("packets", exactly(7)),
    ),
    None,
    Range(1e-3, 2e-3),
    ("Nothing is published.",),
)


def test_coefficients_of_the_user_go_to_synaptic_operations():
    priced = with_coefficients(UNPRICED, 2e-12, 1e-6)
    first, second, packets, static = priced.items
    assert (first.energy, first.time) == (Range(20e-12, 40e-12), exactly(1e-6))
    assert (first.source, first.status) == ("Toys 2022; energy given by the user", Status.USER)
    assert (second.energy, second.source) == (exactly(1e-11), "energy given by the user")
    assert packets == UNPRICED.items[2]
    assert (static.event, static.count, static.energy) == ("static power", None, Range(1e-9, 2e-9))
    assert priced.energy == total([first.energy, second.energy, static.energy])
    assert priced.assumptions[-1].endswith("2 pJ a synaptic operation, 0.001 mW static power.")
    assert cost_in({"cost": priced.figure()}) == priced


def test_without_a_time_there_is_no_static_energy():
    timeless = replace(UNPRICED, time=None)
    assert len(with_coefficients(timeless, 2e-12).items) == 3
    with pytest.raises(UsageError, match="static power needs the time"):
        with_coefficients(timeless, 2e-12, 1e-6)


def test_published_energies_are_not_replaced():
    with pytest.raises(UsageError, match="published, and counted already"):
        with_coefficients(cost(), 2e-12)


@pytest.mark.parametrize("coefficients", [(-1.0, 0.0), (math.nan, 0.0), (1e-12, math.inf), (1e-12, -1.0)])
def test_coefficients_are_finite_and_not_negative(coefficients):
    with pytest.raises(DataError, match="a least and a most"):
        with_coefficients(UNPRICED, *coefficients)
