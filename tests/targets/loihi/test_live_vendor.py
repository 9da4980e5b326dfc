"""The backends for Lava and the emitted scripts on Lava itself: as they are, failing, hanging, interrupted.

Needs lava-nc 0.10.0 (Python 3.10).
"""

import itertools
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("lava", reason="lava-nc 0.10.0 is installed on Python 3.10 only")

import nmdeploy as nm
from nmdeploy.backend import RunSettings
from nmdeploy.bundle import make_vectors
from nmdeploy.child_process import run_child
from nmdeploy.emulator.result import ALL, Recording
from nmdeploy.errors import RunError
from nmdeploy.network import Network, Population, Projection
from nmdeploy.neurons import IF
from nmdeploy.synapses import Conv2d, Dense, Reshape, SumPool2d
from targets.loihi import vendor
from targets.loihi.board import BoardBackend
from targets.loihi.emit import emit_lava, script_files
from targets.loihi.vendor import LavaBackend

STEPS = 18


@pytest.fixture
def small(rng):
    """A deployment of a convolution, a branch around a second one, a pool and a dense layer; and its input."""

    def neuron(threshold):
        return IF(threshold, bias=rng.integers(-3, 6), v_init=rng.integers(0, 40), reset="zero")

    def weight(*shape):
        return rng.integers(-60, 80, shape)

    network = Network(
        "small",
        (
            Population("in", (1, 6, 6)),
            Population("p0", (2, 6, 6), neuron(90)),
            Population("p1", (2, 6, 6), neuron(120)),
            Population("p2", (4,), neuron(200)),
        ),
        (
            Projection("in", "p0", (Conv2d(weight(2, 1, 3, 3), padding=1),)),
            Projection("p0", "p1", (Conv2d(weight(2, 2, 3, 3), padding=1),)),
            Projection("in", "p1", (Conv2d(weight(2, 1, 1, 1)),)),
            Projection("p1", "p2", (SumPool2d(2), Reshape((18,)), Dense(weight(4, 18)))),
        ),
        outputs=("p0", "p1", "p2"),
    )
    return nm.deploy(network, "loihi1"), (rng.random((STEPS, 3, 1, 6, 6)) < 0.4).astype(np.uint8)


RUN_STOCK = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import numpy as np
import run
from lava.magma.core.run_conditions import RunSteps
from lava.magma.core.run_configs import Loihi2SimCfg
from lava.proc.io.source import RingBuffer
from lava.proc.monitor.process import Monitor
from nmdeploy_lava.driver import in_lava_order

def main():
    steps = int(sys.argv[2])
    with np.load(Path(sys.argv[1]) / "inputs.npz") as file:
        spikes = file["_in"]
    result = {}
    for sample in range(spikes.shape[1]):
        source = RingBuffer(data=in_lava_order(spikes[:, sample : sample + 1], steps))
        neurons = run.build({"_in": source.s_out})
        monitors = {}
        for name, lif in neurons.items():
            for variable in ("u", "v", "s_out"):
                monitor = Monitor()
                monitor.probe(getattr(lif, variable), steps)
                monitors[name, variable] = monitor, lif.name
        lif.run(condition=RunSteps(num_steps=steps), run_cfg=Loihi2SimCfg(select_tag="fixed_pt"))
        for (name, variable), (monitor, process) in monitors.items():
            result[f"{sample}.{name}.{variable}"] = monitor.get_data()[process][variable].astype(np.int64)
        lif.stop()
    np.savez(Path(sys.argv[1]) / "stock.npz", **result)

if __name__ == "__main__":
    main()
"""


@pytest.mark.slow
def test_our_process_models_change_nothing_of_lavas(small, tmp_path):
    """Stock ProcessModels, one run for each sample, recorded by Lava's own Monitors, give the same integers."""
    deployment, spikes = small
    emit_lava(make_vectors(deployment, spikes), tmp_path)
    steps = STEPS + 5
    (tmp_path / "stock.py").write_text(RUN_STOCK, encoding="utf-8")
    command = [sys.executable, "stock.py", str(tmp_path), str(steps)]
    run_child(command, what="Lava", folder=tmp_path, limit_s=200)
    names = deployment.network.outputs
    variables = tuple(f"{name}.{variable}" for name in names for variable in "uv")
    record = Recording(spikes=(ALL,), potentials=variables)
    ran = LavaBackend(RunSettings(limit_s=200)).run(deployment, spikes, steps=steps, record=record)
    with np.load(tmp_path / "stock.npz") as stock:
        for sample, name in itertools.product(range(3), names):
            ours = {"u": ran.potentials[f"{name}.u"], "v": ran.potentials[f"{name}.v"], "s_out": ran.spikes[name]}
            for variable, values in ours.items():
                # Monitors order space (W, H, C).
                expected = stock[f"{sample}.{name}.{variable}"]
                expected = expected.transpose(0, *range(expected.ndim - 1, 0, -1))
                np.testing.assert_array_equal(values[:, sample], expected, err_msg=f"{name} {variable}")


@pytest.mark.slow
def test_an_emitted_script_runs_as_it_is(small, tmp_path):
    deployment, spikes = small
    emit_lava(make_vectors(deployment, spikes), tmp_path / "out")
    command = [sys.executable, str(tmp_path / "out" / "run.py")]
    printed = run_child(command, what="Lava", folder=tmp_path, limit_s=100)
    assert "sample 3 of 3" in printed
    assert "compared with nmdeploy's emulator: 0 differences" in printed
    assert (tmp_path / "spikes.npz").exists()
    with np.load(tmp_path / "out" / "inputs.npz") as file:
        arrays = dict(file)
    arrays["p2.expected"] = 1 - arrays["p2.expected"]
    np.savez(tmp_path / "wrong.npz", **arrays)
    with pytest.raises(RunError, match=r"(?s)exit code 1 .* differences"):
        run_child([*command, "--inputs", "wrong.npz"], what="Lava", folder=tmp_path, limit_s=100)


def shared_memory():
    folder = Path("/dev/shm")
    return {path.name for path in folder.glob("psm_*")} if folder.is_dir() else set()


def plant(monkeypatch, where, code):
    """Emitted scripts get `code` at the start of a step of their neurons."""

    def planted(script):
        files = script_files(script)
        name = "nmdeploy_lava/neurons.py"
        files[name] = files[name].replace(where, where + code)
        assert code in files[name]
        return files

    monkeypatch.setattr(vendor, "script_files", planted)


def note_and_hang(path):
    """Code that notes the operating system process, and hangs in the second sample."""
    noting = f"        open({str(path)!r}, 'a').write(str(__import__('os').getpid()) + ' ')\n"
    return (noting + "        __import__('time').sleep(1000 if sample == 1 else 0)\n").encode()


def still_running(pids):
    """Those of the processes that are neither gone nor only waiting to be reaped."""
    stats = [Path(f"/proc/{pid}/stat") for pid in pids]
    return [stat for stat in stats if stat.exists() and stat.read_text().rpartition(")")[2].split()[0] != "Z"]


@pytest.mark.slow
def test_after_an_interrupt_nothing_of_lava_is_left(small, tmp_path, monkeypatch):
    deployment, spikes = small
    plant(monkeypatch, b"divmod(now - 1, self.schedule.period)\n", note_and_hang(tmp_path / "pids"))
    before = shared_memory()

    def interrupt(done, _samples):
        assert done == 1
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        LavaBackend(RunSettings(limit_s=200)).run(deployment, spikes, progress=interrupt)
    started = set((tmp_path / "pids").read_text().split())
    assert len(started) == 3
    assert not still_running(started)
    assert shared_memory() <= before


@pytest.mark.slow
def test_a_hang_of_lava_is_ended(small, tmp_path, monkeypatch):
    deployment, spikes = small
    plant(monkeypatch, b"divmod(now - 1, self.schedule.period)\n", note_and_hang(tmp_path / "pids"))
    before = shared_memory()
    with pytest.raises(RunError, match=r"(?s)Lava did not finish and was ended.*after 15 s"):
        LavaBackend(RunSettings(limit_s=15)).run(deployment, spikes)
    assert shared_memory() <= before


@pytest.mark.slow
def test_an_error_within_lava_is_told(small, monkeypatch):
    deployment, spikes = small
    plant(monkeypatch, b"now: int = self.time_step\n", b"        assert self.time_step < 4, 'planted'\n")
    before = shared_memory()
    with pytest.raises(RunError, match=r"(?s)Lava failed with exit code 1.*AssertionError: planted"):
        LavaBackend(RunSettings(limit_s=60)).run(deployment, spikes)
    assert shared_memory() <= before


STANDINS = {
    "lava/utils/loihi2_profiler.py": "",
    "lava/magma/core/model/c/model.py": "class CLoihiProcessModel:\n    pass\n",
    "lava/magma/core/model/nc/model.py": "class AbstractNcProcessModel:\n    pass\n",
    "lava/proc/embedded_io/spike.py": """
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.model.py.model import PyLoihiProcessModel
from lava.magma.core.model.py.ports import PyInPort, PyOutPort
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.process.ports.ports import InPort, OutPort
from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol


class PyToNxAdapter(AbstractProcess):
    def __init__(self, shape, num_message_bits=0):
        super().__init__(shape=shape)
        self.inp, self.out = InPort(shape=shape), OutPort(shape=shape)


class NxToPyAdapter(PyToNxAdapter):
    pass


@implements(proc=PyToNxAdapter, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class InModel(PyLoihiProcessModel):
    inp: PyInPort = LavaPyType(PyInPort.VEC_DENSE, int)
    out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, int)

    def run_spk(self):
        self.out.send(self.inp.recv())


@implements(proc=NxToPyAdapter, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class OutModel(PyLoihiProcessModel):
    inp: PyInPort = LavaPyType(PyInPort.VEC_DENSE, int)
    out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, int)

    def run_spk(self):
        self.out.send(self.inp.recv())
""",
}
"""The outermost calls of Lava's private extension, so that the rest of the path to a board runs, on the CPU."""


@pytest.mark.slow
def test_the_path_to_a_board_with_the_extension_replaced(small, tmp_path, monkeypatch):
    deployment, spikes = small
    for name, text in STANDINS.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("NXSDKHOST", "stand-in")
    ran = BoardBackend(RunSettings(limit_s=200)).run(deployment.with_(chip="loihi2"), spikes)
    assert ran.origin == "run by Lava 0.10.0 on Loihi 2 (NXSDKHOST=stand-in)"
    emulated = nm.emulate(deployment, spikes)
    for name in deployment.network.outputs:
        np.testing.assert_array_equal(ran.spikes[name], emulated.spikes[name], err_msg=name)
        np.testing.assert_array_equal(ran.final_potentials[name], emulated.final_potentials[name], err_msg=name)


def test_stock_lava_has_no_board():
    found = BoardBackend(RunSettings(board="any")).availability()
    assert not found.ready
    assert "no extension for boards" in found.found
