"""From samples to decisions: batches, defaults, refusals."""

from unittest.mock import patch

import numpy as np
import pytest
from runs import assert_equal_results

from nmdeploy.coding import (
    Bernoulli,
    ConstantCurrent,
    DeterministicRate,
    FirstSpike,
    MembranePotential,
    SpikeCount,
    SpikesToDecision,
)
from nmdeploy.emulator.result import ALL, Recording
from nmdeploy.errors import UsageError
from nmdeploy.inference import default_encoder, default_readout, infer
from nmdeploy.network import Network, Population, Projection
from nmdeploy.neurons import IF, Integrator
from nmdeploy.synapses import Dense


def network(rng, neuron=None, maximum=1, outputs=(), twice=False):
    weight = rng.integers(-20, 40, (3, 12))
    populations = [Population("in", (12,), maximum=maximum), Population("out", (3,), neuron or IF(50))]
    projections = [Projection("in", "out", (Dense(weight),), delay=1)]
    if twice:
        populations.append(Population("in2", (12,)))
        projections.append(Projection("in2", "out", (Dense(weight),)))
    return Network("net", tuple(populations), tuple(projections), outputs)


def test_batches_do_not_change_the_answer(rng):
    net, samples = network(rng), rng.random((23, 12))
    whole = infer(net, samples, steps=10, record=Recording(spikes=(ALL,), potentials=("out",), counts=(ALL,)))
    told = []
    parts = infer(
        net,
        samples,
        steps=10,
        record=Recording(spikes=(ALL,), potentials=("out",), counts=(ALL,)),
        batch=7,
        progress=lambda done, total: told.append((done, total)),
    )
    assert told == [(7, 23), (14, 23), (21, 23), (23, 23)]
    assert parts.result.samples == 23
    for name in ("spikes", "potentials", "counts", "final_potentials", "total_spikes", "synaptic_operations"):
        for key, values in getattr(whole.result, name).items():
            np.testing.assert_array_equal(getattr(parts.result, name)[key], values)
    np.testing.assert_array_equal(parts.decision.labels, whole.decision.labels)


@pytest.mark.parametrize(
    ("every", "told"), [(0, [7, 14, 21, 23]), (3, [3, 10, 17, 23]), (10, [7, 10, 17, 23]), (99, [7, 14, 21, 23])]
)
@pytest.mark.parametrize("neuron", [IF(50), IF(50.5)])
def test_every_spike_of_the_first_samples_is_kept_beside_the_same_answer(rng, every, told, neuron):
    net, samples = network(rng, neuron), rng.random((23, 12))
    record = Recording(counts=("out",), potentials=("out",), steps=slice(2, None, 3))
    plain = infer(net, samples, steps=10, record=record)
    ends = []
    found = infer(
        net,
        samples,
        steps=10,
        record=record,
        batch=7,
        every_spike_of=every,
        progress=lambda done, _total: ends.append(done),
    )
    assert ends == told
    assert_equal_results(found.result, plain.result)
    np.testing.assert_array_equal(found.decision.scores, plain.decision.scores)
    assert plain.counted is None
    if not every:
        assert found.counted is None
        return
    alone = infer(net, samples[:every], steps=10, record=Recording((ALL,), ("out",), (ALL,)))
    assert_equal_results(found.counted, alone.result)


def test_a_backend_keeps_what_it_can_record(deployment, rng):
    with pytest.raises(UsageError, match="every_spike_of: a backend keeps what it can record"):
        infer(deployment, rng.random((2, 1, 6, 6)), every_spike_of=1, backend=object())


def test_random_spikes_do_not_depend_on_the_batch(rng):
    samples = rng.random((6, 12))
    record = Recording(spikes=(ALL,))
    trains = [
        infer(network(rng), samples, encoder=Bernoulli(seed=3), steps=40, record=record, batch=batch).result.spikes[
            "in"
        ]
        for batch in (2, 6)
    ]
    np.testing.assert_array_equal(trains[0], trains[1])
    assert len({trains[0][:, index].tobytes() for index in range(6)}) == 6


def test_defaults_follow_the_network(rng):
    assert default_encoder(network(rng)) == DeterministicRate()
    assert default_encoder(network(rng, maximum=255)) == ConstantCurrent(levels=255)
    assert default_readout(network(rng)) == SpikeCount()
    assert default_readout(network(rng, Integrator())) == MembranePotential()


def test_float_networks_are_simulated(rng):
    outcome = infer(network(rng, IF(50.5)), rng.random((2, 12)), steps=5)
    assert outcome.result.origin == "simulated in float"


def test_what_cannot_be_inferred(rng):
    samples = rng.random((2, 12))
    with pytest.raises(UsageError, match="number of steps"):
        infer(network(rng), samples)
    with pytest.raises(UsageError, match=r"one input population.*in, in2"):
        infer(network(rng, twice=True), samples, steps=3)
    with pytest.raises(UsageError, match="there are no samples"):
        infer(network(rng), samples[:0], steps=3)


def test_stopping_early_decides_the_same(rng):
    net, samples = network(rng), rng.random((9, 12))
    for readout in (FirstSpike(), SpikesToDecision(3)):
        whole = infer(net, samples, steps=60, readout=readout)
        early = infer(net, samples, steps=60, readout=readout, stop_early=True, threads=2, batch=4)
        for name in ("labels", "tied", "decided_at"):
            np.testing.assert_array_equal(getattr(early.decision, name), getattr(whole.decision, name))
        assert whole.result.ended is None
        assert early.result.ended.shape == (9,)
        assert early.result.ended.min() < whole.result.steps


def test_only_a_decision_that_spikes_make_stops_early(rng):
    with pytest.raises(UsageError, match="found SpikeCount, limit FirstSpike, SpikesToDecision"):
        infer(network(rng), rng.random((2, 12)), steps=5, stop_early=True)


def test_only_the_emulator_stops_early(rng):
    net = network(rng)
    populations = (net["in"], Population("out", (3,), IF(5.0)))
    real = Network("real", populations, (Projection("in", "out", (Dense(rng.random((3, 12))),)),))
    with pytest.raises(UsageError, match="only the emulator stops early"):
        infer(real, rng.random((2, 12)), steps=5, readout=FirstSpike(), stop_early=True)


def test_batches_of_large_inputs_are_small(rng):
    told = []
    with patch("nmdeploy.inference.INPUT_BYTES", 10 * 12 * 4):
        infer(network(rng), rng.random((9, 12)), steps=10, progress=lambda done, _: told.append(done))
    assert told == [4, 8, 9]
