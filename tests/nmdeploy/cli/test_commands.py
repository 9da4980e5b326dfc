"""The commands from model to report, as a user types them."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from nmdeploy.cli.main import COMMANDS, run

MODEL = """
import torch
from torch import nn

def net():
    torch.manual_seed(3)
    return nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(64, 3))
"""


@pytest.fixture(scope="module")
def workplace(tmp_path_factory):
    torch = pytest.importorskip("torch")
    folder = tmp_path_factory.mktemp("cli")
    (folder / "commandmodels.py").write_text(MODEL)
    generator = np.random.Generator(np.random.PCG64(5))
    x = generator.integers(0, 256, (60, 8, 8), dtype=np.uint8)
    np.savez(folder / "data.npz", x_train=x[:20], y_train=np.arange(20) % 3, x_test=x[20:], y_test=np.arange(40) % 3)
    names: dict[str, object] = {}
    exec(MODEL, names)
    model = names["net"]()  # type: ignore[operator]
    torch.save(model.state_dict(), folder / "net.pt")
    torch.export.save(torch.export.export(model.eval(), (torch.zeros(2, 1, 8, 8),)), folder / "net.pt2")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.syspath_prepend(str(folder))
        state = ["--state", "net.pt"]
        assert (
            run(["convert", "commandmodels:net", *state, "--data", "data.npz", "--steps", "16", "-o", "net.nmd"]) == 0
        )
    return folder


@pytest.fixture(autouse=True)
def here(workplace, monkeypatch):
    monkeypatch.chdir(workplace)
    monkeypatch.syspath_prepend(str(workplace))


def printed(capsys, *arguments):
    capsys.readouterr()
    assert run(list(arguments)) == 0
    return capsys.readouterr().out


def test_run_prints_the_accuracy_that_the_report_has(capsys):
    data = ("--data", "data.npz")
    answer = printed(capsys, "run", "net.nmd", *data, "-o", "answers.npz")
    report = json.loads(printed(capsys, "report", "net.nmd", "--format", "json"))
    with np.load("answers.npz") as answers, np.load("data.npz") as given:
        right = int(np.sum((answers["labels"] == given["y_test"]) & ~answers["tied"]))
    assert f"({right} of 40" in answer
    assert "emulated" in answer
    chip = next(row for row in report["accuracy"] if row["stage"] == "chip")
    assert (chip["correct"], chip["samples"]) == (right, 40)


def test_the_cost_is_in_the_report_and_in_a_line_of_run(capsys):
    cost = json.loads(printed(capsys, "report", "net.nmd", "--format", "json"))["cost"]
    assert (cost["kind"], cost["samples"], cost["chip"]) == ("modelled", 32, "loihi1")
    assert 0 < cost["energy_J"]["least"] <= cost["energy_J"]["most"]
    report = printed(capsys, "report", "net.nmd")
    assert "Cost of one inference (modelled from emulated events)" in report
    assert "Energy-delay product" in report
    lines = [line for line in printed(capsys, "run", "net.nmd", "--data", "data.npz").splitlines() if "cost" in line]
    assert len(lines) == 1
    assert re.fullmatch(
        r"cost per inference: [\d.]+ to [\d.]+ uJ, [\d.]+ to [\d.]+ us "
        r"\(modelled from 32 samples; coefficients: pre-silicon, estimate\)",
        lines[0],
    )


def test_run_counts_the_cost_in_its_own_run(capsys, monkeypatch):
    told = printed(capsys, "run", "net.nmd", "--data", "data.npz")
    with monkeypatch.context() as patched:
        patched.setattr("nmdeploy.cost.modelled_cost", None)  # another emulation would fail
        assert printed(capsys, "run", "net.nmd", "--data", "data.npz") == told
    assert "cost per inference" in told


def test_an_exported_program_makes_the_same_network(capsys):
    printed(capsys, "convert", "net.pt2", "--data", "data.npz", "--steps", "16", "-o", "again.nmd")
    from nmdeploy.bundle import load

    first, again = load("net.nmd"), load("again.nmd")
    assert [p.shape for p in first.network.populations] == [p.shape for p in again.network.populations]
    for one, other in zip(first.network.projections, again.network.projections, strict=True):
        for left, right in zip(one.synapses, other.synapses, strict=True):
            assert left == right


def test_the_bundle_replays_its_own_vectors(capsys):
    assert ", 0 mismatches" in printed(capsys, "test", "net.nmd")


def test_map_shows_cores_and_maps_again(capsys):
    assert "cores" in printed(capsys, "map", "net.nmd")
    assert "written: two.nmd" in printed(capsys, "map", "net.nmd", "--target", "loihi2", "-o", "two.nmd")
    assert "loihi:loihi2" in printed(capsys, "report", "two.nmd")


def test_map_says_how_far_it_is_from_the_least_and_how_few_chips_do(capsys):
    shown = printed(capsys, "map", "net.nmd", "--smallest", "-o", "small.nmd")
    assert "smallest number of chips found: 1" in shown
    assert "No placement takes fewer than 1 (proven in the model of the chip): optimality gap at most 0.0 %." in shown
    assert printed(capsys, "map", "net.nmd", "--chips", "2") == printed(capsys, "map", "small.nmd")
    assert "8,192" in printed(capsys, "map", "net.nmd", "--target", "loihi2", "--chips", "2")  # its compartments


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--chips", "2", "--smallest"], "--chips and --smallest exclude each other"),
        (["--chips", "0"], "0 is not in the range"),
        (["-o", "x.nmd"], "ask for one with --target, --chips, --mapper or --smallest"),
    ],
)
def test_map_refuses_options_that_make_no_sense(capsys, options, message):
    assert run(["map", "net.nmd", *options]) == 2
    assert message in capsys.readouterr().err


def test_map_by_another_mapper(capsys):
    printed(capsys, "map", "net.nmd", "--target", "speck2f/leak", "-o", "speck.nmd")
    printed(capsys, "map", "speck.nmd", "--mapper", "sinabs", "-o", "theirs.nmd")
    assert "mapper" in printed(capsys, "report", "theirs.nmd")
    from nmdeploy.bundle import load

    cores = {name: [each.core for each in load(name).placement.cores] for name in ("speck.nmd", "theirs.nmd")}
    assert cores["theirs.nmd"][0] == 0 < cores["speck.nmd"][0]
    assert run(["map", "net.nmd", "--mapper", "sinabs"]) == 2
    assert "the target has no such mapper" in capsys.readouterr().err


def test_energies_of_the_user_are_for_chips_without_published_ones(capsys):
    assert run(["report", "net.nmd", "--pj-per-operation", "5"]) == 2
    assert "published, and counted already" in capsys.readouterr().err
    assert run(["report", "net.nmd", "--static-mw", "5"]) == 2
    assert "--static-mw needs --pj-per-operation" in capsys.readouterr().err
    printed(capsys, "map", "net.nmd", "--target", "loihi2", "-o", "unmeasured.nmd")
    assert run(["report", "unmeasured.nmd", "--pj-per-operation", "5"]) == 2
    assert "the bundle holds no counted events" in capsys.readouterr().err
    printed(capsys, "convert", "net.pt2", "--data", "data.npz", "--steps", "4", "--target", "loihi2", "-o", "two.nmd")
    assert "Energy: " not in printed(capsys, "report", "two.nmd")
    assert "Energy: " in printed(capsys, "report", "two.nmd", "--pj-per-operation", "5")


@pytest.mark.parametrize("form", ["text", "markdown", "json"])
def test_report_forms(capsys, form):
    assert "loihi1" in printed(capsys, "report", "net.nmd", "--format", form).lower().replace(" ", "")
    printed(capsys, "report", "net.nmd", "--format", form, "-o", f"report.{form}")


def test_convert_calibrates_for_the_chip(capsys):
    given = ("convert", "net.pt2", "--data", "data.npz", "--steps", "8", "-o", "calibrated.nmd")
    report = printed(capsys, *given, "--recipe", "rate-calibrated")
    assert "calibrated for loihi1/chip and 8 steps on 20 samples" in report
    assert "calibration data: 20 samples only" in report
    assert ", 0 mismatches" in printed(capsys, "test", "calibrated.nmd")


def test_convert_takes_the_reset_that_the_chip_does_best(capsys):
    from nmdeploy.bundle import load

    given = ("convert", "net.pt2", "--data", "data.npz", "--steps", "8", "-o", "reset.nmd")
    report = printed(capsys, *given, "--target", "loihi1/subtract")
    assert "neurons have reset by subtraction: the best that loihi1/subtract can do" in report
    bundle = load(Path("reset.nmd"))
    assert (bundle.profile.name, bundle.provenance["reset"]) == ("loihi/subtract", "subtract")
    report = printed(capsys, *given, "--target", "loihi1/subtract", "--reset", "zero")
    assert "neurons have reset" not in report
    assert load(Path("reset.nmd")).provenance["reset"] == "zero"
    report = printed(capsys, *given, "--reset", "subtract")
    assert "LOI101" in report
    assert "deploy on loihi1/subtract" in report


def test_convert_takes_scales_per_channel_when_asked(capsys):
    from nmdeploy.bundle import load

    given = ("convert", "net.pt2", "--data", "data.npz", "--steps", "8", "-o", "scales.nmd")
    thresholds = []
    for option in ((), ("--per-layer",), ("--per-channel",)):
        printed(capsys, *given, *option)
        neurons = [population.neuron for population in load(Path("scales.nmd")).network.populations]
        thresholds.append([np.size(neuron.vth) for neuron in neurons if neuron is not None])
    assert thresholds == [[1, 1], [1, 1], [4, 3]]


def test_a_profile_that_the_chip_has_not(capsys):
    assert run(["convert", "net.pt2", "--data", "data.npz", "--target", "loihi1/soft"]) == 2
    assert "no such profile (found 'soft', limit chip, subtract)" in capsys.readouterr().err


def test_a_scale_that_the_chip_has_not(capsys):
    assert run(["convert", "net.pt2", "--data", "data.npz", "--scale", "magic"]) == 2
    assert "unknown scale for loihi1/chip (found 'magic', limit max, percentile, mse, " in capsys.readouterr().err


def test_targets_lists_chips_with_sources(capsys):
    listing = printed(capsys, "targets", "--figures")
    assert "loihi:loihi1" in listing
    assert "chip, subtract" in listing
    assert "Davies" in listing


def test_doctor_tells_what_is_there(capsys):
    listing = printed(capsys, "doctor")
    assert "numpy" in listing
    assert "compiled kernels: " in listing
    places = [line.split()[:3] for line in listing.splitlines() if line.startswith("loihi ")]
    assert [place[:2] for place in places] == [["loihi", "vendor"], ["loihi", "board"]]
    assert all(place[2] in ("yes", "no") for place in places)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(capsys, command):
    assert command in printed(capsys, command, "--help")


def test_version(capsys):
    import nmdeploy

    assert nmdeploy.__version__ in printed(capsys, "--version")
