"""Exact mode on real MNIST: accuracy, and whether the chip equals the quantized network.

    python -m benchmarks.exact --networks A B C --images 10000
    python -m benchmarks.exact --networks A --target spinnaker --plain

The networks are those of `benchmarks.accuracy`, fine-tuned with quantized activations
(QCFS, `models/mnist_*_qcfs8.pt`, L = 8, learned bounds); `--plain` takes them as they were
trained, with bounds from calibration images. The quantized network is computed in integers
from the counts of the input. The chip is emulated bit by bit, on the first `--emulated` of
the same images; every count of every neuron and every logit is compared.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import nmdeploy
from benchmarks.mnist import fine_tuned, graph_of, images, labels, options, write_json
from nmdeploy.ann.execute import run as run_graph
from nmdeploy.ann.graph import AnnGraph
from nmdeploy.coding import Decision
from nmdeploy.convert.exact import ExactNetwork, early_spikes, mismatches
from nmdeploy.convert.exact.recipe import BOUNDS, PROVEN, counts_of, exact_network
from nmdeploy.convert.spiking import to_spiking
from nmdeploy.data import Samples
from nmdeploy.deployment import Deployment, deploy
from nmdeploy.emulator.result import ALL, Recording
from nmdeploy.inference import default_readout, infer
from nmdeploy.machine import this_machine
from nmdeploy.network import Network
from nmdeploy.pipeline import EXACT, Recipe
from nmdeploy.report.summary import Row, table
from nmdeploy.target import Choice

HEADER: Row = (
    "network",
    "bounds",
    "ANN %",
    "quantized ANN %",
    "of",
    "chip %",
    "of images",
    "mismatches",
    "early spikes",
    "steps",
    "operations",
    "scaled down",
)
BATCH = 250
"""Images whose counts are kept at a time."""


@dataclass(frozen=True)
class Trained:
    """A network before exact mode: as it was trained, and as float spiking network, fine-tuned or not."""

    graph: AnnGraph
    spiking: Network


def networks(names: Sequence[str], folder: Path, calibration: Samples, plain: bool) -> Iterator[Trained]:
    """The networks by name."""
    example = calibration.x[:1]
    for name in names:
        graph = graph_of(name, folder, example)
        if plain:
            spiking = to_spiking(graph, calibration.x, readout="potential")
        else:
            tuned = fine_tuned(name, folder, example)
            if tuned is None:
                raise SystemExit(f"{folder} has no fine-tuned weights of {name}; --plain does without")
            spiking = to_spiking(tuned, calibration.x, normalization="bounds", readout="potential")
        yield Trained(graph, spiking)


def measured(trained: Trained, chip: Choice, recipe: Recipe, calibration: Samples, test: Samples, emulated: int) -> Row:
    """A line of the table."""
    exact = exact_network(trained.spiking, chip, recipe, calibration.x)
    deployment = deploy(
        exact.network,
        chip,
        chips=None,
        encoder=exact.encoder,
        readout=default_readout(trained.spiking),
        steps=exact.steps,
    )
    few = test.first(emulated)
    wrong, right, operations = compared(exact, deployment, few)
    early = "0 (proven)" if recipe.bounds == PROVEN else str(sum(early_spikes(deployment, few.x).values()))
    quantized = Decision.of_scores(exact.ann.scores(counts_of(recipe.encoder, test.x, recipe.steps)))
    graph = trained.graph
    scores = run_graph(graph, test.x)[graph.output].reshape(len(test), -1)
    notes = [note.split(",")[0] for note in exact.network.notes if "scaled down" in note]
    return (
        graph.name,
        recipe.bounds,
        f"{100 * Decision.of_scores(scores).accuracy(labels(test)):.2f}",
        f"{100 * quantized.accuracy(labels(test)):.2f}",
        str(len(test)),
        f"{100 * right:.2f}",
        str(len(few)),
        str(wrong),
        early,
        str(deployment.steps + deployment.network.latency()),
        f"{operations:.0f}",
        "; ".join(notes) or "-",
    )


def compared(exact: ExactNetwork, deployment: Deployment, samples: Samples) -> tuple[int, float, float]:
    """Mismatches, accuracy and synaptic operations an image of the emulated chip."""
    wrong = right = operations = 0
    for start in range(0, len(samples), BATCH):
        x, y = samples.x[start : start + BATCH], labels(samples)[start : start + BATCH]
        run = infer(deployment, x, record=Recording(counts=(ALL,)))
        given = counts_of(exact.encoder.encoder, x, exact.encoder.input_steps)
        wrong += sum(mismatches(exact.ann, deployment.network, given, run.result).values())
        right += int(run.decision.right(y).sum())
        operations += sum(int(each.sum()) for each in run.result.synaptic_operations.values())
    return wrong, right / len(samples), operations / len(samples)


def main(arguments: Sequence[str] | None = None) -> None:
    """The command."""
    parser = options(__doc__)
    parser.add_argument("--levels", type=int, default=8)
    parser.add_argument("--steps", type=int, default=16)
    parser.add_argument("--bounds", nargs="+", default=list(BOUNDS), choices=BOUNDS)
    parser.add_argument("--emulated", type=int, default=200, help="of these, so many run on the emulated chip")
    parser.add_argument("--plain", action="store_true", help="networks without fine-tuning")
    parser.add_argument("--target", default="loihi1")
    given = parser.parse_args(arguments)
    chip = nmdeploy.chip(given.target)
    parts = images(given)
    print(f"{chip.name}, L = {given.levels}, T = {given.steps}; {this_machine()}\n")
    rows: list[Row] = []
    for trained in networks(given.networks, given.data / "models", parts.calibration, given.plain):
        for bounds in given.bounds:
            recipe = Recipe(method=EXACT, levels=given.levels, steps=given.steps, bounds=bounds)
            rows.append(measured(trained, chip, recipe, parts.calibration, parts.test, given.emulated))
    print(table(HEADER, rows))
    write_json(given.json, HEADER, rows)


if __name__ == "__main__":
    main()
