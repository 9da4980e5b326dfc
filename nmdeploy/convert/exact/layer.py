"""One layer of counts: its sums, its activation, and how far its sums can reach."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import reduce
from operator import add

import numpy as np

from nmdeploy.linear_maps import Array
from nmdeploy.network import Population, Projection
from nmdeploy.neurons import IF, Integrator

Counts = Mapping[str, Array]
"""Counts `[N, *shape]` by population."""


@dataclass(frozen=True, eq=False)
class Reach:
    """How far the sums of a layer go from 0 while its inputs arrive, biases left out.

    Attributes:
        low, high: ends of the partial sums of W n, at most 0 and at least 0, int64 in the population's shape.
        step_high: largest sum of one step.
        step_low: smallest sum of one step.
    """

    low: Array
    high: Array
    step_low: Array
    step_high: Array


@dataclass(frozen=True, eq=False)
class CountLayer:
    """A population of counts with the projections that enter it.

    With W, B the integer weights and biases, n the counts of the sources, d the step and
    h = floor(d / 2)::

        n_out  = min(max(floor((W n + B + h) / d), 0), levels)      (hidden)
        logits = W n + B                                            (outputs)

    Attributes:
        population: a hidden one is an `IF` whose threshold is d and whose bias is B, an output
            an `Integrator` of bias B. They never step: they carry the numbers.
        projections: with integer weights.
    """

    population: Population
    projections: tuple[Projection, ...]

    @property
    def step(self) -> int | None:
        """d; None for an output."""
        neuron = self.population.neuron
        return int(np.max(neuron.threshold)) if isinstance(neuron, IF) else None

    @property
    def bias(self) -> Array:
        """B, int64, broadcast to the population."""
        neuron = self.population.neuron
        bias = neuron.bias if isinstance(neuron, (IF, Integrator)) else 0
        return np.broadcast_to(np.asarray(bias, dtype=np.int64), self.population.shape)

    @property
    def offset(self) -> Array:
        """B + h, from where a hidden neuron sums; B, for an output."""
        return self.bias + (self.step or 0) // 2

    def sums(self, counts: Counts) -> Array:
        """W n + B, int64 `[N, *shape]`."""
        return _total(self.projections, counts) + self.bias

    def activated(self, sums: Array, levels: int) -> Array:
        """Counts of a hidden layer, the logits of an output."""
        if self.step is None:
            return sums
        activated: Array = np.clip((sums + self.step // 2) // self.step, 0, levels)
        return activated

    def parts(self, counts: Counts) -> tuple[Array, Array]:
        """What inhibition takes and what excitation brings, `[N, *shape]`: no order of the spikes goes beyond."""
        inhibition, excitation = (
            _total([_with_sign(each, sign) for each in self.projections], counts) for sign in (-1, 1)
        )
        return inhibition, excitation


def _total(projections: Iterable[Projection], counts: Counts) -> Array:
    total: Array = reduce(add, (each.apply(counts[each.source]) for each in projections))
    return total


def _with_sign(projection: Projection, sign: int) -> Projection:
    """The projection with the weights of one sign; the others are 0."""
    synapses = [
        synapse
        if synapse.weight is None
        else synapse.with_weight(np.where(np.sign(synapse.weight) == sign, synapse.weight, 0))
        for synapse in projection.synapses
    ]
    return replace(projection, synapses=tuple(synapses))
