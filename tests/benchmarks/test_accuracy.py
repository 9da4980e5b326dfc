"""The accuracy benchmark runs, in its smallest form, and what its recipes promise."""

import json

import numpy as np
import pytest

from nmdeploy.data import Samples


@pytest.fixture
def figures(shared_data, tmp_path):
    """Runs the benchmark on few images and gives its rows."""
    pytest.importorskip("torch")

    def run(*options, images="50"):
        from benchmarks.accuracy import main

        path = tmp_path / "accuracy.json"
        small = ["--images", images, "--calibration", "60", "--data", str(shared_data), "--json", str(path)]
        main([*small, *options])
        return json.loads(path.read_text())

    return run


@pytest.mark.shared
def test_every_recipe_on_two_chips_in_one_table(figures, capsys):
    found = figures("--networks", "A", "--steps", "4", "--levels", "8", "--targets", "loihi1", "spinnaker")
    assert "50 test images (4 to 6 of each class)" in capsys.readouterr().out
    recipes = ["rate, counts", "rate, potentials", "rate-calibrated", "exact"]
    assert [each["recipe"] for each in found] == ["ANN", *recipes, *recipes]
    assert [each["chip"] for each in found] == ["-", *["loihi1/chip"] * 4, *["spin5/chip"] * 4]
    assert [each["kind"] for each in found] == ["measured"] + ["emulated"] * 8
    assert all(float(each["accuracy %"]) > 50 for each in found if each["recipe"] in ("ANN", "rate-calibrated"))
    exact = [each for each in found if each["recipe"] == "exact"]
    assert all((each["L"], each["T"], each["mismatches"]) == ("8", "16", "0") for each in exact)
    assert all(float(each["accuracy %"]) > 90 for each in exact)
    assert all(each["mismatches"] == "-" for each in found if each["recipe"] != "exact")


@pytest.mark.shared
def test_each_stage_alone(figures):
    found = figures("--networks", "A", "--steps", "4", "--stages")
    assert len(found) == 6
    assert {each["kind"] for each in found[1:]} == {"emulated", "simulated"}


@pytest.mark.shared
def test_it_trains_its_own_networks_from_the_seed(figures, tmp_path):
    training = [
        "--networks",
        "A",
        "--training",
        "600",
        "--epochs",
        "2",
        "--recipes",
        "rate-calibrated",
        "--steps",
        "16",
    ]
    first = figures(*training, "--levels", "8", "--train", str(tmp_path / "one"))
    again = figures(*training, "--levels", "8", "--train", str(tmp_path / "two"))
    assert [each["recipe"] for each in first] == ["ANN", "rate-calibrated", "exact, not fine-tuned"]
    assert float(first[0]["accuracy %"]) > 60
    assert first[2]["mismatches"] == "0"
    assert [each["accuracy %"] for each in first] == [each["accuracy %"] for each in again]
    assert (tmp_path / "one" / "mnist_A.pt").is_file()


@pytest.mark.shared
def test_what_a_chip_refuses_is_told(figures, capsys):
    found = figures("--networks", "A", "--targets", "loihi1", "--recipes", "--levels", "0")
    assert [each["recipe"] for each in found] == ["ANN"]
    assert "refused: loihi1/chip, A, exact, L = 0: " in capsys.readouterr().out


def test_a_part_without_balance_is_noticed():
    from benchmarks.mnist import check_balance

    whole = Samples(np.zeros((40, 1), np.float32), np.repeat(np.arange(2), 20))
    check_balance(whole.drawn(11, 0), whole)
    with pytest.raises(ValueError, match=r"class 0: 11 samples, its share is 5\.5"):
        check_balance(whole.first(11), whole)


@pytest.mark.shared
@pytest.mark.slow
@pytest.mark.parametrize(
    ("target", "network", "at8", "at16"),
    [("loihi1", "A", 0.5, 0.3), ("loihi1", "B", 0.5, 0.3), ("loihi1", "C", 0.5, 0.3), ("spinnaker", "C", 1.0, 0.5)],
)
def test_the_calibrated_recipe_keeps_its_promise(target, network, at8, at16, figures):
    """Within so many points of the trained network at 8 and at 16 steps; 0.2 more is chance on 2,000 images.

    SpiNNaker with the network that its floor hurts most; the others take minutes each.
    """
    asked = ["--networks", network, "--targets", target, "--recipes", "rate-calibrated", "--levels"]
    found = figures(*asked, "--calibration", "500", images="2000")
    lost = {each["T"]: -float(each["to ANN"]) for each in found if each["recipe"] == "rate-calibrated"}
    assert lost["8"] <= at8 + 0.2
    assert lost["16"] <= at16 + 0.2
