"""`--on`, and `nmdeploy emit`: what runs is told, and what is not there is one clear line."""

import numpy as np
import pytest

import nmdeploy as nm
from nmdeploy.backend import Availability, Backend
from nmdeploy.bundle import make_vectors
from nmdeploy.cli.main import run
from nmdeploy.coding import DeterministicRate, SpikeCount
from nmdeploy.errors import HardwareUnavailable
from nmdeploy.network import Network, Population, Projection
from nmdeploy.neurons import IF
from nmdeploy.registry import targets
from nmdeploy.synapses import Dense, Reshape


class ToyBackend(Backend):
    """The emulator under another name; `wrong` flips a spike."""

    name = "vendor"
    wrong = False

    def __init__(self, settings):
        self.settings = settings

    def availability(self):
        return Availability(True, "Toy 1.0")

    def run(self, deployment, inputs, *, steps=None, record=None, progress=None):
        if self.settings.board == "none":
            raise HardwareUnavailable("no such board", where="none")
        result = nm.emulate(deployment, inputs, steps=steps, record=record)
        object.__setattr__(result, "origin", f"run by Toy, limit {self.settings.limit_s:g} s")
        if self.wrong:
            result.spikes["class"][0, 0, 0] ^= 1
        if self.settings.board == "quiet":
            object.__setattr__(result, "synaptic_operations", {})
        return result


@pytest.fixture
def bundle(tmp_path, rng, monkeypatch):
    network = Network(
        "toy",
        (Population("image", (1, 3, 3)), Population("class", (2,), IF(40, reset="zero"))),
        (Projection("image", "class", (Reshape((9,)), Dense(rng.integers(-20, 40, (2, 9))))),),
    )
    made = nm.deploy(network, "loihi1", steps=8, encoder=DeterministicRate(), readout=SpikeCount())
    path = tmp_path / "toy.nmd"
    nm.save(make_vectors(made, (rng.random((8, 2, 1, 3, 3)) < 0.5).astype(np.uint8)), path)
    np.savez(tmp_path / "data.npz", x=rng.random((6, 1, 3, 3)), y=np.arange(6) % 2)
    monkeypatch.chdir(tmp_path)
    loihi = type(targets()["loihi"])
    monkeypatch.setattr(loihi, "backends", lambda _self, settings: {"vendor": ToyBackend(settings)})
    return path


def test_test_vectors_are_replayed_where_asked(bundle, capsys):
    assert run(["test", "toy.nmd"]) == 0
    assert "emulated" in capsys.readouterr().out
    assert run(["test", "toy.nmd", "--on", "vendor", "--limit", "5"]) == 0
    assert "run by Toy, limit 5 s: " in capsys.readouterr().out


def test_a_difference_exits_with_1(bundle, capsys, monkeypatch):
    monkeypatch.setattr(ToyBackend, "wrong", True)
    assert run(["test", "toy.nmd", "--on", "vendor"]) == 1
    captured = capsys.readouterr()
    assert "1 mismatches" in captured.out
    assert "step 0" in captured.out
    assert "run by Toy" in captured.err


def test_run_tells_what_ran(bundle, capsys):
    assert run(["run", "toy.nmd", "--data", "data.npz", "--on", "vendor", "--board", "quiet"]) == 0
    quiet = capsys.readouterr().out
    assert run(["run", "toy.nmd", "--data", "data.npz", "--on", "vendor"]) == 0
    printed = capsys.readouterr().out
    assert "run by Toy" in printed
    assert "vendor" in printed
    assert "synaptic operations (run by Toy" in printed
    assert "synaptic operations (run by Toy" not in quiet


def test_what_is_not_there(bundle, capsys):
    assert run(["test", "toy.nmd", "--on", "board"]) == 2
    assert "emulator, vendor" in capsys.readouterr().err
    assert run(["test", "toy.nmd", "--on", "vendor", "--board", "none"]) == 4
    assert "no such board" in capsys.readouterr().err
    assert run(["test", "toy.nmd", "--on", "vendor", "--vendor-python", "nowhere"]) == 2
    assert "nowhere" in capsys.readouterr().err


def test_emit_writes_a_form(bundle, capsys, tmp_path):
    assert run(["emit", "toy.nmd", "--out", "lava"]) == 0
    printed = capsys.readouterr().out
    assert "run.py" in printed
    assert "others: " in printed
    assert (tmp_path / "lava" / "arrays.npz").exists()
    assert run(["emit", "toy.nmd", "--out", "named", "--form", "lava"]) == 0
    assert "others" not in capsys.readouterr().out


def test_emit_overwrites_nothing(bundle, capsys, tmp_path):
    assert run(["emit", "toy.nmd", "--out", "."]) == 2
    assert "new or empty folder" in capsys.readouterr().err
    assert run(["emit", "toy.nmd", "--out", "data.npz"]) == 2
    (tmp_path / "empty").mkdir()
    assert run(["emit", "toy.nmd", "--out", "empty"]) == 0


def test_a_form_that_the_family_does_not_have(bundle, capsys):
    assert run(["emit", "toy.nmd", "--out", "out", "--form", "pynn"]) == 2
    error = capsys.readouterr().err
    assert "pynn" in error
    assert "lava" in error
