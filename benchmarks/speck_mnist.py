"""The sinabs tutorial's MNIST network on Speck2f: sinabs, its time steps here, event by event, several orders.

    python -m benchmarks.speck_mnist --images 500 --event-images 500 --order-images 100

Images are test images of MNIST (`data/mnist.npz`), each class with its share; an image
becomes Bernoulli spikes of `--steps` steps, and every row gets the same spikes. sinabs
(its float network, and its `DynapcnnNetwork` with integers) runs in a process of its own on a
stand-in for samna (`--standin`); its rows are measured, all others are emulated. The integers are
those of sinabs (`scale="sinabs"`), so the rows `step` and `DynapcnnNetwork` must agree in every spike count.
The decision is the class with the most spikes, the first of several, as in the tutorial.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

import nmdeploy
from benchmarks.mnist import SHARED, binomial_error, model
from benchmarks.mnist import labels as labels_of
from nmdeploy.ann.from_torch import from_torch
from nmdeploy.coding import Bernoulli
from nmdeploy.data import Samples, load_parts
from nmdeploy.deployment import Deployment, deploy
from nmdeploy.emulator.result import Recording
from nmdeploy.machine import this_machine
from nmdeploy.network import Network
from nmdeploy.pipeline import Recipe, build
from nmdeploy.report.summary import Row, table
from nmdeploy.spread import candidate_orders, exactness

Array = NDArray[Any]
CHIP = "speck2f"
PEER = Path(__file__).with_name("speck_sinabs.py")
HEADER: Row = ("what ran", "kind", "images", "accuracy %", "error", "spikes an image", "images/s")


def network_of(folder: Path, calibration: Array, scale: str = "sinabs") -> Network:
    """The tutorial's network in integers, sinabs' unless told; thresholds 1 before that, as sinabs gives them."""
    graph = from_torch(model("B", folder / "models" / "sinabs_mnist_cnn.pt"), calibration[:1], name="sinabs MNIST CNN")
    recipe = Recipe(normalization="fixed", factor=1.0, scale=scale)
    return build(graph, calibration, nmdeploy.chip(CHIP), recipe).integers


def spikes_of(images: Array, steps: int) -> Array:
    """Bernoulli spikes `[T, N, 1, 28, 28]`."""
    return Bernoulli(seed=0).encode(images, steps)


def counts_of(deployment: Deployment, spikes: Array, threads: int) -> tuple[Array, float]:
    """Output spike counts `[N, 10]`, and the seconds they took."""
    began = perf_counter()
    result = nmdeploy.emulate(deployment, spikes, record=Recording(spikes=()), threads=threads)
    name = deployment.network.outputs[0]
    return result.counts[name].reshape(spikes.shape[1], -1), perf_counter() - began


def row(what: str, kind: str, counts: Array, labels: Array, seconds: float) -> Row:
    """A line of the table."""
    share = float(np.mean(counts.argmax(axis=1) == labels))
    cells = (f"{100 * share:.2f}", f"{binomial_error(share, len(labels)):.2f}", f"{counts.sum() / len(labels):.2f}")
    return (what, kind, str(len(labels)), *cells, f"{len(labels) / seconds:.0f}" if seconds else "-")


def by_sinabs(folder: Path, standin: Path, spikes: Array) -> dict[str, Any]:
    """Counts, seconds and core map that sinabs gives."""
    with tempfile.TemporaryDirectory() as scratch:
        np.savez_compressed(Path(scratch) / "spikes.npz", spikes=spikes)
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(standin), os.environ.get("PYTHONPATH", "")])}
        command = [sys.executable, str(PEER), str(folder / "models" / "sinabs_mnist_cnn.pt"), scratch]
        subprocess.run(command, check=True, env=environment)
        with np.load(Path(scratch) / "counts.npz") as file:
            found: dict[str, Any] = dict(file)
        return found | json.loads((Path(scratch) / "facts.json").read_text())


def orders_table(deployment: Deployment, spikes: Array, labels: Array, threads: int) -> tuple[list[Row], str]:
    """A line for each candidate order, and how many decisions hang on the order."""
    first, rows, decided = None, [], []
    for name, candidate in candidate_orders(deployment).items():
        counts, seconds = counts_of(candidate, spikes, threads)
        first = counts if first is None else first
        rows.append(row(f"event, order {name}", "emulated", counts, labels, seconds))
        decided.append(counts.argmax(axis=1))
        differing = np.count_nonzero(np.any(counts != first, axis=1))
        rows[-1] = (*rows[-1], str(differing), str(np.count_nonzero(decided[-1] != decided[0])))
    unsure = int(np.count_nonzero(np.any(np.array(decided) != decided[0], axis=0)))
    return rows, f"{unsure} of {len(labels)} decisions are not the same under all orders"


def tutorial(given: argparse.Namespace, training: Samples, testing: Samples) -> None:
    """All rows of the tutorial network."""
    network = network_of(given.data, training.drawn(50, 0).x)
    test = testing.drawn(given.images, 1)
    labels = labels_of(test)
    spikes = spikes_of(test.x, given.steps)
    step = deploy(network, f"{CHIP}/step", mapper="sinabs")
    event = deploy(network, CHIP, mapper="sinabs")
    cores = [load.core for load in event.placement.cores]
    rows = []
    found = by_sinabs(given.data, given.standin, spikes) if given.standin.is_dir() and find_spec("sinabs") else None
    if found is None:
        print("sinabs or the stand-in for samna is not there, left out\n")
    else:
        rows += [row("sinabs, float", "measured", found["float"], labels, found["float_seconds"])]
        rows += [row("sinabs, DynapcnnNetwork", "measured", found["integers"], labels, found["integers_seconds"])]
    counts, seconds = counts_of(step, spikes, given.threads)
    rows.append(row("step profile", "emulated", counts, labels, seconds))
    few = slice(0, given.event_images)
    events, event_seconds = counts_of(event, spikes[:, few], given.threads)
    rows.append(row("step profile, the same images", "emulated", counts[few], labels[few], 0))
    rows.append(row("event by event", "emulated", events, labels[few], event_seconds))
    best = deploy(network_of(given.data, training.drawn(50, 0).x, "best"), CHIP)
    searched, searched_seconds = counts_of(best, spikes[:, few], given.threads)
    rows.append(row("event by event, scale best", "emulated", searched, labels[few], searched_seconds))
    print(table(HEADER, rows))
    print(f"\ncores {cores}")
    if found is not None:
        print(f"cores of sinabs {found['cores']}: {'the same' if cores == found['cores'] else 'OTHERS'}")
        wrong = int(np.count_nonzero(counts != found["integers"]))
        print(f"spike counts of the step profile beside DynapcnnNetwork: {wrong} of {counts.size} differ")
    known = exactness(event)
    print(f"exactness class {known.grade.value if known else '-'}")
    print(f"decisions that differ between step and event: {_differing(counts[few], events)} of {len(events)}\n")
    some = slice(0, given.order_images)
    lines, verdict = orders_table(event, spikes[:, some], labels[some], given.threads)
    print(table((*HEADER, "counts differ", "decisions differ"), lines))
    print(verdict)


def _differing(one: Array, other: Array) -> int:
    return int(np.count_nonzero(one.argmax(axis=1) != other.argmax(axis=1)))


def main(arguments: Sequence[str] | None = None) -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=500, help="test images of sinabs and the step profile")
    parser.add_argument("--event-images", type=int, default=500, help="of these, event by event")
    parser.add_argument("--order-images", type=int, default=100, help="of these, under every candidate order")
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--data", type=Path, default=SHARED, help="folder with data/mnist.npz and models/")
    parser.add_argument("--standin", type=Path, default=SHARED / "standins", help="folder with a stand-in for samna")
    given = parser.parse_args(arguments)
    training, testing = load_parts(given.data / "data" / "mnist.npz", (1, 28, 28))
    print(f"{nmdeploy.chip(CHIP).name}, {given.steps} steps; {this_machine()}\n")
    tutorial(given, training, testing)


if __name__ == "__main__":
    main()
