"""What a user can get wrong on the command line: one clear line each, and the right exit code."""

import h5py
import numpy as np
import pytest

from nmdeploy.cli.main import run

MODELS = """
import torch
from torch import nn

class NotAModule:
    pass

def good():
    torch.manual_seed(1)
    return nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(64, 3))

def nan_weights():
    model = good()
    with torch.no_grad():
        model[0].weight[0, 0, 0, 0] = float("nan")
    return model

def huge():
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 200000), nn.ReLU(), nn.Linear(200000, 3))

def silent():
    model = good()
    with torch.no_grad():
        model[0].bias[:] = -100.0
    return model

def sigmoid():
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 8), nn.Sigmoid(), nn.Linear(8, 3))
"""


@pytest.fixture
def workplace(tmp_path, monkeypatch, rng):
    pytest.importorskip("torch")
    (tmp_path / "usermodels.py").write_text(MODELS)
    x = rng.integers(0, 256, (60, 8, 8), dtype=np.uint8)
    np.savez(tmp_path / "data.npz", x=x, y=np.arange(60) % 3)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


@pytest.fixture
def bundle(workplace):
    assert run(["convert", "usermodels:good", "--data", "data.npz", "--steps", "8", "-o", "good.nmd"]) == 0
    return workplace / "good.nmd"


def fails(capsys, arguments, code, *words):
    capsys.readouterr()
    assert run(arguments) == code
    error = capsys.readouterr().err
    assert "Traceback" not in error
    for word in words:
        assert word in error
    return error


def convert(model, *more):
    return ["convert", model, "--data", "data.npz", "--steps", "8", *more]


@pytest.mark.usefixtures("workplace")
class TestConvert:
    def test_weights_that_are_nan(self, capsys):
        fails(capsys, convert("usermodels:nan_weights"), 2, "NaN")

    def test_samples_of_another_shape_than_the_model(self, capsys, workplace):
        np.savez(workplace / "wide.npz", x=np.zeros((5, 11, 11)), y=np.zeros(5, int))
        fails(capsys, ["convert", "usermodels:good", "--data", "wide.npz"], 2, "good", "shape", "11, 11")

    def test_a_shape_that_is_none(self, capsys):
        fails(capsys, convert("usermodels:good", "--shape", "8by8"), 2, "8by8", "1x28x28")

    def test_an_empty_calibration_set(self, capsys, workplace):
        np.savez(workplace / "empty.npz", x=np.zeros((0, 8, 8)), y=np.zeros(0, int))
        fails(capsys, ["convert", "usermodels:good", "--data", "empty.npz"], 2, "empty.npz", "no samples")

    def test_inputs_outside_their_range(self, capsys, workplace):
        np.savez(workplace / "range.npz", x=np.full((5, 8, 8), 3.5), y=np.zeros(5, int))
        fails(capsys, ["convert", "usermodels:good", "--data", "range.npz"], 2, "3.5")

    def test_an_unknown_target(self, capsys):
        fails(capsys, convert("usermodels:good", "--target", "loihi9"), 2, "loihi9", "loihi1", "nmdeploy targets")

    def test_a_layer_that_fits_no_core(self, capsys):
        error = fails(capsys, convert("usermodels:huge"), 3, "LOI", "does not fit")
        assert "limit" in error

    def test_an_operation_that_spikes_cannot_compute(self, capsys):
        fails(capsys, convert("usermodels:sigmoid"), 2, "sigmoid", "ReLU")

    @pytest.mark.parametrize(
        ("model", "words"),
        [
            ("usermodels:missing", "missing"),
            ("nosuchmodule:model", "nosuchmodule"),
            ("usermodels", "package.module:factory"),
            ("usermodels:NotAModule", "Module"),
        ],
    )
    def test_a_model_that_cannot_be_made(self, capsys, model, words):
        fails(capsys, convert(model), 2, words)

    def test_a_layer_that_never_spikes_is_named_in_the_report(self, capsys):
        assert run(convert("usermodels:silent")) == 0
        printed = capsys.readouterr().out
        assert "never" in printed

    def test_a_missing_data_file(self, capsys):
        fails(capsys, ["convert", "usermodels:good", "--data", "nowhere.npz"], 2, "nowhere.npz")


class TestBundle:
    def test_a_torn_bundle(self, bundle, capsys):
        bundle.write_bytes(bundle.read_bytes()[:-500])
        fails(capsys, ["report", str(bundle)], 2, "good.nmd")

    def test_a_foreign_file(self, workplace, capsys):
        with h5py.File(workplace / "other.nmd", "w") as file:
            file["weights"] = np.zeros(3)
        fails(capsys, ["report", "other.nmd"], 2, "other.nmd")
        (workplace / "text.nmd").write_text("hello")
        fails(capsys, ["report", "text.nmd"], 2, "text.nmd")

    def test_a_bundle_that_declares_a_huge_array(self, bundle, capsys):
        with h5py.File(bundle, "r+") as file:
            file.create_dataset("network/huge", shape=(1 << 40,), dtype="f8")
        fails(capsys, ["report", str(bundle)], 2, "good.nmd")

    def test_data_of_the_wrong_shape(self, bundle, workplace, capsys):
        np.savez(workplace / "wide.npz", x=np.zeros((5, 9, 9)))
        fails(capsys, ["run", str(bundle), "--data", "wide.npz"], 2, "shape", "9, 9")

    @pytest.mark.parametrize("command", ["report", "run"])
    def test_writing_where_there_is_no_folder(self, bundle, capsys, command):
        more = ["--data", "data.npz"] if command == "run" else []
        fails(capsys, [command, str(bundle), *more, "-o", "nowhere/answer"], 2, "nowhere/answer", "cannot be written")

    def test_remapping_to_an_unknown_chip(self, bundle, capsys):
        fails(capsys, ["map", str(bundle), "--target", "abacus"], 2, "abacus")

    def test_writing_without_a_target(self, bundle, capsys):
        fails(capsys, ["map", str(bundle), "--out", "x.nmd"], 2, "--target")


def test_conformance_of_an_unknown_target(capsys, tmp_path):
    fails(capsys, ["conformance", "abacus", str(tmp_path)], 2, "abacus")


def test_conformance_without_files(capsys, tmp_path):
    fails(capsys, ["conformance", "loihi", str(tmp_path)], 2, "no .npz files")
    fails(capsys, ["conformance", "loihi", str(tmp_path / "nowhere")], 2, "nowhere")


def test_an_unknown_command(capsys):
    fails(capsys, ["dance"], 2, "dance")
