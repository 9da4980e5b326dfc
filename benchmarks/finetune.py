"""Fine-tuning for exact mode on real MNIST: accuracy by levels and bits of a weight, and what the chip makes of it.

    nice python -m benchmarks.finetune --networks A B C --levels 4 8 --bits 8 6 4 --images 10000

The networks are those of `benchmarks.mnist`, as they were trained. Each is fine-tuned by
`nmdeploy.convert.finetune` on a stratified part of the training set, with the input steps of
the chip; `--epochs 0` quantizes without training. Four figures follow, all on test images:

- trained: the float network (measured);
- in training: the quantized forward pass that training saw, in float (measured);
- quantized ANN: the network in the chip's integers, bounds proven (computed in integers);
- chip: the emulated one on the first `--emulated` images, every count and every logit compared.

"counts differ" is the share of hidden counts in which the integers and the forward pass of the
training disagree on `--counted` images: steps, scales and biases are whole numbers on the chip.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import numpy as np

import nmdeploy
from benchmarks.exact import compared
from benchmarks.mnist import check_balance, images, labels, model, options, write_json
from nmdeploy.ann.execute import run as run_graph
from nmdeploy.ann.from_torch import from_torch
from nmdeploy.ann.graph import AnnGraph
from nmdeploy.coding import Decision
from nmdeploy.convert.exact import ExactNetwork
from nmdeploy.convert.exact.recipe import counts_of, exact_network
from nmdeploy.convert.finetune import FineTuned, finetune
from nmdeploy.convert.names import population_names
from nmdeploy.convert.spiking import to_spiking
from nmdeploy.convert.terms import pre_activations
from nmdeploy.data import Samples
from nmdeploy.deployment import deploy
from nmdeploy.inference import default_readout
from nmdeploy.machine import this_machine
from nmdeploy.report.summary import Row, table
from nmdeploy.target import Choice

HEADER: Row = (
    "network",
    "L",
    "bits",
    "trained %",
    "in training %",
    "quantized ANN %",
    "to trained",
    "of",
    "counts differ",
    "by at most",
    "mismatches",
    "of images",
    "seconds",
    "scaled down",
)
BATCH = 64


@dataclass(frozen=True)
class Parts:
    """The images: to train on, to calibrate and to test on, and how many of the last are counted and emulated."""

    training: Samples
    calibration: Samples
    test: Samples
    counted: int
    emulated: int


def loader(samples: Samples) -> Any:
    """Shuffled batches; the order comes from the seed of the fine-tuning."""
    import torch

    data = torch.utils.data.TensorDataset(torch.from_numpy(samples.x), torch.from_numpy(samples.y))
    return torch.utils.data.DataLoader(data, BATCH, shuffle=True)


def measured(graph: AnnGraph, tuned: FineTuned, seconds: float, chip: Choice, parts: Parts) -> Row:
    """A line of the table."""
    test, recipe = parts.test, tuned.recipe()
    plain = from_torch(tuned.model, test.x[:1], name=graph.name)
    spiking = to_spiking(plain, parts.calibration.x, normalization="bounds", readout="potential")
    exact = exact_network(spiking, chip, recipe)
    deployment = deploy(
        exact.network, chip, chips=None, encoder=exact.encoder, readout=default_readout(spiking), steps=exact.steps
    )
    wrong, _, _ = compared(exact, deployment, test.first(parts.emulated))
    trained = run_graph(graph, test.x)[graph.output].reshape(len(test), -1)
    whole = exact.ann.scores(counts_of(recipe.encoder, test.x, recipe.steps))
    accuracies = [
        100 * Decision.of_scores(scores).accuracy(labels(test)) for scores in (trained, in_training(tuned, test), whole)
    ]
    share, largest = differing(tuned, plain, exact, test.x[: parts.counted])
    notes = [note.split("scaled down ")[1].split("-fold")[0] for note in exact.network.notes if "scaled down" in note]
    return (
        graph.name,
        str(tuned.levels),
        str(tuned.weight_bits),
        *(f"{each:.2f}" for each in accuracies),
        f"{accuracies[2] - accuracies[0]:+.2f}",
        str(len(test)),
        f"{100 * share:.3f} %",
        str(largest),
        str(wrong),
        str(parts.emulated),
        f"{seconds:.0f}",
        ", ".join(notes) or "-",
    )


def in_training(tuned: FineTuned, samples: Samples) -> Any:
    """Scores of the forward pass that training saw."""
    import torch

    with torch.no_grad():
        return torch.cat([tuned.prepared(part) for part in torch.from_numpy(samples.x).split(500)]).numpy()


def differing(tuned: FineTuned, graph: AnnGraph, exact: ExactNetwork, x: Any) -> tuple[float, int]:
    """Share of hidden counts that are not those of the training's forward pass, and the largest difference."""
    import torch

    names = population_names(graph, pre_activations(graph, rectify_output=False))
    counts = exact.ann.counts(counts_of(exact.encoder.encoder, x, exact.ann.input_steps))
    differences = [
        np.abs(counts[names[path]] - wanted.numpy()).ravel()
        for path, wanted in tuned.prepared.counts(torch.from_numpy(x)).items()
    ]
    together = np.concatenate(differences)
    return float((together > 0).mean()), int(together.max())


def main(arguments: Sequence[str] | None = None) -> None:
    """The command."""
    parser = options(__doc__)
    parser.add_argument("--levels", nargs="+", type=int, default=[4, 8])
    parser.add_argument("--bits", nargs="+", type=int, default=[8, 6, 4])
    parser.add_argument("--steps", type=int, default=16, help="input steps")
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--training", type=int, default=20000, help="images of the training set (60,000 are all)")
    parser.add_argument("--counted", type=int, default=200, help="test images whose counts are compared with training")
    parser.add_argument("--emulated", type=int, default=200, help="test images that run on the emulated chip")
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--target", default="loihi1")
    parser.add_argument("--threads", type=int, default=1, help="of torch")
    given = parser.parse_args(arguments)
    import torch

    torch.set_num_threads(given.threads)
    chip = nmdeploy.chip(given.target)
    drawn = images(given)
    training = drawn.training.drawn(given.training, given.seed)
    check_balance(training, drawn.training)
    parts = Parts(training, drawn.calibration, drawn.test, given.counted, given.emulated)
    print(f"{chip.name}, T = {given.steps}, {given.epochs} epochs of {given.training} images; {this_machine()}\n")
    rows: list[Row] = []
    for name in given.networks:
        trained = model(name, given.data / "models" / f"mnist_{name}.pt")
        graph = from_torch(trained, parts.test.x[:1], name=name)
        for levels in given.levels:
            for bits in given.bits:
                began = perf_counter()
                tuned = finetune(
                    trained,
                    loader(parts.training),
                    levels=levels,
                    weight_bits=bits,
                    epochs=given.epochs,
                    input_steps=given.steps,
                    lr=given.lr,
                    seed=given.seed,
                )
                rows.append(measured(graph, tuned, perf_counter() - began, chip, parts))
                print("  ".join(rows[-1]), flush=True)
                write_json(given.json, HEADER, rows)
    print(f"\n{table(HEADER, rows)}")


if __name__ == "__main__":
    main()
