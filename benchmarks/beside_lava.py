"""Our emulator beside Lava on the CPU: the same networks, the same steps, the same spikes.

    python -m benchmarks.beside_lava --steps 300 --repeats 5

Needs lava-nc 0.10.0, which runs on Python 3.10. Lava runs a network as one operating
system process for each of its Processes, a step at a time, one sample at a time; only
its stepping is timed, not its compiling and its first steps. Our time is that of a whole
call, of a network that was prepared in an earlier one. Processor times are not compared,
since Lava's are spread over processes: all figures are of the clock.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.activity import bernoulli, made_images
from benchmarks.networks import dense_network, small_convolutions
from benchmarks.turns import take_turns
from nmdeploy import chip
from nmdeploy.emulator.run import emulate
from nmdeploy.machine import this_machine
from nmdeploy.network import Network
from nmdeploy.neurons import IF
from nmdeploy.report.summary import Row, table

Spikes = NDArray[np.uint8]
WARM_UP = 5
NETWORKS: dict[str, Callable[[], Network]] = {
    "dense": partial(dense_network, sizes=(784, 256, 10)),
    "conv": small_convolutions,
}


def lowered(network: Network) -> Network:
    """The network on Loihi 1: Lava's own neurons, which reset to zero."""
    populations = tuple(
        replace(each, neuron=replace(each.neuron, reset="zero")) if isinstance(each.neuron, IF) else each
        for each in network.populations
    )
    choice = chip("loihi1")
    return choice.target.lower(replace(network, populations=populations), choice.chip, choice.profile).network


class LavaRun:
    """A lowered chain of layers as stock Lava Processes, between a source and a sink.

    Args:
        network: from `lowered`.
        spikes: of one sample, `[T, *shape]`; they are played once.
    """

    def __init__(self, network: Network, spikes: Spikes) -> None:
        from lava.proc.io.sink import RingBuffer as Sink
        from lava.proc.io.source import RingBuffer as Source
        from lava.proc.lif.process import LIF

        self.steps = len(spikes)
        port = Source(data=spikes.T.astype(np.int32)).s_out  # Lava orders space (W, H, C)
        for projection in network.projections:
            source, target = network[projection.source], network[projection.target]
            synapse = _lava_synapse(projection, source, target)
            neuron: Any = target.neuron
            self.lif = LIF(
                shape=target.shape[::-1],
                vth=neuron.vth,
                du=neuron.du,
                dv=neuron.dv,
                bias_mant=neuron.bias_mant,
                bias_exp=neuron.bias_exp,
            )
            (port if port.shape == synapse.s_in.shape else port.flatten()).connect(synapse.s_in)
            synapse.a_out.connect(self.lif.a_in)
            port = self.lif.s_out
        self.sink = Sink(shape=port.shape, buffer=self.steps)
        port.connect(self.sink.a_in)

    def run(self) -> tuple[float, float, Spikes]:
        """Seconds until the first steps are done, steps a second after them, and the spikes of the last layer."""
        from lava.magma.core.run_conditions import RunSteps
        from lava.magma.core.run_configs import Loihi2SimCfg

        try:
            began = time.perf_counter()
            self.lif.run(condition=RunSteps(num_steps=WARM_UP), run_cfg=Loihi2SimCfg(select_tag="fixed_pt"))
            ready = time.perf_counter()
            self.lif.run(condition=RunSteps(num_steps=self.steps - WARM_UP))
            seconds = time.perf_counter() - ready
            spikes = self.sink.data.get().astype(np.uint8)
        finally:
            self.lif.stop()
        return ready - began, (self.steps - WARM_UP) / seconds, spikes.T


def _lava_synapse(projection: Any, source: Any, target: Any) -> Any:
    from lava.proc.conv.process import Conv
    from lava.proc.dense.process import Dense

    from targets.loihi.connection import Convolution, connection

    found = connection(projection, source, target)
    if isinstance(found, Convolution):
        return Conv(
            weight=found.weight,
            input_shape=found.input_shape,
            stride=found.stride,
            padding=found.padding,
            dilation=found.dilation,
            groups=found.groups,
        )
    return Dense(weights=found.weights.toarray(), weight_exp=found.exponent)


def compare(name: str, options: argparse.Namespace) -> Row:
    """One network: Lava and ours, asserted equal, as a row of the table."""
    network = lowered(NETWORKS[name]())
    images = made_images(network.populations[0].shape, options.samples)
    spikes = bernoulli(images, options.steps)
    output = network.outputs[0]
    ours = {
        "one": partial(emulate, network, spikes[:, :1], steps=options.steps),
        "many": partial(emulate, network, spikes, steps=options.steps),
    }
    expected = ours["one"]().spikes[output][:, 0]
    begins, speeds = [], []
    for _ in range(options.repeats):
        began, speed, found = LavaRun(network, spikes[:, 0]).run()
        np.testing.assert_array_equal(found, expected)
        begins.append(began)
        speeds.append(speed)
    times = take_turns(ours, options.repeats)
    lava = statistics.median(speeds)
    one = options.steps / times["one"].wall_median
    many = options.steps * options.samples / times["many"].wall_median
    return (
        network.name,
        f"{int(expected.sum())}",
        f"{statistics.median(begins):.2f}",
        f"{lava:.0f}",
        f"{min(speeds):.0f}",
        f"{max(speeds):.0f}",
        f"{one:,.0f}",
        f"{one / lava:.0f}",
        f"{many:,.0f}",
        f"{many / lava:.0f}",
    )


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Command-line arguments."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=list(NETWORKS))
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--samples", type=int, default=64, help="of our batch; Lava runs the first one")
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args(arguments)
    if options.steps <= WARM_UP:
        parser.error(f"--steps must be above {WARM_UP}, which warm up")
    return options


def main(arguments: list[str] | None = None) -> None:
    """Measure, print a table."""
    options = parse(arguments)
    rows = [compare(name, options) for name in options.networks]
    print(f"measured by the clock, {options.steps} steps, medians of n = {options.repeats} runs; spikes equal")
    print(f"on: {this_machine(('nmdeploy', 'numpy', 'lava-nc'))}")
    many = f"ours, {options.samples} samples"
    header = ("network", "spikes", "Lava ready s", "Lava steps/s", "least", "most", "ours, 1 sample", "x", many, "x")
    print(table(header, rows))


if __name__ == "__main__":
    main()
