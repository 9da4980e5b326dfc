"""Promised steps: what they allow, what can act together, and how broken ones are told."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import nmdeploy as nm
from nmdeploy.emulator.result import ALL, Recording
from nmdeploy.errors import NetworkError, UsageError
from nmdeploy.network import Network, Population, Projection
from nmdeploy.neurons import IF
from nmdeploy.schedule import LONGEST_CYCLE, Schedule, coincidences, off_schedule
from nmdeploy.subnetwork import behind_known
from nmdeploy.synapses import Dense


def allowed(schedule, steps=12):
    return np.flatnonzero(schedule.allows(np.arange(steps))).tolist()


def test_spans_come_once_or_again():
    assert allowed(Schedule(((2, 3), (7, 1)))) == [2, 3, 4, 7]
    assert allowed(Schedule(((2, 3),), period=5)) == [2, 3, 4, 7, 8, 9]
    assert allowed(Schedule(((8, 2),), period=5)) == [3, 4, 8, 9]
    assert allowed(Schedule(())) == []
    assert Schedule(((2, 3), (7, 1))).end == 8
    assert Schedule().end == 0
    assert Schedule(((np.int64(2), 3),), 5).later(4) == Schedule(((6, 3),), 5)


@pytest.mark.parametrize(
    ("schedule", "words"),
    [
        (Schedule(((-1, 2),)), r"span \(-1, 2\)"),
        (Schedule(((0, 0),)), r"span \(0, 0\)"),
        (Schedule(((0, 4),), period=3), r"span \(0, 4\)"),
        (Schedule(((0, 1),), period=0), "period is 0"),
    ],
)
def test_a_network_refuses_what_is_no_schedule(schedule, words):
    target = Population("out", (1,), IF(1))
    with pytest.raises(NetworkError, match=words):
        Network("n", (Population("in", (1,), schedule=schedule), target), (Projection("in", "out"),))


spans = st.lists(st.tuples(st.integers(0, 9), st.integers(1, 3)), max_size=2).map(tuple)
schedules = st.one_of(
    st.none(), st.builds(Schedule, spans, st.one_of(st.none(), st.integers(3, 7))), st.builds(Schedule, spans)
)


@given(st.lists(st.tuples(schedules, st.integers(0, 4)), min_size=1, max_size=4))
def test_groups_are_what_acts_together_in_some_step(arrivals):
    """Against every single step of a time in which all has come again; sources without a schedule act always."""
    seen = set()
    for step in range(200, 200 + 2 * 420) if all(s is None or s.period for s, _ in arrivals) else range(2 * 420):
        acting = [s is None or bool(s.allows(np.array(step - delay))) for s, delay in arrivals]
        seen.add(frozenset(np.flatnonzero(acting).tolist()))
    largest = {each for each in seen if not any(each < other for other in seen)}
    assert set(map(frozenset, coincidences(arrivals))) == largest


def test_schedules_that_hardly_ever_agree_are_taken_to_coincide():
    periods = (1021, 1031)
    apart = [(Schedule(((0, 1),), period), 0) for period in periods]
    assert np.prod(periods) > LONGEST_CYCLE
    assert coincidences(apart) == ((0, 1),)
    assert coincidences([]) == ((),)


def two(schedule):
    populations = (Population("in", (2,), schedule=schedule), Population("out", (1,), IF(1)))
    return Network("n", populations, (Projection("in", "out", (Dense(np.ones((1, 2), np.int8)),)),))


def test_spikes_out_of_schedule_are_counted():
    spikes = {"in": np.zeros((6, 1, 2), np.uint8)}
    spikes["in"][[1, 2], 0, 0] = 1
    spikes["in"][5, 0] = 1
    for schedule, found in ((Schedule(((1, 2), (5, 1))), 0), (Schedule(((2, 1),)), 3), (Schedule(((1, 1),), 4), 1)):
        network = two(schedule)
        run = nm.emulate(network, spikes, record=Recording(spikes=(ALL,)))
        assert off_schedule(network, run) == {"in": found}
    assert off_schedule(two(None), run) == {}


@pytest.mark.parametrize("record", [Recording(), Recording(spikes=(ALL,), steps=slice(3))])
def test_a_run_that_does_not_tell_all_is_refused(record):
    network = two(Schedule(((1, 1),)))
    run = nm.emulate(network, {"in": np.zeros((6, 1, 2), np.uint8)}, record=record)
    with pytest.raises(UsageError, match=r"in.*does not tell every spike|does not tell every spike.*in"):
        off_schedule(network, run)


def test_a_population_that_becomes_an_input_keeps_its_schedule():
    schedule = Schedule(((3, 2),), 9)
    one = (Dense(np.ones((1, 1), np.int8)),)
    populations = (
        Population("in", (1,)),
        Population("a", (1,), IF(1), schedule=schedule),
        Population("b", (1,), IF(1)),
    )
    network = Network("n", populations, (Projection("in", "a", one), Projection("a", "b", one)))
    part = behind_known(network, "b", ("a",))
    assert part["a"].is_input
    assert part["a"].schedule == schedule
