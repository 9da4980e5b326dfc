"""Faults of coverage, with the codes of the target that asks."""

from dataclasses import replace

import numpy as np
import pytest

from nmdeploy.coverage import coverage_faults, place_of
from nmdeploy.deployment import CoreLoad, Placement
from nmdeploy.network import Network, Population, Projection
from nmdeploy.neurons import IF
from nmdeploy.synapses import Dense
from nmdeploy.target import Chip, Figure, Status

CHIP = Chip("toy1", "Toy", {"cores": Figure(2, "cores", "a test", Status.ESTIMATE)})
NET = Network(
    "net",
    (Population("in", (2,)), Population("x", (4,), IF(1))),
    (Projection("in", "x", (Dense(np.ones((4, 2))),)),),
)


def load(core, neurons, population="x", chip=0):
    return CoreLoad(chip, core, population, np.array(neurons, dtype=np.int64), {})


SOUND = Placement("toy1", (load(0, [0, 1]), load(1, [2, 3])), {})


def codes(*loads):
    return [(each.code, each.where) for each in coverage_faults(NET, replace(SOUND, cores=loads), CHIP, "TOY")]


def test_a_sound_placement():
    assert coverage_faults(NET, SOUND, CHIP, "TOY") == []
    assert place_of(load(1, [2], chip=3)) == "chip 3, core 1"


@pytest.mark.parametrize(
    ("loads", "found"),
    [
        ((load(0, [0, 1, 2, 3]), load(1, [0], "y")), [("TOY030", "chip 0, core 1")]),
        ((load(0, [0, 1, 2, 3]), load(1, [0], "in")), [("TOY030", "chip 0, core 1"), ("TOY033", "in")]),
        ((load(0, [0, 1]), load(1, [3])), [("TOY031", "x")]),
        ((), [("TOY031", "x")]),
        ((load(0, [0, 1, 2]), load(1, [2, 3])), [("TOY032", "x")]),
        ((load(0, [0, 1, 2, 3, 4]),), [("TOY033", "x")]),
        ((load(0, [-1, 0, 1, 2, 3]),), [("TOY033", "x")]),
        ((load(0, [0, 1]), load(2, [2, 3])), [("TOY034", "chip 0, core 2")]),
        ((load(0, [0, 1]), load(0, [2, 3], chip=2)), [("TOY034", "chip 2, core 0")]),
    ],
)
def test_faults(loads, found):
    assert codes(*loads) == found


def test_inputs_that_lie_on_cores_too():
    without = coverage_faults(NET, SOUND, CHIP, "TOY", inputs=True)
    assert [(each.code, each.where) for each in without] == [("TOY031", "in")]
    everything = replace(SOUND, cores=(*SOUND.cores, load(1, [0, 1], "in")))
    assert coverage_faults(NET, everything, CHIP, "TOY", inputs=True) == []
