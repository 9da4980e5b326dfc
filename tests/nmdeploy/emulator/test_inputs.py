"""Inputs, steps and recordings that make no sense are refused in one line."""

import numpy as np
import pytest

from nmdeploy.emulator.inputs import check_inputs, select, spike_type
from nmdeploy.emulator.reference import emulate_reference
from nmdeploy.emulator.result import Recording
from nmdeploy.emulator.run import emulate
from nmdeploy.errors import DataError, ShapeError, UsageError
from nmdeploy.network import Network, Population, Projection
from nmdeploy.neurons import IF
from nmdeploy.synapses import Dense


def network(**inputs):
    """Inputs of two neurons each, with their ranges, into one neuron."""
    populations = [Population(name, (2,), minimum=low, maximum=high) for name, (low, high) in inputs.items()]
    projections = [Projection(name, "out", (Dense(np.array([[1, 1]])),), delay=1) for name in inputs]
    return Network("net", (*populations, Population("out", (1,), IF(2))), tuple(projections))


ONE = network(image=(0, 1))
TWO = network(left=(0, 1), right=(-3, 300))


def spikes(steps=4, samples=3, dtype=np.uint8):
    return np.ones((steps, samples, 2), dtype)


def test_an_array_alone_or_a_dict_of_one_are_the_same():
    alone, named = check_inputs(ONE, spikes(), None), check_inputs(ONE, {"image": spikes()}, None)
    np.testing.assert_array_equal(alone.spikes["image"], named.spikes["image"])
    assert (alone.steps, alone.samples) == (named.steps, named.samples) == (4 + 1, 3)


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int16, np.int64])
def test_any_integers_are_taken(dtype):
    assert check_inputs(ONE, spikes(dtype=dtype), None).spikes["image"].dtype == np.uint8


def test_a_wide_range_is_kept_in_the_smallest_type_that_holds_it_and_silence():
    types = {p.name: spike_type(p) for p in network(a=(0, 255), b=(0, 256), c=(-1, 1), d=(5, 9), e=(-9, -5)).inputs}
    assert types == {"a": np.uint8, "b": np.uint16, "c": np.int8, "d": np.uint8, "e": np.int8}
    checked = check_inputs(TWO, {"left": spikes(), "right": spikes(dtype=np.int64) * 300}, None)
    assert checked.spikes["right"].max() == 300


def test_steps_can_be_chosen():
    assert check_inputs(ONE, spikes(), 2).steps == 2
    assert check_inputs(ONE, spikes(), 99).steps == 99


@pytest.mark.parametrize(
    ("inputs", "error", "message"),
    [
        ({"picture": spikes()}, UsageError, "found picture, limit image"),
        ({}, UsageError, "found none, limit image"),
        (np.ones((4, 3, 5), np.uint8), ShapeError, r"image: .*found \(4, 3, 5\), limit \[T, N, 2\]"),
        (np.ones(4, np.uint8), ShapeError, r"limit \[T, N, 2\]"),
        (spikes(steps=0), DataError, "no steps or no samples"),
        (spikes(samples=0), DataError, "no steps or no samples"),
        (spikes(dtype=np.float32), DataError, "found float32.*encode"),
        (spikes() * 2, DataError, r"image: .*found 2, limit 0\.\.1"),
        (spikes(dtype=np.int8) * -1, DataError, r"image: .*found -1, limit 0\.\.1"),
        ([[[1, 0]]], DataError, "found list"),
    ],
)
def test_bad_inputs_are_told(inputs, error, message):
    for run in (emulate, emulate_reference):
        with pytest.raises(error, match=message):
            run(ONE, inputs)


def test_several_inputs_are_named_and_agree_in_steps_and_samples():
    with pytest.raises(UsageError, match="left, right"):
        check_inputs(TWO, spikes(), None)
    with pytest.raises(ShapeError, match=r"right: .*found \(4, 2\), limit \(4, 3\) as 'left'"):
        check_inputs(TWO, {"left": spikes(), "right": spikes(samples=2)}, None)
    with pytest.raises(DataError, match=r"right: .*found 301, limit -3\.\.300"):
        check_inputs(TWO, {"left": spikes(), "right": spikes(dtype=np.int64) * 301}, None)


@pytest.mark.parametrize("steps", [0, -1])
def test_a_run_has_a_step(steps):
    with pytest.raises(UsageError, match=f"found {steps}"):
        emulate(ONE, spikes(), steps=steps)


def test_a_recording_is_resolved_against_the_network():
    selected = select(TWO, Recording(), 10)
    assert (selected.spikes, selected.potentials, selected.counts) == (("out",), {}, ("out",))
    everything = select(TWO, Recording(("*",), ("*",), ("*",), slice(2, 9, 3)), 10)
    assert everything.spikes == everything.counts == ("left", "right", "out")
    assert everything.potentials == {"out": ("out", "v")}
    assert list(everything.steps) == [2, 5, 8]


@pytest.mark.parametrize(
    ("record", "message"),
    [
        (Recording(spikes=("hidden",)), "spikes of .*found 'hidden', limit image, out"),
        (Recording(counts=("out", "hidden")), "counts of .*found 'hidden'"),
        (Recording(potentials=("image",)), "potentials of .*found 'image', limit out"),
        (Recording(potentials=("out.u",)), "found 'out.u'"),
        (Recording(steps=slice(None, None, -1)), "forwards"),
    ],
)
def test_a_recording_of_nothing_is_refused(record, message):
    for run in (emulate, emulate_reference):
        with pytest.raises(UsageError, match=message):
            run(ONE, spikes(), record=record)


def test_other_state_variables_are_recorded_by_name():
    net = Network("net", (*ONE.inputs, Population("out", (1,), IF(1, refractory=3))), ONE.projections)
    record = Recording(potentials=("out.silent_steps", "out.v", "out"))
    for run in (emulate, emulate_reference):
        result = run(net, spikes(), record=record)
        # Input arrives from step 1 on; the neuron fires there and counts down from 3.
        assert result.potentials["out.silent_steps"][:, 0].ravel().tolist() == [0, 3, 2, 1, 0]
        np.testing.assert_array_equal(result.potentials["out"], result.potentials["out.v"])
