"""Which form synapses take."""

import numpy as np
import pytest

from nmdeploy.network import Network, Population, Projection
from nmdeploy.synapses import Conv2d, Dense, OneToOne, Reshape, SumPool2d
from targets.spinnaker.connection import Form, form_of, in_channels, kernels, pooled_dense
from targets.spinnaker.neuron import IFCurrExp, IFTruncDelta

IMAGE = (2, 8, 8)


def conv(size=3, padding=1, **options):
    return Conv2d(np.arange(3 * 2 * size * size).reshape(3, 2, size, size), padding=padding, **options)


def dense(size):
    return (Reshape((size,)), Dense(np.arange(5 * size).reshape(5, size)))


def onto(neuron, *chains, source=IMAGE):
    """A network of one projection for each chain, all into one population."""
    projections = tuple(Projection("in", "out", chain, 1) for chain in chains)
    shape = projections[0].shapes(source)[-1]
    return Network("net", (Population("in", source), Population("out", shape, neuron)), projections)


@pytest.mark.parametrize(
    ("network", "form", "grids"),
    [
        (onto(IFCurrExp(), (conv(),)), Form.CONVOLUTION, {"in", "out"}),
        (onto(IFCurrExp(), (SumPool2d(2), conv(5, 2))), Form.CONVOLUTION, {"in", "out"}),
        (onto(IFCurrExp(), (conv(),), (conv(1, 0),)), Form.CONVOLUTION, {"in", "out"}),
        (onto(IFTruncDelta(), (conv(),)), Form.ROWS, set()),
        (onto(IFCurrExp(), dense(128)), Form.POOL_DENSE, {"in"}),
        (onto(IFCurrExp(), (SumPool2d(4), *dense(8))), Form.POOL_DENSE, {"in"}),
        (onto(IFTruncDelta(), dense(128)), Form.ROWS, set()),
        (onto(IFCurrExp(), (Dense(np.ones((5, 8), int)),), source=(8,)), Form.ROWS, set()),
        (onto(IFCurrExp(), (conv(),), (OneToOne(np.ones(1, int)), conv())), Form.ROWS, set()),
    ],
)
def test_the_form(network, form, grids):
    assert form_of(network, "out") is form
    assert in_channels(network) == grids


@pytest.mark.parametrize(
    "chain",
    [
        (conv(stride=2),),
        (conv(2),),
        (conv(dilation=2, padding=2),),
        (conv(padding=(1, 1, 0, 0)),),
        (conv(padding=(1, 0, 1, 0)),),
        (Conv2d(np.ones((3, 2, 1, 3), int)),),
        (SumPool2d((2, 4)), conv()),
        (SumPool2d(2, 1), conv()),
        (SumPool2d(2, padding=1), conv()),
        (SumPool2d(3), conv()),
        (conv(), SumPool2d(2)),
    ],
)
def test_what_are_no_shared_kernels(chain):
    assert kernels(Projection("in", "out", chain, 1), IMAGE) is None


@pytest.mark.parametrize(
    "chain", [(SumPool2d(3), *dense(8)), (*dense(128), OneToOne(np.ones(1, int))), (Reshape((128,)),)]
)
def test_what_are_no_pooled_dense_weights(chain):
    assert pooled_dense(Projection("in", "out", chain, 1), IMAGE) is None


def test_two_maps_that_are_no_reshape_and_dense():
    assert pooled_dense(Projection("in", "out", (OneToOne(np.ones(1, int)), Reshape((128,))), 1), IMAGE) is None


def test_an_exponent_is_for_rows():
    assert kernels(Projection("in", "out", (conv(),), 1, exponent=1), IMAGE) is None
    assert pooled_dense(Projection("in", "out", dense(128), 1, exponent=1), IMAGE) is None


def test_weights_and_geometry():
    shared = kernels(Projection("in", "out", (SumPool2d(2), conv(3, 1)), 1), IMAGE)
    assert (shared.pool, shared.padding, shared.groups) == (2, 1, 1)
    np.testing.assert_array_equal(shared.weight, conv().weight)
    pooled = pooled_dense(Projection("in", "out", (SumPool2d(4), *dense(8)), 1), IMAGE)
    assert pooled.pool == 4
    np.testing.assert_array_equal(pooled.weight, np.arange(40).reshape(5, 2, 2, 2))
