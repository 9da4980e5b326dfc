"""The maps in torch are those of the synapses."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nmdeploy.errors import ShapeError, UsageError
from nmdeploy.synapses import (
    SYNAPSE_KINDS,
    Conv2d,
    ConvTranspose2d,
    Dense,
    OneToOne,
    Reshape,
    SumPool2d,
    Synapse,
    Upsample2d,
)

torch = pytest.importorskip("torch")

from nmdeploy.convert.surrogate.torch_maps import applied  # noqa: E402

sizes, pads = st.integers(1, 3), st.tuples(*[st.integers(0, 2)] * 4)
pairs = st.tuples(sizes, sizes)


def normal(draw, *shape):
    return np.random.default_rng(draw(st.integers(0, 1000))).normal(size=shape)


@st.composite
def convolution(draw, shape):
    groups = draw(st.sampled_from([1, shape[0]]))
    weight = normal(draw, groups * draw(sizes), shape[0] // groups, *draw(pairs))
    return Conv2d(weight, draw(pairs), draw(pads), draw(pairs), groups)


@st.composite
def transposed(draw, shape):
    groups = draw(st.sampled_from([1, shape[0]]))
    weight = normal(draw, shape[0], draw(sizes), *draw(pairs))
    rest = draw(st.tuples(st.integers(0, 2), st.integers(0, 2)))
    return ConvTranspose2d(weight, draw(pairs), draw(pads), rest, draw(pairs), groups)


@st.composite
def element_by_element(draw, shape):
    return OneToOne(normal(draw, *draw(st.sampled_from([(1,), (shape[0], 1, 1), shape]))))


KINDS = {
    "Conv2d": convolution,
    "ConvTranspose2d": transposed,
    "SumPool2d": lambda _shape: st.builds(SumPool2d, pairs, st.none() | pairs, pads),
    "Upsample2d": lambda _shape: st.builds(Upsample2d, pairs),
    "OneToOne": element_by_element,
    "Reshape": lambda shape: st.just(Reshape((int(np.prod(shape)),))),
}


def check(synapse, values):
    """Same values, and the gradient of a linear map: the sum of its entries per input."""
    wanted = synapse.apply(values)
    weight = None if synapse.weight is None else torch.from_numpy(np.array(synapse.weight))
    given_values = torch.from_numpy(values.copy()).requires_grad_()
    found = applied(synapse, given_values, weight)
    np.testing.assert_allclose(found.detach().numpy(), wanted, rtol=1e-12, atol=1e-12)
    found[0].sum().backward()
    entering = np.asarray(synapse.matrix(values.shape[1:]).sum(axis=0)).reshape(values.shape[1:])
    np.testing.assert_allclose(given_values.grad.numpy()[0], entering, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=40)
@given(data=st.data())
def test_a_map_of_images(kind, data):
    shape = data.draw(st.tuples(sizes, st.integers(1, 6), st.integers(1, 6)))
    synapse = data.draw(KINDS[kind](shape))
    try:
        synapse.out_shape(shape)
    except ShapeError:
        return
    check(synapse, normal(data.draw, 2, *shape))


def test_a_dense_map(rng):
    check(Dense(rng.normal(size=(3, 7))), rng.normal(size=(2, 7)))


def test_every_kind_is_known_and_others_are_refused(rng):
    assert set(KINDS) | {"Dense"} == set(SYNAPSE_KINDS)

    class Odd(Synapse):
        kind = "Odd"
        out_shape = apply = entries = fan_out = None

    Odd.__abstractmethods__ = frozenset()
    with pytest.raises(UsageError, match=r"cannot be trained through.*Odd.*Dense"):
        applied(Odd(), torch.zeros(1, 2), None)
