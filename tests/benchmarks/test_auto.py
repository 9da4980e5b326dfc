"""The benchmark of the recipe `auto` runs in its smallest form."""

import json

import pytest


@pytest.mark.shared
@pytest.mark.slow
def test_the_choice_is_told_with_what_it_is_worth(shared_data, capsys, tmp_path):
    pytest.importorskip("torch")
    from benchmarks.auto import main

    path = tmp_path / "auto.json"
    small = ["--networks", "A", "--steps", "4", "--calibration", "60", "--images", "50"]
    main([*small, "--data", str(shared_data), "--json", str(path)])
    printed = capsys.readouterr().out
    (found,) = json.loads(path.read_text())
    assert found["chip"] == "loihi1/chip"
    assert int(found["steps"]) <= 4
    assert float(found["accuracy %"]) > 50
    assert "rate-calibrated" in printed
    assert "taken" in printed
