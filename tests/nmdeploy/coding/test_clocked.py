"""The encoder of networks that a clock drives beside their input."""

import numpy as np
import pytest

from nmdeploy.bundle.encoding import encode
from nmdeploy.coding import ENCODERS, Clocked, DeterministicRate
from nmdeploy.errors import DataError, UsageError

TRAIN = np.array([[0], [0], [1], [1], [0]], dtype=np.uint8)


@pytest.fixture
def clocked():
    return Clocked(DeterministicRate(), "in", 2, {"drive": TRAIN, "gate": 1 - TRAIN})


def test_the_input_comes_first_and_clocks_are_alike_for_every_sample(clocked):
    samples = np.array([[1.0, 0.5], [0.0, 1.0]])
    spikes = clocked.inputs(["gate", "in", "drive"], samples, 7)
    assert list(spikes) == ["gate", "in", "drive"]
    np.testing.assert_array_equal(spikes["in"][:2], DeterministicRate().encode(samples, 2))
    assert not spikes["in"][2:].any()
    for sample in range(2):
        np.testing.assert_array_equal(spikes["drive"][:5, sample], TRAIN)
        np.testing.assert_array_equal(spikes["gate"][:5, sample], 1 - TRAIN)
    assert not spikes["gate"][5:].any()
    assert {each.shape for each in spikes.values()} == {(7, 2, 2), (7, 2, 1)}
    assert clocked.steps == 5
    assert clocked.largest == 1


def test_other_inputs_are_refused(clocked):
    with pytest.raises(UsageError, match=r"for other inputs.*in, drive, gate"):
        clocked.inputs(["in"], np.ones((1, 2)), 5)


def test_a_run_is_not_cut_off(clocked):
    with pytest.raises(UsageError, match="the clocks need more steps"):
        clocked.inputs(["in", "drive", "gate"], np.ones((1, 2)), 4)


def test_samples_out_of_range_are_refused(clocked):
    with pytest.raises(DataError):
        clocked.encode(np.full((1, 2), 3.0), 5)


@pytest.mark.parametrize("clocks", [{"a": TRAIN, "b": TRAIN[:-1]}, {"a": TRAIN[:1]}])
def test_clocks_have_one_length(clocks):
    with pytest.raises(UsageError, match="one length"):
        Clocked(DeterministicRate(), "in", 2, clocks)


def test_without_clocks_it_is_its_encoder():
    alone = Clocked(DeterministicRate(), "in", 3, {})
    assert alone.steps == 3
    np.testing.assert_array_equal(alone.encode(np.ones((1, 2)), 3), np.ones((3, 1, 2)))


def test_it_can_be_stored(clocked):
    assert ENCODERS["Clocked"] is Clocked
    arrays = {}
    assert encode(clocked, "encoder", arrays)["encoder"]["kind"] == "DeterministicRate"
    assert len(arrays) == 2
