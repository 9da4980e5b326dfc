"""The driver of emitted scripts, as far as it needs no Lava."""

import os
import signal
import threading
from types import SimpleNamespace

import numpy as np
import pytest

from targets.loihi.lava import driver


def network(**fields):
    plain = {"build": None, "inputs": {"in": (1, 2, 3)}, "neurons": {"out": (2, 1, 3)}, "silence": 2, "latency": 1}
    return driver.Network(**{**plain, "outputs": ("out",), **fields})


def test_samples_follow_each_other_with_silence_between(rng):
    spikes = rng.integers(1, 9, (4, 2, 1, 2, 3))
    data = driver.in_lava_order(spikes, 6)
    assert data.shape == (3, 2, 1, 12)
    assert data.dtype == np.int32
    for sample in range(2):
        np.testing.assert_array_equal(data[..., sample * 6 : sample * 6 + 4].T, spikes[:, sample])
        assert not data[..., sample * 6 + 4 : sample * 6 + 6].any()


def test_recordings_come_back_in_nmdeploys_order(tmp_path):
    files = driver.recordings(tmp_path, {"out": (2, 1, 3), "flat": (4,)}, (2, 5), ["out.u"])
    assert set(files["out"]) == {"spikes", "final_v", "u"}
    assert set(files["flat"]) == {"spikes", "final_v"}
    stored = np.load(files["out"]["u"], mmap_mode="r+")
    assert stored.shape == (2, 5, 3, 1, 2)
    stored[1, 4, 2, 0, 1] = -7
    final = np.load(files["out"]["final_v"], mmap_mode="r+")
    final[1, 2, 0, 1] = 9
    result = driver.collected(files)
    assert result["out.u"].shape == (5, 2, 2, 1, 3)
    assert result["out.u"][4, 1, 1, 0, 2] == -7
    assert result["out.final_v"][1, 1, 0, 2] == 9
    assert result["flat.spikes"].shape == (5, 2, 4)


def test_large_inputs_take_several_runs(monkeypatch, rng):
    runs = []

    def fake(_network, inputs, steps, _variables, done):
        runs.append((inputs["in"].shape[1], done))
        return {"out.spikes": inputs["in"].repeat(2, axis=2), "out.final_v": inputs["in"].sum(axis=0)}

    monkeypatch.setattr(driver, "_run_batch", fake)
    monkeypatch.setattr(driver, "LARGEST_SOURCE", 4 * 6 * 8 * 2)
    spikes = rng.integers(0, 2, (6, 5, 1, 2, 3))
    result = driver.run(network(), {"in": spikes}, 6, [])
    assert runs == [(2, (0, 5)), (2, (2, 5)), (1, (4, 5))]
    np.testing.assert_array_equal(result["out.spikes"], spikes.repeat(2, axis=2))
    np.testing.assert_array_equal(result["out.final_v"], spikes.sum(axis=0))


def test_every_unconnected_part_is_run():
    runtimes = [object(), object()]
    neurons = {name: SimpleNamespace(runtime=None) for name in "abcd"}
    ran = []
    for head in driver.heads(neurons):
        part = ("a", "c") if not ran else ("b", "d")
        for name in part:
            neurons[name].runtime = runtimes[len(ran)]
        ran.append(next(name for name, process in neurons.items() if process is head))
    assert ran == ["a", "b"]
    assert [head is neurons[name] for head, name in zip(driver.heads(neurons), "ab", strict=True)] == [True, True]


class Actor:
    def __init__(self, exception=None):
        self.exception, self.ended = exception, False

    def terminate(self):
        self.ended = True


def lava_process(*actors):
    shut = []
    messaging = SimpleNamespace(actors=list(actors), smm=SimpleNamespace(shutdown=lambda: shut.append(True)))
    stopped = []
    runtime = SimpleNamespace(_messaging_infrastructure=messaging)
    return SimpleNamespace(runtime=runtime, stop=lambda: stopped.append(True), stopped=stopped, shut=shut)


def test_lava_is_stopped_at_the_end():
    process, unbuilt = lava_process(Actor()), SimpleNamespace(runtime=None, stop=lambda: None)
    with driver.supervised({"a": process, "b": unbuilt}):
        pass
    assert process.stopped
    assert not process.shut


def test_after_an_error_its_processes_are_ended_not_waited_for():
    actor = Actor()
    process = lava_process(actor)
    with pytest.raises(ValueError, match="ours"), driver.supervised({"a": process}):
        raise ValueError("ours")
    assert actor.ended
    assert process.shut
    assert not process.stopped


@pytest.mark.skipif(os.name != "posix", reason="interrupts by signal")
@pytest.mark.parametrize("handler", [signal.default_int_handler, signal.SIG_IGN], ids=["foreground", "background"])
def test_an_error_within_lava_is_told(monkeypatch, handler):
    monkeypatch.setattr(driver, "WATCH_S", 0.01)
    process = lava_process(Actor(), Actor((ValueError("x"), "Traceback ... planted")))
    before = signal.signal(signal.SIGINT, handler)
    try:
        with pytest.raises(RuntimeError, match="planted"), driver.supervised({"a": process}):
            threading.Event().wait(10)
        assert signal.getsignal(signal.SIGINT) is handler
    finally:
        signal.signal(signal.SIGINT, before)


def test_the_comparison_counts_differences(capsys):
    spikes = np.zeros((3, 1, 2), np.uint8)
    with pytest.raises(SystemExit) as ended:
        driver.compare({"out": spikes}, {"out.spikes": spikes})
    assert ended.value.code == 0
    with pytest.raises(SystemExit) as ended:
        driver.compare({"out": spikes}, {"out.spikes": spikes + 1})
    assert ended.value.code == 1
    assert "6 output spikes compared with nmdeploy's emulator: 6 differences" in capsys.readouterr().out


@pytest.fixture
def executed(tmp_path, monkeypatch):
    """Runs the command line on a network that answers its input."""
    spikes = np.ones((3, 2, 1, 2, 3), np.uint8)
    answer = np.ones((4, 2, 2, 1, 3), np.uint8)
    np.savez(tmp_path / "inputs.npz", **{"in": spikes, "out.expected": answer})
    asked = []

    def run(_network, inputs, steps, variables, device):
        asked.append((inputs["in"].shape, steps, variables, device))
        return {"out.spikes": answer[:steps]}

    monkeypatch.setattr(driver, "run", run)
    monkeypatch.chdir(tmp_path)

    def execute(*arguments):
        handler = signal.getsignal(signal.SIGINT)
        try:
            driver.main(network(), tmp_path, list(arguments))
        finally:
            signal.signal(signal.SIGINT, handler)

    return execute, asked


def test_the_command_line_prints_counts_and_writes_the_result(executed, capsys, tmp_path):
    execute, asked = executed
    with pytest.raises(SystemExit) as ended:
        execute()
    assert ended.value.code == 0
    assert asked == [((3, 2, 1, 2, 3), 4, [], "cpu")]
    assert "out: spikes of each neuron" in capsys.readouterr().out
    with np.load(tmp_path / "spikes.npz") as file:
        assert file["out.spikes"].shape == (4, 2, 2, 1, 3)


def test_steps_and_potentials_can_be_asked_for(executed):
    execute, asked = executed
    execute("--steps", "2", "--potentials", "--out", "other.npz")
    assert asked[0][1:] == (2, ["out.u", "out.v"], "cpu")


def test_a_board_records_no_potentials(executed, capsys):
    execute, _ = executed
    with pytest.raises(SystemExit):
        execute("--device", "loihi2", "--potentials")
    assert "cannot be recorded on a board" in capsys.readouterr().err


def test_an_error_ends_at_once_with_its_traceback(executed, monkeypatch, capsys):
    class EndedError(Exception):
        pass

    def end(code):
        raise EndedError(code)

    execute, _ = executed
    monkeypatch.setattr(driver.os, "_exit", end)
    with pytest.raises(EndedError, match="1"):
        execute("--inputs", "nowhere.npz")
    assert "nowhere.npz" in capsys.readouterr().err
