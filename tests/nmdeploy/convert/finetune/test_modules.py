"""The quantized forward pass, and its gradients, against their formulas."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

from nmdeploy.coding import DeterministicRate  # noqa: E402
from nmdeploy.convert.finetune.modules import InputCounts, OnGrid, QuantizedRelu  # noqa: E402

reals = st.floats(-3, 8, width=32)


@given(st.lists(reals, min_size=1, max_size=30), st.floats(0.05, 6), st.integers(1, 32))
def test_the_activation_is_that_of_the_paper(values, bound, levels):
    module = QuantizedRelu(bound, levels)
    x = torch.tensor(values)
    learned = np.float32(module.log_bound.detach().exp())
    wanted = np.clip(np.floor(x.numpy() / learned * np.float32(levels) + np.float32(0.5)), 0, levels)
    found = module(x).detach().numpy()
    assert_allclose(learned, bound, rtol=1e-6)
    assert_array_equal(np.rint(found * (levels / learned)), wanted)
    assert_allclose(found, wanted * learned / levels, rtol=1e-6)


@given(st.lists(reals, min_size=1, max_size=30), st.floats(0.05, 6), st.integers(1, 32))
def test_gradients_of_input_and_bound(values, bound, levels):
    """Straight-through floor: dy/dx is 1 within the range; dy/dlambda = y / lambda - x / lambda within, 1 above."""
    module = QuantizedRelu(bound, levels)
    x = torch.tensor(values, requires_grad=True)
    y = module(x)
    weights = torch.linspace(0.5, 2, len(values))
    (y * weights).sum().backward()
    share, learned = x.detach() / module.log_bound.detach().exp(), module.log_bound.detach().exp()
    inside = (share >= 0) & (share <= 1)
    assert_array_equal(x.grad != 0, inside)
    assert_allclose(x.grad[inside], weights[inside], rtol=1e-5)
    of_bound = torch.where(inside, y.detach() / learned - share, (share > 1).float())
    # d/d log(lambda) = lambda d/d lambda
    assert_allclose(module.log_bound.grad, learned * (of_bound * weights).sum(), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("bits", range(2, 9))
@pytest.mark.parametrize("layer", [nn.Linear(40, 30), nn.Conv2d(3, 8, 5), nn.ConvTranspose1d(4, 6, 3)])
def test_weights_are_on_a_symmetric_grid(bits, layer):
    grid = OnGrid(layer, bits)
    weight, largest = grid.weight.detach(), layer.weight.detach().abs().max()
    steps = weight / (largest / (2 ** (bits - 1) - 1))
    assert_allclose(steps, torch.round(steps), atol=1e-4)
    assert len(torch.unique(weight)) <= 2**bits - 1
    assert torch.all((weight - layer.weight).abs() <= 0.501 * largest / (2 ** (bits - 1) - 1))
    assert_allclose(weight.abs().max(), largest, rtol=1e-6)


def test_the_gradient_of_the_grid_reaches_the_weights_unchanged():
    layer = nn.Linear(5, 3)
    grid, x = OnGrid(layer, 3), torch.linspace(-1, 2, 10).reshape(2, 5)
    (grid(x) * torch.tensor([1.0, 2, 3])).sum().backward()
    assert_allclose(layer.weight.grad, torch.tensor([1.0, 2, 3])[:, None] * x.sum(0), rtol=1e-5)
    assert_allclose(layer.bias.grad, [2, 4, 6])


def test_weights_that_are_all_zero_stay_so():
    layer = nn.Linear(3, 2)
    nn.init.zeros_(layer.weight)
    assert torch.all(OnGrid(layer, 4).weight == 0)


@given(
    st.lists(st.one_of(st.integers(0, 255).map(lambda k: k / 255), st.floats(0, 1)), min_size=1, max_size=20),
    st.integers(1, 40),
    st.sampled_from([(0.0, 1.0), (-1.0, 1.0), (0.5, 2.25)]),
)
def test_the_input_is_what_the_encoder_sends(values, steps, ends):
    low, high = ends
    x = np.clip(low + (high - low) * np.array([values]), low, high).astype(np.float32)
    counts = DeterministicRate(low, high).encode(x, steps).sum(axis=0, dtype=np.int64)
    found = InputCounts(steps, low, high)(torch.from_numpy(x))
    assert found.dtype == torch.float32
    assert_array_equal(found, (low + (high - low) * (counts / steps)).astype(np.float32))


def test_inputs_beyond_the_range_are_cut_off():
    found = InputCounts(4, 0.0, 1.0)(torch.tensor([-1.0, 0.3, 7.0]))
    assert_array_equal(found, [0, 0.25, 1])


def test_modules_tell_their_sizes():
    made = nn.Sequential(QuantizedRelu(2.0, 8), OnGrid(nn.Linear(2, 2), 6), InputCounts(16, 0.0, 1.0))
    for words in ("bound=2, levels=8", "bits=6", "steps=16, low=0, high=1"):
        assert words in repr(made)
