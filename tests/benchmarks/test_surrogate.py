"""The benchmarks of training on the chip, and of the stages of a conversion, run in their smallest form."""

import json

import pytest


@pytest.mark.shared
@pytest.mark.slow
def test_training_on_the_chip(shared_data, capsys, tmp_path):
    pytest.importorskip("torch")
    from benchmarks.surrogate import main

    path = tmp_path / "gain.json"
    small = ["--networks", "A", "--targets", "loihi1", "--steps", "4", "--images", "50", "--calibration", "60"]
    main([*small, "--training", "120", "--epochs", "1", "--data", str(shared_data), "--json", str(path)])
    assert "50 test images (4 to 6 of each class), 120 to train, 60 to calibrate" in capsys.readouterr().out
    (found,) = json.loads(path.read_text())
    assert found["chip"] == "loihi1/chip"
    assert found["epoch kept"] in ("0 of 1", "1 of 1")
    assert float(found["gain"]) == pytest.approx(float(found["trained %"]) - float(found["calibrated %"]), abs=0.02)


@pytest.mark.shared
@pytest.mark.slow
def test_stages_of_all_recipes(shared_data, capsys, tmp_path):
    pytest.importorskip("torch")
    from benchmarks.stages import main

    path = tmp_path / "stages.json"
    small = ["--networks", "A", "--steps", "4", "--images", "50", "--calibration", "60", "--levels", "4"]
    recipes = ["--recipes", "rate", "rate-calibrated", "exact"]
    main([*small, *recipes, "--data", str(shared_data), "--json", str(path)])
    found = json.loads(path.read_text())
    assert [each["recipe"] for each in found] == ["rate"] * 5 + ["rate-calibrated"] * 8 + ["exact"] * 8
    assert found[0]["to the first"] == "+0.00"
    assert "integer weights, narrowed for the chip" in capsys.readouterr().out
