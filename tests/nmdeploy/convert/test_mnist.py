"""A trained MNIST network on real images: what spikes lose against activations."""

import numpy as np
import pytest

from nmdeploy.ann.execute import run
from nmdeploy.ann.graph import AnnGraph, Linear, Node, Rectify, Source
from nmdeploy.ann.layers import batch_norm, scale
from nmdeploy.coding import DeterministicRate, MembranePotential, SpikeCount
from nmdeploy.convert.spiking import to_spiking
from nmdeploy.emulator.simulate import simulate
from nmdeploy.synapses import Conv2d, Dense, Reshape, SumPool2d

STEPS = 64
IMAGES = 300


@pytest.fixture(scope="module")
def graph(shared_data):
    """Three blocks of convolution, batch norm, ReLU and average pool, then a linear layer."""
    torch = pytest.importorskip("torch")
    state = torch.load(shared_data / "models" / "mnist_C.pt", weights_only=True)
    state = {name: value.numpy() for name, value in state.items()}
    nodes = [Node("x", Source((1, 28, 28)))]

    def add(name, operation):
        nodes.append(Node(name, operation, (nodes[-1].name,)))

    for block in (0, 4, 8):
        weight, bias = state[f"{block}.weight"], state[f"{block}.bias"].reshape(-1, 1, 1)
        add(f"conv{block}", Linear(Conv2d(weight), bias))
        norm = [state[f"{block + 1}.{name}"] for name in ("weight", "bias", "running_mean", "running_var")]
        add(f"norm{block}", batch_norm(*norm, 1e-5, 3))
        add(f"relu{block}", Rectify())
        add(f"pool{block}", Linear(SumPool2d(2)))
        add(f"area{block}", scale(1 / 4))
    add("flat", Linear(Reshape((32,))))
    add("fc", Linear(Dense(state["13.weight"]), state["13.bias"]))
    return AnnGraph("mnist_C", tuple(nodes), "fc")


@pytest.fixture(scope="module")
def images(shared_data):
    """Calibration images, test images and their labels; every class has its share."""
    data = np.load(shared_data / "data" / "mnist.npz")
    order = np.random.Generator(np.random.PCG64(1)).permutation(10_000)
    labels = data["y_test"][order]
    chosen = np.concatenate([np.flatnonzero(labels == digit)[: IMAGES // 10] for digit in range(10)])
    assert np.bincount(labels[chosen]).tolist() == [IMAGES // 10] * 10
    test = data["x_test"][order][chosen]
    return (data["x_train"][:500, None] / 255, test[:, None] / 255, labels[chosen].astype(np.int64))


@pytest.mark.shared
@pytest.mark.slow
@pytest.mark.parametrize(("readout", "decide"), [("count", SpikeCount()), ("potential", MembranePotential())])
def test_spikes_are_as_accurate_as_activations_within_a_point(graph, images, readout, decide):
    calibration, samples, labels = images
    exact = np.mean(run(graph, samples)["fc"].argmax(axis=1) == labels)
    network = to_spiking(graph, calibration, readout=readout)
    result = simulate(network, DeterministicRate().encode(samples, STEPS), precision="float32")
    decision = decide.decide(result, network["fc"])
    assert exact > 0.98
    assert decision.accuracy(labels) >= exact - 0.01
