from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from nmdeploy.emulator.run import emulate
from nmdeploy.emulator.timings import Timings
from nmdeploy.network import Network, Population, Projection
from nmdeploy.neurons import IF
from nmdeploy.synapses import Dense


@pytest.mark.parametrize("engine", ["fast", "numpy"])
def test_every_population_has_its_seconds(engine):
    populations = (Population("in", (4,)), Population("mid", (4,), IF(1)), Population("out", (2,), IF(5)))
    chain = (Projection("in", "mid"), Projection("mid", "out", (Dense(np.ones((2, 4), np.int8)),)))
    network = Network("chain", populations, chain)
    spikes = np.ones((6, 3, 4), np.uint8)
    timings = Timings()
    timed = emulate(network, spikes, engine=engine, timings=timings)
    np.testing.assert_array_equal(timed.spikes["out"], emulate(network, spikes, engine=engine).spikes["out"])
    assert set(timings.seconds) == {"in", "mid", "out"}
    assert all(seconds > 0 for seconds in timings.seconds.values())
    for name in ("mid", "out"):
        assert sum(timings.kernels[name].values()) == 6 * 3
    first = dict(timings.seconds)
    emulate(network, spikes, engine=engine, timings=timings)
    assert all(timings.seconds[name] > seconds for name, seconds in first.items())
    assert sum(timings.kernels["out"].values()) == 2 * 6 * 3


def test_a_silent_block_is_told_by_the_numpy_engine():
    network = Network("one", (Population("in", (2,)), Population("out", (2,), IF(1))), (Projection("in", "out"),))
    timings = Timings()
    emulate(network, np.zeros((5, 1, 2), np.uint8), engine="numpy", timings=timings)
    assert timings.kernels["out"] == {"silent": 5}


def test_threads_may_add_at_the_same_time():
    timings = Timings()
    with ThreadPoolExecutor(4) as pool:
        for _ in range(400):
            pool.submit(timings.add, "a", 1.0)
            pool.submit(timings.add_kernels, "a", {"event": 1})
    assert timings.seconds["a"] == 400
    assert timings.kernels["a"]["event"] == 400
