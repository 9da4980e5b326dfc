"""What training with the chip in the loop gains over calibration alone: accuracy, on real MNIST.

    python -m benchmarks.surrogate --networks B C --targets loihi1 spinnaker --steps 8 --training 4000

Networks and data are those of `benchmarks.accuracy`. Each network is converted by the recipe
`rate-calibrated` with 500 training images, then trained on the emulated chip with others
of the training set, a tenth of which is held out to choose the epoch. Test images choose
nothing; with fewer than all 10,000, each class has its share.

The trained network's accuracy is measured, all others are emulated, bit by bit, of deployments
that fit the chip. The error is the binomial standard error of a share of that many images;
rows of a network share their images, so the difference that training makes has an error of its
own: that of the images whose decision changed (paired), sqrt(gained + lost) / images.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import numpy as np

import nmdeploy
from benchmarks.accuracy import trained
from benchmarks.mnist import binomial_error, graph_of, images, labels, options, write_json
from nmdeploy.ann.graph import AnnGraph
from nmdeploy.convert.surrogate import TrainedOnChip, train_stages
from nmdeploy.data import Samples
from nmdeploy.deployment import Deployment
from nmdeploy.inference import infer
from nmdeploy.machine import this_machine
from nmdeploy.pipeline import RATE_CALIBRATED, Recipe, build
from nmdeploy.report.figures import Accuracy
from nmdeploy.report.summary import Row, table
from nmdeploy.target import Choice

HEADER: Row = (
    "network",
    "chip",
    "steps",
    "ANN %",
    "calibrated %",
    "trained %",
    "error",
    "gain",
    "its error",
    "epoch kept",
    "seconds",
)


@dataclass(frozen=True)
class Gain:
    """Accuracy on the chip before and after training.

    Attributes:
        before, after: which test images are decided rightly, bool `[N]`.
        training: how it went.
        seconds: of the training.
    """

    before: Any
    after: Any
    training: TrainedOnChip
    seconds: float

    def row(self, network: str, chip: Choice, steps: int, reference: Accuracy) -> Row:
        """A line of the table."""
        count, share = len(self.after), float(np.mean(self.after))
        changed = np.count_nonzero(self.before != self.after)
        return (
            network,
            chip.name,
            str(steps),
            f"{100 * reference.value:.2f}",
            f"{100 * np.mean(self.before):.2f}",
            f"{100 * share:.2f}",
            f"{binomial_error(share, count):.2f}",
            f"{100 * (share - np.mean(self.before)):+.2f}",
            f"{100 * changed**0.5 / count:.2f}",
            f"{self.training.kept} of {len(self.training.history) - 1}",
            f"{self.seconds:.0f}",
        )


def gain(
    graph: AnnGraph, parts: tuple[Samples, Samples, Samples], chip: Choice, steps: int, settings: dict[str, Any]
) -> Gain:
    """Calibrate, train, and run both on the test images; the parts calibrate, train and test."""
    calibration, training, test = parts
    recipe = Recipe(method=RATE_CALIBRATED, steps=steps)
    stages = build(graph, calibration.x, chip, recipe)
    before = _right(stages.deployment, test)
    began = perf_counter()
    stages, found = train_stages(stages, training, chip, **settings)
    seconds = perf_counter() - began
    for epoch in found.history:
        print(f"  {epoch}", flush=True)
    return Gain(before, _right(stages.deployment, test), found, seconds)


def _right(deployment: Deployment, test: Samples) -> Any:
    return infer(deployment, test.x).decision.right(labels(test))


def main(arguments: Sequence[str] | None = None) -> None:
    """The command."""
    parser = options(__doc__)
    parser.set_defaults(networks=["B", "C"])
    parser.add_argument("--targets", nargs="+", default=["loihi1", "spinnaker"])
    parser.add_argument("--steps", nargs="+", type=int, default=[8])
    parser.add_argument("--training", type=int, default=6000, help="training images, a tenth of them held out")
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--lr", type=float, default=1e-3)
    given = parser.parse_args(arguments)
    drawn = images(given)
    # The images that calibrate are not among those that train.
    others = drawn.training.split(given.calibration, given.seed)[1].drawn(given.training, given.seed)
    parts = drawn.calibration, others, drawn.test
    print(f"{drawn.balance()}, {len(others)} to train, {len(drawn.calibration)} to calibrate; {this_machine()}\n")
    settings = {"epochs": given.epochs, "batch": given.batch, "lr": given.lr, "seed": given.seed}
    rows: list[Row] = []
    for name in given.networks:
        graph = graph_of(name, given.data / "models", drawn.test.x[:1])
        reference = trained(graph, drawn.test).accuracy
        for chip in map(nmdeploy.chip, given.targets):
            for steps in given.steps:
                print(f"{name} on {chip.name}, {steps} steps", flush=True)
                rows.append(gain(graph, parts, chip, steps, settings).row(name, chip, steps, reference))
    print(f"\n{table(HEADER, rows)}")
    write_json(given.json, HEADER, rows)


if __name__ == "__main__":
    main()
