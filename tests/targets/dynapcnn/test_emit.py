"""Emitted scripts: the same bytes for the same deployment, and they run without nmdeploy on a stand-in for samna."""

import json
import subprocess
import sys

import numpy as np
import pytest

import nmdeploy as nm
from nmdeploy.bundle import make_vectors
from nmdeploy.data import read_npz
from targets.dynapcnn.configuration import read_json
from targets.dynapcnn.emit import emit_samna

HIDDEN = """
import sys
class Hidden:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("nmdeploy", "targets", "quantize"):
            raise ImportError(f"{name} is hidden")
sys.meta_path.insert(0, Hidden())
sys.argv = ["run.py", *sys.argv[1:]]
sys.path.insert(0, ".")
exec(compile(open("run.py").read().replace("__file__", repr("run.py")), "run.py", "exec"))
"""


@pytest.fixture
def deployment(nets, rng):
    network = nm.deploy(nets.chain(rng), "speck2f")
    return make_vectors(network, nets.spikes_for(network.network, rng))


def run(folder, *options):
    command = [sys.executable, "-c", HIDDEN, "--settle", "0", "--reset", "0", "--quiet", "0.1", *options]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def test_the_script_runs_alone_and_meets_the_emulator(deployment, samna_in_children, tmp_path):
    emit_samna(deployment, tmp_path / "net")
    done = run(tmp_path / "net", "--out", "out.npz")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "out: 6 spike counts compared with nmdeploy's emulator: 0 differ" in done.stdout
    arrays = read_npz(tmp_path / "net" / "out.npz")
    np.testing.assert_array_equal(arrays["out.final_v"], deployment.vectors.potentials["out"])


def test_without_a_board_the_script_says_so(deployment, samna_in_children, tmp_path):
    samna_in_children(boards=["DVXplorer"])
    emit_samna(deployment, tmp_path / "net")
    done = run(tmp_path / "net")
    assert done.returncode == 4
    assert done.stdout.startswith("no board Speck2fDevKit")


def test_the_same_deployment_gives_the_same_bytes(deployment, tmp_path):
    first = emit_samna(deployment, tmp_path / "one")
    second = emit_samna(deployment, tmp_path / "two")
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]
    names = {path.relative_to(tmp_path / "one").as_posix() for path in first}
    assert {"run.py", "configuration.json", "network.json", "inputs.npz", "README.md"} < names
    assert "nmdeploy_samna/driver.py" in names


def test_without_test_vectors_there_is_an_example(nets, rng, samna_in_children, tmp_path):
    emit_samna(nm.deploy(nets.branch(rng), "speck2f"), tmp_path / "net")
    done = run(tmp_path / "net")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "left: 8 spike counts compared with nmdeploy's emulator: 0 differ" in done.stdout
    assert "right: 3 spike counts compared with nmdeploy's emulator: 0 differ" in done.stdout


def test_the_folder_tells_what_is_in_it(deployment, tmp_path):
    emit_samna(deployment, tmp_path)
    configuration = read_json(tmp_path / "configuration.json")
    network = json.loads((tmp_path / "network.json").read_text())
    assert sorted(configuration.cnn_layers) == sorted(core[0] for core in network["cores"])
    text = (tmp_path / "README.md").read_text()
    cores = [f'{core[0]} has "{core[1]}"' for core in network["cores"]]
    for part in ("# chain", "class B", "speck2f", "dynapcnn/chip", *cores):
        assert part in text


def test_the_target_offers_it(deployment, tmp_path):
    files = nm.chip("speck2f").target.emitters()["samna"](deployment, tmp_path)
    assert all(path.is_file() for path in files)
