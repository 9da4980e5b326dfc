"""A chip's published energies and times, in SI units, put to counted events."""

from __future__ import annotations

import numpy as np

from nmdeploy.cost import CostItem, Range, exactly
from nmdeploy.target import Chip, Figure
from targets.loihi.cost.mesh import Mesh
from targets.loihi.cost.timing import Clock, Times
from targets.loihi.cost.traffic import Counts, deliveries
from targets.loihi.cost.wiring import Wiring

SI = {"pJ": 1e-12, "ns": 1e-9, "mW/chip": 1e-3}
"""Joule, second and watt in the units of `chips.toml`."""


def amount(figure: Figure) -> float:
    """The figure's value in joule, second or watt."""
    return figure.value * SI[figure.unit]


def priced(event: str, count: Range, chip: Chip, operation: str) -> CostItem:
    """An item with the chip's `<operation>_energy` and `<operation>_time`, where it has them."""
    figures = [chip.figures.get(f"{operation}_{what}") for what in ("energy", "time")]
    energy, time = (None if figure is None else count.times(amount(figure)) for figure in figures)
    return _sourced(CostItem(event, count, energy, time), figures)


def surcharge(event: str, count: Range, chip: Chip, dear: str, cheap: str) -> CostItem:
    """An item priced by what `dear` takes more than `cheap`, in energy and time."""
    first, second = (priced(event, exactly(1), chip, operation) for operation in (dear, cheap))
    if first.energy is None or second.energy is None or first.time is None or second.time is None:
        return CostItem(event, count)
    energy = count.times(first.energy.most - second.energy.most)
    time = count.times(first.time.most - second.time.most)
    return CostItem(event, count, energy, time, f"{first.source} (active less inactive)", first.status)


def _sourced(item: CostItem, figures: list[Figure | None]) -> CostItem:
    known = [figure for figure in figures if figure is not None]
    if not known:
        return item
    sources = dict.fromkeys(figure.source for figure in known)
    return CostItem(item.event, item.count, item.energy, item.time, "; ".join(sources), known[0].status)


def barrier(chip: Chip, tiles: int) -> Range:
    """Seconds of one barrier over so many tiles.

    Published are one tile and a whole chip; between them lies a range.
    """
    least, most = (amount(chip.figures[f"barrier_time_{end}imum"]) for end in ("min", "max"))
    if tiles == 1:
        return exactly(least)
    whole = chip.limit("mesh_rows") * chip.limit("mesh_columns")
    return Range(least, most) if tiles < whole else exactly(most)


def clock(chip: Chip, wiring: Wiring, mesh: Mesh | None) -> Clock | None:
    """What events take on the chip; None when its figures do not tell."""
    if mesh is None or "synaptic_operation_time" not in chip.figures:
        return None

    def seconds(name: str) -> float:
        return amount(chip.figures[f"{name}_time"])

    def delivery(east_west: Counts, north_south: Counts) -> Times:
        return np.asarray(
            seconds("spike_within_tile")
            + east_west * seconds("hop_east_west")
            + north_south * seconds("hop_north_south")
        )

    idle = seconds("inactive_neuron_update")
    return Clock(
        operation=seconds("synaptic_operation"),
        idle_update=idle,
        active_extra=seconds("active_neuron_update") - idle,
        delivery=deliveries(wiring, delivery, mesh),
        barrier=barrier(chip, mesh.tiles(wiring.places)),
    )
