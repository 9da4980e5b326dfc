from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from nmdeploy.errors import EmulationOverflow, UsageError
from nmdeploy.neurons import IF
from quantize import IntegerFormat, Overflow
from targets.dynapcnn import TARGET
from targets.dynapcnn.neuron import NO_FLOOR, SpeckIAF, SpeckStepIAF

INT64 = np.dtype(np.int64)
STEPS = 12


def as_sinabs(neuron, currents):
    """sinabs 3.1.3, layers/functional/lif.py with alpha 1, activation/: float32, line by line.

    Returns:
        Spikes and potentials `[T, ...]` as integers; exact below 2**24.
    """
    theta, low = np.float32(neuron.threshold_high), np.float32(neuron.threshold_low)
    v = np.full(currents.shape[1:], neuron.v_init, np.float32)
    spikes, potentials = [], []
    for current in currents.astype(np.float32):
        v = v + (current + np.float32(neuron.leak))
        several, single = (v > 0) * np.trunc(v / theta), ((v - theta) >= 0).astype(np.float32)
        fired = several if neuron.multi_spike else single
        subtracted, reset = v - fired * theta, v * (fired == 0) + np.float32(neuron.reset_value)
        v = reset if neuron.return_to_zero else subtracted
        v = np.maximum(v - low, 0) + low
        spikes.append(fired)
        potentials.append(v)
    return np.stack(spikes).astype(np.int64), np.stack(potentials).astype(np.int64)


def stepped(neuron, currents):
    """Spikes and potentials of the model itself."""
    state = neuron.initial_state(currents.shape[1:], INT64)
    spikes, potentials = [], []
    for current in currents:
        spikes.append(neuron.step(state, current))
        potentials.append(state["v"].copy())
    return np.stack(spikes), np.stack(potentials)


@st.composite
def step_neurons(draw):
    zero = draw(st.booleans())
    return SpeckStepIAF(
        threshold_high=draw(st.integers(1, 600)),
        threshold_low=draw(st.integers(-700, 0)),
        return_to_zero=zero,
        v_init=draw(st.integers(-300, 900)),
        leak=draw(st.integers(-120, 120)),
        multi_spike=draw(st.booleans()),
        reset_value=draw(st.integers(-50, 50)) if zero else 0,
    )


currents = st.integers(0, 2**32 - 1).map(
    lambda seed: np.random.default_rng(seed).integers(-2000, 3000, (STEPS, 2, 5)).astype(np.int64)
)


@given(step_neurons(), currents)
def test_steps_are_those_of_sinabs(neuron, given_currents):
    spikes, potentials = stepped(neuron, given_currents)
    expected = as_sinabs(neuron, given_currents)
    assert_array_equal(spikes, expected[0])
    assert_array_equal(potentials, expected[1])
    assert spikes.max(initial=0) <= neuron.largest_spike


@given(step_neurons(), currents)
def test_a_step_as_data_is_the_step(neuron, given_currents):
    scan = neuron.scan(3000)
    assert (scan is None) == bool(neuron.multi_spike or neuron.reset_value)
    if scan is None:
        return
    v = np.broadcast_to(np.int64(neuron.v_init), (2, 5)).copy()
    spikes, potentials = stepped(neuron, given_currents)
    for step, current in enumerate(given_currents):
        v = np.maximum(v + current + scan.bias, scan.low)
        fired = v > scan.above
        v = np.where(fired, 0, v) if scan.subtract is None else v - fired * scan.subtract
        assert_array_equal(fired, spikes[step])
        assert_array_equal(v, potentials[step])


@given(step_neurons(), currents)
def test_one_spike_a_step_is_the_ideal_neuron(neuron, given_currents):
    neuron = replace(neuron, multi_spike=False, reset_value=0)
    reset = "zero" if neuron.return_to_zero else "subtract"
    ideal = IF(neuron.threshold_high, neuron.leak, neuron.v_init, neuron.threshold_low, reset)
    for made, expected in zip(stepped(neuron, given_currents), stepped(ideal, given_currents), strict=True):
        assert_array_equal(made, expected)


def test_several_spikes_take_off_a_threshold_each():
    spikes, potentials = stepped(SpeckStepIAF(10), np.array([[35], [-7], [3]]))
    assert_array_equal(spikes, [[3], [0], [0]])
    assert spikes.dtype == np.uint16
    assert_array_equal(potentials, [[5], [-2], [1]])


def test_sinabs_adds_its_reset_value_to_silent_neurons_too():
    neuron = SpeckStepIAF(10, return_to_zero=True, reset_value=2, multi_spike=False)
    spikes, potentials = stepped(neuron, np.array([[3], [6]]))
    assert_array_equal(spikes, [[0], [1]])
    assert_array_equal(potentials, [[5], [2]])


def test_more_spikes_than_are_counted():
    neuron = SpeckStepIAF(1)
    state = neuron.initial_state((1, 1), INT64)
    assert neuron.step(state, np.array([[65535]])) == 65535
    with pytest.raises(EmulationOverflow, match="spikes of one step overflows"):
        neuron.step(state, np.array([[65536]]))


def test_what_an_event_does_is_told_as_data():
    rule = SpeckIAF(100, -40, v_init=3, leak=np.array([[[1]], [[2]]])).event_rule()
    assert (rule.threshold, rule.subtract, rule.low) == (100, 100, -40)
    assert rule.potential == IntegerFormat(16, overflow=Overflow.SATURATE)
    assert_array_equal(rule.leak, [[[1]], [[2]]])
    assert (rule.clamps_events, rule.fires_on_any, rule.fires_on_tick, rule.order) == (True, True, False, "yxc")


def test_every_policy_that_nobody_published_can_be_chosen():
    neuron = SpeckIAF(
        100,
        return_to_zero=True,
        overflow="wrap",
        clamps_events=False,
        fires_on_any=False,
        fires_on_tick=True,
        order="cyx",
    )
    rule = neuron.event_rule()
    assert rule.subtract is None
    assert rule.low == NO_FLOOR == -32768 + 128
    assert rule.potential.overflow is Overflow.WRAP
    assert (rule.clamps_events, rule.fires_on_any, rule.fires_on_tick, rule.order) == (False, False, True, "cyx")


def test_the_event_neuron_has_no_step():
    neuron = SpeckIAF(100, v_init=7)
    state = neuron.initial_state((1, 2), INT64)
    assert_array_equal(state["v"], [[7, 7]])
    with pytest.raises(UsageError, match=r"nmdeploy\.emulate"):
        neuron.step(state, np.zeros((1, 2), INT64))
    assert neuron.scan(1) is None
    assert neuron.largest_spike == 65535


@pytest.mark.parametrize(
    ("neuron", "fault"),
    [
        (SpeckIAF(-1), "threshold_high is -1"),
        (SpeckIAF(5, threshold_low=1), "threshold_low is 1"),
        (SpeckIAF(5, v_init=0.5), "all parameters must be integers"),
        (SpeckIAF(5, leak=np.zeros((3, 1, 1), np.int64)), "does not broadcast"),
        (SpeckIAF(5, overflow="grow"), "overflow 'grow'"),
        (SpeckIAF(5, order="yxy"), "order 'yxy'"),
        (SpeckStepIAF(0), "threshold_high is 0"),
        (SpeckStepIAF(5, reset_value=2), "reset_value is 2"),
    ],
)
def test_faults(neuron, fault):
    assert fault in "; ".join(neuron.faults((2, 3, 3)))


def test_a_threshold_of_0_is_for_the_design_rules():
    assert SpeckIAF(0).faults((2, 3, 3)) == []
    single = SpeckStepIAF(0, multi_spike=False)
    assert single.faults((2, 3, 3)) == []
    assert single.scan(1) is None


def test_a_subclass_steps_as_it_likes():
    class Other(SpeckStepIAF):
        pass

    assert Other(5, multi_spike=False).scan(1) is None


def test_bundles_find_both_models():
    assert {model.kind for model in TARGET.neuron_models()} == {"dynapcnn.IAF", "dynapcnn.StepIAF"}
