"""`nmdeploy convert MODEL.net`: from a file of lava-dl to a bundle that replays its vectors."""

import numpy as np
import pytest

import nmdeploy as nm
from nmdeploy.bundle import load, replay
from nmdeploy.cli.main import run
from nmdeploy.data import Samples
from nmdeploy.errors import UsageError
from nmdeploy.network import Network, Population, Projection
from nmdeploy.pipeline import Recipe
from nmdeploy.ready import encoder_of, measure_ready, place_ready
from nmdeploy.synapses import Dense
from targets.loihi.netx import write_net
from targets.loihi.neuron import LoihiLIF


@pytest.fixture
def model(tmp_path):
    """A network of which output k sums the inputs 2k and 2k + 1."""
    weight = 2 * np.kron(np.eye(3, dtype=int), [[20, 20]]) - 2
    populations = (Population("in", (6,)), Population("out", (3,), LoihiLIF(30)))
    network = Network("sums", populations, (Projection("in", "out", (Dense(weight),), 1, -1),))
    path = tmp_path / "sums.net"
    write_net(network, path)
    return path


@pytest.fixture
def data(tmp_path):
    labels = np.arange(30) % 3
    x = np.repeat(np.eye(3, dtype=np.float32)[labels], 2, axis=1) * 0.8
    np.savez(tmp_path / "data.npz", x=x, y=labels)
    return tmp_path / "data.npz"


def nmdeploy(*arguments):
    """The exit code of a command."""
    return run([str(each) for each in arguments])


def test_a_bundle_is_written_and_replays(model, tmp_path, capsys):
    out = tmp_path / "out.nmd"
    assert nmdeploy("convert", model, "--target", "loihi1", "-o", out, "--steps", 12) == 0
    assert "sums on loihi:loihi1" in capsys.readouterr().out
    deployment = load(out)
    assert (deployment.steps, deployment.network.outputs) == (12, ("layer1",))
    report = replay(deployment)
    assert report.passed
    assert report.steps == 13
    assert nmdeploy("test", out) == 0


def test_the_bundle_is_named_after_the_model(model, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert nmdeploy("convert", model) == 0
    assert load("sums.nmd").network.name == "sums"


def test_labelled_data_measure_the_chip(model, data, tmp_path):
    out = tmp_path / "out.nmd"
    assert nmdeploy("convert", model, "-o", out, "--data", data, "--steps", 16, "--test", 12) == 0
    accuracy = load(out).figures["accuracy.chip"]
    assert (accuracy["kind"], accuracy["correct"], accuracy["samples"]) == ("emulated", 12, 12)
    assert replay(load(out)).passed


def test_no_test_samples_no_figures(model, data, tmp_path):
    assert nmdeploy("convert", model, "-o", tmp_path / "out.nmd", "--data", data, "--test", 0) == 0
    assert not load(tmp_path / "out.nmd").figures


def test_a_model_that_is_not_there(tmp_path, capsys):
    assert nmdeploy("convert", tmp_path / "none.net") == 2
    assert "does not exist" in capsys.readouterr().err


def test_a_model_that_is_torn(model, capsys):
    model.write_bytes(model.read_bytes()[:900])
    assert nmdeploy("convert", model) == 2
    assert "sums.net: is torn or damaged" in capsys.readouterr().err


def test_other_models_still_need_data(capsys):
    assert nmdeploy("convert", "model.pt2") == 2
    assert "--data" in capsys.readouterr().err


def graded(low, high):
    populations = (Population("in", (2,), minimum=low, maximum=high), Population("out", (1,), LoihiLIF(3)))
    return Network("graded", populations, (Projection("in", "out", (Dense(np.array([[2, 4]])),), 1),))


def test_encoders_for_what_the_input_takes():
    recipe = Recipe(low=-1.0, high=2.0)
    assert encoder_of(graded(0, 1), recipe) == nm.coding.DeterministicRate(low=-1.0, high=2.0)
    assert encoder_of(graded(0, 200), recipe) == nm.coding.ConstantCurrent(low=-1.0, high=2.0, levels=200)
    assert encoder_of(graded(0, 256), recipe) is None
    assert encoder_of(graded(-1, 4), recipe) is None


def test_measuring_needs_labels_and_an_encoder():
    deployment = place_ready(graded(0, 300), nm.chip("loihi2"), Recipe(steps=4))
    assert deployment.vectors.inputs["in"].max() > 1
    samples = Samples(np.zeros((2, 2), dtype=np.float32), np.zeros(2, dtype=np.int64))
    with pytest.raises(UsageError, match="an encoder"):
        measure_ready(deployment, samples)
    with pytest.raises(UsageError, match="needs labels"):
        measure_ready(deployment, Samples(samples.x, None))
