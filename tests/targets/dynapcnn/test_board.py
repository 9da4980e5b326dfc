"""The board backend on a stand-in for samna in a child process: equal to the emulator, failures, what is there."""

import itertools
import sys

import numpy as np
import pytest

import nmdeploy as nm
from nmdeploy.backend import RunSettings
from nmdeploy.bundle import make_vectors, replay
from nmdeploy.coding import DeterministicRate
from nmdeploy.convert.exact import mismatches, quantize_activations, to_exact
from nmdeploy.emulator.events import emulate_events
from nmdeploy.emulator.result import ALL, Recording
from nmdeploy.errors import DataError, HardwareUnavailable, RunError, UsageError
from nmdeploy.network import Network, Population, Projection
from nmdeploy.neurons import IF, Integrator
from nmdeploy.synapses import Conv2d, Dense, Reshape, SumPool2d
from targets.dynapcnn import board as board_module
from targets.dynapcnn import presence
from targets.dynapcnn.board import SamnaBackend
from targets.dynapcnn.event_arrays import EVENT, events_to_raster, raster_to_events

FAST = {"settle": 0.0, "reset": 0.0, "quiet": 0.1, "longest": 0.3}


def backend(**entries):
    return SamnaBackend(RunSettings(**{"limit_s": 60, **entries}), patience=FAST)


@pytest.fixture
def deployment(nets, rng):
    return nm.deploy(nets.chain(rng), "speck2f")


@pytest.fixture
def spikes(nets, deployment, rng):
    return nets.spikes_for(deployment.network, rng)


def test_a_board_that_computes_gives_what_the_emulator_gives(samna_in_children, calls, deployment, spikes):
    samna_in_children(boards=["DVXplorer", "Speck2fDevKit"])
    record = Recording(spikes=(ALL,), counts=(ALL,))
    expected = nm.emulate(deployment, spikes, record=record)
    seen = []
    result = backend().run(deployment, spikes, record=record, progress=lambda *done: seen.append(done))
    for name in ("image", "conv", "deep", "out"):
        assert expected.spikes[name].any()
        np.testing.assert_array_equal(result.spikes[name], expected.spikes[name])
        np.testing.assert_array_equal(result.counts[name], expected.counts[name])
        np.testing.assert_array_equal(result.total_spikes[name], expected.total_spikes[name])
    for name, operations in expected.synaptic_operations.items():
        np.testing.assert_array_equal(result.synaptic_operations[name], operations)
    np.testing.assert_array_equal(result.final_potentials["out"], expected.final_potentials["out"])
    assert result.spikes["out"].dtype == expected.spikes["out"].dtype
    assert result.origin == "run on Speck2f (Speck2fDevKit:0, samna 0.0-fake)"
    assert seen == [(1, 2), (2, 2)]
    assert calls()[-1] == "close_device"


def test_test_vectors_are_replayed_on_a_board(samna_in_children, nets, rng):
    deployment = nm.deploy(nets.branch(rng), "speck2f")
    vectors = make_vectors(deployment, nets.spikes_for(deployment.network, rng, samples=3))
    report = replay(vectors, backend())
    assert report.passed, str(report)
    assert report.origin.startswith("run on Speck2f")


def test_event_streams_come_back_in_the_order_of_the_board(samna_in_children, nets, deployment, spikes):
    streams = [raster_to_events(spikes[:, sample]) for sample in range(2)]
    got = backend().stream(deployment, {"image": streams}, record=("conv",))
    assert list(got) == ["conv", "out"]
    expected = nm.emulate(deployment, spikes, record=Recording(spikes=(ALL,)))
    for name, sample in itertools.product(("conv", "out"), range(2)):
        events, fired = got[name][sample], expected.spikes[name][:, sample]
        assert events.dtype == EVENT
        assert np.all(np.diff(events["t"]) >= 0)
        np.testing.assert_array_equal(events_to_raster(events, fired.shape[1:], nets.steps), fired)
        ours = emulate_events(deployment, streams[sample], record=(name,)).events[name]
        for field in ("x", "y", "p"):
            np.testing.assert_array_equal(events[field], ours[field])


def test_spikes_after_the_last_step_count_in_it(samna_in_children, nets, deployment, spikes):
    samna_in_children(late_us=nets.steps * 1000)
    result = backend().run(deployment, spikes)
    assert not result.spikes["out"][:-1].any()
    np.testing.assert_array_equal(result.counts["out"], nm.emulate(deployment, spikes).counts["out"])


def test_potentials_of_unknown_address_are_left_out(samna_in_children, nets, rng):
    deployment = nm.deploy(nets.wide(rng), "speck2f")
    spikes = nets.spikes_for(deployment.network, rng)
    result = backend().run(deployment, spikes)
    assert dict(result.final_potentials) == {}
    np.testing.assert_array_equal(result.spikes["out"], nm.emulate(deployment, spikes).spikes["out"])


def test_too_many_spikes_for_a_result_are_told(samna_in_children, deployment, spikes, monkeypatch):
    monkeypatch.setattr(board_module, "spike_type", lambda population: np.dtype(np.int8))
    with pytest.raises(RunError, match=r"out: a neuron fired more often in one step.*limit 127"):
        backend().run(deployment, np.full_like(spikes[:1, :1], 3))


def test_no_board_is_there(samna_in_children, deployment, spikes):
    samna_in_children(boards=["Speck2eDevKit"])
    with pytest.raises(HardwareUnavailable, match=r"no board Speck2fDevKit.*samna finds Speck2eDevKit:0"):
        backend().run(deployment, spikes)


def test_the_validators_message_is_told(samna_in_children, deployment, spikes):
    samna_in_children(refuse="layer 3 is too big")
    with pytest.raises(RunError, match=r"refuses the configuration.*layer 3 is too big"):
        backend().run(deployment, spikes)


def test_a_board_lost_in_the_run(samna_in_children, calls, deployment, spikes):
    samna_in_children(lost_after=2)
    with pytest.raises(RunError, match=r"(?s)1 of 2 samples had been recorded.*no longer connected"):
        backend().run(deployment, spikes)
    assert calls()[-1] == "close_device"


def test_a_board_that_hangs_is_given_up_and_closed(samna_in_children, calls, deployment, spikes):
    samna_in_children(hang="write")
    with pytest.raises(RunError, match=r"did not finish.*0 of 2 samples had been recorded"):
        backend(limit_s=2).run(deployment, spikes)
    assert calls()[-1] == "close_device"


def test_a_python_that_cannot_start_is_told_as_it_is(samna_in_children, deployment, spikes, monkeypatch):
    runner = backend()
    monkeypatch.setattr(board_module, "run_child", lambda *a, **k: (_ for _ in ()).throw(RunError("cannot be started")))
    with pytest.raises(RunError, match=r"^cannot be started$"):
        runner.run(deployment, spikes)


def test_what_a_board_cannot_record_is_refused(samna_in_children, deployment, spikes):
    with pytest.raises(UsageError, match="single steps cannot be recorded on a board"):
        backend().run(deployment, spikes, record=Recording(potentials=("conv",)))


def test_sinabs_time_steps_are_no_chips(samna_in_children, nets, spikes, rng):
    with pytest.raises(UsageError, match="no time steps"):
        backend().run(nm.deploy(nets.chain(rng), "speck2f/step"), spikes)


@pytest.mark.parametrize("events", [{}, {"image": []}, {"other": [np.empty(0, EVENT)]}])
def test_streams_must_be_there_for_every_input(events, samna_in_children, deployment):
    with pytest.raises(DataError, match="for every input"):
        backend().stream(deployment, events)


class TestAvailability:
    def test_without_samna(self, deployment, spikes):
        there = backend().availability()
        assert not there.ready
        assert "samna is not installed" in there.found
        assert "--vendor-python" in there.hint
        with pytest.raises(HardwareUnavailable, match="samna is not installed"):
            backend().run(deployment, spikes)

    def test_the_placeholder_of_pypi_is_not_samna(self, monkeypatch, tmp_path):
        (tmp_path / "samna").mkdir()
        # Were it imported, it would fail loudly.
        (tmp_path / "samna" / "__init__.py").write_text("PYPI_SAMNA = True\nraise SystemExit('imported')\n")
        monkeypatch.setenv("PYTHONPATH", str(tmp_path))
        there = backend().availability()
        assert not there.ready
        assert "placeholder" in there.found

    def test_a_python_that_is_none(self, tmp_path):
        there = backend(python=tmp_path / "python").availability()
        assert not there.ready
        assert "no such Python" in there.found

    def test_boards_on_usb(self, samna_in_children, monkeypatch, tmp_path):
        usb = tmp_path / "usb"
        monkeypatch.setattr(presence, "USB_DEVICES", usb)
        there = backend().availability()
        assert there.ready
        assert "asked when a run starts" in there.found
        (usb / "1-1").mkdir(parents=True)
        (usb / "1-1" / "idVendor").write_text("04b4\n")
        there = backend().availability()
        assert not there.ready
        assert "no board of SynSense's on USB" in there.found
        assert backend(board="Speck2fDevKit:0").availability().ready
        for name, product in (("1-2", "Speck2f DevKit"), ("1-3", None)):
            (usb / name).mkdir()
            (usb / name / "idVendor").write_text("337d\n")
            (usb / name / "idProduct").write_text("5bca\n")
            if product:
                (usb / name / "product").write_text(f"{product}\n")
        there = backend().availability()
        assert there.ready
        assert "Speck2f DevKit, device 5bca on USB" in there.found

    def test_samna_is_not_imported(self, samna_in_children, tmp_path):
        backend().availability()
        assert not (tmp_path / "calls.txt").exists()
        assert "samna" not in sys.modules


def test_exact_mode_gives_the_quantized_network_on_a_board(samna_in_children, rng):
    """Host events into every core, initial potentials, several events a step, logits read back."""
    network = Network(
        "exact",
        (
            Population("in", (1, 4, 4)),
            Population("conv", (2, 4, 4), IF(1.0, bias=rng.normal(size=(2, 1, 1)) / 3)),
            Population("deep", (4,), IF(0.8, bias=0.5)),
            Population("out", (3,), Integrator()),
        ),
        (
            Projection("in", "conv", (Conv2d(rng.normal(size=(2, 1, 3, 3)) / 2, padding=1),)),
            Projection("conv", "deep", (SumPool2d(2), Reshape((8,)), Dense(rng.normal(size=(4, 8)) / 3))),
            Projection("deep", "out", (Dense(rng.normal(size=(3, 4))),)),
        ),
    )
    choice = nm.chip("speck2f")
    rules = choice.target.exact_rules(choice.chip, choice.profile)
    ann = quantize_activations(network, rules, levels=3, input_steps=4)
    exact = to_exact(ann, rules, DeterministicRate())
    deployment = nm.deploy(exact.network, choice, encoder=exact.encoder, steps=exact.steps)
    inputs = exact.inputs(rng.random((2, 1, 4, 4)))
    record = Recording(spikes=(ALL,), counts=(ALL,))
    result = backend().run(deployment, inputs, record=record)
    given = inputs["in"].sum(axis=0, dtype=np.int64)
    assert mismatches(ann, deployment.network, given, result) == {"conv": 0, "deep": 0, "out": 0}
    expected = nm.emulate(deployment, inputs, record=record)
    assert expected.counts["deep"].any()
    for name, spikes in expected.spikes.items():
        np.testing.assert_array_equal(result.spikes[name], spikes)
