"""Recipes on the command line: what they guarantee, and `auto`."""

import json

import numpy as np
import pytest

from nmdeploy.cli.main import run
from nmdeploy.convert.methods import METHODS

MODEL = """
import torch
from torch import nn

def net():
    torch.manual_seed(3)
    return nn.Sequential(nn.Flatten(), nn.Linear(16, 8), nn.ReLU(), nn.Linear(8, 3))
"""
AUTO = ["--recipe", "auto", "--steps", "7", "--readout", "potential"]


@pytest.fixture
def workplace(tmp_path, monkeypatch, rng):
    pytest.importorskip("torch")
    (tmp_path / "recipemodels.py").write_text(MODEL)
    x = rng.integers(0, 256, (120, 4, 4), dtype=np.uint8)
    np.savez(tmp_path / "data.npz", x=x, y=np.arange(120) % 3)
    np.savez(tmp_path / "unlabelled.npz", x=x)
    np.savez(tmp_path / "beyond.npz", x=x, y=np.arange(120) % 4)
    np.savez(tmp_path / "few.npz", x=x[:12], y=np.arange(12) % 3)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def convert(*options, data="data.npz"):
    return run(["convert", "recipemodels:net", "--data", data, "-o", "net.nmd", *options])


@pytest.mark.usefixtures("workplace")
class TestAuto:
    def test_the_table_is_printed_and_kept(self, capsys):
        assert convert(*AUTO, "--energy-weight", "0.5") == 0
        printed = capsys.readouterr().out
        assert "What the recipe auto chose from" in printed
        assert "Judged on 30 held-out calibration samples by their labels" in printed
        assert sum(line.endswith("taken") for line in printed.splitlines()) == 1
        assert run(["report", "net.nmd", "--format", "json"]) == 0
        kept = json.loads(capsys.readouterr().out)
        assert (kept["selection"]["budget"], kept["selection"]["energy_weight"]) == (7, 0.5)
        best = kept["selection"]["trials"][kept["selection"]["chosen"]]
        assert kept["provenance"]["recipe.method"] == json.dumps(best["method"])
        assert kept["provenance"]["auto"] == "steps=7, energy_weight=0.5"
        assert kept["conversion"]["recipe"] == best["method"]

    def test_data_without_labels_are_judged_by_agreement(self, capsys):
        assert convert(*AUTO, data="unlabelled.npz") == 0
        assert "by agreement with the trained network's decisions" in capsys.readouterr().out

    def test_labels_beyond_the_outputs(self, capsys):
        assert convert(*AUTO, data="beyond.npz") == 2
        assert "labels beyond the network's outputs (found 0..3, limit 0..2)" in capsys.readouterr().err

    def test_too_few_samples(self, capsys):
        assert convert(*AUTO, data="few.npz") == 2
        assert "calibration data: too few samples (found 6, limit 20)" in capsys.readouterr().err

    def test_an_energy_weight_for_another_recipe(self, capsys):
        assert convert("--energy-weight", "1") == 2
        assert "the energy weight goes with the recipe 'auto' only" in capsys.readouterr().err

    def test_a_negative_energy_weight(self, capsys):
        assert convert(*AUTO, "--energy-weight", "-1") == 2
        assert "--energy-weight" in capsys.readouterr().err

    def test_a_bundle_of_auto_maps_to_another_chip(self, capsys):
        assert convert(*AUTO) == 0
        assert run(["map", "net.nmd", "--target", "loihi2", "-o", "other.nmd"]) == 0
        assert run(["report", "other.nmd"]) == 0
        assert "What the recipe auto chose from" not in capsys.readouterr().out.rpartition("on loihi:loihi2")[2]


def test_help_says_what_each_recipe_does_and_guarantees(capsys):
    assert run(["convert", "--help"]) == 0
    shown = "".join(capsys.readouterr().out.split())
    for name, method in METHODS.items():
        for words in (method.title, f"{method.guarantee}."):
            assert f"{name}: {words}".replace(" ", "") in shown
