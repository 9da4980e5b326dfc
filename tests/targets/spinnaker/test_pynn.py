"""The code that emitted scripts run, here in this process: driver, builders, and the reader of the virtual board."""

import importlib.util
import json
import os
import runpy
import signal
import subprocess
import sys
import threading
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

import nmdeploy as nm
from nmdeploy.bundle import make_vectors
from nmdeploy.emulator.result import Recording
from targets.spinnaker import pynn
from targets.spinnaker.emit import emit_pynn, emit_spynnaker
from targets.spinnaker.pynn import driver, generic, spynnaker, virtual

FAKE = Path(__file__).parent / "fake_spynnaker"


@pytest.fixture
def sim(monkeypatch, tmp_path):
    """The stand-in for `pyNN.spiNNaker`, and the support code under the name that scripts know."""
    spec = importlib.util.spec_from_file_location("pyNN.spiNNaker", FAKE / "pyNN" / "spiNNaker.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    package = ModuleType("pyNN")
    package.spiNNaker, package.__path__ = module, []
    provenance = ModuleType("spinn_front_end_common.interface.provenance")
    messages = SimpleNamespace(messages=lambda: ["one  packet", "was\nlate"])
    reader = SimpleNamespace(__enter__=lambda _: messages, __exit__=lambda *_: None)
    provenance.ProvenanceReader = type("ProvenanceReader", (), vars(reader))
    modules = {
        "pyNN": package,
        "pyNN.spiNNaker": module,
        "pyNN.parameters": SimpleNamespace(Sequence=tuple),
        "nmdeploy_pynn": pynn,
        "nmdeploy_pynn.driver": driver,
        "nmdeploy_pynn.spynnaker": spynnaker,
        "nmdeploy_pynn.generic": generic,
        "spinn_front_end_common": ModuleType("spinn_front_end_common"),
        "spinn_front_end_common.interface": ModuleType("spinn_front_end_common.interface"),
        "spinn_front_end_common.interface.provenance": provenance,
    }
    for name, each in modules.items():
        monkeypatch.setitem(sys.modules, name, each)
    (tmp_path / ".spynnaker.cfg").write_text("")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return module


@pytest.fixture(scope="module", params=["chip", "conv"])
def deployment(request, ideal_images):
    return nm.deploy(ideal_images, f"spin5/{request.param}", steps=6)


@pytest.fixture
def spikes(rng):
    return (rng.random((6, 3, 2, 12, 8)) < 0.4).astype(np.uint8)


def network_of(folder):
    return runpy.run_path(str(folder / "run.py"))["NETWORK"]


def main(folder, *arguments):
    """The exit code of an emitted script; None where it does not exit."""
    try:
        driver.main(network_of(folder), folder, list(arguments))
    except SystemExit as left:
        return left.code
    return None


@pytest.mark.parametrize("together", ["1", "2"])
def test_a_script_meets_the_emulator(sim, deployment, spikes, tmp_path, capsys, together):
    emit_spynnaker(make_vectors(deployment, spikes), tmp_path)
    assert main(tmp_path, "--potentials", "--all-spikes", "--together", together) == 0
    printed = capsys.readouterr().out
    assert "sample 3 of 3" in printed
    assert " 0 differences" in printed
    assert "warning: one packet\nwarning: was late" in printed
    record = Recording(spikes=("*",), potentials=("same", "flat"))
    emulated = nm.emulate(deployment, spikes, record=record)
    with np.load(tmp_path / "spikes.npz") as result:
        for name in ("same", "flat"):
            np.testing.assert_array_equal(result[f"{name}.v"], emulated.potentials[name])
        for name in ("same", "pooled", "strided", "flat", "out"):
            np.testing.assert_array_equal(result[f"{name}.spikes"], emulated.spikes[name])
        np.testing.assert_array_equal(result["out.final_v"], emulated.final_potentials["out"])


def test_a_difference_exits_with_1(sim, deployment, spikes, tmp_path, capsys):
    emit_spynnaker(make_vectors(deployment, spikes), tmp_path)
    with np.load(tmp_path / "inputs.npz") as file:
        given = dict(file)
    given["out.expected"] = 1 - given["out.expected"]
    np.savez(tmp_path / "inputs.npz", **given)
    assert main(tmp_path) == 1
    assert f"{given['out.expected'].size} differences" in capsys.readouterr().out
    assert main(tmp_path, "--steps", "3", "--record", "flat") is None
    with np.load(tmp_path / "spikes.npz") as result:
        assert result["flat.v"].shape == (3, 3, 6)
        assert "flat.spikes" not in result


def test_a_machine_that_records_nothing_is_an_error(sim, deployment, tmp_path, monkeypatch):
    monkeypatch.setenv("FAKE_FAULT", "virtual")
    emit_spynnaker(deployment, tmp_path)
    with pytest.raises(RuntimeError, match=r"out: recorded \(0, \d+\), expected"):
        main(tmp_path)


def test_a_simulation_that_fails_is_ended(sim, deployment, tmp_path, monkeypatch):
    ended = []
    monkeypatch.setattr(sim, "end", lambda: ended.append(True))
    monkeypatch.setattr(sim, "run", lambda _: 1 / 0)
    emit_spynnaker(deployment, tmp_path)
    with pytest.raises(ZeroDivisionError):
        main(tmp_path)
    assert ended == [True]


def test_a_silent_source_has_no_lists(sim):
    (population,) = spynnaker.source(sim, "a", np.zeros((4, 3)), channels=1, atoms=3, grid=None)
    assert population.model.spike_times == []
    (population,) = spynnaker.source(sim, "a", np.eye(3), channels=1, atoms=3, grid=None)
    assert population.model.spike_times == [[0.0], [1.0], [2.0]]


@pytest.mark.skipif(not hasattr(os, "killpg"), reason="process groups")
def test_a_closed_input_ends_the_process_group(tmp_path):
    code = "from targets.spinnaker.pynn.driver import end_with_stdin; end_with_stdin()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, start_new_session=True) as child:
        child.stdin.close()
        assert child.wait(60) == -signal.SIGTERM


def test_the_watch_on_the_input_is_started(sim, deployment, tmp_path, monkeypatch):
    started = threading.Event()
    monkeypatch.setattr(driver, "end_with_stdin", started.set)
    emit_spynnaker(deployment, tmp_path)
    assert main(tmp_path, "--end-with-stdin") == 0
    assert started.wait(60)


class Simulator(ModuleType):
    """A stand-in for a PyNN simulator that fires nothing and records what it is asked for."""

    def __init__(self):
        super().__init__("pyNN.toy")
        self.made, self.joined, self.steps = [], [], 0

    def setup(self, timestep, min_delay):
        assert timestep == min_delay == 1.0

    def end(self):
        pass

    def run(self, milliseconds):
        self.steps = int(milliseconds)

    def Population(self, size, model, label, initial_values=None):
        signal_ = SimpleNamespace(magnitude=np.zeros((self.steps + 99, size)) + 0.25)
        made = SimpleNamespace(size=size, model=model, label=label, initial=initial_values, record=lambda _: None)
        made.get_data = lambda _: SimpleNamespace(
            segments=[SimpleNamespace(spiketrains=[], filter=lambda **_: [signal_])]
        )
        self.made.append(made)
        return made

    def SpikeSourceArray(self, spike_times):
        return spike_times

    def StaticSynapse(self):
        return "static"

    def FromListConnector(self, listed, column_names):
        assert column_names == ["weight", "delay"]
        return listed

    def Projection(self, pre, post, connector, synapse, receptor_type):
        assert synapse == "static"
        self.joined.append((pre.label, post.label, receptor_type, connector))

    def __getattr__(self, name):
        if name.startswith("IF_curr"):
            return lambda **parameters: (name, parameters)
        raise AttributeError(name)


def test_a_generic_script_builds_standard_cells(sim, deployment, spikes, tmp_path, monkeypatch, capsys):
    toy = Simulator()
    monkeypatch.setitem(sys.modules, "pyNN.toy", toy)
    emit_pynn(make_vectors(deployment, spikes[:, :1]), tmp_path)
    assert main(tmp_path, "--simulator", "toy", "--potentials") == 0
    assert "not bit-exact; differences are no fault" in capsys.readouterr().out
    kinds = {each.label: each.model[0] for each in toy.made[1:]}
    conv = deployment.profile.name.endswith("conv")
    assert kinds["same"] == ("IF_curr_exp" if conv else "IF_curr_delta")
    assert kinds["out"] == "IF_curr_delta"
    assert [each.size for each in toy.made] == [192, 288, 48, 24, 6, 5]
    sources = toy.made[0].model
    assert [len(times) for times in sources] == spikes[:, 0].reshape(6, -1).sum(axis=0).tolist()
    for _, _, receptor, listed in toy.joined:
        assert all((weight > 0) == (receptor == "excitatory") for _, _, weight, _ in listed)
    matrix = deployment.network.projections[-1].matrix((6,))
    last = [listed for pre, post, _, listed in toy.joined if (pre, post) == ("flat", "out")]
    assert sum(len(listed) for listed in last) == np.count_nonzero(matrix.data)
    with np.load(tmp_path / "spikes.npz") as result:
        assert result["out.v"].dtype == np.float64
        assert np.all(result["out.final_v"] == 0.25)


def test_channels_without_synapses_get_no_projection(sim, monkeypatch):
    made = []
    monkeypatch.setattr(sim, "Projection", lambda pre, post, *_, **__: made.append((pre, post)))
    pre, post = ([SimpleNamespace(size=2, name=f"{label}{index}") for index in range(2)] for label in "ab")
    spynnaker.rows(sim, pre, post, np.array([[0, 3, 7], [3, 0, -7]]), units=(1.0, 1.0), delay=1)
    assert [(one.name, two.name) for one, two in made] == [("a0", "b1"), ("a1", "b0")]


def test_only_synapses_that_there_are_become_projections():
    toy = Simulator()
    pre, post = ([toy.Population(2, None, label)] for label in "ab")
    generic.rows(toy, pre, post, np.array([[0, 1]]), np.array([-0.5]), delay=3)
    assert toy.joined == [("a", "b", "inhibitory", [(0, 1, -0.5, 3.0)])]


def test_a_mapping_is_read_from_spynnakers_records(sim, monkeypatch, tmp_path, tiny_deployment):
    """`virtual.map_network` with stand-ins for sPyNNaker's views."""
    sources = type("SpikeSourceArrayVertex", (), {"label": "a"})()
    neurons = SimpleNamespace(label="rows")

    def placed(p, app, binary):
        slice_ = SimpleNamespace(get_raster_ids=lambda: np.arange(p))
        sdram = SimpleNamespace(get_total_sdram=lambda steps: 1000 * p + steps)
        vertex = SimpleNamespace(
            app_vertex=app, vertex_slice=slice_, sdram_required=sdram, get_binary_file_name=lambda: binary
        )
        return SimpleNamespace(x=0, y=1, p=p, vertex=vertex)

    placements = [placed(1, None, "system"), placed(3, sources, "source.aplx"), placed(4, neurons, "there.aplx")]
    placements.append(placed(5, neurons, "missing.aplx"))
    view = SimpleNamespace(
        iterate_placemements=lambda: iter(placements),
        get_machine=lambda: SimpleNamespace(ethernet_connected_chips=[1, 2]),
        get_run_dir_path=lambda: str(tmp_path),
        get_uncompressed=lambda: SimpleNamespace(routing_tables=[SimpleNamespace(number_of_entries=7)]),
        get_routing_infos=lambda: [SimpleNamespace(vertex=placements[1].vertex, key=64)],
    )
    binaries = SimpleNamespace(__file__=str(tmp_path / "__init__.py"))
    (tmp_path / "there.aplx").touch()
    for name in ("spynnaker", "spynnaker.pyNN"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    sys.modules["spynnaker.pyNN"].model_binaries = binaries
    monkeypatch.setitem(sys.modules, "spynnaker.pyNN.data", SimpleNamespace(SpynnakerDataView=view))
    monkeypatch.setattr(virtual, "version", lambda _: "1!7.4.1")
    vertex = SimpleNamespace(
        get_ring_buffer_shifts=lambda: [np.int64(1), 2],
        get_weight_scales=lambda shifts: [2.0 ** (15 - shift) for shift in shifts],
        splitter=SimpleNamespace(max_support_delay=lambda: 16),
    )
    monkeypatch.setattr(sim.Population, "_vertex", vertex, raising=False)
    monkeypatch.setattr(sim, "run", lambda _: None)
    emit_spynnaker(tiny_deployment, tmp_path)
    virtual.map_network(network_of(tmp_path), 3, tmp_path / "mapping.json")
    found = json.loads((tmp_path / "mapping.json").read_text())
    assert (found["version"], found["boards"], found["chips"], found["system_cores"], found["routes"]) == (
        "1!7.4.1",
        2,
        1,
        1,
        [7],
    )
    assert found["data"] == str(tmp_path / "ds.sqlite3")
    assert [(core["p"], core["label"], core["binary_exists"], core["key"]) for core in found["cores"]] == [
        (3, "a", True, 64),
        (4, "rows", True, None),
        (5, "rows", False, None),
    ]
    assert found["cores"][0]["neurons"] == [0, 1, 2]
    assert found["cores"][1]["sdram"] == 4000
    assert found["populations"]["rows"] == {"shifts": [1, 2], "scales": [16384.0, 8192.0], "slots": 16}
