"""What the recipe `auto` chose from, as a bundle keeps it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nmdeploy.convert.methods import METHODS
from nmdeploy.cost import Range
from nmdeploy.report.figures import Accuracy, Kind
from nmdeploy.report.section import Section
from nmdeploy.report.summary import Row
from nmdeploy.report.units import amount
from nmdeploy.stored_figure import stored_figure

FIGURE = "selection"
"""The name under which `Deployment.figures` holds a selection."""


@dataclass(frozen=True)
class Trial:
    """One recipe, tried on the held-out samples or refused.

    Attributes:
        method: `rate`, `rate-calibrated` or `exact`.
        settings: what else is its own, in words (`8 levels, 16 input steps`).
        steps: all steps of one inference, without the chip's latency; 0 when it was refused.
        accuracy: against what it was judged by; None when it was refused.
        energy: joules of one inference (modelled); None when unknown.
        operations: synaptic operations of one inference (emulated); None when it was refused.
        score: what it was ranked by; None when it was refused.
        refused: why it cannot be used; empty when it can.
    """

    method: str
    settings: str
    steps: int = 0
    accuracy: Accuracy | None = None
    energy: Range | None = None
    operations: float | None = None
    score: float | None = None
    refused: str = ""

    def figure(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "method": self.method,
            "settings": self.settings,
            "steps": self.steps,
            "correct": None if self.accuracy is None else self.accuracy.correct,
            "ties": None if self.accuracy is None else self.accuracy.ties,
            "energy": None if self.energy is None else [self.energy.least, self.energy.most],
            "operations": self.operations,
            "score": self.score,
            "refused": self.refused,
        }


@dataclass(frozen=True)
class Selection:
    """The table that `auto` chose from.

    Attributes:
        trials: every candidate, in the order in which they were tried.
        chosen: index of the one that was taken.
        budget: steps that one inference may take, without the chip's latency.
        energy_weight: points of accuracy that halving the energy is worth.
        by_labels: judged by labels; else by agreement with the trained network's decisions.
        by_energy: costs are modelled energies; else emulated synaptic operations.
        samples: held-out samples that judged.
        trained: how many of them the trained network decides rightly; all where its decisions judge.
        converted_on: other samples, that converted the candidates.
        margin: scores nearer to the best than this were ties, in points.
    """

    trials: tuple[Trial, ...]
    chosen: int
    budget: int
    energy_weight: float
    by_labels: bool
    by_energy: bool
    samples: int
    trained: int
    converted_on: int
    margin: float

    @property
    def best(self) -> Trial:
        """The candidate that was taken."""
        return self.trials[self.chosen]

    def figure(self) -> dict[str, Any]:
        """The plain form that a deployment's `figures` hold, under the name `selection`."""
        return {
            "trials": [trial.figure() for trial in self.trials],
            "chosen": self.chosen,
            "budget": self.budget,
            "energy_weight": self.energy_weight,
            "by_labels": self.by_labels,
            "by_energy": self.by_energy,
            "samples": self.samples,
            "trained": self.trained,
            "converted_on": self.converted_on,
            "margin": self.margin,
        }


def selection_in(figures: Mapping[str, Mapping[str, Any]]) -> Selection | None:
    """The selection among a deployment's `figures`; None when there is none.

    Raises:
        DataError: when the entry is no selection.
    """
    return stored_figure(figures, FIGURE, "selection", _selection)


def _selection(stored: Mapping[str, Any]) -> Selection:
    samples = int(stored["samples"])
    trials = tuple(_trial(each, samples) for each in stored["trials"])
    chosen = int(stored["chosen"])
    trials[chosen]
    return Selection(
        trials,
        chosen,
        int(stored["budget"]),
        float(stored["energy_weight"]),
        bool(stored["by_labels"]),
        bool(stored["by_energy"]),
        samples,
        int(stored["trained"]),
        int(stored["converted_on"]),
        float(stored["margin"]),
    )


def _trial(stored: Mapping[str, Any], samples: int) -> Trial:
    method, settings, refused = (str(stored[key]) for key in ("method", "settings", "refused"))
    if refused:
        return Trial(method, settings, refused=refused)
    steps, energy = int(stored["steps"]), stored["energy"]
    accuracy = Accuracy("chip", int(stored["correct"]), samples, int(stored["ties"]), Kind.EMULATED, steps)
    known = None if energy is None else Range(float(energy[0]), float(energy[1]))
    return Trial(method, settings, steps, accuracy, known, float(stored["operations"]), float(stored["score"]))


def selection_section(selection: Selection | None) -> Section:
    """A row for each candidate, above them how they were judged and what each recipe guarantees."""
    title = f"What the recipe auto chose from ({Kind.EMULATED.value}, energy {Kind.MODELLED.value})"
    if selection is None:
        return Section(title)
    numbers = ("steps", "right", "accuracy %", "95 % interval", "energy", "operations", "score")
    rows = tuple(_row(trial, place == selection.chosen) for place, trial in enumerate(selection.trials))
    return Section(title, tuple(_lines(selection)), ("recipe", "settings", *numbers, "verdict"), rows)


def _lines(selection: Selection) -> list[str]:
    trained = f"{selection.trained:,} of which the trained network decides rightly (measured)"
    judge = f"their labels, {trained}" if selection.by_labels else "agreement with the trained network's decisions"
    cost = "energy (modelled, the middle of its range)" if selection.by_energy else "synaptic operations (emulated)"
    weight = selection.energy_weight
    if weight:
        ranked = f"Score: accuracy in points - {weight:g} x log2(cost / least cost); the cost is {cost}."
        tied = f"Of scores within a standard error ({selection.margin:.2f} points) of the best the cheapest is taken."
    else:
        ranked = "Score: accuracy in points."
        tied = f"Of equal scores the cheapest is taken; the cost is {cost}."
    tried = dict.fromkeys(trial.method for trial in selection.trials)
    return [
        f"Budget: {selection.budget} steps of one inference, phases of exact mode included, the chip's latency not.",
        f"Judged on {selection.samples:,} held-out calibration samples by {judge}; "
        f"{selection.converted_on:,} others converted the candidates.",
        ranked,
        tied,
        *(f"Guarantee of {name}: {METHODS[name].guarantee}." for name in tried if name in METHODS),
    ]


def _row(trial: Trial, chosen: bool) -> Row:
    if trial.accuracy is None:
        return (trial.method, trial.settings, *("-",) * 7, f"refused: {trial.refused}")
    low, high = trial.accuracy.interval
    return (
        trial.method,
        trial.settings,
        str(trial.steps),
        f"{trial.accuracy.correct:,}",
        f"{100 * trial.accuracy.value:.2f}",
        f"{100 * low:.2f} to {100 * high:.2f}",
        "-" if trial.energy is None else amount(trial.energy, "J"),
        "-" if trial.operations is None else f"{trial.operations:,.0f}",
        "-" if trial.score is None else f"{trial.score:.2f}",
        "taken" if chosen else "",
    )
