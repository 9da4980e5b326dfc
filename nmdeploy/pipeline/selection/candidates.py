"""Which recipes `auto` tries."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from nmdeploy.ann.graph import AnnGraph
from nmdeploy.convert.methods import EXACT, RATE, RATE_CALIBRATED
from nmdeploy.convert.resets import AUTO
from nmdeploy.convert.terms import pre_activations
from nmdeploy.errors import UsageError
from nmdeploy.pipeline.recipe import Recipe

LEVELS = (4, 8, 16)
"""Largest counts of a hidden neuron that exact mode is tried with."""
SHARES = (1, 2, 4)
"""The whole budget of steps is tried, and these parts of it,"""
LEAST_STEPS = 4
"""where they are no shorter than this: one or two input steps hold no rate."""


@dataclass(frozen=True)
class Candidate:
    """One recipe to try.

    Attributes:
        recipe: a named one.
        settings: what is its own, in words.
        refused: why it cannot be tried at all; None when it can.
    """

    recipe: Recipe
    settings: str
    refused: UsageError | None = None

    @property
    def title(self) -> str:
        """Method and settings."""
        return f"{self.recipe.method}, {self.settings}"


def candidates(asked: Recipe, graph: AnnGraph) -> tuple[Candidate, ...]:
    """Every recipe that `auto` tries; what was asked for beyond the method holds for all of them.

    Args:
        asked: with `auto` as method, its steps the budget.
        graph: the trained network.

    Raises:
        ModelError: for a network that cannot be converted.
    """
    shorter = (asked.steps // share for share in SHARES)
    budgets = tuple(steps for steps in shorter if steps >= LEAST_STEPS or steps == asked.steps)
    named = replace(asked, energy_weight=0.0, method=RATE)
    return (*_rates(named, budgets), *_calibrated(named, budgets), *_exact(named, budgets, phases(graph)))


def _rates(named: Recipe, budgets: tuple[int, ...]) -> Iterator[Candidate]:
    for readout in ("count", "potential") if named.readout == AUTO else (named.readout,):
        for steps in budgets:
            yield Candidate(replace(named, steps=steps, readout=readout), f"{readout}, {_input(steps)}")


def _calibrated(named: Recipe, budgets: tuple[int, ...]) -> Iterator[Candidate]:
    for steps in budgets:
        yield Candidate(replace(named, method=RATE_CALIBRATED, steps=steps), _input(steps))


def _exact(named: Recipe, budgets: tuple[int, ...], deep: int) -> Iterator[Candidate]:
    """Exact mode with as many input steps as its phases leave; levels that leave none are refused once."""
    for levels in sorted({*LEVELS, named.levels}):
        for budget in budgets:
            steps = budget - deep * levels
            if steps >= 1:
                yield _with_levels(named, levels, steps)
            elif budget == budgets[0]:
                recipe = replace(named, method=EXACT, steps=1, levels=levels)
                yield Candidate(recipe, f"{levels} levels", _too_deep(deep, levels, budget))


def _with_levels(named: Recipe, levels: int, steps: int) -> Candidate:
    return Candidate(replace(named, method=EXACT, steps=steps, levels=levels), f"{levels} levels, {_input(steps)}")


def shortened(candidate: Candidate, by: int) -> Candidate | None:
    """The candidate with fewer input steps; None where none would be left, or where it has no other steps than these.

    Args:
        candidate: whose inference lasts too long: on some chips a phase of exact mode takes more than its levels.
        by: how many input steps fewer.
    """
    recipe = candidate.recipe
    if recipe.method != EXACT or recipe.steps <= by:
        return None
    return _with_levels(recipe, recipe.levels, recipe.steps - by)


def _input(steps: int) -> str:
    return f"{steps} input step{'s' if steps != 1 else ''}"


def _too_deep(deep: int, levels: int, budget: int) -> UsageError:
    return UsageError(
        f"phases of exact mode ({deep} x {levels} steps) and one input step exceed the budget",
        found=f"{deep * levels + 1} steps",
        limit=f"{budget} steps",
        hint="use fewer levels, or a larger budget",
    )


def phases(graph: AnnGraph) -> int:
    """How many hidden layers lie behind each other, so that in exact mode one's phase follows the other's."""
    deep = {graph.sources[0].name: 0}
    for layer in pre_activations(graph, rectify_output=False):
        if layer.node != graph.output:
            deep[layer.node] = 1 + max((deep[term.origin] for term in layer.terms), default=0)
    return max(deep.values())
