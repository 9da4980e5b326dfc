"""The dense kernel at its limits: borders when several convolutions take turns, and sums beyond 16 bits."""

from unittest.mock import patch

import numpy as np
import pytest

from nmdeploy.emulator import dense
from nmdeploy.emulator.result import Recording
from nmdeploy.emulator.run import emulate
from nmdeploy.network import Network, Population, Projection
from nmdeploy.neurons import IF
from nmdeploy.synapses import Conv2d, SumPool2d

ONE = Conv2d(np.full((2, 2, 1, 1), 3))


@pytest.mark.parametrize("first", [(ONE,), (SumPool2d(1), ONE)])
def test_a_border_is_empty_whatever_ran_before(first, rng):
    branch = Conv2d(rng.integers(-60, 80, (2, 2, 3, 3)), padding=1)
    network = Network(
        "two branches",
        (Population("in", (2, 6, 6)), Population("out", (2, 6, 6), IF(150))),
        (Projection("in", "out", first), Projection("in", "out", (branch,))),
    )
    spikes = (rng.random((12, 3, 2, 6, 6)) < 0.9).astype(np.uint8)
    record = Recording(potentials=("out",))
    expected = emulate(network, spikes, record=record, engine="reference")
    with patch.object(dense, "_break_even", lambda *_: 0):  # the dense kernel, however small the image
        found = emulate(network, spikes, record=record)
    np.testing.assert_array_equal(found.potentials["out"], expected.potentials["out"])


def test_sums_beyond_16_bits_are_flushed_in_time():
    loud = Conv2d(np.full((8, 64, 3, 3), 127))  # 576 inputs of 127, which no 16-bit register holds
    network = Network(
        "loud",
        (Population("in", (64, 5, 4)), Population("out", (8, 3, 2), IF(10**6))),
        (Projection("in", "out", (loud,)),),
    )
    spikes = np.ones((3, 2, 64, 5, 4), np.uint8)
    record = Recording(potentials=("out",))
    with patch.object(dense, "_break_even", lambda *_: 0):
        found = emulate(network, spikes, record=record)
    np.testing.assert_array_equal(found.potentials["out"][:, 0, 0, 0, 0], 576 * 127 * np.arange(1, 4))


def test_windows_of_padding_alone_count_no_spikes():
    # The last window of each axis lies in the padding, behind one that is full of spikes.
    chain = (SumPool2d(1, 1, (0, 1, 0, 1)), Conv2d(np.full((3, 2, 2, 2), 5)))
    network = Network(
        "padded pool",
        (Population("in", (2, 3, 3)), Population("out", (3, 3, 3), IF(1000))),
        (Projection("in", "out", chain),),
    )
    spikes = np.ones((2, 1, 2, 3, 3), np.uint8)
    with patch.object(dense, "_break_even", lambda *_: 0):
        found = emulate(network, spikes)
    assert found.final_potentials["out"][0, 0].tolist() == [[80, 80, 40], [80, 80, 40], [40, 40, 20]]
