"""Memory formulas, against what sinabs' `memory_summary` gave."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nmdeploy.network import Network, Population, Projection
from nmdeploy.synapses import Conv2d
from targets.dynapcnn.chips import chips
from targets.dynapcnn.layer import layers
from targets.dynapcnn.memory import (
    BIAS,
    KERNEL,
    NEURON,
    LayerSize,
    address_bits,
    core_memories,
    cores_for,
    fits,
    memory,
)
from targets.dynapcnn.neuron import SpeckIAF


@pytest.mark.parametrize(
    ("size", "words"),
    [  # the tutorial network of sinabs 3.1.3, docs/speck/notebooks/the_basics
        (LayerSize(1, (5, 5), (20, 24, 24)), (1024, 20480, 0)),
        (LayerSize(20, (5, 5), (32, 8, 8)), (20480, 2048, 0)),
        (LayerSize(32, (3, 3), (128, 2, 2)), (65536, 512, 0)),
        (LayerSize(128, (1, 1), (500, 1, 1)), (65536, 500, 0)),
        (LayerSize(500, (1, 1), (10, 1, 1), biased=True), (8000, 10, 10)),
    ],
)
def test_words_of_the_tutorial_network(size, words):
    assert tuple(size.words[name] for name in (KERNEL, NEURON, BIAS)) == words


@given(st.integers(1, 1 << 20))
def test_address_bits_are_the_fewest(count):
    bits = address_bits(count)
    assert 1 << bits >= count
    assert bits == 0 or 1 << (bits - 1) < count


def test_the_words_of_every_golden_network(shared_data):
    compared = 0
    for path in sorted((shared_data / "golden/dynapcnn").glob("*.config.json")):
        stored = json.loads(path.read_text())
        arrays = np.load(path.with_name(path.name.replace(".config.json", ".npz")))
        for layer, core in stored["layer2core_map"].items():
            dims = stored["cnn_layers"][str(core)]["dimensions"]
            out = dims["output_shape"]
            size = LayerSize(
                dims["input_shape"]["feature_count"],
                (dims["kernel_size"],) * 2,
                (out["feature_count"], out["size"]["y"], out["size"]["x"]),
                biased=stored["memory"]["bias"][layer] > 0,
            )
            expected = {name: stored["memory"][name.split("_")[0]][layer] for name in (KERNEL, NEURON, BIAS)}
            assert size.words == expected, (path.name, layer)
            assert arrays[f"disc.L{layer}.weight"].shape[0] == size.output_shape[0]
            compared += 1
    assert compared > 20


def test_a_layer_of_a_network():
    weight = np.ones((3, 2, 3, 3), dtype=np.int8)
    net = Network(
        "net",
        (Population("in", (2, 7, 5)), Population("x", (3, 5, 3), SpeckIAF(9, leak=2))),
        (Projection("in", "x", (Conv2d(weight),)),),
    )
    assert memory(layers(net)[0]) == {KERNEL: 2 << (4 + 2), NEURON: 3 << (3 + 2), BIAS: 3}


def test_the_memories_of_every_chip():
    for chip in chips().values():
        cores = core_memories(chip)
        assert len(cores) == 9
        assert sum(has[KERNEL] for has in cores) == 272 * 1024
        assert sum(has[NEURON] for has in cores) == 327_680


def test_all_three_memories_must_suffice():
    has = {KERNEL: 2, NEURON: 2, BIAS: 2}
    assert fits(has, has)
    assert not any(fits({**has, name: 3}, has) for name in has)
    assert cores_for({**has, NEURON: 3}, [has, {**has, NEURON: 3}, has]) == [1]
