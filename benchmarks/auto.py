"""What the recipe `auto` chooses on real MNIST, and how long that takes.

    python -m benchmarks.auto --networks C --target loihi1 --steps 32 --energy-weight 0.5

Networks and data are those of `benchmarks.accuracy`. Calibration images come from the training
set; test images have no part in the choice. They tell what the recipe that was taken gets right.
Seconds are of the wall clock, of every candidate, with one thread.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from time import perf_counter

import nmdeploy
from benchmarks.mnist import Images, graph_of, images, labels, options, write_json
from nmdeploy.ann.graph import AnnGraph
from nmdeploy.inference import infer
from nmdeploy.machine import this_machine
from nmdeploy.pipeline import Recipe, build
from nmdeploy.progress import Progress
from nmdeploy.report.figures import Accuracy, Kind
from nmdeploy.report.render import text_section
from nmdeploy.report.selection import selection_section
from nmdeploy.report.summary import Row
from nmdeploy.target import Choice

HEADER: Row = ("network", "chip", "taken", "steps", "accuracy %", "of images", "seconds")


@contextmanager
def timed(title: str) -> Iterator[Progress]:
    """A stage that prints its seconds."""
    began = perf_counter()
    yield lambda _done, _total: None
    print(f"{perf_counter() - began:7.1f} s  {title}", flush=True)


def chosen(graph: AnnGraph, parts: Images, chip: Choice, recipe: Recipe) -> Row:
    """What `auto` takes, and what that gets right on test images; prints the table it chose from."""
    began = perf_counter()
    stages = build(graph, parts.calibration.x, chip, recipe, timed, labels=parts.calibration.y)
    seconds = perf_counter() - began
    print(f"\n{text_section(selection_section(stages.selection))}\n")
    steps, method = stages.deployment.steps, stages.recipe.method
    decision = infer(stages.deployment, parts.test.x).decision
    told = Accuracy.of(f"{method}, test images", decision, labels(parts.test), Kind.EMULATED, steps)
    print(f"{told}\n", flush=True)
    return (graph.name, chip.name, method, str(steps), f"{100 * told.value:.2f}", str(told.samples), f"{seconds:.0f}")


def main(arguments: Sequence[str] | None = None) -> None:
    """The command."""
    import torch

    torch.set_num_threads(1)
    parser = options(__doc__)
    parser.set_defaults(networks=["C"], images=1000)
    parser.add_argument("--target", default="loihi1")
    parser.add_argument("--steps", type=int, default=32, help="the budget")
    parser.add_argument("--energy-weight", type=float, default=0.5)
    given = parser.parse_args(arguments)
    parts, chip = images(given), nmdeploy.chip(given.target)
    recipe = Recipe(method="auto", steps=given.steps, energy_weight=given.energy_weight, seed=given.seed)
    print(f"{chip.name}, {parts.balance()}, {len(parts.calibration)} to calibrate; {this_machine()}\n")
    rows = [
        chosen(graph_of(name, given.data / "models", parts.test.x[:1]), parts, chip, recipe) for name in given.networks
    ]
    write_json(given.json, HEADER, rows)


if __name__ == "__main__":
    main()
