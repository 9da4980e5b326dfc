"""The chip's view of a lowered network."""

import numpy as np
import pytest

from nmdeploy.errors import UsageError
from nmdeploy.network import Network, Population, Projection
from nmdeploy.neurons import IF
from nmdeploy.synapses import Conv2d, Dense, Reshape, SumPool2d
from targets.dynapcnn.layer import Destination, has_bias, has_one_threshold, layers
from targets.dynapcnn.neuron import SpeckIAF, SpeckStepIAF


def chain(rng):
    start = rng.integers(-9, 9, (4, 6, 6)).astype(np.int16)
    return Network(
        "chain",
        (
            Population("in", (2, 8, 8)),
            Population("maps", (4, 6, 6), SpeckIAF(90, -80, True, start)),
            Population("out", (5,), SpeckIAF(70, leak=np.arange(5, dtype=np.int8))),
        ),
        (
            Projection("in", "maps", (Conv2d(rng.integers(-9, 9, (4, 2, 3, 3)).astype(np.int8)),)),
            Projection("maps", "out", (SumPool2d(2), Reshape((36,)), Dense(rng.integers(-9, 9, (5, 36))))),
        ),
    )


def test_a_chain(rng):
    net = chain(rng)
    maps, out = layers(net)
    assert (maps.name, maps.input_shape, maps.output_shape) == ("maps", (2, 8, 8), (4, 6, 6))
    assert (maps.kernel, maps.stride, maps.padding) == ((3, 3), (1, 1), (0, 0))
    assert (maps.threshold_high, maps.threshold_low, maps.return_to_zero) == (90, -80, True)
    assert maps.sources == (Destination("in", (1, 1), 0),)
    assert maps.destinations == (Destination("out", (2, 2), 0),)
    assert (maps.biases, maps.is_output) == (None, False)
    assert np.array_equal(maps.initial_values, net["maps"].neuron.v_init)
    assert (out.input_shape, out.kernel, out.output_shape) == ((4, 3, 3), (3, 3), (5, 1, 1))
    assert out.biases.tolist() == [0, 1, 2, 3, 4]
    assert (out.destinations, out.is_output, out.return_to_zero) == ((), True, False)
    dense = net.projections[1].synapses[-1].weight
    assert np.array_equal(out.weights, dense.reshape(5, 4, 3, 3))
    assert np.array_equal(out.initial_values, np.zeros((5, 1, 1), dtype=np.int64))


def test_a_layer_computes_what_its_projections_do(rng):
    """Two sources in channels of their own: the core's one convolution equals the sum of both projections."""
    weights = [rng.integers(-9, 9, (3, channels, 3, 3)).astype(np.int8) for channels in (2, 4)]
    net = Network(
        "two",
        (
            Population("in", (1, 6, 6)),
            Population("a", (2, 6, 6), SpeckIAF(9)),
            Population("b", (4, 6, 6), SpeckIAF(9)),
            Population("c", (3, 3, 3), SpeckIAF(9)),
        ),
        (
            Projection("in", "a", (Conv2d(rng.integers(1, 9, (2, 1, 1, 1))),)),
            Projection("in", "b", (Conv2d(rng.integers(1, 9, (4, 1, 1, 1))),)),
            Projection("b", "c", (Conv2d(weights[1], stride=2, padding=1),)),
            Projection("a", "c", (Conv2d(weights[0], stride=2, padding=1),)),
        ),
    )
    a, b, c = layers(net)
    assert c.sources == (Destination("b", (1, 1), 0), Destination("a", (1, 1), 4))
    assert (a.destinations, b.destinations) == ((Destination("c", (1, 1), 4),), (Destination("c", (1, 1), 0),))
    assert c.input_shape == (6, 6, 6)
    spikes = {"a": rng.integers(0, 2, (1, 2, 6, 6)), "b": rng.integers(0, 2, (1, 4, 6, 6))}
    whole = Conv2d(c.weights, stride=c.stride, padding=(c.padding[0], c.padding[0], c.padding[1], c.padding[1]))
    together = whole.apply(np.concatenate([spikes["b"], spikes["a"]], axis=1))
    expected = sum(each.apply(spikes[each.source]) for each in net.into("c"))
    assert np.array_equal(together, expected)


def test_sources_of_equal_weights_share_channels(rng):
    weight = rng.integers(-9, 9, (3, 2, 1, 1)).astype(np.int8)
    net = Network(
        "merge",
        (
            Population("in", (2, 4, 4)),
            Population("also", (2, 8, 8)),
            Population("sum", (3, 4, 4), SpeckIAF(9)),
        ),
        (
            Projection("in", "sum", (Conv2d(weight),)),
            Projection("also", "sum", (SumPool2d(2), Conv2d(weight))),
        ),
    )
    (layer,) = layers(net)
    assert layer.input_shape == (2, 4, 4)
    assert layer.sources == (Destination("in", (1, 1), 0), Destination("also", (2, 2), 0))


@pytest.mark.parametrize(
    ("neuron", "synapse"),
    [
        (IF(9), Conv2d(np.ones((1, 1, 1, 1), np.int8))),
        (SpeckIAF(9), SumPool2d(1)),
        (SpeckIAF(np.array([[[8, 9], [9, 9]]])), Conv2d(np.ones((1, 1, 1, 1), np.int8))),
    ],
)
def test_what_is_no_layer_is_named(neuron, synapse):
    net = Network(
        "no", (Population("in", (1, 2, 2)), Population("x", (1, 2, 2), neuron)), (Projection("in", "x", (synapse,)),)
    )
    with pytest.raises(UsageError, match="x: the population is no layer of the chip"):
        layers(net)


@pytest.mark.parametrize(
    ("leak", "takes"), [(0, False), (3, True), (np.zeros((2, 1, 1), np.int8), True), (np.array([1]), True)]
)
def test_bias_memory_is_taken_by_arrays_and_by_numbers_other_than_0(leak, takes):
    assert has_bias(SpeckIAF(9, leak=leak)) is takes


def test_one_threshold():
    assert has_one_threshold(SpeckStepIAF(np.full((2, 1, 1), 9)))
    assert not has_one_threshold(SpeckIAF(9, threshold_low=np.array([-1, -2])))
