"""Whole models: usual architectures, functional code, other sources of programs, and what is left untouched."""

import copy

import numpy as np
import pytest

from nmdeploy.ann import torch_check
from nmdeploy.ann.execute import run
from nmdeploy.ann.from_torch import from_torch
from nmdeploy.ann.graph import Add, Concat, Linear, Rectify
from nmdeploy.ann.model_spec import read_state_dict
from nmdeploy.ann.torch_library import quiet_torch
from nmdeploy.errors import ModelError
from nmdeploy.synapses import Conv2d, ConvTranspose2d, Dense, OneToOne

torch = pytest.importorskip("torch")
nn = torch.nn
functional = torch.nn.functional


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(5)


def agree(model, shape, **options):
    """Import, compare with the model in inference mode on samples it has not seen; returns the graph."""
    for module in model.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            nn.init.uniform_(module.running_mean, -0.2, 0.2)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
            nn.init.uniform_(module.weight, 0.5, 1.5)
    graph = from_torch(model, torch.zeros(1, *shape), **options)
    samples = torch.rand(5, *shape)
    with torch.no_grad():
        expected = copy.deepcopy(model).eval()(samples).numpy()
    computed = run(graph, samples.numpy())[graph.output].reshape(expected.shape)
    np.testing.assert_allclose(computed, expected, rtol=1e-4, atol=1e-5)
    return graph


def names(graph):
    return [node.name for node in graph.nodes]


class Residual(nn.Module):
    def __init__(self, channels, filters, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, filters, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(filters)
        self.conv2 = nn.Conv2d(filters, filters, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(filters)
        self.relu = nn.ReLU(inplace=True)
        self.shortcut = nn.Sequential()
        if stride > 1 or channels != filters:
            self.shortcut = nn.Sequential(nn.Conv2d(channels, filters, 1, stride, bias=False), nn.BatchNorm2d(filters))

    def forward(self, x):
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        out += self.shortcut(x)
        return self.relu(out)


def test_residual_network():
    blocks = nn.Sequential(Residual(4, 4, 1), Residual(4, 6, 2))
    model = nn.Sequential(nn.Conv2d(3, 4, 3, 1, 1), nn.ReLU(), blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten())
    graph = agree(nn.Sequential(model, nn.Linear(6, 10)), (3, 8, 8))
    assert "0.2.0.relu" in names(graph)
    assert "0.2.0.relu_2" in names(graph)
    assert graph["0.2.1.add"].operation == Add()
    assert graph["0.2.1.add"].inputs == ("0.2.1.bn2", "0.2.1.shortcut.1")


def test_depthwise_separable_block():
    def block(channels, filters, stride):
        return nn.Sequential(
            nn.Conv2d(channels, channels, 3, stride, 1, groups=channels, bias=False),
            nn.BatchNorm2d(channels),
            nn.ReLU6(inplace=True),
            nn.Conv2d(channels, filters, 1, bias=False),
            nn.BatchNorm2d(filters),
            nn.ReLU6(inplace=True),
        )

    agree(nn.Sequential(nn.ZeroPad2d((0, 1, 0, 1)), block(3, 8, 2), block(8, 5, 1)), (3, 9, 9))


class DenseBlock(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList(
            nn.Sequential(nn.BatchNorm2d(n), nn.ReLU(), nn.Conv2d(n, 2, 3, padding=1)) for n in (3, 5, 7)
        )

    def forward(self, x):
        for layer in self.layers:
            x = torch.cat([x, layer(x)], 1)
        return x


def test_dense_concatenation():
    graph = agree(DenseBlock(), (3, 6, 6))
    assert [node.name for node in graph.nodes if node.operation == Concat()] == ["cat", "cat_2", "cat_3"]


def test_one_dimensional_network():
    model = nn.Sequential(
        nn.Conv1d(2, 4, 5, stride=2, padding=2),
        nn.BatchNorm1d(4),
        nn.ReLU(),
        nn.AvgPool1d(2),
        nn.Conv1d(4, 6, 3, padding="same", groups=2),
        nn.ReLU(),
        nn.AdaptiveAvgPool1d(1),
        nn.Flatten(),
        nn.Linear(6, 3),
    )
    graph = agree(model, (2, 20))
    assert graph.shapes["2"] == (4, 1, 10)


class UNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.down = nn.Conv2d(1, 4, 3, padding=1)
        self.bottom = nn.Conv2d(4, 6, 3, padding=1)
        self.up = nn.ConvTranspose2d(6, 4, 2, stride=2)
        self.merge = nn.Conv2d(8, 4, 3, padding=1)
        self.head = nn.Conv2d(4, 2, 1)

    def forward(self, x):
        skip = functional.relu(self.down(x))
        deep = functional.relu(self.bottom(functional.avg_pool2d(skip, 2)))
        merged = functional.relu(self.merge(torch.cat((skip, self.up(deep)), dim=1)))
        return self.head(functional.interpolate(merged, scale_factor=2.0))


def test_network_that_enlarges():
    graph = agree(UNet(), (1, 8, 8))
    assert isinstance(graph["up"].operation.synapse, ConvTranspose2d)
    assert graph.shapes[graph.output] == (2, 16, 16)
    assert {"down", "relu", "avg_pool2d.sum", "avg_pool2d", "cat", "head"} <= set(names(graph))


class Functional(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(4, 1, 3, 3))
        self.register_buffer("offset", torch.rand(4, 1, 1), persistent=False)
        self.fc = nn.Linear(4, 3)
        self.dropout = nn.Dropout(0.5)

    def forward(self, x):
        x = (x - 0.5) / 0.25
        x = functional.conv2d(x, self.weight, padding=1) + self.offset
        x = functional.relu(x)
        x = x + functional.relu(-x + 1)
        x = torch.flatten(x.mean((2, 3)), 1)
        return functional.log_softmax(self.fc(self.dropout(x)), dim=-1)


def test_functional_model():
    model = Functional()
    graph = from_torch(model, np.zeros((1, 1, 6, 6), np.uint8))
    samples = torch.rand(3, 1, 6, 6)
    scores = run(graph, samples.numpy())[graph.output]
    with torch.no_grad():
        expected = model.eval()(samples).numpy()
    computed = scores - np.log(np.exp(scores).sum(axis=1, keepdims=True))
    np.testing.assert_allclose(computed, expected, rtol=1e-4, atol=1e-5)
    assert [note.partition(":")[0] for note in graph.notes] == [
        "Dropout was left out",
        "The final log_softmax was dropped",
    ]


class Twice(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Sequential(nn.Linear(4, 4), nn.ReLU())

    def forward(self, x):
        return self.layer(self.layer(x))


def test_shared_weights():
    graph = agree(Twice(), (4,))
    assert names(graph) == ["x", "layer.0", "layer.1", "layer.0_2", "layer.1_2"]
    assert graph["layer.0"].operation == graph["layer.0_2"].operation


def test_names_speak_of_modules_and_origins_of_places():
    model = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    graph = agree(model, (2,), name="tiny")
    assert graph.name == "tiny"
    assert [(node.name, node.origin) for node in graph.nodes] == [
        ("input", "input 'input'"),
        ("0", "layer '0' (aten.linear)"),
        ("1", "layer '1' (aten.batch_norm)"),
    ]
    assert isinstance(graph["0"].operation.synapse, Dense)
    assert isinstance(graph["1"].operation.synapse, OneToOne)


def test_the_model_is_left_as_it_is():
    model = nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3), nn.Dropout()).double()
    model.train()
    model[0].eval()
    before = copy.deepcopy(model.state_dict())
    graph = from_torch(model, np.zeros((1, 3)))
    assert [module.training for module in model] == [False, True, True]
    assert all(torch.equal(before[key], value) for key, value in model.state_dict().items())
    assert model[0].weight.dtype == torch.float64
    assert "Weights were cast from float64 to float32." in graph.notes
    linear = [node.operation for node in graph.nodes if isinstance(node.operation, Linear)]
    assert all(op.synapse.weight.dtype == op.bias.dtype == np.float32 for op in linear)


class SharedMemory(nn.Module):
    """In-place operations whose effect other tensors see."""

    def forward(self, x):
        x = x * 2
        view = x.view(x.shape[0], -1)
        x.relu_()
        before = view + 1
        view.mul_(3)
        x.flatten(1).add_(before)
        return x.flatten(1) + view


def test_in_place_operations_are_seen_by_views():
    graph = agree(SharedMemory(), (2, 3, 3))
    assert sum(isinstance(node.operation, Rectify) for node in graph.nodes) == 1


def test_an_in_place_operation_on_the_input_is_seen_later():
    class OnInput(nn.Module):
        def forward(self, x):
            torch.relu_(x)
            return x + 1

    graph = from_torch(OnInput(), torch.zeros(1, 3))
    computed = run(graph, np.array([[-2.0, 0.0, 2.0]]))[graph.output]
    np.testing.assert_array_equal(computed, [[1, 1, 3]])


def test_calls_that_the_output_does_not_need_are_not_imported():
    class Auxiliary(nn.Module):
        def forward(self, x):
            torch.sigmoid(x)
            return torch.relu(x)

    assert names(agree(Auxiliary(), (3,))) == ["x", "relu"]


def small():
    return nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(inplace=True), nn.Flatten(), nn.Linear(64, 3)
    ).eval()


@pytest.mark.parametrize("decomposed", [False, True])
@pytest.mark.parametrize("count", [1, 2])
def test_an_exported_program_needs_no_example(count, decomposed):
    model = small()
    with torch.no_grad(), quiet_torch():  # decomposing warns about torch's own code
        exported = torch.export.export(model, (torch.rand(count, 1, 6, 6),))
        if decomposed:
            exported = exported.run_decompositions()
    graph = from_torch(exported, name="small")
    samples = torch.rand(4, 1, 6, 6)
    expected = model(samples).detach().numpy()
    np.testing.assert_allclose(run(graph, samples.numpy())[graph.output], expected, rtol=1e-4, atol=1e-5)
    assert isinstance(graph["0"].operation.synapse, Conv2d)


def test_an_exported_program_may_have_a_dynamic_batch():
    class Sized(nn.Module):
        def forward(self, x):
            return torch.relu(x.view(x.shape[0], -1)).reshape(x.size(0), 2, -1)

    batch = torch.export.Dim("batch", min=1, max=64)
    exported = torch.export.export(Sized(), (torch.rand(2, 3, 4),), dynamic_shapes=({0: batch},))
    graph = from_torch(exported, np.zeros((5, 3, 4)))
    samples = np.linspace(-1, 1, 36, dtype=np.float32).reshape(3, 3, 4)
    np.testing.assert_array_equal(run(graph, samples)[graph.output].reshape(3, -1), samples.clip(0).reshape(3, -1))


def test_an_exported_program_of_doubles_is_cast():
    exported = torch.export.export(small().double(), (torch.rand(2, 1, 6, 6).double(),))
    graph = from_torch(exported)
    assert "Weights were cast from float64 to float32." in graph.notes
    assert graph["0"].operation.synapse.weight.dtype == np.float32


def test_the_comparison_names_the_first_layer_that_differs(monkeypatch):
    from nmdeploy.ann import torch_reader

    def wrong(call):
        return call.done(call.emit(Rectify(0.25), call.activation("self").node))

    monkeypatch.setitem(torch_reader.HANDLERS, "relu", wrong)
    model = nn.Sequential(nn.Identity(), nn.ReLU(), nn.Flatten(), nn.Linear(8, 2))
    with pytest.raises(ModelError, match=r"the import of layer '1' \(aten.relu\) computes other values than PyTorch"):
        from_torch(model, torch.zeros(1, 2, 2, 2))
    graph = from_torch(model, torch.zeros(1, 2, 2, 2), check=False)
    assert graph["1"].operation == Rectify(0.25)


def test_the_comparison_allows_rounding_only():
    place = ("layer 'a'", "net")
    reference = torch.tensor([[10.0, -20.0]])
    limit = torch_check.TOLERANCE * 20
    torch_check._compare(reference, reference.numpy() + np.float32(0.9 * limit), *place)
    with pytest.raises(ModelError, match=r"net: the import of layer 'a' .*found difference 0.00"):
        torch_check._compare(reference, reference.numpy() + np.float32(1.1 * limit), *place)
    nothing = torch.zeros(1, 2)
    torch_check._compare(nothing, np.full((1, 2), 9e-7), *place)
    with pytest.raises(ModelError, match=r"found difference 1.1e-06, limit 1e-06"):
        torch_check._compare(nothing, np.full((1, 2), 1.1e-6), *place)
    with pytest.raises(ModelError, match="difference nan"):
        torch_check._compare(reference, np.full((1, 2), np.nan), *place)


def test_the_whole_model_is_compared_too():
    class ByBatch(nn.Module):
        """Computes something else for one sample than for several."""

        def forward(self, x):
            return torch.relu(x) * (1 if x.shape[0] == 1 else 2)

    with pytest.raises(ModelError, match="the import of the output computes other values"):
        from_torch(ByBatch(), torch.ones(1, 3))


@pytest.mark.shared
@pytest.mark.parametrize("net", ["A", "B", "C"])
def test_the_measured_networks(net, shared_data):
    def pooled(channels, filters, size):
        return [nn.Conv2d(channels, filters, size, bias=False), nn.ReLU(), nn.AvgPool2d(2)]

    def block(channels):
        return [nn.Conv2d(channels, 32, 3), nn.BatchNorm2d(32), nn.ReLU(), nn.AvgPool2d(2)]

    layers = {
        "A": [nn.Flatten(), nn.Linear(784, 256), nn.ReLU(), nn.Linear(256, 10)],
        "B": [
            *[*pooled(1, 20, 5), *pooled(20, 32, 5), *pooled(32, 128, 3)],
            *[nn.Flatten(), nn.Linear(128, 500, bias=False), nn.ReLU(), nn.Linear(500, 10, bias=False)],
        ],
        "C": [*block(1), *block(32), *block(32), nn.Flatten(), nn.Linear(32, 10)],
    }
    model = nn.Sequential(*layers[net])
    model.load_state_dict(read_state_dict(shared_data / "models" / f"mnist_{net}.pt"))
    accuracy = shared_accuracy(model, shared_data)
    assert accuracy >= 0.97


@pytest.mark.shared
def test_the_sinabs_network(shared_data):
    class SumPool(nn.Module):
        def forward(self, x):
            return functional.avg_pool2d(x, 2, divisor_override=1)

    def pooled(channels, filters, size):
        return [nn.Conv2d(channels, filters, size, bias=False), nn.ReLU(), SumPool()]

    # The spiking network's keys are 0, 3, 6, 10 and 12; 10 and 12 are the linear layers.
    features = [*pooled(1, 20, 5), *pooled(20, 32, 5), *pooled(32, 128, 3)]
    head = [nn.Flatten(), nn.Linear(128, 500, bias=False), nn.ReLU(), nn.Linear(500, 10, bias=False)]
    model = nn.Sequential(*features, *head)
    model.load_state_dict(read_state_dict(shared_data / "models" / "sinabs_mnist_cnn.pt"))
    assert shared_accuracy(model, shared_data) >= 0.97


def shared_accuracy(model, shared_data):
    """Accuracy of the imported model on 300 shuffled test images; its scores equal torch's."""
    with np.load(shared_data / "data" / "mnist.npz") as data:
        chosen = np.random.Generator(np.random.PCG64(1)).permutation(10_000)[:300]
        images, labels = data["x_test"][chosen], data["y_test"][chosen]
    assert np.bincount(labels, minlength=10).min() >= 20
    samples = images.reshape(-1, 1, 28, 28).astype(np.float32) / 255
    graph = from_torch(model, samples[:1])
    scores = run(graph, samples)[graph.output]
    with torch.no_grad():
        expected = model.eval()(torch.from_numpy(samples)).numpy()
    np.testing.assert_allclose(scores, expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max())
    return np.mean(scores.argmax(axis=1) == labels)
