"""What chips make of trained networks: accuracy by chip, network, recipe and steps, on real MNIST.

    python -m benchmarks.accuracy --targets loihi1 spinnaker --networks A B C --images 10000
    python -m benchmarks.accuracy --targets speck2f --networks B --levels --images 10000
    python -m benchmarks.accuracy --train trained --epochs 6
    python -m benchmarks.accuracy --networks C --steps 16 --stages

The networks A, B and C are those of `benchmarks.mnist`; `--train FOLDER` trains them first, with a
fixed seed, and keeps them there. Calibration images come from the training set, and nothing is
chosen by test images. With fewer than all 10,000 test images, each class has its share.

Recipes: `rate` is the classic conversion (99.9 percentile), read out by counts of spikes or by
potentials; `rate-calibrated` is fitted to the chip; `exact` equals a quantized network with L
levels (`--levels`), fine-tuned where the folder has such weights, and every count and logit on the chip is
compared with it. What a chip refuses is told below the table.

The trained network's accuracy is measured, all others are emulated, bit by bit, for the
chip. The error is the binomial standard error of a share of that many images; all rows
of a network share their images, so differences between them are surer than that.
Seconds are those of the conversion, by the clock.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import nmdeploy
from benchmarks.exact import compared
from benchmarks.mnist import (
    SHARED,
    Images,
    binomial_error,
    fine_tuned,
    graph_of,
    images,
    labels,
    model,
    options,
    train_networks,
    write_json,
)
from nmdeploy.ann.execute import run as run_graph
from nmdeploy.ann.graph import AnnGraph
from nmdeploy.coding import Decision, MembranePotential
from nmdeploy.convert.exact.recipe import exact_network
from nmdeploy.convert.spiking import to_spiking
from nmdeploy.convert.variants import variants
from nmdeploy.data import Samples
from nmdeploy.deployment import deploy
from nmdeploy.errors import NmdeployError
from nmdeploy.inference import default_readout, infer
from nmdeploy.machine import this_machine
from nmdeploy.pipeline import EXACT, RATE, RATE_CALIBRATED, Recipe, build
from nmdeploy.report.figures import Accuracy, Kind
from nmdeploy.report.summary import Row, table
from nmdeploy.target import Choice

__all__ = ["SHARED", "Measured", "by_recipe", "main", "model", "trained"]
RECIPES = {
    "rate, counts": (RATE, "count"),
    "rate, potentials": (RATE, "potential"),
    "rate-calibrated": (RATE_CALIBRATED, "auto"),
}
HEADER: Row = (
    "chip",
    "network",
    "recipe",
    "kind",
    "T",
    "L",
    "images",
    "accuracy %",
    "error",
    "to ANN",
    "mismatches",
    "ties",
    "seconds",
)


@dataclass(frozen=True)
class Measured:
    """An accuracy, and what is known of it.

    Attributes:
        accuracy: on the test images.
        seconds: that the conversion took, by the clock.
        levels: of exact mode; 0 for other recipes.
        mismatches: counts and logits that differ from the quantized network's; None where none is claimed.
    """

    accuracy: Accuracy
    seconds: float = 0.0
    levels: int = 0
    mismatches: int | None = None

    def row(self, chip: str, network: str, reference: Accuracy) -> Row:
        """A line of the table."""
        found, share = self.accuracy, self.accuracy.value
        error = binomial_error(share, found.samples)
        lost = f"{100 * (share - reference.value):+.2f}" if found is not reference else "-"
        wrong = "-" if self.mismatches is None else str(self.mismatches)
        settings = (str(found.steps or "-"), str(self.levels or "-"), str(found.samples))
        figures = (f"{100 * share:.2f}", f"{error:.2f}", lost, wrong, str(found.ties), f"{self.seconds:.0f}")
        return (chip, network, found.stage, found.kind.value, *settings, *figures)


def trained(graph: AnnGraph, test: Samples) -> Measured:
    """The accuracy of the trained network itself."""
    scores = run_graph(graph, test.x)[graph.output].reshape(len(test), -1)
    return Measured(Accuracy.of("ANN", Decision.of_scores(scores), labels(test), Kind.MEASURED))


def by_recipe(graph: AnnGraph, parts: Images, chip: Choice, steps: int, title: str) -> Measured:
    """The accuracy on the chip with one of `RECIPES`.

    Raises:
        NmdeployError: for what the chip refuses.
    """
    method, readout = RECIPES[title]
    began = perf_counter()
    deployment = build(graph, parts.calibration.x, chip, Recipe(method=method, readout=readout, steps=steps)).deployment
    seconds = perf_counter() - began
    decision = infer(deployment, parts.test.x).decision
    return Measured(Accuracy.of(title, decision, labels(parts.test), Kind.EMULATED, steps), seconds)


def by_exact(graph: AnnGraph, parts: Images, chip: Choice, steps: int, levels: int, folder: Path) -> Measured:
    """The accuracy on the chip in exact mode, every count of every neuron and every logit compared.

    Raises:
        NmdeployError: for what the chip refuses.
    """
    recipe, began = Recipe(method=EXACT, steps=steps, levels=levels), perf_counter()
    tuned = fine_tuned(graph.name, folder, parts.calibration.x[:1], levels)
    normalization = "percentile" if tuned is None else "bounds"
    spiking = to_spiking(tuned or graph, parts.calibration.x, normalization=normalization, readout="potential")
    exact = exact_network(spiking, chip, recipe, parts.calibration.x)
    readout = default_readout(spiking)
    deployment = deploy(exact.network, chip, chips=None, encoder=exact.encoder, readout=readout, steps=exact.steps)
    seconds = perf_counter() - began
    wrong, right, _ = compared(exact, deployment, parts.test)
    title = "exact, not fine-tuned" if tuned is None else "exact"
    correct = round(right * len(parts.test))
    return Measured(Accuracy(title, correct, len(parts.test), steps=steps), seconds, levels, wrong)


def by_stage(graph: AnnGraph, parts: Images, chip: Choice, steps: int) -> Iterator[Measured]:
    """The accuracy with each stage of the conversion switched on alone (recipe `rate`, potentials)."""
    spiking = to_spiking(graph, parts.calibration.x, readout="potential")
    for title, network in variants(spiking, chip).items():
        encoder = Recipe(steps=steps).encoder
        decision = infer(network, parts.test.x, encoder=encoder, readout=MembranePotential(), steps=steps).decision
        kind = Kind.EMULATED if network.is_integer else Kind.SIMULATED
        yield Measured(Accuracy.of(title, decision, labels(parts.test), kind, steps))


def measured(
    graph: AnnGraph, parts: Images, chip: Choice, given: argparse.Namespace, refused: list[str]
) -> Iterator[Measured]:
    """All that is asked for of a network on a chip; refusals are added to the list."""
    for steps in given.steps:
        if given.stages:
            yield from by_stage(graph, parts, chip, steps)
            continue
        for title in given.recipes:
            try:
                yield by_recipe(graph, parts, chip, steps, title)
            except NmdeployError as error:
                refused.append(f"{chip.name}, {graph.name}, {title}, T = {steps}: {error}")
    for levels in [] if given.stages else given.levels:
        try:
            yield by_exact(graph, parts, chip, given.exact_steps, levels, given.models)
        except NmdeployError as error:
            refused.append(f"{chip.name}, {graph.name}, exact, L = {levels}: {error}")


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The options."""
    parser = options(__doc__)
    parser.add_argument("--targets", nargs="+", default=["loihi1"], help="chips")
    parser.add_argument("--recipes", nargs="*", default=list(RECIPES), choices=list(RECIPES))
    parser.add_argument("--steps", nargs="+", type=int, default=[8, 16], help="T, of the rate recipes")
    parser.add_argument("--levels", nargs="*", type=int, default=[4, 8], help="L, of exact mode; none leaves it out")
    parser.add_argument("--exact-steps", type=int, default=16, help="T, of exact mode")
    parser.add_argument("--stages", action="store_true", help="each stage of the conversion alone, instead of recipes")
    parser.add_argument("--train", type=Path, help="train the networks first, and keep them in this folder")
    parser.add_argument("--epochs", type=int, default=6, help="of --train")
    parser.add_argument("--training", type=int, default=60000, help="images to train on")
    given = parser.parse_args(arguments)
    given.models = given.train or given.data / "models"
    return given


def main(arguments: Sequence[str] | None = None) -> None:
    """The command."""
    given = parse(arguments)
    parts, rows, refused = images(given), list[Row](), list[str]()
    if given.train is not None:
        samples = parts.training.drawn(given.training, given.seed)
        train_networks(given.networks, samples, given.epochs, given.seed, given.train)
    print(f"{parts.balance()}, {len(parts.calibration)} calibration images; {this_machine()}\n")
    for name in given.networks:
        graph = graph_of(name, given.models, parts.test.x[:1])
        reference = trained(graph, parts.test)
        rows.append(reference.row("-", name, reference.accuracy))
        for chip in (nmdeploy.chip(target) for target in given.targets):
            for found in measured(graph, parts, chip, given, refused):
                rows.append(found.row(chip.name, name, reference.accuracy))
                write_json(given.json, HEADER, rows)
    print(table(HEADER, rows))
    print("".join(f"\nrefused: {each}" for each in refused))
    write_json(given.json, HEADER, rows)


if __name__ == "__main__":
    main()
