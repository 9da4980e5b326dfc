"""The event engine: synaptic events a second of its kernels and its reference, beside sinabs' time steps.

    python -m benchmarks.events --images 32 --repeats 5
    python -m benchmarks.events --network dense --images 8

Networks as in `benchmarks.emulator` (`cnn` needs torch, `models/sinabs_mnist_cnn.pt` and
`data/mnist.npz`), with the neurons of a Speck: event after event, 16 bits, a floor. A
synaptic event is one event at one synapse.

Before anything is timed, every engine's spikes and potentials are compared with the
reference's. sinabs simulates time steps, which is another semantics with other spikes; it
is there because it is what people use, and its run is checked against nmdeploy's engine
of time steps. Trust ratios more than absolute times.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any
from unittest.mock import patch

import numpy as np
from numpy.typing import NDArray

from benchmarks.activity import bernoulli, made_images, mnist_images
from benchmarks.emulator import SHARED, best_batch
from benchmarks.networks import dense_network, load_sinabs_cnn
from benchmarks.peers import in_batches, peers, use_threads
from benchmarks.turns import Times, take_turns
from nmdeploy.emulator import compiled
from nmdeploy.emulator.result import Recording, Result
from nmdeploy.emulator.run import emulate
from nmdeploy.machine import this_machine
from nmdeploy.network import Network
from nmdeploy.neurons import IF
from nmdeploy.report.summary import Row, table
from targets.dynapcnn.neuron import SpeckIAF

Spikes = NDArray[np.uint8]
EVERYTHING = Recording(spikes=("*",), potentials=("*",), counts=("*",))
CHECKED_STEPS = 10
PEER = "sinabs"


@dataclass(frozen=True)
class Rival:
    """What is timed.

    Attributes:
        run: all images.
        operations: synaptic events of that run.
        images: how many.
        what: what it computes.
    """

    run: Callable[[], object]
    operations: int
    images: int
    what: str


def on_speck(network: Network) -> Network:
    """The chain of ideal neurons with the chip's, at the same thresholds."""

    def neuron(ideal: Any) -> Any:
        return SpeckIAF(int(ideal.threshold)) if isinstance(ideal, IF) else ideal

    populations = tuple(replace(population, neuron=neuron(population.neuron)) for population in network.populations)
    return replace(network, populations=populations)


def check_equal(network: Network, spikes: Spikes, kernels: compiled.Kernels) -> None:
    """One image of some steps: every spike and potential as the reference has them."""
    short = spikes[:CHECKED_STEPS, :1]
    expected = emulate(network, short, record=EVERYTHING, engine="reference")
    with patch.object(compiled, "sets", lambda: (kernels,)):
        found = emulate(network, short, record=EVERYTHING, engine="compiled")
    for name in expected.spikes:
        np.testing.assert_array_equal(found.spikes[name], expected.spikes[name])
    for name in expected.potentials:
        np.testing.assert_array_equal(found.potentials[name], expected.potentials[name])


def with_kernels(kernels: compiled.Kernels, network: Network, spikes: Spikes, threads: int = 1) -> Result:
    """The compiled event engine on one instruction set."""
    with patch.object(compiled, "sets", lambda: (kernels,)):
        return emulate(network, spikes, engine="compiled", threads=threads)


def operations(result: Result) -> int:
    """Synaptic events of a run."""
    return sum(int(total.sum()) for total in result.synaptic_operations.values())


def rivals(ideal: Network, spikes: Spikes, threads: int) -> tuple[dict[str, Rival], list[str]]:
    """Everyone, checked; and a sentence for what is not there."""
    network, images = on_speck(ideal), spikes.shape[1]
    found: dict[str, Rival] = {}
    for kernels in compiled.sets():
        check_equal(network, spikes, kernels)
        run = partial(with_kernels, kernels, network, spikes)
        found[f"kernels, {kernels.name}"] = Rival(run, operations(run()), images, "events")
    if compiled.sets() and threads > 1:
        run = partial(with_kernels, compiled.sets()[0], network, spikes, threads)
        found[f"kernels, {compiled.sets()[0].name}, {threads} threads"] = Rival(
            run, operations(run()), images, "events"
        )
    one = spikes[:, :1]
    definition = partial(emulate, network, one, engine="reference")
    found["reference"] = Rival(definition, operations(definition()), 1, "events")
    installed, missing = peers(ideal)
    if PEER in installed:
        steps = emulate(ideal, spikes)
        peer = installed[PEER]
        timed = partial(in_batches, peer, spikes, best_batch(peer, spikes))
        np.testing.assert_array_equal(timed(), steps.spikes[ideal.outputs[0]])
        found[f"{PEER}, float32"] = Rival(timed, operations(steps), images, "time steps")
    return found, [sentence for sentence in missing if sentence.startswith(PEER)]


def row(name: str, rival: Rival, times: Times) -> Row:
    """Medians, and the range of processor time."""
    milliseconds = [1e3 * seconds / rival.images for seconds in times.cpu]
    return (
        name,
        rival.what,
        f"{1e3 * times.cpu_median / rival.images:.2f}",
        f"{min(milliseconds):.2f}",
        f"{max(milliseconds):.2f}",
        f"{rival.images / times.wall_median:.1f}",
        f"{rival.operations / rival.images / 1e6:.1f}",
        f"{rival.operations / times.cpu_median / 1e6:,.0f}",
    )


HEADER = ("what", "computes", "CPU ms/image", "least", "most", "images/s", "Msynops/image", "Msynops/CPU s")


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Command-line arguments."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--network", choices=("cnn", "dense"), default="cnn")
    parser.add_argument("--data", type=type(SHARED), default=SHARED, help="folder with models/ and data/")
    parser.add_argument("--images", type=int, default=32)
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> None:
    """Measure, print the table."""
    options = parse(arguments)
    if options.network == "cnn":
        network, images = load_sinabs_cnn(options.data), mnist_images(options.data, options.images)
    else:
        network = dense_network()
        images = made_images(network.populations[0].shape, options.images)
    use_threads(1)
    found, missing = rivals(network, bernoulli(images, options.steps), options.threads)
    for sentence in missing:
        print(sentence)
    times = take_turns({name: rival.run for name, rival in found.items()}, options.repeats)
    print(
        f"measured: {network.name}, {options.images} images x {options.steps} steps, medians of n = {options.repeats}"
    )
    print("images/s by the clock; kernels equal to the reference in every spike and potential")
    print(f"on: {this_machine(('nmdeploy', 'numpy', 'torch', 'sinabs'))}\n")
    print(table(HEADER, [row(name, rival, times[name]) for name, rival in found.items()]))


if __name__ == "__main__":
    main()
