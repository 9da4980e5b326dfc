"""Our integers against sPyNNaker itself, mapped here: random networks, every word that would be loaded, every core.

Needs sPyNNaker in this interpreter, or in the one that NMDEPLOY_SPINNAKER_PYTHON names. The seed of a run comes from
NMDEPLOY_SEED or the clock and is part of every test's name, so that a failure can be replayed. What our rules say
of sPyNNaker 7.4.1 is looked up in the installed version: when that mends something, its test fails, and rules are due.
"""

import json
import os
import subprocess
import sys
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
import pytest

import nmdeploy as nm
from nmdeploy.backend import RunSettings
from nmdeploy.coding import DeterministicRate
from nmdeploy.convert.exact import QuantizedAnn, stream, to_exact
from nmdeploy.data import read_npz
from nmdeploy.errors import FitError
from nmdeploy.network import Network, Population, Projection
from nmdeploy.neurons import IF, Integrator
from nmdeploy.synapses import Conv2d, ConvTranspose2d, Dense, OneToOne, Reshape, SumPool2d, Upsample2d
from targets.spinnaker import TARGET
from targets.spinnaker.conformance.nets import RECORDED, recorded_network
from targets.spinnaker.conformance.vectors import Vectors
from targets.spinnaker.neuron import IFCurrDelta, IFCurrExp, IFTruncDelta
from targets.spinnaker.precision import EXACT

SEED = int(os.environ.get("NMDEPLOY_SEED", time.time_ns() % 2**32))
NETWORKS = 18
KINDS = ("dense", "conv", "strided", "pool", "residual", "delays", "loop", "raw", "tiles")
"""What a network surely contains, in turn; the rest of it is drawn. Every other one is lowered to `conv`."""
ONE = 32768
PROGRAMS = {
    "IF_trunc_delta": "830c4a289479f5b99a44f67e7b3b4f4b393a1b7e180b1aff80fe05c0b396f97e",
    "IF_curr_delta": "9e991ac64c9eebc2f34a53e93ff667bad9b3ef112a16d4d91ac1605fd660dbcd",
    "IF_curr_exp": "acd257c9da6fa23c8995a080aeadd591182716cc0f8b6f2b26a1fbbdc15bc556",
    "IF_curr_exp_conv": "8cfe9d3d417f9f3880c2373bc263fc52d8555265d6d1b4ee637a38baba59d0d1",
    "IF_curr_exp_pool_dense": "0a8719d9ea1402ea1d83dd05c4d466196cb2eaf0ce774a7e530fd204da3c08cb",
}
"""SHA-256 of the programs in sPyNNaker 7.4.1, whose arithmetic and address rules are emulated."""


def python():
    """An interpreter that has sPyNNaker, or None."""
    if "NMDEPLOY_SPINNAKER_PYTHON" in os.environ:
        return Path(os.environ["NMDEPLOY_SPINNAKER_PYTHON"])
    try:
        version("sPyNNaker")
    except PackageNotFoundError:
        return None
    return Path(sys.executable)


pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(python() is None, reason="sPyNNaker is not installed (NMDEPLOY_SPINNAKER_PYTHON)"),
]


class Draw:
    """Draws a network, ideal or in the chip's terms, from a seed."""

    def __init__(self, *seed):
        self.rng = np.random.Generator(np.random.PCG64(seed))
        self.populations, self.projections = [], []

    def number(self, low, high):
        return int(self.rng.integers(low, high + 1))

    def one_of(self, *options):
        return options[self.number(0, len(options) - 1)]

    def weights(self, *shape):
        return self.rng.integers(-150, 200, shape) * (self.rng.random(shape) < self.one_of(0.3, 1.0))

    def network(self, kind):
        self.raw = kind == "raw"
        shape = (self.number(1, 3), 2 * self.number(2, 6), 2 * self.number(2, 6))
        if kind == "tiles":  # channels of more neurons than a core holds
            shape = (1, 2 * self.number(6, 10), 2 * self.number(11, 15))
        self.populations.append(Population("input", shape))
        here = "input"
        for step in range(self.number(1, 2)):
            here = self.image_layer(here, kind if step == 0 else "any")
        if kind == "residual":
            self.join(here, "input")
        here = self.flat_layer(here, pool=kind == "pool")
        if kind in ("dense", "loop"):
            here = self.flat_layer(here)
        if kind == "loop":
            self.projections.append(
                Projection(here, here, (Dense(self.weights(*2 * self[here].shape)),), self.delay(kind))
            )
        return Network(f"{kind} network", tuple(self.populations), tuple(self.projections), outputs=(here,))

    def __getitem__(self, name):
        return next(each for each in self.populations if each.name == name)

    def neuron(self, shape):
        per_neuron = self.rng.integers(0, 30, shape)
        if not self.raw:
            bias = self.one_of(0, self.rng.integers(0, 20, (shape[0],) + (1,) * (len(shape) - 1)), per_neuron)
            return IF(self.number(100, 900), bias=bias, reset="zero", v_min=self.one_of(None, 0))
        given = {
            "v_init": per_neuron,
            "i_offset": -per_neuron,
            "v_reset": -self.number(0, 999),
            "cm": ONE * self.number(1, 4),
            "tau_m": ONE * self.number(1, 40),
            "tau_refrac": ONE * self.number(0, 3),
            "shift_exc": self.number(0, 6),
            "shift_inh": self.number(0, 6),
        }
        kind = self.one_of(IFTruncDelta, IFCurrDelta, IFCurrExp)
        if kind is IFTruncDelta:
            return kind(**given)
        given |= {"v_rest": self.number(-99, 0), "v_thresh": self.number(1, 5 * ONE)}
        return kind(**given, **({"tau_syn_exc": 2048, "tau_syn_inh": self.number(1, ONE)} if kind is IFCurrExp else {}))

    def delay(self, kind="any"):
        return self.number(1, 5 if kind == "delays" else 2) if self.raw or kind in ("delays", "loop") else 0

    def add(self, source, shape, synapses, kind="any", neuron=None):
        name = f"layer {len(self.populations)}"
        self.populations.append(Population(name, shape, neuron or self.neuron(shape)))
        least = 1 if self.raw else 0
        self.projections.append(Projection(source, name, synapses, max(least, self.delay(kind))))
        return name

    def image_layer(self, source, kind):
        shape = self[source].shape
        side = self.one_of(1, 3, 5)
        stride = 2 if kind == "strided" or (kind == "any" and self.number(0, 3) == 0) else 1
        rows, columns = self.one_of((side, side), (side, side), (2, 2), (1, 3))
        if kind in ("conv", "pool", "tiles"):
            rows = columns = side
        convolution = Conv2d(
            self.weights(self.number(1, 3), shape[0], rows, columns), stride, (rows // 2, columns // 2)
        )
        pooled = kind == "pool" or (kind == "any" and self.number(0, 2) == 0 and min(shape[1:]) >= 4)
        even = all(size % 2 == 0 for size in shape[1:])
        chain = (SumPool2d(2), convolution) if pooled and even else (convolution,)
        if kind == "any" and self.number(0, 5) == 0:
            chain = (
                (Upsample2d(2), *chain) if self.number(0, 1) else (ConvTranspose2d(self.weights(shape[0], 2, 3, 3), 2),)
            )
        return self.add(source, Projection("", "", chain).shapes(shape)[-1], chain, kind)

    def join(self, name, source):
        """A second way into a population."""
        pre, post = self[source].shape, self[name].shape
        flat = (
            Reshape((int(np.prod(pre)),)),
            Dense(self.weights(int(np.prod(post)), int(np.prod(pre)))),
            Reshape(post),
        )
        chain = (OneToOne(self.weights(*post)),) if pre == post else flat
        self.projections.append(Projection(source, name, chain, 2 if self.raw else 0))

    def flat_layer(self, source, pool=False):
        shape = self[source].shape
        chain = []
        if pool and len(shape) == 3 and all(size % 2 == 0 for size in shape[1:]):
            chain, shape = [SumPool2d(2)], (shape[0], shape[1] // 2, shape[2] // 2)
        chain += [Reshape((int(np.prod(shape)),))] if len(shape) == 3 else []
        size = self.one_of(2, 5, 10, 30, 260)
        neuron = None if self.raw or self.number(0, 2) else Integrator()
        return self.add(source, (size,), (*chain, Dense(self.weights(size, int(np.prod(shape))))), neuron=neuron)


def drawn(index):
    """The first network of this index that fits the chip."""
    for attempt in range(100):
        network = Draw(SEED, index, attempt).network(KINDS[index % len(KINDS)])
        try:
            return nm.deploy(network, f"spin5/{'conv' if index // len(KINDS) % 2 else 'chip'}", chips=None, steps=12)
        except FitError:
            continue
    raise AssertionError("no network fits")


@pytest.mark.parametrize("name", [f"{index}-{SEED}" for index in range(NETWORKS)])
def test_every_word_and_every_core_is_ours(name, record_property):
    deployment = drawn(int(name.partition("-")[0]))
    made = TARGET.vendor_map(deployment, RunSettings(python(), limit_s=300))
    record_property("compared", made.compared)
    assert made.compared > 50
    assert made.differences == (), "\n".join(map(str, made.differences))
    facts = {what: count for what, count, _ in made.facts}
    assert facts["application cores"] == deployment.placement.core_count


@pytest.mark.parametrize("streamed", [False, True])
def test_exact_mode_is_loaded_as_emulated(streamed):
    """Gates of both signs, drives, synapses of neurons to themselves, clearing and restoring."""
    rng = np.random.Generator(np.random.PCG64(SEED))
    populations = (
        Population("in", (1, 6, 6)),
        Population("a", (2, 6, 6), IF(4000, bias=rng.integers(-900, 900, (2, 1, 1)))),
        Population("b", (8,), IF(50)),
        Population("out", (4,), Integrator(bias=rng.integers(-900, 900, 4))),
    )
    projections = (
        Projection("in", "a", (Conv2d(rng.integers(-127, 128, (2, 1, 3, 3)), padding=1),)),
        Projection("a", "b", (SumPool2d(2), Reshape((18,)), Dense(rng.integers(-127, 128, (8, 18))))),
        Projection("b", "out", (Dense(rng.integers(-127, 128, (4, 8))),)),
    )
    ann = QuantizedAnn.proven(Network("exact", populations, projections), levels=8, input_steps=16)
    exact = to_exact(ann, EXACT, DeterministicRate())
    network = stream(exact).network if streamed else exact.network
    gates = [int(each.synapses[0].weight.min()) for each in network.projections if each.source.endswith(".gate")]
    assert min(gates) < 0 < max(gates)
    made = TARGET.vendor_map(nm.deploy(network, "spin5", steps=exact.steps), RunSettings(python(), limit_s=300))
    assert made.compared > 1000
    assert made.differences == (), "\n".join(map(str, made.differences))


def test_the_recording_is_what_the_installed_version_makes(tiny_deployment):
    """The words that the fast tests replay; another version needs another recording."""
    made = TARGET.vendor_map(tiny_deployment, RunSettings(python(), limit_s=300))
    assert (made.compared, made.differences) == (4589, ())


def test_one_wrong_weight_is_found(tiny_deployment, monkeypatch):
    """That the comparison is not with itself: what is emitted is not what is compared."""
    from targets.spinnaker import script

    listed = script.synapse_list
    monkeypatch.setattr(script, "synapse_list", lambda *given: listed(*given) + np.array([0, 0, 1], np.int32))
    made = TARGET.vendor_map(tiny_deployment, RunSettings(python(), limit_s=300))
    assert {each.code for each in made.differences} == {"SPI152"}


PROBE = """
import contextlib, hashlib, io, json, sys
from pathlib import Path
with contextlib.redirect_stdout(io.StringIO()):
    import numpy as np
    import pyNN.spiNNaker as sim
    from spynnaker.pyNN import model_binaries
    folder = Path(model_binaries.__file__).parent
    sim.setup(timestep=1.0)
    found = {"programs": {each.stem: hashlib.sha256(each.read_bytes()).hexdigest() for each in folder.glob("*.aplx")}}
    connector = sim.ConvolutionConnector(np.ones((3, 3)), strides=2)
    found["post_shape"] = [int(size) for size in connector.get_post_shape((7, 7))]
    image = sim.Population(16, sim.SpikeSourceArray([[1]] * 16), structure=sim.Grid2D(1.0))
    target = sim.Population(16, sim.extra_models.IFTruncDelta(), structure=sim.Grid2D(1.0), label="target")
    image.set_max_atoms_per_core((4, 4))
    target.set_max_atoms_per_core((4, 4))
    sim.Projection(image, target, sim.ConvolutionConnector(np.ones((3, 3)), padding=1), synapse_type=sim.Convolution())
    sim.run(1)
    found["claims"] = bool(target._vertex.combined_binary_exists)
    found["name"] = target._vertex.combined_binary_file_name
    structs = target._vertex.neuron_impl.structs
    found["words"] = [[name for _, name in struct.fields] for struct in structs]
    try:
        sim.Population(2, sim.SpikeSourceArray([[], []]))
        found["silent"] = "works"
    except IndexError:
        found["silent"] = "fails"
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """What the installed sPyNNaker says of itself, on a virtual board."""
    folder = tmp_path_factory.mktemp("spynnaker")
    (folder / ".spynnaker.cfg").write_text("[Machine]\nvirtual_board = True\nversion = 5\n")
    environment = {**os.environ, "HOME": str(folder)}
    command = [str(python()), "-c", PROBE]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("name", PROGRAMS)
def test_the_programs_are_those_that_are_emulated(installed, name):
    assert installed["programs"][name] == PROGRAMS[name], f"another {name}.aplx: its arithmetic has to be verified anew"


def test_the_host_writes_a_time_step_that_the_program_takes_for_the_threshold(installed):
    """The defect that `layout_defect` and rules SPI012 and SPI013 stand for."""
    words = [name for struct in installed["words"] for name in struct]
    assert words.index("v_thresh") == words.index("refract_timer") + 3
    assert len(words) == 1 + 12


def test_a_program_that_is_missing_is_claimed_to_exist(installed):
    assert installed["name"] == "IF_trunc_delta_conv.aplx"
    assert "IF_trunc_delta_conv" not in installed["programs"]
    assert "IF_curr_delta_conv" not in installed["programs"]
    assert installed["claims"]


def test_strided_convolutions_lose_a_row(installed):
    assert installed["post_shape"] == [2, 2]  # (7 - 3) // 2 + 1 = 3 elsewhere


def test_a_source_without_spikes_fails(installed):
    """Why `spynnaker.source` gives an empty list instead of empty lists."""
    assert installed["silent"] == "fails"


def test_the_recorded_nets_are_mapped_as_estimated(shared_data):
    path = shared_data / "golden" / "spinnaker" / "dense_nets.npz"
    vectors = Vectors(path, read_npz(path))
    for name in vectors.names(RECORDED):
        network, _ = recorded_network(vectors, name)
        deployment = nm.deploy(network, "spin5")
        mapped = TARGET.vendor_map(deployment, RunSettings(python=python()))
        assert mapped.compared > 5000
        assert not mapped.differences, [str(each) for each in mapped.differences]
        cores = {what: count for what, count, _ in mapped.facts}["application cores"]
        assert cores == deployment.placement.core_count
