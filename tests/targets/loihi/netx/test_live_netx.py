"""Written files loaded and run by lava-dl's own NetX: every current, potential and spike.

Needs lava-nc 0.10.0 and lava-dl 0.6.0 (Python 3.10). What NetX imports from torch and
slayer it needs for other neurons only, so that is stubbed. The seed of a run comes from
NMDEPLOY_SEED or the clock and is part of every test's name.
"""

import contextlib
import dataclasses
import importlib.metadata
import io
import os
import runpy
import sys
import time
import types
from pathlib import Path

import h5py
import numpy as np
import pytest

pytest.importorskip("lava.magma", reason="lava-nc 0.10.0 is installed on Python 3.10 only")
try:
    LAVA_DL = importlib.metadata.distribution("lava-dl")
except importlib.metadata.PackageNotFoundError:
    pytest.skip("lava-dl 0.6.0 is not installed (pip install --no-deps lava-dl==0.6.0)", allow_module_level=True)

import nmdeploy as nm
from nmdeploy.emulator.result import ALL, Recording
from nmdeploy.network import Network, Population, Projection
from nmdeploy.synapses import Conv2d, Dense, Reshape
from targets.loihi.netx import Arguments, read_net, write_net
from targets.loihi.netx.emit import emit_net
from targets.loihi.netx.weights import UnusableWeights, in_use, recurrent_in_use
from targets.loihi.neuron import LoihiLIFReset

SEED = int(os.environ.get("NMDEPLOY_SEED", time.time_ns() % 2**32))
NETWORKS = 24
STEPS = 40

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings(
        "ignore::Warning:networkx", "ignore::Warning:lava", "ignore::ImportWarning", "ignore:.*:RuntimeWarning"
    ),
]


@pytest.fixture(scope="module")
def hdf5():
    """lava-dl's `lava.lib.dl.netx.hdf5`."""
    netx = Path(str(LAVA_DL.locate_file("lava/lib/dl/netx")))
    stubs = {
        "lava.lib.dl.slayer": {},
        "lava.lib.dl.slayer.neuron": {},
        "lava.lib.dl.slayer.neuron.rf": {"neuron_params": None},
        # Lava's compiler asks every module beside a Process for its file.
        "lava.lib.dl.netx.sequential_modules": {"__file__": str(netx / "sequential_modules.py")},
    }
    for name, content in stubs.items():
        module = types.ModuleType(name)
        vars(module).update(content)
        sys.modules[name] = module
    from lava.lib.dl.netx import hdf5

    return hdf5


def run_netx(net, spikes, *, biases=None):
    """Currents, potentials and spikes of NetX's layers, arrays `[T, *shape]` in the order (C, H, W).

    Args:
        net: a NetX network.
        spikes: `[T, *shape of net.inp]` in Lava's order; None for an input driven by biases.
        biases: the mantissas of the input's neurons.
    """
    from lava.magma.core.run_conditions import RunSteps
    from lava.magma.core.run_configs import Loihi2SimCfg
    from lava.proc.io.source import RingBuffer
    from lava.proc.monitor.process import Monitor

    if spikes is not None:
        source = RingBuffer(data=np.moveaxis(spikes, 0, -1).astype(np.int32))
        source.s_out.connect(net.inp)
    else:
        net.in_layer.neuron.bias_mant.init = biases
    monitors = []
    for layer in net.layers:
        for name in ("u", "v", "s_out"):
            monitor = Monitor()
            monitor.probe(getattr(layer.neuron, name), STEPS)
            monitors.append((monitor, layer.neuron.name, name))
    try:
        net.run(condition=RunSteps(num_steps=STEPS), run_cfg=Loihi2SimCfg(select_tag="fixed_pt"))
        found = [monitor.get_data()[process][name].astype(np.int64) for monitor, process, name in monitors]
    finally:
        net.stop()
    ordered = [array.transpose(0, *range(array.ndim - 1, 0, -1)) for array in found]
    return [tuple(ordered[index : index + 3]) for index in range(0, len(ordered), 3)]


def emulated(network, inputs):
    """The same of the emulator."""
    layers = [population.name for population in network.populations if not population.is_input]
    potentials = (*layers, *(f"{name}.u" for name in layers))
    result = nm.emulate(network, inputs, steps=STEPS, record=Recording(spikes=(ALL,), potentials=potentials))
    return [
        tuple(array[:, 0] for array in (result.potentials[f"{name}.u"], result.potentials[name], result.spikes[name]))
        for name in layers
    ]


def assert_same(ours, theirs):
    assert len(ours) == len(theirs)
    for index, (own, other) in enumerate(zip(ours, theirs, strict=True)):
        for name, left, right in zip("uvs", own, other, strict=True):
            np.testing.assert_array_equal(left.reshape(right.shape), right, err_msg=f"layer {index} {name}")


def in_lava_order(network, net, spikes):
    """Input spikes `[T, 1, *shape]` as NetX's first layer takes them."""
    plain = spikes[:, 0]
    if len(net.inp.shape) == 1:
        return plain.reshape(len(plain), -1)
    return plain.transpose(0, 3, 2, 1)


@pytest.mark.parametrize("index", range(NETWORKS), ids=lambda index: f"NMDEPLOY_SEED={SEED}-{index}")
def test_netx_runs_what_was_written(index, hdf5, chain, tmp_path):
    generator = np.random.Generator(np.random.PCG64([SEED, index]))
    network = chain(generator)
    path = tmp_path / "chain.net"
    arguments = write_net(network, path)
    share = generator.choice([0.1, 0.5])
    spikes = (generator.random((STEPS, 1, *network.inputs[0].shape)) < share).astype(np.uint8)
    ours, read_again = emulated(network, spikes), emulated(read_net(path), spikes)  # NetX locks the file for good
    net = hdf5.Network(net_config=str(path), **arguments.given())
    theirs = run_netx(net, in_lava_order(network, net, spikes))
    assert_same(ours, theirs)
    assert_same(read_again, theirs)


def test_inputs_that_drive_biases(hdf5, driven, tmp_path):
    path = tmp_path / "driven.net"
    assert write_net(driven, path) == Arguments()
    generator = np.random.Generator(np.random.PCG64(SEED))
    assert_biases_alike(hdf5, path, read_net(path), generator)


def assert_biases_alike(hdf5, path, network, generator):
    """Potentials and spikes are NetX's; u of the input's neurons is 0 there, since the host writes biases.

    The host writes before the first step, so the step that our input takes is left out here.
    """
    first, *rest = network.projections
    source, driven = network.inputs[0], network[first.target]
    values = generator.integers(0, source.maximum + 1, source.shape)
    mantissas = first.synapses[0].weight * values + driven.neuron.bias_mant
    at_once = dataclasses.replace(network, projections=(dataclasses.replace(first, delay=0), *rest))
    ours = emulated(at_once, np.broadcast_to(values, (STEPS, 1, *values.shape)))
    theirs = run_netx(hdf5.Network(net_config=str(path)), None, biases=mantissas.T)
    assert not theirs[0][0].any()
    theirs[0] = (ours[0][0], *theirs[0][1:])
    assert_same(ours, theirs)


TRAINED = [str(path) for path in LAVA_DL.files or () if path.suffix == ".net"]
"""Networks that lava-dl's own tests run; its wheel has them."""


def trained(name):
    found = [path for path in TRAINED if path.endswith(name)]
    if not found:
        pytest.skip("this lava-dl came without its tests")
    return Path(str(LAVA_DL.locate_file(found[0])))


def test_a_trained_network_with_delays(hdf5):
    path = trained("ntidigits.net")
    network = read_net(path, num_layers=5)
    generator = np.random.Generator(np.random.PCG64(SEED))
    spikes = (generator.random((STEPS, 1, 1, 1, 64)) < 0.2).astype(np.uint8)
    ours = emulated(network, spikes)
    theirs = run_netx(hdf5.Network(net_config=str(path), num_layers=5), spikes.reshape(STEPS, 64))
    assert_same(ours, theirs)
    assert ours[-1][2].any()


@pytest.mark.parametrize("name", ["netx/mnist.net", "netx/tiny.net"])
def test_a_trained_network_driven_by_biases(hdf5, name):
    path = trained(name)
    network = read_net(path)
    assert_biases_alike(hdf5, path, network, np.random.Generator(np.random.PCG64(SEED)))


def test_what_becomes_of_weights(hdf5):
    """Every kind of layer: NetX's own shift and bits, then Lava's own clipping and truncation."""
    from lava.lib.dl.netx.utils import optimize_weight_bits
    from lava.utils.weightutils import clip_weights, determine_sign_mode, truncate_weights

    def of_lava(weight, bits):
        mode = determine_sign_mode(weight)
        return truncate_weights(clip_weights(weight, mode, num_bits=8), mode, bits)

    generator = np.random.Generator(np.random.PCG64(SEED))
    layers = [np.array([[each, other]]) for each in range(-300, 301) for other in (0, 1, -1, -3, 254, -256, each // 2)]
    for _ in range(2000):
        low, high = generator.integers(-320, 1), generator.integers(1, 320)
        layers.append(generator.integers(low, high, (2, 3)) << generator.integers(0, 3))
    for layer in layers:
        try:
            used = in_use(layer)
        except UnusableWeights:
            with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(OverflowError):
                weight, bits, _, _ = optimize_weight_bits(layer)
                assert not of_lava(weight, bits).any()
            continue
        with contextlib.redirect_stdout(io.StringIO()):
            weight, bits, exponent, _ = optimize_weight_bits(layer)
        np.testing.assert_array_equal(used.stored, of_lava(weight, bits))
        assert used.exponent == exponent


def test_what_becomes_of_recurrent_weights(hdf5, tmp_path):
    """Both parts are shifted as one matrix, and Lava guesses a sign mode for each."""
    weight, again = np.array([[3, -4], [5, 6]]), np.array([[-5, -6], [-7, 0]])
    first, second = recurrent_in_use(weight, again)
    with h5py.File(tmp_path / "a.net", "w") as file:
        layer = file.create_group("layer/0")
        content = {"type": b"dense_rec", "shape": [2], "weight": weight, "weight_rec": again, "neuron/type": b"CUBA"}
        content |= {"neuron/iDecay": 4096, "neuron/vDecay": 0, "neuron/vThMant": 900}
        for name, value in content.items():
            layer.create_dataset(name, data=value)
    spikes = np.repeat(np.eye(2, dtype=np.uint8), STEPS // 2, axis=0)
    theirs = run_netx(hdf5.Network(net_config=str(tmp_path / "a.net")), spikes)
    assert first.exponent == second.exponent == -5
    np.testing.assert_array_equal(theirs[0][0][1], (first.stored[:, 0] >> 5) * 64)


def test_the_emitted_script_sends_spikes(hdf5, tmp_path, monkeypatch):
    generator = np.random.Generator(np.random.PCG64(SEED))
    kernel, weight = 2 * generator.integers(-20, 60, (3, 2, 2, 3)), 2 * generator.integers(-9, 30, (4, 27))
    populations = (
        Population("in", (2, 4, 5)),
        Population("map", (3, 3, 3), LoihiLIFReset(150, interval=7, offset=3)),
        Population("out", (4,), LoihiLIFReset(50, interval=7, offset=4)),
    )
    projections = (
        Projection("in", "map", (Conv2d(kernel),), 1, -1),
        Projection("map", "out", (Reshape((27,)), Dense(weight)), 1, -1),
    )
    deployment = nm.deploy(Network("net", populations, projections), "loihi1")
    spikes = generator.integers(0, 2, (20, 2, 4, 5)).astype(np.uint8)
    assert_script_agrees(deployment, spikes, tmp_path, monkeypatch)


def test_the_emitted_script_writes_biases(hdf5, driven, tmp_path, monkeypatch):
    values = np.random.Generator(np.random.PCG64(SEED)).integers(0, 71, driven.inputs[0].shape)
    first, *rest = driven.projections
    at_once = dataclasses.replace(driven, projections=(dataclasses.replace(first, delay=0), *rest))
    deployment = nm.deploy(driven, "loihi2")
    assert_script_agrees(deployment, np.repeat(values[None], 20, axis=0), tmp_path, monkeypatch, at_once)


def assert_script_agrees(deployment, inputs, folder, monkeypatch, network=None):
    """The output spikes that the emitted script saves are the emulator's."""
    script = emit_net(deployment, folder / "emitted")[1]
    np.save(folder / "inputs.npy", inputs)
    monkeypatch.setattr(sys, "argv", [str(script), str(folder / "inputs.npy")])
    runpy.run_path(str(script), run_name="__main__")
    network = network or deployment.network
    expected = nm.emulate(network, inputs[:, None]).spikes[network.outputs[0]][:, 0]
    assert expected.any()
    np.testing.assert_array_equal(np.load(script.with_name("spikes.npy")), expected)
