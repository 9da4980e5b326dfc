"""What cannot be imported is refused with the operation, its place and a remedy."""

import numpy as np
import pytest

from nmdeploy.ann.from_torch import from_torch
from nmdeploy.errors import DataError, MissingDependency, ModelError, ShapeError, UsageError

torch = pytest.importorskip("torch")
nn = torch.nn
functional = torch.nn.functional

IMAGE, SIGNAL, FEATURES = (4, 6, 8), (4, 12), (6,)


class Function(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, *inputs):
        return self.function(*inputs)


def refusal(model, *shapes, **options):
    """The message of the ModelError; it is one line unless several faults are listed."""
    with pytest.raises(ModelError) as caught:
        from_torch(model, tuple(torch.zeros(1, *shape) for shape in shapes), name="net", **options)
    message = str(caught.value)
    assert message.startswith("net")
    return message


RELU = "replace it by nn.ReLU and fine-tune"

LAYERS = {
    "sigmoid": (nn.Sigmoid(), FEATURES, "sigmoid", RELU),
    "tanh": (nn.Tanh(), FEATURES, "tanh", RELU),
    "gelu": (nn.GELU(), FEATURES, "gelu", RELU),
    "silu": (nn.SiLU(), FEATURES, "silu", RELU),
    "leaky_relu": (nn.LeakyReLU(), FEATURES, "leaky_relu", RELU),
    "elu": (nn.ELU(), FEATURES, "elu", RELU),
    "softplus": (nn.Softplus(), FEATURES, "softplus", RELU),
    "prelu": (nn.PReLU(), FEATURES, "prelu", RELU),
    "hardswish": (nn.Hardswish(), FEATURES, "hardswish", RELU),
    "layer_norm": (nn.LayerNorm(6), FEATURES, "layer_norm", "nn.BatchNorm"),
    "group_norm": (nn.GroupNorm(2, 4), IMAGE, "group_norm", "nn.BatchNorm"),
    "instance_norm": (nn.InstanceNorm2d(4), IMAGE, "instance_norm", "nn.BatchNorm"),
    "batch statistics": (nn.BatchNorm2d(4, track_running_stats=False), IMAGE, "batch_norm", "track_running_stats=True"),
    "pixel_shuffle": (nn.PixelShuffle(2), IMAGE, "pixel_shuffle", "permute the samples before"),
    "bilinear": (nn.Upsample(scale_factor=2, mode="bilinear"), IMAGE, "upsample_bilinear2d", "nearest-neighbour"),
    "broken factor": (nn.Upsample(scale_factor=1.5), IMAGE, "upsample_nearest2d", "whole factor"),
    "max_pool2d": (nn.MaxPool2d(2), IMAGE, "max_pool2d", "max_pool='average'"),
    "max_pool1d": (nn.MaxPool1d(2), SIGNAL, "max_pool1d", "max_pool='average'"),
    "adaptive_max_pool2d": (nn.AdaptiveMaxPool2d(2), IMAGE, "adaptive_max_pool2d", "max_pool='average'"),
    "avg_pool without pad": (
        nn.AvgPool2d(3, 2, 1, count_include_pad=False),
        IMAGE,
        "avg_pool2d",
        "count_include_pad=True",
    ),
    "avg_pool ceil": (nn.AvgPool2d(3, 2, ceil_mode=True), IMAGE, "avg_pool2d", "ceil_mode=False"),
    "uneven adaptive pool": (nn.AdaptiveAvgPool2d((4, 3)), IMAGE, "adaptive_avg_pool2d", "divides the input size"),
    "hardtanh": (nn.Hardtanh(-1, 1), FEATURES, "hardtanh", "a lower bound of 0"),
    "threshold": (nn.Threshold(0.1, 0), FEATURES, "threshold", "use nn.ReLU"),
    "constant pad": (nn.ConstantPad2d(1, 0.5), IMAGE, "pad", "pad with zeros"),
    "reflection pad": (nn.ReflectionPad2d(1), IMAGE, "pad", "pad with zeros"),
    "circular convolution": (nn.Conv2d(4, 4, 3, padding=1, padding_mode="circular"), IMAGE, "pad", "pad with zeros"),
    "linear on signals": (nn.Linear(12, 3), SIGNAL, "linear", r"x.flatten(1)"),
}


@pytest.mark.parametrize("case", LAYERS.values(), ids=LAYERS.keys())
def test_layer(case):
    layer, shape, operation, remedy = case
    message = refusal(nn.Sequential(nn.Identity(), layer), shape)
    assert f"layer '1' (aten.{operation})" in message
    assert remedy in message
    assert "\n" not in message


FUNCTIONS = {
    "active dropout": (functional.dropout, FEATURES, "dropout", "training=self.training"),
    "permute": (lambda x: x.permute(0, 2, 3, 1), IMAGE, "permute", "permute the samples before"),
    "transpose": (lambda x: x.transpose(1, 2), SIGNAL, "transpose", "permute the samples before"),
    "transposed samples": (lambda x: x.transpose(0, 1), (1, 6), "transpose", "permute the samples before"),
    "t": (lambda x: x.t(), FEATURES, "t", "permute the samples before"),
    "slice": (lambda x: x[:, :, ::2], SIGNAL, "slice", "strided or grouped convolution"),
    "split": (lambda x: torch.add(*x.split(2, 1)), IMAGE, "split", "one layer for each part"),
    "chunk": (lambda x: torch.cat(x.chunk(2, 1)[::-1], 1), IMAGE, "chunk", "one layer for each part"),
    "flatten the samples": (lambda x: x.flatten(), FEATURES, "flatten", "x.flatten(1)"),
    "view of one sample": (lambda x: x.view(1, -1), FEATURES, "view", "x.flatten(1)"),
    "five axes": (lambda x: x.unsqueeze(1).relu(), IMAGE, "unsqueeze", "at most 3 axes"),
    "mean of channels": (lambda x: x.mean(1), IMAGE, "mean", "x.mean((2, 3))"),
    "mean of everything": (lambda x: x.mean(), IMAGE, "mean", "the spatial axes"),
    "sum of samples": (lambda x: x.sum(0, keepdim=True), IMAGE, "sum", "the spatial axes"),
    "maximum of pixels": (lambda x: x.amax((2, 3)), IMAGE, "amax", "average pooling"),
    "maximum with zero": (lambda x: torch.maximum(x, torch.zeros(1)), FEATURES, "maximum", "nn.ReLU"),
    "clamp from -1": (lambda x: x.clamp(-1, 1), FEATURES, "clamp", "a lower bound of 0"),
    "clamp from above": (lambda x: x.clamp(max=1), FEATURES, "clamp", "a lower bound of 0"),
    "clamp to nothing": (lambda x: x.clamp(0, 0), FEATURES, "clamp", "not positive"),
    "clamp per neuron": (lambda x: x.clamp(torch.zeros(6)), FEATURES, "clamp", "one bound for the layer"),
    "concatenated rows": (lambda x: torch.cat([x, x], 2), IMAGE, "cat", "dim=1"),
    "concatenated constant": (lambda x: torch.cat([x, torch.ones(x.shape)], 1), IMAGE, "cat", "as a bias"),
    "padded channels": (lambda x: functional.pad(x, (0, 0, 0, 0, 1, 1)), IMAGE, "pad", "height and width only"),
    "padded features": (lambda x: functional.pad(x, (1, 1)), FEATURES, "pad", "height and width only"),
    "cropped": (lambda x: functional.pad(x, (-1, 0)), IMAGE, "pad", "cuts off"),
    "product": (lambda x: x * x.relu(), FEATURES, "mul", "squeeze-and-excitation"),
    "quotient": (lambda x: 1 / x, FEATURES, "reciprocal", "products of activations"),
    "unknown operation": (lambda x: x.logit(), FEATURES, "logit", "docs/import-pytorch.md"),
    "quotient of activations": (lambda x: x / x.relu(), FEATURES, "div", "do not divide"),
    "division by zero": (lambda x: x / 0, FEATURES, "div", "the divisor is zero"),
    "rounded quotient": (lambda x: torch.div(x, 2, rounding_mode="floor"), FEATURES, "div", "quantization"),
    "broadcast sum": (lambda x: x + x.mean((2, 3), keepdim=True), IMAGE, "add", "bring both to one shape"),
    "growing sum": (lambda x: x.mean((2, 3), keepdim=True) + torch.ones(2, 2), IMAGE, "add", "one value, one per"),
    "bias of samples": (lambda x: x + torch.arange(12.0).view(2, 6), FEATURES, "add", "differs from sample to sample"),
    "infinite factor": (lambda x: x * float("inf"), FEATURES, "mul", "NaN or infinity"),
    "softmax in the middle": (lambda x: torch.softmax(x, 1) @ torch.ones(6, 2), FEATURES, "softmax", "behind the last"),
    "softmax over pixels": (lambda x: torch.softmax(x, -1), IMAGE, "softmax", "dim=1"),
    "argmax": (lambda x: x.argmax(1), FEATURES, "argmax", "the read-out"),
    "square": (lambda x: x**2, FEATURES, "pow", RELU),
    "batched product": (lambda x: torch.bmm(x, torch.ones(2, 12, 3)), SIGNAL, "bmm", "attention"),
    "product from the left": (lambda x: torch.ones(4, 4) @ x, SIGNAL, "matmul", "is a constant"),
    "product with a stack": (lambda x: x @ torch.ones(2, 12, 2), (4, 12), "matmul", "is a matrix"),
    "convolution of activations": (
        lambda x: functional.conv1d(torch.ones(2, 4, 3), x[:, :4]),
        (4, 3),
        "conv1d",
        "is a constant",
    ),
    "computed weights": (lambda x: functional.linear(x, x), FEATURES, "linear", "fixed weights"),
    "addmm of samples": (
        lambda x: torch.addmm(torch.arange(6.0).view(2, 3), x, torch.ones(6, 3)),
        FEATURES,
        "addmm",
        "differs from sample to sample",
    ),
    "cast to integers": (lambda x: x.int() + 1, FEATURES, "to", "quantization"),
    "random numbers": (lambda x: x + torch.rand(6), FEATURES, "rand", "a buffer"),
    "where": (lambda x: torch.where(x > 0, x, 0 * x), FEATURES, "where", "without branches"),
    "attention": (
        lambda x: functional.scaled_dot_product_attention(x, x, x),
        SIGNAL,
        "scaled_dot_product_attention",
        "attention",
    ),
}


@pytest.mark.parametrize("case", FUNCTIONS.values(), ids=FUNCTIONS.keys())
def test_function(case):
    function, shape, operation, remedy = case
    message = refusal(Function(function), shape)
    assert f"aten.{operation} (test_torch_refusals.py:" in message
    assert remedy in message


def test_modules_of_many_operations_are_reported_once():
    class Sequence(nn.Module):
        def __init__(self):
            super().__init__()
            self.attention = nn.MultiheadAttention(4, 2, batch_first=True)
            self.rnn = nn.GRU(12, 3, batch_first=True)
            self.memory = nn.LSTM(3, 3, batch_first=True)

        def forward(self, x):
            y, _ = self.rnn(x)
            z, _ = self.memory(y)
            a, _ = self.attention(z.flatten(1)[:, :12].reshape(-1, 3, 4), x[:, :3, :4], x[:, :3, :4])
            return a

    message = refusal(Sequence(), SIGNAL)
    for path, kind in (("rnn", "GRU"), ("memory", "LSTM"), ("attention", "MultiheadAttention")):
        assert message.count(f"layer {path!r}: nn.{kind} cannot be imported") == 1


def test_all_faults_are_told_at_once():
    model = nn.Sequential(
        nn.Conv2d(4, 4, 3), nn.Sigmoid(), nn.MaxPool2d(2), nn.Flatten(), nn.Tanh(), nn.Linear(24, 3), nn.Softmax(0)
    )
    message = refusal(model, IMAGE)
    lines = message.splitlines()
    assert lines[0] == "net: 4 operations cannot be imported:"
    places = [line.split(":")[0].strip() for line in lines[1:]]
    calls = {"1": "sigmoid", "2": "max_pool2d", "4": "tanh", "6": "softmax"}
    assert places == [f"layer {path!r} (aten.{call})" for path, call in calls.items()]


def test_channels_in_place_of_samples():
    message = refusal(nn.Sequential(nn.Conv2d(2, 2, 1)), (3, 3))
    assert "layer '0' (aten.conv2d): a convolution takes (N, C, H, W) (found ('N', 3, 3))" in message


def test_volumes():
    message = refusal(nn.Sequential(nn.Conv3d(1, 1, 1)), (1, 2, 2, 2))
    assert "input 'input': inputs are (N, F), (N, C, L) or (N, C, H, W)" in message
    assert "layer '0' (aten.conv3d): no spiking neuron computes this; layers are 1-D and 2-D" in message


def test_a_layer_inside_a_block_is_named_by_its_path():
    block = nn.Sequential(nn.Linear(6, 6), nn.Sequential(nn.GELU()))
    assert "layer '1.1.0' (aten.gelu)" in refusal(nn.Sequential(nn.ReLU(), block), FEATURES)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_no_numbers(value):
    model = nn.Sequential(nn.Linear(6, 3), nn.ReLU())
    with torch.no_grad():
        model[0].weight[1, 2] = value
    assert "layer '0' (aten.linear): 'weight' holds NaN or infinity" in refusal(model, FEATURES)
    model = nn.Sequential(nn.BatchNorm1d(6))
    model[0].running_mean[0] = value
    assert "layer '0' (aten.batch_norm): 'running_mean' holds NaN" in refusal(model, FEATURES)


def test_a_variance_that_is_not_positive():
    model = nn.Sequential(nn.BatchNorm1d(6))
    model[0].running_var[0] = -1
    assert "the running variance is not positive" in refusal(model, FEATURES)


def test_a_float64_weight_beyond_float32():
    model = nn.Sequential(nn.Linear(6, 3)).double()
    with torch.no_grad():
        model[0].bias[0] = 1e300
    assert "'bias' holds NaN or infinity" in refusal(model, FEATURES)


def test_indices_of_a_max_pool():
    model = Function(lambda x: sum(functional.max_pool2d(x, 2, return_indices=True)))
    assert "only the first result" in refusal(model, IMAGE, max_pool="average")


def test_dilated_max_pool_cannot_be_averaged():
    assert "use dilation=1" in refusal(nn.Sequential(nn.MaxPool2d(2, dilation=2)), IMAGE, max_pool="average")


def test_branches_on_values():
    message = refusal(Function(lambda x: x if x.sum() > 0 else -x), FEATURES)
    assert "torch.export cannot trace the model" in message
    assert "without branches or loops that depend on values" in message
    assert "\n" not in message


def test_nothing_is_printed_when_tracing_fails(capfd):
    refusal(Function(lambda x: x if x.sum() > 0 else -x), FEATURES)
    refusal(Function(lambda x: x.view(1, -1) @ torch.ones(6, 1)), FEATURES)
    assert capfd.readouterr() == ("", "")


def test_a_batch_size_written_into_the_model():
    message = refusal(Function(lambda x: x.view(1, -1) @ torch.ones(6, 1)), FEATURES)
    assert "runs on the example input but not with 2 samples" in message
    assert "a batch size is written into the model" in message
    with pytest.raises(ModelError, match="not with 3 samples"):
        from_torch(Function(lambda x: x.view(2, -1)), np.zeros((2, 3)))


def test_a_model_that_does_not_run():
    message = refusal(nn.Linear(5, 3), FEATURES)
    assert "the model fails on the example input: RuntimeError" in message
    assert "(found (1, 6)); its first axis are the samples" in message
    assert "\n" not in message


def test_several_outputs():
    message = refusal(Function(lambda x: (x.relu(), x + 1)), FEATURES)
    assert "a model has one output tensor (found ['relu', 'add'])" in message


def test_an_output_that_is_constant():
    assert "the output does not depend on the input" in refusal(Function(lambda x: torch.ones(2, 3) * 2), FEATURES)


def test_a_model_with_a_state():
    class Counter(nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("count", torch.zeros(1))

        def forward(self, x):
            self.count += 1
            return x * 2

    assert "the model changes count when it runs" in refusal(Counter(), FEATURES)


def test_a_module_that_cannot_be_copied():
    model = nn.Linear(6, 3)
    model.handle = (item for item in ())
    assert "the module cannot be copied: TypeError" in refusal(model, FEATURES)


@pytest.mark.parametrize(
    ("example", "error", "message"),
    [
        (None, UsageError, "needs an example input"),
        (np.zeros(6), ShapeError, r"\[N, \*shape\] with at least one sample"),
        (np.zeros((0, 6)), ShapeError, "at least one sample"),
        (np.full((1, 6), np.nan), DataError, "NaN or infinity"),
        (np.array([["a"]]), DataError, "array of real numbers"),
        ((), DataError, "no example input"),
        (np.zeros((1, 1, 2, 3, 4)), ModelError, r"\(N, F\), \(N, C, L\) or \(N, C, H, W\)"),
    ],
)
def test_examples_that_cannot_be_used(example, error, message):
    with pytest.raises(error, match=message):
        from_torch(nn.ReLU(), example)


def test_models_of_another_kind():
    with pytest.raises(UsageError, match="found Tensor"):
        from_torch(torch.zeros(3), np.zeros((1, 3)))
    with pytest.raises(UsageError, match="max_pool: no such choice"):
        from_torch(nn.ReLU(), np.zeros((1, 3)), max_pool="maximum")


def test_examples_that_do_not_fit_an_exported_program():
    exported = torch.export.export(nn.ReLU(), (torch.zeros(2, 3),))
    with pytest.raises(ShapeError, match=r"input 'input': the example does not fit .*found \(1, 4\), limit \[2, 3\]"):
        from_torch(exported, np.zeros((1, 4)))
    with pytest.raises(UsageError, match="another number of inputs"):
        from_torch(exported, (np.zeros((1, 3)), np.zeros((1, 3))))
    wide = torch.export.export(nn.ReLU(), (torch.zeros(2, 3),), dynamic_shapes=({1: torch.export.Dim("width")},))
    with pytest.raises(ModelError, match="only the sample axis may be dynamic"):
        from_torch(wide)


def test_inputs_of_different_length():
    exported = torch.export.export(Function(lambda x, y: x + y), (torch.zeros(2, 3), torch.zeros(1, 3)))
    with pytest.raises(ShapeError, match="inputs differ in the number of samples"):
        from_torch(exported)


def test_a_constant_that_follows_a_dynamic_batch():
    model = Function(lambda x: x + torch.ones(x.shape[0], 3))
    exported = torch.export.export(model, (torch.zeros(2, 3),), dynamic_shapes=(({0: torch.export.Dim("batch")},),))
    with pytest.raises(ModelError, match=r"aten.ones .*: a constant has the shape of the batch"):
        from_torch(exported)


def test_without_torch_the_extra_is_named(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(MissingDependency, match=r"pip install 'nmdeploy\[torch\]'"):
        from_torch(object(), np.zeros((1, 3)))
