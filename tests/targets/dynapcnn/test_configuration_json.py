import json
import re
from dataclasses import replace

import numpy as np
import pytest

from nmdeploy.errors import DataError
from targets.dynapcnn.configuration import from_json, read_json, to_json, write_json
from targets.dynapcnn.configuration.json_form import LARGEST_FILE, from_plain, plain
from targets.dynapcnn.configuration.leaves import leaves
from targets.dynapcnn.configuration.tree import (
    CnnLayer,
    Configuration,
    Destination,
    Dimensions,
    DvsDestination,
    DvsFilter,
    DvsLayer,
    FactoryConfig,
    Mirror,
    Pair,
    Readout,
    Shape,
)


def full():
    """A configuration with every field that can be written but kill bits."""
    core = CnnLayer(
        dimensions=Dimensions(Shape(Pair(10, 8), 2), Shape(Pair(10, 8), 1), Pair(0, 0), Pair(1, 1), 1),
        destinations=(Destination(12, True, 1, 3),),
        weights=np.array([[[[1]], [[-2]]]], np.int8),
        biases=np.array([300], np.int16),
        leak_enable=True,
        return_to_zero=False,
        threshold_high=9,
        threshold_low=-9,
        monitor_enable=True,
        neurons_initial_value=np.arange(80, dtype=np.int16).reshape(1, 10, 8),
        leak_internal_slow_clk_enable=True,
        input_congestion_balancer_enable=False,
        output_decimator_enable=True,
        output_decimator_interval=3,
    )
    sensor = DvsLayer(
        merge=False,
        mirror=Mirror(x=False, y=False),
        mirror_diagonal=False,
        cut=Pair(9, 7),
        origin=Pair(0, 0),
        pooling=Pair(1, 1),
        pass_sensor_events=True,
        destinations=(DvsDestination(4, True),),
        monitor_enable=True,
        raw_monitor_enable=False,
        on_channel=True,
        off_channel=False,
        monitor_sensor_enable=False,
    )
    return Configuration(
        "speck2f",
        sensor,
        {4: core},
        DvsFilter(enable=True, internal_slow_clk=False, hot_pixel_filter_enable=True, threshold=10),
        Readout(enable=True, threshold=20, output_mode_sel=1),
        FactoryConfig(io_sel=24),
    )


def test_json_holds_it_all(tmp_path):
    whole = full()
    write_json(whole, tmp_path / "chip.json")
    read = read_json(tmp_path / "chip.json")
    assert read == whole
    assert (read.cnn_layers[4].weights.dtype, read.cnn_layers[4].biases.dtype) == (np.int8, np.int16)
    data = json.loads((tmp_path / "chip.json").read_text())
    assert (data["format"], data["version"], data["chip"]) == ("nmdeploy.dynapcnn.configuration", 1, "speck2f")
    assert data["cnn_layers"]["4"]["monitor_enable"] is True
    assert data["dvs_layer"]["mirror"] == {"x": False, "y": False}
    assert data["readout"] == {"enable": True, "threshold": 20, "output_mode_sel": 1}
    assert "dvs_filter" not in plain(replace(whole, dvs_filter=None))


def changed(path, value):
    """The JSON text of `full` with one entry replaced, or dropped for `...`."""
    data = json.loads(to_json(full()))
    place = data
    for key in path[:-1]:
        place = place[key]
    if value is ...:
        del place[path[-1]]
    else:
        place[path[-1]] = value
    return json.dumps(data)


CORE = ("cnn_layers", "4")


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("format",), "other", "not a configuration: 'format' is not"),
        (("version",), 2, r"version of the configuration is not known \(found 2, limit 1\)"),
        (("chip",), ..., "the entry 'chip' is missing"),
        (("chip",), 5, r"configuration.chip: must be str \(found int\)"),
        (("more",), 5, "there is no entry 'more'"),
        (("cnn_layers",), [], r"configuration.cnn_layers: must be dict \(found list\)"),
        (("cnn_layers", "x"), {}, "cores are numbered"),
        (("cnn_layers", "4"), 1, r"configuration.cnn_layers\[4\]: must be an object \(found int\)"),
        (("cnn_layers", "12"), json.loads(to_json(full()))["cnn_layers"]["4"], "core 12: there are 9 cores"),
        ((*CORE, "threshold_high"), 1.5, r"configuration.cnn_layers\[4\].threshold_high: must be int \(found float\)"),
        ((*CORE, "threshold_high"), True, "must be int"),
        ((*CORE, "threshold_high"), 1 << 15, "threshold_high is 32768, beyond 16 bits"),
        ((*CORE, "threshold_low"), -(1 << 15) - 1, "threshold_low is -32769"),
        ((*CORE, "leak_enable"), 1, "leak_enable: must be bool"),
        ((*CORE, "weights"), [[[[1]], [[1, 2]]]], "is no array"),
        ((*CORE, "weights"), 5, "weights: must be list"),
        ((*CORE, "weights"), [[[[1.0]], [[1]]]], r"must be integers with 4 axes \(found float64\[1, 2, 1, 1\]\)"),
        ((*CORE, "weights"), [1], "must be integers with 4 axes"),
        ((*CORE, "weights"), [[[[-129]], [[1]]]], r"a value is out of range \(found -129, limit -128..127\)"),
        ((*CORE, "weights"), [[[[2**70]], [[1]]]], "must be integers"),
        (
            (*CORE, "weights"),
            [[[[1]]]],
            r"core 4: weights has shape \(1, 1, 1, 1\), its dimensions make \(1, 2, 1, 1\)",
        ),
        ((*CORE, "weights_kill_bit"), [[[[1]], [[0]]]], "must be booleans with 4 axes"),
        ((*CORE, "biases_kill_bit"), [True, False], "biases_kill_bit has shape"),
        ((*CORE, "destinations"), [{"layer": 1, "enable": True, "pooling": 1}] * 3, "3 destinations, a core has 2"),
        ((*CORE, "destinations"), [{"layer": 1}], r"destinations\[0\]: the entry 'enable' is missing"),
        (("dvs_layer", "destinations"), [{"layer": 1, "enable": True}] * 3, "dvs_layer: 3 destinations, it has 2"),
        (("dvs_layer", "cut"), {"x": 1}, r"configuration.dvs_layer.cut: the entry 'y' is missing"),
        (("readout",), None, r"configuration.readout: must be an object \(found NoneType\)"),
    ],
)
def test_a_broken_configuration_is_refused(path, value, message):
    with pytest.raises(DataError, match=message):
        from_json(changed(path, value))


def test_files_that_are_no_configuration_are_refused(tmp_path):
    for text in ("", "{", "[" * 100_000, "5"):
        with pytest.raises(DataError, match=r"not readable as JSON|not a configuration"):
            from_json(text)
    path = tmp_path / "chip.json"
    with pytest.raises(DataError, match="cannot be read"):
        read_json(path)
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(DataError, match=re.escape(str(path))):
        read_json(path)
    with path.open("wb") as file:
        file.truncate(LARGEST_FILE + 1)
    with pytest.raises(DataError, match="the file is too large"):
        read_json(path)


def test_leaves_name_every_integer():
    whole = full()
    found = leaves(whole)
    assert found["cnn_layers.4.weights"].tolist() == [[[[1]], [[-2]]]]
    assert found["dvs_layer.destinations.0.layer"] == 4
    assert found["dvs_layer.pass_sensor_events"] == 1
    assert found["readout.threshold"] == 20
    assert all(array.dtype == np.int64 for array in found.values())
    assert "chip" not in found
    alone = leaves(replace(whole, cnn_layers={4: replace(whole.cnn_layers[4], destinations=())}))
    assert set(found) - set(alone) == {path for path in found if path.startswith("cnn_layers.4.destinations")}
    moved = leaves(replace(whole, cnn_layers={5: whole.cnn_layers[4]}))
    assert set(moved) != set(found)
    assert from_plain({**plain(whole), "chip": "speck2e"}).chip == "speck2e"
