"""The benchmark of fine-tuning, in its smallest form."""

import json

import pytest


@pytest.mark.shared
def test_the_chip_equals_what_was_trained(shared_data, capsys, tmp_path):
    pytest.importorskip("torch")
    from benchmarks.finetune import main

    path = tmp_path / "finetune.json"
    small = ["--networks", "A", "--levels", "4", "--bits", "6", "--training", "2000", "--epochs", "1"]
    few = ["--images", "200", "--counted", "50", "--emulated", "20", "--calibration", "60"]
    main([*small, *few, "--data", str(shared_data), "--json", str(path)])
    assert "T = 16, 1 epochs of 2000 images" in capsys.readouterr().out
    (found,) = json.loads(path.read_text())
    assert (found["network"], found["L"], found["bits"]) == ("A", "4", "6")
    assert found["mismatches"] == "0"
    assert float(found["counts differ"].split()[0]) < 5
    assert float(found["quantized ANN %"]) > 90
    assert abs(float(found["quantized ANN %"]) - float(found["in training %"])) <= 2
