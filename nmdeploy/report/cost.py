"""The cost of an inference as a section of the report, as JSON, and as one line."""

from __future__ import annotations

from typing import Any

from nmdeploy.cost import Cost, CostItem, Range
from nmdeploy.report.figures import Kind
from nmdeploy.report.section import Section
from nmdeploy.report.summary import Row
from nmdeploy.report.units import amount, count


def cost_section(cost: Cost | None) -> Section:
    """A row for each kind of event, with what it takes, above them the totals and what they assume."""
    events = (
        "emulated events" if cost is not None and cost.origin.startswith(Kind.EMULATED.value) else "events of a run"
    )
    title = f"Cost of one inference ({Kind.MODELLED.value} from {events})"
    if cost is None:
        return Section(title)
    lines = (
        f"Mean over {cost.samples:,} samples of {cost.steps} steps; events counted in a run ({cost.origin}).",
        *_totals(cost),
        *cost.assumptions,
    )
    header = ("event", "count", "energy", "time, one after the other", "source", "status")
    return Section(title, lines, header, tuple(_row(item) for item in cost.items))


def _totals(cost: Cost) -> list[str]:
    """What is known of the whole inference, a sentence each."""
    kind, found = Kind.MODELLED.value, []
    if cost.energy is not None:
        parts = [("of which events", cost.dynamic_energy), ("static power", cost.static_energy)]
        told = "".join(f", {name} {amount(part, 'J')}" for name, part in parts if part is not None)
        found.append(f"Energy: {amount(cost.energy, 'J')} ({kind}){told}.")
    if cost.time is not None:
        found.append(f"Time: {amount(cost.time, 's')} ({kind}), cores working in parallel.")
    if cost.rate is not None:
        found.append(f"Rate: {amount(cost.rate, 'inferences/s')} ({kind}), one after the other.")
    if cost.energy_delay_product is not None:
        found.append(f"Energy-delay product: {amount(cost.energy_delay_product, 'J s')} ({kind}).")
    return found


def _row(item: CostItem) -> Row:
    def cell(range_: Range | None, unit: str) -> str:
        return "-" if range_ is None else amount(range_, unit)

    events = "-" if item.count is None else count(item.count)
    status = "-" if item.status is None else item.status.value
    return (item.event, events, cell(item.energy, "J"), cell(item.time, "s"), item.source or "-", status)


def cost_line(cost: Cost) -> str:
    """Energy and time of one inference in a line."""
    if cost.time is None:
        return f"cost per inference: unknown, nothing is published of {cost.chip}; `nmdeploy report` has the events"
    basis = ", ".join(dict.fromkeys(item.status.value for item in cost.items if item.status is not None))
    energy = "energy unknown" if cost.energy is None else amount(cost.energy, "J")
    return (
        f"cost per inference: {energy}, {amount(cost.time, 's')} "
        f"({Kind.MODELLED.value} from {cost.samples} samples; coefficients: {basis})"
    )


def plain_cost(cost: Cost) -> dict[str, Any]:
    """The cost in dictionaries, lists and plain values; joule, second, and events per inference."""
    return {
        "kind": Kind.MODELLED.value,
        "chip": cost.chip,
        "events_from": cost.origin,
        "samples": cost.samples,
        "steps": cost.steps,
        "energy_J": _plain(cost.energy),
        "dynamic_energy_J": _plain(cost.dynamic_energy),
        "static_energy_J": _plain(cost.static_energy),
        "time_s": _plain(cost.time),
        "inferences_per_s": _plain(cost.rate),
        "energy_delay_product_J_s": _plain(cost.energy_delay_product),
        "items": [_plain_item(item) for item in cost.items],
        "assumptions": list(cost.assumptions),
    }


def _plain_item(item: CostItem) -> dict[str, Any]:
    return {
        "event": item.event,
        "count": _plain(item.count),
        "energy_J": _plain(item.energy),
        "time_s": _plain(item.time),
        "source": item.source,
        "status": None if item.status is None else item.status.value,
    }


def _plain(range_: Range | None) -> dict[str, float] | None:
    return None if range_ is None else {"least": range_.least, "most": range_.most}
