"""How far an emulation holds on the chip: its class with reasons, and the spread over candidate orders."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmdeploy.report.figures import Kind
from nmdeploy.report.section import Section
from nmdeploy.report.summary import Row
from nmdeploy.spread import LayerSpread, Spread
from nmdeploy.target import Exactness, Grade

MEANINGS: Mapping[Grade, str] = {
    Grade.EXACT: "the chip gives every emulated spike and potential",
    Grade.UP_TO_ORDER: "exact but for what nobody has published",
    Grade.NOT_REPRODUCIBLE: "the chip need not give what is emulated, nor the same thing twice",
}
LISTED = 10
"""Samples that are named one by one."""


def exactness_line(exactness: Exactness) -> str:
    """The class and what it means."""
    return f"exactness class {exactness.grade.value}: {MEANINGS[exactness.grade]}"


def exactness_section(exactness: Exactness | None) -> Section:
    """The class with its reasons."""
    if exactness is None:
        return Section("Exactness")
    return Section("Exactness", (f"{_sentence(exactness_line(exactness))}", *map(_sentence, exactness.reasons)))


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}." if text.startswith("exactness") else f"{text}."


def plain_exactness(exactness: Exactness) -> dict[str, Any]:
    """For JSON."""
    return {
        "class": exactness.grade.value,
        "meaning": MEANINGS[exactness.grade],
        "reasons": list(exactness.reasons),
    }


def spread_sections(spread: Spread, truth: NDArray[Any] | None = None) -> tuple[Section, ...]:
    """Spike counts by layer, and decisions by order.

    Args:
        spread: what to show.
        truth: right labels, int `[samples]`, where they are known.
    """
    unsure = spread.unsure.tolist()
    named = ", ".join(map(str, unsure[:LISTED])) + (", ..." if len(unsure) > LISTED else "")
    told = f"The decision hangs on the order in {len(unsure):,} of {spread.samples:,} samples"
    layers = Section(
        f"Spread over {len(spread.orders)} orders ({Kind.EMULATED.value})",
        (f"{spread.samples:,} samples of {spread.steps} steps under each order; {spread.origin}.",),
        ("layer", "spikes per sample", "fewest", "most", "largest difference", "neurons that differ %"),
        tuple(map(_layer_row, spread.layers)),
    )
    correct = None if truth is None else spread.correct(truth)
    rows = tuple(
        (name, f"{changed:,}", "-" if correct is None else f"{100 * correct[place] / spread.samples:.2f}")
        for place, (name, changed) in enumerate(zip(spread.orders, spread.changed, strict=True))
    )
    header = ("order", "other decisions", "accuracy %")
    return (layers, Section("Decisions", (f"{told}{f': {named}' if unsure else ''}.",), header, rows))


def _layer_row(layer: LayerSpread) -> Row:
    fewest, most = layer.range
    return (
        layer.population,
        f"{float(layer.spikes[0].mean()):,.1f}",
        f"{fewest:,.1f}",
        f"{most:,.1f}",
        f"{layer.largest:,}",
        f"{100 * layer.share:.2f}",
    )


def spread_arrays(spread: Spread) -> dict[str, NDArray[Any]]:
    """For a file: names and labels by order, and by layer and order the spikes of each sample."""
    spikes = {f"spikes.{layer.population}": layer.spikes for layer in spread.layers}
    return {"orders": np.array(spread.orders), "labels_by_order": spread.labels, **spikes}
