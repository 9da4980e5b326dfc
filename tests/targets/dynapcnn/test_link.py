"""Projections as the chip reads them."""

import numpy as np
import pytest

from nmdeploy.network import Network, Population, Projection
from nmdeploy.synapses import Conv2d, ConvTranspose2d, Dense, OneToOne, Reshape, SumPool2d, Upsample2d
from targets.dynapcnn.link import as_map, channel_blocks, link, links, same_geometry
from targets.dynapcnn.neuron import SpeckIAF

NEURON = SpeckIAF(100)


def network(source, target, *synapses, hidden=True):
    """Two populations joined by a chain; the source is a layer itself unless `hidden` is False."""
    populations = [Population("target", target, NEURON)]
    projections = [Projection("source", "target", synapses)]
    if hidden:
        populations += [Population("in", source), Population("source", source, NEURON)]
        projections.append(Projection("in", "source", ()))
    else:
        populations.append(Population("source", source))
    return Network("net", tuple(populations), tuple(projections))


def read(source, target, *synapses, hidden=True):
    net = network(source, target, *synapses, hidden=hidden)
    return link(net, net.projections[0])


def ones(*shape):
    return np.ones(shape, dtype=np.int8)


def test_pools_multiply_and_crop():
    found = read((2, 11, 10), (3, 2, 2), SumPool2d(2), SumPool2d(2), Conv2d(ones(3, 2, 1, 1)))
    assert (found.pooling, found.received, found.made) == ((4, 4), (2, 2, 2), (3, 2, 2))
    assert found.covered == (8, 8)


def test_a_dense_layer_is_a_kernel_as_large_as_the_map():
    weight = np.arange(2 * 3 * 16, dtype=np.int8).reshape(2, 48)
    found = read((3, 8, 8), (2,), SumPool2d(2), Reshape((48,)), Dense(weight))
    assert found.received == (3, 4, 4)
    assert np.array_equal(found.conv.weight, weight.reshape(2, 3, 4, 4))
    assert found.made == (2, 1, 1)


def test_flat_populations_are_channels_of_one_pixel():
    assert as_map((7,)) == (7, 1, 1)
    assert read((7,), (4,), Dense(ones(4, 7))).conv.weight.shape == (4, 7, 1, 1)
    assert read((7,), (4,), Reshape((7, 1, 1)), Conv2d(ones(4, 7, 1, 1)), Reshape((4,))).made == (4, 1, 1)


@pytest.mark.parametrize(
    ("source", "target", "chain"),
    [
        ((2, 4, 4), (2, 4, 4), ()),
        ((2, 4, 4), (2, 2, 2), (SumPool2d(2),)),
        ((2, 4, 4), (2, 4, 4), (OneToOne(ones(1)),)),
        ((2, 4, 4), (2, 8, 8), (Upsample2d(2),)),
        ((2, 4, 4), (2, 6, 6), (ConvTranspose2d(ones(2, 2, 3, 3)),)),
        ((2, 4, 4), (3, 1, 1), (Conv2d(ones(2, 2, 3, 3)), SumPool2d(2), Conv2d(ones(3, 2, 1, 1)))),
        ((2, 4, 4), (3, 2, 2), (Conv2d(ones(2, 2, 1, 1)), Conv2d(ones(3, 2, 3, 3)))),
        ((2, 4, 4), (3, 4, 2), (Reshape((4, 4, 2)), Conv2d(ones(3, 4, 1, 1)))),
        ((2, 4, 4), (3, 1, 1), (Reshape((8, 2, 2)), SumPool2d(2), Conv2d(ones(3, 8, 1, 1)))),
        ((2, 4, 4), (12, 1, 1), (Conv2d(ones(3, 2, 3, 3)), Reshape((12, 1, 1)))),
    ],
)
def test_what_no_core_can_do(source, target, chain):
    assert read(source, target, *chain) is None
    assert links(network(source, target, *chain), "target") is None


def test_the_host_addresses_an_input_as_it_likes():
    chain = (Reshape((32, 1, 1)), Conv2d(ones(3, 32, 1, 1)))
    assert read((2, 4, 4), (3, 1, 1), *chain) is None
    found = read((2, 4, 4), (3, 1, 1), *chain, hidden=False)
    assert found.sent == found.received == (32, 1, 1)


def test_links_of_equal_weights_share_channels():
    first, same, other = (
        read((2, 4, 4), (3, 2, 2), Conv2d(weight)) for weight in (ones(3, 2, 3, 3), ones(3, 2, 3, 3), -ones(3, 2, 3, 3))
    )
    shifts, own = channel_blocks([first, other, same])
    assert shifts == [0, 2, 0]
    assert own == [first, other]


@pytest.mark.parametrize(
    ("source", "chain"),
    [
        ((2, 6, 6), (Conv2d(ones(3, 2, 5, 5)),)),
        ((2, 4, 4), (Conv2d(ones(3, 2, 3, 3), padding=0, stride=2), Reshape((3,)))),
        ((2, 3, 3), (Conv2d(ones(3, 2, 3, 3), stride=2, padding=1),)),
        ((2, 2, 2), (Conv2d(ones(3, 2, 3, 3), padding=1),)),
    ],
)
def test_a_core_has_one_geometry(source, chain):
    plain = read((2, 4, 4), (3, 2, 2), Conv2d(ones(3, 2, 3, 3)))
    target = chain[0].out_shape(source) if len(chain) == 1 else (3,)
    other = read(source, target, *chain)
    assert same_geometry([plain, plain])
    assert not same_geometry([plain, other])
