"""What a layer looks like from behind its pools."""

import numpy as np

from nmdeploy.convert.calibrate.views import as_seen
from nmdeploy.network import Network, Population, Projection
from nmdeploy.neurons import IF
from nmdeploy.synapses import Conv2d, Dense, Reshape, SumPool2d


def network_with(*chains):
    size = {(): 32}
    populations = [Population("in", (2, 4, 4)), Population("a", (2, 4, 4), IF(1.0))]
    projections = [Projection("in", "a", (Conv2d(np.ones((2, 2, 1, 1))),))]
    for index, chain in enumerate(chains):
        shape = (2, 4, 4)
        for synapse in chain:
            shape = synapse.out_shape(shape)
        size = int(np.prod(shape))
        populations.append(Population(f"b{index}", (3,), IF(1.0)))
        projections.append(Projection("a", f"b{index}", (*chain, Reshape((size,)), Dense(np.ones((3, size))))))
    return Network("n", tuple(populations), tuple(projections))


def test_pools_average_and_padding_does_not_count(rng):
    values = rng.random((70, 2, 4, 4)).astype(np.float32)
    seen = as_seen(network_with((SumPool2d(2, padding=1),)), "a", values)
    assert seen.shape == (70, 2, 9)
    np.testing.assert_allclose(seen[:, :, 0], values[:, :, 0, 0])
    np.testing.assert_allclose(seen[:, :, 4], values[:, :, 1:3, 1:3].mean(axis=(2, 3)), rtol=1e-6)


def test_each_reader_counts_and_alike_ones_once(rng):
    values = rng.random((5, 2, 4, 4)).astype(np.float32)
    pool = (SumPool2d(2),)
    assert as_seen(network_with(pool, pool), "a", values).shape == (5, 2, 4)
    seen = as_seen(network_with(pool, (), (SumPool2d(2), SumPool2d(2))), "a", values)
    assert seen.shape == (5, 2, 4 + 16 + 1)
    np.testing.assert_allclose(seen[:, :, 4:20], values.reshape(5, 2, 16))
    np.testing.assert_allclose(seen[:, :, 20], values.mean(axis=(2, 3)), rtol=1e-6)


def test_a_reader_of_pools_alone_sees_their_means(rng):
    values = rng.random((5, 2, 4, 4)).astype(np.float32)
    network = Network(
        "n",
        (Population("in", (2, 4, 4)), Population("out", (2, 2, 2), IF(1.0))),
        (Projection("in", "out", (SumPool2d(2),)),),
    )
    np.testing.assert_allclose(
        as_seen(network, "in", values)[:, :, 0], values[:, :, :2, :2].mean(axis=(2, 3)), rtol=1e-6
    )


def test_a_layer_that_nothing_follows_is_seen_as_it_is(rng):
    values = rng.random((5, 3)).astype(np.float32)
    np.testing.assert_array_equal(as_seen(network_with(()), "b0", values), values[:, :, None])
