"""Which channel a weight belongs to, against the unrolled matrix."""

import numpy as np
import pytest

from nmdeploy.convert.channels import chain_weights
from nmdeploy.errors import QuantizationError
from nmdeploy.network import Network, Population, Projection
from nmdeploy.neurons import IF
from nmdeploy.synapses import Conv2d, ConvTranspose2d, Dense, OneToOne, Reshape, SumPool2d, Upsample2d

ONES = np.ones

CHAINS = {
    "dense": (Reshape((80,)), Dense(ONES((3, 80)))),
    "conv": (Conv2d(ONES((3, 4, 2, 3)), padding=1),),
    "grouped": (Conv2d(ONES((6, 2, 2, 2)), groups=2),),
    "transposed": (ConvTranspose2d(ONES((4, 3, 2, 2)), stride=2),),
    "transposed in groups": (ConvTranspose2d(ONES((4, 3, 2, 2)), groups=2),),
    "one weight": (OneToOne(ONES(1)),),
    "one weight a channel": (OneToOne(ONES((4, 1, 1))),),
    "one weight a column": (OneToOne(ONES(5)),),
    "one weight a neuron": (OneToOne(ONES((4, 4, 5))),),
    "flat": (Reshape((80,)), OneToOne(ONES(80))),
    "pooled behind": (Conv2d(ONES((3, 4, 2, 2))), SumPool2d(2), Upsample2d(2)),
    "nothing": (),
    "pool alone": (SumPool2d(2),),
}


def found(synapses, exponent=0):
    projection = Projection("in", "out", synapses, exponent=exponent)
    source = Population("in", (4, 4, 5))
    target = Population("out", projection.shapes(source.shape)[-1], IF(1.0))
    return chain_weights(Network("net", (source, target), (projection,)), projection), target.shape


@pytest.mark.parametrize("chain", CHAINS)
def test_weights_of_a_channel_feed_that_channel_only(chain):
    weights, shape = found(CHAINS[chain])
    assert weights.keep_channels
    served = np.broadcast_shapes(weights.weight.shape, weights.channels.shape)
    assert set(np.unique(weights.channels)) == set(range(shape[0]))
    for channel in range(shape[0]):
        marked = weights.with_weight(np.broadcast_to(weights.channels == channel, served).astype(float))
        fed = np.abs(marked.matrix((4, 4, 5)).toarray()).sum(axis=1).reshape(shape).astype(bool)
        np.testing.assert_array_equal(fed[channel], np.ones_like(fed[channel]))
        assert not np.delete(fed, channel, axis=0).any()


@pytest.mark.parametrize("chain", CHAINS)
def test_rows_hold_each_channels_weights(chain, rng):
    weights, shape = found(CHAINS[chain])
    served = np.broadcast_shapes(weights.weight.shape, weights.channels.shape)
    values = rng.normal(size=served)
    again, _ = found(weights.with_weight(values).synapses)
    rows = again.rows(shape[0])
    for channel in range(shape[0]):
        own = values[np.broadcast_to(weights.channels == channel, served)]
        np.testing.assert_array_equal(np.sort(rows[channel]), np.sort(own))
    np.testing.assert_array_equal(again.rows(1), values.reshape(1, -1))


def test_a_chain_without_weights_gets_one():
    weights, _ = found(CHAINS["pool alone"])
    assert weights.implied
    assert weights.position == 1
    assert weights.projection.synapses == (SumPool2d(2), OneToOne(np.ones(1)))
    assert not found(CHAINS["one weight"])[0].implied


def test_reshaping_behind_the_weights_mixes_channels():
    assert not found((Conv2d(ONES((3, 4, 2, 2))), Reshape((36,))))[0].keep_channels
    assert found((Conv2d(ONES((3, 4, 4, 5))), Reshape((3,))))[0].keep_channels


def test_several_synapses_with_weights_are_refused():
    with pytest.raises(QuantizationError, match=r"in->out: several .* \(found OneToOne, Conv2d, limit 1\)"):
        found((OneToOne(ONES(1)), SumPool2d(2), Conv2d(ONES((1, 4, 2, 2)))))


def test_an_exponent_belongs_to_a_lowered_network():
    with pytest.raises(QuantizationError, match="in->out: the sum already has an exponent"):
        found((OneToOne(np.array([2])),), exponent=1)
