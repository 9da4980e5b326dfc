"""What a chip makes of trained networks: accuracy by recipe and steps, on real MNIST.

    python -m benchmarks.accuracy --networks A B C --steps 8 16 --images 10000
    python -m benchmarks.accuracy --networks C --steps 16 --stages

Networks: `A` is an MLP 784-256-10, `B` a CNN without biases, `C` three blocks of
convolution, batch norm, ReLU and average pool (weights: `models/mnist_*.pt`, data:
`data/mnist.npz`). Calibration images come from the training set, and nothing is chosen
by test images. With fewer than all 10,000 test images, each class has its share.

The trained network's accuracy is measured, all others are emulated, bit by bit, for the
chip. The error is the binomial standard error of a share of that many images; all rows
of a network share their images, so differences between them are surer than that.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

import nmdeploy
from nmdeploy.ann.execute import run as run_graph
from nmdeploy.ann.from_torch import from_torch
from nmdeploy.ann.graph import AnnGraph
from nmdeploy.coding import Decision, MembranePotential
from nmdeploy.convert.spiking import to_spiking
from nmdeploy.convert.variants import variants
from nmdeploy.data import Samples, load_parts
from nmdeploy.inference import infer
from nmdeploy.machine import this_machine
from nmdeploy.pipeline import RATE, RATE_CALIBRATED, Recipe, build
from nmdeploy.report.figures import Accuracy, Kind
from nmdeploy.report.summary import Row, table
from nmdeploy.target import Choice

SHARED = Path(os.environ.get("NMDEPLOY_SHARED", Path(__file__).resolve().parents[2] / "shared"))
RECIPES = {
    "rate, counts": (RATE, "count"),
    "rate, potentials": (RATE, "potential"),
    "rate-calibrated": (RATE_CALIBRATED, "auto"),
}


@dataclass(frozen=True)
class Measured:
    """An accuracy, and the seconds it took to build what has it."""

    accuracy: Accuracy
    seconds: float = 0.0

    def row(self, network: str, reference: Accuracy) -> Row:
        """A line of the table."""
        found, share = self.accuracy, self.accuracy.value
        error = (share * (1 - share) / found.samples) ** 0.5
        steps = str(found.steps) if found.steps else "-"
        lost = f"{100 * (share - reference.value):+.2f}" if found is not reference else "-"
        cells = (f"{100 * share:.2f}", f"{100 * error:.2f}", lost, str(found.ties), f"{self.seconds:.0f}")
        return (network, found.stage, found.kind.value, steps, *cells)


HEADER: Row = ("network", "recipe", "kind", "steps", "accuracy %", "error", "to ANN", "ties", "seconds")


def model(name: str, state: Path) -> Any:
    """The trained torch module of a network."""
    import torch
    from torch import nn

    def block(before: int) -> list[nn.Module]:
        return [nn.Conv2d(before, 32, 3), nn.BatchNorm2d(32), nn.ReLU(), nn.AvgPool2d(2)]

    def stage(before: int, after: int, side: int) -> list[nn.Module]:
        return [nn.Conv2d(before, after, side, bias=False), nn.ReLU(), nn.AvgPool2d(2)]

    head = [nn.Flatten(), nn.Linear(128, 500, bias=False), nn.ReLU(), nn.Linear(500, 10, bias=False)]
    layers: dict[str, list[nn.Module]] = {
        "A": [nn.Flatten(), nn.Linear(784, 256), nn.ReLU(), nn.Linear(256, 10)],
        "B": [*stage(1, 20, 5), *stage(20, 32, 5), *stage(32, 128, 3), *head],
        "C": [*block(1), *block(32), *block(32), nn.Flatten(), nn.Linear(32, 10)],
    }
    made = nn.Sequential(*layers[name])
    made.load_state_dict(torch.load(state, weights_only=True, map_location="cpu"))
    return made.eval()


def trained(graph: AnnGraph, test: Samples) -> Measured:
    """The accuracy of the trained network itself."""
    scores = run_graph(graph, test.x)[graph.output].reshape(len(test), -1)
    return Measured(Accuracy.of("ANN", Decision.of_scores(scores), _labels(test), Kind.MEASURED))


def by_recipe(graph: AnnGraph, calibration: Samples, test: Samples, chip: Choice, steps: int) -> Iterator[Measured]:
    """The accuracy on the chip with each recipe."""
    for title, (method, readout) in RECIPES.items():
        began = perf_counter()
        recipe = Recipe(method=method, readout=readout, steps=steps)
        deployment = build(graph, calibration.x, chip, recipe).deployment
        seconds = perf_counter() - began
        decision = infer(deployment, test.x).decision
        yield Measured(Accuracy.of(title, decision, _labels(test), Kind.EMULATED, steps), seconds)


def by_stage(graph: AnnGraph, calibration: Samples, test: Samples, chip: Choice, steps: int) -> Iterator[Measured]:
    """The accuracy with each stage of the conversion switched on alone (recipe `rate`, potentials)."""
    spiking = to_spiking(graph, calibration.x, readout="potential")
    for title, network in variants(spiking, chip).items():
        recipe = Recipe(steps=steps, readout="potential")
        decision = infer(network, test.x, encoder=recipe.encoder, readout=MembranePotential(), steps=steps).decision
        kind = Kind.EMULATED if network.is_integer else Kind.SIMULATED
        yield Measured(Accuracy.of(title, decision, _labels(test), kind, steps))


def _labels(test: Samples) -> Any:
    return np.zeros(0, np.int64) if test.y is None else test.y


def main(arguments: Sequence[str] | None = None) -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", nargs="+", default=["A", "B", "C"], choices=["A", "B", "C"])
    parser.add_argument("--steps", nargs="+", type=int, default=[8, 16])
    parser.add_argument("--images", type=int, default=2000, help="test images (10,000 are all)")
    parser.add_argument("--calibration", type=int, default=500, help="images from the training set")
    parser.add_argument("--target", default="loihi1")
    parser.add_argument("--stages", action="store_true", help="each stage of the conversion alone, instead of recipes")
    parser.add_argument("--seed", type=int, default=0, help="of the draws of images")
    parser.add_argument("--data", type=Path, default=SHARED, help="folder with data/mnist.npz and models/")
    parser.add_argument("--json", type=Path, help="also write the figures here")
    given = parser.parse_args(arguments)
    chip = nmdeploy.chip(given.target)
    training, testing = load_parts(given.data / "data" / "mnist.npz", (1, 28, 28))
    calibration, test = training.drawn(given.calibration, given.seed), testing.drawn(given.images, given.seed)
    counts = np.bincount(_labels(test))
    print(f"{chip.name}, {len(test)} test images ({counts.min()} to {counts.max()} of each class)")
    print(f"{len(calibration)} calibration images; {this_machine()}\n")
    rows: list[Row] = []
    for name in given.networks:
        graph = from_torch(model(name, given.data / "models" / f"mnist_{name}.pt"), test.x[:1], name=name)
        reference = trained(graph, test)
        rows.append(reference.row(name, reference.accuracy))
        for steps in given.steps:
            found = (by_stage if given.stages else by_recipe)(graph, calibration, test, chip, steps)
            rows += [each.row(name, reference.accuracy) for each in found]
    print(table(HEADER, rows))
    if given.json is not None:
        given.json.write_text(json.dumps([dict(zip(HEADER, row, strict=True)) for row in rows], indent=1))


if __name__ == "__main__":
    main()
