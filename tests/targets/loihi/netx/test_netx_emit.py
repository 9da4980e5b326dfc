"""The emitted folder: a file and a script that gives NetX what the file does not say."""

import ast

import numpy as np
import pytest

import nmdeploy as nm
from nmdeploy.network import Network, Population, Projection
from nmdeploy.synapses import Dense
from targets.loihi import TARGET
from targets.loihi.netx import read_net
from targets.loihi.neuron import LoihiLIFReset

WEIGHT = 2 * np.arange(-5, 7).reshape(3, 4)


@pytest.fixture
def deployment():
    populations = (Population("in", (4,)), Population("out", (3,), LoihiLIFReset(9, interval=12, offset=3)))
    made = Network("a net/of mine", populations, (Projection("in", "out", (Dense(WEIGHT),), 1, -1),))
    return nm.deploy(made, "loihi1")


def constants(script):
    """The values that a script assigns at its top."""
    found = {}
    for statement in ast.parse(script).body:
        if isinstance(statement, ast.Assign) and statement.targets[0].id != "NET":
            found[statement.targets[0].id] = ast.literal_eval(statement.value)
    return found


def test_the_folder(deployment, tmp_path):
    paths = TARGET.emitters()["net"](deployment, tmp_path / "new")
    assert [path.name for path in paths] == ["a_net_of_mine.net", "run.py"]
    assert all(path.is_file() for path in paths)
    script = paths[1].read_text(encoding="utf-8")
    assert constants(script) == {
        "INPUT_SHAPE": (4,),
        "VALUES": (0, 1),
        "LATENCY": 1,
        "ARGUMENTS": {"reset_interval": 12, "reset_offset": 2},
    }
    again = read_net(paths[0]).projections[0]
    np.testing.assert_array_equal(again.synapses[0].weight >> -again.exponent, WEIGHT // 2)


def test_inputs_that_drive_biases_take_no_step(driven, tmp_path):
    paths = TARGET.emitters()["net"](nm.deploy(driven, "loihi2"), tmp_path)
    script = paths[1].read_text(encoding="utf-8")
    assert constants(script)["LATENCY"] == 1
    assert constants(script)["VALUES"] == (0, 70)
    assert "bias_mant.init" in script


def test_the_target_reads_its_own_suffix():
    assert TARGET.readers() == {".net": read_net}
