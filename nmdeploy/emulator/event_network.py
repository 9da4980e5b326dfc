"""Which networks run event by event, and what such a network must be."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmdeploy.emulator.event_paths import spreading
from nmdeploy.emulator.widths import check_integer
from nmdeploy.errors import NetworkError, UsageError
from nmdeploy.network import Network, Population, Projection
from nmdeploy.neurons import EventRule, broadcasts
from quantize import IntegerFormat

AXES = "cyx"
WIDE = IntegerFormat(63)
"""Stands for no format: a potential of more than 63 bits is an overflow that raises."""
LARGEST_NUMBER = 1 << 60
"""Weights and parameters stay below this magnitude, so that 64 bits hold every sum on the way to a potential."""


def is_event_driven(network: Network) -> bool:
    """Whether the network's neurons take single events (all have an `event_rule`).

    Raises:
        UsageError: when only some of them do.
    """
    kinds = {p.name: p.neuron.event_rule() is not None for p in network.populations if p.neuron is not None}
    if len(set(kinds.values())) > 1:
        by_event, by_step = (next(name for name, kind in kinds.items() if kind is wanted) for wanted in (True, False))
        raise UsageError(
            "neurons that take single events and neurons with time steps are in one network",
            where=network.name,
            found=f"{by_event} and {by_step}",
            hint="give all populations neurons of one kind",
        )
    return any(kinds.values())


def rule_of(population: Population) -> EventRule:
    """How the neurons of a population take events.

    Raises:
        UsageError: for an input, and for neurons that have time steps.
    """
    rule = None if population.neuron is None else population.neuron.event_rule()
    if rule is None:
        raise UsageError("the population takes no events", where=population.name)
    return rule


def initial_potential(population: Population) -> NDArray[np.int64]:
    """Potentials before the first event, row-major.

    Raises:
        UsageError: for an input.
    """
    if population.neuron is None:
        raise UsageError("an input has no potential", where=population.name)
    state = population.neuron.initial_state((1, *population.shape), np.dtype(np.int64))
    return np.array(state["v"].ravel(), np.int64)


def check_event_network(network: Network) -> None:
    """Refuse what has no meaning, or no exact one, event by event.

    Raises:
        UsageError: for a float network.
        NetworkError: with all faults.
    """
    check_integer(network)
    faults = [fault for projection in network.projections for fault in _projection_faults(network, projection)]
    for population in network.populations:
        if population.is_input:
            if population.minimum < 0:
                faults.append(f"{population.name}: an input counts events, its minimum is {population.minimum}")
        else:
            faults += [f"{population.name}: {fault}" for fault in _rule_faults(rule_of(population), population.shape)]
    if faults:
        raise NetworkError(faults, where=network.name)


def _projection_faults(network: Network, projection: Projection) -> Iterator[str]:
    name = projection.name
    if projection.delay:
        yield f"{name}: a delay of {projection.delay} steps, and single events know no steps"
    if projection.exponent or projection.accumulator is not None:
        yield f"{name}: an exponent or accumulator format, and single events are not summed before they act"
    for synapse in projection.synapses:
        if synapse.weight is not None and _too_large(synapse.weight):
            yield f"{name}: weights beyond 2**60"
    shape = network[projection.source].shape
    if spreading(projection, shape) is None:
        yield f"{name}: two maps of the chain spread an event, so that it would meet a neuron more than once"


def _rule_faults(rule: EventRule, shape: tuple[int, ...]) -> Iterator[str]:
    if sorted(rule.order) != sorted(AXES):
        yield f"order {rule.order!r} is no order of the axes {AXES!r}"
    for field in fields(rule):
        value: Any = getattr(rule, field.name)
        if field.name not in ("threshold", "subtract", "low", "leak") or value is None:
            continue
        if np.asarray(value).dtype.kind not in "iub" or _too_large(value):
            yield f"{field.name} is no integer within 2**60"
        elif not broadcasts(np.shape(value), shape):
            yield f"{field.name} of shape {np.shape(value)} does not broadcast to {shape}"


def _too_large(values: Any) -> bool:
    return max(int(np.max(values)), -int(np.min(values))) >= LARGEST_NUMBER


def firing_order(shape: tuple[int, ...], order: str) -> NDArray[np.int64]:
    """The neurons of a population, row-major numbers, in an order of axes, slowest first."""
    index = np.arange(int(np.prod(shape)))
    return index if len(shape) == 1 else index.reshape(shape).transpose([AXES.index(axis) for axis in order]).ravel()


def ticks(rule: EventRule) -> bool:
    """Whether the population has a slow clock."""
    return bool(np.any(rule.leak))
