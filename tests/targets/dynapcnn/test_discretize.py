"""The schemes that are sinabs': bit for bit."""

import json
import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_array_equal

from nmdeploy.errors import QuantizationError
from nmdeploy.network import Network, Population, Projection
from nmdeploy.neurons import IF, Integrator
from nmdeploy.synapses import Conv2d, Dense
from targets.dynapcnn import TARGET
from targets.dynapcnn.discretize import (
    common_pooling_factor,
    discretization_factor,
    discretized,
    with_default_floor,
)

CHIP = TARGET.chips()["speck2f"]
SCHEMES = TARGET.quantizers(CHIP, "step")
tensors = arrays(np.float32, st.integers(1, 20), elements=st.floats(-100, 100, width=32))


def by_sinabs(network, profile="step"):
    return TARGET.quantizers(CHIP, profile)["sinabs-discretizer"](network, None)


def layer(weight, bias=None, *, threshold=1.0, floor=-1.0, v_init=0.0):
    """A network of one convolution without padding over the smallest map, bigger where `v_init` is."""
    height, width = np.shape(v_init)[1:] if np.ndim(v_init) else (1, 1)
    channels, kernel = weight.shape[1], weight.shape[2:]
    neuron = IF(threshold, 0.0 if bias is None else bias[:, None, None], v_init, floor)
    populations = (
        Population("in", (channels, height + kernel[0] - 1, width + kernel[1] - 1)),
        Population("out", (len(weight), height, width), neuron),
    )
    return Network("layer", populations, (Projection("in", "out", (Conv2d(weight),)),))


@given(tensors, st.sampled_from([8, 16]))
def test_factors_and_integers_are_those_of_torch(values, bits):
    """The formulas of sinabs/backend/dynapcnn/discretize.py, typed into torch."""
    torch = pytest.importorskip("torch")
    tensor = torch.from_numpy(values)
    least, most = -(2 ** (bits - 1)), 2 ** (bits - 1) - 1
    if abs(torch.min(tensor)) <= abs(torch.max(tensor)) * abs(least / most):
        expected = abs(most / torch.max(tensor))
    else:
        expected = abs(least / torch.min(tensor))
    factor = discretization_factor(values, bits)
    assert factor == np.float32(expected)
    assume(np.isfinite(factor))
    integers = discretized(values, factor)
    assert_array_equal(integers, torch.round(tensor * expected).to(torch.int64).numpy())
    assert least <= integers.min() <= integers.max() <= most


def test_a_quotient_is_a_reciprocal_times_a_number():
    """Where true division differs in the last bit."""
    values = np.random.default_rng(0).normal(size=(2000, 1)).astype(np.float32)
    differing = [value for value in np.abs(values) if discretization_factor(value, 8) != np.float32(127) / value[0]]
    assert 200 < len(differing) < 1000


def test_values_of_0_ask_for_nothing():
    assert discretization_factor(np.zeros(3), 8) == np.inf


def test_halves_round_to_even():
    assert_array_equal(discretized(np.array([0.5, 1.5, 2.5, -0.5, -1.5]), np.float32(1)), [0, 2, 2, 0, -2])


def test_pooling_factors_of_several_sources():
    assert common_pooling_factor([0.25, 0.25]) == 0.25
    assert common_pooling_factor([0.25, 1.0]) == 0.31  # half of the mean, rounded to two places


@pytest.mark.shared
def test_recorded_tensors(shared_data):
    vectors = json.loads((shared_data / "golden" / "dynapcnn" / "discretize_vectors.json").read_text())
    assert len(vectors) == 81
    for vector in vectors:
        values = np.array(vector["x"], np.float32)
        factor = discretization_factor(values, vector["bits"])
        assert factor == np.float32(vector["scale"])
        assert_array_equal(discretized(values, factor), vector["q"])


@pytest.mark.shared
def test_recorded_layers(shared_data):
    folder = shared_data / "golden" / "dynapcnn"
    compared = 0
    for path in sorted(folder.glob("*.npz")):
        used = json.loads(path.with_suffix("").with_suffix(".config.json").read_text())["scales"]
        with np.load(path) as stored:
            arrays_of = {name: stored[name] for name in stored.files if name.startswith(("float.", "disc."))}
        for name in sorted(key.split(".")[1] for key in arrays_of if key.startswith("float.") and "weight" in key):
            real = {key.split(".")[2]: value for key, value in arrays_of.items() if key.startswith(f"float.{name}.")}
            whole = {key.split(".")[2]: value for key, value in arrays_of.items() if key.startswith(f"disc.{name}.")}
            floor = float(real["min_v_mem"]) if "min_v_mem" in real else None
            state = real["v_mem"][0] if "v_mem" in real else 0.0
            net = layer(real["weight"], real.get("bias"), threshold=float(real["threshold"]), floor=floor, v_init=state)
            made = by_sinabs(net)
            neuron = made["out"].neuron
            assert_array_equal(made.projections[0].synapses[0].weight, whole["weight"])
            assert (neuron.threshold, neuron.v_min) == (whole["threshold"], whole["min_v_mem"])
            assert_array_equal(np.ravel(neuron.bias), whole.get("bias", [0]))
            if "v_mem" in whole:
                assert_array_equal(neuron.v_init, whole["v_mem"][0])
            assert np.float32(1 / made["out"].potential_scale) == np.float32(used[name[1:]]["used"])
            compared += 1
    assert compared == 34


def drawn_layer(seed):
    rng = np.random.default_rng(seed)
    weight = (rng.normal(size=(3, 2, 2, 2)) * 10.0 ** rng.integers(-2, 2)).astype(np.float32)
    bias = (rng.normal(size=3) * rng.choice([0.1, 3])).astype(np.float32) if rng.random() < 0.5 else None
    state = rng.normal(size=(3, 2, 4)).astype(np.float32) if rng.random() < 0.3 else 0.0
    floor = None if rng.random() < 0.1 else -float(np.float32(rng.random() * 4))
    return layer(weight, bias, threshold=float(np.float32(rng.random() * 3 + 0.05)), floor=floor, v_init=state)


DRIVER = """
import sys
import numpy as np
import torch
from torch import nn
import sinabs.layers as sl
from sinabs.backend.dynapcnn.discretize import discretize_conv_spike

given, made = np.load(sys.argv[1]), {}
for seed in range(int(sys.argv[2])):
    get = lambda name: given[f"{seed}.{name}"] if f"{seed}.{name}" in given.files else None
    weight, bias, state, floor = (get(name) for name in ("weight", "bias", "v_init", "floor"))
    conv = nn.Conv2d(weight.shape[1], len(weight), weight.shape[2:], bias=bias is not None)
    conv.weight.data = torch.from_numpy(weight)
    if bias is not None:
        conv.bias.data = torch.from_numpy(bias)
    spiking = sl.IAF(spike_threshold=float(get("threshold")), min_v_mem=None if floor is None else float(floor))
    if state is not None:
        spiking.init_state_with_shape((1, *state.shape))
        spiking.v_mem.data = torch.from_numpy(state)[None]
    conv, spiking = discretize_conv_spike(conv, spiking)
    made[f"{seed}.weight"] = conv.weight.detach().numpy()
    made[f"{seed}.ends"] = np.array([spiking.min_v_mem.item(), spiking.spike_threshold.item()])
    if bias is not None:
        made[f"{seed}.bias"] = conv.bias.detach().numpy()
    if state is not None:
        made[f"{seed}.v_init"] = spiking.v_mem.detach().numpy()[0]
np.savez(sys.argv[3], **made)
"""


@pytest.mark.slow
@pytest.mark.shared
def test_layers_are_those_of_sinabs_itself(shared_data, tmp_path):
    """sinabs 3.1.3 on a stand-in for samna, in a process of its own."""
    pytest.importorskip("sinabs")
    count, given_arrays = 300, {}
    networks = [drawn_layer(seed) for seed in range(count)]
    for seed, network in enumerate(networks):
        neuron = network["out"].neuron
        given_arrays[f"{seed}.weight"] = network.projections[0].synapses[0].weight
        given_arrays[f"{seed}.threshold"] = np.array(neuron.threshold)
        if np.ndim(neuron.bias):
            given_arrays[f"{seed}.bias"] = neuron.bias.ravel()
        if np.ndim(neuron.v_init):
            given_arrays[f"{seed}.v_init"] = neuron.v_init
        if neuron.v_min is not None:
            given_arrays[f"{seed}.floor"] = np.array(neuron.v_min)
    np.savez(tmp_path / "given.npz", **given_arrays)
    (tmp_path / "driver.py").write_text(DRIVER, encoding="utf-8")
    command = [sys.executable, "driver.py", "given.npz", str(count), "made.npz"]
    environment = {**os.environ, "PYTHONPATH": str(shared_data / "standins")}
    ran = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    vanished = 0
    with np.load(tmp_path / "made.npz") as made:
        for seed, network in enumerate(networks):
            if made[f"{seed}.ends"][1] == 0:
                vanished += 1
                with pytest.raises(QuantizationError, match="rounds to 0"):
                    by_sinabs(network)
                continue
            ours = by_sinabs(network)
            neuron = ours["out"].neuron
            assert_array_equal(ours.projections[0].synapses[0].weight, made[f"{seed}.weight"])
            assert_array_equal([neuron.v_min, neuron.threshold], made[f"{seed}.ends"])
            if np.ndim(neuron.bias):
                assert_array_equal(neuron.bias.ravel(), made[f"{seed}.bias"])
            if np.ndim(neuron.v_init):
                assert_array_equal(neuron.v_init, made[f"{seed}.v_init"])
    assert 0 < vanished < count // 4


def test_no_floor_counts_as_the_lowest_potential_and_costs_the_weights(rng):
    weight = rng.normal(size=(2, 1, 3, 3)).astype(np.float32) * 0.1
    made = by_sinabs(layer(weight, floor=None))
    assert made["out"].neuron.v_min == -32768
    assert made["out"].neuron.threshold == 1
    assert not made.projections[0].synapses[0].weight.any()
    assert "it has no floor, which sinabs counts as -32768" in made.notes[-1]
    assert "100.00% of the weights become 0" in made.notes[0]


def test_the_scheme_for_users_gives_the_floor_of_from_model(rng):
    weight = rng.normal(size=(2, 1, 3, 3)).astype(np.float32)
    made = SCHEMES["sinabs"](layer(weight, floor=None), None)
    assert made == replace(by_sinabs(layer(weight, floor=-1.0)), notes=made.notes)
    assert made["out"].neuron.v_min == -made["out"].neuron.threshold
    kept = layer(weight, floor=-0.25)
    assert SCHEMES["sinabs"](kept, None) == by_sinabs(kept)
    integers = layer(weight.astype(np.int8), np.zeros(2, np.int64), threshold=4, floor=None, v_init=0)
    assert with_default_floor(integers) is integers


def test_an_integer_network_is_one_already(rng):
    network = by_sinabs(layer(rng.normal(size=(2, 1, 3, 3)).astype(np.float32)))
    assert by_sinabs(network) is network


def test_a_threshold_of_0_is_refused():
    weight = np.full((1, 1, 2, 2), 500, np.float32)
    with pytest.raises(QuantizationError, match="rounds to 0, which sinabs lets through"):
        by_sinabs(layer(weight))


@pytest.mark.parametrize("what", ["threshold", "floor"])
def test_one_threshold_and_one_floor_a_core(what):
    differing = {"threshold": np.array([[[1.0]], [[2.0]]]), "floor": np.array([[[-1.0]], [[-2.0]]])}[what]
    with pytest.raises(QuantizationError, match=f"one {what} for all neurons"):
        by_sinabs(layer(np.ones((2, 1, 1, 1), np.float32), **{what: differing}))


@pytest.mark.parametrize("scheme", ["sinabs", "sinabs-discretizer", "best"])
def test_biases_need_a_profile_that_has_them(scheme):
    network = layer(np.ones((2, 1, 1, 1), np.float32), np.array([0.1, -0.2], np.float32))
    with pytest.raises(QuantizationError, match="slow clock"):
        TARGET.quantizers(CHIP, "chip")[scheme](network, None)
    made = TARGET.quantizers(CHIP, "leak")[scheme](network, None)
    assert_array_equal(made["out"].neuron.bias.ravel(), [13, -25])


def test_projections_into_one_population_share_a_factor():
    populations = (Population("a", (1,)), Population("b", (1,)), Population("out", (1,), IF(1.0, v_min=-1.0)))
    projections = (
        Projection("a", "out", (Dense(np.array([[2.0]], np.float32)),)),
        Projection("b", "out", (Dense(np.array([[-0.5]], np.float32)),)),
    )
    made = by_sinabs(Network("two", populations, projections))
    assert [int(each.synapses[0].weight[0, 0]) for each in made.projections] == [127, -32]


def test_a_layer_that_only_integrates():
    populations = (Population("in", (1,)), Population("out", (1,), Integrator(0.5, v_init=1.0)))
    network = Network("sum", populations, (Projection("in", "out", (Dense(np.array([[2.0]], np.float32)),)),))
    made = by_sinabs(network)
    assert (made["out"].neuron.bias, made["out"].neuron.v_init) == (32, 64)  # 31.75 and 63.5
    silent = replace(
        network,
        populations=(populations[0], replace(populations[1], neuron=Integrator())),
        projections=(Projection("in", "out", (Dense(np.zeros((1, 1), np.float32)),)),),
    )
    assert by_sinabs(silent)["out"].potential_scale == 1
