"""Inputs that are made batch by batch, and runs whose memory does not grow with their length."""

import tracemalloc

import numpy as np
import pytest

from nmdeploy.emulator.inputs import Stream
from nmdeploy.emulator.result import Recording
from nmdeploy.emulator.run import emulate
from nmdeploy.errors import DataError, ShapeError, UsageError
from nmdeploy.network import Network, Population, Projection
from nmdeploy.neurons import IF
from nmdeploy.synapses import Conv2d, Dense, Reshape

SHAPE = (3, 16, 16)


def convolution():
    rng = np.random.Generator(np.random.PCG64(5))
    populations = (Population("in", SHAPE), Population("conv", (8, 14, 14), IF(20)), Population("out", (4,), IF(50)))
    projections = (
        Projection("in", "conv", (Conv2d(rng.integers(-9, 10, (8, 3, 3, 3))),)),
        Projection("conv", "out", (Reshape((1568,)), Dense(rng.integers(-9, 10, (4, 1568))))),
    )
    return Network("images", populations, projections)


ENGINES = ("fast", "numpy", "reference")


@pytest.mark.parametrize("engine", ENGINES)
def test_a_stream_runs_as_its_arrays_would(engine, rng):
    network, spikes = convolution(), (rng.random((5, 7, *SHAPE)) < 0.2).astype(np.uint8)
    asked = []

    def make(samples):
        asked.append((samples.start, samples.stop))
        return spikes[:, samples]

    record = Recording(spikes=("*",))
    found = emulate(network, Stream(make, 7, 5), engine=engine, batch=3, record=record)
    expected = emulate(network, spikes, engine=engine, batch=3, record=record)
    for name in expected.spikes:
        np.testing.assert_array_equal(found.spikes[name], expected.spikes[name])
    assert sorted(set(asked)) == ([(0, 7)] if engine == "reference" else [(0, 3), (3, 6), (6, 7)])


@pytest.mark.parametrize("engine", ENGINES)
def test_what_a_stream_makes_is_checked(engine):
    with pytest.raises(ShapeError, match=r"Stream: .*found \(5, 1\), limit \(5, 2\)"):
        emulate(convolution(), Stream(lambda samples: np.zeros((5, 1, *SHAPE), np.uint8), 2, 5), engine=engine)
    with pytest.raises(DataError, match="out of range"):
        emulate(convolution(), Stream(lambda samples: np.full((5, 2, *SHAPE), 3), 2, 5), engine=engine)


@pytest.mark.parametrize(("samples", "steps", "message"), [(0, 5, "no samples"), (2, 0, "no steps")])
def test_empty_streams_are_refused(samples, steps, message):
    with pytest.raises(DataError, match=message):
        emulate(convolution(), Stream(lambda _: np.zeros((1, 1, *SHAPE)), samples, steps))


def test_a_run_of_a_stream_has_at_least_one_step():
    with pytest.raises(UsageError, match="at least one step"):
        emulate(convolution(), Stream(lambda _: np.zeros((1, 1, *SHAPE)), 1, 1), steps=0)


def peak_bytes(engine, steps, samples):
    """The most that a run allocates when nothing is recorded and its inputs take no memory."""
    frame = (np.random.Generator(np.random.PCG64(1)).random(SHAPE) < 0.1).astype(np.uint8)
    stream = Stream(lambda some: np.broadcast_to(frame, (steps, some.stop - some.start, *SHAPE)), samples, steps)
    network = convolution()
    tracemalloc.start()
    try:
        emulate(network, stream, record=Recording(spikes=(), counts=()), engine=engine, batch=2)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("engine", ["fast", "numpy"])
def test_memory_grows_neither_with_steps_nor_with_samples(engine):
    peak_bytes(engine, 64, 4)  # what is imported at the first run
    short, long = peak_bytes(engine, 64, 4), peak_bytes(engine, 256, 12)
    assert long < 1.1 * short
    # All spikes of the long run, in bits, would be several times as much.
    assert 0.5 * long < 256 * 12 * (768 + 1568) / 8
