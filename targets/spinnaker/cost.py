"""Energy and time of one inference on SpiNNaker: events of a run, times the constants of sPyNNaker's own report.

The sum is that of sPyNNaker 7.4.1 (`compute_energy_used.py`, `version_spin1.py`): idle boards, plus 0.034 W for every
core that it takes for active (all cores of the application, all the time), plus 1 nJ for a packet at each router that
it passes. A synaptic event has no constant of its own there: what it takes is within the power of an active core.

What is open is a range, not a choice:

- Steps last 1 ms, or a time_scale_factor times that. At least the factor is 1. At most it is what lets the busiest
  core of the busiest step keep to the published rate of synaptic events.
- A packet passes at least one router; at most those of all chips in use.
- A board has its box and power supply, or is one of many in a rack, whose own power is left out.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmdeploy.cost import Cost, CostItem, Range, exactly, total
from nmdeploy.deployment import CoreLoad, Deployment
from nmdeploy.emulator.result import Result
from nmdeploy.network import Network
from nmdeploy.target import Chip
from targets.spinnaker.mapper.load import events_in_time
from targets.spinnaker.mapper.placing import chip_cores
from targets.spinnaker.ring_buffer import RING
from targets.spinnaker.ring_load import ring_bounds, ring_peaks


def cost(deployment: Deployment, result: Result, chip: Chip) -> Cost:
    """The cost of one inference, mean over the samples of `result`.

    Args:
        deployment: what ran.
        result: its run, recorded with `counts=("*",)`; with `spikes=("*",)` too, the busiest step and the
            fullest ring buffer are known.
        chip: the board it is placed on.
    """
    network, placement = deployment.network, deployment.placement
    spikes = _every_step(network, result)
    factor = None if spikes is None else time_scale_factor(deployment, spikes, chip)
    step = chip.figures["time_step"]
    shortest = result.steps * step.value
    time = Range(shortest, shortest * (factor or 1))
    items = (
        _operations(result),
        _packets(deployment, result, chip),
        CostItem("time steps", exactly(result.steps), None, time, step.source, step.status),
        *_power(placement.core_count, placement.chip_count, chip, time),
    )
    told = tuple(_assumptions(network, spikes, factor))
    energy = total([each.energy for each in items])
    return Cost(chip.name, result.origin, result.samples, result.steps, items, energy, time, told)


def time_scale_factor(deployment: Deployment, spikes: Mapping[str, NDArray[np.uint8]], chip: Chip) -> int:
    """The least time_scale_factor at which the busiest core keeps to the published rate of synaptic events.

    Args:
        deployment: placed.
        spikes: of all populations at every step, `[T, N, *shape]`.
        chip: the board.
    """
    network, busiest = deployment.network, 0
    for population in network.populations:
        loads = deployment.placement.of(population.name)
        entering = network.into(population.name)
        arriving = [
            _events_by_core(each.matrix(network[each.source].shape), loads, spikes[each.source]) for each in entering
        ]
        if arriving:
            busiest = max(busiest, _largest_step(arriving, [each.delay for each in entering]))
    return max(1, math.ceil(busiest / events_in_time(chip)))


def _events_by_core(matrix: Any, loads: Sequence[CoreLoad], spikes: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Synaptic events that the spikes of each step set off, `[T, N, cores]`, given `[targets, sources]`."""
    present = (matrix != 0).tocsr()
    fans = np.stack([np.asarray(present[load.neurons].sum(axis=0), dtype=np.float64).ravel() for load in loads])
    events: NDArray[np.int64] = np.rint(spikes.reshape(*spikes.shape[:2], -1) @ fans.T).astype(np.int64)
    return events


def _largest_step(arriving: list[NDArray[np.int64]], delays: list[int]) -> int:
    steps = len(arriving[0])
    summed = np.zeros((steps + max(delays), *arriving[0].shape[1:]), dtype=np.int64)
    for events, delay in zip(arriving, delays, strict=True):
        summed[delay : delay + steps] += events
    return int(summed[:steps].max(initial=0))


def _every_step(network: Network, result: Result) -> Mapping[str, NDArray[np.uint8]] | None:
    """The spikes of all populations at all steps, where they were recorded."""
    names = [population.name for population in network.populations]
    if all(name in result.spikes and len(result.spikes[name]) == result.steps for name in names):
        return result.spikes
    return None


def _operations(result: Result) -> CostItem:
    count = sum(int(each.sum()) for each in result.synaptic_operations.values())
    return CostItem("synaptic events (their energy is within that of active cores)", exactly(count / result.samples))


def _packets(deployment: Deployment, result: Result, chip: Chip) -> CostItem:
    sent = sum(int(result.total_spikes[each.name].sum()) for each in deployment.network.populations) / result.samples
    sizes = np.cumsum(chip_cores(chip))
    used = {(load.chip, int(np.searchsorted(sizes, load.core, side="right"))) for load in deployment.placement.cores}
    figure = chip.figures["packet_energy"]
    count = Range(sent, sent * len(used))
    return CostItem("packets at routers", count, count.times(figure.value), None, figure.source, figure.status)


def _power(cores: int, boards: int, chip: Chip, time: Range) -> Iterator[CostItem]:
    active, idle = chip.figures["core_power"], chip.figures["idle_board_power"]
    yield CostItem(f"active cores: {cores}", None, time.times(cores * active.value), None, active.source, active.status)
    yield CostItem(f"idle boards: {boards}", None, time.times(boards * idle.value), None, idle.source, idle.status)
    if "box_power" in chip.figures:
        box = chip.figures["box_power"]
        energy = Range(0.0, time.most * boards * box.value)
        yield CostItem("box and power supply of boards", None, energy, None, box.source, box.status)


def _assumptions(network: Network, spikes: Mapping[str, NDArray[np.uint8]] | None, factor: int | None) -> Iterator[str]:
    yield "All cores count as active all the time, as in sPyNNaker's own energy report."
    yield "Loading, reading back, the host, and racks are left out."
    if spikes is None or factor is None:
        yield "Steps last 1 ms; whether cores keep up is not known, since spikes were not recorded step by step."
        return
    if factor == 1:
        yield "Every core keeps to the published rate of synaptic events at steps of 1 ms."
    else:
        yield f"At most, steps last {factor} ms: at the published rate, the busiest needs time_scale_factor={factor}."
    yield from _ring_use(network, spikes)


def _ring_use(network: Network, spikes: Mapping[str, NDArray[np.uint8]]) -> Iterator[str]:
    """How full ring buffers were in the run, and how full they can get."""
    fullest, name, proven = 0, "", 0
    for population in network.populations:
        if population.is_input:
            continue
        peak = max(ring_peaks(network, population.name, spikes))
        bound = max(int(sums.max()) for sums in ring_bounds(network, population.name))
        proven = max(proven, bound)
        if peak >= fullest:
            fullest, name = peak, population.name
    yield (
        f"Ring buffers: the fullest held {fullest} of {RING.maximum} units in this run ({name}); "
        f"whatever spikes on schedule, at most {proven} arrive in a step, so they "
        f"{'cannot saturate' if proven <= RING.maximum else 'can saturate'}."
    )
