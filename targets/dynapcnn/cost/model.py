"""Cost of one inference on DYNAP-CNN and Speck, from the events counted in a run.

Nobody has published what a synaptic operation takes on these chips, in energy or time.
Published are latencies of single events, from which the time is modelled, and the power of
whole chips, which is quoted (`assumptions`). A user's own energy of an operation can be put
to the counted operations: `nmdeploy.cost.with_coefficients`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from nmdeploy.cost import OPERATIONS, Cost, CostItem, Range, exactly
from nmdeploy.deployment import CoreLoad, Deployment
from nmdeploy.emulator.result import Result
from nmdeploy.network import Network
from nmdeploy.target import Chip, Figure
from targets.dynapcnn.cost.arrivals import Arrivals, arrivals
from targets.dynapcnn.cost.assumptions import assumptions
from targets.dynapcnn.layer import SpeckNeuron, has_bias

_MICROSECOND, _MILLION = 1e-6, 1e6


def cost(deployment: Deployment, result: Result, chip: Chip) -> Cost:
    """The cost of one inference, mean over the samples of `result`.

    Args:
        deployment: what ran.
        result: its run; recorded with `spikes=("*",)`, the busiest step of each core is known too.
        chip: the chip it is placed on.

    Raises:
        UsageError: when the run tells too little.
    """
    network, into = deployment.network, arrivals(deployment.network, result)
    latency = chip.figures.get("one_layer_latency")
    loads = deployment.placement.cores
    events = [_timed(f"events into {_core(load)}", _mean(load, into, result), latency) for load in loads]
    items = [
        *(row for load, item in zip(loads, events, strict=True) for row in (item, *_busiest_step(load, into, latency))),
        *_operations(network, result, chip.figures.get("peak_synaptic_rate")),
        *_leak_updates(network, result),
    ]
    known_steps = all(each.busiest is not None for each in into.values())
    told = assumptions(chip, known_steps=known_steps)
    return Cost(chip.name, result.origin, result.samples, result.steps, tuple(items), None, _time(events), told)


def _core(load: CoreLoad) -> str:
    return f"core {load.core} ({load.population})"


def _mean(load: CoreLoad, into: Mapping[str, Arrivals], result: Result) -> Range:
    return exactly(into[load.population].events / result.samples)


def _timed(event: str, count: Range, latency: Figure | None) -> CostItem:
    """Events that each take the published latency of a layer; without a time where there is none."""
    if latency is None:
        return CostItem(event, count)
    time = count.times(latency.value * _MICROSECOND)
    return CostItem(event, count, None, time, latency.source, latency.status)


def _operations(network: Network, result: Result, peak: Figure | None) -> Iterator[CostItem]:
    for name in dict.fromkeys(projection.name for projection in network.projections):
        count = exactly(int(result.synaptic_operations[name].sum()) / result.samples)
        item = CostItem(f"{OPERATIONS} {name}", count)
        if peak is not None:
            time = count.times(1 / (peak.value * _MILLION))
            item = CostItem(item.event, count, None, time, peak.source, peak.status)
        yield item


def _leak_updates(network: Network, result: Result) -> Iterator[CostItem]:
    """A tick of the slow clock visits every neuron of a core with biases; one tick a step."""
    for population in network.populations:
        if isinstance(population.neuron, SpeckNeuron) and has_bias(population.neuron):
            yield CostItem(f"leak updates of {population.name}", exactly(population.size * result.steps))


def _busiest_step(load: CoreLoad, into: Mapping[str, Arrivals], latency: Figure | None) -> list[CostItem]:
    busiest = into[load.population].busiest
    told = f"of them in the busiest step of core {load.core}"
    return [] if busiest is None else [_timed(told, exactly(busiest), latency)]


def _time(events: list[CostItem]) -> Range | None:
    """Between the busiest core alone and all cores one after the other."""
    times = [item.time.most for item in events if item.time is not None]
    return Range(max(times), sum(times)) if times else None
