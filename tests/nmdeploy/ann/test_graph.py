"""The graph's own operations and its rules."""

import numpy as np
import pytest

from nmdeploy.ann.builder import GraphBuilder
from nmdeploy.ann.graph import Add, AnnGraph, Concat, Linear, MaxPool2d, Node, Rectify, Source
from nmdeploy.ann.layers import batch_norm, scale, zero_padding
from nmdeploy.errors import ModelError
from nmdeploy.synapses import Dense, OneToOne


def test_rectify_clips_from_both_sides():
    values = np.array([[-1.0, 0.0, 0.5, 7.0]], np.float32)
    np.testing.assert_array_equal(Rectify().run([values]), [[0, 0, 0.5, 7]])
    np.testing.assert_array_equal(Rectify(6.0).run([values]), [[0, 0, 0.5, 6]])
    assert Rectify(6.0).run([values]).dtype == np.float32


def test_padding_never_wins_in_max_pool():
    values = -np.arange(1.0, 10.0, dtype=np.float32).reshape(1, 1, 3, 3)
    pool = MaxPool2d((2, 2), (2, 2), (1, 0, 1, 0))
    out = pool.run([values])
    np.testing.assert_array_equal(out[0, 0], [[-1, -2], [-4, -5]])
    assert out.shape[1:] == pool.out_shape([(1, 3, 3)])
    assert out.dtype == np.float32


def test_add_and_concat():
    left, right = np.ones((2, 1, 2, 2)), np.full((2, 1, 2, 2), 3.0)
    np.testing.assert_array_equal(Add().run([left, right, right]), np.full((2, 1, 2, 2), 7.0))
    out = Concat().run([left, right])
    np.testing.assert_array_equal(out[:, 0], left[:, 0])
    np.testing.assert_array_equal(out[:, 1], right[:, 0])
    assert Concat().out_shape([(1, 2, 2), (3, 2, 2)]) == (4, 2, 2)


def dense(outputs, inputs):
    return Linear(Dense(np.zeros((outputs, inputs), np.float32)))


@pytest.mark.parametrize(
    ("nodes", "output", "message"),
    [
        ([Node("x", Source((2,))), Node("x", Source((2,)))], "x", "used twice"),
        ([Node("y", Rectify(), ("x",)), Node("x", Source((2,)))], "y", "'x' does not come before it"),
        ([Node("x", Source((2,)))], "y", "'y' is no node"),
        ([Node("x", Source((2,))), Node("fc", dense(3, 4), ("x",), "layer 'fc'")], "fc", "layer 'fc': Dense weights"),
        (
            [Node("x", Source((2,))), Node("z", Source((3,))), Node("sum", Add(), ("x", "z"))],
            "sum",
            "operands of an addition differ",
        ),
        (
            [Node("x", Source((1, 2, 2))), Node("z", Source((1, 3, 2))), Node("cat", Concat(), ("x", "z"))],
            "cat",
            "differ beyond the channel axis",
        ),
    ],
)
def test_a_graph_refuses_what_does_not_fit(nodes, output, message):
    with pytest.raises(ModelError, match=message):
        AnnGraph("net", tuple(nodes), output)


def test_a_graph_knows_its_nodes_sources_and_size():
    linear = Linear(Dense(np.zeros((3, 2), np.float32)), np.zeros(3, np.float32))
    graph = AnnGraph("net", (Node("x", Source((2,))), Node("fc", linear, ("x",))), "fc")
    assert graph["fc"].operation == linear
    assert [node.name for node in graph.sources] == ["x"]
    assert graph.size == 9
    assert graph.shapes == {"x": (2,), "fc": (3,)}
    with pytest.raises(KeyError, match="nothing"):
        graph["nothing"]


def test_the_builder_numbers_names_and_drops_what_is_not_needed():
    builder = GraphBuilder()
    x = builder.add("x", Source((2,)))
    unused = builder.add("fc", dense(4, 2), [x])
    used = builder.add("fc", dense(3, 2), [x])
    third = builder.add("fc", dense(3, 3), [used])
    builder.note("Something was changed.")
    builder.note("Something was changed.")
    graph = builder.finish("net", third)
    assert (unused, used, third) == ("fc", "fc_2", "fc_3")
    assert [node.name for node in graph.nodes] == ["x", "fc_2", "fc_3"]
    assert graph.notes == ("Something was changed.",)
    with pytest.raises(ModelError, match="layer 'fc': Dense weights and input differ"):
        builder.add("fc", dense(3, 3), [x], "layer 'fc'")


def test_batch_norm_is_a_factor_and_a_shift_per_channel():
    gamma, beta, mean, variance = (np.array(pair, np.float32) for pair in ([2, -1], [1, 0.5], [3, -2], [4, 0.25]))
    layer = batch_norm(gamma, beta, mean, variance, 0.0, 3)
    assert layer.synapse == OneToOne(np.array([1, -2], np.float32).reshape(2, 1, 1))
    np.testing.assert_array_equal(layer.bias, np.array([1 - 3, 0.5 - 4], np.float32).reshape(2, 1, 1))
    plain = batch_norm(None, None, mean, variance, 12.0, 1)
    np.testing.assert_array_equal(plain.synapse.weight, np.array([0.25, 12.25**-0.5], np.float32))
    assert plain.bias.shape == (2,)


def test_scale_and_zero_padding():
    images = np.arange(4, dtype=np.float32).reshape(1, 1, 2, 2)
    np.testing.assert_array_equal(scale(0.5).run([images]), images / 2)
    padded = zero_padding(1, (0, 1, 2, 0)).run([images])
    np.testing.assert_array_equal(padded[0, 0], [[0, 0, 0, 1], [0, 0, 2, 3], [0, 0, 0, 0]])
