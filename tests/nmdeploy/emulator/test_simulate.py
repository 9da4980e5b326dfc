"""Float networks run on the same engine with the same semantics."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from nmdeploy.emulator.engine import Tiling
from nmdeploy.emulator.reference import emulate_reference
from nmdeploy.emulator.result import Recording
from nmdeploy.emulator.simulate import simulate
from nmdeploy.errors import DataError, UsageError
from nmdeploy.network import Network, Population, Projection
from nmdeploy.neurons import IF, Integrator
from nmdeploy.synapses import Dense
from quantize import IntegerFormat


def chain(neuron, weight=0.75, **projection):
    return Network(
        "chain",
        (Population("in", (1,)), Population("out", (1,), neuron)),
        (Projection("in", "out", (Dense(np.array([[weight]])),), **projection),),
    )


def train(*values):
    return np.array(values).reshape(-1, 1, 1)


def test_one_neuron_by_hand():
    # v: 0.75+0.125 | 1.75 fires, 0.75 | 0.875 | 1.75 fires, 0.75
    record = Recording(potentials=("out",))
    result = simulate(chain(IF(1.0, bias=0.125)), train(1, 1, 0, 1), record=record)
    assert result.spikes["out"].ravel().tolist() == [0, 1, 0, 1]
    assert result.potentials["out"].ravel().tolist() == [0.875, 0.75, 0.875, 0.75]
    assert result.origin == "simulated in float"


@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_arithmetic_and_potentials_have_the_asked_precision(precision):
    result = simulate(chain(Integrator(), 0.1), train(1, 1, 1), precision=precision)
    expected = np.zeros((), precision)
    for _ in range(3):
        expected = expected + np.array(0.1, precision)
    assert result.final_potentials["out"].dtype == precision
    assert result.final_potentials["out"].item() == expected.item()


def as_float(network):
    """The same network with real weights, without what only integers have."""
    populations = [
        p if p.neuron is None else replace(p, neuron=replace(p.neuron, potential=None)) for p in network.populations
    ]
    projections = [
        replace(
            p,
            exponent=0,
            accumulator=None,
            synapses=tuple(s if s.weight is None else s.with_weight(s.weight.astype(float)) for s in p.synapses),
        )
        for p in network.projections
    ]
    return Network(network.name, tuple(populations), tuple(projections), network.outputs)


def as_integer(network):
    """The inverse, for weights that are whole numbers."""
    projections = [
        replace(
            p, synapses=tuple(s if s.weight is None else s.with_weight(s.weight.astype(np.int64)) for s in p.synapses)
        )
        for p in network.projections
    ]
    return Network(network.name, network.populations, tuple(projections), network.outputs)


def test_whole_numbers_simulate_as_they_are_emulated(random_cases, monkeypatch):
    record = Recording(spikes=("*",), potentials=("*",), counts=("*",))

    @settings(max_examples=60)
    @given(case=random_cases(ideal=True), block=st.integers(1, 4))
    def check(case, block):
        network = as_float(case.network)
        assume(not network.is_integer)
        if not network.has_cycle:
            monkeypatch.setattr("nmdeploy.emulator.simulate.tile", lambda *_: Tiling(2, block))
        expected = emulate_reference(as_integer(network), case.inputs, steps=case.steps, record=record)
        assume(all(np.abs(potential).max() < 2**50 for potential in expected.potentials.values()))
        found = simulate(network, case.inputs, steps=case.steps, record=record)
        monkeypatch.undo()
        for field in ("spikes", "potentials", "counts", "total_spikes", "synaptic_operations"):
            for name, values in getattr(expected, field).items():
                np.testing.assert_array_equal(getattr(found, field)[name], values)

    check()


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (chain(IF(1), 1), r"chain: .*nmdeploy\.emulate"),
        (chain(IF(0.5), 1, exponent=2), "in->out"),
        (chain(IF(0.5), accumulator=IntegerFormat(8)), "in->out"),
        (chain(IF(0.5, potential=IntegerFormat(8))), "out"),
    ],
)
def test_integer_notions_are_refused(network, message):
    with pytest.raises(UsageError, match=message):
        simulate(network, train(1))


def test_options_and_inputs_are_checked():
    with pytest.raises(UsageError, match="found 'float16', limit 'float32', 'float64'"):
        simulate(chain(IF(1.0)), train(1), precision="float16")
    with pytest.raises(UsageError, match="batch"):
        simulate(chain(IF(1.0)), train(1), batch=0)
    with pytest.raises(DataError, match="float64"):
        simulate(chain(IF(1.0)), train(0.5))


def test_progress_counts_samples():
    calls = []
    inputs = np.ones((2, 5, 1), np.uint8)
    simulate(chain(IF(1.0)), inputs, batch=2, progress=lambda done, total: calls.append((done, total)))
    assert calls == [(2, 5), (4, 5), (5, 5)]
