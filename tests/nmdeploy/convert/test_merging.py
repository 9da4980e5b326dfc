"""Every rule keeps the map; the example says what it makes of a chain."""

import numpy as np
import pytest

from nmdeploy.convert import merging
from nmdeploy.convert.merging import BACKWARD, FORWARD, pointwise_passes_upsample
from nmdeploy.synapses import Conv2d, ConvTranspose2d, Dense, OneToOne, Reshape, SumPool2d, Upsample2d

RNG = np.random.default_rng(11)


def random(*shape):
    return RNG.normal(size=shape)


def pad(channels, *padding):
    return Conv2d(np.ones((channels, 1, 1, 1)), padding=padding, groups=channels)


CHANNEL = OneToOne(random(4, 1, 1))
NEURON = OneToOne(random(4, 6, 6))
SINGLE = OneToOne(np.array([0.25]))
GROUPED = Conv2d(random(6, 2, 3, 3), stride=(2, 1), padding=(1, 0, 2, 1), groups=2)
DEPTHWISE = Conv2d(random(4, 1, 3, 3), padding=1, dilation=(1, 2), groups=4)
POINTWISE = Conv2d(random(3, 4, 1, 1))
TRANSPOSED = ConvTranspose2d(random(4, 3, 2, 2), stride=2, groups=2)
FLAT = Reshape((144,))
DENSE = Dense(random(5, 144))
POOL = SumPool2d((2, 3), (2, 1), (0, 1, 1, 1))
PAD = pad(4, 1, 2, 0, 3)

# rule, chain on (4, 6, 6), kinds of the result
EXAMPLES = [
    ("drop_idle", (Reshape((4, 6, 6)), POOL), "SumPool2d"),
    ("drop_idle", (OneToOne(np.ones((4, 1, 1))), POOL), "SumPool2d"),
    ("drop_idle", (Upsample2d(1), POOL), "SumPool2d"),
    ("drop_idle", (SumPool2d(1), POOL), "SumPool2d"),
    ("split_diagonal", (Conv2d(random(4, 1, 1, 1), groups=4), POOL), "OneToOne SumPool2d"),
    ("split_diagonal", (Conv2d(random(4, 1, 1, 1), padding=1, groups=4), POOL), "OneToOne Conv2d SumPool2d"),
    ("split_diagonal", (pad(4, 0, 0, 0, 0), POOL), "OneToOne SumPool2d"),
    ("join_scales", (SINGLE, CHANNEL, POOL), "OneToOne SumPool2d"),
    ("join_scales", (CHANNEL, NEURON, POOL), "OneToOne SumPool2d"),
    ("join_reshapes", (FLAT, Reshape((6, 4, 6)), SINGLE), "Reshape OneToOne"),
    ("scale_into_weights", (CHANNEL, GROUPED, POOL), "Conv2d SumPool2d"),
    ("scale_into_weights", (SINGLE, DEPTHWISE), "Conv2d"),
    ("scale_into_weights", (CHANNEL, TRANSPOSED), "ConvTranspose2d"),
    ("weights_take_scale", (GROUPED, OneToOne(random(6, 1, 1)), POOL), "Conv2d SumPool2d"),
    ("weights_take_scale", (TRANSPOSED, OneToOne(random(6, 1, 1))), "ConvTranspose2d"),
    ("padding_takes_scale", (PAD, CHANNEL, POOL), "Conv2d SumPool2d"),
    ("scale_moves_on", (CHANNEL, POOL), "SumPool2d OneToOne"),
    ("scale_moves_on", (CHANNEL, Upsample2d((2, 3))), "Upsample2d OneToOne"),
    ("scale_moves_on", (CHANNEL, PAD), "Conv2d OneToOne"),
    ("scale_moves_on", (CHANNEL, FLAT), "Reshape OneToOne"),
    ("scale_moves_on", (NEURON, FLAT), "Reshape OneToOne"),
    ("scale_moves_back", (POOL, CHANNEL), "OneToOne SumPool2d"),
    ("scale_moves_back", (Upsample2d(2), CHANNEL), "OneToOne Upsample2d"),
    ("scale_moves_back", (FLAT, OneToOne(random(144))), "OneToOne Reshape"),
    ("join_padding", (PAD, GROUPED), "Conv2d"),
    ("join_padding", (PAD, POOL), "SumPool2d"),
    ("join_padding", (PAD, pad(4, 1, 0, 1, 0)), "Conv2d"),
    ("join_pointwise", (POINTWISE, Conv2d(random(2, 3, 2, 3), stride=2, padding=1)), "Conv2d"),
    ("join_pointwise", (Conv2d(random(4, 2, 1, 1), padding=1, groups=2), GROUPED), "Conv2d"),
    ("join_pointwise", (GROUPED, Conv2d(random(4, 3, 1, 1), stride=(1, 2), groups=2)), "Conv2d"),
    ("join_pointwise", (DEPTHWISE, POINTWISE), "Conv2d"),
    ("pointwise_passes_pool", (POINTWISE, POOL), "SumPool2d Conv2d"),
    ("pointwise_passes_upsample", (POINTWISE, Upsample2d((1, 2))), "Upsample2d Conv2d"),
    ("join_pointwise_with_dense", (POINTWISE, Reshape((108,)), Dense(random(5, 108))), "Reshape Dense"),
]


@pytest.mark.parametrize(("name", "chain", "kinds"), EXAMPLES, ids=[f"{e[0]}-{i}" for i, e in enumerate(EXAMPLES)])
def test_a_rule_keeps_the_map(name, chain, kinds):
    shorter = getattr(merging, name)(chain, (4, 6, 6))
    assert " ".join(synapse.kind for synapse in shorter) == kinds
    values, expected = (random(2, 4, 6, 6),) * 2
    for synapse in chain:
        expected = synapse.apply(expected)
    for synapse in shorter:
        values = synapse.apply(values)
    np.testing.assert_allclose(values, expected, rtol=1e-12, atol=1e-12)


def test_dense_maps_join_and_take_factors_on_both_sides():
    first, second, scale = Dense(random(7, 5)), Dense(random(3, 7)), OneToOne(random(7))
    (joined,) = merging.join_dense((first, second), (5,))
    np.testing.assert_allclose(joined.weight, second.weight @ first.weight)
    (taken,) = merging.weights_take_scale((first, scale), (5,))
    np.testing.assert_allclose(taken.weight, first.weight * scale.weight[:, None])
    (given,) = merging.scale_into_weights((scale, second), (7,))
    np.testing.assert_allclose(given.weight, second.weight * scale.weight)


@pytest.mark.parametrize(
    ("name", "chain"),
    [
        ("scale_into_weights", (NEURON, GROUPED)),
        ("scale_into_weights", (CHANNEL, PAD)),
        ("weights_take_scale", (PAD, CHANNEL)),
        ("scale_moves_on", (NEURON, POOL)),
        ("scale_moves_back", (SumPool2d(1), NEURON)),
        ("join_padding", (DEPTHWISE, GROUPED)),
        ("join_pointwise", (DEPTHWISE, pad(4, 1, 1, 1, 1))),
        ("join_pointwise", (DEPTHWISE, GROUPED)),
        ("pointwise_passes_pool", (Conv2d(random(3, 4, 1, 1), padding=1), POOL)),
        ("pointwise_passes_pool", (Conv2d(random(3, 4, 1, 1), stride=2), POOL)),
        ("split_diagonal", (PAD, POOL)),
        ("split_diagonal", (DEPTHWISE, POOL)),
        ("drop_idle", (FLAT, DENSE)),
        ("drop_idle", (SumPool2d((1, 2)),)),
    ],
)
def test_a_rule_that_does_not_hold_is_not_applied(name, chain):
    assert getattr(merging, name)(chain, (4, 6, 6)) is None


def test_every_rule_that_is_used_has_an_example():
    used = {rule.__name__ for rule in (*FORWARD, *BACKWARD, pointwise_passes_upsample)}
    assert used == {name for name, _, _ in EXAMPLES} | {"join_dense"}


def test_a_padding_is_told_from_other_depthwise_maps():
    assert merging.is_padding(PAD)
    assert not merging.is_padding(DEPTHWISE)
    assert not merging.is_padding(Conv2d(np.ones((4, 1, 1, 1)), stride=2, groups=4))
    assert not merging.is_padding(Conv2d(np.ones((4, 4, 1, 1)), padding=1))
    assert not merging.is_padding(Conv2d(np.full((4, 1, 1, 1), 2.0), padding=1, groups=4))
    assert not merging.is_padding(Conv2d(np.ones((8, 1, 1, 1)), groups=4))
