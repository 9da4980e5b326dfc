"""A comparison as text."""

from __future__ import annotations

from nmdeploy.harness.compare import Comparison
from nmdeploy.harness.first_difference import Place

SHOWN = 8
"""Arriving spikes and explanations listed at most."""


def comparison_text(comparison: Comparison) -> str:
    """Lines for people: what was compared, the first difference, and the likely causes."""
    title = f"{comparison.compared} values of {', '.join(comparison.populations)} compared"
    if comparison.place is None:
        return f"{title}: no difference"
    return "\n".join([title, str(comparison.place), *_state(comparison, comparison.place), *_causes(comparison)])


def _state(comparison: Comparison, place: Place) -> list[str]:
    fires = "" if comparison.fires_at is None else f", fires at {comparison.fires_at}"
    lines = [
        f"  neuron model: {comparison.neuron}",
        f"  emulated potential: {comparison.before} before step {place.step}, {comparison.after} after{fires}",
        f"  {len(comparison.arrived)} spikes reach it in that step",
    ]
    for each in comparison.arrived[:SHOWN]:
        times = "" if each.spike == 1 else f" of value {each.spike}"
        lines.append(f"    {each.source} {each.neuron}, sent at step {each.step}{times}: weight {each.weight}")
    hidden = len(comparison.arrived) - SHOWN
    return [*lines, f"    and {hidden} more"] if hidden > 0 else lines


def _causes(comparison: Comparison) -> list[str]:
    if not comparison.explanations:
        return ["none of the known causes explains anything of it: perhaps weights or thresholds differ"]
    lines = [f"  {rank}. {each}" for rank, each in enumerate(comparison.explanations[:SHOWN], 1)]
    return ["likely causes, the first explains most:", *lines]
