"""The commands from model to report, as a user types them."""

import json

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


@pytest.mark.parametrize("form", ["text", "markdown", "json"])
def test_report_forms(capsys, form):
    assert "loihi1" in printed(capsys, "report", "net.nmd", "--format", form).lower().replace(" ", "")
    printed(capsys, "report", "net.nmd", "--format", form, "-o", f"report.{form}")


def test_targets_lists_chips_with_sources(capsys):
    listing = printed(capsys, "targets", "--figures")
    assert "loihi:loihi1" in listing
    assert "Davies" in listing


def test_doctor_tells_what_is_there(capsys):
    listing = printed(capsys, "doctor")
    assert "numpy" in listing
    assert "loihi" in listing


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(capsys, command):
    assert command in printed(capsys, command, "--help")


def test_version(capsys):
    import nmdeploy

    assert nmdeploy.__version__ in printed(capsys, "--version")
