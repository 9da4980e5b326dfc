"""The code that talks to samna, in this process, on a stand-in whose boards compute."""

import json
import signal

import numpy as np
import pytest

import nmdeploy as nm
from nmdeploy.bundle.atomic import write_files
from nmdeploy.data import npz_bytes, read_npz
from nmdeploy.emulator.result import ALL, Recording
from nmdeploy.network import Network, Population, Projection
from nmdeploy.neurons import IF
from nmdeploy.synapses import Conv2d, Dense, Reshape, SumPool2d
from targets.dynapcnn.event_arrays import events_to_raster
from targets.dynapcnn.pace import Pace
from targets.dynapcnn.samna import driver
from targets.dynapcnn.script import input_events, packed, script_files, unpacked

WORDS = 2048
"""Neuron memory of a core, enough for these networks; the chip's takes longer to write."""
FAST = ["--settle", "0", "--reset", "0", "--quiet", "0.05", "--longest", "0.3", "--answer", "0.3"]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Writes the script of a deployment with input; no signal handlers are set in this process."""
    monkeypatch.setattr(signal, "signal", lambda number, handler: None)

    def write(deployment, spikes, **expected):
        files = script_files(deployment, len(spikes), 1000)
        given = packed(input_events(deployment.network, {deployment.network.inputs[0].name: spikes}, Pace()))
        network = json.loads(files["network.json"])
        network["cores"] = [[*core[:-1], WORDS] for core in network["cores"]]
        files["network.json"] = json.dumps(network).encode()
        write_files({**files, "inputs.npz": npz_bytes({**given, **expected})}, tmp_path / "script")
        return tmp_path / "script"

    return write


def run(folder, *options):
    driver.main(folder, ["--out", str(folder / "out.npz"), *FAST, *options])
    return read_npz(folder / "out.npz")


def raster(arrays, name, spikes, shape):
    samples = [events_to_raster(each, shape, len(spikes)) for each in unpacked(arrays, name)]
    return np.stack(samples, axis=1)


@pytest.mark.parametrize(
    ("chip", "kit"),
    [("speck2f", "Speck2fModuleDevKit"), ("speck2e", "Speck2eTestBoard"), ("dynapcnndevkit", "DynapcnnDevKit")],
)
def test_each_chip_of_the_family(chip, kit, samna_here, calls, folder, nets, rng):
    samna_here(boards=["DVXplorer", kit])
    deployment = nm.deploy(nets.chain(rng), chip)
    spikes = nets.spikes_for(deployment.network, rng, samples=1)
    arrays = run(folder(deployment, spikes), "--monitor", "conv")
    expected = nm.emulate(deployment, spikes, record=Recording(spikes=(ALL,)))
    for name in ("conv", "out"):
        shape = deployment.network[name].shape
        np.testing.assert_array_equal(raster(arrays, name, spikes, shape), expected.spikes[name])
    assert "deep.events" not in arrays
    assert str(arrays["ran_on"]) == f"{kit}:0, samna 0.0-fake"
    clock = [call for call in calls() if call.startswith(("stop_watch", "write_config"))]
    register = ["write_config 3 0", "write_config 3 1", "write_config 3 0"]
    assert clock == (
        register if kit == "DynapcnnDevKit" else [f"stop_watch.{each}" for each in ("reset", "start", "stop")]
    )


def test_initial_potentials_are_written_before_every_sample(samna_here, folder, nets, rng):
    samna_here()
    deployment = nm.deploy(nets.chain(rng, v_init=rng.integers(0, 59, (4, 6, 6))), "speck2f")
    spikes = nets.spikes_for(deployment.network, rng, samples=3)
    arrays = run(folder(deployment, spikes), "--monitor", "conv")
    expected = nm.emulate(deployment, spikes, record=Recording(spikes=(ALL,)))
    np.testing.assert_array_equal(raster(arrays, "conv", spikes, (4, 6, 6)), expected.spikes["conv"])


def test_leaks_tick_with_the_slow_clock(samna_here, calls, folder, nets, rng):
    samna_here(duration_us=nets.steps * 1000)
    network = Network(
        "leaky",
        (
            Population("image", (1, 3, 3)),
            Population("out", (2, 3, 3), IF(90, bias=np.array([[[-3]], [[2]]]), v_min=-30)),
        ),
        (Projection("image", "out", (Conv2d(rng.integers(10, 60, (2, 1, 3, 3)), padding=1),)),),
    )
    deployment = nm.deploy(network, "speck2f/leak")
    spikes = nets.spikes_for(network, rng, samples=1)
    spikes[:, :, 0, 0, 0] = 1  # an event in every step, so that the stand-in's clock ticks between steps
    arrays = run(folder(deployment, spikes))
    expected = nm.emulate(deployment, spikes)
    np.testing.assert_array_equal(raster(arrays, "out", spikes, (2, 3, 3)), expected.spikes["out"])
    np.testing.assert_array_equal(arrays["out.final_v"], expected.final_potentials["out"])
    assert calls().index("set_slow_clk_rate 1000.0") < calls().index("stop_watch.start")
    assert calls()[-2:] == ["set_slow_clk False", "close_device"]


def random_chain(rng):
    """Two convolutions and a dense layer of random geometry."""

    def convolution(before, after, size):
        side = int(rng.integers(1, min(3, size) + 1))
        weight = rng.integers(-25, 50, (after, before, side, side))
        return Conv2d(weight, stride=int(rng.choice([1, 2])), padding=int(rng.integers(0, side)))

    def neuron():
        reset = str(rng.choice(["subtract", "zero"]))
        return IF(int(rng.integers(50, 90)), v_min=-int(rng.integers(0, 60)), reset=reset)

    shape = (int(rng.integers(1, 3)), 9, 9)
    populations, projections = [Population("image", shape, maximum=2)], []
    for name, channels in (("first", 3), ("second", 5)):
        pool = int(rng.choice([1, 2])) if projections else 1
        chain = (convolution(shape[0], channels, shape[1] // pool),)
        shape = chain[0].out_shape((shape[0], shape[1] // pool, shape[2] // pool))
        chain = (SumPool2d(pool), *chain) if pool > 1 else chain
        projections.append(Projection(populations[-1].name, name, chain))
        populations.append(Population(name, shape, neuron()))
    size = int(np.prod(shape))
    projections.append(Projection("second", "out", (Reshape((size,)), Dense(rng.integers(-30, 50, (4, size))))))
    populations.append(Population("out", (4,), neuron()))
    return Network("random", tuple(populations), tuple(projections))


@pytest.mark.parametrize("seed", range(6))
def test_random_chains_do_on_the_board_what_the_emulator_says(seed, samna_here, folder, nets):
    """The stand-in's chip knows the configuration alone, so this holds it, the addresses and the engine together."""
    samna_here()
    rng = np.random.Generator(np.random.PCG64(seed))
    deployment = nm.deploy(random_chain(rng), "speck2f")
    spikes = nets.spikes_for(deployment.network, rng, samples=1)
    arrays = run(folder(deployment, spikes), "--monitor", "first", "--monitor", "second")
    expected = nm.emulate(deployment, spikes, record=Recording(spikes=(ALL,)))
    assert expected.spikes["first"].any()
    for name in ("first", "second", "out"):
        found = raster(arrays, name, spikes, deployment.network[name].shape)
        np.testing.assert_array_equal(found, expected.spikes[name])
    np.testing.assert_array_equal(arrays["out.final_v"], expected.final_potentials["out"])


def test_concatenated_branches_reach_their_own_features(samna_here, folder, nets, rng):
    """No inhibition, so that counts do not hang on how the branches' events meet."""
    samna_here()

    def excitatory(*shape):
        return Conv2d(rng.integers(1, 40, shape), padding=shape[2] // 2)

    network = Network(
        "branches",
        (
            Population("image", (1, 4, 4)),
            Population("stem", (2, 4, 4), IF(60)),
            Population("left", (2, 4, 4), IF(50)),
            Population("right", (3, 4, 4), IF(70)),
            Population("out", (2, 4, 4), IF(90)),
        ),
        (
            Projection("image", "stem", (excitatory(2, 1, 3, 3),)),
            Projection("stem", "left", (excitatory(2, 2, 1, 1),)),
            Projection("stem", "right", (excitatory(3, 2, 3, 3),)),
            Projection("left", "out", (excitatory(2, 2, 3, 3),)),
            Projection("right", "out", (excitatory(2, 3, 3, 3),)),
        ),
    )
    deployment = nm.deploy(network, "speck2f")
    spikes = nets.spikes_for(network, rng, samples=1)
    arrays = run(folder(deployment, spikes))
    expected = nm.emulate(deployment, spikes)
    assert expected.spikes["out"].any()
    np.testing.assert_array_equal(raster(arrays, "out", spikes, (2, 4, 4)), expected.spikes["out"])
    np.testing.assert_array_equal(arrays["out.final_v"], expected.final_potentials["out"])


def test_the_layer_in_front_of_the_read_out_block_is_recorded_as_it_is(samna_here, folder, nets, rng):
    samna_here()
    deployment = nm.deploy(nets.chain(rng), "speck2f/readout")
    spikes = nets.spikes_for(deployment.network, rng, samples=1)
    arrays = run(folder(deployment, spikes))
    expected = nm.emulate(deployment, spikes)
    assert expected.counts["out"].any()
    np.testing.assert_array_equal(raster(arrays, "out", spikes, (9, 1, 1)), expected.spikes["out"])


def test_the_expected_counts_are_compared(samna_here, folder, nets, rng, capsys):
    samna_here()
    deployment = nm.deploy(nets.chain(rng), "speck2f")
    spikes = nets.spikes_for(deployment.network, rng)
    counts = nm.emulate(deployment, spikes).counts["out"].copy()
    run(folder(deployment, spikes, **{"out.expected": counts}))
    assert "out: 6 spike counts compared with nmdeploy's emulator: 0 differ" in capsys.readouterr().out
    counts[1, 2] += 1
    run(folder(deployment, spikes, **{"out.expected": counts}))
    assert "6 spike counts compared with nmdeploy's emulator: 1 differ" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("board", "serial"),
    [
        (None, "S3"),  # of the boards with the chip, the one with the lowest USB address
        ("Speck2fDevKit:1", "S0"),
        ("speck2fdevkit:1", "S0"),
        ("speck2fdevkit", "S2"),
        ("speck2fmodule:0", "S3"),
        ("S0", "S0"),
    ],
)
def test_boards_are_chosen_as_samna_or_sinabs_name_them(board, serial, samna_here):
    samna = samna_here(boards=["Speck2fDevKit", "Speck2eDevKit", "Speck2fDevKit", "Speck2fModuleDevKit"])
    _, info = driver.find(samna, driver.KINDS["speck2f"], board)
    assert info.serial_number == serial


@pytest.mark.parametrize(
    ("settings", "board", "listing"),
    [
        ({"boards": ["Speck2eDevKit"]}, None, "Speck2eDevKit:0"),
        ({"boards": []}, None, "nothing"),
        ({}, "Speck2fDevKit:1", "Speck2fDevKit:0"),
    ],
)
def test_no_such_board(settings, board, listing, samna_here):
    samna = samna_here(**settings)
    with pytest.raises(driver.NoBoard, match=f"samna finds {listing}"):
        driver.find(samna, driver.KINDS["speck2f"], board)


def test_boards_are_listed(samna_here, folder, tmp_path, capsys):
    samna_here(boards=["Speck2fDevKit", "DVXplorer", "Speck2fDevKit"])
    driver.main(tmp_path, ["--list"])
    assert capsys.readouterr().out.split() == ["Speck2fDevKit:0", "DVXplorer:0", "Speck2fDevKit:1"]


@pytest.mark.parametrize(
    ("settings", "code", "message", "last"),
    [
        ({"boards": []}, 4, "no board ", None),
        ({"refuse": "too big"}, 1, "samna refuses the configuration: too big", None),
        ({"unopenable": 1}, 1, "cannot be opened", "open_device Speck2fDevKit S0"),
        ({"lost_after": 1}, 1, "no longer connected", "close_device"),
        ({"mute": 1}, 1, "did not tell 3 of 3 potentials", "close_device"),
        ({"chatter": 1}, 1, "still fires 0.3 s after the last input", "close_device"),
    ],
)
def test_failures_are_one_line_and_the_board_is_closed(
    settings, code, message, last, samna_here, calls, folder, nets, rng, capsys
):
    samna_here(**settings)
    deployment = nm.deploy(nets.chain(rng), "speck2f")
    with pytest.raises(SystemExit) as caught:
        run(folder(deployment, nets.spikes_for(deployment.network, rng)))
    assert caught.value.code == code
    assert message in capsys.readouterr().out.splitlines()[-1]
    if last:
        assert calls()[-1] == last


@pytest.mark.parametrize("call", ["apply_configuration", "write", "graph.start", "graph.stop"])
def test_the_board_is_closed_whatever_samna_raises(call, samna_here, calls, folder, nets, rng):
    samna_here(fail=call)
    deployment = nm.deploy(nets.chain(rng), "speck2f")
    with pytest.raises(RuntimeError, match=f"usb error in {call}"):
        run(folder(deployment, nets.spikes_for(deployment.network, rng)))
    assert calls()[-1] == "close_device"


def test_initial_potentials_of_unknown_address_are_refused(samna_here, calls, folder, nets, rng, capsys):
    samna_here()
    deployment = nm.deploy(nets.wide(rng, v_init=7), "speck2f")
    with pytest.raises(SystemExit):
        run(folder(deployment, nets.spikes_for(deployment.network, rng)))
    assert "where core" in capsys.readouterr().out
    assert calls()[-1] == "close_device"


@pytest.fixture
def restored_signals():
    numbers = (signal.SIGTERM, signal.SIGINT)
    before = {number: signal.getsignal(number) for number in numbers}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize(("first", "second"), [(signal.SIGTERM, signal.SIGINT), (signal.SIGINT, signal.SIGTERM)])
def test_a_second_signal_does_not_break_off_the_closing(first, second, restored_signals):
    closed = []

    def interrupted():
        try:
            signal.raise_signal(first)
        finally:
            signal.raise_signal(second)
            closed.append("board")

    driver.end_in_order()
    with pytest.raises(SystemExit) as caught:
        interrupted()
    assert caught.value.code == 128 + first
    assert closed == ["board"]


def test_the_end_of_standard_input_interrupts(monkeypatch):
    seen = []
    monkeypatch.setattr(driver.os, "read", lambda handle, size: b"x" if seen.append(handle) or len(seen) < 3 else b"")
    monkeypatch.setattr(driver._thread, "interrupt_main", lambda: seen.append("interrupted"))
    driver._end_with_stdin()
    assert seen == [0, 0, 0, "interrupted"]


def test_the_script_watches_standard_input_when_asked_to(monkeypatch, samna_here, tmp_path):
    samna_here()
    started = []
    thread = lambda target, daemon: type("Thread", (), {"start": lambda self: started.append((target, daemon))})()  # noqa: E731
    monkeypatch.setattr(driver.threading, "Thread", thread)
    monkeypatch.setattr(signal, "signal", lambda number, handler: None)
    driver.main(tmp_path, ["--list", "--end-with-stdin"])
    assert started == [(driver._end_with_stdin, True)]
