"""What is found, folded and replaced, and what is refused by name."""

import copy
import re

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402
from torch.nn import functional as F  # noqa: E402

from nmdeploy.convert.finetune import finish, prepare  # noqa: E402
from nmdeploy.convert.finetune.modules import OnGrid, QuantizedRelu  # noqa: E402
from nmdeploy.errors import DataError, ModelError, ShapeError, UsageError  # noqa: E402

IMAGES = np.random.default_rng(3).random((60, 1, 8, 8)).astype(np.float32)
VECTORS = np.random.default_rng(4).random((60, 6)).astype(np.float32)


class Applied(nn.Module):
    """A layer, a function, a layer."""

    def __init__(self, function, **more):
        super().__init__()
        self.first, self.last = nn.Linear(6, 5), nn.Linear(5, 3)
        self.function = function
        for name, value in more.items():
            setattr(self, name, value)

    def forward(self, x):
        return self.last(self.function(self.first(x)))


def kinds(module, kind):
    return [path for path, each in module.named_modules() if isinstance(each, kind)]


def test_the_modules_of_a_prepared_network(cnn):
    before = copy.deepcopy(cnn.state_dict())
    made = prepare(cnn, IMAGES, levels=4, weight_bits=5)
    assert made.activations == ("relu1", "relu2")
    assert kinds(made.network, OnGrid) == ["conv1", "conv2", "linear"]
    assert kinds(made.network, QuantizedRelu) == ["relu1", "relu2"]
    assert not kinds(made, nn.BatchNorm2d)
    assert not cnn.training
    for name, value in cnn.state_dict().items():
        assert_array_equal(value, before[name])


def test_many_levels_compute_what_the_model_does(cnn, residual):
    """Folding, tracing and replacing change nothing: with 4096 levels, only 8-bit weights differ."""
    for model in (cnn, residual):
        made = prepare(model, IMAGES, levels=4096).eval()
        for path in made.activations:
            nn.init.constant_(made.network.get_submodule(path).log_bound, np.log(20.0))
        with torch.no_grad():
            wanted, found = model(torch.from_numpy(IMAGES)), made(torch.from_numpy(IMAGES))
        assert (wanted - found).abs().max() < 0.05 * wanted.abs().max()


def test_functional_and_repeated_relus_have_a_bound_each(residual):
    made = prepare(residual, IMAGES)
    assert list(made.bounds) == ["relu", "block.act", "block.act_2"]
    assert len(set(made.bounds.values())) == 3


def test_bounds_start_at_a_percentile_of_the_activations(mlp):
    made = prepare(mlp, IMAGES)
    with torch.no_grad():
        active = mlp[:3](torch.from_numpy(IMAGES)).numpy()
    exact = np.percentile(active, 99.9, method="inverted_cdf")
    assert_allclose(made.bounds["2"], exact, rtol=1e-3)
    assert made.notes == ()


def test_a_silent_activation_is_told(mlp):
    nn.init.constant_(mlp[1].bias, -100.0)
    made = prepare(mlp, IMAGES)
    assert made.bounds == {"2": 1.0}
    assert made.notes == ("2: never active on the calibration data; its scale is 1",)


@pytest.mark.parametrize(
    "function",
    [
        F.relu,
        torch.relu,
        torch.relu_,
        F.relu6,
        lambda x: x.relu(),
        lambda x: x.clamp(min=0),
        lambda x: x.clamp_(0, 5.0),
        lambda x: torch.clamp(x, 0),
        lambda x: x.clamp_min(0),
        lambda x: F.hardtanh(x, 0.0, 4.0),
        lambda x: F.relu(x, inplace=True),
        lambda x: F.relu(input=x),
        nn.ReLU(inplace=True),
        nn.ReLU6(),
        nn.Hardtanh(0.0, 2.0),
    ],
)
def test_every_way_to_write_a_relu(function):
    model = Applied(function)
    made = prepare(model, VECTORS)
    assert len(made.activations) == 1
    graph = finish(made).model
    assert len(kinds(graph, nn.Hardtanh)) == 1


def test_tensors_on_the_model_and_lists_are_calibration_too(mlp):
    wanted = prepare(mlp, IMAGES).bounds
    assert prepare(mlp, torch.from_numpy(IMAGES)).bounds == wanted
    assert prepare(mlp, IMAGES.tolist()).bounds == wanted


def test_a_relu_at_the_very_end_stays(mlp):
    made = prepare(nn.Sequential(*mlp, nn.ReLU()), IMAGES)
    assert made.activations == ("2",)
    assert kinds(made, nn.ReLU) == ["network.4"]
    assert kinds(finish(made).model, nn.ReLU) == ["4"]


def test_one_relu_between_layers_and_at_the_end():
    class Both(Applied):
        def forward(self, x):
            return self.function(super().forward(x))

    made = prepare(Both(nn.ReLU()), VECTORS)
    assert made.activations == ("function_2",)
    assert kinds(made.network, nn.ReLU) == ["function"]


def test_batch_norms_of_all_layers_are_folded():
    torch.manual_seed(5)
    model = nn.Sequential(
        nn.Conv2d(1, 4, 3),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.ConvTranspose2d(4, 2, 2, stride=2),
        nn.BatchNorm2d(2),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(288, 7),
        nn.BatchNorm1d(7),
    )
    model(torch.randn(50, 1, 8, 8))
    made = prepare(model.eval(), IMAGES)
    assert not kinds(made, (nn.BatchNorm1d, nn.BatchNorm2d))
    assert made.classes == 7


def test_a_layer_used_twice_is_on_the_grid_once():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer, self.alias = nn.Linear(6, 6), None
            self.alias = self.layer

        def forward(self, x):
            return self.alias(torch.relu(self.layer(torch.relu(self.layer(x)))))

    made = prepare(Twice(), VECTORS, weight_bits=3)
    assert len(list(made.network.parameters())) == 4
    for name, value in finish(made).model.named_parameters():
        assert "bias" in name or len(torch.unique(value)) <= 7


def test_what_the_output_does_not_need_is_left_out():
    class Auxiliary(Applied):
        def forward(self, x):
            torch.relu(self.last(torch.relu(self.first(x))))
            return super().forward(x)

    assert prepare(Auxiliary(torch.relu), VECTORS).activations == ("relu",)


def test_weight_normalization_is_baked():
    model = Applied(torch.relu)
    nn.utils.parametrizations.weight_norm(model.first)
    assert kinds(prepare(model, VECTORS).network, OnGrid) == ["first", "last"]


class Loop(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(6, 6)

    def forward(self, x):
        if x.shape[0] > 100:
            return x
        return self.layer(torch.relu(self.layer(x)))


class Loose(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(3, 6))

    def forward(self, x):
        return torch.relu(x) @ self.weight.T


class UsedAgain(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(6, 6)

    def forward(self, x):
        x = self.layer(x)
        y = torch.relu_(x)
        return self.layer(y + x)


class NotUsed(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(6, 6)

    def forward(self, x):
        x = self.layer(x)
        torch.relu_(x)
        return self.layer(torch.relu(self.layer(x)))


class Hooked(Applied):
    def __init__(self):
        super().__init__(torch.relu)
        self.register_forward_hook(lambda _module, _given, result: 2 * result)


class SharedNorm(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer, self.norm = nn.Linear(6, 6), nn.BatchNorm1d(6)

    def forward(self, x):
        return self.norm(self.layer(torch.relu(self.norm(self.layer(x)))))


def norm_first():
    return nn.Sequential(nn.BatchNorm1d(6), nn.Linear(6, 4), nn.ReLU(), nn.Linear(4, 3)).eval()


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (nn.Sequential(nn.Linear(6, 4), nn.GELU(), nn.Linear(4, 3)), r"layer '1' \(aten.gelu\)"),
        (nn.Sequential(nn.Linear(6, 4)), "Sequential: the model has no ReLU between layers"),
        (nn.Sequential(nn.Linear(6, 4), nn.ReLU()), "Sequential: the model has no ReLU between layers"),
        (Loop(), "Loop: torch.fx cannot trace the model"),
        (Loose(), "weight: parameters outside layers cannot be trained on a grid"),
        (UsedAgain(), "relu: what is rectified in place is used again"),
        (NotUsed(), "NotUsed: the traced model computes other values than the model.*in place"),
        (Hooked(), "Hooked: the traced model computes other values than the model.*without hooks"),
        (SharedNorm().eval(), "norm: batch norm cannot be folded .*behind layer, which is used elsewhere"),
        (norm_first(), "0: batch norm cannot be folded for training .found behind"),
        (nn.Sequential(nn.Linear(6, 4), nn.ReLU(), nn.ReLU6(), nn.Linear(4, 3)), "several ReLUs in a row"),
        (Applied(lambda x: F.threshold(x, 0.0, 0.0)), "relu.*cannot be made a quantized one|threshold"),
        (Applied(lambda x: torch.relu(x).clamp(max=0.1)), "cannot be made a quantized one"),
    ],
)
def test_what_cannot_be_prepared_is_refused_by_name(model, words):
    with pytest.raises((ModelError, UsageError), match=words):
        prepare(model, VECTORS)


def test_max_pools_are_refused_by_name():
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(18, 3))
    with pytest.raises(ModelError, match=re.escape("layer '2' (aten.max_pool2d)")):
        prepare(model, IMAGES)


def test_a_prepared_or_foreign_model_is_refused(mlp):
    made = prepare(mlp, IMAGES)
    for model in (made, made.network):
        with pytest.raises(UsageError, match="prepared already"):
            prepare(model, IMAGES)
    with pytest.raises(UsageError, match=r"not a prepared one .found Sequential"):
        finish(mlp)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"levels": 0}, "levels: a quantized activation has at least one level"),
        ({"weight_bits": 1}, r"weight_bits: .*found 1, limit 2\.\.8"),
        ({"weight_bits": 9}, r"weight_bits: .*found 9, limit 2\.\.8"),
        ({"input_steps": 0}, "input_steps: an input has at least one step"),
        ({"input_range": (1.0, 0.0)}, "input_range"),
    ],
)
def test_senseless_options_are_refused(mlp, options, words):
    with pytest.raises(UsageError, match=words):
        prepare(mlp, IMAGES, **options)


def test_calibration_data_is_checked(mlp):
    with pytest.raises(DataError, match="calibration data"):
        prepare(mlp, 2 * IMAGES)
    with pytest.raises(ShapeError, match="calibration data"):
        prepare(mlp, IMAGES[0])


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no second device")
def test_a_model_stays_on_its_device(mlp):
    made = prepare(mlp.cuda(), IMAGES, input_steps=8)
    assert {each.device.type for each in made.parameters()} == {"cuda"}
    assert made(torch.from_numpy(IMAGES).cuda()).device.type == "cuda"
    assert next(mlp.parameters()).device.type == "cuda"
