"""A small trained-like network and samples, for the tests of the pipeline."""

import numpy as np
import pytest

from nmdeploy.ann.execute import run as run_graph
from nmdeploy.ann.graph import AnnGraph, Linear, Node, Rectify, Source
from nmdeploy.data import Samples
from nmdeploy.synapses import Dense


@pytest.fixture(scope="session")
def graph():
    rng = np.random.default_rng(4)
    hidden, out = rng.normal(size=(12, 9)) / 2, rng.normal(size=(3, 12)) / 2
    nodes = (
        Node("x", Source((9,))),
        Node("hidden", Linear(Dense(hidden), rng.normal(size=12) / 5), ("x",)),
        Node("relu", Rectify(), ("hidden",)),
        Node("out", Linear(Dense(out), np.array([0.2, -0.9, -0.1])), ("relu",)),
    )
    return AnnGraph("small", nodes, "out")


@pytest.fixture(scope="session")
def decided(graph):
    """Samples whose labels are the network's own decisions."""
    x = np.random.default_rng(5).random((120, 9)).astype(np.float32)
    return Samples(x, run_graph(graph, x)["out"].argmax(axis=1))
