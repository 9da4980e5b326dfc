"""The board as a backend: the emitted script in a child process, with a stand-in for sPyNNaker and its machine."""

import dataclasses
import logging
import sys
from pathlib import Path

import numpy as np
import pytest

import nmdeploy as nm
from nmdeploy.backend import RunSettings
from nmdeploy.bundle import make_vectors, replay
from nmdeploy.emulator.result import ALL, Recording
from nmdeploy.errors import HardwareUnavailable, RunError, UsageError
from nmdeploy.network import Network, Population, Projection
from nmdeploy.neurons import IF
from nmdeploy.synapses import Conv2d, Dense, Reshape, SumPool2d
from targets.spinnaker import TARGET, board, installation
from targets.spinnaker.board import SpinnakerBackend, find_machine

FAKE = Path(__file__).parent / "fake_spynnaker"
NAMED = "[Machine]\nspalloc_server = https://me:secret@boards.example/spalloc/\n"


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A user's home folder; the stand-in on the module path."""
    folder = tmp_path / "home"
    folder.mkdir()
    monkeypatch.setattr(Path, "home", lambda: folder)
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.setenv("PYTHONPATH", str(FAKE))
    return folder


@pytest.fixture
def machine(home):
    """A home folder that names a machine."""
    (home / ".spynnaker.cfg").write_text(NAMED)
    return home


def network():
    generator = np.random.Generator(np.random.PCG64(3))

    def weights(*shape):
        return generator.integers(-60, 100, shape)

    return Network(
        "small",
        (
            Population("in put", (2, 6, 6)),
            Population("conv", (3, 6, 6), IF(250, reset="zero")),
            Population("pooled", (5,), IF(300, bias=7, reset="zero", refractory=2)),
            Population("out", (3,), IF(np.array([150, 200, 260]), reset="zero", v_min=0)),
        ),
        (
            Projection("in put", "conv", (Conv2d(weights(3, 2, 3, 3), padding=1),)),
            Projection("conv", "pooled", (SumPool2d(2), Reshape((27,)), Dense(weights(5, 27)))),
            Projection("in put", "out", (Reshape((72,)), Dense(weights(3, 72)))),
            Projection("pooled", "out", (Dense(weights(3, 5)),)),
        ),
    )


@pytest.fixture(scope="module")
def deployment():
    return nm.deploy(network(), "spin5", steps=6)


@pytest.fixture
def spikes(rng):
    given = (rng.random((7, 3, 2, 6, 6)) < 0.5).astype(np.uint8)
    given[:, :, 1] = 0  # a channel without spikes
    return given


@pytest.mark.parametrize("profile", ["chip", "conv"])
def test_results_are_those_of_the_emulator(profile, spikes, machine):
    deployment = nm.deploy(network(), f"spin5/{profile}", steps=6)
    record = Recording((ALL,), ("conv", "out.v"), ("conv",), slice(1, None, 2))
    seen = []
    ran = SpinnakerBackend(RunSettings()).run(
        deployment, spikes, record=record, progress=lambda *done: seen.append(done)
    )
    emulated = nm.emulate(deployment, spikes, record=record)
    for field in dataclasses.fields(ran):
        found, expected = getattr(ran, field.name), getattr(emulated, field.name)
        if isinstance(found, dict):
            assert found.keys() == expected.keys()
            for name in found:
                assert found[name].dtype == expected[name].dtype
                np.testing.assert_array_equal(found[name], expected[name], err_msg=f"{field.name} {name}")
    assert ran.spikes["out"].any()
    assert ran.spikes["conv"].any()
    assert (ran.steps, ran.samples, ran.remarks) == (emulated.steps, 3, ())
    assert ran.origin == "run by sPyNNaker 7.4.1 on https://boards.example/spalloc/ (spalloc_server)"
    assert seen == [(1, 3), (2, 3), (3, 3)]
    assert (machine / ".spynnaker.cfg").read_text() == NAMED


def test_a_run_asks_for_spynnaker_and_the_machine_once(deployment, spikes, machine, monkeypatch):
    asked = []
    ask, find = installation.ask, board.find_machine
    monkeypatch.setattr(installation, "ask", lambda *given: asked.append("python") or ask(*given))
    monkeypatch.setattr(board, "find_machine", lambda *given: asked.append(given[1]) or find(*given))
    SpinnakerBackend(RunSettings()).run(deployment, spikes[:, :1])
    assert asked == ["python", "spin5"]


def test_what_spynnaker_reports_is_told(deployment, spikes, machine, monkeypatch, caplog):
    monkeypatch.setenv("FAKE_WARNINGS", "2 packets arrived\ttoo late on 0, 0, 4\nweights saturated 5 times")
    with caplog.at_level(logging.WARNING):
        report = replay(make_vectors(deployment, spikes), SpinnakerBackend(RunSettings()))
    assert report.passed
    assert report.remarks == ("2 packets arrived too late on 0, 0, 4", "weights saturated 5 times")
    assert "reported: weights saturated 5 times" in str(report)
    assert "sPyNNaker: weights saturated 5 times" in caplog.text


@pytest.mark.parametrize(
    ("fault", "limit", "message"),
    [("crash", 60, "the board is on fire"), ("hang", 0.5, "did not finish"), ("virtual", 60, "recorded")],
)
def test_a_failing_machine_is_an_error(deployment, spikes, machine, monkeypatch, fault, limit, message):
    monkeypatch.setenv("FAKE_FAULT", fault)
    with pytest.raises(RunError, match=message):
        SpinnakerBackend(RunSettings(limit_s=limit)).run(deployment, spikes[:, :1])


def test_other_variables_cannot_be_recorded(deployment, spikes, machine):
    neuron = deployment.network["pooled"].neuron
    assert "refract_timer" in neuron.initial_state((1, 5), np.dtype(np.int64))
    with pytest.raises(UsageError, match=r"pooled\.refract_timer"):
        SpinnakerBackend(RunSettings()).run(deployment, spikes, record=Recording(potentials=("pooled.refract_timer",)))


@pytest.mark.parametrize("text", [None, "", "[Mode]\nmode = Debug\n", "[Machine]\nvirtual_board = True\nversion = 5\n"])
def test_without_a_machine_there_is_none(deployment, spikes, home, text):
    if text is not None:
        (home / ".spynnaker.cfg").write_text(text)
    backend = TARGET.backends(RunSettings())["board"]
    answer = backend.availability()
    assert not answer.ready
    assert "no SpiNNaker machine" in answer.found
    with pytest.raises(HardwareUnavailable, match=r"no SpiNNaker machine is named.*--board"):
        backend.run(deployment, spikes)


def test_a_virtual_board_is_no_machine(home):
    (home / ".spynnaker.cfg").write_text("[Machine]\nmachine_name = 10.0.0.1\nversion = 5\nvirtual_board = True\n")
    assert not SpinnakerBackend(RunSettings()).availability().ready


def test_what_is_not_installed(home, monkeypatch, tmp_path):
    monkeypatch.delenv("PYTHONPATH")
    monkeypatch.setattr(installation, "ask", lambda *_: {"version": None, "python": "3.13.1", "user_base": "."})
    answer = SpinnakerBackend(RunSettings()).availability()
    assert "sPyNNaker is not installed for Python 3.13.1" in answer.found
    assert "pip install" in answer.hint
    monkeypatch.undo()
    answer = SpinnakerBackend(RunSettings(python=tmp_path / "nothing")).availability()
    assert "there is no such Python" in answer.found


def test_a_configuration_that_cannot_be_read(home):
    (home / ".spynnaker.cfg").write_text("machine_name = 10.0.0.1\n")
    answer = SpinnakerBackend(RunSettings()).availability()
    assert not answer.ready
    assert "cannot be read" in answer.found


@pytest.mark.parametrize("key", ["machine_name", "machineName", "spalloc_server", "remote_spinnaker_url"])
def test_all_ways_to_name_a_machine_are_known(home, key):
    (home / ".spynnaker.cfg").write_text(f"[Machine]\n{key} = boards.example\nversion = 5\n")
    machine = find_machine(RunSettings(), "spin5")
    assert machine.address == "boards.example"
    assert machine.key.replace("_", "") == key.replace("_", "").lower()


def test_the_machine_and_the_version_are_told(machine):
    answer = SpinnakerBackend(RunSettings()).availability()
    assert answer.ready
    assert answer.found == "sPyNNaker 7.4.1 on https://boards.example/spalloc/ (spalloc_server)"


def test_another_interpreter_gets_none_of_our_module_paths(machine, monkeypatch):
    given = {}

    def ask(python, _probe, environment):
        given[python] = "PYTHONPATH" in environment
        return {"version": None, "python": "3.11.9", "user_base": "."}

    monkeypatch.setattr(installation, "ask", ask)
    other = Path(sys.executable).with_name("other")
    for settings in (RunSettings(), RunSettings(python=other)):
        assert "not installed" in SpinnakerBackend(settings).availability().found
    assert given == {Path(sys.executable): True, other: False}


@pytest.mark.parametrize(
    ("board", "chip", "lines"),
    [
        ("10.0.0.1", "spin5", "[Machine]\nmachine_name = 10.0.0.1\nversion = 5\n"),
        ("10.0.0.1", "spin3", "[Machine]\nmachine_name = 10.0.0.1\nversion = 3\n"),
        ("https://me:pw@host/s/", "spin5", "[Machine]\nspalloc_server = https://me:pw@host/s/\n"),
    ],
)
def test_a_board_given_goes_before_the_configuration(machine, board, chip, lines):
    found = find_machine(RunSettings(board=board), chip)
    assert found.files["home/.spynnaker.cfg"].decode() == lines
    assert "pw" not in found.address
    assert b"read_placements_provenance_data = True" in found.files["script/spynnaker.cfg"]


def test_a_board_address_of_several_lines_is_refused(home):
    with pytest.raises(UsageError, match="address"):
        find_machine(RunSettings(board="x\n[Mode]"), "spin5")
