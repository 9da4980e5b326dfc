import numpy as np

from nmdeploy.ann.graph import Add, AnnGraph, Linear, Node, Rectify, Source
from nmdeploy.convert.names import population_names
from nmdeploy.convert.terms import pre_activations
from nmdeploy.synapses import Dense

EYE = np.eye(2)


def names_of(*nodes):
    graph = AnnGraph("net", (Node("x", Source((2,))), *nodes), nodes[-1].name)
    return population_names(graph, pre_activations(graph))


def test_populations_are_called_after_the_layer_before_them(branched, digits_like):
    assert population_names(branched, pre_activations(branched)) == {
        "x": "input",
        "relu1": "conv1",
        "relu2": "depthwise",
        "relu3": "conv2",
    }
    assert population_names(digits_like, pre_activations(digits_like)) == {"x": "input", "relu": "conv", "fc": "fc"}


def test_a_name_that_is_taken_gives_way_to_the_node_and_then_to_a_number():
    nodes = (
        Node("input", Linear(Dense(EYE)), ("x",)),
        Node("a", Rectify(), ("input",)),
        Node("b", Rectify(1.0), ("input",)),
        Node("sum", Add(), ("a", "b")),
    )
    assert names_of(*nodes) == {"x": "input", "a": "a", "b": "b", "sum": "output"}
    nodes = (
        Node("fc", Linear(Dense(EYE)), ("x",)),
        Node("input", Rectify(), ("fc",)),
        Node("out", Rectify(), ("input",)),
    )
    assert names_of(*nodes) == {"x": "input", "input": "fc", "out": "output"}


def test_numbers_are_the_last_resort():
    nodes = (
        Node("output", Linear(Dense(EYE)), ("x",)),
        Node("relu", Rectify(), ("output",)),
        Node("input", Rectify(), ("relu",)),
        Node("end", Add(), ("input", "relu")),
    )
    assert names_of(*nodes) == {"x": "input", "relu": "output", "input": "input_2", "end": "end"}
