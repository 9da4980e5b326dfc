import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from targets.loihi.neuron import LoihiLIF, LoihiLIFReset, LoihiLIFSubtract, wrap_current, wrap_int32

PARAMETERS = st.fixed_dictionaries(
    {
        "vth": st.one_of(st.integers(0, 200), st.integers(0, 131072)),
        "du": st.one_of(st.sampled_from([-1, 0, 4095, 4096]), st.integers(-1, 4095)),
        "dv": st.one_of(st.sampled_from([0, 1, 4096]), st.integers(0, 4096)),
        "bias_mant": st.integers(-4096, 4095),
        "bias_exp": st.integers(-8, 7),
    }
)
STATE = st.integers(-(2**23) + 1, 2**23 - 1)
# Ordinary sums, the 24-bit edge of u (2**23 / 64), and sums whose shift leaves int32.
SUM = st.one_of(
    st.integers(-300, 300),
    st.sampled_from([-131073, -131072, -131071, 131071, 131072, 131073]),
    st.integers(-(2**27), 2**27),
)
SUMS = st.lists(SUM, min_size=1, max_size=12)


def run(neuron, sums):
    """States and spikes of one neuron after each step."""
    state = neuron.initial_state((1, 1), np.dtype(np.int64))
    rows = []
    for arrived in sums:
        spike = neuron.step(state, np.array([[arrived]], dtype=np.int64))
        assert spike.dtype == np.uint8
        rows.append((int(state["u"][0, 0]), int(state["v"][0, 0]), int(spike[0, 0])))
    return rows


def expected(model, sums):
    rows = []
    for arrived in sums:
        spike = model.step(arrived)
        rows.append((model.u, model.v, spike))
    return rows


@given(PARAMETERS, STATE, STATE, SUMS)
@settings(max_examples=400)
def test_step_is_the_scalar_model(scalar_lif, parameters, u, v, sums):
    neuron = LoihiLIF(**parameters, u_init=u, v_init=v)
    assert run(neuron, sums) == expected(scalar_lif(**parameters, u=u, v=v), sums)


@given(PARAMETERS, st.integers(1, 7), st.integers(0, 20), SUMS)
@settings(max_examples=150)
def test_reset_step_is_the_scalar_model(scalar_lif, parameters, interval, offset, sums):
    neuron = LoihiLIFReset(**parameters, interval=interval, offset=offset, v_init=77, u_init=-9)
    model = scalar_lif(**parameters, u=-9, v=77, interval=interval, offset=offset)
    assert run(neuron, sums) == expected(model, sums)


@given(PARAMETERS, st.integers(1, 131072), STATE, SUMS)
@settings(max_examples=200)
def test_subtracting_step_is_the_scalar_model(scalar_lif, parameters, subtrahend, v, sums):
    neuron = LoihiLIFSubtract(**parameters, subtrahend=subtrahend, v_init=v)
    assert run(neuron, sums) == expected(scalar_lif(**parameters, v=v, subtrahend=subtrahend), sums)


def test_the_overshoot_stays_after_a_subtraction():
    # Fires at v >= 5: threshold 4 strictly, 5 subtracted; 12 units make two spikes in two steps and leave 2.
    neuron = LoihiLIFSubtract(vth=4, subtrahend=5)
    assert run(neuron, [12, 0, 0]) == [(768, 7 * 64, 1), (0, 2 * 64, 1), (0, 2 * 64, 0)]


def test_subtrahends_may_differ_by_neuron():
    neuron = LoihiLIFSubtract(vth=np.array([4, 9]), subtrahend=np.array([5, 8], np.int16))
    state = neuron.initial_state((1, 2), np.dtype(np.int64))
    np.testing.assert_array_equal(neuron.step(state, np.array([[6, 11]])), [[1, 1]])
    np.testing.assert_array_equal(state["v"], [[64, 3 * 64]])


class TwoCompartments:
    """NxTF's form on Loihi 1 in Python integers: a dendrite that never resets, a soma, a recurrent synapse.

    The soma looks at the dendrite's potential in the same step; its spike reaches the
    dendrite one step later, as one more synaptic input of weight -subtrahend.
    """

    def __init__(self, *, vth, subtrahend, bias_mant=0, bias_exp=0, v=0):
        self.vth, self.subtrahend = vth, subtrahend
        self.bias, self.v, self.fired = bias_mant * 2**bias_exp, v, 0

    def step(self, arrived):
        accumulated = arrived - self.subtrahend * self.fired
        assert -32768 <= accumulated <= 32767  # the dendritic accumulator
        u = accumulated * 64
        self.v = min(max(self.v + u + self.bias, -8388607), 8388607)
        self.fired = int(self.v > self.vth * 64)
        return self.fired


@given(
    st.integers(0, 255),
    st.integers(0, 7),
    st.integers(-2, 2),
    st.integers(-4096, 4095),
    st.integers(0, 7),
    STATE,
    st.data(),
)
@settings(max_examples=300)
def test_two_compartments_of_loihi_1_send_the_same_spikes(mantissa, exponent, above, bias_mant, bias_exp, v, data):
    """With any bias and initial potential, saturation included; sums and subtraction fit the accumulator."""
    subtrahend = max(mantissa << exponent, 1)
    vth = max(subtrahend + above, 0)
    room = 32767 - subtrahend
    size = data.draw(st.sampled_from([10, 300, room]))
    sums = data.draw(st.lists(st.integers(-min(size, room), min(size, room)), min_size=1, max_size=40))
    parameters = {"vth": vth, "subtrahend": subtrahend, "bias_mant": bias_mant, "bias_exp": bias_exp}
    spikes = [spike for _, _, spike in run(LoihiLIFSubtract(**parameters, v_init=v), sums)]
    pair = TwoCompartments(**parameters, v=v)
    assert spikes == [pair.step(arrived) for arrived in sums]


def test_with_a_leak_two_compartments_would_send_other_spikes():
    """Why rule LOI017 forbids it: the subtraction would come after the leak instead of before."""
    sums = [25, 0, 0]
    at_once = [spike for _, _, spike in run(LoihiLIFSubtract(vth=9, subtrahend=10, dv=1024), sums)]
    v, fired, late = 0, 0, []
    for arrived in sums:
        v = v * 3072 // 4096 + (arrived - 10 * fired) * 64
        fired = int(v > 9 * 64)
        late.append(fired)
    assert (at_once, late) == ([1, 1, 0], [1, 0, 0])


def test_parameters_may_differ_by_neuron(scalar_lif):
    given = {"vth": [3, 40], "du": [4095, 100], "dv": [0, 7], "bias_mant": [-1, 5], "bias_exp": [6, -2]}
    neuron = LoihiLIF(**{name: np.array(values, dtype=np.int16) for name, values in given.items()})
    state = neuron.initial_state((3, 2), np.dtype(np.int64))
    models = [scalar_lif(**{name: values[i] for name, values in given.items()}) for i in (0, 1)]
    for arrived in ([2, 30], [4, 11], [-9, 25], [9, 9]):
        spikes = neuron.step(state, np.array([arrived] * 3))
        wanted = [model.step(a) for model, a in zip(models, arrived, strict=True)]
        np.testing.assert_array_equal(spikes, [wanted] * 3)
        np.testing.assert_array_equal(state["v"], [[model.v for model in models]] * 3)


def test_a_potential_equal_to_the_threshold_does_not_fire():
    assert run(LoihiLIF(vth=5), [5, 0]) == [(320, 320, 0), (0, 320, 0)]
    assert run(LoihiLIF(vth=5), [6, 0]) == [(384, 0, 1), (0, 0, 0)]


def test_the_current_wraps_once_with_an_open_lower_edge():
    edge = 2**23
    values = np.array([edge, edge + 1, -edge, -edge + 1, -edge - 1, 3 * edge + 1])
    np.testing.assert_array_equal(wrap_current(values), [edge, 1 - edge, edge, 1 - edge, edge - 1, edge + 1])


def test_int32_wraps_like_numpy():
    values = np.array([2**31 - 1, 2**31, -(2**31), -(2**31) - 1, 2**33 + 5], dtype=np.int64)
    np.testing.assert_array_equal(wrap_int32(values), values.astype(np.int32))


def test_the_largest_threshold_can_be_reached_and_one_more_cannot():
    sums = [131072, 0]
    assert run(LoihiLIF(vth=131071), sums)[0] == (2**23, 0, 1)
    assert run(LoihiLIF(vth=131072), sums)[0] == (2**23, 2**23 - 1, 0)


@pytest.mark.parametrize(
    ("neuron", "fault"),
    [
        (LoihiLIF(vth=2**31), "vth is 2147483648"),
        (LoihiLIF(vth=1, du=4097), "du is 4097, it must be in -1..4096"),
        (LoihiLIF(vth=1, dv=-1), "dv is -1"),
        (LoihiLIF(vth=1, bias_exp=np.array([0, 32])), "bias_exp is 32"),
        (LoihiLIF(vth=1.5), "all parameters must be integers"),
        (LoihiLIFReset(vth=1, interval=0), "interval is 0"),
        (LoihiLIF(vth=np.array([1, 2, 3])), "does not broadcast"),
        (LoihiLIFSubtract(vth=1, subtrahend=0), "subtrahend is 0, it must be in 1..131072"),
        (LoihiLIFSubtract(vth=1, subtrahend=np.array([1, 131073])), "subtrahend is 131073"),
        (LoihiLIFSubtract(vth=1, subtrahend=0.5), "all parameters must be integers"),
    ],
)
def test_faulty_parameters_are_told(neuron, fault):
    assert any(fault in found for found in neuron.faults((2,)))


def test_sound_parameters_have_no_faults():
    assert LoihiLIF(vth=np.array([1, 2]), du=-1).faults((2,)) == []
    assert LoihiLIFReset(vth=0, interval=1).faults((2,)) == []
