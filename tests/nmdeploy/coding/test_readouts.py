import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_array_equal

from nmdeploy.coding import READOUTS, FirstSpike, MembranePotential, SpikeCount, SpikesToDecision
from nmdeploy.emulator.result import Result
from nmdeploy.errors import DataError, ShapeError, UsageError
from nmdeploy.network import Population
from nmdeploy.neurons import IF, Integrator
from nmdeploy.structure import field_names

SPIKING = Population("out", (3,), IF(1))
SUMMING = Population("out", (3,), Integrator())


def result_of(spikes=None, potentials=None, steps=None):
    """A run that recorded output spikes `[T, N, 3]` and final potentials."""
    spikes = None if spikes is None else np.asarray(spikes, dtype=np.uint8)
    kept = {} if spikes is None else {"out": spikes}
    counts = {name: train.sum(axis=0, dtype=np.int64) for name, train in kept.items()}
    final = {} if potentials is None else {"out": np.asarray(potentials)}
    steps = steps or (0 if spikes is None else len(spikes))
    samples = len(next(iter((final or counts).values()), []))
    return Result(kept, {}, counts, final, {}, {}, steps, samples, "made by hand")


def trains(*classes):
    """One sample: a string of 0 and 1 for each class becomes `[T, 1, classes]`."""
    return np.array([[int(step) for step in train] for train in classes], dtype=np.uint8).T[:, np.newaxis]


def test_spike_count_takes_the_largest_count():
    decision = SpikeCount().decide(result_of(trains("0101", "1110", "0000")), SPIKING)
    assert_array_equal(decision.labels, [1])
    assert_array_equal(decision.scores, [[2, 3, 0]])
    assert_array_equal(decision.tied, [False])
    assert decision.decided_at is None


def test_ties_are_reported_and_count_as_wrong():
    spikes = np.concatenate([trains("10", "01", "00"), trains("00", "00", "00"), trains("00", "11", "01")], axis=1)
    decision = SpikeCount().decide(result_of(spikes), SPIKING)
    assert_array_equal(decision.labels, [0, 0, 1])
    assert_array_equal(decision.tied, [True, True, False])
    assert decision.accuracy(np.array([0, 0, 1])) == pytest.approx(1 / 3)


def test_potentials_compare_by_value_where_scales_differ():
    population = Population("out", (3,), Integrator(), potential_scale=np.array([1.0, 0.1, 2.0]))
    decision = MembranePotential().decide(result_of(potentials=np.array([[5, 60, 1], [2, 3, 1]])), population)
    assert_array_equal(decision.labels, [1, 0])
    assert_array_equal(decision.tied, [False, True])
    np.testing.assert_allclose(decision.scores, [[5, 6, 2], [2, 0.3, 2]])


def test_negative_potentials_are_ranked_too():
    decision = MembranePotential().decide(result_of(potentials=[[-5, -2, -9]]), SUMMING)
    assert_array_equal(decision.labels, [1])


def test_outputs_with_flat_maps_are_classes():
    population = Population("out", (3, 1, 1), Integrator(), potential_scale=np.full((3, 1, 1), 0.5))
    potentials = np.array([1, 2, 3]).reshape(1, 3, 1, 1)
    assert_array_equal(MembranePotential().decide(result_of(potentials=potentials), population).scores, [[0.5, 1, 1.5]])


def test_first_spike_takes_the_earliest_and_tells_when():
    decision = FirstSpike().decide(result_of(trains("0001", "0100", "0011")), SPIKING)
    assert_array_equal(decision.labels, [1])
    assert_array_equal(decision.decided_at, [1])
    assert_array_equal(decision.scores, [[1, 3, 2]])
    assert_array_equal(decision.tied, [False])


def test_a_race_with_two_winners_is_tied_and_a_race_without_is_undecided():
    spikes = np.concatenate([trains("010", "010", "001"), trains("000", "000", "000")], axis=1)
    decision = FirstSpike().decide(result_of(spikes), SPIKING)
    assert_array_equal(decision.tied, [True, True])
    assert_array_equal(decision.decided_at, [1, -1])


def test_an_undecided_race_of_one_class_is_no_decision():
    decision = FirstSpike().decide(result_of(np.zeros((2, 1, 1))), Population("out", (1,), IF(1)))
    assert_array_equal(decision.tied, [True])


@given(arrays(np.uint8, (7, 4, 3), elements=st.integers(0, 1)), st.integers(1, 3))
def test_spikes_to_decision_agrees_with_counting_step_by_step(spikes, needed):
    decision = SpikesToDecision(needed).decide(result_of(spikes), SPIKING)
    for sample in range(4):
        totals = np.zeros(3, dtype=int)
        winners, when = [], -1
        for step in range(7):
            totals += spikes[step, sample]
            if (totals >= needed).any():
                winners, when = np.flatnonzero(totals >= needed), step
                break
        assert decision.decided_at[sample] == when
        assert decision.tied[sample] == (len(winners) != 1)
        assert decision.labels[sample] == (winners[0] if len(winners) else 0)


@given(arrays(np.uint8, (5, 3, 3), elements=st.integers(0, 1)))
def test_first_spike_is_the_race_to_one(spikes):
    first, race = (readout.decide(result_of(spikes), SPIKING) for readout in (FirstSpike(), SpikesToDecision(1)))
    assert_array_equal(first.scores, race.scores)


@pytest.mark.parametrize("readout", [SpikeCount(), FirstSpike(), SpikesToDecision(2)], ids=lambda r: r.kind)
def test_neurons_that_never_spike_have_no_spikes_to_read(readout):
    with pytest.raises(UsageError, match=r"never spike.*MembranePotential"):
        readout.decide(result_of(np.zeros((2, 1, 3))), SUMMING)


def test_the_potential_of_neurons_that_reset_is_refused():
    with pytest.raises(UsageError, match=r"after the resets.*readout='potential'"):
        MembranePotential().decide(result_of(potentials=[[1, 2, 3]]), SPIKING)


@pytest.mark.parametrize("readout", [READOUTS[kind]() for kind in READOUTS], ids=lambda r: r.kind)
def test_what_was_not_recorded_is_named(readout):
    population = SUMMING if isinstance(readout, MembranePotential) else SPIKING
    with pytest.raises(DataError, match=r"out: the run did not record .*Recording\("):
        readout.decide(result_of(), population)


def test_spikes_of_some_steps_are_not_enough_for_a_race():
    with pytest.raises(DataError, match="found 2 steps, limit 5"):
        FirstSpike().decide(result_of(np.zeros((2, 1, 3)), steps=5), SPIKING)


@pytest.mark.parametrize("readout", [READOUTS[kind]() for kind in READOUTS], ids=lambda r: r.kind)
def test_maps_are_no_classes(readout):
    with pytest.raises(ShapeError, match="one neuron for each class"):
        readout.decide(result_of(), Population("out", (3, 2, 1), IF(1)))


def test_zero_spikes_decide_nothing():
    with pytest.raises(UsageError, match="at least one spike"):
        SpikesToDecision(0)


def test_readouts_are_found_by_kind_and_hold_plain_values_only():
    assert set(READOUTS) == {"SpikeCount", "MembranePotential", "FirstSpike", "SpikesToDecision"}
    for cls in READOUTS.values():
        readout = cls()
        values = {name: getattr(readout, name) for name in field_names(readout)}
        assert all(isinstance(value, (int, float, str, bool)) for value in values.values())
        assert cls(**values) == readout


def test_classes_apart_from_each_other():
    """Neurons between them stand for nothing, whatever they do."""
    population = Population("out", (5, 1, 1), IF(1), readout_step=2)
    spikes = trains("0111", "1111", "0011", "1111", "0000").reshape(4, 1, 5, 1, 1)
    for read_out, label in ((SpikeCount(), 0), (FirstSpike(), 0), (SpikesToDecision(3), 0)):
        decision = read_out.decide(result_of(spikes), population)
        assert_array_equal(decision.labels, [label])
        assert decision.scores.shape == (1, 3)
    summing = Population("out", (5,), Integrator(), readout_step=2)
    decision = MembranePotential().decide(result_of(potentials=[[1, 9, 3, 9, 2]]), summing)
    assert_array_equal(decision.scores, [[1, 3, 2]])
    assert_array_equal(decision.labels, [1])
