"""Every supported operation alone computes what torch computes."""

import numpy as np
import pytest

from nmdeploy.ann.execute import run
from nmdeploy.ann.from_torch import from_torch
from nmdeploy.ann.graph import Add, Concat, Linear, Rectify, Source
from nmdeploy.ann.torch_library import quiet_torch
from nmdeploy.synapses import Conv2d, Dense, OneToOne, Reshape, SumPool2d, Upsample2d

torch = pytest.importorskip("torch")
nn = torch.nn
functional = torch.nn.functional


class Function(nn.Module):
    """A module whose forward is a function."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, *inputs):
        return self.function(*inputs)


def randomized(module):
    """The module with random weights and statistics, in inference mode."""
    generator = torch.Generator().manual_seed(1)
    for name, tensor in module.state_dict().items():
        if tensor.is_floating_point():
            positive = 0.2 if "var" in name else 0.0
            tensor.copy_(torch.rand(tensor.shape, generator=generator) - (0 if positive else 0.5) + positive)
    return module.eval()


def agree(model, *shapes, samples=3, **options):
    """Import with one sample, compare on others; returns the graph."""
    generator = torch.Generator().manual_seed(2)
    inputs = [torch.randn(samples, *shape, generator=generator) for shape in shapes]
    graph = from_torch(model, tuple(torch.zeros(1, *shape) for shape in shapes), **options)
    given = {node.name: part.numpy() for node, part in zip(graph.sources, inputs, strict=True)}
    with torch.no_grad():
        expected = model(*inputs).numpy()
    computed = run(graph, given)[graph.output]
    np.testing.assert_allclose(computed.reshape(expected.shape), expected, rtol=1e-4, atol=1e-5)
    return graph


IMAGE, SIGNAL, FEATURES = (4, 6, 8), (4, 12), (6,)

LAYERS = {
    "conv2d": (lambda: nn.Conv2d(4, 3, 3), IMAGE),
    "conv2d stride and padding": (lambda: nn.Conv2d(4, 3, (3, 2), stride=(2, 1), padding=(0, 2)), IMAGE),
    "conv2d dilation": (lambda: nn.Conv2d(4, 3, 2, dilation=(2, 3)), IMAGE),
    "conv2d groups": (lambda: nn.Conv2d(4, 6, 3, groups=2), IMAGE),
    "conv2d depthwise": (lambda: nn.Conv2d(4, 4, 3, groups=4, bias=False), IMAGE),
    "conv2d same": (lambda: nn.Conv2d(4, 3, (2, 3), padding="same", dilation=(1, 2)), IMAGE),
    "conv2d valid": (lambda: nn.Conv2d(4, 3, 3, padding="valid"), IMAGE),
    "conv1d": (lambda: nn.Conv1d(4, 3, 3, stride=2, padding=1, dilation=2), SIGNAL),
    "conv1d same": (lambda: nn.Conv1d(4, 4, 4, padding="same", groups=2), SIGNAL),
    "conv_transpose2d": (
        lambda: nn.ConvTranspose2d(4, 6, (3, 2), stride=(2, 3), padding=1, output_padding=(1, 2), groups=2),
        IMAGE,
    ),
    "conv_transpose2d dilation": (lambda: nn.ConvTranspose2d(4, 2, 2, dilation=(2, 1), bias=False), IMAGE),
    "conv_transpose1d": (lambda: nn.ConvTranspose1d(4, 3, 3, stride=2, padding=1, output_padding=1), SIGNAL),
    "linear": (lambda: nn.Linear(6, 3), FEATURES),
    "linear without bias": (lambda: nn.Linear(6, 3, bias=False), FEATURES),
    "batch_norm2d": (lambda: nn.BatchNorm2d(4, eps=0.1), IMAGE),
    "batch_norm2d not affine": (lambda: nn.BatchNorm2d(4, affine=False), IMAGE),
    "batch_norm1d on signals": (lambda: nn.BatchNorm1d(4), SIGNAL),
    "batch_norm1d on features": (lambda: nn.BatchNorm1d(6), FEATURES),
    "relu": (nn.ReLU, IMAGE),
    "relu in place": (lambda: nn.ReLU(inplace=True), IMAGE),
    "relu6": (nn.ReLU6, IMAGE),
    "hardtanh": (lambda: nn.Hardtanh(0, 0.5), IMAGE),
    "threshold": (lambda: nn.Threshold(0, 0), IMAGE),
    "avg_pool2d": (lambda: nn.AvgPool2d((2, 3), stride=(2, 1)), IMAGE),
    "avg_pool2d padding": (lambda: nn.AvgPool2d(3, 2, 1), IMAGE),
    "avg_pool2d divisor": (lambda: nn.AvgPool2d(2, divisor_override=3), IMAGE),
    "avg_pool2d sum": (lambda: nn.AvgPool2d(2, divisor_override=1), IMAGE),
    "avg_pool2d ceil that does not matter": (lambda: nn.AvgPool2d(2, ceil_mode=True), IMAGE),
    "avg_pool1d": (lambda: nn.AvgPool1d(3, stride=2, padding=1), SIGNAL),
    "adaptive_avg_pool2d": (lambda: nn.AdaptiveAvgPool2d((3, 2)), IMAGE),
    "adaptive_avg_pool2d to one": (lambda: nn.AdaptiveAvgPool2d(1), IMAGE),
    "adaptive_avg_pool2d same size": (lambda: nn.AdaptiveAvgPool2d((None, 8)), IMAGE),
    "adaptive_avg_pool1d": (lambda: nn.AdaptiveAvgPool1d(4), SIGNAL),
    "zero_pad2d": (lambda: nn.ZeroPad2d((1, 2, 0, 3)), IMAGE),
    "constant_pad1d": (lambda: nn.ConstantPad1d((2, 1), 0.0), SIGNAL),
    "upsample": (lambda: nn.Upsample(scale_factor=(2, 3)), IMAGE),
    "upsample 1-D": (lambda: nn.Upsample(scale_factor=3), SIGNAL),
    "upsample to a size": (lambda: nn.Upsample(size=(12, 8)), IMAGE),
    "flatten": (nn.Flatten, IMAGE),
    "flatten a part": (lambda: nn.Flatten(2), IMAGE),
    "unflatten": (lambda: nn.Unflatten(1, (2, 3)), FEATURES),
    "dropout": (nn.Dropout, IMAGE),
    "dropout2d": (nn.Dropout2d, IMAGE),
    "alpha dropout": (nn.AlphaDropout, FEATURES),
    "identity": (nn.Identity, FEATURES),
}


@pytest.mark.parametrize("case", LAYERS.values(), ids=LAYERS.keys())
def test_layer(case):
    make, shape = case
    agree(randomized(make()), shape)


DECOMPOSED = {
    "images": (
        lambda: [
            *(nn.Conv2d(4, 4, (2, 3), stride=(2, 1), padding=(0, 2)), nn.BatchNorm2d(4, affine=False), nn.ReLU6()),
            *(nn.Conv2d(4, 4, (2, 3), padding="same", groups=2), nn.Conv2d(4, 3, 2, padding="valid", dilation=(1, 2))),
            *(nn.ZeroPad2d((1, 0, 2, 1)), nn.ConvTranspose2d(3, 2, 2, stride=2, padding=1, output_padding=1)),
            *(nn.Upsample(scale_factor=2), nn.AvgPool2d(2, padding=1), nn.AdaptiveAvgPool2d(1), nn.Dropout()),
            *(nn.Flatten(), nn.Linear(2, 5), nn.BatchNorm1d(5), nn.ReLU(), nn.Linear(5, 2, bias=False)),
        ],
        IMAGE,
    ),
    "signals": (
        lambda: [
            *(nn.Conv1d(4, 3, 3, stride=2, padding=2, dilation=2), nn.BatchNorm1d(3), nn.Hardtanh(0, 1)),
            *(nn.Conv1d(3, 3, 4, padding="same"), nn.ConvTranspose1d(3, 4, 3, stride=2, output_padding=1)),
            *(nn.ConstantPad1d((2, 0), 0.0), nn.AvgPool1d(3, padding=1), nn.AdaptiveAvgPool1d(1)),
        ],
        SIGNAL,
    ),
}


@pytest.mark.parametrize("case", DECOMPOSED.values(), ids=DECOMPOSED.keys())
def test_layers_in_decomposed_form(case):
    make, shape = case
    model = randomized(nn.Sequential(*make()))
    samples = torch.randn(3, *shape)
    with quiet_torch():  # decomposing warns about torch's own code
        exported = torch.export.export(model, (samples,)).run_decompositions()
    graph = from_torch(exported, name="net")  # compares all layers
    expected = model(samples).detach().numpy()
    computed = run(graph, samples.numpy())[graph.output].reshape(expected.shape)
    np.testing.assert_allclose(computed, expected, rtol=1e-4, atol=1e-5)


BIAS = torch.arange(4.0).reshape(4, 1, 1) - 1.5
MAP = torch.arange(48.0).reshape(6, 8) / 10

FUNCTIONS = {
    "relu": (functional.relu, IMAGE),
    "relu twice": (lambda x: functional.relu(functional.relu6(x)), IMAGE),
    "clamp from below": (lambda x: x.clamp(min=0), IMAGE),
    "clamp on both sides": (lambda x: x.clamp(0, 0.7), IMAGE),
    "clamp_min": (lambda x: torch.clamp_min(x, 0), IMAGE),
    "clamp of a relu": (lambda x: functional.relu(x).clamp(max=0.4), IMAGE),
    "clamp with tensors": (lambda x: x.clamp(torch.tensor(0.0), torch.tensor(0.3)), IMAGE),
    "mean of pixels": (lambda x: x.mean((2, 3)), IMAGE),
    "mean with kept axes": (lambda x: x.mean([-1, -2], keepdim=True), IMAGE),
    "mean of rows": (lambda x: x.mean(3), IMAGE),
    "mean of columns": (lambda x: x.mean(2), IMAGE),
    "mean over time": (lambda x: x.mean(-1), SIGNAL),
    "sum of pixels": (lambda x: x.sum((2, 3)), IMAGE),
    "view": (lambda x: x.view(x.shape[0], -1), IMAGE),
    "reshape to an image": (lambda x: x.reshape(-1, 2, 3, 1), FEATURES),
    "unsqueeze and squeeze": (lambda x: x.unsqueeze(1).squeeze(1)[:, None, None].squeeze(), FEATURES),
    "one number": (lambda x: (x @ torch.arange(6.0)[:, None]).squeeze(1) + 1, FEATURES),
    "transpose of an axis of length 1": (lambda x: x.transpose(1, 2), (1, 5)),
    "permute of axes of length 1": (lambda x: x.permute(0, 3, 1, 2), (2, 5, 1)),
    "swapaxes of length 1": (lambda x: x.swapaxes(1, 2), (5, 1)),
    "contiguous copy": (lambda x: x.contiguous().clone().detach(), IMAGE),
    "cast to double and back": (lambda x: functional.relu(x.double()).float(), IMAGE),
    "add to itself": (lambda x: x + x, IMAGE),
    "add with alpha": (lambda x: torch.add(functional.relu(x), x, alpha=-2), IMAGE),
    "add in place": (lambda x: functional.relu(x).add_(x), IMAGE),
    "add a number": (lambda x: 2 + x, IMAGE),
    "add a bias per channel": (lambda x: x + BIAS, IMAGE),
    "add a map": (lambda x: torch.add(x, MAP, alpha=3), IMAGE),
    "add to a constant with alpha": (lambda x: torch.add(BIAS, x, alpha=3), IMAGE),
    "add features": (lambda x: x + torch.arange(6.0), FEATURES),
    "add a constant of the batch": (lambda x: x + torch.full((x.shape[0], 6), 2.0), FEATURES),
    "subtract": (lambda x: functional.relu(x) - x, IMAGE),
    "subtract a constant": (lambda x: x - BIAS, IMAGE),
    "subtract from a constant": (lambda x: BIAS - x, IMAGE),
    "subtract from a number": (lambda x: 1 - x, IMAGE),
    "rsub with alpha": (lambda x: torch.rsub(x, 1.5, alpha=2), IMAGE),
    "negate": (lambda x: -x, IMAGE),
    "multiply": (lambda x: 3 * x, IMAGE),
    "multiply per channel": (lambda x: BIAS * x, IMAGE),
    "multiply per pixel": (lambda x: x * MAP, IMAGE),
    "multiply signals": (lambda x: x * torch.arange(12.0), SIGNAL),
    "divide": (lambda x: x / 255, IMAGE),
    "divide per channel": (lambda x: x / BIAS, IMAGE),
    "concatenate": (lambda x: torch.cat([x, functional.relu(x), 2 * x], 1), IMAGE),
    "concatenate features": (lambda x: torch.cat((x, -x), dim=-1), FEATURES),
    "concatenate one": (lambda x: torch.cat([x], 1), IMAGE),
    "pad": (lambda x: functional.pad(x, (1, 0, 2, 3)), IMAGE),
    "pad with nothing": (lambda x: functional.pad(x, (0, 0)), IMAGE),
    "pad two spatial axes of a list of six": (lambda x: functional.pad(x, (1, 1, 0, 2, 0, 0)), IMAGE),
    "interpolate": (lambda x: functional.interpolate(x, scale_factor=2, mode="nearest"), IMAGE),
    "interpolate exactly": (lambda x: functional.interpolate(x, scale_factor=2, mode="nearest-exact"), IMAGE),
    "interpolate to a size": (lambda x: functional.interpolate(x, size=(6, 16)), IMAGE),
    "matrix product": (lambda x: x @ torch.arange(18.0).reshape(6, 3), FEATURES),
    "mm": (lambda x: torch.mm(x, torch.arange(18.0).reshape(6, 3)), FEATURES),
    "addmm": (
        lambda x: torch.addmm(torch.arange(3.0), x, torch.arange(18.0).reshape(6, 3), beta=2, alpha=0.5),
        FEATURES,
    ),
    "addmm with one number": (lambda x: torch.addmm(torch.ones(1), x, torch.ones(6, 3)), FEATURES),
    "inactive dropout": (lambda x: functional.dropout(x, training=False), FEATURES),
    "constants computed on the way": (lambda x: x * (torch.arange(6.0).exp() / torch.ones(6).sum()), FEATURES),
    "parts of a constant": (lambda x: x + torch.arange(12.0).chunk(2)[1], FEATURES),
}


@pytest.mark.parametrize("case", FUNCTIONS.values(), ids=FUNCTIONS.keys())
def test_function(case):
    function, shape = case
    agree(Function(function), shape)


def operations(graph):
    return [node.operation for node in graph.nodes if not isinstance(node.operation, Source)]


def test_average_pool_is_a_sum_and_a_factor():
    pool, factor = operations(agree(nn.AvgPool2d(2, 1), IMAGE))
    assert pool == Linear(SumPool2d((2, 2), (1, 1)))
    assert factor == Linear(OneToOne(np.array([0.25], np.float32)))


def test_one_dimensional_layers_have_height_one():
    graph = agree(randomized(nn.Sequential(nn.Conv1d(4, 3, 5), nn.AvgPool1d(2))), SIGNAL)
    conv, pool, _ = operations(graph)
    assert graph.shapes["input"] == (4, 1, 12)
    assert conv.synapse.weight.shape == (3, 4, 1, 5)
    assert pool.synapse == SumPool2d((1, 2))


def test_linear_on_images_is_a_reshape_and_a_dense():
    reshape, linear = operations(agree(randomized(nn.Sequential(nn.Flatten(), nn.Linear(192, 2))), IMAGE))
    assert reshape.synapse == Reshape((192,))
    assert isinstance(linear.synapse, Dense)


def test_zero_padding_is_a_depthwise_identity():
    (padding,) = operations(agree(nn.ZeroPad2d((1, 2, 0, 3)), IMAGE))
    assert padding.synapse == Conv2d(np.ones((4, 1, 1, 1), np.float32), padding=(0, 3, 1, 2), groups=4)


def test_constants_take_their_smallest_form():
    def weight(factor):
        (operation,) = operations(agree(Function(lambda x: x * factor), IMAGE))
        return operation.synapse.weight.shape

    assert weight(2.0) == (1,)
    assert weight(BIAS) == (4, 1, 1)
    assert weight(BIAS.expand(4, 6, 8)) == (4, 1, 1)
    assert weight(MAP) == (4, 6, 8)


def test_operations_that_change_nothing_leave_no_node():
    assert operations(agree(nn.Sequential(nn.Identity(), nn.AdaptiveAvgPool2d((6, 8)), nn.AvgPool2d(1)), IMAGE)) == []
    assert operations(agree(Function(lambda x: x.unsqueeze(2).squeeze(2)), SIGNAL)) == []


def test_bounds_of_rectified_values_are_joined():
    assert operations(agree(Function(lambda x: functional.relu6(x).clamp(max=2)), IMAGE)) == [Rectify(2.0)]
    assert operations(agree(Function(lambda x: functional.relu(x).clamp(max=9).clamp(0, 10)), IMAGE)) == [Rectify(9.0)]
    assert operations(agree(Function(lambda x: functional.hardtanh(x.relu(), -1, 1)), IMAGE)) == [Rectify(1.0)]


def test_max_pool_is_replaced_by_the_average_on_demand():
    layers = {
        nn.MaxPool2d(3, 2, 1): (nn.AvgPool2d(3, 2, 1), IMAGE),
        nn.MaxPool1d(3): (nn.AvgPool1d(3), SIGNAL),
        nn.AdaptiveMaxPool2d((3, 4)): (nn.AdaptiveAvgPool2d((3, 4)), IMAGE),
        nn.AdaptiveMaxPool1d(3): (nn.AdaptiveAvgPool1d(3), SIGNAL),
    }
    for layer, (average, shape) in layers.items():
        graph = from_torch(nn.Sequential(layer), torch.zeros(1, *shape), max_pool="average")
        assert graph.notes[0].startswith("Max pooling was replaced by average pooling: layer '0' (aten.")
        samples = torch.randn(2, *shape)
        expected = average(samples).numpy()
        computed = run(graph, samples.numpy())[graph.output].reshape(expected.shape)
        np.testing.assert_allclose(computed, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("last", [nn.Softmax(dim=1), nn.LogSoftmax(dim=-1)])
def test_the_final_softmax_is_dropped_with_a_note(last):
    model = randomized(nn.Sequential(nn.Linear(6, 3), last))
    graph = from_torch(model, torch.zeros(1, 6))
    samples = torch.randn(4, 6)
    np.testing.assert_allclose(run(graph, samples.numpy())["0"], model[0](samples).detach().numpy(), rtol=1e-5)
    assert "softmax was dropped: layer '1'" in graph.notes[0]


def test_several_inputs_keep_their_names():
    class Pair(nn.Module):
        def forward(self, image, other):
            return image.flatten(1) + other

    graph = agree(Pair(), (2, 2, 2), (8,))
    assert [node.name for node in graph.sources] == ["image", "other"]
    assert isinstance(graph[graph.output].operation, Add)


def test_upsampling_and_concatenation_are_single_operations():
    assert operations(agree(nn.Upsample(scale_factor=(2, 1)), IMAGE)) == [Linear(Upsample2d((2, 1)))]
    assert operations(agree(Function(lambda x: torch.cat([x, x], 1)), IMAGE)) == [Concat()]
