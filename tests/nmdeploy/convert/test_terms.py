"""Random graphs: the linear terms found are the graph's own pre-activations."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nmdeploy.ann.graph import Add, AnnGraph, Concat, Linear, MaxPool2d, Node, Rectify, Source
from nmdeploy.convert import terms as terms_module
from nmdeploy.convert.merging import is_weighted
from nmdeploy.convert.terms import pre_activations
from nmdeploy.errors import ModelError
from nmdeploy.synapses import Conv2d, ConvTranspose2d, Dense, OneToOne, Reshape, SumPool2d, Upsample2d

LARGEST_MAP = 12


class Builder:
    """Grows a graph node by node."""

    def __init__(self, draw, seed):
        self.draw, self.rng = draw, np.random.default_rng(seed)
        shape = (draw(st.integers(1, 4)), draw(st.integers(3, 6)), draw(st.integers(3, 6)))
        self.nodes, self.shapes = [Node("x", Source(shape))], {"x": shape}

    def number(self, low, high):
        return self.draw(st.integers(low, high))

    def add(self, operation, *inputs):
        name = f"n{len(self.nodes)}"
        self.nodes.append(Node(name, operation, inputs))
        self.shapes[name] = operation.out_shape([self.shapes[i] for i in inputs])
        return name

    def linear(self, synapse, name):
        out = synapse.out_shape(self.shapes[name])
        bias = None
        if self.number(0, 1):
            bias = self.rng.normal(size=(out[0], *[1] * (len(out) - 1)))
        return self.add(Linear(synapse, bias), name)

    def padding(self):
        return tuple(self.number(0, 2) for _ in range(4))

    def grow(self):
        """Add one random operation on a random node, mostly the last."""
        names = list(self.shapes)
        name = names[-1] if self.number(0, 2) else self.draw(st.sampled_from(names))
        shape = self.shapes[name]
        kinds = ["rectify", "scale", "add", "concat", "dense"] if len(shape) == 1 else MAPS
        getattr(self, f"grow_{self.draw(st.sampled_from(kinds))}")(name, shape)

    def grow_rectify(self, name, shape):
        self.add(Rectify(self.draw(st.sampled_from([None, 1.5]))), name)

    def grow_conv(self, name, shape):
        groups = self.draw(st.sampled_from([g for g in range(1, shape[0] + 1) if shape[0] % g == 0]))
        kernel = (self.number(1, min(3, shape[1])), self.number(1, min(3, shape[2])))
        weight = self.rng.normal(size=(groups * self.number(1, 2), shape[0] // groups, *kernel))
        room = [2 * (taps - 1) < size for taps, size in zip(kernel, shape[1:], strict=True)]
        dilation = tuple(self.number(1, 2) if wide else 1 for wide in room)
        stride = (self.number(1, 2), self.number(1, 2))
        self.linear(Conv2d(weight, stride, self.padding(), dilation, groups), name)

    def grow_pointwise(self, name, shape):
        self.linear(Conv2d(self.rng.normal(size=(self.number(1, 4), shape[0], 1, 1))), name)

    def grow_transposed(self, name, shape):
        if max(shape[1:]) * 2 > LARGEST_MAP:
            return
        groups = self.draw(st.sampled_from([g for g in range(1, shape[0] + 1) if shape[0] % g == 0]))
        weight = self.rng.normal(size=(shape[0], self.number(1, 2), 2, 2))
        self.linear(ConvTranspose2d(weight, self.number(1, 2), groups=groups), name)

    def grow_scale(self, name, shape):
        sizes = [(1,), (shape[0], *[1] * (len(shape) - 1)), shape]
        self.linear(OneToOne(self.rng.normal(size=self.draw(st.sampled_from(sizes)))), name)

    def grow_pad(self, name, shape):
        if max(shape[1:]) + 4 <= LARGEST_MAP:
            weight = np.ones((shape[0], 1, 1, 1))
            self.linear(Conv2d(weight, padding=self.padding(), groups=shape[0]), name)

    def grow_pool(self, name, shape):
        kernel = (self.number(1, shape[1]), self.number(1, shape[2]))
        pooled = self.linear(SumPool2d(kernel, self.number(1, 2), (self.number(0, 1),) * 4), name)
        self.linear(OneToOne(np.array([1 / math.prod(kernel)])), pooled)

    def grow_upsample(self, name, shape):
        if max(shape[1:]) * 2 <= LARGEST_MAP:
            self.linear(Upsample2d((self.number(1, 2), 2)), name)

    def grow_flatten(self, name, shape):
        self.linear(Reshape((math.prod(shape),)), name)

    def grow_dense(self, name, shape):
        self.linear(Dense(self.rng.normal(size=(self.number(1, 6), shape[0]))), name)

    def grow_add(self, name, shape):
        others = [other for other, its in self.shapes.items() if its == shape]
        self.add(Add(), name, self.draw(st.sampled_from(others)))

    def grow_concat(self, name, shape):
        others = [other for other, its in self.shapes.items() if its[1:] == shape[1:]]
        if shape[0] <= 64:
            self.add(Concat(), name, self.draw(st.sampled_from(others)))


MAPS = ["rectify", "conv", "conv", "pointwise", "transposed", "scale", "pad", "pool", "upsample", "flatten"]
MAPS += ["add", "concat"]


@st.composite
def graphs(draw):
    builder = Builder(draw, draw(st.integers(0, 2**32)))
    for _ in range(draw(st.integers(1, 9))):
        builder.grow()
    return AnnGraph("random", tuple(builder.nodes), builder.nodes[-1].name)


def values_of(graph, samples):
    """Every node's value in float64."""
    values = {}
    for node in graph.nodes:
        values[node.name] = node.operation.run([values[name] for name in node.inputs] or [samples])
    return values


@given(graphs(), st.sampled_from([0.0, -0.75]), st.booleans())
@settings(max_examples=150)
def test_terms_of_real_activations_sum_up_to_the_pre_activation(graph, low, rectify_output):
    samples = np.random.default_rng(5).uniform(low, 1, (2, *graph.shapes["x"]))
    values = values_of(graph, samples)
    found = pre_activations(graph, low, rectify_output=rectify_output)
    for layer in found:
        total = layer.bias[np.newaxis]
        for term in layer.terms:
            assert sum(map(is_weighted, term.chain)) == 1
            total = total + term.apply(values[term.origin] - (low if term.origin == "x" else 0.0))
        expected = values[layer.value]
        assert total.shape == expected.shape
        assert np.abs(total - expected).max() <= 1e-9 * max(1.0, np.abs(expected).max())


@given(graphs())
@settings(max_examples=40)
def test_no_two_terms_of_a_layer_have_one_origin_and_geometry(graph):
    for layer in pre_activations(graph):
        keys = [(term.origin, *map(repr, term.chain)) for term in layer.terms]
        assert len(set(keys)) == len(keys)


def chain_of(*operations, shape=(2, 4, 4)):
    """A graph of operations one behind the other; the last is the output."""
    nodes = [Node("x", Source(shape))]
    for number, operation in enumerate(operations):
        nodes.append(Node(f"n{number}", operation, (nodes[-1].name,)))
    return AnnGraph("chain", tuple(nodes), nodes[-1].name)


def test_a_relu_at_the_end_is_a_population_or_is_dropped():
    graph = chain_of(Linear(Conv2d(np.ones((2, 2, 1, 1)))), Rectify(6.0))
    kept, dropped = (pre_activations(graph, rectify_output=choice)[-1] for choice in (True, False))
    assert (kept.node, kept.value, kept.maximum) == ("n1", "n0", 6.0)
    assert (dropped.node, dropped.value, dropped.maximum) == ("n1", "n0", None)


def test_populations_in_a_row_are_joined_by_ones():
    graph = chain_of(Rectify(), Rectify(1.0), shape=(3,))
    first, second = pre_activations(graph)
    for layer, origin in ((first, "x"), (second, "n0")):
        (term,) = layer.terms
        assert (term.origin, term.chain) == (origin, (OneToOne(np.ones(1)),))


def test_what_the_output_does_not_need_is_left_out():
    nodes = [Node("x", Source((2,))), Node("dead", Rectify(), ("x",)), Node("out", Rectify(), ("x",))]
    assert [layer.node for layer in pre_activations(AnnGraph("net", tuple(nodes), "out"))] == ["out"]


def test_max_pooling_is_refused_by_name():
    graph = chain_of(Rectify(), MaxPool2d((2, 2), (2, 2)), Rectify())
    with pytest.raises(ModelError, match=r"n1: MaxPool2d has no counterpart.*average"):
        pre_activations(graph)


def test_a_flat_concatenation_before_a_dense_layer_is_two_slices(rng):
    weight = rng.normal(size=(2, 5))
    nodes = [
        Node("x", Source((3,))),
        Node("a", Rectify(), ("x",)),
        Node("b", Linear(Dense(rng.normal(size=(2, 3)))), ("x",)),
        Node("c", Rectify(), ("b",)),
        Node("cat", Concat(), ("a", "c")),
        Node("fc", Linear(Dense(weight)), ("cat",)),
    ]
    left, right = pre_activations(AnnGraph("net", tuple(nodes), "fc"))[-1].terms
    assert left.chain == (Dense(weight[:, :3]),)
    assert right.chain == (Dense(weight[:, 3:]),)


def test_a_flat_concatenation_that_would_need_a_huge_matrix_is_refused(monkeypatch):
    monkeypatch.setattr(terms_module, "DENSE_LIMIT", 17)
    nodes = [Node("x", Source((3,))), Node("cat", Concat(), ("x", "x")), Node("out", Rectify(), ("cat",))]
    with pytest.raises(ModelError, match=r"cat: a concatenation of flat vectors .* \(found 18 weights"):
        pre_activations(AnnGraph("net", tuple(nodes), "out"))


def test_a_residual_shortcut_is_a_second_term(rng):
    weight = rng.normal(size=(2, 2, 3, 3))
    nodes = [
        Node("x", Source((2, 4, 4))),
        Node("r", Rectify(), ("x",)),
        Node("conv", Linear(Conv2d(weight, padding=1)), ("r",)),
        Node("add", Add(), ("conv", "r")),
        Node("out", Rectify(), ("add",)),
    ]
    conv, shortcut = pre_activations(AnnGraph("net", tuple(nodes), "out"))[-1].terms
    assert conv.chain == (Conv2d(weight, padding=1),)
    assert shortcut.chain == (OneToOne(np.ones(1)),)


def test_padding_behind_a_bias_makes_the_bias_differ_at_the_border():
    graph = chain_of(
        Linear(OneToOne(np.ones(1)), np.full((1, 1, 1), 2.0)),
        Linear(Conv2d(np.ones((1, 1, 1, 1)), padding=1, groups=1)),
        shape=(1, 1, 1),
    )
    expected = np.zeros((1, 3, 3))
    expected[0, 1, 1] = 2
    np.testing.assert_array_equal(pre_activations(graph)[0].bias, expected)
