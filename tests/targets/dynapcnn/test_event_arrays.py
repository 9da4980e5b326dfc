"""Rasters and events: there and back, sinabs' order, and refusals."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from nmdeploy.errors import DataError, ShapeError
from targets.dynapcnn.event_arrays import EVENT, as_events, events_to_raster, raster_to_events

SHAPES = st.one_of(
    st.tuples(*[st.integers(1, 4)] * 4),
    st.tuples(st.integers(1, 5), st.integers(1, 6)),
)
RASTERS = SHAPES.flatmap(lambda shape: arrays.arrays(np.uint8, shape, elements=st.integers(0, 4)))
EVENTS = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2), st.integers(0, 5000), st.integers(0, 1)), max_size=30)


@given(RASTERS, st.integers(1, 5000))
def test_a_raster_survives_the_way_there_and_back(raster, step_us):
    events = raster_to_events(raster, step_us)
    assert events.dtype == EVENT
    assert len(events) == raster.sum()
    np.testing.assert_array_equal(events_to_raster(events, raster.shape[1:], len(raster), step_us), raster)


@given(EVENTS, st.integers(1, 2000))
def test_a_raster_counts_events_by_step_and_pixel(rows, step_us):
    events = np.array(rows, EVENT)
    raster = events_to_raster(events, (2, 3, 4), step_us=step_us)
    assert raster.sum() == len(rows)
    for x, y, t, p in rows:
        here = sum(
            1 for other in rows if (other[0], other[1], other[2] // step_us, other[3]) == (x, y, t // step_us, p)
        )
        assert raster[t // step_us, p, y, x] == here
    assert len(raster) == max((t // step_us + 1 for _, _, t, _ in rows), default=0)


def test_the_highest_counts_of_a_step_come_first_in_repeated_sweeps():
    raster = np.zeros((2, 1, 1, 4), np.int64)
    raster[0, 0, 0] = [1, 2, 0, 2]
    raster[1, 0, 0] = [3, 0, 1, 0]
    events = raster_to_events(raster)
    assert events["x"].tolist() == [1, 3, 1, 3, 0, 0, 0, 0, 2]
    assert events["t"].tolist() == [0] * 5 + [1000] * 4
    assert raster_to_events(raster, truncate=True)["x"].tolist() == [0, 1, 3, 0, 2]


def test_a_start_other_than_zero():
    events = np.array([(0, 0, 2500, 0)], EVENT)
    assert events_to_raster(events, (1,), steps=2, start_us=2000).ravel().tolist() == [1, 0]
    with pytest.raises(DataError, match=r"1 events lie outside.*found -1"):
        events_to_raster(events, (1,), start_us=3000)


@pytest.mark.parametrize(
    "names", [("x", "y", "t", "p"), ("x", "y", "timestamp", "polarity"), ("x", "y", "t", "channel")]
)
def test_fields_are_known_by_the_names_of_others(names):
    kinds = (np.uint16, np.uint16, np.uint64, np.bool_ if names[3] == "polarity" else np.uint8)
    given_events = np.array([(3, 4, 77, 1)], list(zip(names, kinds, strict=True)))
    assert as_events(given_events).tolist() == [(3, 4, 77, 1)]


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros(3), "structured array"),
        (np.zeros((2, 2), EVENT), "structured array"),
        (np.zeros(2, [("x", int), ("y", int), ("t", int)]), "no field 'p'"),
        (np.zeros(2, [("x", int), ("y", int), ("t", float), ("p", int)]), "fields of events are integers"),
        (np.array([(70000, 0, 0, 0)], [(name, int) for name in "xytp"]), "out of range.*70000"),
        (np.array([(0, 0, -1, 0)], [(name, int) for name in "xytp"]), "out of range.*-1"),
    ],
)
def test_arrays_that_are_no_events(array, message):
    with pytest.raises(DataError, match=f"(?s){message}"):
        as_events(array)


@pytest.mark.parametrize(("field", "value"), [("x", 4), ("y", 3), ("p", 2), ("t", 5000)])
def test_events_outside_the_raster(field, value):
    events = np.zeros(2, EVENT)
    events[field][1] = value
    with pytest.raises(DataError, match=f"{field}: 1 events lie outside.*event 1, limit"):
        events_to_raster(events, (2, 3, 4), steps=5)


def test_rasters_of_other_kinds():
    with pytest.raises(ShapeError, match="axes"):
        raster_to_events(np.zeros((2, 3, 4), int))
    with pytest.raises(DataError, match="integers from 0"):
        raster_to_events(np.full((2, 3), -1))
    with pytest.raises(DataError, match="integers from 0"):
        raster_to_events(np.zeros((2, 3)))
    with pytest.raises(ShapeError, match="cannot address"):
        raster_to_events(np.zeros((1, 65537), np.uint8))
    with pytest.raises(ShapeError, match="shape is"):
        events_to_raster(np.empty(0, EVENT), (3, 4))


SINABS = """
import json, sys
import numpy as np, torch
from sinabs.backend.dynapcnn.chip_factory import ChipFactory
factory = ChipFactory("speck2fdevkit:0")
results = []
with np.load(sys.argv[1]) as file:
    for name in sorted(file.files):
        for truncate in (False, True):
            events = factory.raster_to_events(torch.from_numpy(file[name]), layer=0, truncate=truncate)
            results.append([[int(e.x), int(e.y), int(e.timestamp), int(e.feature)] for e in events])
print(json.dumps(results))
"""


@pytest.mark.slow
@pytest.mark.shared
def test_the_order_is_that_of_sinabs(shared_data, tmp_path, rng):
    pytest.importorskip("sinabs")
    rasters = {}
    for number in range(12):
        shape = tuple(rng.integers(1, 7, 4))
        rasters[f"{number:02}"] = np.maximum(rng.integers(-3, 5, shape), 0)
        rasters[f"{number:02}"].flat[0] = 1  # sinabs fails on silence
    np.savez(tmp_path / "rasters.npz", **rasters)
    environment = {**os.environ, "PYTHONPATH": str(shared_data / "standins")}
    command = [sys.executable, "-W", "ignore", "-c", SINABS, str(tmp_path / "rasters.npz")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    expected = iter(json.loads(done.stdout.splitlines()[-1]))
    for raster in rasters.values():
        for truncate in (False, True):
            found = raster_to_events(raster, truncate=truncate)
            assert [list(map(int, event)) for event in found] == next(expected)
