import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from nmdeploy.errors import ModelError
from nmdeploy.network import Network, Population, Projection
from nmdeploy.neurons import IF
from nmdeploy.synapses import Conv2d, Dense, Reshape, SumPool2d
from targets.dynapcnn.configuration import DvsInput
from targets.dynapcnn.from_sinabs import from_sinabs, sensor_of

torch = pytest.importorskip("torch")
sl = pytest.importorskip("sinabs.layers")
activation = pytest.importorskip("sinabs.activation")


def iaf(**options):
    return sl.IAFSqueeze(batch_size=1, **{"min_v_mem": -1.0, **options})


@pytest.fixture
def parts():
    torch.manual_seed(3)
    nn = torch.nn
    conv = nn.Conv2d(2, 3, (3, 2), stride=(2, 1), padding=(1, 0))
    zero = iaf(spike_threshold=torch.tensor(0.7), reset_fn=activation.MembraneReset(), min_v_mem=None)
    return conv, zero, nn.Linear(3 * 2 * 3, 4, bias=False), iaf(spike_fn=activation.SingleSpike)


def arrays_of(module):
    return [value.detach().numpy() for value in module.parameters()]


def test_a_sequence_becomes_a_float_network(parts):
    conv, zero, linear, last = parts
    nn = torch.nn
    model = nn.Sequential(
        nn.Sequential(conv, zero, nn.AvgPool2d((1, 2)), sl.SumPool2d(2), nn.Dropout2d(0.1)), nn.Flatten(), linear, last
    )
    network = from_sinabs(model, (2, 8, 13))
    weight, bias = arrays_of(conv)
    (dense,) = arrays_of(linear)
    expected = Network(
        "Sequential",
        (
            Population("input", (2, 8, 13), maximum=255),
            Population(
                "neurons_0_1",
                (3, 4, 12),
                IF(float(np.float32(0.7)), bias=bias.reshape(3, 1, 1), v_init=0.0, reset="zero"),
            ),
            Population("neurons_3", (4,), IF(1.0, bias=0.0, v_init=0.0, v_min=-1.0)),
        ),
        (
            Projection("input", "neurons_0_1", (Conv2d(weight, (2, 1), (1, 1, 0, 0)),)),
            Projection(
                "neurons_0_1",
                "neurons_3",
                (SumPool2d((1, 2)), SumPool2d(2), Reshape((18,)), Dense(dense * np.float32(0.5))),
            ),
        ),
    )
    assert network == expected


def test_a_network_of_sinabs_knows_its_shape(parts):
    conv, zero, _, _ = parts
    holder = torch.nn.Module()
    holder.spiking_model = torch.nn.Sequential(conv, zero)
    holder.input_shape = (2, 8, 13)
    assert from_sinabs(holder).populations[1].shape == (3, 4, 12)
    with pytest.raises(ModelError, match="the shape of the input is not known; give input_shape"):
        from_sinabs(holder.spiking_model)


def test_potentials_of_the_first_sample_are_kept(parts):
    _, _, linear, last = parts
    model = torch.nn.Sequential(linear, last)
    model(torch.ones(1, 18))
    network = from_sinabs(model, (18,))
    assert np.array_equal(network["neurons_1"].neuron.v_init, last.v_mem[0].detach().numpy())
    assert network["neurons_1"].neuron.v_init.any()


def conv(**options):
    return torch.nn.Conv2d(1, 1, 1, bias=False, **options)


def models():
    nn = torch.nn
    return {
        "no such module on the chip": [conv(), nn.ReLU()],
        r"1 \(BatchNorm2d\): no such module": [conv(), nn.BatchNorm2d(1), iaf()],
        r"1 \(LIFSqueeze\): no such module": [conv(), sl.LIFSqueeze(tau_mem=9.0, batch_size=1)],
        "the model does not end with neurons": [conv(), iaf(), conv()],
        r"neurons stand behind one layer of weights \(found 2 layers\)": [conv(), conv(), iaf()],
        r"neurons stand behind one layer of weights \(found 0 layers\)": [conv(), iaf(), iaf()],
        r"padding is a number of zeros \(found \(0, 0\), circular\)": [conv(padding_mode="circular"), iaf()],
        r"padding is a number of zeros \(found same, zeros\)": [conv(padding="same"), iaf()],
        "pools have no padding": [conv(), iaf(), nn.AvgPool2d(2, ceil_mode=True), conv(), iaf()],
        "1 .IAFSqueeze.: the chip has one threshold": [conv(), iaf(spike_threshold=torch.ones(1, 4, 4))],
        "a spike subtracts the threshold": [conv(), iaf(reset_fn=activation.MembraneSubtract(0.5))],
        "or resets to 0": [conv(), iaf(reset_fn=activation.MembraneReset(0.5))],
    }


@pytest.mark.parametrize("message", models())
def test_what_the_chip_does_not_have_is_refused(message):
    with pytest.raises(ModelError, match=message):
        from_sinabs(torch.nn.Sequential(*models()[message]), (1, 4, 4))


COMPARE = """
import importlib.util, json, sys
from pathlib import Path
import numpy as np, torch
from nmdeploy.conformance import ConformanceReport
from nmdeploy.errors import ModelError
from sinabs.backend.dynapcnn import DynapcnnNetwork
from sinabs.backend.dynapcnn.dvs_layer import DVSLayer
from sinabs import layers as sl
from targets.dynapcnn.conformance.replay import compare
from targets.dynapcnn.conformance.vectors import read_recording
from targets.dynapcnn.from_sinabs import from_sinabs, sensor_of

driver, folder = Path(sys.argv[1]), Path(sys.argv[2])
spec = importlib.util.spec_from_file_location("driver", driver)
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
module.main(folder)
parameters = dict(np.load(folder / "parameters.npz"))
report = ConformanceReport("dynapcnn", "step")
for net in json.loads((folder / "specs.json").read_text()):
    make = lambda **options: DynapcnnNetwork(
        module.Net(net, parameters), tuple(net["input"]), batch_size=1, **options
    )
    recording = read_recording(folder / (net["name"] + ".config.json"))
    compare(report, net["name"], recording, from_sinabs(make(), profile="step"))
    events = from_sinabs(make())
    assert {p.neuron.kind for p in events.populations if p.neuron} == {"dynapcnn.IAF"}, events
    assert sensor_of(make()) is None
    try:
        from_sinabs(make(discretize=False))
        raise AssertionError("floats were taken")
    except ModelError as error:
        assert "values that are no integers" in str(error)
conv = torch.nn.Conv2d(2, 3, 3, bias=False)
camera = DVSLayer((20, 24), pool=(2, 2), crop=((1, 9), (2, 12)), flip_x=True, disable_pixel_array=False)
seeing = DynapcnnNetwork(torch.nn.Sequential(camera, conv, sl.IAFSqueeze(batch_size=1)), (2, 20, 24), batch_size=1)
network = from_sinabs(seeing)
found = sensor_of(seeing)
print(json.dumps({
    "nets": report.neuron_steps, "values": report.values, "first": [str(each) for each in report.first],
    "input": network["input"].shape, "low": network.populations[1].neuron.threshold_low, "sensor": repr(found),
}))
"""


@pytest.mark.slow
@pytest.mark.shared
def test_a_dynapcnn_network_keeps_all_its_integers(shared_data, tmp_path):
    """Of a branch with a merge, a pool, a dense end, biases, a state and both kinds of reset and of spikes."""
    rng = np.random.default_rng(8)

    def layer(*sources, **changes):
        plain = {"kind": "conv", "stride": [1, 1], "padding": [1, 1], "groups": 1, "threshold": 1.0}
        listed = [{"layer": source, "pools": pools} for source, pools in sources]
        return {**plain, "min_v_mem": -1.0, "reset": "subtract", "multi": True, "sources": listed, **changes}

    half = [["avg", 2, 2]]
    layers = [
        layer((-1, [])),
        layer((0, [["sum", 1, 1]]), reset="zero"),
        layer((0, half), (1, half), multi=False),
        layer((2, []), kind="dense"),
    ]
    shapes = [(3, 2, 3, 3), (3, 3, 3, 3), (4, 3, 3, 3), (5, 64)]
    arrays = {f"net.{index}.weight": rng.normal(size=shape) * 0.5 for index, shape in enumerate(shapes)}
    arrays |= {"net.0.bias": rng.normal(size=3) * 0.1, "net.1.v_mem": rng.normal(size=(1, 3, 8, 8)) * 0.3}
    arrays = {key: value.astype(np.float32) for key, value in arrays.items()}
    arrays["net.input"] = rng.integers(0, 3, size=(6, 2, 8, 8)).astype(np.uint8)
    np.savez(tmp_path / "parameters.npz", **arrays)
    (tmp_path / "specs.json").write_text(json.dumps([{"name": "net", "input": [2, 8, 8], "layers": layers}]))
    driver = Path(__file__).with_name("sinabs_driver.py")
    environment = {**os.environ, "PYTHONPATH": str(shared_data / "standins"), "PYTHONWARNINGS": "ignore"}
    command = [sys.executable, "-c", COMPARE, str(driver), str(tmp_path)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["first"] == []
    assert found["nets"] == 6 * (2 * 3 * 64 + 4 * 16 + 5)
    assert found["values"] > 500
    assert (found["input"], found["low"]) == ([2, 8, 10], -(1 << 15))
    assert found["sensor"] == (
        "DvsInput(size=(20, 24), pooling=(2, 2), crop=((1, 9), (2, 12)), merge=False, "
        "mirror_y=False, mirror_x=True, swap_xy=False, sensor=True)"
    )


def chip_layer(weight, neurons, shape, pool):
    """What of a `DynapcnnLayer` is read; the real ones need samna, see below."""
    module = torch.nn.Conv2d(weight.shape[1], weight.shape[0], weight.shape[2], bias=False)
    module.weight.data = weight
    return SimpleNamespace(conv_layer=module, spk_layer=neurons, pool=pool, get_neuron_shape=lambda: shape)


@pytest.fixture
def chip_model():
    first = chip_layer(
        torch.full((2, 1, 1, 1), 7.0), iaf(spike_threshold=torch.tensor(9.0)), (2, 4, 4), [[1, 1], [2, 2]]
    )
    first.conv_layer.bias = torch.nn.Parameter(torch.tensor([1.0, -2.0]))
    second = chip_layer(torch.full((3, 2, 2, 2), -5.0), iaf(min_v_mem=None), (3, 1, 1), [[1, 1]])
    second.spk_layer.init_state_with_shape((1, 3, 1, 1))
    second.spk_layer.v_mem.data = torch.tensor([4.0, 0.0, -1.0]).reshape(1, 3, 1, 1)
    return SimpleNamespace(
        dynapcnn_layers={0: first, 1: second},
        layer_destination_map={0: [-1, 1], 1: [-1]},
        dynapcnn_module=SimpleNamespace(entry_points={0}),
        input_shape=(1, 4, 4),
        dvs_layer=None,
    )


def test_a_chip_model_becomes_an_integer_network(chip_model):
    network = from_sinabs(chip_model)
    assert network.is_integer
    assert network.outputs == ("layer0", "layer1")
    first, second = network["layer0"].neuron, network["layer1"].neuron
    assert (first.kind, first.threshold_high, first.threshold_low, first.v_init) == ("dynapcnn.IAF", 9, -1, 0)
    assert (first.leak.ravel().tolist(), second.leak) == ([1, -2], 0)
    assert (second.threshold_low, second.v_init.ravel().tolist()) == (-32768, [4, 0, -1])
    assert [(p.source, p.target) for p in network.projections] == [("input", "layer0"), ("layer0", "layer1")]
    pool, weighted = network.projections[1].synapses
    assert (pool, weighted.weight.tolist()) == (SumPool2d((2, 2)), [[[[-5, -5]] * 2] * 2] * 3)
    simulated = from_sinabs(chip_model, profile="step")["layer0"].neuron
    assert (simulated.kind, simulated.multi_spike) == ("dynapcnn.StepIAF", True)


def test_a_chip_model_of_floats_is_refused(chip_model):
    chip_model.dynapcnn_layers[1].conv_layer.weight.data += 0.25
    with pytest.raises(
        ModelError, match=r"layer1: a DynapcnnNetwork with values that are no integers; .*discretize=True"
    ):
        from_sinabs(chip_model)


def test_the_sensor_of_a_chip_model_is_read(chip_model):
    assert sensor_of(chip_model) is None
    chip_model.dvs_layer = SimpleNamespace(
        input_shape=(1, 8, 12),
        merge_polarities=True,
        disable_pixel_array=True,
        flip_layer=SimpleNamespace(flip_y=True, flip_x=False),
        get_roi=lambda: ((0, 4), (2, 6)),
        get_pooling=lambda: (2, 2),
        get_swap_xy=lambda: True,
    )
    chip_model.layer_destination_map["dvs"] = [0]
    expected = DvsInput((8, 12), (2, 2), ((0, 4), (2, 6)), merge=True, mirror_y=True, swap_xy=True, sensor=False)
    assert sensor_of(chip_model) == expected
    assert from_sinabs(chip_model)["input"].shape == (1, 4, 4)
