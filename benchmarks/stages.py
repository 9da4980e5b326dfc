"""Where a conversion loses accuracy: every stage of a recipe alone, on real MNIST.

    python -m benchmarks.stages --networks C --targets loihi1 --steps 16 --recipes rate rate-calibrated exact

Networks and data are those of `benchmarks.accuracy`; potentials are read out. Differences are to
the first stage of each recipe. Test images choose nothing; with fewer than all 10,000, each
class has its share.
"""

from __future__ import annotations

from collections.abc import Sequence

import nmdeploy
from benchmarks.mnist import graph_of, images, options, write_json
from nmdeploy.machine import this_machine
from nmdeploy.pipeline import EXACT, RATE, RATE_CALIBRATED, Recipe
from nmdeploy.pipeline.attribution import PREFIX, accuracy_by_stage
from nmdeploy.report.summary import Row, table

HEADER: Row = ("network", "chip", "steps", "recipe", "stage", "kind", "accuracy %", "error", "to the first")


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
        for chip in map(nmdeploy.chip, given.targets):
            for steps in given.steps:
                for method in given.recipes:
                    recipe = Recipe(method=method, steps=steps, levels=given.levels, readout="potential")
                    found = accuracy_by_stage(graph, parts.calibration.x, parts.test, chip, recipe)
                    for each in found:
                        share = each.value
                        error = (share * (1 - share) / each.samples) ** 0.5
                        lost = f"{100 * (share - found[0].value):+.2f}"
                        cells = (each.stage.removeprefix(PREFIX), each.kind.value, f"{100 * share:.2f}")
                        rows.append((name, chip.name, str(steps), method, *cells, f"{100 * error:.2f}", lost))
    print(table(HEADER, rows))
    write_json(given.json, HEADER, rows)


if __name__ == "__main__":
    main()
