"""The ideal neurons, equation line by equation line."""

import numpy as np
import pytest

from nmdeploy.errors import EmulationOverflow
from nmdeploy.neurons import IF, Integrator
from quantize import IntegerFormat, Overflow


def drive(neuron, *currents, dtype=np.int64, shape=(1, 1)):
    """Spikes and potentials of one neuron under a train of currents."""
    state = neuron.initial_state(shape, np.dtype(dtype))
    spikes, potentials = [], []
    for current in currents:
        spikes.append(neuron.step(state, np.full(shape, current, dtype)).item())
        potentials.append(state["v"].item())
    return spikes, potentials


def test_it_starts_at_v_init_and_adds_current_and_bias():
    assert drive(IF(100, bias=2, v_init=-7), 10, -1) == ([0, 0], [5, 6])


@pytest.mark.parametrize(("fire", "spikes"), [(">=", [0, 1, 1]), (">", [0, 0, 1])])
def test_the_comparison_decides_at_equality(fire, spikes):
    fired = [drive(IF(5, fire=fire), current)[0][0] for current in (4, 5, 6)]
    assert fired == spikes


def test_subtraction_keeps_the_overshoot_and_zero_loses_it():
    assert drive(IF(5), 13, 0, 0) == ([1, 1, 0], [8, 3, 3])
    assert drive(IF(5, reset="zero"), 13, 0, 0) == ([1, 0, 0], [0, 0, 0])


def test_the_floor_holds_the_potential_but_not_the_way_up():
    assert drive(IF(5, v_min=-3), -10, 2, 6) == ([0, 0, 1], [-3, -1, 0])
    assert drive(IF(5, v_min=0), -1, -1, 4) == ([0, 0, 0], [0, 0, 4])


def test_the_floor_comes_after_the_format():
    # -10 wraps to 6 in four bits, which the floor leaves; saturated to -8 it is raised to -3.
    wrap, saturate = (IntegerFormat(4, overflow=rule) for rule in (Overflow.WRAP, Overflow.SATURATE))
    assert drive(IF(7, v_min=-3, potential=wrap), -10)[1] == [6]
    assert drive(IF(7, v_min=-3, potential=saturate), -10)[1] == [-3]


def test_the_format_comes_before_the_comparison():
    # 9 wraps to -7 and does not fire; saturated to 7 it does.
    wrap, saturate = (IntegerFormat(4, overflow=rule) for rule in (Overflow.WRAP, Overflow.SATURATE))
    assert drive(IF(7, potential=wrap), 9) == ([0], [-7])
    assert drive(IF(7, potential=saturate), 9) == ([1], [0])


def test_current_and_bias_are_added_before_the_format():
    saturate = IntegerFormat(4, overflow=Overflow.SATURATE)
    assert drive(IF(8, bias=-4, potential=saturate), 10)[1] == [6]


def test_a_refractory_neuron_neither_integrates_nor_fires():
    # Fires at step 0 with 1 left over; two silent steps keep it; then 1+5 fires again.
    assert drive(IF(5, refractory=2), 6, 5, 5, 5, 5) == ([1, 0, 0, 1, 0], [1, 1, 1, 1, 1])


def test_a_refractory_neuron_does_not_fire_on_what_is_left():
    # 13 - 5 = 8 is above threshold, but silent for one step.
    assert drive(IF(5, refractory=1), 13, 0, 0, 0) == ([1, 0, 1, 0], [8, 8, 3, 3])


def test_a_refractory_neuron_loses_its_bias_too():
    assert drive(IF(5, bias=5, refractory=1), 0, 0, 0, 0) == ([1, 0, 1, 0], [0, 0, 0, 0])


def test_parameters_per_channel_and_neuron_broadcast():
    neuron = IF(np.array([[[2]], [[3]]]), bias=np.array([[[1, 2]], [[1, 2]]]), v_init=np.array([[[1]], [[0]]]))
    assert neuron.faults((2, 1, 2)) == []
    state = neuron.initial_state((1, 2, 1, 2), np.dtype(np.int64))
    spikes = neuron.step(state, np.zeros((1, 2, 1, 2), np.int64))
    assert spikes.tolist() == [[[[1, 1]], [[0, 0]]]]
    assert state["v"].tolist() == [[[[0, 1]], [[1, 2]]]]


def test_spikes_are_uint8_and_the_current_is_not_changed():
    neuron, current = IF(1), np.array([[3]])
    state = neuron.initial_state((1, 1), np.dtype(np.int64))
    assert neuron.step(state, current).dtype == np.uint8
    assert current.tolist() == [[3]]


def test_reals_follow_the_same_equation():
    assert drive(IF(0.5, bias=0.125, v_min=-0.25), 0.5, -2.0, dtype=np.float64) == ([1, 0], [0.125, -0.25])


def test_an_integrator_never_fires():
    saturate = IntegerFormat(4, overflow=Overflow.SATURATE)
    assert drive(Integrator(bias=1, v_init=-2, potential=saturate), 3, 9, -30) == ([0, 0, 0], [2, 7, -8])
    assert Integrator().largest_spike == 0
    assert IF(1).largest_spike == 1


@pytest.mark.parametrize("neuron", [IF(7, potential=IntegerFormat(4)), Integrator(potential=IntegerFormat(4))])
def test_an_overflow_names_sample_and_neuron(neuron):
    state = neuron.initial_state((2, 1, 1, 3), np.dtype(np.int64))
    current = np.zeros((2, 1, 1, 3), np.int64)
    current[1, 0, 0, 2] = 8
    with pytest.raises(EmulationOverflow) as raised:
        neuron.step(state, current)
    assert str(raised.value) == "sample 1, neuron (0, 0, 2): membrane potential overflows (found 8, limit -8..7)"


@pytest.mark.parametrize(
    ("neuron", "fault"),
    [
        (IF(0), "threshold is 0, it must be above 0"),
        (IF(np.array([3, -1, 2])), "threshold is -1, it must be above 0"),
        (IF(1, v_min=1), "v_min is 1, it must be at most 0"),
        (IF(1, reset="half"), "reset 'half' is neither 'subtract' nor 'zero'"),
        (IF(1, fire=">>"), "fire '>>' is neither '>=' nor '>'"),
        (IF(1, refractory=-1), "refractory is -1, it must be at least 0"),
        (IF(1, bias=np.ones(2)), "bias of shape (2,) does not broadcast to (3,)"),
        (IF(1, bias=np.ones((2, 3))), "bias of shape (2, 3) does not broadcast to (3,)"),
        (IF(float("nan")), "threshold is not finite"),
        (Integrator(bias=np.array([0.0, np.inf, 0.0])), "bias is not finite"),
    ],
)
def test_faults_are_told(neuron, fault):
    assert neuron.faults((3,)) == [fault]


def test_all_faults_come_at_once():
    assert len(IF(-1, v_min=2, reset="", fire="", refractory=-3).faults((3,))) == 5


@pytest.mark.parametrize(
    ("neuron", "integer"),
    [
        (IF(1), True),
        (IF(np.array([1], np.int8), bias=np.array([2]), v_min=-1), True),
        (IF(1.0), False),
        (IF(1, bias=np.array([0.5])), False),
        (Integrator(v_init=0.0), False),
    ],
)
def test_a_neuron_is_integer_when_all_its_numbers_are(neuron, integer):
    assert neuron.is_integer is integer


def test_neurons_compare_by_value_and_show_what_is_set():
    assert IF(np.array([1, 2])) == IF(np.array([1, 2]))
    assert IF(np.array([1, 2])) != IF(np.array([1, 3]))
    assert IF(5) != Integrator()
    assert repr(IF(5, reset="zero")) == "IF(threshold=5, reset='zero')"
    with pytest.raises(ValueError, match="read-only"):
        IF(np.array([1, 2])).threshold[0] = 5
