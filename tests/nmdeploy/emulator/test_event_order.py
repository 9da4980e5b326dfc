"""Input events in order: sinabs' order of a raster, and streams of single events."""

import json
import os
import subprocess
import sys
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nmdeploy.emulator import event_order
from nmdeploy.emulator.event_order import coordinates, events_in_order, raster_inputs, stream_inputs
from nmdeploy.errors import DataError, UsageError
from nmdeploy.network import Network, Population, Projection
from nmdeploy.neurons import IF

EVENT = [("x", "u2"), ("y", "u2"), ("t", "i8"), ("p", "u2")]


def network(*shapes):
    inputs = [Population(f"in{index}", shape) for index, shape in enumerate(shapes)]
    outputs = [Population(f"out{index}", shape, IF(1)) for index, shape in enumerate(shapes)]
    projections = tuple(Projection(f"in{index}", f"out{index}") for index in range(len(shapes)))
    return Network("inputs", (*inputs, *outputs), projections)


def test_the_highest_count_comes_first_and_its_sweep_is_repeated():
    steps, neurons = events_in_order(np.array([[1, 3, 0, 2, 3], [0, 0, 1, 0, 1]]))
    assert steps.tolist() == [0] * 9 + [1] * 2
    assert neurons.tolist() == [1, 4, 1, 4, 1, 4, 3, 3, 0, 2, 4]


@given(st.integers(0, 2**32 - 1), st.integers(1, 5))
def test_the_documented_order_step_by_step(seed, most):
    raster = np.random.Generator(np.random.PCG64(seed)).integers(0, most + 1, (4, 2, 3, 3))
    steps, neurons = events_in_order(raster)
    expected = []
    for step, image in enumerate(raster.reshape(4, -1)):
        for count in range(most, 0, -1):
            expected += [(step, neuron) for neuron in np.flatnonzero(image == count).tolist()] * count
    assert list(zip(steps.tolist(), neurons.tolist(), strict=True)) == expected


DRIVER = """
import json, sys
import numpy as np, torch
from sinabs.backend.dynapcnn.chips.speck2f import Speck2FConfigBuilder
from sinabs.backend.dynapcnn.chip_factory import ChipFactory

found = []
for raster in np.load(sys.argv[1]):
    events = ChipFactory("speck2fdevkit").raster_to_events(torch.from_numpy(raster), layer=0)
    found.append([[int(e.timestamp) // 1000, int(e.feature), int(e.y), int(e.x)] for e in events])
print(json.dumps(found))
"""


@pytest.mark.slow
@pytest.mark.shared
def test_sinabs_itself_gives_this_order(shared_data, tmp_path):
    rasters = np.random.Generator(np.random.PCG64(3)).integers(0, 4, (20, 3, 2, 4, 5))
    np.save(tmp_path / "rasters.npy", rasters)
    pytest.importorskip("sinabs", exc_type=ImportError)
    environment = {**os.environ, "PYTHONPATH": str(shared_data / "standins")}
    command = [sys.executable, "-W", "ignore", "-c", DRIVER, str(tmp_path / "rasters.npy")]
    run = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    for raster, theirs in zip(rasters, json.loads(run.stdout), strict=True):
        steps, neurons = events_in_order(raster)
        x, y, p = coordinates(raster.shape[1:], neurons)
        assert np.stack((steps, p, y, x), axis=1).tolist() == theirs


def test_several_inputs_come_one_after_the_other_within_a_step():
    rasters = {"in0": np.array([[1, 0], [1, 1], [0, 1]]), "in1": np.array([[2], [0], [1]])}
    found = raster_inputs(network((2,), (1,)), rasters, 0, 4)  # the fourth step is silent
    assert [found["in0"].step(step)[1].tolist() for step in range(4)] == [[0], [0, 1], [0], []]
    assert [found["in1"].step(step)[1].tolist() for step in range(4)] == [[1, 2], [], [1], []]
    later = raster_inputs(network((2,), (1,)), rasters, 2, 1)
    assert later["in0"].neurons.tolist() == [1]


def test_a_stream_keeps_its_order():
    events = np.array([(1, 0, 5, 1), (0, 2, 3, 0)], EVENT)
    found = stream_inputs(network((2, 3, 4)), events, None)
    assert found.neurons.tolist() == [13, 8]
    assert found.numbers.tolist() == [0, 1]
    assert found.first.tolist() == [0, 2]
    x, y, p = coordinates((2, 3, 4), found.neurons)
    assert (x.tolist(), y.tolist(), p.tolist()) == ([1, 0], [0, 2], [1, 0])


def test_ticks_cut_a_stream():
    events = np.array([(0, 0, 0, 0), (0, 0, 9, 1), (0, 0, 10, 2), (0, 0, 35, 0)], EVENT)
    found = stream_inputs(network((3,)), events, 10)
    assert found.first.tolist() == [0, 2, 3, 3, 4]
    assert [found.only(step).neurons.tolist() for step in range(4)] == [[0, 1], [2], [], [0]]
    assert stream_inputs(network((3,)), events[:0], 10).first.tolist() == [0, 0]


@pytest.mark.parametrize(
    ("events", "tick", "message"),
    [
        ([(0, 0, 0, 0)], None, "a structured array with the fields x, y, p"),
        (np.zeros((1, 4)), None, "a structured array with the fields x, y, p"),
        (np.zeros(2, [("x", int), ("y", int)]), None, "no such field of integers (found p)"),
        (np.zeros(2, [("x", int), ("y", float), ("p", int)]), None, "no such field of integers (found y)"),
        (np.array([(4, 0, 0, 0)], EVENT), None, "in0, field x: an event lies outside the input (found 4, limit 0..3)"),
        (np.array([(0, 3, 0, 0)], EVENT), None, "in0, field y: an event lies outside the input (found 3, limit 0..2)"),
        (np.array([(0, 0, 0, 2)], EVENT), None, "in0, field p: an event lies outside the input (found 2, limit 0..1)"),
        (np.array([(0, 0, 2, 0), (0, 0, 1, 0)], EVENT), 5, "times of events start at 0 or later and never fall"),
        (np.array([(0, 0, -1, 0)], EVENT), 5, "times of events start at 0 or later and never fall"),
        (np.zeros(2, [("x", int), ("y", int), ("p", int)]), 5, "no such field of integers (found t)"),
    ],
)
def test_other_streams_are_refused(events, tick, message):
    with pytest.raises(DataError) as caught:
        stream_inputs(network((2, 3, 4)), events, tick)
    assert message in str(caught.value)


def test_a_stream_is_for_one_input_and_a_tick_takes_time():
    with pytest.raises(UsageError, match="for one input"):
        stream_inputs(network((1,), (2,)), np.zeros(0, EVENT), None)
    with pytest.raises(UsageError, match=r"at least 1 apart \(found 0\)"):
        stream_inputs(network((1,)), np.zeros(1, EVENT), 0)


def test_a_stream_is_as_long_as_numbers_reach():
    with patch.object(event_order, "LARGEST_NUMBER", 3), pytest.raises(DataError, match=r"found 4, limit 3"):
        stream_inputs(network((1,)), np.zeros(4, EVENT), None)
