"""Every benchmark runs, in its smallest form, so that it does not rot."""

import json

import pytest

SMALL = ["--images", "2", "--steps", "5", "--repeats", "1"]


@pytest.mark.parametrize("network", ["dense", pytest.param("vgg", marks=pytest.mark.slow)])
def test_beside_other_simulators(network, capsys, tmp_path):
    from benchmarks.emulator import main

    path = tmp_path / "times.json"
    main(["--network", network, *SMALL, "--activities", "0.1", "--threads", "1", "--json", str(path)])
    printed = capsys.readouterr().out
    assert "output spikes equal in all columns" in printed
    assert "nmdeploy" in printed
    (outcome,) = json.loads(path.read_text())["outcomes"]
    assert outcome["operations"] > 0
    assert 0.03 < outcome["rates"]["layer1"] < 0.3
    assert all(len(times["cpu"]) == 1 for times in outcome["times"].values())


@pytest.mark.shared
def test_the_trained_network(shared_data, capsys):
    pytest.importorskip("torch")
    from benchmarks.emulator import main

    main(["--data", str(shared_data), *SMALL, "--activities", "--threads"])
    printed = capsys.readouterr().out
    assert "trained" in printed
    assert "torch" in printed


def test_a_peer_that_is_not_installed_is_named(capsys, monkeypatch):
    from benchmarks import emulator, peers

    real = peers.import_module

    def without_torch(name):
        if name == "torch":
            raise ImportError("No module named 'torch'")
        return real(name)

    monkeypatch.setattr(peers, "import_module", without_torch)
    emulator.main(["--network", "dense", *SMALL, "--activities", "0.1", "--threads"])
    assert "torch is not installed, left out" in capsys.readouterr().out


def test_scaling_draws_a_picture(tmp_path, capsys):
    pytest.importorskip("matplotlib")
    from benchmarks.scaling import main

    main(["--out", str(tmp_path / "new"), "--data", str(tmp_path), *SMALL, "--points", "1"])
    assert "scaling.png" in capsys.readouterr().out
    assert (tmp_path / "new" / "scaling.png").read_bytes().startswith(b"\x89PNG")
    curves = json.loads((tmp_path / "new" / "scaling.json").read_text())["curves"]
    assert [len(curve["x"]) for curve in curves] == [1, 1, 1, 1]
    assert all(value > 0 for curve in curves for line in curve["milliseconds"].values() for value in line)
    assert set(curves[3]["milliseconds"]) >= {"ours", "bound"}


def test_startup(capsys):
    from benchmarks.startup import main

    main(["--repeats", "1"])
    printed = capsys.readouterr().out
    assert "import nmdeploy" in printed
    assert "first emulation" in printed


@pytest.mark.filterwarnings("ignore::Warning:networkx", "ignore::Warning:lava", "ignore::ImportWarning")
def test_beside_lava(capsys):
    pytest.importorskip("lava", reason="lava-nc 0.10.0 is installed on Python 3.10 only")
    from benchmarks.beside_lava import main

    main(["--steps", "12", "--samples", "2", "--repeats", "1"])
    printed = capsys.readouterr().out
    assert "spikes equal" in printed
    assert "784-256-10" in printed


def test_lava_needs_more_steps_than_warm_it_up(capsys):
    from benchmarks.beside_lava import parse

    with pytest.raises(SystemExit):
        parse(["--steps", "5"])
    assert "--steps must be above 5" in capsys.readouterr().err
