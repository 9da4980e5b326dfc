"""Files in the forms that lava-dl's exporters write them, and files that are refused."""

import re

import h5py
import numpy as np
import pytest

from nmdeploy.errors import ModelError, UsageError
from nmdeploy.synapses import Conv2d, Dense, OneToOne, Reshape
from targets.loihi.netx import Arguments, datasets, file_reader, read_net, to_network
from targets.loihi.neuron import LoihiLIF, LoihiLIFReset
from targets.loihi.weights import CONV_FORMAT

CUBA = {"neuron/type": "CUBA", "neuron/iDecay": 4096, "neuron/vDecay": 128, "neuron/vThMant": 80}
INPUT = {"type": b"input", "shape": [2, 4, 5]}
CONV = {
    "type": np.array([b"conv"], dtype="S10"),
    "shape": [3, 3, 3],
    "weight": np.arange(-17.0, 19.0, dtype=np.float32).reshape(3, 2, 2, 3, 1),
    "stride": [1, 2],
    "padding": [0, 1],
    "dilation": [1, 1],
    "groups": 1,
    **CUBA,
}
FLATTEN = {"type": b"flatten", "shape": [27, 1, 1]}
DENSE = {"type": b"dense", "shape": [4, 1, 1], "weight": np.arange(-40, 68).reshape(4, 27), **CUBA}


def write(path, *layers, extra=()):
    with h5py.File(path, "w") as file:
        file.create_group("simulation")["Ts"] = 1
        for index, layer in enumerate(layers):
            group = file.create_group(f"layer/{index}")
            for name, value in layer.items():
                if value is not None:
                    group.create_dataset(name, data=value)
        for name, value in extra:
            file[name] = value
    return path


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.net"


def refusal(path, **options):
    """The one line with which a file is refused."""
    with pytest.raises(ModelError) as refused:
        read_net(path, **options)
    line = str(refused.value)
    assert "\n" not in line
    assert line.startswith(str(path))
    return line


def test_a_file_of_slayer(path):
    network = read_net(write(path, INPUT, CONV, FLATTEN, DENSE))
    shapes = {population.name: population.shape for population in network.populations}
    assert shapes == {"input": (2, 4, 5), "layer1": (3, 3, 3), "layer3": (4,)}
    assert (network.name, network.outputs, network.notes) == ("model", ("layer3",), ())
    first, second = network.projections
    assert isinstance(first.synapses[0], Conv2d)
    assert first.synapses[0].stride == (1, 2)
    assert first.synapses[0].padding == (0, 0, 1, 1)
    # Odd weights of both signs, within 8 bits: stored doubled, as Loihi can.
    np.testing.assert_array_equal(first.synapses[0].weight, 2 * CONV["weight"].reshape(3, 2, 2, 3))
    assert (first.exponent, first.delay, first.accumulator) == (-1, 1, None)
    assert [type(each) for each in second.synapses] == [Reshape, Dense]
    np.testing.assert_array_equal(second.synapses[1].weight, DENSE["weight"] << 1)
    assert (second.exponent, second.delay, second.accumulator) == (-1, 1, None)
    neuron = network["layer1"].neuron
    assert type(neuron) is LoihiLIF
    assert (neuron.vth, neuron.du, neuron.dv, neuron.bias_mant, neuron.bias_exp) == (80, 4095, 128, 0, 6)


def test_fractions_are_cut_off_toward_zero(path):
    network = read_net(write(path, {**DENSE, "weight": np.array([[1.9, -1.9], [0.5, 64.0]]), "shape": [2]}))
    dense = network.projections[0]
    np.testing.assert_array_equal(dense.synapses[0].weight >> -dense.exponent, [[1, -1], [0, 64]])
    assert network.notes == ("/layer/0/weight: fractions are cut off, as NetX does",)


def test_flat_weights_and_scalar_geometry(path):
    conv = {**CONV, "stride": 2, "padding": 1, "dilation": np.array([1]), "shape": [3, 3, 3]}
    dense = {**DENSE, "shape": [1], "weight": np.arange(1, 28)}
    network = read_net(write(path, INPUT, conv, FLATTEN, dense))
    assert network.projections[0].synapses[0].padding == (1, 1, 1, 1)
    assert network.projections[1].synapses[1].weight.shape == (1, 27)


@pytest.mark.parametrize(
    ("bias", "expected"),
    [
        (np.array([1.5, 2, 3]), [[[1]], [[2]], [[3]]]),
        (np.array([7, 7, 7]), 7),
        (np.arange(27).reshape(3, 3, 3), np.arange(27).reshape(3, 3, 3).transpose(2, 1, 0)),
    ],
)
def test_biases_of_a_convolution(path, bias, expected):
    network = read_net(write(path, INPUT, {**CONV, "bias": bias}))
    np.testing.assert_array_equal(network["layer1"].neuron.bias_mant, expected)


@pytest.mark.parametrize(("bias", "expected"), [(5, 5), ([5], 5), ([1, 2, 3, 4], [1, 2, 3, 4])])
def test_biases_of_a_dense_layer(path, bias, expected):
    network = read_net(write(path, {**DENSE, "bias": bias}))
    np.testing.assert_array_equal(network["layer0"].neuron.bias_mant, expected)


def test_biases_wrap_at_16_bits(path):
    network = read_net(write(path, {**DENSE, "bias": [40_000]}))
    assert network["layer0"].neuron.bias_mant == -25_536
    assert "wrap" in network.notes[0]


@pytest.mark.parametrize(
    ("delay", "expected"),
    [
        (3, np.full((3, 2), 3)),
        ([0.0, 1.9, 5.0], [[0, 0], [1, 1], [5, 5]]),  # outputs
        ([4, 1], [[4, 1]] * 3),  # inputs
        ([[1, 2], [3, 4], [5, 6]], [[1, 2], [3, 4], [5, 6]]),
        ([70, 1, 2], [[62, 62], [1, 1], [2, 2]]),
    ],
)
def test_delays(path, delay, expected):
    network = read_net(write(path, {**DENSE, "shape": [3], "weight": [[1, 2], [3, 4], [5, 6]], "delay": delay}))
    found = np.zeros((3, 2), dtype=int)
    for projection in network.projections:
        found[projection.synapses[0].weight != 0] = projection.delay - 1
    np.testing.assert_array_equal(found, expected)
    assert len(network.notes) == (np.max(delay) > 62)


def test_delays_that_would_take_far_more_memory_than_the_file(path, monkeypatch):
    write(path, {**DENSE, "shape": [3], "weight": [[1, 2], [3, 4], [5, 6]], "delay": [1, 2, 3]})
    monkeypatch.setattr(to_network, "MOST_WEIGHTS", 17)
    assert "too many delays for so many synapses (found 3 x 6, limit 17)" in refusal(path)


def test_one_delay_a_neuron_of_a_square_layer_belongs_to_outputs(path):
    network = read_net(write(path, {**DENSE, "shape": [2], "weight": [[1, 2], [3, 4]], "delay": [0, 7]}))
    late = next(projection for projection in network.projections if projection.delay == 8)
    np.testing.assert_array_equal(late.synapses[0].weight != 0, [[False, False], [True, True]])


def test_a_recurrent_layer(path):
    layer = {**DENSE, "type": b"dense_rec", "shape": [2], "weight": [[1, 2], [3, 4]], "weight_rec": [[0, -8], [7, 0]]}
    network = read_net(write(path, layer))
    loop, entering = sorted(network.projections, key=lambda each: each.source != each.target)
    assert (loop.source, loop.target, loop.delay) == ("layer0", "layer0", 1)
    np.testing.assert_array_equal(loop.synapses[0].weight >> -loop.exponent, [[0, -8], [7, 0]])
    np.testing.assert_array_equal(entering.synapses[0].weight >> -entering.exponent, [[1, 2], [3, 4]])


def test_weights_that_netx_changes_are_told(path):
    network = read_net(write(path, {**DENSE, "shape": [1], "weight": [[300, -5]]}))
    np.testing.assert_array_equal(network.projections[0].synapses[0].weight, [[254, -5]])
    assert network.notes == ("layer0: NetX and Lava change 1 of 2 weights",)


def test_a_dense_layer_without_neurons_is_netxs_integrator(path):
    bare = {name: value for name, value in DENSE.items() if not name.startswith("neuron")}
    network = read_net(write(path, bare))
    neuron = network["layer0"].neuron
    assert (neuron.vth, neuron.du, neuron.dv) == (131_072, -1, 4096)
    assert "integrators" in network.notes[0]


@pytest.mark.parametrize(
    ("field", "value"), [("refDelay", 2), ("wgtExp", -1), ("weight_exp", 3), ("gradedSpike", True)]
)
def test_what_netx_ignores_is_told(path, field, value):
    network = read_net(write(path, {**DENSE, f"neuron/{field}": value}))
    assert network.notes == (f"/layer/0/neuron/{field} is {value:g}, which NetX ignores",)
    assert read_net(write(path, {**DENSE, "neuron/refDelay": 1, "neuron/messageBits": 0})).notes == ()


def test_an_input_with_neurons(path):
    neurons = {**INPUT, "type": b"input", "weight": np.array([36.7]), "bias": np.array([34.0]), **CUBA}
    network = read_net(write(path, neurons, CONV))
    source, first = network.inputs[0], network["layer0"]
    assert (source.spike_range, first.shape) == ((0, 36), (2, 4, 5))
    drive = network.projections[0]
    assert isinstance(drive.synapses[0], OneToOne)
    assert (drive.synapses[0].weight, drive.delay, drive.exponent) == (1, 1, 0)
    assert (first.neuron.bias_mant, first.neuron.du, first.neuron.dv) == (34, 4095, 128)
    assert "the input is 36 * x" in network.notes[1]
    assert "36 * x + 34 as biases" in network.notes[1]


@pytest.mark.parametrize(
    ("weight", "bias", "expected"), [(-20, 5, (20, -1, 5)), (None, None, (64, 1, 0)), (0, -2, (1, 0, -2))]
)
def test_the_range_of_driven_biases(path, weight, bias, expected):
    network = read_net(write(path, {**INPUT, "weight": weight, "bias": bias, **CUBA}))
    sign = network.projections[0].synapses[0].weight
    assert (network.inputs[0].maximum, sign, network["layer0"].neuron.bias_mant) == expected


def test_intervals_and_graded_inputs_come_as_arguments(path):
    write(path, INPUT, CONV, FLATTEN, DENSE)
    network = read_net(path, arguments=Arguments(reset_interval=10, reset_offset=8, input_message_bits=4))
    neurons = [network[name].neuron for name in ("layer1", "layer3")]
    assert all(type(neuron) is LoihiLIFReset and neuron.interval == 10 for neuron in neurons)
    assert [neuron.offset for neuron in neurons] == [9, 0]
    assert network.inputs[0].maximum == 15


def test_layers_can_be_left_out(path):
    write(path, {**INPUT, **CUBA}, CONV, FLATTEN, DENSE)
    first = read_net(path, num_layers=2)
    assert first.outputs == ("layer1",)
    rest = read_net(path, skip_layers=1)
    assert [population.name for population in rest.populations] == ["input", "layer1", "layer3"]
    assert rest.inputs[0].shape == (2, 4, 5)
    last = read_net(path, skip_layers=2, arguments=Arguments(reset_interval=9))
    assert last.inputs[0].shape == (3, 3, 3)
    assert last["layer3"].neuron.offset == 1


def test_layers_before_one_that_netx_cannot_build(path):
    write(path, DENSE, {"type": b"average", "shape": [2, 1, 1]})
    assert "found average, limit input, conv" in refusal(path)
    assert "num_layers=1 reads the layers before it" in refusal(path)
    assert read_net(path, num_layers=1).outputs == ("layer0",)


def test_a_sum_that_might_leave_24_bits_wraps_there(path):
    large = {**CONV, "weight": np.full((3, 2, 2, 3), 1 << 21)}
    projection = read_net(write(path, INPUT, large)).projections[0]
    assert (projection.accumulator, projection.exponent) == (CONV_FORMAT, 0)


@pytest.mark.parametrize(
    "weight", [2 * np.arange(-50, -14), np.arange(36), 2 * np.arange(-18, 18), 9 * np.arange(-18, 18)]
)
def test_kernels_that_stay_as_they_are(path, weight):
    projection = read_net(write(path, INPUT, {**CONV, "weight": weight.reshape(3, 2, 2, 3)})).projections[0]
    assert projection.exponent == 0
    np.testing.assert_array_equal(projection.synapses[0].weight.ravel(), weight)


def test_numbers_in_the_other_byte_order(path):
    network = read_net(write(path, {**DENSE, "weight": DENSE["weight"].astype(">i4"), "bias": np.array([3], ">f8")}))
    assert network["layer0"].neuron.bias_mant == 3
    np.testing.assert_array_equal(network.projections[0].synapses[0].weight, DENSE["weight"] << 1)


@pytest.mark.parametrize(
    ("layers", "words"),
    [
        ([{**DENSE, "type": b"pool"}], "/layer/0: NetX cannot build this type of layer (found pool"),
        ([{**DENSE, "type": 3}], "/layer/0/type: is no short text"),
        ([{**DENSE, "type": b"d" * 65}], "is no short text"),
        ([{**DENSE, "type": "d" * 65}], "is no short text"),
        ([{**DENSE, "type": [b"dense", b"dense"]}], "is no short text"),
        ([{**DENSE, "type": None}], "/layer/0/type: is missing"),
        ([{**DENSE, "shape": None}], "/layer/0/shape: is missing"),
        ([{**DENSE, "shape": [2, 2]}], "the shape cannot be used (found (2, 2)"),
        ([{**DENSE, "shape": [0]}], "the shape cannot be used"),
        ([{**DENSE, "shape": [1 << 20, 1 << 20, 1]}], "the shape cannot be used"),
        ([{**DENSE, "weight": None}], "/layer/0/weight: is missing"),
        ([{**DENSE, "weight": np.array([1 + 2j])}], "/layer/0/weight: holds no numbers"),
        ([{**DENSE, "weight": [b"a"]}], "/layer/0/weight: holds no numbers"),
        ([{**DENSE, "weight": np.array([[np.nan]])}], "not finite"),
        ([{**DENSE, "weight": np.array([[1e300]])}], "not finite or absurd"),
        ([{**DENSE, "weight": np.full((4, 2), 1 << 31)}], "does not fit 32 bits"),
        ([{**DENSE, "weight": np.ones((3, 2))}], "the weights do not fit the shape (found (3, 2), limit (4, N_in))"),
        ([{**DENSE, "weight": np.ones(7)}], "the weights do not fit the shape"),
        ([{**DENSE, "weight": np.zeros((4, 2))}], "/layer/0: all weights are 0"),
        ([{**DENSE, "weight": np.full((4, 2), 300)}], "beyond 8 bits"),
        ([{**DENSE, "weight": None, "weight/real": [1], "weight/imag": [1]}], "/layer/0/weight: is no dataset"),
        ([{**DENSE, "bias": [1, 2]}], "/layer/0/bias: the biases do not fit the shape"),
        ([{**DENSE, "delay": [1, 2]}], "/layer/0/delay: the delays do not fit the weights"),
        ([{**DENSE, "delay": -1}], "a delay is negative (found -1"),
        ([{**DENSE, "neuron/type": "SDNN"}], "/layer/0/neuron: is no LIF neuron (found SDNN, limit LOIHI, CUBA)"),
        ([{**DENSE, "neuron/type": "RF_PHASE"}], "is no LIF neuron"),
        ([{**DENSE, "neuron/type": None}], "/layer/0/neuron/type: is missing"),
        ([{**DENSE, "neuron/messageBits": 8}], "graded spikes are not supported"),
        ([{**DENSE, "neuron/iDecay": 4098}], "/layer/0/neuron/iDecay: is out of range (found [4098]"),
        ([{**DENSE, "neuron/vDecay": 0.5}], "/layer/0/neuron/vDecay: is out of range"),
        ([{**DENSE, "neuron/vThMant": [1, 2]}], "/layer/0/neuron/vThMant: is out of range (found [1, 2]"),
        ([{**DENSE, "neuron/vThMant": None}], "/layer/0/neuron/vThMant: is missing"),
        ([DENSE, INPUT], "/layer/1: an input is the first layer"),
        ([INPUT, DENSE], "/layer/1: the weights do not fit what arrives"),
        ([INPUT, CONV, DENSE], "needs a flatten layer before it (found (3, 3, 3))"),
        ([INPUT], "no layers with neurons are left"),
        ([{"type": b"input", **CUBA}], "an input with neurons needs a shape"),
        ([{**INPUT, **CUBA, "weight": [1, 2]}], "/layer/0/weight: is one number"),
        ([CONV], "/layer/0: a convolution needs an input of (C, H, W) (found no input layer)"),
        ([INPUT, {**CONV, "shape": [3, 3, 4]}], "the stored shape is not what the convolution gives"),
        ([INPUT, {**CONV, "shape": [18]}], "a convolution's sizes"),
        ([INPUT, {**CONV, "weight": np.ones((3, 2, 2))}], "a convolution's sizes"),
        ([INPUT, {**CONV, "weight": np.ones((3, 2, 2, 3, 2))}], "a convolution's sizes"),
        ([INPUT, {**CONV, "weight": np.ones((3, 4, 2, 3))}], "/layer/1: Conv2d: input channels differ"),
        ([INPUT, {**CONV, "groups": 2}], "/layer/1: Conv2d"),
        ([INPUT, {**CONV, "groups": 0}], "/layer/1/groups: is out of range"),
        ([INPUT, {**CONV, "stride": [0, 1]}], "/layer/1/stride: is out of range"),
        ([INPUT, {**CONV, "padding": [1, 128]}], "/layer/1/padding: is out of range"),
        ([INPUT, {**CONV, "dilation": [1, 1, 1]}], "/layer/1/dilation: is out of range"),
        ([INPUT, {**CONV, "stride": None}], "/layer/1/stride: is missing"),
        ([INPUT, {**CONV, "bias": np.ones(2)}], "the biases do not fit the shape"),
        ([INPUT, {name: value for name, value in CONV.items() if "neuron" not in name}], "needs the neurons"),
    ],
)
def test_layers_that_are_refused(path, layers, words):
    assert words in refusal(write(path, *layers))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"weight_rec": None}, "/layer/0/weight_rec: is missing"),
        ({"weight_rec": np.ones((2, 3))}, "the recurrent weights do not fit"),
        ({"weight_rec": np.ones((2, 2)), "delay": 1}, "loses the weight exponent"),
    ],
)
def test_recurrent_layers_that_are_refused(path, changes, words):
    layer = {**DENSE, "type": b"dense_rec", "shape": [2], "weight": np.ones((2, 5)), **changes}
    assert words in refusal(write(path, layer))


def test_files_that_are_none(tmp_path):
    assert "cannot be read" in refusal(tmp_path / "none.net")
    (tmp_path / "text.net").write_bytes(b"layer")
    assert "is no .net file: not an HDF5 file" in refusal(tmp_path / "text.net")
    with h5py.File(tmp_path / "other.net", "w") as file:
        file["weights"] = 1
    assert "an HDF5 file without the group 'layer'" in refusal(tmp_path / "other.net")
    with h5py.File(tmp_path / "dataset.net", "w") as file:
        file["layer"] = 1
    assert "/layer: is no group" in refusal(tmp_path / "dataset.net")


def test_gaps_between_layers(path):
    write(path, DENSE, extra=[("layer/2/type", b"dense")])
    assert "numbered from 0 without gaps (found no 1)" in refusal(path)


def test_an_absurd_number_of_layers(path, monkeypatch):
    monkeypatch.setattr(file_reader, "MOST_LAYERS", 1)
    assert "the number of layers is absurd (found 2" in refusal(write(path, INPUT, CONV))
    with h5py.File(path, "w") as file:
        file.create_group("layer")
    assert "the number of layers is absurd (found 0" in refusal(path)


@pytest.mark.parametrize("share", [0.3, 0.6, 0.9, 0.99])
def test_a_torn_file(path, share):
    content = write(path, INPUT, CONV, FLATTEN, DENSE).read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    assert "is torn or damaged" in refusal(path)


@pytest.mark.parametrize("name", ["layer/0/weight", "layer/0/neuron", "layer/0", "layer"])
def test_links_are_not_followed(path, name):
    write(path, DENSE)
    with h5py.File(path, "r+") as file:
        del file[name]
        file[name] = h5py.SoftLink("/simulation")
    assert f"/{name}: is a link that leads elsewhere" in refusal(path)


def test_chunked_data_are_refused_with_a_remedy(path):
    write(path, {**DENSE, "weight": None})
    with h5py.File(path, "r+") as file:
        file.create_dataset("layer/0/weight", data=DENSE["weight"], compression="gzip")
    assert "h5repack" in refusal(path)


def test_data_that_are_declared_and_not_there(path):
    write(path, {**DENSE, "weight": None})
    with h5py.File(path, "r+") as file:
        file.create_dataset("layer/0/weight", shape=(1 << 40,), dtype="f4")
    assert f"found {1 << 42} bytes, limit 0" in refusal(path)


def test_a_text_that_claims_to_be_endless_is_not_read(path, monkeypatch):
    """A text of variable length states its own length, for which HDF5 would take memory."""
    content = bytearray(write(path, {**DENSE, "type": "dense"}).read_bytes())
    with h5py.File(path) as file:
        start = file["layer/0/type"].id.get_offset()
    content[start : start + 4] = (1 << 30).to_bytes(4, "little")
    path.write_bytes(content)
    monkeypatch.setattr(h5py.Dataset, "__getitem__", lambda *_: pytest.fail("read before its length was checked"))
    assert "/layer/0/type: is no short text" in refusal(path)


def test_stored_arguments_are_checked(path):
    write(path, DENSE, extra=[("arguments/reset_interval", -3)])
    assert "/arguments/reset_interval: is out of range" in refusal(path)
    write(path, DENSE, extra=[("arguments/input_message_bits", 40)])
    with pytest.raises(UsageError, match=re.escape("input_message_bits 0..32")):
        read_net(path)


@pytest.mark.parametrize("options", [{"num_layers": 0}, {"skip_layers": -1}])
def test_absurd_choices_of_layers(path, options):
    with pytest.raises(UsageError, match="counted from 0"):
        read_net(write(path, DENSE), **options)


def test_absurd_arguments(path):
    with pytest.raises(UsageError, match="arguments out of range"):
        read_net(write(path, DENSE), arguments=Arguments(reset_interval=-1))


def test_no_names_of_the_file_move_a_terminal(path):
    line = refusal(write(path, {**DENSE, "type": b"a\x1b[2J"}))
    assert "\x1b" not in line


def test_a_wide_type_of_number_is_refused(path):
    write(path, {**DENSE, "weight": np.ones((4, 2), dtype=np.longdouble)})
    if np.dtype(np.longdouble).itemsize > 8:
        assert "holds no numbers" in refusal(path)


def test_32_bits_are_lavas(path):
    assert datasets.INT32_EDGE == 1 << 31
    network = read_net(write(path, {**DENSE, "neuron/vThMant": (1 << 31) - 1}))
    assert network["layer0"].neuron.vth == (1 << 31) - 1
