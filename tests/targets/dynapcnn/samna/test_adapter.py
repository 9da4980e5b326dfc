"""Configurations copied into samna's objects: what arrives, in which order, of which types."""

import json
import os
import re
import subprocess
import sys

import pytest

import nmdeploy as nm
from targets.dynapcnn.configuration import configuration, to_json
from targets.dynapcnn.samna.adapter import Refused, assignments, samna_configuration

RECORD = """
import json, sys
from pathlib import Path
import samna
from targets.dynapcnn.samna.adapter import samna_configuration
results = {}
for name in sys.argv[2:]:
    tree = json.loads(Path(sys.argv[1], f"{name}.json").read_text())
    samna.RECORD.clear()
    module = getattr(samna, tree["chip"])
    found = samna_configuration(module, "SpeckConfiguration", tree).to_dict()
    results[name] = {"configuration": found, "record": [entry[:2] for entry in samna.RECORD]}
Path(sys.argv[1], "results.json").write_text(json.dumps(results))
"""
UNWRITTEN = {  # fields that sinabs never writes; the golden files hold the stand-in's defaults there
    "feature_shift",
    "leak_internal_slow_clk_enable",
    "input_congestion_balancer_enable",
    "output_decimator_enable",
    "output_decimator_interval",
}


def written(golden):
    """The fields of a golden configuration that sinabs wrote, as `configuration.json` has them."""
    sensor = golden["dvs_layer"]
    if "dvs" not in golden["destination_map"]:
        sensor = {"pass_sensor_events": sensor["pass_sensor_events"], "destinations": []}
    else:
        sensor = {k: v for k, v in sensor.items() if k not in ("raw_monitor_enable", "on_channel", "off_channel")}
        sensor["destinations"] = [each for each in sensor["destinations"] if each["enable"]]
        if not sensor["monitor_enable"]:
            del sensor["monitor_enable"]
    layers = {}
    for core, layer in golden["cnn_layers"].items():
        layers[core] = {key: value for key, value in layer.items() if key not in UNWRITTEN}
        layers[core]["destinations"] = [
            {key: value for key, value in each.items() if key not in UNWRITTEN}
            for each in layer["destinations"]
            if each["enable"]
        ]
    return {"chip": golden["device"].partition(":")[0][:7], "dvs_layer": sensor, "cnn_layers": layers}


@pytest.mark.shared
def test_on_the_stand_in_the_golden_configurations_arrive(shared_data, tmp_path):
    folder = shared_data / "golden" / "dynapcnn"
    files = {path.name.removesuffix(".config.json"): path for path in folder.glob("*.config.json")}
    golden = {name: json.loads(path.read_text()) for name, path in files.items()}
    for name, each in golden.items():
        (tmp_path / f"{name}.json").write_text(json.dumps(written(each)))
    environment = {**os.environ, "PYTHONPATH": str(shared_data / "standins")}
    command = [sys.executable, "-c", RECORD, str(tmp_path), *golden]
    subprocess.run(command, env=environment, check=True)
    results = json.loads((tmp_path / "results.json").read_text())
    kinds = json.loads((folder / "write_set.json").read_text())
    assert len(golden) >= 11
    for name, each in golden.items():
        found = results[name]["configuration"]
        for core, layer in each["cnn_layers"].items():
            assert found["cnn_layers"][int(core)] == layer, (name, core)
        assert found["dvs_layer"] == each["dvs_layer"], name
        for path, kind in results[name]["record"]:
            place = re.sub(r"\[\d+\]", "[i]", path)
            # torch's bool is the one type that sinabs leaves to pybind.
            assert kinds[place] == (["Tensor"] if place.endswith(".leak_enable") else [kind]), (name, path)


def test_the_order_is_that_of_sinabs(nets, rng):
    tree = json.loads(to_json(configuration(nm.deploy(nets.chain(rng), "speck2f"))))
    paths = [path for path, _ in assignments(tree)]
    assert paths[0] == ("dvs_layer", "pass_sensor_events")
    first = [path[2:] for path in paths if path[:2] == paths[1][:2]]
    assert [each[0] for each in first] == [
        "dimensions",
        "destinations",
        "destinations",
        "destinations",
        "weights",
        "biases",
        "leak_enable",
        "return_to_zero",
        "threshold_high",
        "threshold_low",
        "monitor_enable",
        "neurons_initial_value",
    ]
    assert paths[-1][2] == "monitor_enable"


def test_sensor_and_sections_follow(nets, rng):
    tree = json.loads(to_json(configuration(nm.deploy(nets.branch(rng), "speck2f"))))
    tree["dvs_layer"] |= {
        "merge": True,
        "pass_sensor_events": True,
        "monitor_enable": True,
        "destinations": [{"layer": 3, "enable": True}],
    }
    tree["readout"] = {"enable": True, "threshold": 5}
    values = dict(assignments(tree))
    ours = [path for path in assignments(tree) if path[0][0] in ("dvs_layer", "readout")]
    assert ours == [
        (("dvs_layer", "pass_sensor_events"), False),
        (("dvs_layer", "merge"), True),
        (("dvs_layer", "destinations", 0, "layer"), 3),
        (("dvs_layer", "destinations", 0, "enable"), True),
        (("dvs_layer", "pass_sensor_events"), True),
        (("readout", "enable"), True),
        (("readout", "threshold"), 5),
        (("dvs_layer", "monitor_enable"), True),
    ]
    assert values["dvs_layer", "pass_sensor_events"] is True


def test_the_validators_message_is_raised(samna_here, nets, rng):
    samna = samna_here(refuse="core 3: too many neurons")
    tree = json.loads(to_json(configuration(nm.deploy(nets.chain(rng), "speck2f"))))
    with pytest.raises(Refused, match="core 3: too many neurons"):
        samna_configuration(samna.speck2f, "SpeckConfiguration", tree)
