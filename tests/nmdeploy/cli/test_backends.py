"""`--on`, and `nmdeploy emit`: what runs is told, and what is not there is one clear line."""

from dataclasses import replace

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
from nmdeploy.target import VendorMap, Violation


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
    assert run(["test", "toy.nmd", "--on", "emulator"]) == 0
    assert "toy.nmd: PASSED on emulator: nmdeploy's emulator" in capsys.readouterr().out
    assert run(["test", "toy.nmd", "--on", "vendor", "--limit", "5"]) == 0
    assert "run by Toy, limit 5 s: " in capsys.readouterr().out
    assert run(["test", "toy.nmd"]) == 0
    best = capsys.readouterr().out
    assert "PASSED on vendor: Toy 1.0" in best
    assert "not used: board: the chip family 'loihi' has none" in best


def test_a_difference_exits_with_1(bundle, capsys, monkeypatch):
    monkeypatch.setattr(ToyBackend, "wrong", True)
    assert run(["test", "toy.nmd", "--on", "vendor"]) == 1
    captured = capsys.readouterr()
    assert "1 mismatches" in captured.out
    assert "step 0" in captured.out
    assert "toy.nmd: test vectors are not met on vendor: Toy 1.0" in captured.err
    assert "class: spikes of neuron (0,) differs first at step 0" in captured.out


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
    assert run(["test", "toy.nmd", "--require-hardware"]) == 4
    assert "board: the chip family 'loihi' has none" in capsys.readouterr().err
    assert run(["test", "toy.nmd", "--require-hardware", "--on", "emulator"]) == 2
    assert "hardware is required" in capsys.readouterr().err
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


@pytest.fixture
def mapped(bundle, monkeypatch):
    """A bundle whose chip family has a mapper of the vendor's, which finds as many differences as asked for."""
    differences = []

    def vendor_map(_self, deployment, settings):
        return VendorMap(f"Toy mapper of {settings.python}", (("cores", 3.0, "cores"),), 77, tuple(differences))

    monkeypatch.setattr(type(targets()["loihi"]), "vendor_map", vendor_map)
    return differences


def test_map_tells_what_the_vendors_mapper_makes_of_it(mapped, capsys):
    assert run(["map", "toy.nmd", "--vendor"]) == 0
    printed = capsys.readouterr().out
    assert "Toy mapper of None; nothing has run" in printed
    assert "77 words that would be loaded, compared with ours: 0 differences" in printed
    assert run(["map", "toy.nmd"]) == 0
    assert "Toy" not in capsys.readouterr().out


def test_a_difference_to_the_vendors_mapper_exits_with_1(mapped, capsys, tmp_path):
    mapped.append(Violation("TOY001", "class", "another weight", 3, 4))
    python = tmp_path / "python"
    python.touch()
    assert run(["map", "toy.nmd", "--vendor-python", str(python)]) == 1
    captured = capsys.readouterr()
    assert f"Toy mapper of {python}" in captured.out
    assert "TOY001 error: class: another weight (found 3, limit 4)" in captured.out
    assert "would load something else" in captured.err


def test_a_family_without_a_vendors_mapper(bundle, capsys):
    assert run(["map", "toy.nmd", "--vendor"]) == 2
    assert "has no mapper of the vendor's" in capsys.readouterr().err


def test_what_a_run_reported_is_told(bundle, capsys, monkeypatch):
    ran = ToyBackend.run

    def reporting(self, *given, **options):
        return replace(ran(self, *given, **options), remarks=("2 packets were late",))

    monkeypatch.setattr(ToyBackend, "run", reporting)
    assert run(["run", "toy.nmd", "--data", "data.npz", "--on", "vendor"]) == 0
    assert "reported: 2 packets were late" in capsys.readouterr().out
    assert run(["test", "toy.nmd", "--on", "vendor"]) == 0
    assert "reported: 2 packets were late" in capsys.readouterr().out


def test_why_a_family_has_no_such_place_is_told(bundle, capsys, monkeypatch):
    monkeypatch.setattr(type(targets()["loihi"]), "without", {"board": "boards are made of wood"})
    assert run(["test", "toy.nmd", "--on", "board"]) == 2
    assert "boards are made of wood" in capsys.readouterr().err
