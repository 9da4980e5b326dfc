"""The demonstration on small data: what it writes, what it refuses."""

import numpy as np
import pytest

from nmdeploy.bundle import load, replay
from nmdeploy.cli.main import run
from nmdeploy.data import Samples
from nmdeploy.report.figures import accuracies


@pytest.fixture(autouse=True)
def libraries():
    pytest.importorskip("torch")
    pytest.importorskip("sklearn")


def test_digits_split_is_stratified_and_disjoint():
    from nmdeploy.demo.digits import load_digits

    train, test = load_digits(seed=1)
    assert (len(train), len(test)) == (1438, 359)
    np.testing.assert_allclose(np.bincount(test.y), np.bincount(train.y) / 4, atol=1)
    seen = {image.tobytes() for image in train.x}
    assert sum(image.tobytes() in seen for image in test.x) == 0
    assert 0 <= train.x.min() < train.x.max() == 1


def test_training_is_repeatable_and_learns(rng):
    from nmdeploy.demo.model import seeded_cnn, train

    labels = np.arange(80) % 4
    images = np.zeros((80, 1, 8, 8), np.float32)
    images[np.arange(80), 0, labels * 2] = 1
    images += rng.random(images.shape, dtype=np.float32) * 0.1
    models = [seeded_cnn(8, 4, seed=7) for _ in range(2)]
    for model in models:
        train(model, Samples(images, labels), epochs=8, seed=7)
        assert not model.training
    states = [model.state_dict() for model in models]
    for name, value in states[0].items():
        np.testing.assert_array_equal(value.numpy(), states[1][name].numpy())
    import torch

    with torch.no_grad():
        guesses = models[0](torch.from_numpy(images)).argmax(1).numpy()
    assert np.mean(guesses == labels) > 0.9


@pytest.mark.parametrize("side", [8, 28])
def test_the_network_grows_with_the_image(side):
    import torch

    from nmdeploy.demo.model import seeded_cnn

    with torch.no_grad():
        assert seeded_cnn(side, 10, 0).eval()(torch.zeros(2, 1, side, side)).shape == (2, 10)


def test_the_demo_writes_a_bundle_and_a_report_that_agree(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert run(["demo"]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith((tmp_path / "demo.txt").read_text()[:200])
    deployment = load(tmp_path / "demo.nmd")
    found = {accuracy.stage: accuracy for accuracy in accuracies(deployment.figures)}
    assert list(found) == ["ANN", "float SNN", "integer SNN", "chip"]
    assert all(accuracy.samples == 359 for accuracy in found.values())
    assert found["ANN"].value > 0.95
    assert found["chip"].value > 0.97
    assert replay(deployment).passed
    assert f"{found['chip'].correct}" in printed
    assert "neurons have reset to zero: the only one of loihi1/chip" in printed
    assert "calibrated for loihi1/chip and 16 steps on 200 samples" in printed
    assert "never spikes" not in printed  # the output's potential is read


def test_the_demo_on_a_users_images(tmp_path, monkeypatch, rng, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("nmdeploy.demo.run.IMAGES_SEEN", 200)
    arrays = {}
    for part, count in (("train", 60), ("test", 30)):
        arrays[f"x_{part}"] = rng.integers(0, 256, (count, 16, 16), dtype=np.uint8)
        arrays[f"y_{part}"] = np.arange(count) % 3
    np.savez("images.npz", **arrays)
    assert run(["demo", "--data", "images.npz", "--steps", "4", "--out", "images.nmd"]) == 0
    assert "images.npz, test part" in capsys.readouterr().out


@pytest.mark.parametrize("x", [np.zeros((9, 6, 5)), np.zeros((9, 3, 8, 8)), np.zeros((9, 3, 3)), np.zeros((9, 7))])
def test_images_that_the_demo_cannot_take(tmp_path, x, capsys):
    np.savez(tmp_path / "odd.npz", x=x, y=np.arange(9) % 3)
    assert run(["demo", "--data", str(tmp_path / "odd.npz")]) == 2
    assert "square one-channel images" in capsys.readouterr().err
