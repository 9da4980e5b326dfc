"""The benchmark of exact mode, in its smallest form, and what it promises."""

import json

import pytest


@pytest.mark.shared
@pytest.mark.parametrize("options", [[], ["--plain", "--target", "spinnaker", "--bounds", "proven"]])
def test_no_count_differs(shared_data, capsys, tmp_path, options):
    pytest.importorskip("torch")
    from benchmarks.exact import main

    path = tmp_path / "exact.json"
    small = ["--networks", "A", "--images", "200", "--emulated", "20", "--calibration", "60"]
    main([*small, "--data", str(shared_data), "--json", str(path), *options])
    assert "L = 8, T = 16" in capsys.readouterr().out
    found = json.loads(path.read_text())
    assert [each["bounds"] for each in found] == (["proven"] if options else ["proven", "sampled"])
    for each in found:
        assert each["mismatches"] == "0"
        assert each["early spikes"] == ("0 (proven)" if each["bounds"] == "proven" else "0")
        assert float(each["quantized ANN %"]) > 93


@pytest.mark.shared
@pytest.mark.slow
@pytest.mark.parametrize("target", ["loihi1", "spinnaker"])
@pytest.mark.parametrize("network", ["A", "B", "C"])
def test_exact_mode_keeps_its_promise(network, target, shared_data, tmp_path):
    """Within 0.2 points of the trained network, which is more than chance on 2,000 images, and nothing differs."""
    pytest.importorskip("torch")
    from benchmarks.exact import main

    path = tmp_path / "exact.json"
    given = ["--networks", network, "--target", target, "--data", str(shared_data), "--json", str(path)]
    main([*given, "--bounds", "proven", "--emulated", "50"])
    (found,) = json.loads(path.read_text())
    assert found["mismatches"] == "0"
    assert float(found["ANN %"]) - float(found["quantized ANN %"]) <= 0.2 + 0.2
