import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nmdeploy.errors import ShapeError
from targets.spinnaker.fixed_point import ONE, raw
from targets.spinnaker.layout_defect import as_read, is_safe, kicked_neuron
from targets.spinnaker.neuron import IFTruncDelta

DEFAULT = IFTruncDelta()


def test_the_recorded_case():
    """A data specification with v_thresh = 2.5, loaded by the real binary: threshold 1.0, initial inputs 2.5."""
    read = as_read(IFTruncDelta(v_thresh=raw(2.5)), (4,), (4,))
    assert read.v_thresh.tolist() == [ONE] * 4
    assert read.isyn_exc.tolist() == read.isyn_inh.tolist() == [raw(2.5)] * 2 + [0, 0]


def first_step(neuron, count):
    state = neuron.initial_state((1, count), np.dtype(np.int64))
    spikes = neuron.step(state, np.zeros((2, 1, count), dtype=np.int64))
    return spikes[0].tolist(), state


@pytest.mark.parametrize("count", [1, 2, 5, 8])
def test_the_middle_neuron_of_an_odd_core_is_kicked_once(count):
    spikes, state = first_step(as_read(DEFAULT, (count,), (count,)), count)
    kicked = kicked_neuron(count)
    assert spikes == [int(index == kicked) for index in range(count)]
    assert not state["exc"].any()
    assert not state["inh"].any()
    assert (kicked is None) == (count % 2 == 0)


def test_every_core_has_its_own_middle():
    spikes, _ = first_step(as_read(DEFAULT, (10,), (3, 4, 3)), 10)
    assert np.flatnonzero(spikes).tolist() == [1, 8]


def test_initial_inputs_reach_the_second_half_of_a_core():
    read = as_read(IFTruncDelta(isyn_exc=np.array([1, 2, 3, 4]), isyn_inh=np.array([5, 6, 7, 8])), (4,), (4,))
    assert read.isyn_exc.tolist() == [ONE, ONE, 1, 2]
    assert read.isyn_inh.tolist() == [ONE, ONE, 5, 6]


def test_time_steps_are_taken_for_thresholds():
    assert as_read(IFTruncDelta(time_step=3277, v_thresh=9), (2,), (2,)).v_thresh.tolist() == [3277] * 2


def test_shapes_are_kept():
    read = as_read(IFTruncDelta(v_thresh=np.arange(2).reshape(2, 1, 1)), (2, 1, 2), (4,))
    assert read.isyn_exc.shape == read.v_thresh.shape == (2, 1, 2)
    assert read.isyn_exc.ravel().tolist() == [0, 1, 0, 0]


@given(st.lists(st.integers(1, 3), min_size=1, max_size=4), st.integers(0, 3))
def test_what_is_called_safe_runs_as_it_was_written(pairs, drive):
    written, sizes = IFTruncDelta(v_reset=-ONE, i_offset=ONE // 4, tau_m=2 * ONE), [2 * pair for pair in pairs]
    assert is_safe(written, sizes)
    count = sum(sizes)
    neurons = (written, as_read(written, (count,), sizes))
    states = [neuron.initial_state((1, count), np.dtype(np.int64)) for neuron in neurons]
    current = np.full((2, 1, count), drive * 9_000)
    current[1] = 100
    for _ in range(4):
        spikes = [neuron.step(state, current) for neuron, state in zip(neurons, states, strict=True)]
        np.testing.assert_array_equal(*spikes)
        np.testing.assert_array_equal(*(state["v"] for state in states))


@pytest.mark.parametrize(
    ("neuron", "sizes", "safe"),
    [
        (DEFAULT, (2, 4), True),
        (IFTruncDelta(v_reset=ONE - 65_535, tau_m=9), (2,), True),
        (DEFAULT, (2, 3), False),
        (IFTruncDelta(v_thresh=np.array([ONE, ONE + 1])), (2,), False),
        (IFTruncDelta(time_step=3277), (2,), False),
        (IFTruncDelta(isyn_exc=1), (2,), False),
        (IFTruncDelta(isyn_inh=np.array([0, 1])), (2,), False),
    ],
)
def test_what_is_safe(neuron, sizes, safe):
    assert is_safe(neuron, sizes) == safe


@pytest.mark.parametrize("sizes", [(3,), (2, 3), (4, 0)])
def test_cores_must_hold_the_population(sizes):
    with pytest.raises(ShapeError, match="cores do not hold the population"):
        as_read(DEFAULT, (4,), sizes)
