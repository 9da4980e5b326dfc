"""Energy and time of one inference on Loihi, from the events counted in a run.

Loihi 1: Davies et al. 2018, table 2, which was simulated before silicon. Loihi 2: events
only, since Intel has published no energy or time of a single operation. What the paper
leaves open is a range, not a choice:

- An active neuron update is not defined there. At least those updates count in which the
  neuron fires; at most all of a neuron that had a bias, an initial state or any input (the
  rule of SANA-FE's `src/models.cpp`; its first releases counted neurons that receive a
  spike in the step, which lies between). An active update is booked as an inactive one and
  the difference, so that both rows can be added.
- Synaptic operations: at least those of weights other than zero, at most one for every
  synapse that the emulator counts (`Result.synaptic_operations`).
- The energy of a spike within a tile: at least of spikes that stay in their tile, at most
  of all, since every spike enters and leaves the mesh through one.
"""

from __future__ import annotations

from collections.abc import Iterator

from nmdeploy.cost import Cost, CostItem, Range, exactly, total
from nmdeploy.deployment import Deployment
from nmdeploy.emulator.result import Result
from nmdeploy.target import Chip
from targets.loihi.cost.activity import step_by_step
from targets.loihi.cost.assumptions import assumptions
from targets.loihi.cost.coefficients import amount, barrier, clock, priced, surcharge
from targets.loihi.cost.mesh import Mesh
from targets.loihi.cost.tally import Tally, count
from targets.loihi.cost.traffic import Traffic
from targets.loihi.cost.wiring import Wiring


def cost(deployment: Deployment, result: Result, chip: Chip) -> Cost:
    """The cost of one inference, mean over the samples of `result`.

    Args:
        deployment: what ran.
        result: its run; recorded with `spikes=("*",)`, the slowest core of every step is
            known, with `counts=("*",)` alone it is bounded.
        chip: the chip it is placed on.

    Raises:
        UsageError: when the run tells too little.
    """
    network, mesh = deployment.network, Mesh.of(chip)
    wiring = Wiring.of(network, deployment.placement, chip)
    ticking = clock(chip, wiring, mesh)
    tally = count(network, wiring, result, ticking)
    items = [*_operations(tally, wiring, chip), *_updates(tally, wiring, result.steps, chip)]
    items += _journeys(Traffic.of(wiring, tally.spikes, mesh), result.samples, chip)
    if tally.time is not None and mesh is not None:
        items.append(_barriers(result.steps, chip, mesh.tiles(wiring.places)))
        items.append(_static(deployment.placement.chip_count, chip, tally.time))
    told = assumptions(chip, wiring, step_by_step(network, result), timed=tally.time is not None)
    energy = total([item.energy for item in items])
    return Cost(chip.name, result.origin, result.samples, result.steps, tuple(items), energy, tally.time, told)


def _mean(least: float, most: float, samples: int) -> Range:
    return Range(least / samples, most / samples)


def _operations(tally: Tally, wiring: Wiring, chip: Chip) -> Iterator[CostItem]:
    for name, operations in tally.operations.items():
        mean = _mean(operations.least, operations.most, tally.samples)
        yield priced(f"synaptic operations {name}", mean, chip, "synaptic_operation")
    for name, compartments in wiring.compartments.items():
        if compartments > 1:
            spikes = int(tally.spikes[name].sum())
            mean = _mean(spikes, spikes, tally.samples)
            yield priced(f"synaptic operations {name} (reset)", mean, chip, "synaptic_operation")


def _updates(tally: Tally, wiring: Wiring, steps: int, chip: Chip) -> Iterator[CostItem]:
    held = sum(each * wiring.homes[name].shape[1] for name, each in wiring.compartments.items())
    yield priced("neuron updates", exactly(held * steps), chip, "inactive_neuron_update")
    firing = sum(each * int(tally.spikes[name].sum()) for name, each in wiring.compartments.items())
    busy = sum(each * tally.busy[name] * steps for name, each in wiring.compartments.items())
    active = _mean(firing, busy, tally.samples)
    yield surcharge("active among them", active, chip, "active_neuron_update", "inactive_neuron_update")


def _journeys(traffic: Traffic, samples: int, chip: Chip) -> Iterator[CostItem]:
    def mean(count: int) -> Range:
        return _mean(count, count, samples)

    yield CostItem("input spikes to cores", mean(traffic.from_host))
    yield CostItem("spikes from core to core", mean(traffic.between_cores))
    if traffic.between_chips:
        yield CostItem("of them between chips", mean(traffic.between_chips))
    if traffic.within_tile is not None and traffic.east_west is not None and traffic.north_south is not None:
        staying = _mean(traffic.within_tile, traffic.on_chip, samples)
        yield priced("spikes within a tile", staying, chip, "spike_within_tile")
        yield priced("tile hops east-west", mean(traffic.east_west), chip, "hop_east_west")
        yield priced("tile hops north-south", mean(traffic.north_south), chip, "hop_north_south")


def _barriers(steps: int, chip: Chip, tiles: int) -> CostItem:
    figure = chip.figures["barrier_time_minimum"]
    time = barrier(chip, tiles).times(steps)
    return CostItem("barriers", exactly(steps), None, time, "Davies 2018, table 2 (1 to 32 tiles)", figure.status)


def _static(chips: int, chip: Chip, time: Range) -> CostItem:
    figure = chip.figures["static_power"]
    return CostItem("static power", None, time.times(chips * amount(figure)), None, figure.source, figure.status)
