"""Small graphs that several tests of the conversion use."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from nmdeploy.ann.graph import Add, AnnGraph, Concat, Linear, Node, Rectify, Source
from nmdeploy.synapses import Conv2d, Dense, OneToOne, Reshape, SumPool2d

GraphOf = Callable[..., AnnGraph]


@pytest.fixture
def chain_of() -> GraphOf:
    """Builds a graph of named operations one behind the other; the last is the output."""

    def build(shape: tuple[int, ...], **operations: object) -> AnnGraph:
        nodes = [Node("x", Source(shape))]
        for name, operation in operations.items():
            nodes.append(Node(name, operation, (nodes[-1].name,)))
        return AnnGraph("chain", tuple(nodes), nodes[-1].name)

    return build


@pytest.fixture
def digits_like(chain_of: GraphOf) -> AnnGraph:
    """Conv, batch norm, ReLU, average pool, linear: every activation well inside its range."""
    rng = np.random.default_rng(8)
    return chain_of(
        (1, 8, 8),
        conv=Linear(Conv2d(rng.normal(size=(4, 1, 3, 3)) / 3, padding=1), rng.normal(size=(4, 1, 1)) / 9),
        bn=Linear(OneToOne(rng.uniform(0.5, 2, (4, 1, 1))), rng.normal(size=(4, 1, 1)) / 9),
        relu=Rectify(),
        pool=Linear(SumPool2d(2)),
        area=Linear(OneToOne(np.array([0.25]))),
        flat=Linear(Reshape((64,))),
        fc=Linear(Dense(rng.normal(size=(5, 64)) / 4), rng.normal(size=5) / 9),
    )


@pytest.fixture
def branched() -> AnnGraph:
    """Residual addition, concatenation, depthwise convolution, padding and ReLU6 in one graph."""
    rng = np.random.default_rng(9)
    nodes = (
        Node("x", Source((2, 6, 6))),
        Node("conv1", Linear(Conv2d(rng.normal(size=(4, 2, 3, 3)) / 3, padding=1), np.full((4, 1, 1), 0.1)), ("x",)),
        Node("relu1", Rectify(), ("conv1",)),
        Node("depthwise", Linear(Conv2d(rng.normal(size=(4, 1, 3, 3)) / 2, padding=1, groups=4)), ("relu1",)),
        Node("add", Add(), ("depthwise", "relu1")),
        Node("relu2", Rectify(0.8), ("add",)),
        Node("cat", Concat(), ("relu2", "relu1")),
        Node("bn", Linear(OneToOne(rng.normal(size=(8, 1, 1))), rng.normal(size=(8, 1, 1)) / 5), ("cat",)),
        Node("pad", Linear(Conv2d(np.ones((8, 1, 1, 1)), padding=1, groups=8)), ("bn",)),
        Node("conv2", Linear(Conv2d(rng.normal(size=(3, 8, 3, 3)) / 5, stride=2)), ("pad",)),
        Node("relu3", Rectify(), ("conv2",)),
    )
    return AnnGraph("branched", nodes, "relu3", notes=("from the importer",))


@pytest.fixture
def without_biases():
    """A float network with all biases taken away."""

    def strip(network):
        populations = tuple(
            each if each.neuron is None else replace(each, neuron=replace(each.neuron, bias=0.0))
            for each in network.populations
        )
        return replace(network, populations=populations)

    return strip
