"""Cost from counted events: every count against a count by hand, every time against its figure."""

import numpy as np
import pytest

import nmdeploy
from nmdeploy.cost import with_coefficients
from nmdeploy.deployment import CoreLoad
from nmdeploy.emulator.result import Recording
from nmdeploy.errors import UsageError
from nmdeploy.network import Network, Population, Projection
from nmdeploy.report.cost import cost_line, cost_section
from nmdeploy.synapses import Conv2d, Dense, Reshape, SumPool2d
from targets.dynapcnn import TARGET
from targets.dynapcnn.neuron import SpeckIAF

EVERYTHING = Recording(spikes=("*",), counts=("*",))
MICROSECOND = 1e-6


@pytest.fixture(scope="module")
def deployed():
    """5 x 5 maps pooled by 2: the last row and column of events go nowhere."""
    rng = np.random.default_rng(3)
    net = Network(
        "net",
        (
            Population("in", (1, 7, 7), maximum=3),
            Population("a", (2, 5, 5), SpeckIAF(20, -60)),
            Population("out", (3,), SpeckIAF(40, -60, leak=np.array([1, 0, -1], dtype=np.int8))),
        ),
        (
            Projection("in", "a", (Conv2d(rng.integers(-5, 15, (2, 1, 3, 3)).astype(np.int8)),)),
            Projection("a", "out", (SumPool2d(2), Reshape((8,)), Dense(rng.integers(-5, 30, (3, 8)).astype(np.int8)))),
        ),
    )
    return nmdeploy.deploy(net, "speck2f/leak")


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(4).integers(0, 4, (6, 3, 1, 7, 7)).astype(np.uint8)


@pytest.fixture(scope="module")
def run(deployed, images):
    return nmdeploy.emulate(deployed.network, {"in": images}, record=EVERYTHING)


@pytest.fixture(scope="module")
def cost(deployed, run):
    return TARGET.cost(deployed, run)


def row(cost, event):
    (found,) = [item for item in cost.items if item.event == event]
    return found


def test_events_into_cores(deployed, images, run, cost):
    first, second = (load.core for load in deployed.placement.cores)
    into_a = images.sum(dtype=int)
    into_out = run.spikes["a"][..., :4, :4].sum(dtype=int)
    assert into_out < run.spikes["a"].sum(dtype=int)
    for event, count in ((f"events into core {first} (a)", into_a), (f"events into core {second} (out)", into_out)):
        item = row(cost, event)
        assert item.count.least == item.count.most == count / 3
        assert item.time.most == pytest.approx(count / 3 * 1.58 * MICROSECOND)
        assert (item.source, item.status.value) == ("Richter 2023", "paper")
    steps = images.sum(axis=(2, 3, 4)).max(), run.spikes["a"][..., :4, :4].sum(axis=(2, 3, 4)).max()
    for core, busiest in zip((first, second), steps, strict=True):
        assert row(cost, f"of them in the busiest step of core {core}").count.most == busiest


def test_operations_and_ticks(run, cost):
    for name, operations in run.synaptic_operations.items():
        assert row(cost, f"synaptic operations {name}").count.most == operations.sum() / 3
    assert row(cost, "leak updates of out").count.most == 3 * run.steps
    assert not [item for item in cost.items if item.event == "leak updates of a"]


def test_the_time_is_between_the_busiest_core_and_all_of_them(cost):
    times = [item.time.most for item in cost.items if item.event.startswith("events into")]
    assert (cost.time.least, cost.time.most) == (max(times), sum(times))
    assert cost.rate.most == 1 / max(times)


def test_counts_alone_will_do(deployed, images, cost):
    run = nmdeploy.emulate(deployed.network, {"in": images}, record=Recording(counts=("*",)))
    less = TARGET.cost(deployed, run)
    assert less.time == cost.time
    assert [item for item in cost.items if "busiest" not in item.event] == list(less.items)
    assert any("busiest one is not known" in told for told in less.assumptions)
    run = nmdeploy.emulate(deployed.network, {"in": images})
    with pytest.raises(UsageError, match="does not tell how often each neuron fired"):
        TARGET.cost(deployed, run)


def test_a_layer_on_two_cores_gets_its_events_twice(deployed, run, cost):
    load = deployed.placement.cores[1]
    other = CoreLoad(0, 2, load.population, load.neurons, load.used, load.limits)
    placement = deployed.placement
    twice = deployed.with_(placement=type(placement)("speck2f", (*placement.cores, other), placement.limits))
    found = TARGET.cost(twice, run)
    assert row(found, "events into core 2 (out)").count == row(cost, f"events into core {load.core} (out)").count


def test_no_energy_is_made_up(cost):
    assert cost.energy is None
    assert all(item.energy is None for item in cost.items)
    assert any("nobody has published" in told for told in cost.assumptions)
    assert cost_line(cost).startswith("cost per inference: energy unknown, ")


def test_published_power_is_quoted_with_its_source(cost):
    told = [sentence for sentence in cost.assumptions if sentence.startswith("Power of a whole chip")]
    assert any("gait night 12.3 to 46.8 mW (Yao 2024, table 1, paper)" in each for each in told)
    assert any("least inference 0.7 mW (Yao 2024, paper)" in each for each in told)
    assert any("measured)" in each for each in told)
    assert sum(each.count("most ") for each in told) == 0


def test_the_users_own_coefficients(cost):
    priced = with_coefficients(cost, 10e-12, 1e-3)
    operations = sum(item.count.most for item in cost.items if item.event.startswith("synaptic operations"))
    assert priced.dynamic_energy.most == pytest.approx(operations * 10e-12)
    assert priced.static_energy.least == pytest.approx(cost.time.least * 1e-3)
    assert "Energy:" in "".join(cost_section(priced).lines)


def test_the_board_without_latencies_has_a_peak_rate(deployed, run):
    found = TARGET.cost(deployed.with_(chip="dynapcnndevkit"), run)
    assert found.time is None
    item = row(found, "synaptic operations in->a")
    assert item.time.most == pytest.approx(item.count.most / 200e6)
    assert (item.source, item.status.value) == ("Liu 2019", "pre-silicon")
    assert not any("Power" in told or "nine layers" in told for told in found.assumptions)
    assert cost_line(found).startswith("cost per inference: unknown")
