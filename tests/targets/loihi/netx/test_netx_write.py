"""The content of a written file, and every fault that keeps a network from being written."""

import h5py
import numpy as np
import pytest

from nmdeploy.errors import BundleError, FitError
from nmdeploy.network import Network, Population, Projection
from nmdeploy.neurons import IF
from nmdeploy.synapses import Conv2d, Dense, OneToOne, Reshape, SumPool2d, Upsample2d
from quantize import IntegerFormat, Overflow
from targets.loihi.netx import Arguments, from_network, write_net
from targets.loihi.neuron import LoihiLIF, LoihiLIFReset, LoihiLIFSubtract
from targets.loihi.weights import CHANNEL_FORMAT, CONV_FORMAT

KERNEL = 2 * np.arange(-8, 10).reshape(3, 1, 2, 3)
WEIGHT = 2 * np.arange(-24, 30).reshape(2, 27)


NEURONS = (LoihiLIF(90), LoihiLIF(70))


def network(neurons=NEURONS, *, source=None, conv=None, dense=None, extra=(), outputs=()):
    """(1, 4, 5) - a convolution with 3 channels - flatten - 2 neurons, with changes."""
    populations = (
        source or Population("in", (1, 4, 5)),
        Population("map", (3, 3, 3), neurons[0]),
        Population("out", (2,), neurons[1]),
    )
    projections = (
        conv or Projection("in", "map", (Conv2d(KERNEL),), 1, -1),
        dense or Projection("map", "out", (Reshape((27,)), Dense(WEIGHT)), 1, -1),
    )
    return Network("net", populations, (*projections, *extra), outputs=outputs)


def codes(made, path):
    """The codes of all faults, and their text."""
    with pytest.raises(FitError) as refused:
        write_net(made, path)
    assert not path.exists()
    return [violation.code for violation in refused.value.violations], str(refused.value)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "a.net"


def test_the_content_of_a_file(path):
    bias = np.array([[[1]], [[2]], [[-3]]])
    assert write_net(network((LoihiLIF(90, dv=128, bias_mant=bias, bias_exp=6), LoihiLIF(70))), path) == Arguments()
    with h5py.File(path) as file:
        assert sorted(file) == ["layer"]
        assert [file[f"layer/{index}/type"][0] for index in range(4)] == [b"input", b"conv", b"flatten", b"dense"]
        assert [tuple(file[f"layer/{index}/shape"][()]) for index in range(4)] == [(1, 4, 5), (3, 3, 3), (27,), (2,)]
        assert "neuron" not in file["layer/0"]
        layer = file["layer/1"]
        np.testing.assert_array_equal(layer["weight"][()], KERNEL // 2)
        np.testing.assert_array_equal(layer["bias"][()], [1, 2, -3])
        sizes = {name: layer[name][()].tolist() for name in ("stride", "padding", "dilation", "groups", "kernelSize")}
        assert sizes == {
            "stride": [1, 1],
            "padding": [0, 0],
            "dilation": [1, 1],
            "groups": 1,
            "kernelSize": [2, 3],
        }
        neuron = {name: layer["neuron"][name][()] for name in layer["neuron"]}
        assert neuron.pop("type") == b"CUBA"
        assert neuron == {"iDecay": 4096, "vDecay": 128, "vThMant": 90, "refDelay": 1, "gradedSpike": False}
        np.testing.assert_array_equal(file["layer/3/weight"][()], WEIGHT // 2)
        assert (file["layer/3/inFeatures"][()], file["layer/3/outFeatures"][()]) == (27, 2)
        assert "bias" not in file["layer/3"]
        assert "delay" not in file["layer/3"]


def test_the_same_network_gives_the_same_bytes(tmp_path):
    for name in ("a.net", "b.net"):
        write_net(network(), tmp_path / name)
    assert (tmp_path / "a.net").read_bytes() == (tmp_path / "b.net").read_bytes()


def test_biases_that_differ_within_a_channel_are_in_the_order_of_lava(path):
    bias = np.arange(27).reshape(3, 3, 3)
    write_net(network((LoihiLIF(90, bias_mant=bias, bias_exp=6), LoihiLIF(70, bias_mant=5, bias_exp=6))), path)
    with h5py.File(path) as file:
        np.testing.assert_array_equal(file["layer/1/bias"][()], bias.transpose(2, 1, 0))
        np.testing.assert_array_equal(file["layer/3/bias"][()], [5, 5])


def test_a_bias_may_have_another_exponent(path):
    write_net(network((LoihiLIF(90, bias_mant=10, bias_exp=7), LoihiLIF(70, bias_mant=-128, bias_exp=0))), path)
    with h5py.File(path) as file:
        np.testing.assert_array_equal(file["layer/1/bias"][()], [20, 20, 20])
        np.testing.assert_array_equal(file["layer/3/bias"][()], [-2, -2])


def test_a_pool_is_folded_into_the_kernel(path):
    chain = (SumPool2d((2, 1)), Conv2d(KERNEL[:, :, :1]))
    wide = Population("in", (1, 6, 5))
    write_net(network(source=wide, conv=Projection("in", "map", chain, 1, -1)), path)
    with h5py.File(path) as file:
        np.testing.assert_array_equal(file["layer/1/weight"][()], np.repeat(KERNEL[:, :, :1] // 2, 2, axis=2))
        assert file["layer/1/stride"][()].tolist() == [2, 1]


def test_what_is_no_convolution_becomes_a_matrix_and_all_after_it(path):
    populations = (
        Population("in", (1, 2, 2)),
        Population("big", (1, 4, 4), LoihiLIF(2)),
        Population("map", (1, 2, 2), LoihiLIF(3)),
    )
    chains = ((OneToOne(np.array([3])), Upsample2d((2, 2))), (Conv2d(np.full((1, 1, 2, 2), 5), stride=(2, 2)),))
    joins = tuple(
        Projection(before.name, here.name, chain, 1)
        for before, here, chain in zip(populations, populations[1:], chains, strict=False)
    )
    write_net(Network("net", populations, joins), path)
    with h5py.File(path) as file:
        assert [file[f"layer/{index}/type"][0] for index in range(4)] == [b"input", b"flatten", b"dense", b"dense"]
        assert file["layer/2/weight"].shape == (16, 4)
        np.testing.assert_array_equal(file["layer/3/weight"][()].sum(axis=0), np.full(16, 5))


def test_delays_are_those_beyond_the_step_of_the_layer(path):
    late = np.zeros_like(WEIGHT)
    late[0, 3], early = WEIGHT[0, 3], WEIGHT.copy()
    early[0, 3] = 0
    dense = Projection("map", "out", (Reshape((27,)), Dense(early)), 1, -1)
    extra = Projection("map", "out", (Reshape((27,)), Dense(late)), 63, -1)
    write_net(network(dense=dense, extra=(extra,)), path)
    with h5py.File(path) as file:
        delay = file["layer/3/delay"][()]
        assert (delay[0, 3], np.count_nonzero(delay)) == (62, 1)
        np.testing.assert_array_equal(file["layer/3/weight"][()], WEIGHT // 2)


def test_a_loop_becomes_a_recurrent_layer(path):
    loop = Projection("out", "out", (Dense(np.array([[4, -6], [8, 2]])),), 1, -1)
    write_net(network(extra=(loop,), outputs=("out",)), path)
    with h5py.File(path) as file:
        assert file["layer/3/type"][0] == b"dense_rec"
        np.testing.assert_array_equal(file["layer/3/weight_rec"][()], [[2, -3], [4, 1]])


def test_intervals_and_graded_inputs_are_arguments(path):
    neurons = (LoihiLIFReset(90, interval=8, offset=5), LoihiLIFReset(70, interval=8, offset=6))
    graded = Population("in", (1, 4, 5), minimum=-3, maximum=200)
    expected = Arguments(reset_interval=8, reset_offset=4, input_message_bits=9)
    assert write_net(network(neurons, source=graded), path) == expected
    assert expected.given() == {"reset_interval": 8, "reset_offset": 4, "input_message_bits": 9}
    with h5py.File(path) as file:
        assert {name: int(file["arguments"][name][()]) for name in file["arguments"]} == expected.given()


@pytest.mark.parametrize(
    ("neurons", "code", "words"),
    [
        ((LoihiLIF(90), IF(70)), "LOI311", "found IF"),
        ((LoihiLIF(np.array([[[9]], [[8]], [[9]]])), LoihiLIF(70)), "LOI310", "map: thresholds or decays differ"),
        ((LoihiLIF(90), LoihiLIF(70, du=np.array([4095, 4]))), "LOI310", "out: thresholds or decays differ"),
        ((LoihiLIF(90, v_init=64), LoihiLIF(70)), "LOI309", "initial potential of 0"),
        ((LoihiLIF(90), LoihiLIF(70, u_init=np.array([0, 1]))), "LOI309", "u and v start from 0"),
        ((LoihiLIF(90, bias_mant=np.full((3, 1, 1), 65)), LoihiLIF(70)), "LOI308", "found 65/64"),
        ((LoihiLIF(90), LoihiLIF(70, bias_mant=40_000, bias_exp=6)), "LOI308", "found 40000..40000"),
        ((LoihiLIF(90), LoihiLIFReset(70, interval=5)), "LOI306", "found never cleared"),
        (
            (LoihiLIFReset(9, interval=5, offset=1), LoihiLIFReset(7, interval=5, offset=1)),
            "LOI306",
            "interval 5, offset 1",
        ),
        ((LoihiLIFReset(9, interval=5, offset=1), LoihiLIFReset(7, interval=6, offset=2)), "LOI306", "interval 6"),
        ((LoihiLIFReset(9, interval=5, offset=1), LoihiLIF(7)), "LOI306", "out: NetX clears all layers"),
    ],
)
def test_neurons_that_a_file_cannot_say(path, neurons, code, words):
    found, text = codes(network(neurons), path)
    assert found == [code]
    assert words in text


def test_reset_by_subtraction_is_refused(path):
    found, text = codes(network((LoihiLIF(90), LoihiLIFSubtract(70, subtrahend=71))), path)
    assert found == ["LOI311"]
    assert "found loihi.LIFSubtract" in text
    assert "form 'lava'" in text


def dense(weight, exponent=0, delay=1, accumulator=None):
    return Projection("map", "out", (Reshape((27,)), Dense(weight)), delay, exponent, accumulator)


def spread(*values):
    """`[2, 27]` of zeros but for these."""
    weight = np.zeros((2, 27), dtype=int)
    weight.flat[: len(values)] = values
    return weight


@pytest.mark.parametrize(
    ("changes", "code", "words"),
    [
        ({"dense": dense(spread())}, "LOI303", "all weights are 0"),
        ({"dense": dense(spread(-256, -2))}, "LOI303", "-256 becomes -255"),
        ({"dense": dense(np.full((2, 27), -1))}, "LOI303", "-1 becomes 0"),
        ({"dense": dense(spread(255, -1))}, "LOI303", "255 becomes 254"),
        ({"dense": dense(spread(256))}, "LOI303", "beyond 8 bits"),
        ({"dense": dense(spread(-201))}, "LOI303", "9 bits"),
        ({"dense": dense(spread(3, 1), -1)}, "LOI304", "multiples of 2"),
        ({"dense": dense(WEIGHT, -1, delay=64)}, "LOI312", "found 63, limit 62"),
        ({"dense": dense(WEIGHT, -1, accumulator=IntegerFormat(16))}, "LOI307", "found 16 bits"),
        ({"conv": Projection("in", "map", (Conv2d(KERNEL << 5),), 1)}, "LOI305", "found -512..576, limit -256..255"),
        ({"conv": Projection("in", "map", (Conv2d(KERNEL + 1),), 1, -1)}, "LOI304", "multiples of 2"),
        (
            {"conv": Projection("in", "map", (Conv2d(KERNEL),), 1, accumulator=CHANNEL_FORMAT)},
            "LOI307",
            "Lava wraps these sums at 24 bits",
        ),
        ({"source": Population("in", (1, 4, 5), maximum=1 << 20)}, "LOI307", "limit 8388607"),
    ],
)
def test_synapses_that_a_file_cannot_say(path, changes, code, words):
    found, text = codes(network(**changes), path)
    assert found == [code]
    assert words in text


def test_lavas_own_formats_can_be_said(path):
    conv = Projection("in", "map", (Conv2d(KERNEL),), 1, -1, accumulator=CONV_FORMAT)
    write_net(network(conv=conv, dense=dense(WEIGHT, -1, accumulator=CHANNEL_FORMAT)), path)
    assert path.exists()


def test_two_synapses_between_the_same_neurons(path):
    found, text = codes(network(extra=(dense(spread(0, 0, 2), -1, delay=3),)), path)
    assert found == ["LOI312"]
    assert "another of delay 3" in text


@pytest.mark.parametrize("late", ["loop", "input"])
def test_a_loop_with_delays(path, late):
    loop = Projection("out", "out", (Dense(np.array([[4, -6], [8, 2]])),), 2 if late == "loop" else 1, -1)
    entering = dense(WEIGHT, -1, delay=2 if late == "input" else 1)
    found, text = codes(network(dense=entering, extra=(loop,), outputs=("out",)), path)
    assert found == ["LOI312"]
    assert "loses the weight exponent" in text


def test_a_matrix_that_would_be_too_large(path, monkeypatch):
    monkeypatch.setattr(from_network, "MOST_WEIGHTS", 53)
    found, text = codes(network(), path)
    assert found == ["LOI302"]
    assert "found 54, limit 53" in text


def test_a_branch_is_named(path):
    skip = Projection("in", "out", (Reshape((20,)), Dense(np.ones((2, 20), dtype=int))), 2)
    found, text = codes(network(extra=(skip,)), path)
    assert found[0] == "LOI301"
    assert "in: layers of a .net file form one chain (found it projects to map, out" in text


def test_a_second_input_is_named(path):
    second = Population("other", (2,))
    joined = Projection("other", "out", (Dense(np.ones((2, 2), dtype=int)),), 1)
    made = network()
    two = Network("net", (*made.populations, second), (*made.projections, joined))
    found, text = codes(two, path)
    assert found == ["LOI301", "LOI301"]
    assert "found 2 inputs" in text
    assert "out: layers of a .net file form one chain (found it receives from map, other, limit map)" in text


def test_an_output_in_the_middle_is_named(path):
    found, text = codes(network(outputs=("map",)), path)
    assert found == ["LOI301"]
    assert "NetX's output is the last layer (found map, limit out)" in text


def test_a_loop_over_two_populations_is_named(path):
    back = Projection("out", "map", (Dense(np.ones((27, 2), dtype=int)), Reshape((3, 3, 3))), 1)
    found, text = codes(network(extra=(back,), outputs=("out",)), path)
    assert found == ["LOI301"]
    assert "map: layers of a .net file form one chain (found it receives from in, out" in text


def test_all_faults_are_told_at_once(path):
    neurons = (LoihiLIF(90, v_init=64), LoihiLIF(70, bias_mant=1))
    found, _ = codes(network(neurons, dense=dense(spread())), path)
    assert found == ["LOI309", "LOI303", "LOI308"]


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(BundleError, match="cannot be written"):
        write_net(network(), tmp_path / "none" / "a.net")


def test_an_accumulator_that_saturates_is_not_lavas(path):
    form = IntegerFormat(32, overflow=Overflow.SATURATE)
    assert codes(network(dense=dense(WEIGHT, -1, accumulator=form)), path)[0] == ["LOI307"]
