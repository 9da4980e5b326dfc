"""`nmdeploy bench` on a small bundle; no figure is asserted, only what is told."""

import json

import pytest

from nmdeploy.bundle import save
from nmdeploy.cli.main import run

QUICK = ["--images", "3", "--repeats", "2"]


@pytest.fixture
def bundle(deployment, tmp_path):
    path = tmp_path / "small.nmd"
    save(deployment, path)
    return str(path)


def test_the_table(bundle, capsys):
    assert run(["bench", bundle, *QUICK]) == 0
    printed = capsys.readouterr().out
    assert "5 test vectors, repeated" in printed
    assert "output spikes equal the test vectors'" in printed
    assert "n = 2 runs" in printed


def test_json(bundle, capsys):
    assert run(["bench", bundle, *QUICK, "--engine", "numpy", "--rate", "0.2", "--steps", "4", "--json"]) == 0
    plain = json.loads(capsys.readouterr().out)
    assert plain["origin"] == "emulated (numpy engine)"
    assert plain["images"] == 3
    assert len(plain["speed"]["wall_seconds"]) == 2
    assert "20.00%" in plain["inputs"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--images", "0"], "--images"),
        (["--rate", "1.5"], "--rate"),
        (["--engine", "steam"], "steam"),
        (["--threads", "0"], "--threads"),
    ],
)
def test_what_makes_no_sense(bundle, capsys, arguments, words):
    assert run(["bench", bundle, *arguments]) == 2
    error = capsys.readouterr().err
    assert words in error
    assert "Traceback" not in error


def test_a_bundle_that_is_none(tmp_path, capsys):
    (tmp_path / "x.nmd").write_text("hello")
    assert run(["bench", str(tmp_path / "x.nmd")]) == 2
    assert "x.nmd" in capsys.readouterr().err


def test_a_bundle_that_tells_nothing_of_its_inputs(deployment, tmp_path, capsys):
    path = tmp_path / "bare.nmd"
    save(deployment.with_(vectors=None, figures={}), path, vectors=False)
    assert run(["bench", str(path)]) == 2
    assert "--rate" in capsys.readouterr().err
