"""The script that goes with an emitted `.net` file: it loads and runs it with lava-dl on Lava's CPU simulation."""

from __future__ import annotations

from nmdeploy.network import Network
from targets.loihi.netx.schema import Arguments

_SPIKES_IN = """    # Lava orders space (W, H, C); a dense first layer takes (C, H, W) flattened.
    order = (3, 2, 1, 0) if len(net.inp.shape) == 3 else None
    values = inputs.transpose(order) if order else inputs.reshape(len(inputs), -1).T
    silence = np.zeros((*values.shape[:-1], LATENCY))
    RingBuffer(data=np.concatenate([values, silence], axis=-1).astype(np.int32)).s_out.connect(net.inp)
"""
_BIASES_IN = """    # The input's neurons are driven by their biases, here the same at every step.
    transform = net.in_layer.transform
    biases = np.sign(transform["weight"]) * inputs[0].astype(np.int32) + transform["bias"]
    net.in_layer.neuron.bias_mant.init = biases.T
"""

_SCRIPT = '''"""Run {file} with lava-dl's NetX on Lava's CPU simulation, bit by bit as Loihi's integers.

    python run.py [INPUT.npy]

INPUT.npy holds one sample, [steps, {shape_words}]; without it a random one is sent.
Needs lava-dl 0.6.0, which brings lava-nc 0.10.0 (Python 3.10).
"""

import sys
from pathlib import Path

import numpy as np
from lava.lib.dl.netx.hdf5 import Network
from lava.magma.core.run_conditions import RunSteps
from lava.magma.core.run_configs import Loihi2SimCfg
from lava.proc.io.sink import RingBuffer as Sink
{source_import}
NET = Path(__file__).with_name("{file}")
INPUT_SHAPE = {shape}
VALUES = ({low}, {high})  # smallest and largest of an input in one step
LATENCY = {latency}  # steps from the last input to the last output it can cause
ARGUMENTS = {arguments}  # what a .net file does not say


def main():
    if len(sys.argv) > 1:
        inputs = np.load(sys.argv[1])
    else:
        inputs = np.random.default_rng(0).integers({low}, {high} + 1, (20, *INPUT_SHAPE))
    net = Network(net_config=str(NET), **ARGUMENTS)
{feed}    steps = len(inputs) + LATENCY
    sink = Sink(shape=net.out.shape, buffer=steps)
    net.out.connect(sink.a_in)
    try:
        net.run(condition=RunSteps(num_steps=steps), run_cfg=Loihi2SimCfg(select_tag="fixed_pt"))
        spikes = sink.data.get().T.astype(np.uint8)  # [steps, C, H, W] or [steps, N]
    finally:
        net.stop()
    np.save(NET.with_name("spikes.npy"), spikes)
    print("spikes of each output neuron:", spikes.sum(axis=0).ravel())


if __name__ == "__main__":
    main()
'''


def run_script(network: Network, file: str, arguments: Arguments, *, biases_driven: bool) -> str:
    """The text of the script.

    Args:
        network: what the file holds.
        file: its name, beside the script.
        arguments: what NetX is given beside it.
        biases_driven: whether the input is the biases of the first neurons.
    """
    source = network.inputs[0]
    low, high = source.spike_range
    return _SCRIPT.format(
        file=file,
        shape=source.shape,
        shape_words="C, H, W" if len(source.shape) == 3 else "N",
        low=low,
        high=high,
        latency=network.latency() - biases_driven,
        arguments=dict(arguments.given()),
        feed=_BIASES_IN if biases_driven else _SPIKES_IN,
        source_import="" if biases_driven else "from lava.proc.io.source import RingBuffer\n",
    )
