"""The same Processes on a Loihi 2 board, by Lava's hardware run configuration.

Needs Intel's extension of Lava for boards (for members of the INRC), which brings
`lava.proc.embedded_io`. Adapters carry spikes between Python and the chip, as in Lava's own
`lava/networks/gradedvecnetwork.py`. State on the chip is not shared between samples: each
gets a run of its own. No board was at hand when this was written; it is tested against
stand-ins for the extension.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from .driver import Network

Array = NDArray[Any]


def choose_host(board: str | None) -> None:
    """Tell Lava which board to use: a SLURM node, or the address of a host; None keeps what the environment says."""
    if board is None:
        return
    from lava.utils import loihi, slurm

    if slurm.is_available():
        loihi.use_slurm_host(board=board)
    else:
        loihi.use_ethernet_host(board)


def run_sample(network: Network, inputs: Mapping[str, Array], steps: int) -> dict[str, Array]:
    """Run one sample on the board.

    Args:
        network: what to run.
        inputs: int32 spikes by input, in Lava's order, `[*shape, steps]`.
        steps: steps to run.

    Returns:
        For each output, `name.spikes` `[*shape, steps]` and `name.final_v` `[*shape]`, in Lava's order.
    """
    from lava.magma.core.run_conditions import RunSteps
    from lava.magma.core.run_configs import Loihi2HwCfg
    from lava.proc.embedded_io.spike import NxToPyAdapter, PyToNxAdapter
    from lava.proc.io.sink import RingBuffer as Sink
    from lava.proc.io.source import RingBuffer as Source

    ports = {}
    for name, spikes in inputs.items():
        bits = 0 if spikes.max() <= 1 and spikes.min() >= 0 else int(np.abs(spikes).max()).bit_length()
        source, adapter = Source(data=spikes), PyToNxAdapter(shape=spikes.shape[:-1], num_message_bits=bits)
        source.s_out.connect(adapter.inp)
        ports[name] = adapter.out
    neurons = network.build(ports)
    sinks = {}
    for name in network.outputs:
        shape = network.neurons[name][::-1]
        adapter, sinks[name] = NxToPyAdapter(shape=shape, num_message_bits=0), Sink(shape=shape, buffer=steps)
        neurons[name].s_out.connect(adapter.inp)
        adapter.out.connect(sinks[name].a_in)
    head = next(iter(neurons.values()))
    try:
        head.run(condition=RunSteps(num_steps=steps), run_cfg=Loihi2HwCfg(select_tag="fixed_pt"))
        result = {f"{name}.spikes": sink.data.get() for name, sink in sinks.items()}
        return result | {f"{name}.final_v": neurons[name].v.get() for name in network.outputs}
    finally:
        head.stop()
