"""The proof that no order of events matters: what it takes, and that it fails where one thing is missing."""

from dataclasses import replace

import numpy as np
import pytest

import nmdeploy as nm
from nmdeploy.coding import Clocked, DeterministicRate
from nmdeploy.convert.exact import QuantizedAnn, quantize_activations, to_exact
from nmdeploy.emulator.result import ALL, Recording
from nmdeploy.network import Network, Population, Projection
from nmdeploy.neurons import IF, Integrator
from nmdeploy.synapses import Conv2d, Dense, Reshape, SumPool2d
from nmdeploy.target import Grade
from targets.dynapcnn.order_free import order_free

CHIP = nm.chip("speck2f")
RULES = CHIP.target.exact_rules(CHIP.chip, CHIP.profile)
LAYERS = {"a.sum", "a", "b.sum", "b", "out"}


@pytest.fixture(scope="module")
def deployment():
    rng = np.random.default_rng(2)

    def dense(rows, columns):
        return (Dense(rng.normal(size=(rows, columns)) / 2),)

    network = Network(
        "two layers",
        (
            Population("in", (6,)),
            Population("a", (5,), IF(1.0, bias=rng.normal(size=5))),
            Population("b", (4,), IF(1.0)),
            Population("out", (3,), Integrator()),
        ),
        (
            Projection("in", "a", dense(5, 6)),
            Projection("a", "b", dense(4, 5)),
            Projection("b", "out", dense(3, 4)),
        ),
    )
    exact = to_exact(quantize_activations(network, RULES, levels=4, input_steps=8), RULES, DeterministicRate())
    return nm.deploy(exact.network, CHIP, encoder=exact.encoder, steps=exact.steps)


def proven(deployment, network=None, **clocks):
    encoder = deployment.encoder
    changed = Clocked(encoder.encoder, encoder.input, encoder.input_steps, {**encoder.clocks, **clocks})
    return order_free(network or deployment.network, changed, deployment.steps)


def with_neuron(network, name, **changes):
    populations = tuple(
        replace(p, neuron=replace(p.neuron, **changes)) if p.name == name else p for p in network.populations
    )
    return replace(network, populations=populations)


def with_weights(network, source, target, change):
    def changed(projection):
        if (projection.source, projection.target) != (source, target):
            return projection
        synapses = [s if s.weight is None else s.with_weight(change(s.weight.copy())) for s in projection.synapses]
        return replace(projection, synapses=tuple(synapses))

    return replace(network, projections=tuple(map(changed, network.projections)))


def test_every_layer_is_proven(deployment):
    assert proven(deployment) == LAYERS
    known = CHIP.target.exactness(deployment)
    assert known.grade is Grade.EXACT
    assert len(known.reasons) == 1
    assert "done with each step's events before the next step's are sent" in known.reasons[0]


def test_one_level_needs_no_drive_and_is_proven_too():
    populations = (Population("in", (3,)), Population("a", (2,), IF(9)), Population("out", (2,), Integrator()))
    weights = np.array([[50, -20, 3], [7, 8, -90]])
    projections = (Projection("in", "a", (Dense(weights),)), Projection("a", "out", (Dense(weights[:, :2]),)))
    ann = QuantizedAnn.proven(Network("one level", populations, projections), 1, 8)
    exact = to_exact(ann, RULES, DeterministicRate())
    network = nm.deploy(exact.network, CHIP, encoder=exact.encoder, steps=exact.steps).network
    assert order_free(network, exact.encoder, exact.steps) == {"a.sum", "a", "out"}


def test_bounds_of_counts_hold(deployment):
    rng = np.random.default_rng(0)
    inputs = deployment.encoder.inputs([p.name for p in deployment.network.inputs], rng.random((200, 6)), 99)
    run = nm.emulate(deployment.network, inputs, record=Recording(counts=(ALL,)))
    assert run.counts["a"].max() <= 4
    assert run.counts["a.sum"].max() == 1


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        pytest.param("a.sum", {"v_init": 32_639}, id="it could fire while it sums"),
        pytest.param("a.sum", {"v_init": 32_640}, id="it starts at its threshold"),
        pytest.param("a.sum", {"return_to_zero": False}, id="the ramp could make it fire again"),
        pytest.param("a.sum", {"threshold_high": 300, "v_init": -20_000}, id="the ramp makes it fire again"),
        pytest.param("a.sum", {"threshold_low": -100, "v_init": -90}, id="it has a floor, which is not published"),
        pytest.param("a.sum", {"v_init": -32_640}, id="it could fall to the floor"),
        pytest.param("a.sum", {"leak": 1}, id="ticks are bound to nothing"),
        pytest.param("a", {"threshold_high": 32_766}, id="its partner's spike leaves 16 bits"),
        pytest.param("a", {"return_to_zero": False}, id="its partner's spike is above what its own takes off"),
        pytest.param("out", {"v_init": 32_766}, id="an output could fire"),
    ],
)
def test_a_layer_that_breaks_a_condition_is_not_proven_nor_what_it_feeds(deployment, name, changes):
    network = with_neuron(deployment.network, name, **changes)
    before = {"a.sum": set(), "a": {"a.sum"}, "out": LAYERS - {"out"}}
    assert proven(deployment, network) == before[name]
    assert CHIP.target.exactness(deployment.with_(network=network)).grade is not Grade.EXACT


def test_two_clocks_in_a_step_are_not_proven(deployment):
    clocks = deployment.encoder.clocks
    assert proven(deployment, **{"a.sum.drive": clocks["a.sum.gate"]}) == set()


def test_clocks_that_meet_spikes_are_not_proven(deployment):
    early = np.roll(deployment.encoder.clocks["a.sum.gate"], -1, axis=0)
    assert proven(deployment, **{"a.sum.gate": early}) == set()


@pytest.mark.parametrize(
    ("source", "target", "change"),
    [
        ("a.sum.gate", "a.sum", np.negative),
        ("a.sum.gate", "a.sum", lambda w: w - np.arange(w.size).reshape(w.shape) % 2),
        ("a.sum", "a", np.negative),
        ("a.sum", "a", np.ones_like),
    ],
)
def test_weights_of_other_kinds_are_not_proven(deployment, source, target, change):
    assert target not in proven(deployment, with_weights(deployment.network, source, target, change))


def test_a_layer_that_repeats_has_one_source(deployment):
    twice = [each for each in deployment.network.projections if (each.source, each.target) == ("a.sum", "a")]
    network = replace(deployment.network, projections=(*deployment.network.projections, *twice))
    assert "a" not in proven(deployment, network)


def test_a_source_that_can_fire_twice_is_not_repeated_in_a_known_way(deployment):
    early = np.zeros_like(deployment.encoder.clocks["b.drive"])
    early[0] = 1
    projections = tuple(
        Projection("a", "b", (Conv2d(np.eye(4, 5, dtype=np.int8)[:, :, None, None]),))
        if each.source == "b.sum"
        else each
        for each in deployment.network.projections
    )
    network = replace(deployment.network, projections=projections, outputs=("out",))
    assert proven(deployment, network, **{"b.drive": early}) == {"a.sum", "a", "b.sum"}


def test_the_bounds_of_counts_are_those_of_interval_arithmetic():
    """A weight more than what fits by `Proven` is refused before, so that what fits is always proven."""
    weights = np.full((4, 32), 127)
    populations = (Population("in", (32,)), Population("a", (4,), IF(127)), Population("out", (2,), Integrator()))
    projections = (
        Projection("in", "a", (Dense(weights),)),
        Projection("a", "out", (Dense(np.full((2, 4), 127)),)),
    )
    ann = QuantizedAnn.proven(Network("edge", populations, projections), 64, 8)
    assert 0.99 < RULES.excess(ann.layer("out"), 64, ann.reach["out"]) <= 1
    exact = to_exact(ann, RULES, DeterministicRate())
    network = nm.deploy(exact.network, CHIP, encoder=exact.encoder, steps=exact.steps).network
    assert order_free(network, exact.encoder, exact.steps) == {"a.sum", "a", "out"}


def test_what_pooling_leaves_over_is_not_known(deployment):
    weights = np.ones((2, 1, 3, 3), dtype=int)
    network = Network(
        "odd",
        (Population("in", (1, 5, 5)), Population("a", (2, 5, 5), IF(8)), Population("out", (2,), Integrator())),
        (
            Projection("in", "a", (Conv2d(weights, padding=1),)),
            Projection("a", "out", (SumPool2d(2), Reshape((8,)), Dense(np.ones((2, 8), dtype=int)))),
        ),
    )
    exact = to_exact(QuantizedAnn.proven(network, 4, 8), RULES, DeterministicRate())
    known = CHIP.target.exactness(nm.deploy(exact.network, CHIP, encoder=exact.encoder, steps=exact.steps))
    assert known.grade is Grade.UP_TO_ORDER
    assert known.reasons[0].startswith("a->out: pooling leaves rows or columns over")
