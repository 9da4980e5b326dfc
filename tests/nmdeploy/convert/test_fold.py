import numpy as np
import pytest
from numpy.testing import assert_allclose

from nmdeploy.convert import fold as fold_module
from nmdeploy.convert.fold import fold
from nmdeploy.errors import ModelError
from nmdeploy.synapses import Conv2d, Dense, OneToOne, Reshape, SumPool2d, Upsample2d

RNG = np.random.default_rng(3)


def random(*shape):
    return RNG.normal(size=shape)


def kinds(chain):
    return [synapse.kind for synapse in chain]


def apply(chain, values):
    for synapse in chain:
        values = synapse.apply(values)
    return values


AREA = OneToOne(np.array([0.25]))
BATCH_NORM = OneToOne(random(4, 1, 1))
CONV = Conv2d(random(4, 3, 3, 3), padding=1)
CONV_AFTER = Conv2d(random(2, 4, 2, 2))


@pytest.mark.parametrize(
    ("chain", "expected"),
    [
        ((CONV, BATCH_NORM), "Conv2d"),
        ((CONV, BATCH_NORM, SumPool2d(2), AREA), "Conv2d SumPool2d"),
        ((SumPool2d(2), AREA, CONV), "SumPool2d Conv2d"),
        ((SumPool2d(2), AREA, Reshape((27,)), Dense(random(5, 27))), "SumPool2d Reshape Dense"),
        ((SumPool2d(2), AREA), "SumPool2d OneToOne"),
        ((), "OneToOne"),
        ((Reshape((12, 3, 3)), Reshape((108,))), "Reshape OneToOne"),
        ((Conv2d(random(3, 1, 3, 3), padding=1, groups=3), Conv2d(random(4, 3, 1, 1)), BATCH_NORM), "Conv2d"),
        ((Conv2d(np.ones((3, 1, 1, 1)), padding=2, groups=3), OneToOne(random(3, 1, 1)), CONV), "Conv2d"),
        ((Conv2d(np.ones((3, 1, 1, 1)), padding=2, groups=3), OneToOne(random(3, 1, 1))), "Conv2d"),
        ((Conv2d(random(4, 3, 1, 1)), Upsample2d(2), Conv2d(random(2, 4, 3, 3))), "Upsample2d Conv2d"),
        ((Conv2d(random(4, 3, 1, 1)), Upsample2d(2)), "Conv2d Upsample2d"),
        ((CONV, SumPool2d(2), CONV_AFTER), "Reshape Dense Reshape"),
        ((OneToOne(random(3, 6, 6)), CONV), "Reshape Dense Reshape"),
        ((SumPool2d(2), CONV, Reshape((36,)), Dense(random(5, 36))), "SumPool2d Reshape Dense"),
    ],
)
def test_a_chain_becomes_one_weighted_map_that_says_the_same(chain, expected):
    values = random(3, 3, 6, 6)
    folded = fold(chain, (3, 6, 6), ["a", "b"])
    assert " ".join(kinds(folded)) == expected
    assert sum(synapse.weight is not None for synapse in folded) == 1
    assert_allclose(apply(folded, values), apply(chain, values), rtol=1e-11, atol=1e-11)


def test_the_average_goes_into_the_weights():
    weight = random(5, 27)
    folded = fold((SumPool2d(2), AREA, Reshape((27,)), Dense(weight)), (3, 6, 6), [])
    assert_allclose(folded[-1].weight, weight / 4, rtol=1e-15)


def test_weights_are_computed_in_float64():
    (folded,) = fold((Dense(random(2, 3).astype(np.float32)), OneToOne(np.array([1 / 3]))), (3,), [])
    assert folded.weight.dtype == np.float64


def test_the_dense_map_is_built_in_batches(monkeypatch):
    chain = (CONV, SumPool2d(2), CONV_AFTER)
    whole = fold(chain, (3, 6, 6), [])
    monkeypatch.setattr(fold_module, "DENSE_LIMIT", 144 * 8)  # 108 inputs, 8 outputs; 8 unit vectors at a time
    assert fold(chain, (3, 6, 6), []) == whole


def test_layers_that_cannot_be_joined_are_both_named(monkeypatch):
    monkeypatch.setattr(fold_module, "DENSE_LIMIT", 863)
    with pytest.raises(ModelError, match=r"conv1 and conv2: .*864 weights, limit 863.*put a ReLU between"):
        fold((CONV, SumPool2d(2), CONV_AFTER), (3, 6, 6), ["conv1", "conv2"])
    monkeypatch.setattr(fold_module, "DENSE_LIMIT", 864)
    fold((CONV, SumPool2d(2), CONV_AFTER), (3, 6, 6), ["conv1", "conv2"])
