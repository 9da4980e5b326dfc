"""The encoder of samples one behind the other."""

import numpy as np
import pytest

from nmdeploy.coding import ENCODERS, DeterministicRate, Streamed
from nmdeploy.errors import DataError, UsageError

DRIVE = np.array([[0], [0], [1], [1]], dtype=np.uint8)
CLEAR = np.zeros((4, 2), np.uint8)
NAMES = ["clear", "in", "drive"]


@pytest.fixture
def streamed():
    """Samples of two input steps, every three steps; a clear neuron fires in steps 4 and 5 of each."""
    tail = np.array([[1, 0], [1, 0]], np.uint8)
    return Streamed(DeterministicRate(), "in", 2, {"drive": DRIVE, "clear": CLEAR}, 3, {"clear": tail})


def test_every_sample_has_its_spikes_a_period_later(streamed):
    samples = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    spikes = streamed.stream(NAMES, samples)
    assert list(spikes) == NAMES
    assert {name: each.shape for name, each in spikes.items()} == {
        "clear": (10, 1, 2),
        "in": (10, 1, 2),
        "drive": (10, 1, 1),
    }
    assert spikes["in"][:, 0].T.tolist() == [[1, 1, 0, 0, 0, 0, 1, 1, 0, 0], [0, 0, 0, 1, 1, 0, 1, 1, 0, 0]]
    assert spikes["drive"][:, 0].T.tolist() == [[0, 0, 1, 1, 0, 1, 1, 0, 1, 1]]
    assert spikes["clear"][:, 0].T.tolist() == [[0, 0, 0, 0, 1, 1, 0, 1, 1, 0], [0] * 10]


def test_a_single_sample_ends_before_the_tail(streamed):
    assert streamed.steps == 4
    spikes = streamed.inputs(NAMES, np.ones((2, 2)), 4)
    assert spikes["clear"].shape == (4, 2, 2)
    assert not spikes["clear"].any()
    alone = streamed.stream(NAMES, np.ones((1, 2)))
    for name in NAMES:
        np.testing.assert_array_equal(alone[name], spikes[name][:, :1])


def test_what_is_refused(streamed):
    with pytest.raises(UsageError, match="no samples"):
        streamed.stream(NAMES, np.ones((0, 2)))
    with pytest.raises(UsageError, match="for other inputs"):
        streamed.stream(["in"], np.ones((1, 2)))
    with pytest.raises(DataError):
        streamed.stream(NAMES, np.full((1, 2), 3.0))
    with pytest.raises(UsageError, match="period"):
        Streamed(DeterministicRate(), "in", 2, {"drive": DRIVE}, 0, {})
    with pytest.raises(UsageError, match=r"only clocks.*in"):
        Streamed(DeterministicRate(), "in", 2, {"drive": DRIVE}, 1, {"in": DRIVE})
    assert ENCODERS["Streamed"] is Streamed
