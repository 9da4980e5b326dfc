"""`.pt2` files: what is read, and that nothing from a hostile file is run."""

import io
import json
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest

from nmdeploy.ann import pt2
from nmdeploy.ann.execute import run
from nmdeploy.ann.from_torch import from_torch
from nmdeploy.ann.pt2 import load_pt2
from nmdeploy.errors import ModelError

torch = pytest.importorskip("torch")
nn = torch.nn


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(3)
    return nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.ReLU(), nn.Flatten(), nn.Linear(32, 3)).eval()


@pytest.fixture(scope="module")
def members(model, tmp_path_factory):
    """The members of a good archive with a dynamic batch and a literal tensor."""

    class Scaled(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = model

        def forward(self, x):
            return self.net(x * torch.tensor([0.5])).reshape(x.shape[0], -1)

    path = tmp_path_factory.mktemp("pt2") / "good.pt2"
    batch = torch.export.Dim("batch", min=1, max=64)
    torch.export.save(torch.export.export(Scaled(), (torch.rand(2, 1, 6, 6),), dynamic_shapes=({0: batch},)), path)
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


@pytest.fixture
def written(members, tmp_path):
    """A function that writes an archive with some members replaced or added, or dropped (None)."""

    def write(changes) -> Path:
        root = next(iter(members)).partition("/")[0]
        changed = {**members, **{f"{root}/{name}": data for name, data in changes.items()}}
        path = tmp_path / "model.pt2"
        with zipfile.ZipFile(path, "w") as archive:
            for name, data in changed.items():
                if data is not None:
                    archive.writestr(name, data)
        return path

    return write


def inner(members, name):
    return json.loads(next(data for full, data in members.items() if full.endswith(name)))


def test_a_saved_program_computes_what_the_model_computes(model, written):
    graph = from_torch(written({}))
    samples = torch.rand(3, 1, 6, 6)
    expected = model(samples * 0.5).detach().numpy()
    np.testing.assert_allclose(run(graph, samples.numpy())[graph.output], expected, rtol=1e-4, atol=1e-5)
    assert graph.name == "model"


def test_extra_files_are_ignored(written):
    path = written({"extra/readme.txt": b"hello"})
    assert isinstance(load_pt2(path), torch.export.ExportedProgram)
    with zipfile.ZipFile(pt2._checked(path, torch)) as archive:
        assert not [name for name in archive.namelist() if "extra" in name]


class Payload:
    """Unpickling it would create a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def pickled(path):
    buffer = io.BytesIO()
    torch.save((Payload(path),), buffer)
    return buffer.getvalue()


def test_pickled_example_inputs_are_not_opened(written, tmp_path):
    trap = tmp_path / "trap"
    path = written({"data/sample_inputs/model.pt": pickled(trap)})
    with pytest.raises(ModelError, match="the file holds pickled objects"):
        load_pt2(path)
    assert not trap.exists()
    torch.load(io.BytesIO(pickled(trap)), weights_only=False)
    assert trap.exists()  # the trap works


def test_pickled_weights_and_constants_are_not_opened(members, written, tmp_path):
    trap = tmp_path / "trap"
    weights = inner(members, "model_weights_config.json")
    first = next(iter(weights["config"]))
    weights["config"][first]["use_pickle"] = True
    file = f"data/weights/{weights['config'][first]['path_name']}"
    with pytest.raises(ModelError, match=f"holds pickled objects .found {first}"):
        load_pt2(written({"data/weights/model_weights_config.json": json.dumps(weights), file: pickled(trap)}))
    constants = {"config": {"thing": {"path_name": "opaque_obj_0", "is_param": False, "use_pickle": False}}}
    changes = {
        "data/constants/model_constants_config.json": json.dumps(constants),
        "data/constants/opaque_obj_0": pickle.dumps(Payload(trap)),
    }
    with pytest.raises(ModelError, match="holds pickled objects"):
        load_pt2(written(changes))
    assert not trap.exists()


@pytest.mark.parametrize(
    "name",
    ["data/aotinductor/model/model.so", "data/weights/model.pt", "data/weights/../../up", "models/other.txt", "x"],
)
def test_members_of_another_kind_are_refused(written, name):
    with pytest.raises(ModelError, match="holds more than a program and its weights"):
        load_pt2(written({name: b"\x7fELF"}))


def test_names_that_come_twice_are_refused(written):
    path = written({})
    with zipfile.ZipFile(path, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr(archive.namelist()[0], b"other")
    with pytest.raises(ModelError, match="holds names twice"):
        load_pt2(path)


@pytest.mark.parametrize(
    "target",
    ["torch.os.system", "torch.ops.other.op.default", "math.__loader__.load_module", "torch.hub.load", "#plugin:op"],
)
def test_functions_of_another_kind_are_refused(members, written, target):
    program = inner(members, "models/model.json")
    program["graph_module"]["graph"]["nodes"][0]["target"] = target
    with pytest.raises(ModelError, match="calls something else than an ATen operation"):
        load_pt2(written({"models/model.json": json.dumps(program)}))


@pytest.mark.parametrize(
    "expression", ["__import__('os').system('true')", "open('x')", "Symbol('s').__class__", "Symbol('a b')", "exit()"]
)
def test_expressions_of_another_kind_are_refused(members, written, expression):
    text = json.dumps(inner(members, "models/model.json"))
    symbol = next(part for part in text.split('"') if part.startswith("Symbol("))
    with pytest.raises(ModelError, match="holds a size that is no plain expression"):
        load_pt2(written({"models/model.json": text.replace(symbol, expression)}))


def test_guards_are_not_kept(members, written):
    program = inner(members, "models/model.json")
    program["guards_code"] = ["__import__('os').abort()"]
    path = written({"models/model.json": json.dumps(program)})
    with zipfile.ZipFile(pt2._checked(path, torch)) as archive:
        kept = json.loads(next(archive.read(name) for name in archive.namelist() if name.endswith("model.json")))
    assert kept["guards_code"] == []
    assert isinstance(load_pt2(path), torch.export.ExportedProgram)


def test_containers_of_another_kind_are_refused(members, written):
    text = json.dumps(inner(members, "models/model.json")).replace("builtins.tuple", "collections.defaultdict")
    with pytest.raises(ModelError, match=r"takes or returns objects \(found collections.defaultdict\)"):
        load_pt2(written({"models/model.json": text}))


def test_tensors_that_declare_more_than_they_hold_are_refused(members, written):
    weights = inner(members, "model_weights_config.json")
    first = next(iter(weights["config"]))
    weights["config"][first]["tensor_meta"]["sizes"] = [{"as_int": 10**12}]
    with pytest.raises(ModelError, match="declares 1000000000000 values for a tensor of"):
        load_pt2(written({"data/weights/model_weights_config.json": json.dumps(weights)}))


def test_a_file_that_unpacks_to_too_much_is_refused(written, monkeypatch):
    path = written({})
    monkeypatch.setattr(pt2, "_LARGEST_BYTES", 1000)
    with pytest.raises(ModelError, match="larger than 1000 bytes"):
        load_pt2(path)


def test_files_that_cannot_be_read_are_told(written, members, tmp_path, capfd):
    path = written({})
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(ModelError, match=r"model.pt2: the file"):
        load_pt2(path)
    path.write_bytes(b"PK\x03\x04 torn")
    with pytest.raises(ModelError, match=r"model.pt2: the file cannot be read: BadZipFile"):
        load_pt2(path)
    with pytest.raises(ModelError, match="the file cannot be read: FileNotFoundError"):
        load_pt2(tmp_path / "nothing.pt2")
    program = inner(members, "models/model.json")
    del program["graph_module"]
    with pytest.raises(ModelError, match="the file cannot be read"):
        load_pt2(written({"models/model.json": json.dumps(program)}))
    assert capfd.readouterr() == ("", "")
