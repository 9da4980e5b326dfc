"""Where a conversion loses accuracy: every stage of a recipe alone, on real MNIST.

    python -m benchmarks.stages --networks C --targets loihi1 --steps 16 --recipes rate rate-calibrated exact

Networks and data are those of `benchmarks.accuracy`; potentials are read out. Differences are to
the first stage of each recipe. Test images choose nothing; with fewer than all 10,000, each
class has its share.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product

import nmdeploy
from benchmarks.mnist import Images, binomial_error, graph_of, images, options, write_json
from nmdeploy.ann.graph import AnnGraph
from nmdeploy.machine import this_machine
from nmdeploy.pipeline import EXACT, RATE, RATE_CALIBRATED, Recipe
from nmdeploy.pipeline.attribution import PREFIX, accuracy_by_stage
from nmdeploy.report.summary import Row, table
from nmdeploy.target import Choice

HEADER: Row = ("network", "chip", "steps", "recipe", "stage", "kind", "accuracy %", "error", "to the first")


def alone(graph: AnnGraph, parts: Images, chip: Choice, recipe: Recipe) -> Iterator[Row]:
    """A line of the table for each stage of a recipe."""
    found = accuracy_by_stage(graph, parts.calibration.x, parts.test, chip, recipe)
    for each in found:
        lost, error = 100 * (each.value - found[0].value), binomial_error(each.value, each.samples)
        told = (each.stage.removeprefix(PREFIX), each.kind.value, f"{100 * each.value:.2f}", f"{error:.2f}")
        yield (graph.name, chip.name, str(recipe.steps), recipe.method, *told, f"{lost:+.2f}")


def main(arguments: Sequence[str] | None = None) -> None:
    """The command."""
    parser = options(__doc__)
    parser.add_argument("--targets", nargs="+", default=["loihi1"])
    parser.add_argument("--steps", nargs="+", type=int, default=[16])
    parser.add_argument("--levels", type=int, default=8, help="of the recipe exact")
    parser.add_argument("--recipes", nargs="+", default=[RATE], choices=[RATE, RATE_CALIBRATED, EXACT])
    given = parser.parse_args(arguments)
    parts = images(given)
    print(f"{parts.balance()}, {len(parts.calibration)} to calibrate; {this_machine()}\n")
    rows: list[Row] = []
    for name in given.networks:
        graph = graph_of(name, given.data / "models", parts.test.x[:1])
        for target, steps, method in product(given.targets, given.steps, given.recipes):
            recipe = Recipe(method=method, steps=steps, levels=given.levels, readout="potential")
            rows += alone(graph, parts, nmdeploy.chip(target), recipe)
    print(table(HEADER, rows))
    write_json(given.json, HEADER, rows)


if __name__ == "__main__":
    main()
