import json
import re
import shutil

import numpy as np
import pytest

from nmdeploy.emulator.result import Recording
from nmdeploy.emulator.simulate import simulate
from nmdeploy.errors import DataError, UsageError
from targets.dynapcnn import TARGET
from targets.dynapcnn.configuration import configuration
from targets.dynapcnn.configuration.leaves import leaves
from targets.dynapcnn.conformance.networks import INPUT, build_network, sensor_input, sensor_output
from targets.dynapcnn.conformance.replay import conformance, deployed
from targets.dynapcnn.conformance.vectors import read_recording

NETS = (
    "all_nine_cores",
    "bias_small",
    "dvs_input",
    "dvs_merge",
    "initial_state",
    "min_v_mem_none",
    "mnist_tutorial",
    "mnist_tutorial_2e_monitor_all",
    "reset_to_zero",
    "single_spike",
    "sumpool4_chain",
)


@pytest.mark.shared
@pytest.mark.parametrize("name", NETS)
def test_every_recording_of_sinabs_is_reproduced(shared_data, name):
    report = TARGET.conformance([shared_data / "golden" / "dynapcnn" / f"{name}.config.json"])
    assert report.first == []
    assert (report.files, report.nets, report.mismatches, report.skipped) == (1, 1, 0, [])
    assert report.neuron_steps > 0
    assert report.values > 100


@pytest.mark.shared
@pytest.mark.parametrize("name", ["bias_small", "initial_state", "reset_to_zero", "single_spike", "sumpool4_chain"])
def test_the_reference_emulator_reproduces_them_too(shared_data, name):
    report = conformance([shared_data / "golden" / "dynapcnn" / f"{name}.config.json"], engine="reference")
    assert (report.first, report.nets, report.mismatches) == ([], 1, 0)


@pytest.mark.shared
@pytest.mark.parametrize(("name", "values"), [("discretize_vectors", 81), ("mapping_vectors", 280)])
def test_tables_of_sinabs_are_reproduced(shared_data, name, values):
    report = TARGET.conformance([shared_data / "golden" / "dynapcnn" / f"{name}.json"], "step")
    assert (report.first, report.mismatches, report.nets) == ([], 0, 0)
    assert report.values > values
    assert report.passed


@pytest.mark.shared
def test_a_folder_is_replayed_whole(shared_data):
    folder = shared_data / "golden" / "dynapcnn"
    report = TARGET.conformance([folder, folder / "single_spike.npz"])
    assert (report.files, report.nets, report.mismatches) == (len(NETS) + 2, len(NETS), 0)
    assert [reason.split(":")[0] for reason in report.skipped] == ["index.json", "rejections.json", "write_set.json"]


@pytest.mark.shared
def test_the_float_network_fires_as_sinabs_float_network(shared_data):
    """Where no neuron fires twice a step; the ideal neuron fires once. Floats, but no potential is near a threshold."""
    recording = read_recording(shared_data / "golden" / "dynapcnn" / "single_spike.config.json")
    raster = sensor_output(recording)
    network = build_network(recording)
    spikes = raster[:, np.newaxis].astype(np.uint8)
    result = simulate(network, {INPUT: spikes}, steps=len(raster), record=Recording(spikes=("*",)))
    for layer in recording.cores:
        assert np.array_equal(result.spikes[f"layer{layer}"][:, 0], recording[f"float_spikes.L{layer}"])
        assert recording[f"float_spikes.L{layer}"].any()


@pytest.mark.shared
def test_the_fields_are_those_that_sinabs_assigns(shared_data):
    folder = shared_data / "golden" / "dynapcnn"
    assigned = json.loads((folder / "write_set.json").read_text())
    expected = {path for path, kinds in assigned.items() if kinds != ["dict"]}
    found = set()
    for name in ("dvs_input", "sumpool4_chain"):
        recording = read_recording(folder / f"{name}.config.json")
        whole = configuration(deployed(recording, build_network(recording)), sensor=sensor_input(recording))
        found |= {"config." + re.sub(r"(layers|destinations)\.\d+", r"\1[i]", path) for path in leaves(whole)}
    assert found == expected


# A recording made by hand: one 1x1 convolution, weights 1 and -0.5, threshold 1, floor -1. The factor is 127,
# so weights are 127 and -64 (-63.5, half to even), threshold 127 and floor -127.

RASTER = np.array([[2, 0], [0, 1], [1, 1], [0, 3], [1, 0], [1, 0]]).reshape(6, 2, 1, 1)


def by_hand(raster=RASTER):
    """Spikes and the last potential, in plain integers."""
    v, spikes = 0, []
    for on, off in raster.reshape(-1, 2).tolist():
        v += 127 * on - 64 * off
        fired = v // 127 if v > 0 else 0
        v = max(v - 127 * fired, -127)
        spikes.append(fired)
    return spikes, v


def core(**changes):
    def size(x, y):
        return {"x": x, "y": y}

    destination = {"layer": 0, "enable": False, "pooling": 1, "feature_shift": 0}
    return {
        "dimensions": {
            "input_shape": {"size": size(1, 1), "feature_count": 2},
            "output_shape": {"size": size(1, 1), "feature_count": 1},
            "padding": size(0, 0),
            "stride": size(1, 1),
            "kernel_size": 1,
        },
        "destinations": [destination, destination],
        "weights": [[[[127]], [[-64]]]],
        "biases": [0],
        "leak_enable": False,
        "return_to_zero": False,
        "threshold_high": 127,
        "threshold_low": -127,
        "monitor_enable": True,
        "neurons_initial_value": [[[0]]],
        "leak_internal_slow_clk_enable": False,
        "input_congestion_balancer_enable": False,
        "output_decimator_enable": False,
        "output_decimator_interval": 0,
        **changes,
    }


@pytest.fixture
def recording(tmp_path):
    """Writes the recording; keywords with `__` change arrays, others entries of the JSON; None drops them."""

    def write(name="made", core_changes=None, raster=RASTER, **changes):
        spikes, last = by_hand()
        arrays = {
            "input": raster.astype(np.uint16),
            "raw.4.weight": np.array([1, -0.5], np.float32).reshape(1, 2, 1, 1),
            "float.L0.threshold": np.float32(1),
            "float.L0.min_v_mem": np.float32(-1),
            "disc_spikes.L0": np.array(spikes, np.uint16).reshape(6, 1, 1, 1),
            "disc_vmem_final.L0": np.full((1, 1, 1), last, np.int32),
        }
        content = {
            "device": "speck2fdevkit",
            "layer2core_map": {"0": 0},
            "destination_map": {"0": [-1]},
            "rescale_weights": {"0": 1.0},
            "cnn_layers": {"0": core(**(core_changes or {}))},
            "dvs_layer": {"pass_sensor_events": False},
        }
        for key, value in changes.items():
            if "__" in key:
                arrays[key.replace("__", ".")] = value
            else:
                content[key] = value
        arrays = {key: value for key, value in arrays.items() if value is not None}
        content = {key: value for key, value in content.items() if value is not None}
        np.savez(tmp_path / f"{name}.npz", **arrays)
        path = tmp_path / f"{name}.config.json"
        path.write_text(json.dumps(content))
        return path

    return write


def test_a_recording_made_by_hand_is_reproduced(recording):
    report = TARGET.conformance([recording()])
    assert (report.first, report.files, report.nets, report.neuron_steps, report.mismatches) == ([], 1, 1, 6, 0)
    # Core, 11 of geometry, sensor, 2 weights, bias, leak, reset, 2 thresholds, monitor, start, last potential.
    assert report.values == 1 + 11 + 1 + 2 + 1 + 1 + 1 + 2 + 1 + 1 + 1
    assert report.passed


def spikes_with(step, value):
    spikes = np.array(by_hand()[0], np.uint16).reshape(6, 1, 1, 1)
    spikes[step] = value
    return spikes


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"disc_spikes__L0": spikes_with(2, 2)},
            "layer 0 spikes differs first at step 2, neuron (0, 0, 0): expected 2",
        ),
        ({"disc_vmem_final__L0": np.full((1, 1, 1), 5)}, "layer 0 final potential differs first at index (0, 0, 0)"),
        (
            {"core_changes": {"weights": [[[[127]], [[-63]]]]}},
            "cnn_layers.0.weights differs first at index (0, 1, 0, 0)",
        ),
        ({"core_changes": {"threshold_low": -128}}, "threshold_low differs first at index (): expected -128, got -127"),
        ({"core_changes": {"biases": [1]}}, "cnn_layers.0.biases differs first at index (0,): expected 1, got 0"),
        ({"core_changes": {"leak_enable": True}}, "leak_enable differs first at index (): expected 1, got 0"),
        ({"core_changes": {"monitor_enable": False}}, "monitor_enable differs first at index (): expected 0, got 1"),
        ({"layer2core_map": {"0": 3}, "cnn_layers": {"3": core()}}, "core of each layer differs first at index (0,)"),
        (
            {"core_changes": {"destinations": [{"layer": 5, "enable": True, "pooling": 1}]}},
            "number of cnn_layers.0.destinations.0.layer differs first at index (): expected 1, got 0",
        ),
    ],
)
def test_a_planted_fault_is_counted_and_located(recording, changes, message):
    report = TARGET.conformance([recording(**changes)])
    assert not report.passed
    assert report.mismatches >= 1
    assert message in str(report.first[0])
    assert str(report.first[0]).startswith("made.config.json made: ")


def test_what_the_recording_lacks_is_a_mismatch_too(recording):
    changed = core(weights=[[[[127]]]])
    changed["dimensions"]["input_shape"]["feature_count"] = 1
    report = TARGET.conformance([recording(cnn_layers={"0": changed})])
    assert "input_shape.feature_count" in str(report.first[0])
    assert (len(report.first), report.mismatches) == (1, 2)


def test_one_spike_a_step_is_read_off_the_recording(recording):
    """All at most 1, though 2 events of full weight arrive at once: the neuron keeps the rest."""
    v, spikes = 0, []
    for on, off in RASTER.reshape(-1, 2).tolist():
        v += 127 * on - 64 * off
        spikes.append(int(v >= 127))
        v = max(v - 127 * spikes[-1], -127)
    assert max(spikes) == 1
    assert spikes != by_hand()[0]
    arrays = {"disc_spikes__L0": np.reshape(spikes, (6, 1, 1, 1)), "disc_vmem_final__L0": np.full((1, 1, 1), v)}
    report = TARGET.conformance([recording(**arrays)])
    assert (report.first, report.mismatches) == ([], 0)


def test_counts_beyond_a_byte_are_no_trouble(recording):
    raster = np.array([[300, 0], [0, 1]] * 3).reshape(6, 2, 1, 1)
    spikes, last = by_hand(raster)
    assert max(spikes) >= 300
    arrays = {"disc_spikes__L0": np.reshape(spikes, (6, 1, 1, 1)), "disc_vmem_final__L0": np.full((1, 1, 1), last)}
    report = TARGET.conformance([recording(raster=raster, **arrays)])
    assert (report.first, report.mismatches) == ([], 0)


def test_either_file_of_a_net_names_it(recording):
    path = recording()
    report = TARGET.conformance([path, path.with_name("made.npz"), path.parent])
    assert (report.files, report.nets) == (1, 1)


SENSOR = {
    "pass_sensor_events": True,
    "merge": False,
    "mirror": {"x": True, "y": False},
    "mirror_diagonal": False,
    "cut": {"x": 0, "y": 0},
    "origin": {"x": 0, "y": 0},
    "pooling": {"x": 1, "y": 1},
    "destinations": [{"layer": 0, "enable": True}, {"layer": 3, "enable": False}],
    "monitor_enable": False,
    "raw_monitor_enable": False,
    "on_channel": True,
    "off_channel": True,
}
FED = {"destination_map": {"0": [-1], "dvs": [0]}, "disc_spikes__Ldvs": RASTER.astype(np.uint16)}


def test_a_sensor_is_part_of_it(recording):
    assert TARGET.conformance([recording(dvs_layer=SENSOR, **FED)]).first == []
    other = TARGET.conformance([recording(dvs_layer=SENSOR, **{**FED, "disc_spikes__Ldvs": RASTER + 1})])
    assert "sensor output differs first at step 0" in str(other.first[0])
    watched = TARGET.conformance([recording(dvs_layer={**SENSOR, "monitor_enable": True}, **FED)])
    assert "dvs_layer.monitor_enable" in str(watched.first[0])


def dropped(entries, *names):
    return {key: value for key, value in entries.items() if key not in names}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"layer2core_map": None}, "not a recording of sinabs"),
        ({"layer2core_map": {"a": 0}}, "not a recording of sinabs"),
        ({"layer2core_map": [0]}, "not a recording of sinabs"),
        ({"cnn_layers": {"0": 5}}, "not a recording of sinabs"),
        ({"rescale_weights": {}}, "layers differ between its tables"),
        ({"cnn_layers": {"0": dropped(core(), "weights")}}, "the entry 'weights' is missing"),
        ({"cnn_layers": {"0": {**core(), "extra": 5}}}, "there is no entry 'extra'"),
        ({"cnn_layers": {}}, "the net cannot be built"),
        ({"device": "speck9devkit"}, r"unknown chip \(found speck9devkit"),
        ({"raw__4__weight": None}, "the net cannot be built"),
        ({"float__L0__threshold": None}, "the recording has no 'float.L0.threshold'"),
        ({"disc_spikes__L0": None}, "the recording has no 'disc_spikes.L0'"),
        ({"disc_vmem_final__L0": None}, "the recording has no 'disc_vmem_final.L0'"),
        ({"disc_spikes__L0": np.zeros((6, 3, 1, 1), int)}, "the net cannot be built"),
        ({"float__L0__threshold": np.float32(0.0001)}, "no deployment: layer0: the threshold rounds to 0"),
        ({"dvs_layer": dropped(SENSOR, "cut"), **FED}, "the sensor's section is not complete"),
    ],
)
def test_a_broken_recording_is_refused(recording, changes, message):
    with pytest.raises(DataError, match=message):
        TARGET.conformance([recording(**changes)])


def test_files_that_are_no_recording_are_refused(tmp_path, recording):
    path = recording()
    path.write_text("{")
    with pytest.raises(DataError, match="not readable as JSON"):
        TARGET.conformance([path])
    path.write_text("5")
    with pytest.raises(DataError, match="not a recording of sinabs"):
        TARGET.conformance([path])
    recording().with_name("made.npz").unlink()
    with pytest.raises(DataError, match=r"not a readable \.npz file"):
        TARGET.conformance([path])
    other = tmp_path / "notes.json"
    other.write_text("{}")
    with pytest.raises(DataError, match=r"notes.json: not a recording of sinabs \(limit \*.config.json, discretize"):
        TARGET.conformance([other])


def test_unknown_profiles_and_paths_are_refused(tmp_path, recording):
    with pytest.raises(UsageError, match=r"unknown profile.*sinabs simulates time steps"):
        TARGET.conformance([recording()], "chip")
    with pytest.raises(UsageError, match="no such file"):
        TARGET.conformance([tmp_path / "missing"])


# Tables


def table(tmp_path, name, content):
    path = tmp_path / name
    path.write_text(json.dumps(content))
    return path


TENSOR = {"bits": 8, "x": [1.0, -0.5, 0.25], "scale": 127.0, "q": [127, -64, 32]}


def test_a_table_of_tensors_is_compared_bit_by_bit(tmp_path):
    name = "discretize_vectors.json"
    report = TARGET.conformance([table(tmp_path, name, [TENSOR])])
    assert (report.values, report.mismatches, report.passed) == (4, 0, True)
    next_float = float(np.nextafter(np.float32(127), np.float32(128)))
    report = TARGET.conformance([table(tmp_path, name, [{**TENSOR, "scale": next_float}])])
    assert "tensor 0: bits of the factor differs first at index (0,)" in str(report.first[0])
    report = TARGET.conformance([table(tmp_path, name, [TENSOR, {**TENSOR, "q": [127, -63, 32]}])])
    assert "tensor 1: integers differs first at index (1,): expected -63, got -64" in str(report.first[0])


CORES = [[16, 16, 4], [64, 16, 4]]


def test_a_table_of_mappings_is_compared(tmp_path):
    cases = [
        {"req": [[64, 1, 0], [1, 1, 0]], "map": [1, 0]},
        {"req": [[64, 1, 0], [64, 1, 0]], "map": None},
    ]
    name = "mapping_vectors.json"
    report = TARGET.conformance([table(tmp_path, name, {"constraints": CORES, "cases": cases})])
    assert (report.values, report.mismatches) == (4, 0)
    cases = [{"req": [[1, 1, 0]], "map": None}, {"req": [[65, 1, 0]], "map": [0]}]
    report = TARGET.conformance([table(tmp_path, name, {"constraints": CORES, "cases": cases})])
    assert report.mismatches == 2
    assert [mismatch.expected for mismatch in report.first] == [-1, 0]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("discretize_vectors.json", {}, "must be a list of objects"),
        ("discretize_vectors.json", [5], "must be a list of objects"),
        ("discretize_vectors.json", [dropped(TENSOR, "q")], "'q' is missing or no array"),
        ("discretize_vectors.json", [{**TENSOR, "x": [[1], [1, 2]]}], "'x' is missing or no array"),
        ("discretize_vectors.json", [{**TENSOR, "x": ["a"]}], "'x' must hold numbers"),
        ("discretize_vectors.json", [{**TENSOR, "bits": "8"}], r"'bits' must be an integer \(found '8'\)"),
        ("mapping_vectors.json", [], "must be an object"),
        ("mapping_vectors.json", {"constraints": CORES}, "must be a list of objects"),
        ("mapping_vectors.json", {"cases": []}, "'constraints' is missing"),
    ],
)
def test_broken_tables_are_refused(tmp_path, name, content, message):
    with pytest.raises(DataError, match=message):
        TARGET.conformance([table(tmp_path, name, content)])


@pytest.mark.shared
def test_a_fault_planted_into_a_golden_file_is_found(shared_data, tmp_path):
    source = shared_data / "golden" / "dynapcnn"
    shutil.copy(source / "reset_to_zero.npz", tmp_path)
    data = json.loads((source / "reset_to_zero.config.json").read_text())
    data["cnn_layers"]["1"]["weights"][2][1][0][2] += 1
    path = tmp_path / "reset_to_zero.config.json"
    path.write_text(json.dumps(data))
    report = TARGET.conformance([path])
    assert report.mismatches == 1
    assert "cnn_layers.1.weights differs first at index (2, 1, 0, 2)" in str(report.first[0])
