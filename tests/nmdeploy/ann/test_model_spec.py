"""Models named on the command line, and their weights."""

import numpy as np
import pytest

from nmdeploy.ann.model_spec import load_model, read_state_dict
from nmdeploy.errors import ModelError, UsageError

torch = pytest.importorskip("torch")

SOURCE = """
import torch
from torch import nn

WIDTH = 3


class Net(nn.Module):
    def __init__(self, width=WIDTH):
        super().__init__()
        self.fc = nn.Linear(4, width)

    def forward(self, x):
        return self.fc(x)


class Factories:
    @staticmethod
    def small():
        return Net(2)


def net():
    return Net()


def wide(width, *, depth):
    return Net(width)


def broken():
    raise RuntimeError("no weights here\\nsecond line")


def number():
    return 3


made = Net()
"""


@pytest.fixture
def folder(tmp_path, monkeypatch, request):
    """A current folder with a module of models; its name is new for every test."""
    module = f"models_of_{request.node.name.split('[')[0]}"
    (tmp_path / f"{module}.py").write_text(SOURCE)
    (tmp_path / f"{module}_torn.py").write_text("def net(:\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.dont_write_bytecode", True)
    return tmp_path, module


@pytest.mark.parametrize(("attribute", "width"), [("net", 3), ("Net", 3), ("Factories.small", 2), ("made", 3)])
def test_factories_classes_and_modules(folder, attribute, width):
    _, module = folder
    model = load_model(f"{module}:{attribute}")
    assert model.fc.out_features == width


def test_the_search_path_is_left_as_it_was(folder):
    import sys

    before = list(sys.path)
    load_model(f"{folder[1]}:net")
    assert sys.path == before


@pytest.mark.parametrize("wrapped", [False, True])
def test_weights_are_loaded(folder, wrapped):
    path, module = folder
    weights = {"fc.weight": torch.full((3, 4), 2.0), "fc.bias": torch.arange(3.0)}
    torch.save({"state_dict": weights, "epoch": 7} if wrapped else weights, path / "weights.pt")
    model = load_model(f"{module}:net", path / "weights.pt")
    np.testing.assert_array_equal(model.fc.weight.detach().numpy(), np.full((3, 4), 2))
    np.testing.assert_array_equal(model.fc.bias.detach().numpy(), np.arange(3))


def test_a_pt2_file_is_a_model(tmp_path):
    path = tmp_path / "net.pt2"
    torch.export.save(torch.export.export(torch.nn.ReLU(), (torch.zeros(2, 3),)), path)
    assert isinstance(load_model(str(path)), torch.export.ExportedProgram)
    with pytest.raises(UsageError, match="brings its own weights"):
        load_model(str(path), tmp_path / "weights.pt")


@pytest.mark.parametrize(
    ("attribute", "error", "message"),
    [
        ("nothing", UsageError, r"has no 'nothing' \(limit .*'net'"),
        ("Factories.large", UsageError, "has no 'Factories.large'"),
        ("WIDTH", UsageError, "no callable that makes a model .found int"),
        ("wide", UsageError, "the factory needs arguments: width, depth; write a function without arguments"),
        ("number", UsageError, "returns no nn.Module .found int"),
        ("broken", ModelError, "the factory failed: RuntimeError: no weights here$"),
    ],
)
def test_factories_that_make_no_model(folder, attribute, error, message):
    with pytest.raises(error, match=message):
        load_model(f"{folder[1]}:{attribute}")


@pytest.mark.parametrize("spec", ["net", ":net", "module:", ""])
def test_specs_of_another_form(spec):
    with pytest.raises(UsageError, match=r"this names no model .*limit package.module:factory or a .pt2 file"):
        load_model(spec)


def test_modules_that_cannot_be_imported(folder):
    _, module = folder
    with pytest.raises(UsageError, match="no_such_module: the module cannot be imported: ModuleNotFoundError"):
        load_model("no_such_module:net")
    with pytest.raises(UsageError, match="cannot be imported: SyntaxError"):
        load_model(f"{module}_torn:net")


def test_weights_of_another_architecture(folder):
    path, module = folder
    torch.save({"fc.weight": torch.zeros(3, 5), "head.bias": torch.zeros(3)}, path / "weights.pt")
    with pytest.raises(ModelError) as caught:
        load_model(f"{module}:net", path / "weights.pt")
    message = str(caught.value)
    assert "missing fc.bias; unexpected head.bias; fc.weight is (3, 5), not (3, 4)" in message
    assert "weights.pt" in message


def test_files_that_are_no_state_dicts(folder):
    path, module = folder
    with pytest.raises(ModelError, match="the weights cannot be read: FileNotFoundError"):
        read_state_dict(path / "nothing.pt")
    (path / "torn.pt").write_bytes(b"PK\x03\x04 torn")
    with pytest.raises(ModelError, match=r"this is no state-dict file; write it with torch\.save"):
        read_state_dict(path / "torn.pt")
    torch.save(load_model(f"{module}:net"), path / "whole.pt")
    with pytest.raises(ModelError, match="whole pickled modules are not opened"):
        read_state_dict(path / "whole.pt")
    torch.save([torch.zeros(3)], path / "list.pt")
    with pytest.raises(ModelError, match=r"the file holds no state dict \(found list"):
        read_state_dict(path / "list.pt")


@pytest.mark.shared
def test_the_measured_weights(shared_data):
    weights = read_state_dict(shared_data / "models" / "mnist_C_qcfs8.pt")
    assert weights["0.weight"].shape == (32, 1, 3, 3)
