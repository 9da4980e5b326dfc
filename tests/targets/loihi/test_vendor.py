"""The backends for Lava, with the child process replaced by one that answers as Lava would."""

import dataclasses
import json
import sys
from pathlib import Path

import numpy as np
import pytest

import nmdeploy as nm
from nmdeploy import vendor_python
from nmdeploy.backend import RunSettings
from nmdeploy.bundle import make_vectors, replay
from nmdeploy.emulator.result import ALL, Recording
from nmdeploy.errors import HardwareUnavailable, RunError, UsageError
from nmdeploy.network import Network, Population, Projection
from nmdeploy.neurons import IF
from nmdeploy.synapses import Conv2d, Dense, Reshape
from targets.loihi import TARGET, vendor
from targets.loihi.board import BoardBackend
from targets.loihi.neuron import LoihiLIFReset, LoihiLIFSubtract
from targets.loihi.script import make_script
from targets.loihi.vendor import LavaBackend

HERE = Path(sys.executable)


@pytest.fixture(scope="module")
def deployment():
    generator = np.random.Generator(np.random.PCG64(21))
    network = Network(
        "small",
        (
            Population("in put", (1, 4, 4)),
            Population("conv", (2, 4, 4), IF(60, bias=3, reset="zero")),
            Population("out", (3,), IF(90, reset="zero")),
        ),
        (
            Projection("in put", "conv", (Conv2d(generator.integers(-50, 80, (2, 1, 3, 3)), padding=1),)),
            Projection("conv", "out", (Reshape((32,)), Dense(generator.integers(-30, 60, (3, 32))))),
        ),
    )
    return nm.deploy(network, "loihi2", steps=6)


@pytest.fixture
def spikes(rng):
    return (rng.random((6, 3, 1, 4, 4)) < 0.5).astype(np.uint8)


@pytest.fixture
def child(monkeypatch, deployment):
    """A stand-in for `run_child`: a Python with Lava, whose script gives what the emulator gives."""
    called = []
    answers = {"lava": "0.10.0", "python": "3.10.13", "board": True}

    def run_child(command, *, folder, limit_s, environment, on_line=None, **_):
        called.append((command, limit_s, environment))
        if "-c" in command:
            return json.dumps(answers) + "\n"
        options = {name: value for name, value in zip(command, [*command[1:], ""], strict=True) if name[:2] == "--"}
        asked = [command[index + 1] for index, part in enumerate(command) if part == "--record"]
        with np.load(folder / "inputs.npz") as file:
            inputs = {"in put": file["in_put"]}
        record = Recording(spikes=(ALL,), potentials=tuple(asked))
        run = nm.emulate(deployment, inputs, steps=int(options["--steps"]), record=record)
        everything = options["--device"] == "cpu"
        names = ["conv", "out"] if everything else ["out"]
        result = {f"{name}.spikes": run.spikes[name] for name in names}
        result |= {f"{name}.final_v": run.final_potentials.get(name, np.zeros(1)).astype(np.int32) for name in names}
        np.savez(folder / options["--out"], **result, **{name: run.potentials[name] for name in asked})
        for sample in range(run.samples):
            on_line(f"sample {sample + 1} of {run.samples}")
        on_line("some noise of Lava's")
        return ""

    for module in (vendor, vendor_python):
        monkeypatch.setattr(module, "run_child", run_child)
    return called, answers


def test_results_are_those_of_the_emulator(deployment, spikes, child):
    record = Recording((ALL,), ("conv", "conv.u", "out.v"), ("conv",), slice(1, None, 2))
    seen = []
    backend = TARGET.backends(RunSettings(limit_s=7))["vendor"]
    ran = backend.run(deployment, spikes, record=record, progress=lambda *done: seen.append(done))
    emulated = nm.emulate(deployment, spikes, record=record)
    for field in dataclasses.fields(ran):
        found, expected = getattr(ran, field.name), getattr(emulated, field.name)
        if isinstance(found, dict):
            assert found.keys() == expected.keys()
            for name in found:
                assert found[name].dtype == expected[name].dtype
                np.testing.assert_array_equal(found[name], expected[name])
    assert (ran.steps, ran.samples) == (emulated.steps, emulated.samples)
    assert ran.origin == "run by Lava 0.10.0 on CPU"
    assert seen == [(1, 3), (2, 3), (3, 3)]
    assert child[0][-1][1] == 7


def test_a_run_shorter_than_its_input(deployment, spikes, child):
    ran = LavaBackend(RunSettings()).run(deployment, spikes, steps=4)
    np.testing.assert_array_equal(ran.spikes["out"], nm.emulate(deployment, spikes, steps=4).spikes["out"])


def test_replay_and_infer_take_a_backend(deployment, spikes, child, rng):
    backend = LavaBackend(RunSettings())
    report = replay(make_vectors(deployment, spikes), backend)
    assert report.passed
    assert report.origin == "run by Lava 0.10.0 on CPU"
    seen = []
    images = rng.random((5, 1, 4, 4))
    ours = nm.infer(deployment, images)
    lavas = nm.infer(deployment, images, backend=backend, batch=3, progress=lambda *done: seen.append(done))
    np.testing.assert_array_equal(ours.decision.scores, lavas.decision.scores)
    assert seen == [(done, 5) for done in range(1, 6)]
    assert nm.infer(deployment, images[:1], backend=backend).result.samples == 1
    with pytest.raises(UsageError, match="deployment"):
        nm.infer(deployment.network, images, steps=3, backend=backend)


def test_lava_has_no_step_counter_to_record(deployment, spikes, child):
    neuron = LoihiLIFReset(5, interval=3)
    network = dataclasses.replace(
        deployment.network, populations=(*deployment.network.populations[:2], Population("out", (3,), neuron))
    )
    with pytest.raises(UsageError, match=r"out\.steps.*limit u, v"):
        LavaBackend(RunSettings()).run(
            deployment.with_(network=network), spikes, record=Recording(potentials=("out.steps",))
        )


def test_where_lava_is_missing(deployment, spikes, child):
    child[1]["lava"] = None
    backend = LavaBackend(RunSettings())
    assert not backend.availability().ready
    with pytest.raises(HardwareUnavailable, match=r"Lava is not installed for Python 3\.10\.13.*pip install lava-nc"):
        backend.run(deployment, spikes)


def test_what_is_no_python(tmp_path, monkeypatch):
    missing = LavaBackend(RunSettings(python=tmp_path / "nothing")).availability()
    assert not missing.ready
    assert "there is no such Python" in missing.found
    monkeypatch.setattr(vendor_python, "run_child", lambda *_, **__: "{}")
    with pytest.raises(RunError, match="is no Python"):
        vendor.probe(HERE)
    monkeypatch.setattr(vendor_python, "run_child", lambda *_, **__: "")
    assert not BoardBackend(RunSettings(python=HERE)).availability().ready


def test_this_python_is_asked_truly():
    found = vendor.probe(HERE)
    assert found["python"] == sys.version.split()[0]


class TestBoard:
    @pytest.fixture(autouse=True)
    def no_host(self, monkeypatch):
        for name in ("NXSDKHOST", "SLURM"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setattr("targets.loihi.board.shutil.which", lambda _name: None)

    def test_output_spikes_come_back(self, deployment, spikes, child):
        ran = BoardBackend(RunSettings(board="ncl-og-01")).run(deployment, spikes)
        np.testing.assert_array_equal(ran.spikes["out"], nm.emulate(deployment, spikes).spikes["out"])
        assert ran.origin == "run by Lava 0.10.0 on Loihi 2 (ncl-og-01)"
        assert set(ran.total_spikes) == {"in put", "out"}
        assert ran.synaptic_operations == {}
        command = child[0][-1][0]
        assert command[command.index("--board") + 1] == "ncl-og-01"
        assert command[command.index("--device") + 1] == "loihi2"

    def test_the_host_is_found_in_the_environment(self, child, monkeypatch):
        backend = BoardBackend(RunSettings())
        assert "no host" in backend.availability().found
        monkeypatch.setenv("NXSDKHOST", "10.1.2.3")
        assert "NXSDKHOST=10.1.2.3" in backend.availability().found
        monkeypatch.delenv("NXSDKHOST")
        monkeypatch.setattr("targets.loihi.board.shutil.which", lambda _name: "/usr/bin/sinfo")
        assert backend.availability().ready

    def test_without_the_extension_there_is_no_board(self, deployment, spikes, child):
        for lava in ("0.10.0", None):
            child[1].update(board=False, lava=lava)
            with pytest.raises(HardwareUnavailable, match=r"no Loihi 2 board: Lava.*no extension") as caught:
                BoardBackend(RunSettings(board="x")).run(deployment, spikes)
            assert caught.value.exit_code == 4

    def test_a_deployment_for_loihi_1(self, deployment, spikes, child):
        with pytest.raises(UsageError, match=r"Loihi 2.*loihi1.*--target loihi2"):
            BoardBackend(RunSettings(board="x")).run(deployment.with_(chip="loihi1"), spikes)

    def test_reset_by_subtraction(self, deployment, spikes, child):
        neuron = LoihiLIFSubtract(5, subtrahend=6)
        network = dataclasses.replace(
            deployment.network, populations=(*deployment.network.populations[:2], Population("out", (3,), neuron))
        )
        with pytest.raises(UsageError, match=r"out: .*microcode"):
            BoardBackend(RunSettings(board="x")).run(deployment.with_(network=network), spikes)

    @pytest.mark.parametrize(
        "record", [Recording(potentials=("out",)), Recording(spikes=("conv",)), Recording(counts=("conv",))]
    )
    def test_what_cannot_be_recorded(self, deployment, spikes, child, record):
        with pytest.raises(UsageError, match="cannot be recorded on a board"):
            BoardBackend(RunSettings(board="x")).run(deployment, spikes, record=record)


def test_a_script_is_made_for_the_deployment(deployment):
    assert make_script(deployment.network).keys == {"in put": "in_put", "conv": "conv", "out": "out"}
