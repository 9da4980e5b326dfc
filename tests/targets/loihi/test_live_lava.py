"""Our emulator against Lava itself, run here: random dense networks, every current, potential and spike.

Needs lava-nc 0.10.0 (Python 3.10). The seed of a run comes from NMDEPLOY_SEED or the
clock and is part of every test's name, so that a failure can be replayed.
"""

import itertools
import os
import time

import numpy as np
import pytest

lava = pytest.importorskip("lava", reason="lava-nc 0.10.0 is installed on Python 3.10 only")

import nmdeploy as nm  # noqa: E402
from nmdeploy.emulator.result import ALL, Recording  # noqa: E402
from nmdeploy.network import Network, Population, Projection  # noqa: E402
from nmdeploy.neurons import IF  # noqa: E402
from nmdeploy.synapses import Dense  # noqa: E402

SEED = int(os.environ.get("NMDEPLOY_SEED", time.time_ns() % 2**32))
NETWORKS = 12
STEPS = 40


def lowered_chain(generator):
    """A random chain of one to three dense layers, quantized by hand and lowered to Loihi 1."""
    sizes = [int(size) for size in generator.integers(2, 20, generator.integers(2, 5))]
    populations = [Population("layer0", (sizes[0],))]
    projections = []
    for index, (before, after) in enumerate(itertools.pairwise(sizes)):
        weight = generator.integers(-128, 128, (after, before))
        weight[0, 0] = -1  # so that both signs occur and Lava guesses "mixed", as the storage assumes
        weight[-1, -1] = 1
        bias = generator.integers(-20, 30, after)
        neuron = IF(int(generator.integers(1, 400)), bias=bias, reset="zero")
        populations.append(Population(f"layer{index + 1}", (after,), neuron))
        projections.append(Projection(f"layer{index}", f"layer{index + 1}", (Dense(weight),)))
    choice = nm.chip("loihi1")
    return choice.target.lower(Network("chain", tuple(populations), tuple(projections)), choice.chip).network


def run_lava(network, spikes):
    """Currents, potentials and spikes of every layer as Lava's fixed-point models compute them."""
    from lava.magma.core.run_conditions import RunSteps
    from lava.magma.core.run_configs import Loihi2SimCfg
    from lava.proc.dense.process import Dense as LavaDense
    from lava.proc.io.source import RingBuffer
    from lava.proc.lif.process import LIF
    from lava.proc.monitor.process import Monitor

    steps = len(spikes)
    source = RingBuffer(data=spikes.T.astype(np.int32))
    port, monitors = source.s_out, {}
    for projection in network.projections:
        neuron = network[projection.target].neuron
        dense = LavaDense(weights=projection.synapses[0].weight.astype(int), weight_exp=projection.exponent)
        size = network[projection.target].shape
        mantissa = np.broadcast_to(neuron.bias_mant, size).astype(int)
        lif = LIF(shape=size, vth=neuron.vth, du=neuron.du, dv=neuron.dv, bias_mant=mantissa, bias_exp=neuron.bias_exp)
        port.connect(dense.s_in)
        dense.a_out.connect(lif.a_in)
        port = lif.s_out
        for name, variable in (("u", lif.u), ("v", lif.v), ("s", lif.s_out)):
            monitor = Monitor()
            monitor.probe(variable, steps)
            monitors[projection.target, name] = (monitor, lif.name)
    try:
        lif.run(condition=RunSteps(num_steps=steps), run_cfg=Loihi2SimCfg(select_tag="fixed_pt"))
        recorded = {}
        for key, (monitor, process) in monitors.items():
            variable = {"u": "u", "v": "v", "s": "s_out"}[key[1]]
            recorded[key] = monitor.get_data()[process][variable].astype(np.int64)
    finally:
        lif.stop()
    return recorded


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::Warning:networkx", "ignore::Warning:lava", "ignore::ImportWarning")
@pytest.mark.parametrize("index", range(NETWORKS), ids=lambda index: f"NMDEPLOY_SEED={SEED}-{index}")
def test_lava_computes_the_same_integers(index):
    generator = np.random.Generator(np.random.PCG64([SEED, index]))
    network = lowered_chain(generator)
    spikes = (generator.random((STEPS, network.inputs[0].size)) < 0.3).astype(np.uint8)
    recorded = run_lava(network, spikes)
    layers = [population.name for population in network.populations[1:]]
    variables = tuple(f"{name}.{variable}" for name in layers for variable in "uv")
    result = nm.emulate(network, spikes[:, None], steps=STEPS, record=Recording(spikes=(ALL,), potentials=variables))
    for name in layers:
        np.testing.assert_array_equal(result.spikes[name][:, 0], recorded[name, "s"], err_msg=name)
        for variable in "uv":
            emulated = result.potentials[f"{name}.{variable}"][:, 0]
            np.testing.assert_array_equal(emulated, recorded[name, variable], err_msg=f"{name} {variable}")
