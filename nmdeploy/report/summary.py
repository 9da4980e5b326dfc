"""Plain-text tables of a network."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nmdeploy.network import Network

Row = tuple[str, ...]


def table(header: Row, rows: Sequence[Row]) -> str:
    """Columns aligned with two spaces between them; columns of numbers to the right."""
    columns = list(zip(*rows, strict=True)) if rows else [() for _ in header]
    widths = [max(map(len, (name, *cells))) for name, cells in zip(header, columns, strict=True)]
    numeric = [bool(cells) and all(cell == "-" or _is_number(cell) for cell in cells) for cells in columns]

    def line(row: Row) -> str:
        cells = zip(row, widths, numeric, strict=True)
        return "  ".join(cell.rjust(width) if right else cell.ljust(width) for cell, width, right in cells).rstrip()

    return "\n".join([line(header), "  ".join("-" * width for width in widths), *(line(row) for row in rows)])


def _is_number(cell: str) -> bool:
    return cell.replace(",", "").replace(".", "", 1).lstrip("-").isdigit()


def network_summary(network: Network) -> str:
    """One row for each population, in order of computation: what enters it, its size and neuron."""
    rows: list[Row] = []
    for population in network.order() or network.populations:
        entering = network.into(population.name)
        weights = sum(s.weight.size for p in entering for s in p.synapses if s.weight is not None)
        chains = ", ".join(f"{p.source}: {'-'.join(s.kind for s in p.synapses) or 'direct'}" for p in entering)
        neuron = "input" if population.neuron is None else population.neuron.kind
        shape = "x".join(map(str, population.shape))
        rows.append((population.name, shape, str(population.size), neuron, f"{weights:,}", chains or "-"))
    numbers = "integer" if network.is_integer else "float"
    title = f"{network.name} ({numbers}; outputs: {', '.join(network.outputs)})"
    return title + "\n" + table(("population", "shape", "neurons", "model", "weights", "from"), rows)
